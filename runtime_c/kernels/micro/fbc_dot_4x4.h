/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Dot products of four output channels with four pixels (or one), words of packed lanes: the inner loop of every
 * blocked convolution. Weights are one stream: word k of channels 0..3, then word k + 1 of channels 0..3.
 *
 * XpulpNN: mac&load keeps four weight and two activation words in special registers and loads one while it multiplies,
 * 17 instructions for 16 dot products. It loads one step ahead: up to 16 bytes behind the weights and 4 behind a pixel
 * are read and not used. XpulpV2 (8 bit only): 24 instructions. Elsewhere plain C, which is their oracle. */
#ifndef FBC_DOT_4X4_H
#define FBC_DOT_4X4_H

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

FBC_INLINE void fbc_dot_4x4_in_c(uint32_t bits, uint32_t is_signed, const uint8_t *weights,
                                 const uint8_t *const pixels[4], uint32_t words, int32_t sums[16]) {
    for (uint32_t pixel = 0; pixel < 4u; pixel++) {
        fbc_dot_4x1_in_c(bits, is_signed, weights, pixels[pixel], words, sums + 4u * pixel);
    }
}

#ifdef FBC_XPULPNN

/* One mac&load: accumulator += weights[w] . activations[a]; then register a or w is loaded from [pointer], pointer
 * += 4. The immediate is w load << 4 | a load << 3 | w << 1 | a, written as a register number. */
#define MLDOT(accumulator, pointer, immediate) \
    ".insn r 0x77, %[width], %[sign], " accumulator ", " pointer ", x" #immediate "\n"

/* funct3 says the lane width, funct7 the signs: weights signed, activations unsigned (0x6C) or signed (0x7C). */
#define MLDOT_CODES(bits, is_signed) \
    [width] "i"((bits) == 8u ? 1 : (bits) == 4u ? 2 : 3), [sign] "i"((is_signed) ? 0x7C : 0x6C)

FBC_INLINE void fbc_dot_4x4(uint32_t bits, uint32_t is_signed, const uint8_t *weights, const uint8_t *const pixels[4],
                            uint32_t words, int32_t sums[16]) {
    const uint8_t *p0 = pixels[0], *p1 = pixels[1], *p2 = pixels[2], *p3 = pixels[3];
    int32_t s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15;
    __asm__ volatile(
        ".option push\n"
        ".option norvc\n" MLDOT("x0", "%[w]", 16) MLDOT("x0", "%[w]", 18) MLDOT("x0", "%[w]", 20)
            MLDOT("x0", "%[w]", 22) MLDOT("x0", "%[p0]", 8)
                MLDOT("x0", "%[p1]", 9) "li %[s0], 0\n li %[s1], 0\n li %[s2], 0\n li %[s3], 0\n"
                                        "li %[s4], 0\n li %[s5], 0\n li %[s6], 0\n li %[s7], 0\n"
                                        "li %[s8], 0\n li %[s9], 0\n li %[s10], 0\n li %[s11], 0\n"
                                        "li %[s12], 0\n li %[s13], 0\n li %[s14], 0\n li %[s15], 0\n"
                                        ".insn i 0x7B, 4, x0, %[words], 34\n" /* lp.setup 0, words, 17 instructions */
        MLDOT("%[s0]", "%[p2]", 0) MLDOT("%[s1]", "%[p2]", 2) MLDOT("%[s2]", "%[p2]", 4) MLDOT("%[s3]", "%[p2]", 14)
            MLDOT("%[s4]", "%[p3]", 1) MLDOT("%[s5]", "%[p3]", 3) MLDOT("%[s6]", "%[p3]", 5) MLDOT("%[s7]", "%[p3]", 15)
                MLDOT("%[s8]", "%[p0]", 0) MLDOT("%[s9]", "%[p0]", 2) MLDOT("%[s10]", "%[p0]", 4)
                    MLDOT("%[s11]", "%[p0]", 14) MLDOT("%[s12]", "%[w]", 17) MLDOT("%[s13]", "%[w]", 19)
                        MLDOT("%[s14]", "%[w]", 21) MLDOT("%[s15]", "%[w]", 23) MLDOT("x0", "%[p1]", 9) ".option pop"
        : [s0] "=&r"(s0), [s1] "=&r"(s1), [s2] "=&r"(s2), [s3] "=&r"(s3), [s4] "=&r"(s4), [s5] "=&r"(s5),
          [s6] "=&r"(s6), [s7] "=&r"(s7), [s8] "=&r"(s8), [s9] "=&r"(s9), [s10] "=&r"(s10), [s11] "=&r"(s11),
          [s12] "=&r"(s12), [s13] "=&r"(s13), [s14] "=&r"(s14), [s15] "=&r"(s15), [w] "+r"(weights), [p0] "+r"(p0),
          [p1] "+r"(p1), [p2] "+r"(p2), [p3] "+r"(p3)
        : [words] "r"(words), MLDOT_CODES(bits, is_signed)
        : "memory");
    sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3, sums[4] = s4, sums[5] = s5, sums[6] = s6, sums[7] = s7;
    sums[8] = s8, sums[9] = s9, sums[10] = s10, sums[11] = s11, sums[12] = s12, sums[13] = s13, sums[14] = s14;
    sums[15] = s15;
}

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
#define DOT(sum, pixel, weight) ".insn r 0x57, 1, %[sign], " sum ", " pixel ", " weight "\n"
#define DOTS(s0, s1, s2, s3, weight) \
    DOT(s0, "t1", weight) DOT(s1, "t2", weight) DOT(s2, "t3", weight) DOT(s3, "t4", weight)
#define DOT_SIGN(is_signed) [sign] "i"((is_signed) ? 0x5C : 0x54)

FBC_INLINE void fbc_dot_4x4(uint32_t bits, uint32_t is_signed, const uint8_t *weights, const uint8_t *const pixels[4],
                            uint32_t words, int32_t sums[16]) {
    const uint8_t *p0 = pixels[0], *p1 = pixels[1], *p2 = pixels[2], *p3 = pixels[3];
    int32_t s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15;
    if (bits != 8u) {
        fbc_dot_4x4_in_c(bits, is_signed, weights, pixels, words, sums);
        return;
    }
    __asm__ volatile(
        ".option push\n"
        ".option norvc\n"
        "li %[s0], 0\n li %[s1], 0\n li %[s2], 0\n li %[s3], 0\n"
        "li %[s4], 0\n li %[s5], 0\n li %[s6], 0\n li %[s7], 0\n"
        "li %[s8], 0\n li %[s9], 0\n li %[s10], 0\n li %[s11], 0\n"
        "li %[s12], 0\n li %[s13], 0\n li %[s14], 0\n li %[s15], 0\n"
        ".insn i 0x7B, 4, x0, %[words], 48\n" /* lp.setup 0, words, 24 instructions */
        /* The loop's count is in the loop's own register now, so `words` holds weights from here on. */
        LOAD("t0", "%[w]") LOAD("t1", "%[p0]") LOAD("t2", "%[p1]") LOAD("t3", "%[p2]") LOAD("t4", "%[p3]")
            LOAD("%[words]", "%[w]") DOTS("%[s0]", "%[s4]", "%[s8]", "%[s12]", "t0") LOAD("t0", "%[w]")
                DOTS("%[s1]", "%[s5]", "%[s9]", "%[s13]", "%[words]") LOAD("%[words]", "%[w]")
                    DOTS("%[s2]", "%[s6]", "%[s10]", "%[s14]", "t0")
                        DOTS("%[s3]", "%[s7]", "%[s11]", "%[s15]", "%[words]") ".option pop"
        : [s0] "=&r"(s0), [s1] "=&r"(s1), [s2] "=&r"(s2), [s3] "=&r"(s3), [s4] "=&r"(s4), [s5] "=&r"(s5),
          [s6] "=&r"(s6), [s7] "=&r"(s7), [s8] "=&r"(s8), [s9] "=&r"(s9), [s10] "=&r"(s10), [s11] "=&r"(s11),
          [s12] "=&r"(s12), [s13] "=&r"(s13), [s14] "=&r"(s14), [s15] "=&r"(s15), [w] "+r"(weights),
          [words] "+r"(words), [p0] "+r"(p0), [p1] "+r"(p1), [p2] "+r"(p2), [p3] "+r"(p3)
        : DOT_SIGN(is_signed)
        : "memory", "t0", "t1", "t2", "t3", "t4");
    sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3, sums[4] = s4, sums[5] = s5, sums[6] = s6, sums[7] = s7;
    sums[8] = s8, sums[9] = s9, sums[10] = s10, sums[11] = s11, sums[12] = s12, sums[13] = s13, sums[14] = s14;
    sums[15] = s15;
}

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
#define fbc_dot_4x4 fbc_dot_4x4_in_c

#endif

#endif
