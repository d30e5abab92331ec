/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* The 3x3 depthwise convolution, stride 1, of one channel after the other, each read where it lies: in a plane without
 * borders, a byte an element, outputs of 8 bits.
 *
 * A channel is computed down strips of two output columns. A word of a row, four pixels, holds the windows of both.
 * Strips inside begin at even columns; of an odd number of columns, the last one has a wrong right output, which the
 * strip at the edges overwrites. That one computes the last and the first column at once: its words lie across the ends
 * of rows, and its right output is the first one of the next row, the next pixel in memory as in other strips. So it
 * begins half a step earlier, with a right output, and ends with a left one.
 *
 * Rows above and below are zeros: the first and the last row of outputs leave out a row.
 *
 * Three rows stay in registers; their roles rotate, so the row loop holds three steps. Where rows are no multiple of
 * them, it is entered at a later step. */
#ifndef FBC_DEPTHWISE_CHANNELS_STRIDE_1_H
#define FBC_DEPTHWISE_CHANNELS_STRIDE_1_H

#include <stddef.h>

#include "common/fbc_requantize.h"
#include "micro/fbc_depthwise_in_place.h"
#include "micro/fbc_xpulp.h"

/* A band of output rows. The assembler knows the offsets of the members. */
typedef struct {
    uint32_t strips;         /* 0: inside */
    uint32_t edge_input;     /* 4: bytes from behind the strips inside to the one at the edges */
    uint32_t edge_output;    /* 8 */
    uint32_t inside_rounds;  /* 12: of the row loop inside, where no row is above the plane */
    uint32_t edge_entry;     /* 16: bytes to the way into it */
    uint32_t channel_input;  /* 20: bytes from behind the strip at the edges to the next channel */
    uint32_t channel_output; /* 24 */
    const uint32_t *end;     /* 28: of the filters */
    uint32_t saved[2];       /* 32: registers, by the assembler */
    uint32_t edge_way;       /* 40: edge_entry, or to what comes before it */
    uint32_t rounds;         /* 44: of the row loop, the first of which may be shorter */
    uint32_t entry;          /* 48 */
    uint32_t strip_input;    /* 52: bytes from behind the last row of a strip inside to the next one */
    uint32_t strip_output;   /* 56: bytes from the last output of a strip inside to the next one */
    uint32_t row_rest;       /* 60: of the output, from a right output to the left one of the next row */
    uint32_t mask;         /* 64: of the first row of the strip at the edges: all ones, or its right half if `above` */
    uint32_t more;         /* 68: the last window's last row is not below the plane */
    uint32_t turn;         /* 72: channels that come last, though they lie in front */
    uint32_t channels;     /* 76 */
    uint32_t planes_bytes; /* 80: of so many channels */
    uint32_t rows;
    uint32_t above; /* the first window's first row is above the plane */
} fbc_channel_run_1;

/* The cores' stacks lie in the same banks, but all of them read a run all the time: each has it at a place of its own.
 */
typedef struct {
    fbc_channel_run_1 first;
    uint32_t more[14];
} fbc_channel_room_1;

FBC_INLINE fbc_channel_run_1 *fbc_place_run_1(fbc_channel_room_1 *room) {
    return (fbc_channel_run_1 *)(void *)((uint8_t *)room + 8u * (fbc_core_id() & 7u));
}

/* The steps of the row loop. */
enum { FBC_CHANNEL_1_STEPS = 3 };

/* Bytes of the ways into the row loop: where a row is above the plane, a way computes the first row; at the edges, the
 * half step before. */
enum { FBC_CHANNEL_1_ENTER = 6 * 4, FBC_CHANNEL_1_ENTER_FIRST = 20 * 4, FBC_CHANNEL_1_ENTER_EDGE = 16 * 4 };

/* Of the ways into the row loop: from the first one to the first one of those with a row above, and at the edges to
 * what comes before without one. */
enum {
    FBC_CHANNEL_1_FIRST = 4 * FBC_CHANNEL_1_ENTER + FBC_CHANNEL_1_ENTER_FIRST,
    FBC_CHANNEL_1_BEFORE_EDGE = 4 * FBC_CHANNEL_1_ENTER_EDGE
};

#ifdef FBC_XPULPV2

_Static_assert(offsetof(fbc_channel_run_1, rows) == 84, "the assembler below has the offsets of members as numbers");

/* Registers: s0-s2 the left output's taps, s3-s5 the right one's; t0-t2 rows; t6 sum and value; a2 input, a3 output,
 * a4, a5 to the next output of a row and of the next one; s6, s7 to the next strip; a6 multiplier less 1, a7 addend, tp
 * clamp, s9 shift; s10 from row to row; s11 rounds, ra way into the loop, s8 at the edges; t3 filters, a1 scales, gp
 * addends; t4 mask; t5 more, at the edges its complement; a0 the run. gp and tp are put back at the end; only a trap
 * could miss them. */
#define FBC_CHANNEL_1_LOAD(word) ".insn r 0x0B, 7, 0x10, " word ", a2, s10\n"           /* p.lw, post-increment */
#define FBC_CHANNEL_1_TAKE(word, pointer) ".insn i 0x0B, 2, " word ", " pointer ", 4\n" /* p.lw, post-increment */
#define FBC_CHANNEL_1_TAKE_TWO(word, pointer) ".insn i 0x0B, 2, " word ", " pointer ", 8\n"
#define FBC_CHANNEL_1_STRIPS(count) ".insn i 0x7B, 2, x1, " count ", 0\n" /* lp.count 1 */
#define FBC_CHANNEL_1_START ".insn i 0x7B, 0, x1, x0, 2\n"                /* lp.starti 1: the next instruction */
#define FBC_CHANNEL_1_COUNT(count) ".insn i 0x7B, 2, x0, " count ", 0\n"  /* lp.count 0 */
#define FBC_CHANNEL_1_LEFT_HALF(taps) ".insn r 0x33, 5, 0x08, " taps ", " taps ", x0\n"  /* p.exthz */
#define FBC_CHANNEL_1_RIGHT_HALF(taps) ".insn r 0x33, 3, 0x6F, " taps ", " taps ", x0\n" /* p.bclr: 16 bits from 0 */
#define FBC_CHANNEL_1_DOT(code, row, taps) ".insn r 0x57, 1, %[" code "], t6, " row ", " taps "\n"
#define FBC_CHANNEL_1_SCALE \
    ".insn r 0x33, 0, 0x21, t6, t6, a6\n" /* p.mac in place */ \
    ".insn r 0x5B, 2, 0x20, t6, a7, s9\n" /* p.addNr */ \
    ".insn r 0x33, 2, 0x0A, t6, t6, x9\n" /* p.clipu: 8 bits */
#define FBC_CHANNEL_1_PLAIN FBC_CHANNEL_1_SCALE
#define FBC_CHANNEL_1_CLAMPED ".insn r 0x33, 5, 0x0A, t6, t6, tp\n" FBC_CHANNEL_1_SCALE /* p.clip */
#define FBC_CHANNEL_1_STORE(step) ".insn r 0x2B, 4, 0, " step ", a3, t6\n"              /* p.sb, post-increment */
#define FBC_CHANNEL_1_END(kind, step) FBC_CHANNEL_1_##kind FBC_CHANNEL_1_STORE(step)

/* An output of one, two, three rows. */
#define FBC_CHANNEL_1_OF_1(kind, a, u, step) FBC_CHANNEL_1_DOT("first", a, u) FBC_CHANNEL_1_END(kind, step)
#define FBC_CHANNEL_1_OF_2(kind, a, b, u, v, step) \
    FBC_CHANNEL_1_DOT("first", a, u) FBC_CHANNEL_1_DOT("more", b, v) FBC_CHANNEL_1_END(kind, step)
#define FBC_CHANNEL_1_OF_3(kind, a, b, c, u, v, w, step) \
    FBC_CHANNEL_1_DOT("first", a, u) \
    FBC_CHANNEL_1_DOT("more", b, v) FBC_CHANNEL_1_DOT("more", c, w) FBC_CHANNEL_1_END(kind, step)

/* One output row of a strip. */
#define FBC_CHANNEL_1_STEP(kind, a, b, c) \
    FBC_CHANNEL_1_LOAD(c) \
    FBC_CHANNEL_1_OF_3(kind, a, b, c, "s0", "s1", "s2", "a4") FBC_CHANNEL_1_OF_3(kind, a, b, c, "s3", "s4", "s5", "a5")

/* Where a way leads: behind the row loop, to its steps from the last one on. */
#define FBC_CHANNEL_1_TO_0(count) "j 84f\n nop\n"
#define FBC_CHANNEL_1_TO_1(count) FBC_CHANNEL_1_COUNT(count) "j 83f\n"
#define FBC_CHANNEL_1_TO_2(count) FBC_CHANNEL_1_COUNT(count) "j 82f\n"
#define FBC_CHANNEL_1_TO_3(count) FBC_CHANNEL_1_COUNT(count) "j 81f\n"
#define FBC_CHANNEL_1_FALL_TO_3(count) FBC_CHANNEL_1_COUNT(count)
#define FBC_CHANNEL_1_BACK_TO_0(count) "j 84b\n nop\n"
#define FBC_CHANNEL_1_BACK_TO_1(count) FBC_CHANNEL_1_COUNT(count) "j 83b\n"
#define FBC_CHANNEL_1_BACK_TO_2(count) FBC_CHANNEL_1_COUNT(count) "j 82b\n"
#define FBC_CHANNEL_1_BACK_TO_3(count) FBC_CHANNEL_1_COUNT(count) "j 81b\n"

/* What is executed for each channel lies in as few lines of 16 bytes as possible: a core's own buffer has 32 of them. A
 * way of so many instructions without and with clamp takes so many. */
#define FBC_CHANNEL_1_FILL_PLAIN(plain, clamped, all) ".rept " #all " - " #plain "\n nop\n .endr\n"
#define FBC_CHANNEL_1_FILL_CLAMPED(plain, clamped, all) ".rept " #all " - " #clamped "\n nop\n .endr\n"

#define FBC_CHANNEL_1_ENTER(a, b, c, to) \
    FBC_CHANNEL_1_START FBC_CHANNEL_1_LOAD(a) FBC_CHANNEL_1_LOAD(b) "lw " c ", 12(a0)\n" FBC_CHANNEL_1_##to(c)
#define FBC_CHANNEL_1_ENTER_FIRST(kind, a, b, to) \
    FBC_CHANNEL_1_START FBC_CHANNEL_1_LOAD(a) FBC_CHANNEL_1_LOAD(b) FBC_CHANNEL_1_OF_2(kind, a, b, "s1", "s2", "a4") \
        FBC_CHANNEL_1_OF_2(kind, a, b, "s4", "s5", "a5") FBC_CHANNEL_1_##to("s11")
/* The first row's left half is above the plane, or not. */
#define FBC_CHANNEL_1_MASK(word) "and " word ", " word ", t4\n"
#define FBC_CHANNEL_1_ENTER_EDGE(kind, a, b, to) \
    FBC_CHANNEL_1_LOAD(a) \
    FBC_CHANNEL_1_LOAD(b) \
    FBC_CHANNEL_1_DOT("more", a, "s4") \
    FBC_CHANNEL_1_DOT("more", b, "s5") \
    FBC_CHANNEL_1_END(kind, "a5") FBC_CHANNEL_1_MASK(a) FBC_CHANNEL_1_##to("s11") FBC_CHANNEL_1_FILL_##kind(11, 12, 16)

/* The only row of a plane. */
#define FBC_CHANNEL_1_ONLY(kind) \
    FBC_CHANNEL_1_START FBC_CHANNEL_1_LOAD("t0") FBC_CHANNEL_1_OF_1(kind, "t0", "s1", "a4") \
        FBC_CHANNEL_1_OF_1(kind, "t0", "s4", "s7") "j 4f\n" FBC_CHANNEL_1_FILL_##kind(13, 15, 20)
/* At the edges the only row of a band above the plane's end. */
#define FBC_CHANNEL_1_EDGE_ONLY(kind) \
    FBC_CHANNEL_1_LOAD("t0") \
    FBC_CHANNEL_1_DOT("more", "t0", "s4") \
    FBC_CHANNEL_1_END(kind, "a5") \
    FBC_CHANNEL_1_COMPLEMENT FBC_CHANNEL_1_MASK("t0") FBC_CHANNEL_1_LOAD("t1") FBC_CHANNEL_1_DOT("first", "t0", "s0") \
        FBC_CHANNEL_1_DOT("more", "t1", "s1") "j 7b\n" FBC_CHANNEL_1_FILL_##kind(12, 13, 16)
/* At the edges the first row of the half step, if it is not above the plane. */
#define FBC_CHANNEL_1_EDGE_BEFORE \
    FBC_CHANNEL_1_LOAD("t0") \
    FBC_CHANNEL_1_DOT("first", "t0", "s3") "lw t0, 16(a0)\n lla t1, 8b\n add t0, t0, t1\n jr t0\n"

#define FBC_CHANNEL_1_ENTRIES(kind) \
    FBC_CHANNEL_1_ENTER("t0", "t1", "t2", TO_0) \
    FBC_CHANNEL_1_ENTER("t2", "t0", "t1", TO_1) \
    FBC_CHANNEL_1_ENTER("t1", "t2", "t0", TO_2) \
    FBC_CHANNEL_1_ENTER("t0", "t1", "t2", TO_3) \
    FBC_CHANNEL_1_ONLY(kind) \
    FBC_CHANNEL_1_ENTER_FIRST(kind, "t0", "t1", TO_0) \
    FBC_CHANNEL_1_FILL_##kind(17, 19, 20) FBC_CHANNEL_1_ENTER_FIRST(kind, "t2", "t0", TO_1) \
        FBC_CHANNEL_1_FILL_##kind(17, 19, 20) FBC_CHANNEL_1_ENTER_FIRST(kind, "t1", "t2", TO_2) \
            FBC_CHANNEL_1_FILL_##kind(17, 19, 20) FBC_CHANNEL_1_ENTER_FIRST(kind, "t0", "t1", FALL_TO_3)
#define FBC_CHANNEL_1_EDGE_ENTRIES(kind) \
    FBC_CHANNEL_1_FILL_##kind(2, 4, 4) \
        FBC_CHANNEL_1_EDGE_ONLY(kind) "8:\n" FBC_CHANNEL_1_ENTER_EDGE(kind, "t0", "t1", BACK_TO_0) \
            FBC_CHANNEL_1_ENTER_EDGE(kind, "t2", "t0", BACK_TO_1) \
                FBC_CHANNEL_1_ENTER_EDGE(kind, "t1", "t2", BACK_TO_2) \
                    FBC_CHANNEL_1_ENTER_EDGE(kind, "t0", "t1", BACK_TO_3) FBC_CHANNEL_1_EDGE_BEFORE

#define FBC_CHANNEL_1_LOOP(kind) \
    "81:\n" FBC_CHANNEL_1_STEP(kind, "t0", "t1", "t2") "82:\n" FBC_CHANNEL_1_STEP( \
        kind, "t1", "t2", "t0") "83:\n" FBC_CHANNEL_1_STEP(kind, "t2", "t0", "t1")

#define FBC_CHANNEL_1_SCALES_PLAIN FBC_CHANNEL_1_TAKE_TWO("a6", "a1")
#define FBC_CHANNEL_1_SCALES_CLAMPED FBC_CHANNEL_1_TAKE("a6", "a1") FBC_CHANNEL_1_TAKE("tp", "a1")
#define FBC_CHANNEL_1_RIGHT_TAPS "slli s3, s0, 8\n slli s4, s1, 8\n slli s5, s2, 8\n"
#define FBC_CHANNEL_1_CHANNEL(kind) \
    "9: lw t0, 0(a0)\n" FBC_CHANNEL_1_TAKE("s0", "t3") FBC_CHANNEL_1_TAKE("s1", "t3") FBC_CHANNEL_1_TAKE("s2", "t3") \
        FBC_CHANNEL_1_SCALES_##kind FBC_CHANNEL_1_TAKE("a7", "gp") \
            FBC_CHANNEL_1_RIGHT_TAPS FBC_CHANNEL_1_STRIPS("t0") "jr ra\n"
/* Behind the row loop: the last row of a plane; of a band above it, all rows are done. */
#define FBC_CHANNEL_1_LAST(kind) \
    "84: bnez t5, 5f\n" FBC_CHANNEL_1_OF_2(kind, "t0", "t1", "s0", "s1", "a4") \
        FBC_CHANNEL_1_OF_2(kind, "t0", "t1", "s3", "s4", "s7") "4: add a2, a2, s6\n"
#define FBC_CHANNEL_1_COMPLEMENT "not t5, t5\n"
#define FBC_CHANNEL_1_TO_EDGE "lw t0, 4(a0)\n lw t1, 8(a0)\n li t6, 0\n add a2, a2, t0\n add a3, a3, t1\n jr s8\n"
#define FBC_CHANNEL_1_EDGE \
    FBC_CHANNEL_1_LEFT_HALF("s0") \
    FBC_CHANNEL_1_LEFT_HALF("s1") \
    FBC_CHANNEL_1_LEFT_HALF("s2") \
    FBC_CHANNEL_1_RIGHT_HALF("s3") \
    FBC_CHANNEL_1_RIGHT_HALF("s4") FBC_CHANNEL_1_RIGHT_HALF("s5") FBC_CHANNEL_1_COMPLEMENT FBC_CHANNEL_1_TO_EDGE
#define FBC_CHANNEL_1_NEXT "2: lw t0, 20(a0)\n lw t1, 28(a0)\n add a2, a2, t0\n bne t3, t1, 9b\n"
/* Behind the last channel: to the first one, if the core did not begin there. */
#define FBC_CHANNEL_1_TURN \
    "lw t0, 72(a0)\n beqz t0, 1f\n lw t1, 76(a0)\n lw t2, 80(a0)\n sw zero, 72(a0)\n sub a2, a2, t2\n" \
    "sub a3, a3, t1\n slli t1, t1, 2\n sub gp, gp, t1\n sub t3, t3, t1\n slli t1, t1, 1\n sub a1, a1, t1\n" \
    "sub t3, t3, t1\n slli t1, t0, 3\n slli t0, t0, 2\n add t0, t0, t1\n add t0, t0, t3\n sw t0, 28(a0)\n" \
    "j 9b\n"
/* Of a band above the plane's end: at the edges, inside. */
#define FBC_CHANNEL_1_DONE \
    "3: lw t0, 24(a0)\n sub a3, a3, a4\n add a3, a3, t0\n j 2b\n" \
    "6: add a3, a3, s7\n sub a3, a3, a5\n j 4b\n"
/* At the edges behind the row loop: the last left output, of a plane the last one but one, and the last outputs. */
#define FBC_CHANNEL_1_EDGE_LAST(kind) \
    "5: bgtz t5, 6f\n" FBC_CHANNEL_1_LOAD("t2") FBC_CHANNEL_1_OF_3(kind, "t0", "t1", "t2", "s0", "s1", "s2", "a4") \
        FBC_CHANNEL_1_COMPLEMENT "bnez t5, 3f\n" FBC_CHANNEL_1_OF_2(kind, "t0", "t1", "s3", "s4", "a5") \
            FBC_CHANNEL_1_DOT("first", "t1", "s0") \
                FBC_CHANNEL_1_DOT("more", "t2", "s1") "7: lw t0, 24(a0)\n" FBC_CHANNEL_1_END(kind, "t0") \
                    FBC_CHANNEL_1_NEXT FBC_CHANNEL_1_TURN FBC_CHANNEL_1_DONE

/* Instructions. */
#define FBC_CHANNEL_1_COMPUTED_PLAIN 7 /* of an output of three rows */
#define FBC_CHANNEL_1_COMPUTED_CLAMPED 8
#define FBC_CHANNEL_1_BEGUN 12 /* of a channel */
/* From lp.starti 0 to the row loop, of that, and from it to the end of a strip inside. */
#define FBC_CHANNEL_1_HEAD(kind) \
    (3 + FBC_CHANNEL_1_BEGUN + (FBC_CHANNEL_1_FIRST + 3 * FBC_CHANNEL_1_ENTER_FIRST) / 4 + 2 + \
     2 * FBC_CHANNEL_1_COMPUTED_##kind)
#define FBC_CHANNEL_1_ROUND(kind) (FBC_CHANNEL_1_STEPS * (1 + 2 * FBC_CHANNEL_1_COMPUTED_##kind))
#define FBC_CHANNEL_1_TAIL(kind) (2 * FBC_CHANNEL_1_COMPUTED_##kind)

#define FBC_CHANNEL_1_ASM(is_signed, kind) \
    __asm__ volatile( \
        ".balign 16\n .option push\n .option norvc\n .option norelax\n" \
        "sw gp, 32(a0)\n sw tp, 36(a0)\n mv t3, a4\n mv gp, a5\n" \
        "lw t0, 48(a0)\n lw t1, 40(a0)\n lla ra, 11f\n lla s8, 8f\n add ra, ra, t0\n add s8, s8, t1\n" \
        "lhu a4, %[pixel_bytes](a7)\n lhu s10, %[row_bytes](a7)\n lbu s9, %[shift](a7)\n" \
        "lw s11, 44(a0)\n lw s6, 52(a0)\n lw s7, 56(a0)\n lw a5, 60(a0)\n lw t4, 64(a0)\n lw t5, 68(a0)\n" \
        ".insn i 0x7B, 0, x0, x0, %[start]\n" /* lp.starti 0 */ \
        ".insn i 0x7B, 1, x0, x0, %[end]\n"   /* lp.endi 0 */ \
        ".insn i 0x7B, 1, x1, x0, %[last]\n"  /* lp.endi 1 */ \
        FBC_CHANNEL_1_CHANNEL(kind) FBC_CHANNEL_1_FILL_##kind(11, 12, 12) "11:\n" FBC_CHANNEL_1_ENTRIES(kind) \
            FBC_CHANNEL_1_LOOP(kind) FBC_CHANNEL_1_LAST(kind) FBC_CHANNEL_1_EDGE FBC_CHANNEL_1_EDGE_LAST(kind) \
                FBC_CHANNEL_1_EDGE_ENTRIES(kind) "1: lw gp, 32(a0)\n lw tp, 36(a0)\n" \
                                                 ".option pop" \
        : "+r"(a0), "+r"(a1), "+r"(a2), "+r"(a3), "+r"(a4), "+r"(a5), "+r"(a7) \
        : [first] "i"((is_signed) ? 0x4C : 0x44), [more] "i"((is_signed) ? 0x5C : 0x54), \
          [pixel_bytes] "i"(offsetof(fbc_conv_args, output_channels)), \
          [row_bytes] "i"(offsetof(fbc_conv_args, input_width)), \
          [shift] "i"(offsetof(fbc_conv_args, requantization.shift)), [start] "i"(2 * FBC_CHANNEL_1_HEAD(kind)), \
          [end] "i"(2 * (FBC_CHANNEL_1_HEAD(kind) + FBC_CHANNEL_1_ROUND(kind) - 2)), \
          [last] "i"(2 * (FBC_CHANNEL_1_HEAD(kind) + FBC_CHANNEL_1_ROUND(kind) + FBC_CHANNEL_1_TAIL(kind) - 3)) \
        : "ra", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", \
          "s10", "s11", "a6", "memory")

#define FBC_CHANNEL_1_REGISTER(name, type, value) register type name __asm__(#name) = (value)
#define FBC_CHANNEL_1_RUN(is_signed, kind) FBC_CHANNEL_1_ASM(is_signed, kind)

#else

enum { FBC_CHANNEL_1_PLAIN, FBC_CHANNEL_1_CLAMPED };

/* The sum of a window whose middle is at `column` of the row `middle`. */
FBC_INLINE int32_t fbc_window_sum(const uint8_t *middle, const uint32_t *filter, uint32_t column, uint32_t width,
                                  uint32_t first, uint32_t rows, uint32_t is_signed) {
    int32_t sum = 0;
    for (uint32_t row = first; row < rows; row++) {
        for (uint32_t tap = column == 0u; tap < 3u - (column + 1u == width); tap++) {
            const uint8_t *value = middle + ((ptrdiff_t)row - 1) * (ptrdiff_t)width + column + tap - 1;
            sum += fbc_read_lane(value, 0u, 8u, is_signed) * (int8_t)(filter[row] >> 8u * tap & 0xFFu);
        }
    }
    return sum;
}

FBC_INLINE void fbc_channels_1_in_c(const fbc_channel_run_1 *run, const fbc_scale *scales, const uint8_t *input,
                                    uint8_t *output, const uint32_t *filters, const int32_t *addends,
                                    const fbc_conv_args *args, uint32_t is_signed, uint32_t clamped) {
    const uint32_t width = args->input_width, shift = args->requantization.shift;
    filters -= 3u * run->turn;
    scales -= run->turn;
    addends -= run->turn;
    output -= run->turn;
    const uint32_t plane_bytes = run->channel_input - run->strip_input + width;
    input -= run->turn * plane_bytes;
    for (; filters < run->end; filters += 3, scales++, addends++, output++, input += plane_bytes) {
        const uint8_t *middle = input + (1u - run->above) * width;
        uint8_t *pixel = output - args->output_channels; /* the first one of the strips inside is the second one */
        for (uint32_t row = 0; row < run->rows; row++, middle += width) {
            const uint32_t first = row == 0u && run->above, rows = row + 1u == run->rows && !run->more ? 2u : 3u;
            for (uint32_t column = 0; column < width; column++, pixel += args->output_channels) {
                const int32_t sum = fbc_window_sum(middle, filters, column, width, first, rows, is_signed);
                const int32_t clipped = clamped ? fbc_clamp(sum, -scales->clamp - 1, scales->clamp) : sum;
                const int32_t scaled = fbc_multiply_less_one(clipped, scales->multiplier) + *addends;
                *pixel = (uint8_t)fbc_clamp(scaled >> shift, 0, 255);
            }
        }
    }
}

#define FBC_CHANNEL_1_REGISTER(name, type, value) type name = (value)
#define FBC_CHANNEL_1_RUN(is_signed, kind) \
    fbc_channels_1_in_c(a0, a1, a2, a3, a4, a5, a7, is_signed, FBC_CHANNEL_1_##kind)

#endif

/* So many rows as rounds of the row loop, and the way into it: -1 past it and the row behind, 0 past it, else the rows
 * of the first round. */
typedef struct {
    uint32_t rounds;
    uint32_t way;
} fbc_row_loop_1;

FBC_INLINE fbc_row_loop_1 fbc_enter_rows_1(uint32_t rows) {
    const uint32_t rounds = fbc_third(rows + 2u);
    const fbc_row_loop_1 loop = {rounds, (int32_t)rows <= 0 ? rows : rows + 3u - 3u * rounds};
    return loop;
}

/* What does not depend on the channels, planes of which lie `plane_bytes` apart: `rows` output rows from `row` on. */
FBC_INLINE void fbc_begin_band_1(const fbc_conv_args *args, uint32_t row, uint32_t rows, uint32_t plane_bytes,
                                 fbc_channel_run_1 *run) {
    const uint32_t height = args->input_height, width = args->input_width, pixel_bytes = args->output_channels;
    const uint32_t row_bytes = width * pixel_bytes, row_rest = row_bytes - pixel_bytes, odd = width & 1u;
    const uint32_t above = row == 0u ? args->pad_top : 0u, below = row + rows + 2u - args->pad_top > height;
    const uint32_t read = (rows + 2u - above - below) * width;
    /* The strip at the edges computes one row less, but no first one apart. */
    const fbc_row_loop_1 loop = fbc_enter_rows_1(rows - 1u - below);
    run->rounds = loop.rounds;
    run->edge_entry = run->edge_way = loop.way * FBC_CHANNEL_1_ENTER_EDGE;
    run->entry = FBC_CHANNEL_1_FIRST + loop.way * FBC_CHANNEL_1_ENTER_FIRST;
    run->mask = 0xFFFF0000u;
    if (!FBC_USUALLY(above != 0u)) {
        const fbc_row_loop_1 inside = fbc_enter_rows_1(rows - below);
        run->inside_rounds = inside.rounds;
        run->entry = inside.way * FBC_CHANNEL_1_ENTER;
        run->edge_way = FBC_CHANNEL_1_BEFORE_EDGE;
        run->mask = 0xFFFFFFFFu;
    }
    run->more = 1u - below;
    run->rows = rows;
    run->above = above;
    run->strips = (width - 1u) >> 1;
    run->row_rest = row_rest;
    run->strip_input = 2u - read;
    run->strip_output = pixel_bytes - (rows - 1u) * row_bytes;
    run->edge_input = 0u - width - odd;
    run->edge_output = 0u - row_rest - (odd ? pixel_bytes : 0u);
    run->channel_input = plane_bytes - width + run->strip_input;
    run->channel_output = run->strip_output - row_rest + 1u;
}

/* The first of the strips inside at the output row `row`, first channel. */
FBC_INLINE uint8_t *fbc_output_row_1(const fbc_conv_args *args, uint32_t row) {
    return (uint8_t *)args->output + (row * args->input_width + 1u) * args->output_channels;
}

/* The channels of a run, from `channel` on; `input` is the first row that the band reads of that one, `output` its
 * first row of outputs. */
FBC_INLINE void fbc_compute_band_1(const fbc_conv_args *args, uint32_t channel, const uint8_t *input, uint8_t *output,
                                   const uint32_t *filters, fbc_channel_run_1 *run) {
    const uint32_t is_signed = args->activation_signed, clamped = args->requantization.clamped;
    FBC_CHANNEL_1_REGISTER(a0, fbc_channel_run_1 *, run);
    FBC_CHANNEL_1_REGISTER(a1, const fbc_scale *, args->requantization.scale + channel);
    FBC_CHANNEL_1_REGISTER(a2, const uint8_t *, input);
    FBC_CHANNEL_1_REGISTER(a3, uint8_t *, output + channel);
    FBC_CHANNEL_1_REGISTER(a4, const uint32_t *, filters);
    FBC_CHANNEL_1_REGISTER(a5, const int32_t *, (const int32_t *)args->requantization.addend + channel);
    FBC_CHANNEL_1_REGISTER(a7, const fbc_conv_args *, args);
    if (is_signed && clamped) {
        FBC_CHANNEL_1_RUN(1, CLAMPED);
    } else if (is_signed) {
        FBC_CHANNEL_1_RUN(1, PLAIN);
    } else if (clamped) {
        FBC_CHANNEL_1_RUN(0, CLAMPED);
    } else {
        FBC_CHANNEL_1_RUN(0, PLAIN);
    }
}

#endif
