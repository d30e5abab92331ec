/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Planes of groups of four channels, a byte an element, borders included: what depthwise strips read.
 *
 * The two pairs of a group lie one behind the other, then those of the next group; in a pair a row of the first channel
 * is followed by that row of the second. A row is a word of zeros, which is the border on its left and that on the
 * right of the row before, and then whole words ("quads" of four columns), the last one with zeros behind the tile.
 * They are filled column of quads by column of quads: from pixels by a transposition of four pixels of four channels,
 * or from the input's planes. */
#ifndef FBC_DEPTHWISE_PLANES_H
#define FBC_DEPTHWISE_PLANES_H

#include "common/fbc_lanes.h"
#include "fbc_kernels.h"

typedef struct {
    const uint8_t *input;  /* first row that is copied, column 0, first of the four channels */
    uint32_t row_bytes;    /* of the input */
    uint32_t column_bytes; /* from column to column */
    uint32_t spread;       /* from column to column, of planes from channel to channel */
    uint32_t rows;         /* that are copied; at least 1 */
    uint32_t plane_bytes;  /* of a row of a plane */
    uint8_t *to[2];        /* first copied row of both pairs, behind its border */
    uint32_t whole;        /* quads that lie wholly inside the tile */
    uint32_t turn;         /* the one of these that is copied first if cores do it in turn */
    uint32_t tail[3];      /* of the quad behind them what `spread` and its multiples are for the others */
    uint32_t mask;         /* its bytes inside, 0 if there is no such quad */
    uint32_t groups;       /* at least 1 */
    uint32_t group_bytes;  /* from group to group of the input */
    uint32_t group_planes; /* likewise of the planes */
} fbc_planes;

/* Columns behind the tile are read from its first column of the quad. */
FBC_INLINE void fbc_cut_rows(fbc_planes *planes, uint32_t width, uint32_t channel_first) {
    const uint32_t rest = width & 3u;
    planes->whole = width >> 2;
    planes->mask = (1u << 8u * rest) - 1u;
    for (uint32_t i = 0; rest != 0u && i < 3u; i++) {
        planes->tail[i] = channel_first != 0u || i + 1u < rest ? (i + 1u) * planes->spread : 0u;
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
#define FBC_PLANES_NO_MASK(w, x, y, z) ""

#define FBC_PLANES_ASM(load, count, masking, w, x, y, z) \
    __asm__ volatile(".balign 4\n.option push\n" \
                     ".option norvc\n" \
                     ".insn i 0x7B, 4, x0, %[rows], 2 * (" #count ")\n" /* lp.setup 0 */ \
                     load masking(w, x, y, z) FBC_PLANES_STORES(w, x, y, z) ".option pop" \
                     : [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d), [e] "=&r"(e), [f] "=&r"(f), \
                       [line] "+&r"(line), [to] "+&r"(to), [other] "+&r"(other) \
                     : [rows] "r"(rows), [second] "r"(offsets[0]), [third] "r"(offsets[1]), [fourth] "r"(offsets[2]), \
                       [step] "r"(step), [plane] "r"(plane), [upper] "r"(0x07060302u), [even] "r"(0x06040200u), \
                       [odd] "r"(0x07050301u), [mask] "r"(mask) \
                     : "memory")

/* Fills the planes, of each group first the quads inside, one after the other, from `turn` on if `turns`; then the one
 * that reaches beyond the tile. */
#define FBC_DEFINE_PLANES(name, load, count, turns, w, x, y, z) \
    static void fbc_fill_planes_##name(const fbc_planes *planes) { \
        const uint32_t rows = planes->rows, step = planes->row_bytes, plane = planes->plane_bytes; \
        const uint32_t next = 4u * planes->column_bytes, whole = planes->whole; \
        const uint32_t turn = (turns) ? planes->turn : 0u; \
        const uint32_t back = 4u - 2u * rows * plane; \
        const uint8_t *input = planes->input; \
        uint8_t *to = planes->to[0] + 4u * turn, *other = planes->to[1] + 4u * turn; \
        for (uint32_t group = planes->groups; group > 0u; group--) { \
            const uint32_t mask = planes->mask; \
            const uint8_t *first = input + turn * next, *line = first; \
            uint32_t offsets[3] = {planes->spread, 2u * planes->spread, 3u * planes->spread}; \
            uint32_t a, b, c, d, e, f, before_end = whole - turn; \
            for (uint32_t quad = whole; quad > 0u; quad--) { \
                FBC_PLANES_ASM(load, (count) + 4, FBC_PLANES_NO_MASK, w, x, y, z); \
                first += next; \
                to += back; \
                other += back; \
                before_end--; \
                if ((turns) && before_end == 0u) { \
                    first -= whole * next; \
                    to -= 4u * whole; \
                    other -= 4u * whole; \
                } \
                line = first; \
            } \
            if (mask != 0u) { \
                const uint32_t rest = (turns) ? whole - turn : 0u; \
                line += rest * next; \
                to += 4u * rest; \
                other += 4u * rest; \
                offsets[0] = planes->tail[0], offsets[1] = planes->tail[1], offsets[2] = planes->tail[2]; \
                FBC_PLANES_ASM(load, (count) + 8, FBC_PLANES_MASK, w, x, y, z); \
                to += back - 4u - 4u * rest; \
                other += back - 4u - 4u * rest; \
            } \
            const uint32_t group_planes = planes->group_planes - ((turns) ? 0u : 4u * whole); \
            to += group_planes; \
            other += group_planes; \
            input += planes->group_bytes; \
        } \
    }
FBC_DEFINE_PLANES(8, FBC_PLANES_8, 14, 0, "%[b]", "%[e]", "%[d]", "%[a]")
FBC_DEFINE_PLANES(4_0, FBC_PLANES_4_0, 13, 0, "%[c]", "%[a]", "%[d]", "%[f]")
FBC_DEFINE_PLANES(4_1, FBC_PLANES_4_1, 15, 0, "%[c]", "%[a]", "%[d]", "%[f]")
FBC_DEFINE_PLANES(2_0, FBC_PLANES_2_0, 12, 0, "%[b]", "%[c]", "%[d]", "%[f]")
FBC_DEFINE_PLANES(2_1, FBC_PLANES_2_1, 13, 0, "%[b]", "%[c]", "%[d]", "%[f]")
FBC_DEFINE_PLANES(first, FBC_PLANES_FIRST, 4, 0, "%[a]", "%[b]", "%[c]", "%[d]")
FBC_DEFINE_PLANES(in_turn, FBC_PLANES_FIRST, 4, 1, "%[a]", "%[b]", "%[c]", "%[d]")

#else

/* Of one group. */
FBC_INLINE void fbc_fill_group(const fbc_planes *planes, uint32_t group, uint32_t bits, uint32_t is_signed,
                               uint32_t channel_first) {
    const uint32_t quads = planes->whole + (planes->mask != 0u);
    for (uint32_t i = 0; i < 16u * planes->rows * quads; i++) {
        const uint32_t column = i & 3u, channel = i >> 2 & 3u, row = (i >> 4) % planes->rows,
                       quad = (i >> 4) / planes->rows;
        const uint8_t *line =
            planes->input + group * planes->group_bytes + row * planes->row_bytes + 4u * quad * planes->column_bytes;
        const uint32_t source = channel_first ? channel : column;
        const uint32_t spread = source * planes->spread;
        const uint32_t offset = quad < planes->whole || source == 0u ? spread : planes->tail[source - 1u];
        int32_t element = 0;
        if (quad < planes->whole || (planes->mask >> 8u * column & 1u) != 0u) {
            element = channel_first ? line[offset + column] : fbc_read_lane(line + offset, channel, bits, is_signed);
        }
        uint8_t *to = planes->to[channel >> 1] + group * planes->group_planes;
        to[(2u * row + (channel & 1u)) * planes->plane_bytes + 4u * quad + column] = (uint8_t)element;
    }
}

#define FBC_DEFINE_PLANES(name, bits, is_signed, channel_first) \
    static void fbc_fill_planes_##name(const fbc_planes *planes) { \
        for (uint32_t group = 0; group < planes->groups; group++) { \
            fbc_fill_group(planes, group, bits, is_signed, channel_first); \
        } \
    }
FBC_DEFINE_PLANES(8, 8u, 0u, 0u)
FBC_DEFINE_PLANES(4_0, 4u, 0u, 0u)
FBC_DEFINE_PLANES(4_1, 4u, 1u, 0u)
FBC_DEFINE_PLANES(2_0, 2u, 0u, 0u)
FBC_DEFINE_PLANES(2_1, 2u, 1u, 0u)
FBC_DEFINE_PLANES(first, 8u, 0u, 1u)
FBC_DEFINE_PLANES(in_turn, 8u, 0u, 1u)

#endif

/* Sets `count` words to 0, `step` bytes apart. */
FBC_INLINE void fbc_clear_words(uint8_t *words, uint32_t count, uint32_t step) {
    if (count == 0u) {
        return;
    }
#ifdef FBC_XPULPV2
    __asm__ volatile(".balign 4\n.option push\n"
                     ".option norvc\n"
                     ".insn i 0x7B, 4, x0, %[count], 2\n"          /* lp.setup 0 */
                     ".insn r 0x2B, 6, 0, %[step], %[words], x0\n" /* p.sw */
                     ".option pop"
                     : [words] "+&r"(words)
                     : [count] "r"(count), [step] "r"(step)
                     : "memory");
#else
    for (uint32_t i = 0; i < count; i++) {
        memset(words + i * step, 0, 4u);
    }
#endif
}

#endif
