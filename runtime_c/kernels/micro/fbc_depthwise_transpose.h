/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* From HWC order to one word per row and channel: four pixels of four channels at a time. */
#ifndef FBC_DEPTHWISE_TRANSPOSE_H
#define FBC_DEPTHWISE_TRANSPOSE_H

#include "common/fbc_lanes.h"

/* Four columns of a tile, of which some may lie beside it. */
typedef struct {
    const uint8_t *line; /* first row, first column that is inside */
    uint32_t offsets[4]; /* of the columns from there, the first always 0; 0 for those beside the tile */
    uint32_t mask;       /* bytes of the columns inside */
    uint32_t line_bytes;
} fbc_four_columns;

#ifdef FBC_XPULPV2

#define FBC_TRANSPOSE_LOAD(word, offset) ".insn r 0x03, 7, 0x10, " word ", %[line], " offset "\n"
#define FBC_TRANSPOSE_SHUFFLE(word, other, selector) ".insn r 0x57, 1, 0x64, " word ", " other ", " selector "\n"
#define FBC_TRANSPOSE_PACK(word, high, low) ".insn r 0x57, 0, 0x68, " word ", " high ", " low "\n"
#define FBC_TRANSPOSE_STORE(word) ".insn s 0x2B, 2, " word ", 4(%[to])\n"
#define FBC_TRANSPOSE_MASK \
    "and %[b], %[b], %[mask]\n and %[e], %[e], %[mask]\n" \
    "and %[d], %[d], %[mask]\n and %[a], %[a], %[mask]\n"
#define FBC_TRANSPOSE(masking, instructions) \
    __asm__ volatile( \
        ".option push\n" \
        ".option norvc\n" \
        ".insn i 0x7B, 4, x0, %[rows], 2 * " #instructions "\n" /* lp.setup 0 */ \
        FBC_TRANSPOSE_LOAD("%[b]", "%[second]") FBC_TRANSPOSE_LOAD("%[c]", "%[third]") FBC_TRANSPOSE_LOAD( \
            "%[d]", "%[fourth]") ".insn r 0x0B, 7, 0x10, %[a], %[line], %[step]\n" FBC_TRANSPOSE_PACK("%[f]", "%[d]", \
                                                                                                      "%[c]") \
            FBC_TRANSPOSE_PACK("%[e]", "%[b]", "%[a]") FBC_TRANSPOSE_SHUFFLE("%[a]", "%[b]", "%[upper]") \
                FBC_TRANSPOSE_SHUFFLE("%[c]", "%[d]", \
                                      "%[upper]") "mv %[b], %[e]\n" FBC_TRANSPOSE_SHUFFLE("%[b]", "%[f]", "%[even]") \
                    FBC_TRANSPOSE_SHUFFLE("%[e]", "%[f]", "%[odd]") "mv %[d], %[a]\n" FBC_TRANSPOSE_SHUFFLE( \
                        "%[d]", "%[c]", "%[even]") FBC_TRANSPOSE_SHUFFLE("%[a]", "%[c]", "%[odd]") \
                        masking FBC_TRANSPOSE_STORE("%[b]") FBC_TRANSPOSE_STORE("%[e]") FBC_TRANSPOSE_STORE("%[d]") \
                            FBC_TRANSPOSE_STORE("%[a]") ".option pop" \
        : [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d), [e] "=&r"(e), [f] "=&r"(f), [line] "+r"(line), \
          [to] "+r"(to) \
        : [rows] "r"(rows), [second] "r"(columns->offsets[1]), [third] "r"(columns->offsets[2]), \
          [fourth] "r"(columns->offsets[3]), [step] "r"(columns->line_bytes), [upper] "r"(0x07060302u), \
          [even] "r"(0x06040200u), [odd] "r"(0x07050301u), [mask] "r"(columns->mask) \
        : "memory")

/* Writes four words per row; returns the place behind. */
FBC_INLINE uint8_t *fbc_transpose_columns(const fbc_four_columns *columns, uint32_t rows, uint8_t *to) {
    const uint8_t *line = columns->line;
    uint32_t a, b, c, d, e, f;
    if (rows == 0u) {
        return to;
    }
    if (columns->mask == 0xFFFFFFFFu) {
        FBC_TRANSPOSE("", 18);
    } else {
        FBC_TRANSPOSE(FBC_TRANSPOSE_MASK, 22);
    }
    return to;
}

#else

/* Writes four words per row; returns the place behind. */
FBC_INLINE uint8_t *fbc_transpose_columns(const fbc_four_columns *columns, uint32_t rows, uint8_t *to) {
    for (uint32_t row = 0; row < rows; row++) {
        for (uint32_t i = 0; i < 16u; i++) {
            const uint8_t byte = columns->line[row * columns->line_bytes + columns->offsets[i & 3u] + (i >> 2)];
            *to++ = (columns->mask >> 8u * (i & 3u) & 1u) != 0u ? byte : 0u;
        }
    }
    return to;
}

#endif

FBC_INLINE uint8_t *fbc_write_zero_rows(uint8_t *to, uint32_t rows) {
    for (; rows > 0u; rows--) {
        memset(__builtin_assume_aligned(to, 4), 0, 16u);
        to += 16;
    }
    return to;
}

#endif
