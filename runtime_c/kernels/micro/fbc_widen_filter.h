/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* A word of signed lanes of 4 or 2 bits to bytes, in order. */
#ifndef FBC_WIDEN_FILTER_H
#define FBC_WIDEN_FILTER_H

#include "micro/fbc_xpulp.h"

#ifdef FBC_XPULPV2

/* On the bytes of a word: shifts by twice an immediate; two words one byte from each at a time, first or last two. */
#define FBC_FILTER_LEFT(to, from, half) ".insn r 0x57, 7, 0x28, " to ", " from ", x" #half "\n"
#define FBC_FILTER_RIGHT(to, from, half) ".insn r 0x57, 7, 0x24, " to ", " from ", x" #half "\n"
#define FBC_FILTER_SHUFFLE(word, other, selector) ".insn r 0x57, 1, 0x64, " word ", " other ", " selector "\n"
#define FBC_FILTER_ZIP(first, last, odd) \
    "mv " last ", " first "\n" FBC_FILTER_SHUFFLE(first, odd, "%[low]") FBC_FILTER_SHUFFLE(last, odd, "%[high]")

/* Reads a word at any address and writes 32 / bits bytes. */
FBC_INLINE void fbc_widen_taps_of_word(const uint8_t *source, uint32_t bits, uint8_t *target) {
    uint32_t a, b, c, d, e;
    if (bits == 4u) {
        __asm__ volatile("lw %[b], 0(%[source])\n" FBC_FILTER_LEFT("%[a]", "%[b]", 2) //
                         FBC_FILTER_RIGHT("%[b]", "%[b]", 2) FBC_FILTER_RIGHT("%[a]", "%[a]", 2)
                             FBC_FILTER_ZIP("%[a]", "%[c]", "%[b]") "sw %[a], 0(%[target])\n sw %[c], 4(%[target])"
                         : [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c)
                         : [source] "r"(source), [target] "r"(target), [low] "r"(0x05010400u), [high] "r"(0x07030602u)
                         : "memory");
        return;
    }
    __asm__ volatile("lw %[d], 0(%[source])\n" FBC_FILTER_LEFT("%[a]", "%[d]", 3) FBC_FILTER_LEFT("%[b]", "%[d]", 2)
                         FBC_FILTER_LEFT("%[c]", "%[d]", 1) FBC_FILTER_RIGHT("%[a]", "%[a]", 3)
                             FBC_FILTER_RIGHT("%[b]", "%[b]", 3) FBC_FILTER_RIGHT("%[c]", "%[c]", 3) //
                     FBC_FILTER_RIGHT("%[d]", "%[d]", 3) FBC_FILTER_ZIP("%[a]", "%[e]", "%[b]")
                         FBC_FILTER_ZIP("%[c]", "%[b]", "%[d]") "sh %[a], 0(%[target])\n sh %[c], 2(%[target])\n" //
                                                                "srli %[a], %[a], 16\n srli %[c], %[c], 16\n"
                                                                "sh %[a], 4(%[target])\n sh %[c], 6(%[target])\n"
                                                                "sh %[e], 8(%[target])\n sh %[b], 10(%[target])\n"
                                                                "srli %[e], %[e], 16\n srli %[b], %[b], 16\n"
                                                                "sh %[e], 12(%[target])\n sh %[b], 14(%[target])\n"
                     : [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d), [e] "=&r"(e)
                     : [source] "r"(source), [target] "r"(target), [low] "r"(0x05010400u), [high] "r"(0x07030602u)
                     : "memory");
}

#else

FBC_INLINE void fbc_widen_taps_of_word(const uint8_t *source, uint32_t bits, uint8_t *target) {
    for (uint32_t lane = 0; lane < 32u / bits; lane++) {
        fbc_write_lane(target, lane, 8u, fbc_read_lane(source, lane, bits, 1u));
    }
}

#endif

#endif
