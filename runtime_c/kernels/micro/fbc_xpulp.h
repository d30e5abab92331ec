/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Single XpulpV2 instructions as functions, with portable twins. Upstream compilers do not know them, so they are
 * assembled from their fields (opcode, funct3, funct7); the encodings were checked on GVSOC. */
#ifndef FBC_XPULP_H
#define FBC_XPULP_H

#include "common/fbc_lanes.h"

/* value within [low, high]. */
FBC_INLINE int32_t fbc_bring_into(int32_t value, int32_t low, int32_t high) {
#ifdef FBC_XPULPV2
    int32_t brought;
    __asm__(".insn r 0x33, 6, 0x02, %0, %1, %2\n" /* p.max */
            ".insn r 0x33, 4, 0x02, %0, %0, %3"   /* p.min */
            : "=&r"(brought)
            : "r"(value), "r"(low), "r"(high));
    return brought;
#else
    const int32_t raised = value < low ? low : value;
    return raised > high ? high : raised;
#endif
}

/* The low bytes of four values, the first in the lowest byte. */
FBC_INLINE uint32_t fbc_pack_bytes(int32_t v0, int32_t v1, int32_t v2, int32_t v3) {
#ifdef FBC_XPULPV2
    uint32_t packed;
    __asm__(".insn r 0x57, 1, 0x70, %0, %2, %1\n" /* pv.packlo.b */
            ".insn r 0x57, 1, 0x6C, %0, %4, %3"   /* pv.packhi.b */
            : "=&r"(packed)
            : "r"(v0), "r"(v1), "r"(v2), "r"(v3));
    return packed;
#else
    return ((uint32_t)v0 & 0xFFu) | ((uint32_t)v1 & 0xFFu) << 8 | ((uint32_t)v2 & 0xFFu) << 16 | (uint32_t)v3 << 24;
#endif
}

/* The low bits of four values side by side, bits is 4 or 2 and constant; what lies above is unspecified. */
FBC_INLINE uint32_t fbc_pack_lanes(uint32_t bits, int32_t v0, int32_t v1, int32_t v2, int32_t v3) {
#ifdef FBC_XPULPV2
    uint32_t packed = (uint32_t)v0;
    if (bits == 4u) { /* p.insert: funct7 is 0x60 | (length - 1), the register field is the position */
        __asm__(".insn r 0x33, 2, 0x63, %0, %1, x4\n"
                ".insn r 0x33, 2, 0x63, %0, %2, x8\n"
                ".insn r 0x33, 2, 0x63, %0, %3, x12"
                : "+&r"(packed)
                : "r"(v1), "r"(v2), "r"(v3));
    } else {
        __asm__(".insn r 0x33, 2, 0x61, %0, %1, x2\n"
                ".insn r 0x33, 2, 0x61, %0, %2, x4\n"
                ".insn r 0x33, 2, 0x61, %0, %3, x6"
                : "+&r"(packed)
                : "r"(v1), "r"(v2), "r"(v3));
    }
    return packed;
#else
    const uint32_t mask = (1u << bits) - 1u;
    return ((uint32_t)v0 & mask) | ((uint32_t)v1 & mask) << bits | ((uint32_t)v2 & mask) << 2u * bits |
           ((uint32_t)v3 & mask) << 3u * bits;
#endif
}

/* Stores at any byte address (the cores split misaligned accesses themselves) and returns address + step. */
FBC_INLINE uint8_t *fbc_store_word(uint8_t *address, uint32_t step, uint32_t word) {
#ifdef FBC_XPULPV2
    if (__builtin_constant_p(step)) {
        __asm__ volatile(".insn s 0x2B, 2, %1, %2(%0)" : "+r"(address) : "r"(word), "i"(step) : "memory");
    } else {
        __asm__ volatile(".insn r 0x2B, 6, 0, %2, %0, %1" : "+r"(address) : "r"(word), "r"(step) : "memory");
    }
    return address;
#else
    memcpy(address, &word, sizeof word);
    return address + step;
#endif
}

FBC_INLINE uint8_t *fbc_store_half(uint8_t *address, uint32_t step, uint32_t half) {
#ifdef FBC_XPULPV2
    if (__builtin_constant_p(step)) {
        __asm__ volatile(".insn s 0x2B, 1, %1, %2(%0)" : "+r"(address) : "r"(half), "i"(step) : "memory");
    } else {
        __asm__ volatile(".insn r 0x2B, 5, 0, %2, %0, %1" : "+r"(address) : "r"(half), "r"(step) : "memory");
    }
    return address;
#else
    const uint16_t low = (uint16_t)half;
    memcpy(address, &low, sizeof low);
    return address + step;
#endif
}

FBC_INLINE uint8_t *fbc_store_byte(uint8_t *address, uint32_t step, uint32_t byte) {
#ifdef FBC_XPULPV2
    if (__builtin_constant_p(step)) {
        __asm__ volatile(".insn s 0x2B, 0, %1, %2(%0)" : "+r"(address) : "r"(byte), "i"(step) : "memory");
    } else {
        __asm__ volatile(".insn r 0x2B, 4, 0, %2, %0, %1" : "+r"(address) : "r"(byte), "r"(step) : "memory");
    }
    return address;
#else
    *address = (uint8_t)byte;
    return address + step;
#endif
}

/* Copies bytes, words at a time: misaligned words cost the cores two cycles, bytes would cost eight. */
FBC_INLINE void fbc_copy_bytes(uint8_t *target, const uint8_t *source, uint32_t bytes) {
#ifdef FBC_XPULPV2
    const uint32_t pairs = bytes >> 3;
    uint32_t first, second;
    if (pairs > 0u) {
        __asm__ volatile(".balign 4\n.option push\n"
                         ".option norvc\n"
                         ".insn i 0x7B, 4, x0, %4, 8\n" /* lp.setup 0, pairs, 4 instructions */
                         ".insn i 0x0B, 2, %2, %1, 4\n" /* p.lw */
                         ".insn i 0x0B, 2, %3, %1, 4\n"
                         ".insn s 0x2B, 2, %2, 4(%0)\n" /* p.sw */
                         ".insn s 0x2B, 2, %3, 4(%0)\n"
                         ".option pop"
                         : "+r"(target), "+r"(source), "=&r"(first), "=&r"(second)
                         : "r"(pairs)
                         : "memory");
    }
    if ((bytes & 4u) != 0u) {
        __asm__ volatile(".insn i 0x0B, 2, %2, %1, 4\n .insn s 0x2B, 2, %2, 4(%0)"
                         : "+r"(target), "+r"(source), "=&r"(first)
                         :
                         : "memory");
    }
    for (uint32_t rest = bytes & 3u; rest > 0u; rest--) {
        *target++ = *source++;
    }
#else
    memcpy(target, source, bytes);
#endif
}

#endif
