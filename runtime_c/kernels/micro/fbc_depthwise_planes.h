/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Planes of a group of four channels, a byte an element, borders included: what depthwise strips read.
 *
 * Two pairs of channels lie one behind the other; in a pair a row of the first channel is followed by that row of the
 * second. Rows are whole words ("quads" of four columns). They are filled column of quads by column of quads: from
 * pixels by a transposition of four pixels of four channels, or from the input's planes. */
#ifndef FBC_DEPTHWISE_PLANES_H
#define FBC_DEPTHWISE_PLANES_H

#include "common/fbc_lanes.h"
#include "fbc_kernels.h"

typedef struct {
    const uint8_t *input;   /* first row that is copied, column 0, first of the four channels */
    uint32_t row_bytes;     /* of the input */
    uint32_t column_bytes;  /* from column to column */
    uint32_t channel_bytes; /* from channel to channel; only of planes */
    int32_t width;          /* of the input */
    int32_t pad_left;
    uint32_t rows;  /* that are copied; at least 1 */
    uint32_t quads; /* of a row of the planes */
    uint8_t *to[2]; /* first copied row of both pairs */
} fbc_planes;

/* What one column of quads reads. */
typedef struct {
    const uint8_t *line; /* first row, first column that is inside */
    uint32_t offsets[4]; /* from there to the columns (of planes: channels), 0 for those beside the tile */
    uint32_t mask;       /* bytes of the columns inside */
    uint32_t shift;      /* bits that the word of a plane has to go up */
} fbc_quad_source;

FBC_INLINE fbc_quad_source fbc_find_quad(const fbc_planes *planes, uint32_t quad, uint32_t channel_first) {
    const int32_t left = (int32_t)(4u * quad) - planes->pad_left;
    const int32_t base = left < 0 ? 0 : left;
    fbc_quad_source source = {planes->input + (uint32_t)base * planes->column_bytes, {0u, 0u, 0u, 0u}, 0u, 0u};
    for (int32_t i = 0; i < 4; i++) {
        const uint32_t inside = left + i >= 0 && left + i < planes->width;
        source.mask |= inside ? 0xFFu << 8 * i : 0u;
        source.offsets[i] = channel_first ? (uint32_t)i * planes->channel_bytes
                            : inside      ? (uint32_t)(left + i - base) * planes->column_bytes
                                          : 0u;
    }
    source.shift = 8u * (uint32_t)(base - left);
    return source;
}

#ifdef FBC_XPULPV2

/* funct7 of the loads: words, halves, bytes. */
#define FBC_PLANES_WORD "0x10"
#define FBC_PLANES_HALF "0x28"
#define FBC_PLANES_BYTE "0x20"
#define FBC_PLANES_LOAD(width) \
    ".insn r 0x03, 7, " width ", %[b], %[line], %[second]\n" \
    ".insn r 0x03, 7, " width ", %[c], %[line], %[third]\n" \
    ".insn r 0x03, 7, " width ", %[d], %[line], %[fourth]\n" \
    ".insn r 0x0B, 7, " width ", %[a], %[line], %[step]\n"
#define FBC_PLANES_SHUFFLE(word, other, selector) ".insn r 0x57, 1, 0x64, " word ", " other ", " selector "\n"
#define FBC_PLANES_PACK(word, high, low) ".insn r 0x57, 0, 0x68, " word ", " high ", " low "\n"
/* On the bytes of a word, with an immediate: funct7 and register field hold it. */
#define FBC_PLANES_AND_15(word, from) ".insn r 0x57, 7, 0x35, " word ", " from ", x7\n"
#define FBC_PLANES_AND_3(word, from) ".insn r 0x57, 7, 0x35, " word ", " from ", x1\n"
#define FBC_PLANES_LEFT(word, from, half) ".insn r 0x57, 7, 0x28, " word ", " from ", x" half "\n"
#define FBC_PLANES_RIGHT(word, from, half) ".insn r 0x57, 7, 0x20, " word ", " from ", x" half "\n"
#define FBC_PLANES_RIGHT_SIGNED(word, from, half) ".insn r 0x57, 7, 0x24, " word ", " from ", x" half "\n"

/* By kind of input: what is loaded and how it becomes four words; how many instructions that are; the registers of the
 * four channels. */
#define FBC_PLANES_8 \
    FBC_PLANES_LOAD(FBC_PLANES_WORD) \
    FBC_PLANES_PACK("%[f]", "%[d]", "%[c]") \
    FBC_PLANES_PACK("%[e]", "%[b]", "%[a]") \
    FBC_PLANES_SHUFFLE("%[a]", "%[b]", "%[upper]") \
    FBC_PLANES_SHUFFLE("%[c]", "%[d]", "%[upper]") \
    "mv %[b], %[e]\n" FBC_PLANES_SHUFFLE("%[b]", "%[f]", "%[even]") FBC_PLANES_SHUFFLE("%[e]", "%[f]", "%[odd]") \
    "mv %[d], %[a]\n" FBC_PLANES_SHUFFLE("%[d]", "%[c]", "%[even]") FBC_PLANES_SHUFFLE("%[a]", "%[c]", "%[odd]")
#define FBC_PLANES_4 \
    FBC_PLANES_LOAD(FBC_PLANES_HALF) \
    FBC_PLANES_PACK("%[f]", "%[d]", "%[c]") \
    FBC_PLANES_PACK("%[e]", "%[b]", "%[a]") \
    "mv %[b], %[e]\n" FBC_PLANES_SHUFFLE("%[b]", "%[f]", "%[even]") FBC_PLANES_SHUFFLE("%[e]", "%[f]", "%[odd]")
#define FBC_PLANES_4_0 \
    FBC_PLANES_4 FBC_PLANES_AND_15("%[c]", "%[b]") FBC_PLANES_RIGHT("%[a]", "%[b]", "2") \
        FBC_PLANES_AND_15("%[d]", "%[e]") FBC_PLANES_RIGHT("%[f]", "%[e]", "2")
#define FBC_PLANES_4_1 \
    FBC_PLANES_4 FBC_PLANES_LEFT("%[c]", "%[b]", "2") FBC_PLANES_LEFT("%[d]", "%[e]", "2") FBC_PLANES_RIGHT_SIGNED( \
        "%[a]", "%[b]", "2") FBC_PLANES_RIGHT_SIGNED("%[f]", "%[e]", "2") \
        FBC_PLANES_RIGHT_SIGNED("%[c]", "%[c]", "2") FBC_PLANES_RIGHT_SIGNED("%[d]", "%[d]", "2")
#define FBC_PLANES_2 \
    FBC_PLANES_LOAD(FBC_PLANES_BYTE) \
    ".insn r 0x57, 1, 0x70, %[e], %[b], %[a]\n" /* pv.packlo.b */ \
    ".insn r 0x57, 1, 0x6C, %[e], %[d], %[c]\n" /* pv.packhi.b */
#define FBC_PLANES_2_0 \
    FBC_PLANES_2 FBC_PLANES_AND_3("%[b]", "%[e]") FBC_PLANES_RIGHT("%[c]", "%[e]", "1") \
        FBC_PLANES_RIGHT("%[d]", "%[e]", "2") FBC_PLANES_RIGHT("%[f]", "%[e]", "3") \
            FBC_PLANES_AND_3("%[c]", "%[c]") FBC_PLANES_AND_3("%[d]", "%[d]")
#define FBC_PLANES_2_1 \
    FBC_PLANES_2 FBC_PLANES_LEFT("%[b]", "%[e]", "3") FBC_PLANES_LEFT("%[c]", "%[e]", "2") \
        FBC_PLANES_LEFT("%[d]", "%[e]", "1") FBC_PLANES_RIGHT_SIGNED("%[f]", "%[e]", "3") \
            FBC_PLANES_RIGHT_SIGNED("%[b]", "%[b]", "3") FBC_PLANES_RIGHT_SIGNED("%[c]", "%[c]", "3") \
                FBC_PLANES_RIGHT_SIGNED("%[d]", "%[d]", "3")
#define FBC_PLANES_FIRST FBC_PLANES_LOAD(FBC_PLANES_WORD)

#define FBC_PLANES_STORE(word, pointer) ".insn r 0x2B, 6, 0, %[plane], " pointer ", " word "\n" /* p.sw */
#define FBC_PLANES_STORES(w, x, y, z) \
    FBC_PLANES_STORE(w, "%[to]") \
    FBC_PLANES_STORE(x, "%[to]") FBC_PLANES_STORE(y, "%[other]") FBC_PLANES_STORE(z, "%[other]")
#define FBC_PLANES_MASK(w, x, y, z) \
    "and " w ", " w ", %[mask]\n and " x ", " x ", %[mask]\n" \
    "and " y ", " y ", %[mask]\n and " z ", " z ", %[mask]\n"
#define FBC_PLANES_SHIFT_MASK(w, x, y, z) \
    "sll " w ", " w ", %[shift]\n sll " x ", " x ", %[shift]\n" \
    "sll " y ", " y ", %[shift]\n sll " z ", " z ", %[shift]\n" FBC_PLANES_MASK(w, x, y, z)
#define FBC_PLANES_NO_MASK(w, x, y, z) ""

#define FBC_PLANES_ASM(load, count, masking, w, x, y, z) \
    __asm__ volatile( \
        ".option push\n" \
        ".option norvc\n" \
        ".insn i 0x7B, 4, x0, %[rows], 2 * (" #count ")\n" /* lp.setup 0 */ \
        load masking(w, x, y, z) FBC_PLANES_STORES(w, x, y, z) ".option pop" \
        : [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d), [e] "=&r"(e), [f] "=&r"(f), [line] "+r"(line), \
          [to] "+r"(to), [other] "+r"(other) \
        : [rows] "r"(planes->rows), [second] "r"(second), [third] "r"(third), [fourth] "r"(fourth), \
          [step] "r"(planes->row_bytes), [plane] "r"(4u * planes->quads), [upper] "r"(0x07060302u), \
          [even] "r"(0x06040200u), [odd] "r"(0x07050301u), [mask] "r"(mask), [shift] "r"(shift) \
        : "memory")

/* Fills the planes: the columns of quads that lie wholly inside with constant offsets, the others masked. */
#define FBC_DEFINE_PLANES(name, load, count, channel_first, masking, masking_count, w, x, y, z) \
    static void fbc_fill_planes_##name(const fbc_planes *planes) { \
        const uint32_t spread = (channel_first) ? planes->channel_bytes : planes->column_bytes; \
        for (uint32_t quad = 0; quad < planes->quads; quad++) { \
            const int32_t left = (int32_t)(4u * quad) - planes->pad_left; \
            uint32_t second = spread, third = 2u * spread, fourth = 3u * spread, mask = 0, shift = 0; \
            uint32_t a, b, c, d, e, f; \
            uint8_t *to = planes->to[0] + 4u * quad, *other = planes->to[1] + 4u * quad; \
            if (left >= 0 && left + 3 < planes->width) { \
                const uint8_t *line = planes->input + (uint32_t)left * planes->column_bytes; \
                FBC_PLANES_ASM(load, (count) + 4, FBC_PLANES_NO_MASK, w, x, y, z); \
            } else { \
                const fbc_quad_source source = fbc_find_quad(planes, quad, channel_first); \
                const uint8_t *line = source.mask == 0u ? planes->input : source.line; \
                second = source.offsets[1], third = source.offsets[2], fourth = source.offsets[3]; \
                mask = source.mask, shift = source.shift; \
                FBC_PLANES_ASM(load, (count) + 4 + (masking_count), masking, w, x, y, z); \
            } \
        } \
    }
FBC_DEFINE_PLANES(8, FBC_PLANES_8, 14, 0, FBC_PLANES_MASK, 4, "%[b]", "%[e]", "%[d]", "%[a]")
FBC_DEFINE_PLANES(4_0, FBC_PLANES_4_0, 13, 0, FBC_PLANES_MASK, 4, "%[c]", "%[a]", "%[d]", "%[f]")
FBC_DEFINE_PLANES(4_1, FBC_PLANES_4_1, 15, 0, FBC_PLANES_MASK, 4, "%[c]", "%[a]", "%[d]", "%[f]")
FBC_DEFINE_PLANES(2_0, FBC_PLANES_2_0, 12, 0, FBC_PLANES_MASK, 4, "%[b]", "%[c]", "%[d]", "%[f]")
FBC_DEFINE_PLANES(2_1, FBC_PLANES_2_1, 13, 0, FBC_PLANES_MASK, 4, "%[b]", "%[c]", "%[d]", "%[f]")
FBC_DEFINE_PLANES(first, FBC_PLANES_FIRST, 4, 1, FBC_PLANES_SHIFT_MASK, 8, "%[a]", "%[b]", "%[c]", "%[d]")

#else

FBC_INLINE void fbc_fill_planes(const fbc_planes *planes, uint32_t bits, uint32_t is_signed, uint32_t channel_first) {
    for (uint32_t quad = 0; quad < planes->quads; quad++) {
        const fbc_quad_source source = fbc_find_quad(planes, quad, channel_first);
        for (uint32_t i = 0; i < 16u * planes->rows; i++) {
            const uint32_t column = i & 3u, channel = i >> 2 & 3u, row = i >> 4;
            const uint8_t *line = source.line + row * planes->row_bytes;
            int32_t element = 0;
            if ((source.mask >> 8u * column & 1u) != 0u) {
                element = channel_first ? (line + source.offsets[channel])[column - (source.shift >> 3)]
                                        : fbc_read_lane(line + source.offsets[column], channel, bits, is_signed);
            }
            planes->to[channel >> 1][(2u * row + (channel & 1u)) * 4u * planes->quads + 4u * quad + column] =
                (uint8_t)element;
        }
    }
}

#define FBC_DEFINE_PLANES(name, bits, is_signed, channel_first) \
    static void fbc_fill_planes_##name(const fbc_planes *planes) { \
        fbc_fill_planes(planes, bits, is_signed, channel_first); \
    }
FBC_DEFINE_PLANES(8, 8u, 0u, 0u)
FBC_DEFINE_PLANES(4_0, 4u, 0u, 0u)
FBC_DEFINE_PLANES(4_1, 4u, 1u, 0u)
FBC_DEFINE_PLANES(2_0, 2u, 0u, 0u)
FBC_DEFINE_PLANES(2_1, 2u, 1u, 0u)
FBC_DEFINE_PLANES(first, 8u, 0u, 1u)

#endif

/* Zeros in `rows` rows of a pair of planes; a row of one is `quads` words. */
FBC_INLINE void fbc_clear_planes(uint8_t *pair, uint32_t rows, uint32_t quads) {
    uint32_t *words = (uint32_t *)(void *)pair;
    for (uint32_t i = 0; i < 2u * rows * quads; i++) {
        words[i] = 0;
    }
}

#endif
