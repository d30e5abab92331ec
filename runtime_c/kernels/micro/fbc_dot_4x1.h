/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Dot products of four output channels with one pixel, words of packed lanes: what no run of blocks computes. Weights
 * are one stream: a word of each of the channels 0..3, then their next word. `macload`: the second word lies before the
 * first. */
#ifndef FBC_DOT_4X1_H
#define FBC_DOT_4X1_H

#include "common/fbc_lanes.h"

FBC_INLINE int32_t fbc_dot_word(uint32_t bits, uint32_t is_signed, const uint8_t *pixel, const uint8_t *weights,
                                int32_t sum) {
#ifdef FBC_XPULPV2
    const uint32_t x = *(const uint32_t *)(const void *)pixel, w = *(const uint32_t *)(const void *)weights;
    if (bits == 8u) { /* pv.sdotusp.b, pv.sdotsp.b */
        __asm__(".insn r 0x57, 1, %3, %0, %1, %2" : "+r"(sum) : "r"(x), "r"(w), "i"(is_signed ? 0x5C : 0x54));
        return sum;
    }
#endif
#ifdef FBC_XPULPNN
    __asm__(".insn r 0x57, 2, %3, %0, %1, %2"
            : "+r"(sum)
            : "r"(x), "r"(w), "i"((is_signed ? 0x5C : 0x54) | (bits == 2u ? 1 : 0)));
#else
    for (uint32_t lane = 0; lane < 32u / bits; lane++) {
        sum += fbc_read_lane(pixel, lane, bits, is_signed) * fbc_read_lane(weights, lane, bits, 1u);
    }
#endif
    return sum;
}

FBC_INLINE void fbc_dot_4x1(uint32_t bits, uint32_t is_signed, uint32_t macload, const uint8_t *weights,
                            const uint8_t *pixel, uint32_t words, int32_t sums[4]) {
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (uint32_t word = 0; word < words; word++) {
        const uint32_t place = macload && word < 2u ? 1u - word : word;
        const uint8_t *four = weights + 16u * place;
        s0 = fbc_dot_word(bits, is_signed, pixel, four, s0);
        s1 = fbc_dot_word(bits, is_signed, pixel, four + 4, s1);
        s2 = fbc_dot_word(bits, is_signed, pixel, four + 8, s2);
        s3 = fbc_dot_word(bits, is_signed, pixel, four + 12, s3);
        pixel += 4;
    }
    sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3;
}

#endif
