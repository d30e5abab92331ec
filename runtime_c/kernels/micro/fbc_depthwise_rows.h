/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Pieces of the 3x3 depthwise convolution: four channels at a time, from HWC order to one word per channel and row. */
#ifndef FBC_DEPTHWISE_ROWS_H
#define FBC_DEPTHWISE_ROWS_H

#include "common/fbc_lanes.h"

/* The word at *address; *address += step. */
FBC_INLINE uint32_t fbc_load_word(const uint8_t **address, uint32_t step) {
#ifdef FBC_XPULPV2
    uint32_t word;
    __asm__ volatile(".insn r 0x0B, 7, 0x10, %0, %1, %2" : "=r"(word), "+r"(*address) : "r"(step) : "memory");
    return word;
#else
    uint32_t word;
    memcpy(&word, *address, sizeof word);
    *address += step;
    return word;
#endif
}

/* The word at address + offset. */
FBC_INLINE uint32_t fbc_load_word_at(const uint8_t *address, uint32_t offset) {
    uint32_t word;
#ifdef FBC_XPULPV2
    __asm__ volatile(".insn r 0x03, 7, 0x10, %0, %1, %2" : "=r"(word) : "r"(address), "r"(offset) : "memory");
#else
    memcpy(&word, address + offset, sizeof word);
#endif
    return word;
}

/* sum + the dot product of four bytes; weights are signed. */
FBC_INLINE int32_t fbc_dot_bytes(int32_t sum, uint32_t activations, uint32_t weights, uint32_t is_signed) {
#ifdef FBC_XPULPV2
    if (is_signed) {
        __asm__(".insn r 0x57, 1, 0x5C, %0, %1, %2" : "+r"(sum) : "r"(activations), "r"(weights));
    } else {
        __asm__(".insn r 0x57, 1, 0x54, %0, %1, %2" : "+r"(sum) : "r"(activations), "r"(weights));
    }
    return sum;
#else
    for (uint32_t shift = 0; shift < 32u; shift += 8u) {
        const uint32_t byte = activations >> shift & 0xFFu;
        sum += (is_signed ? (int32_t)(int8_t)byte : (int32_t)byte) * (int32_t)(int8_t)(weights >> shift & 0xFFu);
    }
    return sum;
#endif
}

/* The dot product of four bytes; weights are signed. */
FBC_INLINE int32_t fbc_first_dot_bytes(uint32_t activations, uint32_t weights, uint32_t is_signed) {
#ifdef FBC_XPULPV2
    int32_t sum;
    if (is_signed) {
        __asm__(".insn r 0x57, 1, 0x4C, %0, %1, %2" : "=r"(sum) : "r"(activations), "r"(weights));
    } else {
        __asm__(".insn r 0x57, 1, 0x44, %0, %1, %2" : "=r"(sum) : "r"(activations), "r"(weights));
    }
    return sum;
#else
    return fbc_dot_bytes(0, activations, weights, is_signed);
#endif
}

#ifdef FBC_XPULPV2

/* pv.shuffle2.b: byte i of the result is byte `selector[i] & 3` of `low`, or of `high` where bit 2 of it is set. */
FBC_INLINE uint32_t fbc_shuffle_bytes(uint32_t low, uint32_t high, uint32_t selector) {
    __asm__(".insn r 0x57, 1, 0x64, %0, %1, %2" : "+r"(low) : "r"(high), "r"(selector));
    return low;
}

/* Three pixels of four channels to four words [first, second, third, anything]. */
FBC_INLINE void fbc_transpose_taps(uint32_t first, uint32_t second, uint32_t third, uint32_t taps[4]) {
    uint32_t low;
    __asm__(".insn r 0x57, 0, 0x68, %0, %1, %2" : "=r"(low) : "r"(second), "r"(first)); /* pv.pack.h */
    const uint32_t high = fbc_shuffle_bytes(first, second, 0x07060302u);
    taps[0] = fbc_shuffle_bytes(low, third, 0x04040200u);
    taps[1] = fbc_shuffle_bytes(low, third, 0x05050301u);
    taps[2] = fbc_shuffle_bytes(high, third, 0x06060200u);
    taps[3] = fbc_shuffle_bytes(high, third, 0x07070301u);
}

#else

FBC_INLINE void fbc_transpose_taps(uint32_t first, uint32_t second, uint32_t third, uint32_t taps[4]) {
    for (uint32_t channel = 0; channel < 4u; channel++) {
        const uint32_t shift = 8u * channel;
        taps[channel] = (first >> shift & 0xFFu) | (second >> shift & 0xFFu) << 8 | (third >> shift & 0xFFu) << 16;
    }
}

#endif

#endif
