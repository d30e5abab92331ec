/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* The 3x3 depthwise convolution of the channels of a part at once, down single columns of outputs: the planes of
 * micro/fbc_stacked_planes.h are read, of which a word of 2 bits, or two that follow each other of 4 bits, hold a
 * window.
 *
 * With stride 1 they hold the windows of two output rows, and the taps lie at other rows of the words. If there are no
 * outputs of the first rows of the row loop, it is entered later. */
#ifndef FBC_DEPTHWISE_STACKED_H
#define FBC_DEPTHWISE_STACKED_H

#include "common/fbc_requantize.h"
#include "micro/fbc_stacked_planes.h"
#include "micro/fbc_xpulp.h"

/* The assembler knows the offsets of these members. */
typedef struct {
    const uint32_t *filters; /* 0: of the next part; of a channel a word, in a byte the rows of a column and a zero (4
                                bits: a word of the first two rows and one of the last) */
    const fbc_scale *scales; /* 4: likewise, less one */
    const int32_t *addends;  /* 8 */
    const uint8_t *plane;    /* 12: first word of the first part */
    const uint8_t *end;      /* 16: what `plane` is behind the last part */
    uint8_t *output;         /* 20: first output */
    uint32_t plane_part;     /* 24: bytes from behind the last column of a part to the next part */
    uint32_t output_part;    /* 28: likewise of the output */
    uint32_t plane_next;     /* 32: bytes from behind the last word row of a column to the next column */
    uint32_t output_next;    /* 36: likewise of the output */
    uint32_t row_bytes;      /* 40: of the output */
    uint32_t plane_bytes;    /* 44: of a word row */
    uint32_t columns;        /* 48: at least 1 */
    uint32_t rounds;         /* 52: of the row loop, at least 1 */
    uint32_t missing;        /* 56: outputs of a column that the first round leaves out */
    uint32_t shift;          /* 60 */
    uint32_t lanes;          /* 64: bits that the taps go up */
    uint32_t saved[3];       /* 68: registers, by the assembler */
} fbc_stacked_run;

/* The logarithm of the output rows of a round of the row loop. */
FBC_INLINE uint32_t fbc_stacked_round(uint32_t bits, uint32_t stride) {
    return (bits == 2u ? 2u : 3u) - stride;
}

#ifdef FBC_XPULPNN

_Static_assert(sizeof(fbc_stacked_run) == 80, "the assembler below has the offsets of fbc_stacked_run as numbers");

/* Registers: a2 plane, a0 to the next word, gp to the next column; a3 output, a5 to the next row, a1 to the next
 * column; ra shift; sp the run; t6 scratch. gp, tp and sp are put back at the end; only a trap could miss them.
 *
 * 2 bits: s0-s3 taps of the four channels (stride 1: of the first output row, s4-s7 of the second); s8-s11 addends; a4,
 * a6, a7, tp multipliers less 1; t0-t3 words; t4-t6 sums and values.
 * 4 bits: s0, s1 and s2, s3 taps of the first channel for both output rows (stride 2: for one), s4-s7 of the second;
 * s8, s9 addends; a6, a7 multipliers less 1; t0, t1 and t2, t3 words, whose roles alternate; t4, t5 sums and values. */
#define FBC_STACKED_TAKE(word, from, step) ".insn i 0x0B, 2, " word ", " from ", " step "\n" /* p.lw */
#define FBC_STACKED_NEXT(word) ".insn r 0x0B, 7, 0x10, " word ", a2, a0\n"                   /* p.lw */
#define FBC_STACKED_DOT(sum, word, taps) ".insn r 0x57, 2, %[dot], " sum ", " word ", " taps "\n"
#define FBC_STACKED_MULTIPLY(sum, less_one) ".insn r 0x33, 0, 0x21, " sum ", " sum ", " less_one "\n" /* p.mac */
#define FBC_STACKED_SHIFT(sum, addend) ".insn r 0x5B, 2, 0x20, " sum ", " addend ", ra\n"             /* p.addNr */
#define FBC_STACKED_CLIP(sum) ".insn r 0x33, 2, 0x0A, " sum ", " sum ", x%[clip]\n"                   /* p.clipu */
#define FBC_STACKED_INSERT_2(part, position) ".insn r 0x33, 2, 0x61, t4, " part ", " position "\n"    /* p.insert */
#define FBC_STACKED_MORE(sum, word, taps) ".insn r 0x57, 2, %[more], " sum ", " word ", " taps "\n"
#define FBC_STACKED_STORE ".insn r 0x2B, 4, 0, a5, a3, t4\n" /* p.sb */
#define FBC_STACKED_WORDS FBC_STACKED_NEXT("t0") FBC_STACKED_NEXT("t1") FBC_STACKED_NEXT("t2") FBC_STACKED_NEXT("t3")
/* An output of the four channels, a byte: 20 instructions. */
#define FBC_STACKED_OUTPUT_2(w, x, y, z) \
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
    FBC_STACKED_INSERT_2("t5", "x2") \
    FBC_STACKED_DOT("t5", "t3", z) \
    FBC_STACKED_SHIFT("t6", "s10") \
    FBC_STACKED_MULTIPLY("t5", "tp") \
    FBC_STACKED_CLIP("t6") \
    FBC_STACKED_INSERT_2("t6", "x4") \
    FBC_STACKED_SHIFT("t5", "s11") \
    FBC_STACKED_CLIP("t5") FBC_STACKED_INSERT_2("t5", "x6") FBC_STACKED_STORE
/* An output of two channels, a byte, of the words a, b and c, d: 12 instructions. */
#define FBC_STACKED_OUTPUT_4(a, b, c, d, u, v, x, y) \
    FBC_STACKED_DOT("t4", a, u) \
    FBC_STACKED_DOT("t5", b, x) \
    FBC_STACKED_MORE("t4", c, v) \
    FBC_STACKED_MORE("t5", d, y) \
    FBC_STACKED_MULTIPLY("t4", "a6") \
    FBC_STACKED_MULTIPLY("t5", "a7") \
    FBC_STACKED_SHIFT("t4", "s8") \
    FBC_STACKED_SHIFT("t5", "s9") \
    FBC_STACKED_CLIP("t4") \
    FBC_STACKED_CLIP("t5") ".insn r 0x33, 2, 0x63, t4, t5, x4\n" FBC_STACKED_STORE /* p.insert */
#define FBC_STACKED_FIRST_ROW(a, b, c, d) FBC_STACKED_OUTPUT_4(a, b, c, d, "s0", "s1", "s4", "s5")
#define FBC_STACKED_SECOND_ROW(a, b, c, d) FBC_STACKED_OUTPUT_4(a, b, c, d, "s2", "s3", "s6", "s7")

/* The beginning of a column, from which the hardware's outer loop goes on. */
#define FBC_STACKED_BEGIN(words) \
    ".insn i 0x7B, 0, x1, x0, 2\n"                         /* lp.starti 1 */ \
    "lw t6, 52(sp)\n" words ".insn i 0x7B, 2, x0, t6, 0\n" /* lp.count 0 */
#define FBC_STACKED_COLUMN_2_1 \
    "lw t6, 56(sp)\n beqz t6, 5f\n" FBC_STACKED_BEGIN( \
        FBC_STACKED_WORDS) "j 8f\n" \
                           "5:\n" FBC_STACKED_BEGIN() FBC_STACKED_WORDS FBC_STACKED_OUTPUT_2( \
                               "s0", "s1", "s2", "s3") "8:\n" FBC_STACKED_OUTPUT_2("s4", "s5", "s6", "s7")
#define FBC_STACKED_COLUMN_2_2 FBC_STACKED_BEGIN() FBC_STACKED_WORDS FBC_STACKED_OUTPUT_2("s0", "s1", "s2", "s3")
#define FBC_STACKED_TWO(first, second) FBC_STACKED_NEXT(first) FBC_STACKED_NEXT(second)
#define FBC_STACKED_A FBC_STACKED_TWO("t0", "t1")
#define FBC_STACKED_B FBC_STACKED_TWO("t2", "t3")
#define FBC_STACKED_COLUMN_4_1 \
    "lw t6, 56(sp)\n beqz t6, 5f\n addi t6, t6, -1\n beqz t6, 4f\n addi t6, t6, -1\n beqz t6, 3f\n" FBC_STACKED_BEGIN( \
        FBC_STACKED_B \
            FBC_STACKED_A) "j 83f\n" \
                           "3:\n" FBC_STACKED_BEGIN( \
                               FBC_STACKED_B) "j 82f\n" \
                                              "4:\n" FBC_STACKED_BEGIN( \
                                                  FBC_STACKED_A \
                                                      FBC_STACKED_B) "j 81f\n" \
                                                                     "5:\n" FBC_STACKED_BEGIN(FBC_STACKED_A) \
                                                                         FBC_STACKED_B FBC_STACKED_FIRST_ROW( \
                                                                             "t0", "t1", "t2", \
                                                                             "t3") "81:\n" FBC_STACKED_SECOND_ROW("t" \
                                                                                                                  "0", \
                                                                                                                  "t" \
                                                                                                                  "1", \
                                                                                                                  "t" \
                                                                                                                  "2", \
                                                                                                                  "t" \
                                                                                                                  "3") "82:\n" FBC_STACKED_A \
                                                                             FBC_STACKED_FIRST_ROW( \
                                                                                 "t2", "t3", "t0", \
                                                                                 "t1") "83:\n" FBC_STACKED_SECOND_ROW("t2", \
                                                                                                                      "t3", \
                                                                                                                      "t0", \
                                                                                                                      "t1")
#define FBC_STACKED_COLUMN_4_2 \
    "lw t6, 56(sp)\n beqz t6, 5f\n" FBC_STACKED_BEGIN( \
        FBC_STACKED_B) "j 82f\n" \
                       "5:\n" FBC_STACKED_BEGIN(FBC_STACKED_A) FBC_STACKED_B FBC_STACKED_FIRST_ROW( \
                           "t0", "t1", "t2", "t3") "82:\n" FBC_STACKED_A FBC_STACKED_FIRST_ROW("t2", "t3", "t0", "t1")
/* Instructions from behind lp.starti 0 to the row loop, and of it. */
#define FBC_STACKED_HEAD_2_1 16
#define FBC_STACKED_HEAD_2_2 6
#define FBC_STACKED_HEAD_4_1 36
#define FBC_STACKED_HEAD_4_2 16
#define FBC_STACKED_LOOP_2_1 44
#define FBC_STACKED_LOOP_2_2 24
#define FBC_STACKED_LOOP_4_1 52
#define FBC_STACKED_LOOP_4_2 28

/* Taps and parameters of a part, read from t6, t0 and t1, which go on to the next one; t2 is how far taps go up. */
#define FBC_STACKED_FOUR(a, b, c, d, from, step) \
    FBC_STACKED_TAKE(a, from, step) \
    FBC_STACKED_TAKE(b, from, step) FBC_STACKED_TAKE(c, from, step) FBC_STACKED_TAKE(d, from, step)
#define FBC_STACKED_PART_2_2 \
    FBC_STACKED_FOUR("s0", "s1", "s2", "s3", "t6", "4") \
    FBC_STACKED_FOUR("a4", "a6", "a7", "tp", "t0", "8") \
    FBC_STACKED_FOUR("s8", "s9", "s10", "s11", "t1", "4") \
    "sll s0, s0, t2\n sll s1, s1, t2\n sll s2, s2, t2\n sll s3, s3, t2\n"
#define FBC_STACKED_PART_2_1 FBC_STACKED_PART_2_2 "slli s4, s0, 2\n slli s5, s1, 2\n slli s6, s2, 2\n slli s7, s3, 2\n"
#define FBC_STACKED_PART_4_2 \
    FBC_STACKED_FOUR("s0", "s1", "s4", "s5", "t6", "4") \
    FBC_STACKED_TAKE("a6", "t0", "8") \
    FBC_STACKED_TAKE("a7", "t0", "8") \
    FBC_STACKED_TAKE("s8", "t1", "4") \
    FBC_STACKED_TAKE("s9", "t1", "4") "sll s0, s0, t2\n sll s1, s1, t2\n sll s4, s4, t2\n sll s5, s5, t2\n"
/* Rows 0, 1 and 2, - as rows -, 0 and 1, 2. */
#define FBC_STACKED_LATER(u, v, x, y) \
    FBC_PLANES_LEFT(x, u, "2") FBC_PLANES_RIGHT("t2", u, "2") FBC_PLANES_LEFT(y, v, "2") "or " y ", " y ", t2\n"
#define FBC_STACKED_PART_4_1 \
    FBC_STACKED_PART_4_2 FBC_STACKED_LATER("s0", "s1", "s2", "s3") FBC_STACKED_LATER("s4", "s5", "s6", "s7")

#define FBC_STACKED_ASM(bits, is_signed, stride) \
    __asm__ volatile( \
        ".balign 4\n.option push\n" \
        ".option norvc\n" \
        "sw tp, 68(a0)\n sw gp, 72(a0)\n sw sp, 76(a0)\n mv sp, a0\n" \
        "lw a2, 12(sp)\n lw a3, 20(sp)\n lw a5, 40(sp)\n lw a0, 44(sp)\n lw ra, 60(sp)\n" \
        "lw gp, 32(sp)\n lw a1, 36(sp)\n" \
        "7: lw t6, 0(sp)\n lw t0, 4(sp)\n lw t1, 8(sp)\n lw t2, 64(sp)\n" FBC_STACKED_PART_##bits##_##stride \
        "sw t6, 0(sp)\n sw t0, 4(sp)\n sw t1, 8(sp)\n lw t2, 48(sp)\n" \
        ".insn i 0x7B, 0, x0, x0, %[start]\n" /* lp.starti 0 */ \
        ".insn i 0x7B, 1, x0, x0, %[end]\n"   /* lp.endi 0 */ \
        ".insn i 0x7B, 1, x1, x0, %[last]\n"  /* lp.endi 1 */ \
        ".insn i 0x7B, 2, x1, t2, 0\n"        /* lp.count 1 */ \
        FBC_STACKED_COLUMN_##bits##_##stride \
        "add a2, a2, gp\n add a3, a3, a1\n" \
        "lw t0, 24(sp)\n lw t1, 28(sp)\n lw t2, 16(sp)\n add a2, a2, t0\n add a3, a3, t1\n bne a2, t2, 7b\n" \
        "lw tp, 68(sp)\n lw gp, 72(sp)\n lw sp, 76(sp)\n" \
        ".option pop" \
        : "+r"(block) \
        : [dot] "i"(((is_signed) ? 0x4C : 0x44) | ((bits) == 2 ? 1 : 0)), \
          [more] "i"(((is_signed) ? 0x5C : 0x54) | ((bits) == 2 ? 1 : 0)), [clip] "i"((bits) + 1), \
          [start] "i"(2 * (FBC_STACKED_HEAD_##bits##_##stride + 1)), \
          [end] "i"(2 * (FBC_STACKED_HEAD_##bits##_##stride + FBC_STACKED_LOOP_##bits##_##stride - 1)), \
          [last] "i"(2 * (FBC_STACKED_HEAD_##bits##_##stride + FBC_STACKED_LOOP_##bits##_##stride)) \
        : "ra", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", \
          "s10", "s11", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "memory")

/* All outputs of the parts. */
#define FBC_DEFINE_STACKED(bits, is_signed, stride) \
    static void fbc_stacked_##bits##_##is_signed##_##stride(fbc_stacked_run *run) { \
        register fbc_stacked_run *block __asm__("a0") = run; \
        FBC_STACKED_ASM(bits, is_signed, stride); \
    }

#else

/* Of the window whose first row is row `top` of those that the word rows hold. */
FBC_INLINE int32_t fbc_stacked_sum(const fbc_stacked_run *run, const uint8_t *plane, uint32_t channel, uint32_t top,
                                   uint32_t bits, uint32_t is_signed) {
    const uint32_t together = 8u / bits; /* channels, and rows of a byte */
    const uint32_t *filter = run->filters + channel * bits / 2u;
    int32_t sum = 0;
    for (uint32_t i = 0; i < 9u; i++) {
        const uint32_t row = i / 3u, column = i % 3u;
        const uint32_t word_row = bits == 2u ? top >> 1 : (top + row) >> 1;
        const uint8_t *word = plane + (word_row * together + channel) * run->plane_bytes + run->lanes / 8u;
        const uint8_t tap = (uint8_t)(filter[row / together] >> 8u * column);
        sum += fbc_read_lane(&tap, row % together, bits, 1u) *
               fbc_read_lane(word + column, top + row - 2u * word_row, bits, is_signed);
    }
    return sum;
}

/* An output of the channels of the part. */
FBC_INLINE uint32_t fbc_stacked_output(const fbc_stacked_run *run, const uint8_t *plane, uint32_t top, uint32_t bits,
                                       uint32_t is_signed) {
    uint32_t values = 0;
    for (uint32_t channel = 0; channel < 8u / bits; channel++) {
        const int32_t sum = fbc_stacked_sum(run, plane, channel, top, bits, is_signed);
        const int32_t product = fbc_multiply_less_one(sum, run->scales[channel].multiplier);
        const int32_t value = (product + run->addends[channel]) >> run->shift;
        values |= (uint32_t)fbc_clamp(value, 0, (int32_t)(1u << bits) - 1) << bits * channel;
    }
    return values;
}

FBC_INLINE void fbc_stacked_part(const fbc_stacked_run *run, uint32_t bits, uint32_t is_signed, uint32_t stride) {
    const uint32_t rows = (run->rounds << fbc_stacked_round(bits, stride)) - run->missing;
    const uint32_t pixel_bytes = run->output_next + rows * run->row_bytes;
    const uint32_t odd = stride == 1u ? rows & 1u : 0u; /* the word rows begin one row earlier */
    for (uint32_t i = 0; i < run->columns * rows; i++) {
        const uint32_t column = i / rows, row = i % rows;
        run->output[column * pixel_bytes + row * run->row_bytes] =
            (uint8_t)fbc_stacked_output(run, run->plane + stride * column, stride * row + odd, bits, is_signed);
    }
}

FBC_INLINE void fbc_stacked_in_c(const fbc_stacked_run *given, uint32_t bits, uint32_t is_signed, uint32_t stride) {
    const uint32_t channels = 8u / bits;
    fbc_stacked_run run = *given;
    while (run.plane != run.end) {
        fbc_stacked_part(&run, bits, is_signed, stride);
        run.filters += 4;
        run.scales += channels;
        run.addends += channels;
        run.plane += run.plane_part + stride * run.columns;
        run.output++;
    }
}

#define FBC_DEFINE_STACKED(bits, is_signed, stride) \
    static void fbc_stacked_##bits##_##is_signed##_##stride(fbc_stacked_run *run) { \
        fbc_stacked_in_c(run, bits, is_signed, stride); \
    }

#endif

#endif
