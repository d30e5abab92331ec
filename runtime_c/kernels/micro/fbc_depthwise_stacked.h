/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* The 3x3 depthwise convolution of four channels of 2 bits at once, down single columns of outputs.
 *
 * It reads stacked planes: a byte holds four rows of a column, so that a word holds four rows of four columns, and one
 * dot product is a whole window. Word rows are two rows apart. A word row of each of the four channels follows that of
 * the one before; it is a word of zeros, which is the border on its left and that on the right of the word row before,
 * and then whole words, the last one with zeros behind the tile.
 *
 * With stride 1 a word holds the windows of two output rows, and the taps lie at other rows of it. If the number of
 * output rows is odd, the first word row begins one row earlier, and its first outputs are left out. With stride 2 each
 * output row has a word row. */
#ifndef FBC_DEPTHWISE_STACKED_H
#define FBC_DEPTHWISE_STACKED_H

#include "common/fbc_requantize.h"
#include "micro/fbc_depthwise_bands.h"
#include "micro/fbc_xpulp.h"

/* Fills the stacked planes of groups of four channels. Pairs of rows are read, one more than there are word rows. What
 * is beside the tile is read from inside and masked. */
typedef struct {
    fbc_planes planes;   /* `input`, `rows`, `to` are not used */
    const uint8_t *from; /* row 0, column 0 of the first channel */
    uint8_t *to;         /* first word row, behind its border */
    uint32_t first[2];   /* bytes to both rows of the first pair */
    uint32_t second[2];
    uint32_t last[2];
    uint32_t first_mask;
    uint32_t last_mask;
    uint32_t word_rows;
} fbc_stack;

/* The assembler knows the offsets of these members. */
typedef struct {
    const uint32_t *filters; /* 0: of the next group; a word a channel, in a byte the rows of a column and a zero */
    const fbc_scale *scales; /* 4: likewise, less one */
    const int32_t *addends;  /* 8 */
    const uint8_t *plane;    /* 12: first word of the first group */
    const uint8_t *end;      /* 16: what `plane` is behind the last group */
    uint8_t *output;         /* 20: first output */
    uint32_t plane_group;    /* 24: bytes from behind the last column of a group to the next group */
    uint32_t output_group;   /* 28: likewise of the output */
    uint32_t plane_next;     /* 32: bytes from behind the last word row of a column to the next column */
    uint32_t output_next;    /* 36: likewise of the output */
    uint32_t row_bytes;      /* 40: of the output */
    uint32_t plane_bytes;    /* 44: of a word row */
    uint32_t columns;        /* 48: at least 1 */
    uint32_t word_rows;      /* 52: at least 1 */
    uint32_t odd;            /* 56: stride 1: the first output row is left out */
    uint32_t shift;          /* 60 */
    uint32_t lanes;          /* 64: bits that the taps go up */
    uint32_t saved[3];       /* 68: registers, by the assembler */
} fbc_stacked_run;

#ifdef FBC_XPULPNN

/* Of two rows, at `upper` and `lower`: p holds both rows of channels 0 and 2, four bits each in a byte a column, q
 * those of channels 1 and 3. */
#define FBC_STACK_LOAD(word, pointer, offset) ".insn r 0x03, 7, 0x20, " word ", " pointer ", " offset "\n" /* p.lbu */
#define FBC_STACK_NEXT(word, pointer) ".insn r 0x0B, 7, 0x20, " word ", " pointer ", %[step]\n"
#define FBC_STACK_PACK_LOW(word, high, low) ".insn r 0x57, 1, 0x70, " word ", " high ", " low "\n"
#define FBC_STACK_PACK_HIGH(word, high, low) ".insn r 0x57, 1, 0x6C, " word ", " high ", " low "\n"
#define FBC_STACK_PAIR \
    FBC_STACK_LOAD("%[b]", "%[upper]", "%[second]") \
    FBC_STACK_LOAD("%[c]", "%[upper]", "%[third]") \
    FBC_STACK_LOAD("%[d]", "%[upper]", "%[fourth]") \
    FBC_STACK_NEXT("%[a]", "%[upper]") \
    FBC_STACK_LOAD("%[q]", "%[lower]", "%[second]") \
    FBC_STACK_PACK_LOW("%[p]", "%[b]", "%[a]") \
    FBC_STACK_PACK_HIGH("%[p]", "%[d]", "%[c]") \
    FBC_STACK_LOAD("%[c]", "%[lower]", "%[third]") \
    FBC_STACK_LOAD("%[d]", "%[lower]", "%[fourth]") \
    FBC_STACK_NEXT("%[a]", "%[lower]") \
    "and %[p], %[p], %[mask]\n" FBC_STACK_PACK_LOW("%[q]", "%[q]", "%[a]") FBC_STACK_PACK_HIGH( \
        "%[q]", "%[d]", \
        "%[c]") "and %[q], %[q], %[mask]\n" \
                "srli %[a], %[p], 2\n xor %[a], %[a], %[q]\n and %[a], %[a], %[even]\n xor %[q], %[q], %[a]\n" \
                "slli %[a], %[a], 2\n xor %[p], %[p], %[a]\n"
/* A word row of all channels: the rows before in the lower half of a byte. */
#define FBC_STACK_STORE(word) ".insn r 0x2B, 6, 0, %[plane], %[to], " word "\n" /* p.sw */
#define FBC_STACK_JOIN(low, high, pair, lower, upper) \
    FBC_PLANES_LEFT(lower, pair, "2") \
    "or " lower ", " lower ", " low "\n" FBC_PLANES_AND_15(low, pair) "xor " upper ", " pair ", " low "\n" \
                                                                      "or " upper ", " upper ", " high \
                                                                      "\n" FBC_PLANES_RIGHT(high, pair, "2")
#define FBC_STACK_WORDS \
    FBC_STACK_JOIN("%[low0]", "%[high0]", "%[p]", "%[a]", "%[b]") \
    FBC_STACK_JOIN("%[low1]", "%[high1]", "%[q]", "%[c]", "%[d]") \
    FBC_STACK_STORE("%[a]") FBC_STACK_STORE("%[c]") FBC_STACK_STORE("%[b]") FBC_STACK_STORE("%[d]")
#define FBC_STACK_ASM(code) \
    __asm__ volatile( \
        ".balign 4\n.option push\n" \
        ".option norvc\n" code ".option pop" \
        : [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d), [p] "+&r"(p), [q] "+&r"(q), [low0] "+&r"(low0), \
          [high0] "+&r"(high0), [low1] "+&r"(low1), [high1] "+&r"(high1), [upper] "+&r"(upper), [lower] "+&r"(lower), \
          [to] "+&r"(to) \
        : [count] "r"(between), [second] "r"(offsets[0]), [third] "r"(offsets[1]), [fourth] "r"(offsets[2]), \
          [step] "r"(step), [plane] "r"(plane), [mask] "r"(mask), [even] "r"(0x33333333u) \
        : "memory")

/* Four columns of a group; `offsets` are those from the first one. */
FBC_INLINE void fbc_stack_columns(const fbc_stack *stack, const uint8_t *from, uint8_t *to, const uint32_t offsets[3],
                                  uint32_t mask) {
    const uint32_t step = 2u * stack->planes.row_bytes, plane = stack->planes.plane_bytes;
    const uint32_t between = stack->word_rows - 1u;
    const uint8_t *upper = from + stack->first[0], *lower = from + stack->first[1];
    uint32_t a, b, c, d, p = 0, q = 0, low0 = 0, high0 = 0, low1 = 0, high1 = 0;
    FBC_STACK_ASM(FBC_STACK_PAIR);
    p &= stack->first_mask;
    q &= stack->first_mask;
    low0 = p & 0x0F0F0F0Fu, high0 = p >> 4 & 0x0F0F0F0Fu;
    low1 = q & 0x0F0F0F0Fu, high1 = q >> 4 & 0x0F0F0F0Fu;
    if (between > 0u) {
        upper = from + stack->second[0], lower = from + stack->second[1];
        FBC_STACK_ASM(".insn i 0x7B, 4, x0, %[count], 2 * 36\n" FBC_STACK_PAIR FBC_STACK_WORDS); /* lp.setup 0 */
    }
    upper = from + stack->last[0], lower = from + stack->last[1];
    FBC_STACK_ASM(FBC_STACK_PAIR);
    p &= stack->last_mask;
    q &= stack->last_mask;
    FBC_STACK_ASM(FBC_STACK_WORDS);
}

#else

/* Of one column of each of the channels, `mask` says if it is inside. */
FBC_INLINE void fbc_stack_column(const fbc_stack *stack, const uint8_t *from, uint8_t *to, uint32_t mask) {
    uint32_t before = 0; /* both rows of the pair before, all channels */
    for (uint32_t pair = 0; pair <= stack->word_rows; pair++) {
        const uint32_t further = (pair - 1u) * 2u * stack->planes.row_bytes, end = pair == stack->word_rows;
        uint32_t rows = 0;
        for (uint32_t row = 0; row < 2u; row++) {
            const uint32_t offset = pair == 0u ? stack->first[row]
                                    : end      ? stack->last[row]
                                               : stack->second[row] + further;
            rows |= (uint32_t)from[offset] << 8u * row;
        }
        const uint32_t inside = pair == 0u ? stack->first_mask : end ? stack->last_mask : UINT32_MAX;
        rows &= mask & ((inside & 1u) * 0xFFu | (inside >> 2 & 1u) * 0xFF00u);
        for (uint32_t channel = 0; channel < 4u && pair > 0u; channel++) {
            const uint32_t shift = 2u * channel;
            *to = (uint8_t)((before >> shift & 3u) | (before >> (8u + shift) & 3u) << 2 | (rows >> shift & 3u) << 4 |
                            (rows >> (8u + shift) & 3u) << 6);
            to += stack->planes.plane_bytes;
        }
        before = rows;
    }
}

FBC_INLINE void fbc_stack_columns(const fbc_stack *stack, const uint8_t *from, uint8_t *to, const uint32_t offsets[3],
                                  uint32_t mask) {
    for (uint32_t column = 0; column < 4u; column++) {
        fbc_stack_column(stack, from + (column == 0u ? 0u : offsets[column - 1u]), to + column,
                         (mask >> 8u * column & 1u) * UINT32_MAX);
    }
}

#endif

static void fbc_fill_stacked(const fbc_stack *stack) {
    const fbc_planes *planes = &stack->planes;
    const uint32_t spread = planes->spread, offsets[3] = {spread, 2u * spread, 3u * spread};
    for (uint32_t group = 0; group < planes->groups; group++) {
        const uint8_t *from = stack->from + group * planes->group_bytes;
        uint8_t *to = stack->to + group * planes->group_planes;
        for (uint32_t quad = planes->whole; quad > 0u; quad--) {
            fbc_stack_columns(stack, from, to, offsets, UINT32_MAX);
            from += 4u * spread;
            to += 4;
        }
        if (planes->mask != 0u) {
            fbc_stack_columns(stack, from, to, planes->tail, planes->mask);
        }
    }
}

#ifdef FBC_XPULPNN

_Static_assert(sizeof(fbc_stacked_run) == 80, "the assembler below has the offsets of fbc_stacked_run as numbers");

/* Registers: s0-s3 taps of the four channels (stride 1: of the first output row, s4-s7 of the second); s8-s11 addends;
 * a4, a6, a7, tp multipliers less 1; t0-t3 words; t4-t6 sums and values; a2 plane, a0 to the next word, gp to the next
 * column; a3 output, a5 to the next row, a1 to the next column; ra shift; sp the run. gp, tp and sp are put back at the
 * end; only a trap could miss them. */
#define FBC_STACKED_TAKE(word, from, step) ".insn i 0x0B, 2, " word ", " from ", " step "\n" /* p.lw */
#define FBC_STACKED_NEXT(word) ".insn r 0x0B, 7, 0x10, " word ", a2, a0\n"                   /* p.lw */
#define FBC_STACKED_DOT(sum, word, taps) ".insn r 0x57, 2, %[dot], " sum ", " word ", " taps "\n"
#define FBC_STACKED_MULTIPLY(sum, less_one) ".insn r 0x33, 0, 0x21, " sum ", " sum ", " less_one "\n" /* p.mac */
#define FBC_STACKED_SHIFT(sum, addend) ".insn r 0x5B, 2, 0x20, " sum ", " addend ", ra\n"             /* p.addNr */
#define FBC_STACKED_CLIP(sum) ".insn r 0x33, 2, 0x0A, " sum ", " sum ", x3\n"                         /* p.clipu */
#define FBC_STACKED_INSERT(part, position) ".insn r 0x33, 2, 0x61, t4, " part ", " position "\n"      /* p.insert */
#define FBC_STACKED_WORDS FBC_STACKED_NEXT("t0") FBC_STACKED_NEXT("t1") FBC_STACKED_NEXT("t2") FBC_STACKED_NEXT("t3")
/* An output of the four channels, a byte: 20 instructions. */
#define FBC_STACKED_OUTPUT(w, x, y, z) \
    FBC_STACKED_DOT("t4", "t0", w) \
    FBC_STACKED_DOT("t5", "t1", x) \
    FBC_STACKED_MULTIPLY("t4", "a4") \
    FBC_STACKED_MULTIPLY("t5", "a6") \
    FBC_STACKED_DOT("t6", "t2", y) \
    FBC_STACKED_SHIFT("t4", "s8") \
    FBC_STACKED_SHIFT("t5", "s9") \
    FBC_STACKED_MULTIPLY("t6", "a7") \
    FBC_STACKED_CLIP("t4") \
    FBC_STACKED_CLIP("t5") \
    FBC_STACKED_INSERT("t5", "x2") \
    FBC_STACKED_DOT("t5", "t3", z) \
    FBC_STACKED_SHIFT("t6", "s10") \
    FBC_STACKED_MULTIPLY("t5", "tp") \
    FBC_STACKED_CLIP("t6") \
    FBC_STACKED_INSERT("t6", "x4") \
    FBC_STACKED_SHIFT("t5", "s11") \
    FBC_STACKED_CLIP("t5") FBC_STACKED_INSERT("t5", "x6") ".insn r 0x2B, 4, 0, a5, a3, t4\n" /* p.sb */
#define FBC_STACKED_FIRST FBC_STACKED_OUTPUT("s0", "s1", "s2", "s3")

/* The beginning of a column, from which the hardware's outer loop goes on. */
#define FBC_STACKED_BEGIN(words) \
    ".insn i 0x7B, 0, x1, x0, 2\n"                         /* lp.starti 1 */ \
    "lw t6, 52(sp)\n" words ".insn i 0x7B, 2, x0, t6, 0\n" /* lp.count 0 */
#define FBC_STACKED_COLUMN_1 \
    "lw t6, 56(sp)\n beqz t6, 5f\n" FBC_STACKED_BEGIN(FBC_STACKED_WORDS) "j 8f\n" \
                                                                         "5:\n" FBC_STACKED_BEGIN() \
                                                                             FBC_STACKED_WORDS FBC_STACKED_FIRST \
        "8:\n" FBC_STACKED_OUTPUT("s4", "s5", "s6", "s7")
#define FBC_STACKED_COLUMN_2 FBC_STACKED_BEGIN() FBC_STACKED_WORDS FBC_STACKED_FIRST
#define FBC_STACKED_TAPS_1 "slli s4, s0, 2\n slli s5, s1, 2\n slli s6, s2, 2\n slli s7, s3, 2\n"
#define FBC_STACKED_TAPS_2 ""
/* Instructions from lp.starti 0 to the row loop, and of it. */
#define FBC_STACKED_HEAD_1 16
#define FBC_STACKED_HEAD_2 6
#define FBC_STACKED_LOOP_1 44
#define FBC_STACKED_LOOP_2 24

#define FBC_STACKED_ASM(is_signed, stride) \
    __asm__ volatile( \
        ".balign 4\n.option push\n" \
        ".option norvc\n" \
        "sw tp, 68(a0)\n sw gp, 72(a0)\n sw sp, 76(a0)\n mv sp, a0\n" \
        "lw a2, 12(sp)\n lw a3, 20(sp)\n lw a5, 40(sp)\n lw a0, 44(sp)\n lw ra, 60(sp)\n" \
        "lw gp, 32(sp)\n lw a1, 36(sp)\n" \
        "7: lw t6, 0(sp)\n lw t0, 4(sp)\n lw t1, 8(sp)\n lw t2, 64(sp)\n" FBC_STACKED_TAKE("s0", "t6", "4") \
            FBC_STACKED_TAKE("s1", "t6", "4") FBC_STACKED_TAKE("s2", "t6", "4") FBC_STACKED_TAKE("s3", "t6", "4") \
                FBC_STACKED_TAKE("a4", "t0", "8") FBC_STACKED_TAKE("a6", "t0", "8") FBC_STACKED_TAKE("a7", "t0", "8") \
                    FBC_STACKED_TAKE("tp", "t0", "8") FBC_STACKED_TAKE("s8", "t1", "4") \
                        FBC_STACKED_TAKE("s9", "t1", "4") FBC_STACKED_TAKE("s10", "t1", "4") \
                            FBC_STACKED_TAKE("s11", "t1", "4") "sll s0, s0, t2\n sll s1, s1, t2\n sll s2, s2, t2\n " \
                                                               "sll s3, s3, t2\n" FBC_STACKED_TAPS_##stride \
        "sw t6, 0(sp)\n sw t0, 4(sp)\n sw t1, 8(sp)\n lw t2, 48(sp)\n" \
        ".insn i 0x7B, 0, x0, x0, %[start]\n" /* lp.starti 0 */ \
        ".insn i 0x7B, 1, x0, x0, %[end]\n"   /* lp.endi 0 */ \
        ".insn i 0x7B, 1, x1, x0, %[last]\n"  /* lp.endi 1 */ \
        ".insn i 0x7B, 2, x1, t2, 0\n"        /* lp.count 1 */ \
        FBC_STACKED_COLUMN_##stride \
        "add a2, a2, gp\n add a3, a3, a1\n" \
        "lw t0, 24(sp)\n lw t1, 28(sp)\n lw t2, 16(sp)\n add a2, a2, t0\n add a3, a3, t1\n bne a2, t2, 7b\n" \
        "lw tp, 68(sp)\n lw gp, 72(sp)\n lw sp, 76(sp)\n" \
        ".option pop" \
        : "+r"(block) \
        : [dot] "i"((is_signed) ? 0x4D : 0x45), [start] "i"(2 * (FBC_STACKED_HEAD_##stride + 1)), \
          [end] "i"(2 * (FBC_STACKED_HEAD_##stride + FBC_STACKED_LOOP_##stride - 1)), \
          [last] "i"(2 * (FBC_STACKED_HEAD_##stride + FBC_STACKED_LOOP_##stride)) \
        : "ra", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", \
          "s10", "s11", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "memory")

/* All outputs of the groups. */
#define FBC_DEFINE_STACKED(is_signed, stride) \
    static void fbc_stacked_##is_signed##_##stride(fbc_stacked_run *run) { \
        register fbc_stacked_run *block __asm__("a0") = run; \
        FBC_STACKED_ASM(is_signed, stride); \
    }

#else

/* An output of the four channels; the taps go up by `up` bits. */
FBC_INLINE uint32_t fbc_stacked_output(const fbc_stacked_run *run, const uint8_t *plane, uint32_t up,
                                       uint32_t is_signed) {
    uint32_t values = 0;
    for (uint32_t channel = 0; channel < 4u; channel++, plane += run->plane_bytes) {
        const uint32_t word = run->filters[channel] << up;
        const uint8_t taps[4] = {(uint8_t)word, (uint8_t)(word >> 8), (uint8_t)(word >> 16), (uint8_t)(word >> 24)};
        int32_t sum = 0;
        for (uint32_t lane = 0; lane < 16u; lane++) {
            sum += fbc_read_lane(taps, lane, 2u, 1u) * fbc_read_lane(plane, lane, 2u, is_signed);
        }
        const int32_t product = fbc_multiply_less_one(sum, run->scales[channel].multiplier);
        values |= (uint32_t)fbc_clamp((product + run->addends[channel]) >> run->shift, 0, 3) << 2u * channel;
    }
    return values;
}

FBC_INLINE void fbc_stacked_group(const fbc_stacked_run *run, uint32_t is_signed, uint32_t stride) {
    const uint32_t rows = run->word_rows * (3u - stride) - run->odd;
    const uint32_t pixel_bytes = run->output_next + rows * run->row_bytes;
    for (uint32_t i = 0; i < run->columns * rows; i++) {
        const uint32_t column = i / rows, row = i % rows, line = row + run->odd; /* of the word rows */
        const uint32_t word_row = stride == 1u ? line >> 1 : line, up = stride == 1u ? 2u * (line & 1u) : 0u;
        const uint8_t *plane = run->plane + stride * column + 4u * word_row * run->plane_bytes;
        run->output[column * pixel_bytes + row * run->row_bytes] =
            (uint8_t)fbc_stacked_output(run, plane, run->lanes + up, is_signed);
    }
}

FBC_INLINE void fbc_stacked_in_c(const fbc_stacked_run *given, uint32_t is_signed, uint32_t stride) {
    fbc_stacked_run run = *given;
    while (run.plane != run.end) {
        fbc_stacked_group(&run, is_signed, stride);
        run.filters += 4;
        run.scales += 4;
        run.addends += 4;
        run.plane += run.plane_group + stride * run.columns;
        run.output++;
    }
}

#define FBC_DEFINE_STACKED(is_signed, stride) \
    static void fbc_stacked_##is_signed##_##stride(fbc_stacked_run *run) { \
        fbc_stacked_in_c(run, is_signed, stride); \
    }

#endif

#endif
