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

enum { FBC_PLANES_EDGES = 6 };

/* A column of quads that lies partly or wholly beside the tile. */
typedef struct {
    uint32_t quad;
    uint32_t line; /* bytes from column 0 to the first column inside */
    uint32_t
        offsets[3]; /* from there to the second to fourth column (of planes: channel), 0 for those beside the tile */
    uint32_t mask;  /* bytes of the columns inside */
    uint32_t shift; /* bits that the word of a plane has to go up */
} fbc_edge_quad;

typedef struct {
    const uint8_t *input;  /* first row that is copied, column 0, first of the four channels */
    uint32_t row_bytes;    /* of the input */
    uint32_t column_bytes; /* from column to column */
    uint32_t spread;       /* from column to column, of planes from channel to channel */
    uint32_t rows;         /* that are copied; at least 1 */
    uint32_t quads;        /* of a row of the planes */
    uint8_t *to[2];        /* first copied row of both pairs */
    uint32_t first;        /* quad that lies wholly inside */
    uint32_t behind;       /* the last of those */
    uint32_t inside;       /* bytes from column 0 to the first of those */
    uint32_t edges;
    fbc_edge_quad edge[FBC_PLANES_EDGES];
} fbc_planes;

/* The quad whose first column is `left` of a tile of that width. */
FBC_INLINE void fbc_make_edge(const fbc_planes *planes, int32_t left, int32_t width, uint32_t channel_first,
                              fbc_edge_quad *edge) {
    const int32_t before = left < 0 ? -left : 0; /* columns of the quad that lie on the left of the tile */
    const int32_t end = width - left < 4 ? width - left : 4;
    const uint32_t none = end <= before;
    edge->shift = 8u * (uint32_t)before;
    edge->mask = none ? 0u : (UINT32_MAX << edge->shift) & (UINT32_MAX >> 8 * (4 - end));
    edge->line = none ? 0u : (uint32_t)(left + before) * planes->column_bytes;
    for (int32_t i = 1; i < 4; i++) {
        const int32_t steps = channel_first ? i : i < before || i >= end ? 0 : i - before;
        edge->offsets[i - 1] = (uint32_t)steps * planes->spread;
    }
}

/* Finds the quads that lie wholly inside, and the others. A row of the planes reaches less than four columns beyond the
 * tile on each side, rounded up to whole quads, so that there are few of them. */
FBC_INLINE void fbc_find_edges(fbc_planes *planes, uint32_t pad_left, uint32_t width, uint32_t channel_first) {
    planes->first = pad_left == 0u ? 0u : 1u;
    planes->inside = (4u * planes->first - pad_left) * planes->column_bytes;
    planes->behind = (width + pad_left) >> 2;
    planes->behind = planes->behind > planes->quads ? planes->quads : planes->behind;
    planes->behind = planes->behind > planes->first ? planes->behind : planes->first;
    planes->edges = 0;
    for (uint32_t quad = 0; quad < planes->quads; quad++) {
        if (quad == planes->first) {
            quad = planes->behind;
        }
        if (quad < planes->quads && planes->edges < FBC_PLANES_EDGES) {
            fbc_edge_quad *edge = &planes->edge[planes->edges++];
            edge->quad = quad;
            fbc_make_edge(planes, (int32_t)(4u * quad - pad_left), (int32_t)width, channel_first, edge);
        }
    }
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
    "mv %[b], %[e]\n" FBC_PLANES_SHUFFLE("%[b]", "%[f]", "%[even]") \
        FBC_PLANES_SHUFFLE("%[e]", "%[f]", "%[odd]") "mv %[d], %[a]\n" FBC_PLANES_SHUFFLE("%[d]", "%[c]", "%[even]") \
            FBC_PLANES_SHUFFLE("%[a]", "%[c]", "%[odd]")
#define FBC_PLANES_4 \
    FBC_PLANES_LOAD(FBC_PLANES_HALF) \
    FBC_PLANES_PACK("%[f]", "%[d]", "%[c]") \
    FBC_PLANES_PACK("%[e]", "%[b]", "%[a]") \
    "mv %[b], %[e]\n" FBC_PLANES_SHUFFLE("%[b]", "%[f]", "%[even]") FBC_PLANES_SHUFFLE("%[e]", "%[f]", "%[odd]")
#define FBC_PLANES_4_0 \
    FBC_PLANES_4 FBC_PLANES_AND_15("%[c]", "%[b]") FBC_PLANES_RIGHT("%[a]", "%[b]", "2") \
        FBC_PLANES_AND_15("%[d]", "%[e]") FBC_PLANES_RIGHT("%[f]", "%[e]", "2")
#define FBC_PLANES_4_1 \
    FBC_PLANES_4 FBC_PLANES_LEFT("%[c]", "%[b]", "2") FBC_PLANES_LEFT("%[d]", "%[e]", "2") \
        FBC_PLANES_RIGHT_SIGNED("%[a]", "%[b]", "2") FBC_PLANES_RIGHT_SIGNED("%[f]", "%[e]", "2") \
            FBC_PLANES_RIGHT_SIGNED("%[c]", "%[c]", "2") FBC_PLANES_RIGHT_SIGNED("%[d]", "%[d]", "2")
#define FBC_PLANES_2 \
    FBC_PLANES_LOAD(FBC_PLANES_BYTE) \
    ".insn r 0x57, 1, 0x70, %[e], %[b], %[a]\n" /* pv.packlo.b */ \
    ".insn r 0x57, 1, 0x6C, %[e], %[d], %[c]\n" /* pv.packhi.b */
#define FBC_PLANES_2_0 \
    FBC_PLANES_2 FBC_PLANES_AND_3("%[b]", "%[e]") FBC_PLANES_RIGHT("%[c]", "%[e]", "1") \
        FBC_PLANES_RIGHT("%[d]", "%[e]", "2") FBC_PLANES_RIGHT("%[f]", "%[e]", "3") FBC_PLANES_AND_3("%[c]", "%[c]") \
            FBC_PLANES_AND_3("%[d]", "%[d]")
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
    __asm__ volatile(".option push\n" \
                     ".option norvc\n" \
                     ".insn i 0x7B, 4, x0, %[rows], 2 * (" #count ")\n" /* lp.setup 0 */ \
                     load masking(w, x, y, z) FBC_PLANES_STORES(w, x, y, z) ".option pop" \
                     : [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d), [e] "=&r"(e), [f] "=&r"(f), \
                       [line] "+&r"(line), [to] "+&r"(to), [other] "+&r"(other) \
                     : [rows] "r"(rows), [second] "r"(offsets[0]), [third] "r"(offsets[1]), [fourth] "r"(offsets[2]), \
                       [step] "r"(step), [plane] "r"(plane), [upper] "r"(0x07060302u), [even] "r"(0x06040200u), \
                       [odd] "r"(0x07050301u), [mask] "r"(mask), [shift] "r"(shift) \
                     : "memory")

/* Fills the planes, first the quads inside, then the others. */
#define FBC_DEFINE_PLANES(name, load, count, masking, masking_count, w, x, y, z) \
    static void fbc_fill_planes_##name(const fbc_planes *planes) { \
        const uint32_t rows = planes->rows, step = planes->row_bytes, plane = 4u * planes->quads; \
        const uint32_t next = 4u * planes->column_bytes; \
        const uint8_t *inside = planes->input + planes->inside; \
        uint32_t offsets[3] = {planes->spread, 2u * planes->spread, 3u * planes->spread}; \
        uint32_t a, b, c, d, e, f, mask = 0, shift = 0; \
        for (uint32_t quad = planes->first; quad < planes->behind; quad++) { \
            const uint8_t *line = inside; \
            uint8_t *to = planes->to[0] + 4u * quad, *other = planes->to[1] + 4u * quad; \
            FBC_PLANES_ASM(load, (count) + 4, FBC_PLANES_NO_MASK, w, x, y, z); \
            inside += next; \
        } \
        for (uint32_t i = 0; i < planes->edges; i++) { \
            const fbc_edge_quad *edge = &planes->edge[i]; \
            const uint8_t *line = planes->input + edge->line; \
            uint8_t *to = planes->to[0] + 4u * edge->quad, *other = planes->to[1] + 4u * edge->quad; \
            offsets[0] = edge->offsets[0], offsets[1] = edge->offsets[1], offsets[2] = edge->offsets[2]; \
            mask = edge->mask, shift = edge->shift; \
            FBC_PLANES_ASM(load, (count) + 4 + (masking_count), masking, w, x, y, z); \
        } \
    }
FBC_DEFINE_PLANES(8, FBC_PLANES_8, 14, FBC_PLANES_MASK, 4, "%[b]", "%[e]", "%[d]", "%[a]")
FBC_DEFINE_PLANES(4_0, FBC_PLANES_4_0, 13, FBC_PLANES_MASK, 4, "%[c]", "%[a]", "%[d]", "%[f]")
FBC_DEFINE_PLANES(4_1, FBC_PLANES_4_1, 15, FBC_PLANES_MASK, 4, "%[c]", "%[a]", "%[d]", "%[f]")
FBC_DEFINE_PLANES(2_0, FBC_PLANES_2_0, 12, FBC_PLANES_MASK, 4, "%[b]", "%[c]", "%[d]", "%[f]")
FBC_DEFINE_PLANES(2_1, FBC_PLANES_2_1, 13, FBC_PLANES_MASK, 4, "%[b]", "%[c]", "%[d]", "%[f]")
FBC_DEFINE_PLANES(first, FBC_PLANES_FIRST, 4, FBC_PLANES_SHIFT_MASK, 8, "%[a]", "%[b]", "%[c]", "%[d]")

#else

/* One column of quads. */
FBC_INLINE void fbc_fill_quad(const fbc_planes *planes, const fbc_edge_quad *edge, uint32_t bits, uint32_t is_signed,
                              uint32_t channel_first) {
    for (uint32_t i = 0; i < 16u * planes->rows; i++) {
        const uint32_t column = i & 3u, channel = i >> 2 & 3u, row = i >> 4;
        const uint8_t *line = planes->input + edge->line + row * planes->row_bytes;
        const uint32_t source = channel_first ? channel : column;
        const uint32_t offset = source == 0u ? 0u : edge->offsets[source - 1u];
        int32_t element = 0;
        if ((edge->mask >> 8u * column & 1u) != 0u) {
            element = channel_first ? line[offset + column - (edge->shift >> 3)]
                                    : fbc_read_lane(line + offset, channel, bits, is_signed);
        }
        planes->to[channel >> 1][(2u * row + (channel & 1u)) * 4u * planes->quads + 4u * edge->quad + column] =
            (uint8_t)element;
    }
}

FBC_INLINE void fbc_fill_planes(const fbc_planes *planes, uint32_t bits, uint32_t is_signed, uint32_t channel_first) {
    fbc_edge_quad inside = {.line = planes->inside, .mask = UINT32_MAX};
    for (uint32_t i = 0; i < 3u; i++) {
        inside.offsets[i] = (i + 1u) * planes->spread;
    }
    for (inside.quad = planes->first; inside.quad < planes->behind; inside.quad++) {
        fbc_fill_quad(planes, &inside, bits, is_signed, channel_first);
        inside.line += 4u * planes->column_bytes;
    }
    for (uint32_t i = 0; i < planes->edges; i++) {
        fbc_fill_quad(planes, &planes->edge[i], bits, is_signed, channel_first);
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

FBC_INLINE void fbc_clear_words(uint8_t *words, uint32_t bytes) {
    if (bytes == 0u) {
        return;
    }
#ifdef FBC_XPULPV2
    __asm__ volatile(".option push\n"
                     ".option norvc\n"
                     ".insn i 0x7B, 4, x0, %[count], 2\n" /* lp.setup 0 */
                     ".insn s 0x2B, 2, x0, 4(%[words])\n" /* p.sw */
                     ".option pop"
                     : [words] "+&r"(words)
                     : [count] "r"(bytes >> 2)
                     : "memory");
#else
    memset(words, 0, bytes);
#endif
}

#endif
