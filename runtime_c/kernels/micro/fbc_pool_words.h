/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* The inner loops of pools: maxima over a window and sums over a plane, of whole words of lanes. */
#ifndef FBC_POOL_WORDS_H
#define FBC_POOL_WORDS_H

#include "common/fbc_widen.h"
#include "micro/fbc_xpulp.h"

/* A window of at least one tap, inside the tile. */
typedef struct {
    uint32_t rows;
    uint32_t columns;
    uint32_t pixel_bytes;
    uint32_t skip; /* bytes from behind a row of the window to the next one */
} fbc_window;

/* At any byte address. */
FBC_INLINE uint32_t fbc_load_word(const uint8_t *address) {
    uint32_t word;
#ifdef FBC_XPULPV2
    __asm__ volatile("lw %0, 0(%1)" : "=r"(word) : "r"(address) : "memory"); /* misaligned: two cycles */
#else
    memcpy(&word, address, sizeof word);
#endif
    return word;
}

#ifdef FBC_XPULPV2

/* Lanes that the instructions compare: of any width with XpulpNN, else of bytes. */
#ifdef FBC_XPULPNN
#define FBC_MAX_IS_DIRECT(bits) 1
#else
#define FBC_MAX_IS_DIRECT(bits) ((bits) == 8u)
#endif

/* Operands of pv.max and pv.maxu: funct3 and funct7. */
#define FBC_MAX_FORM(bits, is_signed) \
    [form] "i"((bits) == 8u ? 1 : 2), [code] "i"(((is_signed) ? 0x18 : 0x1C) | ((bits) == 2u ? 1 : 0))
#define FBC_MAX(maximum, word) ".insn r 0x57, %[form], %[code], " maximum ", " maximum ", " word "\n"
#define FBC_POOL_NEXT(word) ".insn r 0x0B, 7, 0x10, " word ", %[input], %[step]\n" /* p.lw, then one pixel on */
/* Two nested hardware loops around the instructions for one tap. */
#define FBC_MAX_LOOPS(instructions, body) \
    ".balign 4\n .option push\n .option norvc\n" \
    ".insn i 0x7B, 4, x1, %[rows], 2 * (" #instructions " + 2)\n" \
    ".insn i 0x7B, 4, x0, %[columns], 2 * " #instructions "\n" body "add %[input], %[input], %[skip]\n" \
    ".option pop"
#define FBC_MAX_WINDOW \
    [rows] "r"(window->rows), [columns] "r"(window->columns), [step] "r"(window->pixel_bytes), [skip] "r"(window->skip)

/* Four words; widths that can be compared directly. */
FBC_INLINE void fbc_max_four_words(const fbc_window *window, const uint8_t *input, uint8_t *output, uint32_t bits,
                                   uint32_t is_signed) {
    uint32_t m0 = fbc_load_word(input), m1 = fbc_load_word(input + 4), m2 = fbc_load_word(input + 8),
             m3 = fbc_load_word(input + 12);
    uint32_t w0, w1, w2, w3;
    __asm__ volatile(FBC_MAX_LOOPS(8, "lw %[w1], 4(%[input])\n lw %[w2], 8(%[input])\n lw %[w3], 12(%[input])\n" //
                                   FBC_POOL_NEXT("%[w0]") FBC_MAX("%[m1]", "%[w1]") FBC_MAX("%[m2]", "%[w2]")
                                       FBC_MAX("%[m3]", "%[w3]") FBC_MAX("%[m0]", "%[w0]"))
                     : [m0] "+&r"(m0), [m1] "+&r"(m1), [m2] "+&r"(m2), [m3] "+&r"(m3), [w0] "=&r"(w0), [w1] "=&r"(w1),
                       [w2] "=&r"(w2), [w3] "=&r"(w3), [input] "+&r"(input)
                     : FBC_MAX_WINDOW, FBC_MAX_FORM(bits, is_signed)
                     : "memory");
    output = fbc_store_word(output, 4u, m0);
    output = fbc_store_word(output, 4u, m1);
    output = fbc_store_word(output, 4u, m2);
    fbc_store_word(output, 4u, m3);
}

/* Without comparisons of narrow lanes, bytes are compared once per lane, each time with another lane on top: what lies
 * below decides only between equal ones. */
FBC_INLINE uint32_t fbc_max_word(const fbc_window *window, const uint8_t *input, uint32_t bits, uint32_t is_signed) {
    uint32_t m0 = fbc_load_word(input);
    uint32_t word;
    if (FBC_MAX_IS_DIRECT(bits)) {
        __asm__ volatile(FBC_MAX_LOOPS(2, FBC_POOL_NEXT("%[word]") FBC_MAX("%[m0]", "%[word]"))
                         : [m0] "+&r"(m0), [word] "=&r"(word), [input] "+&r"(input)
                         : FBC_MAX_WINDOW, FBC_MAX_FORM(bits, is_signed)
                         : "memory");
        return m0;
    }
    if (bits == 4u) {
        uint32_t m1 = m0 << 4;
        __asm__ volatile(FBC_MAX_LOOPS(4, FBC_POOL_NEXT("%[word]") FBC_MAX("%[m0]", "%[word]") //
                                       "slli %[word], %[word], 4\n" FBC_MAX("%[m1]", "%[word]"))
                         : [m0] "+&r"(m0), [m1] "+&r"(m1), [word] "=&r"(word), [input] "+&r"(input)
                         : FBC_MAX_WINDOW, FBC_MAX_FORM(8u, is_signed)
                         : "memory");
        return (m0 & 0xF0F0F0F0u) | (m1 & 0xF0F0F0F0u) >> 4;
    }
    uint32_t m1 = m0 << 2, m2 = m0 << 4, m3 = m0 << 6;
    __asm__ volatile(
        FBC_MAX_LOOPS(8, FBC_POOL_NEXT("%[word]") FBC_MAX("%[m0]", "%[word]")  //
                      "slli %[word], %[word], 2\n" FBC_MAX("%[m1]", "%[word]") //
                      "slli %[word], %[word], 2\n" FBC_MAX("%[m2]", "%[word]") //
                      "slli %[word], %[word], 2\n" FBC_MAX("%[m3]", "%[word]"))
        : [m0] "+&r"(m0), [m1] "+&r"(m1), [m2] "+&r"(m2), [m3] "+&r"(m3), [word] "=&r"(word), [input] "+&r"(input)
        : FBC_MAX_WINDOW, FBC_MAX_FORM(8u, is_signed)
        : "memory");
    return (m0 & 0xC0C0C0C0u) | (m1 & 0xC0C0C0C0u) >> 2 | (m2 & 0xC0C0C0C0u) >> 4 | (m3 & 0xC0C0C0C0u) >> 6;
}

#else

#define FBC_MAX_IS_DIRECT(bits) 1

FBC_INLINE uint32_t fbc_max_word(const fbc_window *window, const uint8_t *input, uint32_t bits, uint32_t is_signed) {
    uint8_t maxima[4] = {0};
    for (uint32_t lane = 0; lane < 32u / bits; lane++) {
        const uint8_t *tap = input;
        int32_t maximum = fbc_read_lane(tap, lane, bits, is_signed);
        for (uint32_t row = 0; row < window->rows; row++) {
            for (uint32_t column = 0; column < window->columns; column++) {
                const int32_t value = fbc_read_lane(tap, lane, bits, is_signed);
                maximum = value > maximum ? value : maximum;
                tap += window->pixel_bytes;
            }
            tap += row + 1u < window->rows ? window->skip : 0u;
        }
        fbc_write_lane(maxima, lane, bits, maximum);
    }
    return fbc_load_word(maxima);
}

FBC_INLINE void fbc_max_four_words(const fbc_window *window, const uint8_t *input, uint8_t *output, uint32_t bits,
                                   uint32_t is_signed) {
    for (uint32_t word = 0; word < 4u; word++) {
        output = fbc_store_word(output, 4u, fbc_max_word(window, input + 4u * word, bits, is_signed));
    }
}

#endif

/* Sums without widening. A lane of the sums is twice (8 and 4 bits) or four times (2 bits) as wide as one of the input
 * and begins at its first bit; sums[0] adds the words as they are, sums[1] shifted right by one lane of the input, and
 * so on. So sums[k] is the sum of lane k plus 2^bits times sums[k + 1], modulo the width, and the plain sum of each
 * lane, which fits, is found at the end. */
enum { FBC_SUM_WORDS = 4 };

/* Sums of a word of the input per lane of it. */
FBC_INLINE uint32_t fbc_sum_count(uint32_t bits) {
    return bits == 2u ? 4u : 2u;
}

/* Bits of a lane of the sums. */
FBC_INLINE uint32_t fbc_sum_bits(uint32_t bits) {
    return bits == 8u ? 16u : 8u;
}

/* Pixels whose sum fits such a lane: of unsigned lanes, all at their largest. */
FBC_INLINE uint32_t fbc_sum_pixels(uint32_t bits) {
    return bits == 8u ? 257u : bits == 4u ? 17u : 85u;
}

#ifdef FBC_XPULPV2

/* pv.add and pv.srl.sci; the shift is twice the number in the register field. */
#define FBC_SUM_ADD(sum, word) ".insn r 0x57, %[add], 0x00, " sum ", " sum ", " word "\n"
#define FBC_SUM_SHIFT(to, word, half) ".insn r 0x57, %[srl], 0x20, " to ", " word ", " half "\n"
#define FBC_SUM_LOOP(instructions, body) \
    ".balign 4\n .option push\n .option norvc\n .insn i 0x7B, 4, x0, %[pixels], 2 * (" #instructions ")\n" body \
    ".option pop"
#define FBC_SUM_FORM(bits) [add] "i"((bits) == 8u ? 0 : 1), [srl] "i"((bits) == 8u ? 6 : 7)
#define FBC_SUM_OPERANDS [pixels] "r"(pixels), [step] "r"(step), [signs] "r"(signs)
#define FBC_SUM_FLIP_0(word) ""
#define FBC_SUM_FLIP_1(word) "xor " word ", " word ", %[signs]\n"
/* The sums of one word with two sums. */
#define FBC_SUM_TWO(s0, s1, word, half) FBC_SUM_ADD(s0, word) FBC_SUM_SHIFT(word, word, half) FBC_SUM_ADD(s1, word)

#define FBC_SUM_PAIR(bits, flip, half) \
    __asm__ volatile(FBC_SUM_LOOP(8 + 2 * flip, \
                                  "lw %[w1], 4(%[input])\n" FBC_POOL_NEXT("%[w0]") FBC_SUM_FLIP_##flip("%[w1]") \
                                      FBC_SUM_FLIP_##flip("%[w0]") FBC_SUM_TWO("%[s2]", "%[s3]", "%[w1]", half) \
                                          FBC_SUM_TWO("%[s0]", "%[s1]", "%[w0]", half)) \
                     : [s0] "+&r"(s0), [s1] "+&r"(s1), [s2] "+&r"(s2), [s3] "+&r"(s3), [w0] "=&r"(w0), [w1] "=&r"(w1), \
                       [input] "+&r"(input) \
                     : FBC_SUM_OPERANDS, FBC_SUM_FORM(bits) \
                     : "memory")

#define FBC_SUM_CRUMBS(flip) \
    __asm__ volatile(FBC_SUM_LOOP(8 + flip, FBC_POOL_NEXT("%[w0]") FBC_SUM_FLIP_##flip("%[w0]") FBC_SUM_SHIFT( \
                                                "%[w1]", "%[w0]", "x1") FBC_SUM_ADD("%[s0]", "%[w0]") \
                                                FBC_SUM_ADD("%[s1]", "%[w1]") FBC_SUM_SHIFT("%[w1]", "%[w0]", "x2") \
                                                    FBC_SUM_SHIFT("%[w0]", "%[w0]", "x3") \
                                                        FBC_SUM_ADD("%[s2]", "%[w1]") FBC_SUM_ADD("%[s3]", "%[w0]")) \
                     : [s0] "+&r"(s0), [s1] "+&r"(s1), [s2] "+&r"(s2), [s3] "+&r"(s3), [w0] "=&r"(w0), [w1] "=&r"(w1), \
                       [input] "+&r"(input) \
                     : FBC_SUM_OPERANDS, FBC_SUM_FORM(2u) \
                     : "memory")

/* Two adjoining words (8 and 4 bits, two sums each) or one word (2 bits) of `pixels` pixels. */
FBC_INLINE void fbc_sum_words(const uint8_t *input, uint32_t step, uint32_t pixels, uint32_t bits, uint32_t signs,
                              uint32_t sums[FBC_SUM_WORDS]) {
    uint32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0, w0, w1;
    if (bits == 8u && signs == 0u) {
        FBC_SUM_PAIR(8u, 0, "x4");
    } else if (bits == 8u) {
        FBC_SUM_PAIR(8u, 1, "x4");
    } else if (bits == 4u && signs == 0u) {
        FBC_SUM_PAIR(4u, 0, "x2");
    } else if (bits == 4u) {
        FBC_SUM_PAIR(4u, 1, "x2");
    } else if (signs == 0u) {
        FBC_SUM_CRUMBS(0);
    } else {
        FBC_SUM_CRUMBS(1);
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
}

#else

/* Sum of the lanes of `bits`, each modulo its width. */
FBC_INLINE uint32_t fbc_add_wide_lanes(uint32_t a, uint32_t b, uint32_t bits) {
    uint32_t sum = 0;
    for (uint32_t position = 0; position < 32u; position += bits) {
        sum |= (((a >> position) + (b >> position)) & ((1u << bits) - 1u)) << position;
    }
    return sum;
}

/* Two adjoining words (8 and 4 bits, two sums each) or one word (2 bits) of `pixels` pixels. */
FBC_INLINE void fbc_sum_words(const uint8_t *input, uint32_t step, uint32_t pixels, uint32_t bits, uint32_t signs,
                              uint32_t sums[FBC_SUM_WORDS]) {
    const uint32_t count = fbc_sum_count(bits), wide = fbc_sum_bits(bits);
    const uint32_t in_every = wide == 16u ? 0x00010001u : 0x01010101u;
    for (uint32_t i = 0; i < FBC_SUM_WORDS; i++) {
        const uint32_t shift = i % count * bits;
        const uint32_t mask = in_every * ((1u << (wide - shift)) - 1u);
        sums[i] = 0;
        for (uint32_t pixel = 0; pixel < pixels; pixel++) {
            const uint32_t word = fbc_load_word(input + pixel * step + i / count * 4u) ^ signs;
            sums[i] = fbc_add_wide_lanes(sums[i], word >> shift & mask, wide);
        }
    }
}

#endif

/* Writes a sum (fresh) or adds to one. */
FBC_INLINE void fbc_take_sum(int32_t *total, uint32_t sum, uint32_t fresh) {
    *total = (fresh ? 0 : *total) + (int32_t)sum;
}

/* The plain sums of a word of 8 or 4 bits. */
FBC_INLINE void fbc_take_two(uint32_t sum0, uint32_t sum1, uint32_t bits, int32_t *totals, uint32_t fresh) {
    const uint32_t wide = fbc_sum_bits(bits);
    const uint32_t mask = (1u << wide) - 1u;
    fbc_take_sum(totals, (sum0 - (sum1 << bits)) & mask, fresh);
    fbc_take_sum(totals + 1, sum1 & mask, fresh);
    fbc_take_sum(totals + 2, ((sum0 >> wide) - (sum1 >> wide << bits)) & mask, fresh);
    fbc_take_sum(totals + 3, sum1 >> wide & mask, fresh);
    if (bits == 4u) {
        fbc_take_sum(totals + 4, ((sum0 >> 16) - (sum1 >> 16 << bits)) & mask, fresh);
        fbc_take_sum(totals + 5, sum1 >> 16 & mask, fresh);
        fbc_take_sum(totals + 6, ((sum0 >> 24) - (sum1 >> 24 << bits)) & mask, fresh);
        fbc_take_sum(totals + 7, sum1 >> 24, fresh);
    }
}

/* The plain sums of a byte of 2 bits. */
FBC_INLINE void fbc_take_four(const uint32_t sums[FBC_SUM_WORDS], uint32_t shift, int32_t *totals, uint32_t fresh) {
    const uint32_t sum0 = sums[0] >> shift, sum1 = sums[1] >> shift, sum2 = sums[2] >> shift, sum3 = sums[3] >> shift;
    fbc_take_sum(totals, (sum0 - (sum1 << 2)) & 0xFFu, fresh);
    fbc_take_sum(totals + 1, (sum1 - (sum2 << 2)) & 0xFFu, fresh);
    fbc_take_sum(totals + 2, (sum2 - (sum3 << 2)) & 0xFFu, fresh);
    fbc_take_sum(totals + 3, sum3 & 0xFFu, fresh);
}

/* The plain sums of all lanes of what fbc_sum_words summed. */
FBC_INLINE void fbc_take_lane_sums(const uint32_t sums[FBC_SUM_WORDS], uint32_t bits, int32_t *totals, uint32_t fresh) {
    if (bits != 2u) {
        fbc_take_two(sums[0], sums[1], bits, totals, fresh);
        fbc_take_two(sums[2], sums[3], bits, totals + 32u / bits, fresh);
        return;
    }
    fbc_take_four(sums, 0u, totals, fresh);
    fbc_take_four(sums, 8u, totals + 4, fresh);
    fbc_take_four(sums, 16u, totals + 8, fresh);
    fbc_take_four(sums, 24u, totals + 12, fresh);
}

#endif
