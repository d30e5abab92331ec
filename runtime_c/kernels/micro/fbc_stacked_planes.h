/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Stacked planes of groups of four channels of 4 or 2 bits: a byte holds two or four rows of a column, so that a word
 * holds as many rows of four columns, and one or two dot products are a whole window. Word rows are two rows apart.
 *
 * Channels that are computed together, two or four, are a part: a word row of the one is followed by that of the next,
 * parts lie one behind the other. A word row is a word of zeros, which is the border on its left and that on the right
 * of the word row before, and then whole words, the last one with zeros behind the tile. */
#ifndef FBC_STACKED_PLANES_H
#define FBC_STACKED_PLANES_H

#include "micro/fbc_depthwise_bands.h"

/* Pairs of rows are read; a word row of 4 bits is a pair, of 2 bits it is two that follow each other. What is beside
 * the tile is read from inside and masked. */
typedef struct {
    fbc_planes planes;   /* `input`, `rows`, `to` are not used */
    const uint8_t *from; /* row 0, column 0 of the first channel */
    uint8_t *to;         /* first word row, behind its border */
    uint32_t pairs;      /* at least 2 */
    uint32_t first[2];   /* bytes to both rows of the first pair */
    uint32_t second[2];
    uint32_t last[2];
    uint32_t first_mask; /* bits of a word that are inside */
    uint32_t last_mask;
    uint32_t part_bytes; /* from part to part of the planes */
} fbc_stack;

#ifdef FBC_XPULPNN

#define FBC_STACK_LOAD(width, word, pointer, offset) \
    ".insn r 0x03, 7, " width ", " word ", " pointer ", " offset "\n" /* p.lbu, p.lhu */
#define FBC_STACK_STEP(width, word, pointer) ".insn r 0x0B, 7, " width ", " word ", " pointer ", %[step]\n"
#define FBC_STACK_PACK_LOW(word, high, low) ".insn r 0x57, 1, 0x70, " word ", " high ", " low "\n"
#define FBC_STACK_PACK_HIGH(word, high, low) ".insn r 0x57, 1, 0x6C, " word ", " high ", " low "\n"
#define FBC_STACK_STORE(word, pointer) ".insn r 0x2B, 6, 0, %[plane], " pointer ", " word "\n" /* p.sw */
/* Exchanges what `mask` << `bits` takes of x for what `mask` takes of y. */
#define FBC_STACK_EXCHANGE(x, y, bits, mask) \
    "srli %[a], " x ", " bits "\n xor %[a], %[a], " y "\n and %[a], %[a], " mask "\n" \
    "xor " y ", " y ", %[a]\n slli %[a], %[a], " bits "\n xor " x ", " x ", %[a]\n"

/* 2 bits: p becomes both rows of channels 0 and 2, four bits each in a byte a column, q those of channels 1 and 3. */
#define FBC_STACK_ROW_2(pointer, word) \
    FBC_STACK_LOAD("0x20", word, pointer, "%[second]") \
    FBC_STACK_LOAD("0x20", "%[c]", pointer, "%[third]") \
    FBC_STACK_LOAD("0x20", "%[d]", pointer, "%[fourth]") \
    FBC_STACK_STEP("0x20", "%[a]", pointer) \
    FBC_STACK_PACK_HIGH(word, "%[d]", "%[c]") FBC_STACK_PACK_LOW(word, word, "%[a]")
#define FBC_STACK_PAIR_2 \
    FBC_STACK_ROW_2("%[upper]", "%[p]") \
    FBC_STACK_ROW_2("%[lower]", "%[q]") FBC_STACK_EXCHANGE("%[p]", "%[q]", "2", "%[even]")
/* A word row of all channels: the pair before in the lower half of a byte. */
#define FBC_STACK_JOIN(low, high, pair, lower, upper) \
    FBC_PLANES_LEFT(lower, pair, "2") \
    "or " lower ", " lower ", " low "\n" FBC_PLANES_AND_15(low, pair) "xor " upper ", " pair ", " low "\n" \
                                                                      "or " upper ", " upper ", " high \
                                                                      "\n" FBC_PLANES_RIGHT(high, pair, "2")
#define FBC_STACK_WORDS_2 \
    FBC_STACK_JOIN("%[low0]", "%[high0]", "%[p]", "%[a]", "%[b]") \
    FBC_STACK_JOIN("%[low1]", "%[high1]", "%[q]", "%[c]", "%[d]") \
    FBC_STACK_STORE("%[a]", "%[to]") \
    FBC_STACK_STORE("%[c]", "%[to]") FBC_STACK_STORE("%[b]", "%[to]") FBC_STACK_STORE("%[d]", "%[to]")
#define FBC_STACK_ASM_2(code) \
    __asm__ volatile(".balign 4\n.option push\n" \
                     ".option norvc\n" code ".option pop" \
                     : [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d), [p] "+&r"(p), [q] "+&r"(q), \
                       [low0] "+&r"(low0), [high0] "+&r"(high0), [low1] "+&r"(low1), [high1] "+&r"(high1), \
                       [upper] "+&r"(upper), [lower] "+&r"(lower), [to] "+&r"(to) \
                     : [count] "r"(between), [second] "r"(offsets[0]), [third] "r"(offsets[1]), \
                       [fourth] "r"(offsets[2]), [step] "r"(step), [plane] "r"(plane), [even] "r"(0x33333333u) \
                     : "memory")

/* Four columns of a group; `offsets` are those from the first one. */
FBC_INLINE void fbc_stack_columns_2(const fbc_stack *stack, const uint8_t *from, uint8_t *to,
                                    const uint32_t offsets[3]) {
    const uint32_t step = 2u * stack->planes.row_bytes, plane = stack->planes.plane_bytes, between = stack->pairs - 2u;
    const uint8_t *upper = from + stack->first[0], *lower = from + stack->first[1];
    uint32_t a, b, c, d, p = 0, q = 0, low0 = 0, high0 = 0, low1 = 0, high1 = 0;
    FBC_STACK_ASM_2(FBC_STACK_PAIR_2);
    p &= stack->first_mask;
    q &= stack->first_mask;
    low0 = p & 0x0F0F0F0Fu, high0 = p >> 4 & 0x0F0F0F0Fu;
    low1 = q & 0x0F0F0F0Fu, high1 = q >> 4 & 0x0F0F0F0Fu;
    if (between > 0u) {
        upper = from + stack->second[0], lower = from + stack->second[1];
        FBC_STACK_ASM_2(".insn i 0x7B, 4, x0, %[count], 2 * 34\n" FBC_STACK_PAIR_2 FBC_STACK_WORDS_2); /* lp.setup 0 */
    }
    upper = from + stack->last[0], lower = from + stack->last[1];
    FBC_STACK_ASM_2(FBC_STACK_PAIR_2);
    p &= stack->last_mask;
    q &= stack->last_mask;
    FBC_STACK_ASM_2(FBC_STACK_WORDS_2);
}

/* 4 bits: p, r, q, s become both rows of channels 0 to 3. */
#define FBC_STACK_ROW_4(pointer, x, y) \
    FBC_STACK_LOAD("0x28", y, pointer, "%[second]") \
    FBC_STACK_LOAD("0x28", "%[c]", pointer, "%[third]") \
    FBC_STACK_LOAD("0x28", "%[d]", pointer, "%[fourth]") \
    FBC_STACK_STEP("0x28", "%[a]", pointer) \
    FBC_PLANES_PACK("%[d]", "%[d]", "%[c]") \
    FBC_PLANES_PACK(y, y, "%[a]") \
    "mv " x ", " y "\n" FBC_PLANES_SHUFFLE(x, "%[d]", "%[even]") FBC_PLANES_SHUFFLE(y, "%[d]", "%[odd]")
#define FBC_STACK_PAIR_4 \
    FBC_STACK_ROW_4("%[upper]", "%[p]", "%[q]") \
    FBC_STACK_ROW_4("%[lower]", "%[r]", "%[s]") \
    FBC_STACK_EXCHANGE("%[p]", "%[r]", "4", "%[nibbles]") FBC_STACK_EXCHANGE("%[q]", "%[s]", "4", "%[nibbles]")
#define FBC_STACK_WORDS_4 \
    FBC_STACK_STORE("%[p]", "%[to]") \
    FBC_STACK_STORE("%[r]", "%[to]") FBC_STACK_STORE("%[q]", "%[other]") FBC_STACK_STORE("%[s]", "%[other]")
#define FBC_STACK_ASM_4(code) \
    __asm__ volatile(".balign 4\n.option push\n" \
                     ".option norvc\n" code ".option pop" \
                     : [a] "=&r"(a), [c] "=&r"(c), [d] "=&r"(d), [p] "+&r"(p), [q] "+&r"(q), [r] "+&r"(r), \
                       [s] "+&r"(s), [upper] "+&r"(upper), [lower] "+&r"(lower), [to] "+&r"(to), [other] "+&r"(other) \
                     : [count] "r"(between), [second] "r"(offsets[0]), [third] "r"(offsets[1]), \
                       [fourth] "r"(offsets[2]), [step] "r"(step), [plane] "r"(plane), [even] "r"(0x06040200u), \
                       [odd] "r"(0x07050301u), [nibbles] "r"(0x0F0F0F0Fu) \
                     : "memory")

FBC_INLINE void fbc_stack_columns_4(const fbc_stack *stack, const uint8_t *from, uint8_t *to,
                                    const uint32_t offsets[3]) {
    const uint32_t step = 2u * stack->planes.row_bytes, plane = stack->planes.plane_bytes, between = stack->pairs - 2u;
    const uint8_t *upper = from + stack->first[0], *lower = from + stack->first[1];
    uint8_t *other = to + stack->part_bytes;
    uint32_t a, c, d, p = 0, q = 0, r = 0, s = 0;
    FBC_STACK_ASM_4(FBC_STACK_PAIR_4);
    p &= stack->first_mask, q &= stack->first_mask, r &= stack->first_mask, s &= stack->first_mask;
    FBC_STACK_ASM_4(FBC_STACK_WORDS_4);
    if (between > 0u) {
        upper = from + stack->second[0], lower = from + stack->second[1];
        FBC_STACK_ASM_4(".insn i 0x7B, 4, x0, %[count], 2 * 34\n" FBC_STACK_PAIR_4 FBC_STACK_WORDS_4); /* lp.setup 0 */
    }
    upper = from + stack->last[0], lower = from + stack->last[1];
    FBC_STACK_ASM_4(FBC_STACK_PAIR_4);
    p &= stack->last_mask, q &= stack->last_mask, r &= stack->last_mask, s &= stack->last_mask;
    FBC_STACK_ASM_4(FBC_STACK_WORDS_4);
}

#else

/* Of one column both rows of a pair, those of all channels in 16 bits each. */
FBC_INLINE uint32_t fbc_stack_pair(const fbc_stack *stack, const uint8_t *from, uint32_t pair, uint32_t bits) {
    const uint32_t last = pair + 1u == stack->pairs, further = (pair - 1u) * 2u * stack->planes.row_bytes;
    const uint32_t mask = pair == 0u ? stack->first_mask : last ? stack->last_mask : UINT32_MAX;
    uint32_t rows = 0;
    for (uint32_t row = 0; row < 2u; row++) {
        const uint8_t *line = from + (pair == 0u ? stack->first[row]
                                      : last     ? stack->last[row]
                                                 : stack->second[row] + further);
        const uint32_t all = bits == 2u ? *line : *line | (uint32_t)line[1] << 8;
        rows |= (mask >> row * bits & 1u) * all << 16u * row;
    }
    return rows;
}

FBC_INLINE void fbc_stack_column(const fbc_stack *stack, const uint8_t *from, uint8_t *to, uint32_t bits) {
    const uint32_t together = 8u / bits, lane = (1u << bits) - 1u;
    uint32_t before = fbc_stack_pair(stack, from, 0u, bits);
    for (uint32_t row = 0; row < stack->pairs - (bits == 2u); row++) {
        const uint32_t next = row + 1u < stack->pairs ? fbc_stack_pair(stack, from, row + 1u, bits) : 0u;
        for (uint32_t channel = 0; channel < 4u; channel++) {
            const uint32_t shift = bits * channel;
            const uint32_t first = (before >> shift & lane) | (before >> (16u + shift) & lane) << bits;
            const uint32_t second = (next >> shift & lane) | (next >> (16u + shift) & lane) << bits;
            to[channel / together * stack->part_bytes +
               (row * together + channel % together) * stack->planes.plane_bytes] =
                (uint8_t)(bits == 2u ? first | second << 4 : first);
        }
        before = next;
    }
}

FBC_INLINE void fbc_stack_columns_in_c(const fbc_stack *stack, const uint8_t *from, uint8_t *to,
                                       const uint32_t offsets[3], uint32_t bits) {
    for (uint32_t column = 0; column < 4u; column++) {
        fbc_stack_column(stack, from + (column == 0u ? 0u : offsets[column - 1u]), to + column, bits);
    }
}

FBC_INLINE void fbc_stack_columns_2(const fbc_stack *stack, const uint8_t *from, uint8_t *to,
                                    const uint32_t offsets[3]) {
    fbc_stack_columns_in_c(stack, from, to, offsets, 2u);
}

FBC_INLINE void fbc_stack_columns_4(const fbc_stack *stack, const uint8_t *from, uint8_t *to,
                                    const uint32_t offsets[3]) {
    fbc_stack_columns_in_c(stack, from, to, offsets, 4u);
}

#endif

/* Of `count` words, `step` bytes apart. */
FBC_INLINE void fbc_mask_words(uint8_t *words, uint32_t count, uint32_t step, uint32_t mask) {
#ifdef FBC_XPULPNN
    uint32_t word;
    __asm__ volatile(".balign 4\n.option push\n"
                     ".option norvc\n"
                     ".insn i 0x7B, 4, x0, %[count], 6\n" /* lp.setup 0 */
                     "lw %[word], 0(%[words])\n and %[word], %[word], %[mask]\n"
                     ".insn r 0x2B, 6, 0, %[step], %[words], %[word]\n" /* p.sw */
                     ".option pop"
                     : [words] "+&r"(words), [word] "=&r"(word)
                     : [count] "r"(count), [step] "r"(step), [mask] "r"(mask)
                     : "memory");
#else
    for (uint32_t i = 0; i < count; i++, words += step) {
        for (uint32_t byte = 0; byte < 4u; byte++) {
            words[byte] &= (uint8_t)(mask >> 8u * byte);
        }
    }
#endif
}

/* Fills the planes of all groups. */
FBC_INLINE void fbc_fill_stacked(const fbc_stack *stack, uint32_t bits) {
    const fbc_planes *planes = &stack->planes;
    const uint32_t spread = planes->spread, offsets[3] = {spread, 2u * spread, 3u * spread};
    const uint32_t quads = planes->whole + (planes->mask != 0u);
    const uint32_t rows = bits == 2u ? 4u * (stack->pairs - 1u) : 2u * stack->pairs; /* of the channels of a part */
    for (uint32_t group = 0; group < planes->groups; group++) {
        const uint8_t *from = stack->from + group * planes->group_bytes;
        uint8_t *to = stack->to + group * planes->group_planes;
        for (uint32_t quad = 0; quad < quads; quad++) {
            const uint32_t *columns = quad < planes->whole ? offsets : planes->tail;
            if (bits == 2u) {
                fbc_stack_columns_2(stack, from, to, columns);
            } else {
                fbc_stack_columns_4(stack, from, to, columns);
            }
            from += 4u * spread;
            to += 4;
        }
        if (planes->mask != 0u) {
            for (uint32_t part = 0; part < bits / 2u; part++) {
                fbc_mask_words(to + part * stack->part_bytes - 4, rows, planes->plane_bytes, planes->mask);
            }
        }
    }
}

#endif
