/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Dot products of four output channels with one pixel, words of packed lanes: for pixels that make no four. Weights are
 * one stream: word k of channels 0..3, then word k + 1 of channels 0..3. XpulpNN: 5 instructions a word; up to 16 bytes
 * behind the weights and 4 behind the pixel are read and not used. XpulpV2 (8 bit only): 9. Elsewhere plain C. */
#ifndef FBC_DOT_4X1_H
#define FBC_DOT_4X1_H

#include "common/fbc_lanes.h"

FBC_INLINE void fbc_dot_4x1_in_c(uint32_t bits, uint32_t is_signed, const uint8_t *weights, const uint8_t *pixel,
                                 uint32_t words, int32_t sums[4]) {
    const uint32_t lanes = 32u / bits;
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (uint32_t word = 0; word < words; word++) {
        for (uint32_t lane = 0; lane < lanes; lane++) {
            const int32_t activation = fbc_read_lane(pixel, lane, bits, is_signed);
            s0 += activation * fbc_read_lane(weights, lane, bits, 1u);
            s1 += activation * fbc_read_lane(weights + 4, lane, bits, 1u);
            s2 += activation * fbc_read_lane(weights + 8, lane, bits, 1u);
            s3 += activation * fbc_read_lane(weights + 12, lane, bits, 1u);
        }
        pixel += 4;
        weights += 16;
    }
    sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3;
}

#ifdef FBC_XPULPNN

/* One mac&load: accumulator += weights[w] . activations[a]; then register a or w is loaded from [pointer], pointer
 * += 4. The immediate is w load << 4 | a load << 3 | w << 1 | a, written as a register number. */
#define MLDOT(accumulator, pointer, immediate) \
    ".insn r 0x77, %[width], %[sign], " accumulator ", " pointer ", x" #immediate "\n"

/* funct3 says the lane width, funct7 the signs: weights signed, activations unsigned (0x6C) or signed (0x7C). */
#define MLDOT_CODES(bits, is_signed) \
    [width] "i"((bits) == 8u ? 1 : (bits) == 4u ? 2 : 3), [sign] "i"((is_signed) ? 0x7C : 0x6C)

FBC_INLINE void fbc_dot_4x1(uint32_t bits, uint32_t is_signed, const uint8_t *weights, const uint8_t *pixel,
                            uint32_t words, int32_t sums[4]) {
    int32_t s0, s1, s2, s3;
    __asm__ volatile(
        ".option push\n"
        ".option norvc\n" MLDOT("x0", "%[w]", 16) MLDOT("x0", "%[w]", 18) MLDOT("x0", "%[w]", 20)
            MLDOT("x0", "%[w]", 22)
                MLDOT("x0", "%[p]", 8) "li %[s0], 0\n li %[s1], 0\n li %[s2], 0\n li %[s3], 0\n"
                                       ".insn i 0x7B, 4, x0, %[words], 10\n" /* lp.setup 0, words, 5 instructions */
        MLDOT("%[s0]", "%[w]", 16) MLDOT("%[s1]", "%[w]", 18) MLDOT("%[s2]", "%[w]", 20) MLDOT("%[s3]", "%[w]", 22)
            MLDOT("x0", "%[p]", 8) ".option pop"
        : [s0] "=&r"(s0), [s1] "=&r"(s1), [s2] "=&r"(s2), [s3] "=&r"(s3), [w] "+r"(weights), [p] "+r"(pixel)
        : [words] "r"(words), MLDOT_CODES(bits, is_signed)
        : "memory");
    sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3;
}

#elif defined FBC_XPULPV2

#define LOAD(word, pointer) ".insn i 0x0B, 2, " word ", " pointer ", 4\n" /* p.lw, post-increment */
#define DOT_SIGN(is_signed) [sign] "i"((is_signed) ? 0x5C : 0x54)
#define DOT(sum, pixel, weight) ".insn r 0x57, 1, %[sign], " sum ", " pixel ", " weight "\n"

FBC_INLINE void fbc_dot_4x1(uint32_t bits, uint32_t is_signed, const uint8_t *weights, const uint8_t *pixel,
                            uint32_t words, int32_t sums[4]) {
    int32_t s0, s1, s2, s3;
    if (bits != 8u) {
        fbc_dot_4x1_in_c(bits, is_signed, weights, pixel, words, sums);
        return;
    }
    __asm__ volatile(
        ".option push\n"
        ".option norvc\n"
        "li %[s0], 0\n li %[s1], 0\n li %[s2], 0\n li %[s3], 0\n"
        ".insn i 0x7B, 4, x0, %[words], 18\n" /* lp.setup 0, words, 9 instructions */
        LOAD("t1", "%[p]") LOAD("t0", "%[w]") LOAD("t2", "%[w]") DOT("%[s0]", "t1", "t0") LOAD("t0", "%[w]")
            DOT("%[s1]", "t1", "t2") LOAD("t2", "%[w]") DOT("%[s2]", "t1", "t0") DOT("%[s3]", "t1", "t2") ".option pop"
        : [s0] "=&r"(s0), [s1] "=&r"(s1), [s2] "=&r"(s2), [s3] "=&r"(s3), [w] "+r"(weights), [p] "+r"(pixel)
        : [words] "r"(words), DOT_SIGN(is_signed)
        : "memory", "t0", "t1", "t2");
    sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3;
}

#else

#define fbc_dot_4x1 fbc_dot_4x1_in_c

#endif

#endif
