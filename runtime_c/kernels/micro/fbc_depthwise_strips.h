/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* The 3x3 depthwise convolution of two channels, down strips of two output columns (stride 1) or one (stride 2).
 *
 * It reads transposed words: a strip is `rows` times four words, one per channel of a group of four, and a word is four
 * pixels of one row. With stride 1 the word meets [w0 w1 w2 0] for the left output and [0 w0 w1 w2] for the right one;
 * with stride 2 only the former. Three rows of both channels stay in registers; their roles rotate, so the row loop
 * holds three steps (stride 2: two).
 *
 * With XpulpV2 this is one piece of assembler that owns all registers, because the compiler spills: it needs 30, and a
 * strip of sixteen rows is too short to pay for loading twelve weight words. */
#ifndef FBC_DEPTHWISE_STRIPS_H
#define FBC_DEPTHWISE_STRIPS_H

#include "common/fbc_requantize.h"
#include "micro/fbc_xpulp.h"

/* What a requantization needs: clip to [0, 255]; that behind a clamp; any clamp and clip. */
typedef enum { FBC_STRIP_PLAIN, FBC_STRIP_CLAMPED, FBC_STRIP_GENERAL } fbc_strip_kind;

/* The assembler knows the offsets of these members. */
typedef struct {
    uint32_t weights[2][2][3]; /* by channel, output column of the strip, row */
    int32_t multiplier[2];
    int32_t addend[2];
    int32_t clamp[2];
    int32_t low;
    int32_t high;
    uint32_t shift;
    uint32_t rounds; /* of three output rows (stride 2: two), the first of which may be shorter */
    uint32_t rest;   /* rows of a shorter first round, or 0 */
    uint32_t strips;
    uint32_t pixel_bytes;     /* from output to output in a row */
    uint32_t row_bytes_less1; /* from row to row, less 1 */
    const uint8_t *words;     /* of the first strip and the first channel */
    uint8_t *output;
    uint32_t saved[2]; /* registers, by the assembler */
} fbc_strip_pair;

#ifdef FBC_XPULPV2

_Static_assert(sizeof(fbc_strip_pair) == 120, "the assembler below has the offsets of fbc_strip_pair as numbers");

/* Registers: s0-s2 and s3-s5 the first channel's weights, s6-s8 and s9-s11 the second's; t0-t2 and t3-t5 its and its
 * neighbour's rows; t6, a1 sums; a2 words, a3, a4 outputs, a5 from row to row, a6, a7 multipliers, tp, gp addends, ra
 * shift; a0 the block of parameters. tp and gp are put back at the end; only a trap could miss them. Multiplication has
 * a latency, so two sums alternate. */
#define FBC_STRIP_DOTS(sum, x, y, z, w0, w1, w2) \
    ".insn r 0x57, 1, %[first], " sum ", " x ", " w0 "\n" \
    ".insn r 0x57, 1, %[more], " sum ", " y ", " w1 "\n" \
    ".insn r 0x57, 1, %[more], " sum ", " z ", " w2 "\n"
#define FBC_STRIP_MULTIPLY(sum, multiplier) "mul " sum ", " sum ", " multiplier "\n"
#define FBC_STRIP_ADD_SHIFT(sum, addend) ".insn r 0x5B, 2, 0x20, " sum ", " addend ", ra\n" /* p.addNr */
#define FBC_STRIP_CLIP_BYTE(sum) ".insn r 0x33, 2, 0x0A, " sum ", " sum ", x9\n"
#define FBC_STRIP_CLAMP(sum, bound) ".insn r 0x33, 5, 0x0A, " sum ", " sum ", " bound "\n"
#define FBC_STRIP_MAXIMUM(sum, bound) ".insn r 0x33, 6, 0x02, " sum ", " sum ", " bound "\n"
#define FBC_STRIP_MINIMUM(sum, bound) ".insn r 0x33, 4, 0x02, " sum ", " sum ", " bound "\n"
#define FBC_STRIP_GET(word, offset) "lw " word ", " offset "(a0)\n"

/* Two outputs, t6 from the dot products dots1 and a1 from dots2; `old` is a row that no later step reads. */
#define FBC_STRIP_TWO_PLAIN(dots1, dots2, old, m1, m2, add1, add2, clamp1, clamp2, store1, store2) \
    dots1 FBC_STRIP_MULTIPLY("t6", m1) \
    dots2 FBC_STRIP_MULTIPLY("a1", m2) FBC_STRIP_ADD_SHIFT("t6", add1) FBC_STRIP_CLIP_BYTE("t6") \
        store1 FBC_STRIP_ADD_SHIFT("a1", add2) FBC_STRIP_CLIP_BYTE("a1") store2
#define FBC_STRIP_CLAMPED_SUMS(dots1, dots2, old, m1, m2, add1, clamp1, clamp2) \
    FBC_STRIP_GET("a1", clamp1) \
    dots1 FBC_STRIP_CLAMP("t6", "a1") FBC_STRIP_MULTIPLY("t6", m1) dots2 FBC_STRIP_GET(old, clamp2) \
        FBC_STRIP_ADD_SHIFT("t6", add1) FBC_STRIP_CLAMP("a1", old) FBC_STRIP_MULTIPLY("a1", m2)
#define FBC_STRIP_TWO_CLAMPED(dots1, dots2, old, m1, m2, add1, add2, clamp1, clamp2, store1, store2) \
    FBC_STRIP_CLAMPED_SUMS(dots1, dots2, old, m1, m2, add1, clamp1, clamp2) \
    FBC_STRIP_CLIP_BYTE("t6") store1 FBC_STRIP_ADD_SHIFT("a1", add2) FBC_STRIP_CLIP_BYTE("a1") store2
#define FBC_STRIP_TWO_GENERAL(dots1, dots2, old, m1, m2, add1, add2, clamp1, clamp2, store1, store2) \
    FBC_STRIP_CLAMPED_SUMS(dots1, dots2, old, m1, m2, add1, clamp1, clamp2) \
    FBC_STRIP_GET(old, "72") \
    FBC_STRIP_ADD_SHIFT("a1", add2) \
    FBC_STRIP_MAXIMUM("t6", old) \
    FBC_STRIP_MAXIMUM("a1", old) \
    FBC_STRIP_GET(old, "76") FBC_STRIP_MINIMUM("t6", old) FBC_STRIP_MINIMUM("a1", old) store1 store2

#define FBC_STRIP_STORE(sum, pointer) ".insn s 0x2B, 0, " sum ", 1(" pointer ")\n"
#define FBC_STRIP_STORE_LAST(sum, pointer) ".insn r 0x2B, 4, 0, a5, " pointer ", " sum "\n"
#define FBC_STRIP_LOAD(first, second) ".insn i 0x0B, 2, " first ", a2, 4\n .insn i 0x0B, 2, " second ", a2, 12\n"

/* One output row: a, b, c the first channel's rows, d, e, f the second's. */
#define FBC_STRIP_STEP_1(kind, a, b, c, d, e, f) \
    FBC_STRIP_LOAD(c, f) \
    FBC_STRIP_TWO_##kind(FBC_STRIP_DOTS("t6", a, b, c, "s0", "s1", "s2"), \
                         FBC_STRIP_DOTS("a1", a, b, c, "s3", "s4", "s5"), a, "a6", "a6", "tp", "tp", "64", "64", \
                         FBC_STRIP_STORE("t6", "a3"), FBC_STRIP_STORE("a1", "a4")) \
        FBC_STRIP_TWO_##kind(FBC_STRIP_DOTS("t6", d, e, f, "s6", "s7", "s8"), \
                             FBC_STRIP_DOTS("a1", d, e, f, "s9", "s10", "s11"), d, "a7", "a7", "gp", "gp", "68", "68", \
                             FBC_STRIP_STORE_LAST("t6", "a3"), FBC_STRIP_STORE_LAST("a1", "a4"))
#define FBC_STRIP_STEP_2(kind, a, b, c, d, e, f) \
    FBC_STRIP_LOAD(b, e) \
    FBC_STRIP_LOAD(c, f) \
    FBC_STRIP_TWO_##kind(FBC_STRIP_DOTS("t6", a, b, c, "s0", "s1", "s2"), \
                         FBC_STRIP_DOTS("a1", d, e, f, "s6", "s7", "s8"), a, "a6", "a7", "tp", "gp", "64", "68", \
                         FBC_STRIP_STORE("t6", "a3"), FBC_STRIP_STORE_LAST("a1", "a3"))

#define FBC_STRIP_A(kind, stride) FBC_STRIP_STEP_##stride(kind, "t0", "t1", "t2", "t3", "t4", "t5")
#define FBC_STRIP_B_1(kind) FBC_STRIP_STEP_1(kind, "t1", "t2", "t0", "t4", "t5", "t3")
#define FBC_STRIP_C_1(kind) FBC_STRIP_STEP_1(kind, "t2", "t0", "t1", "t5", "t3", "t4")
#define FBC_STRIP_B_2(kind) FBC_STRIP_STEP_2(kind, "t2", "t1", "t0", "t5", "t4", "t3")

#define FBC_STRIP_LOOP_1(kind) FBC_STRIP_A(kind, 1) "8:\n" FBC_STRIP_B_1(kind) "9:\n" FBC_STRIP_C_1(kind)
#define FBC_STRIP_LOOP_2(kind) FBC_STRIP_A(kind, 2) "8:\n" FBC_STRIP_B_2(kind)
/* Where the rows are no multiple of the steps, the first round begins at a later step, whose rows are others. A copy of
 * a step behind the loop would not fit into a core's own instruction buffer together with the loop. */
#define FBC_STRIP_BEGIN_1 \
    "beqz t6, 5f\n addi t6, t6, -1\n beqz t6, 6f\n" FBC_STRIP_LOAD("t1", "t4") \
        FBC_STRIP_LOAD("t2", "t5") "j 8f\n" \
                                   "6:\n" FBC_STRIP_LOAD("t2", "t5") \
                                       FBC_STRIP_LOAD("t0", "t3") "j 9f\n" \
                                                                  "5:\n" FBC_STRIP_LOAD("t0", "t3") \
                                                                      FBC_STRIP_LOAD("t1", "t4")
#define FBC_STRIP_BEGIN_2 \
    "beqz t6, 5f\n" FBC_STRIP_LOAD("t2", "t5") "j 8f\n" \
                                               "5:\n" FBC_STRIP_LOAD("t0", "t3")
/* Instructions from lp.starti to the loop. */
#define FBC_STRIP_HEAD_1 27
#define FBC_STRIP_HEAD_2 16
#define FBC_STRIP_NEXT_1 "add t6, a4, t6\n"
#define FBC_STRIP_NEXT_2 "mv t6, a4\n"

/* Instructions of an output and of a loop. */
#define FBC_STRIP_INSTRUCTIONS_PLAIN 7
#define FBC_STRIP_INSTRUCTIONS_CLAMPED 9
#define FBC_STRIP_INSTRUCTIONS_GENERAL 11
#define FBC_STRIP_INSTRUCTIONS_1(kind) (3 * (2 + 4 * FBC_STRIP_INSTRUCTIONS_##kind))
#define FBC_STRIP_INSTRUCTIONS_2(kind) (2 * (4 + 2 * FBC_STRIP_INSTRUCTIONS_##kind))

#define FBC_STRIP_ASM(is_signed, stride, kind) \
    __asm__ volatile( \
        ".option push\n" \
        ".option norvc\n" \
        "lw s0, 0(a0)\n lw s1, 4(a0)\n lw s2, 8(a0)\n lw s3, 12(a0)\n lw s4, 16(a0)\n lw s5, 20(a0)\n" \
        "lw s6, 24(a0)\n lw s7, 28(a0)\n lw s8, 32(a0)\n lw s9, 36(a0)\n lw s10, 40(a0)\n lw s11, 44(a0)\n" \
        "sw tp, 112(a0)\n sw gp, 116(a0)\n lw tp, 56(a0)\n lw gp, 60(a0)\n" \
        "lw a6, 48(a0)\n lw a7, 52(a0)\n lw ra, 80(a0)\n lw a2, 104(a0)\n lw a5, 100(a0)\n" \
        ".insn i 0x7B, 0, x0, x0, %[start]\n" /* lp.starti 0 */ \
        ".insn i 0x7B, 1, x0, x0, %[end]\n"   /* lp.endi 0 */ \
        "1: lw a3, 108(a0)\n lw t6, 96(a0)\n add a4, a3, t6\n" FBC_STRIP_NEXT_##stride \
        "sw t6, 108(a0)\n" \
        "lw t6, 84(a0)\n" \
        ".insn i 0x7B, 2, x0, t6, 0\n" /* lp.count 0 */ \
        "lw t6, 88(a0)\n" FBC_STRIP_BEGIN_##stride FBC_STRIP_LOOP_##stride( \
            kind) "lw t6, 92(a0)\n addi t6, t6, -1\n sw t6, 92(a0)\n beqz t6, 4f\n j 1b\n" \
                  "4: lw tp, 112(a0)\n lw gp, 116(a0)\n" \
                  ".option pop" \
        : \
        : "r"(block), [first] "i"((is_signed) ? 0x4C : 0x44), [more] "i"((is_signed) ? 0x5C : 0x54), \
          [start] "i"(2 * FBC_STRIP_HEAD_##stride), \
          [end] "i"(2 * (FBC_STRIP_HEAD_##stride + FBC_STRIP_INSTRUCTIONS_##stride(kind) - 2)) \
        : "ra", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", \
          "s10", "s11", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "memory")

/* All strips of a pair of channels; uses up `strips` and `output` of the block. */
#define FBC_DEFINE_STRIPS(is_signed, stride, kind) \
    static void fbc_strips_##is_signed##_##stride##_##kind(fbc_strip_pair *pair) { \
        register fbc_strip_pair *block __asm__("a0") = pair; \
        FBC_STRIP_ASM(is_signed, stride, kind); \
    }

#else

FBC_INLINE int32_t fbc_strip_dot(int32_t sum, const uint8_t *activations, uint32_t weights, uint32_t is_signed) {
    for (uint32_t lane = 0; lane < 4u; lane++) {
        sum += fbc_read_lane(activations, lane, 8u, is_signed) * (int32_t)(int8_t)(weights >> 8u * lane & 0xFFu);
    }
    return sum;
}

FBC_INLINE uint8_t fbc_strip_output(const fbc_strip_pair *pair, const uint8_t *words, uint32_t channel, uint32_t column,
                                    uint32_t is_signed, fbc_strip_kind kind) {
    int32_t sum = 0;
    for (uint32_t row = 0; row < 3u; row++) {
        sum = fbc_strip_dot(sum, words + 16u * row + 4u * channel, pair->weights[channel][column][row], is_signed);
    }
    if (kind != FBC_STRIP_PLAIN) {
        sum = fbc_clamp(sum, -pair->clamp[channel] - 1, pair->clamp[channel]);
    }
    const int32_t value = (sum * pair->multiplier[channel] + pair->addend[channel]) >> pair->shift;
    return (uint8_t)(kind == FBC_STRIP_GENERAL ? fbc_clamp(value, pair->low, pair->high) : fbc_clamp(value, 0, 255));
}

FBC_INLINE void fbc_strips_in_c(fbc_strip_pair *pair, uint32_t is_signed, uint32_t stride, fbc_strip_kind kind) {
    const uint32_t columns = stride == 1u ? 2u : 1u;
    const uint32_t steps = stride == 1u ? 3u : 2u;
    const uint32_t output_rows = pair->rest == 0u ? pair->rounds * steps : (pair->rounds - 1u) * steps + pair->rest;
    const uint8_t *words = pair->words;
    for (; pair->strips > 0u; pair->strips--) {
        uint8_t *output = pair->output;
        for (uint32_t row = 0; row < output_rows; row++) {
            for (uint32_t i = 0; i < 2u * columns; i++) {
                const uint32_t channel = i / columns, column = i % columns;
                output[column * pair->pixel_bytes + channel] =
                    fbc_strip_output(pair, words, channel, column, is_signed, kind);
            }
            words += 16u * stride;
            output += pair->row_bytes_less1 + 1u;
        }
        words += 16u * (3u - stride);
        pair->output += columns * pair->pixel_bytes;
    }
}

#define FBC_DEFINE_STRIPS(is_signed, stride, kind) \
    static void fbc_strips_##is_signed##_##stride##_##kind(fbc_strip_pair *pair) { \
        fbc_strips_in_c(pair, is_signed, stride, FBC_STRIP_##kind); \
    }

#endif

#endif
