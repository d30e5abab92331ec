/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* The 3x3 depthwise convolution of one pair of channels after the other, each read where it lies: in a plane of
 * elements of 4 or 2 bits without borders; weights of as many bits; requantization less one, by a shift of 16, clipped
 * to all outputs, which have as many bits.
 *
 * A pair is computed down strips of two output columns. A word of a row, 8 or 16 pixels, holds the windows of both, so
 * that the taps of both outputs lie in a word each, at other places. Words begin at whole bytes; at the edges, what of
 * the taps is beside the plane leaves the word. Therefore strips come in phases with taps of their own. Words may reach
 * beyond their row, where they meet zeros, and three bytes beyond the tile. Rows above and below are zeros: the first
 * row is masked, the last outputs leave out the third row.
 *
 * Three rows of both channels stay in registers; their roles rotate as in micro/fbc_depthwise_channels_2.h. */
#ifndef FBC_DEPTHWISE_PAIRS_H
#define FBC_DEPTHWISE_PAIRS_H

#include "common/fbc_requantize.h"
#include "micro/fbc_xpulp.h"

enum { FBC_PAIR_PHASES = 4, FBC_PAIR_SHIFT = 16 };

/* Strips that have their taps at the same places: row of the filter << up >> down. The assembler knows the offsets of
 * the members of both structs. */
typedef struct {
    uint32_t strips;      /* 0 behind the last phase */
    uint32_t input_step;  /* bytes from behind the phase before, or from the plane, to the word */
    uint32_t output_step; /* likewise to the left output */
    uint32_t left_up;
    uint32_t left_down;
    uint32_t right_up;
    uint32_t right_down;
    uint32_t input_next;  /* bytes from behind the last row of a strip to the next one */
    uint32_t output_next; /* likewise of the output */
} fbc_pair_phase;

typedef struct {
    const uint8_t *filters;      /* 0: of the next pair: three rows of three taps and a zero of each channel */
    const fbc_scale *scales;     /* 4: less one */
    const int32_t *addends;      /* 8 */
    const uint8_t *plane;        /* 12: of the first channel, the first row that is read */
    uint8_t *output;             /* 16: of the first pixel */
    uint32_t pairs;              /* 20: at least 1 */
    uint32_t plane_bytes;        /* 24: from channel to channel */
    uint32_t pixel_bytes;        /* 28: of the output */
    uint32_t row_rest;           /* 32: of the output, from a right output to the left one of the next row */
    uint32_t row_bytes;          /* 36: of a plane */
    uint32_t rounds;             /* 40: of the row loop, the first of which may be shorter */
    uint32_t entry;              /* 44: bytes to the way into it */
    uint32_t first_mask;         /* 48: 0 if the first window's first row is above the plane, else all ones */
    uint32_t first_step;         /* 52: bytes from that row to the next one that is read */
    uint32_t below;              /* 56: the last window's last row is below the plane */
    uint32_t filter_step;        /* 60: bytes from pair to pair */
    uint32_t scale_step;         /* 64 */
    uint32_t addend_step;        /* 68 */
    uint32_t plane_step;         /* 72 */
    uint32_t output_step;        /* 76 */
    const fbc_pair_phase *phase; /* 80: by the assembler */
    uint32_t way;                /* 84: address of the way into the row loop, by the assembler */
    uint32_t saved[3];           /* 88: registers, by the assembler */
    fbc_pair_phase phases[FBC_PAIR_PHASES + 1]; /* 100 */
    uint32_t output_rows;                       /* as many as the rounds make */
    uint32_t input_bytes;                       /* from a strip's first row to behind its last one */
} fbc_pair_run;

/* Bytes of a way into the row loop, by stride. */
enum { FBC_PAIR_ENTRY_1 = 12 * 4, FBC_PAIR_ENTRY_2 = 10 * 4 };

#ifdef FBC_XPULPNN

_Static_assert(sizeof(fbc_pair_phase) == 36, "the assembler below has the offsets of members as numbers");
_Static_assert(offsetof(fbc_pair_run, phases) == 100, "the assembler below has the offsets of members as numbers");

/* Registers: s0-s2 and s3-s5 taps of the left and the right output of the first channel, s6-s8 and s9-s11 of the
 * second; t0-t2 and t3-t5 their rows; t6, a1 sums and values; a2, ra planes, a0 from row to row; a3 output, a4, a5 to
 * the next output of a row and of the next one; a6, a7 multipliers less 1, gp, tp addends; sp the run. gp, tp and sp
 * are put back at the end; only a trap could miss them. */
#define FBC_PAIR_LOAD(word, pointer, step) ".insn r 0x0B, 7, 0x10, " word ", " pointer ", " step "\n" /* p.lw */
#define FBC_PAIR_NEXT(first, second) FBC_PAIR_LOAD(first, "a2", "a0") FBC_PAIR_LOAD(second, "ra", "a0")
#define FBC_PAIR_COUNT ".insn i 0x7B, 2, x0, t6, 0\n"             /* lp.count 0 */
#define FBC_PAIR_FIELD(word) ".insn i 0x0B, 2, " word ", t6, 4\n" /* p.lw, post-increment */
#define FBC_PAIR_DOT(code, sum, row, taps) ".insn r 0x57, 2, %[" code "], " sum ", " row ", " taps "\n"
#define FBC_PAIR_DOTS_2(sum, a, b, c, u, v, w) FBC_PAIR_DOT("first", sum, a, u) FBC_PAIR_DOT("more", sum, b, v)
#define FBC_PAIR_DOTS_3(sum, a, b, c, u, v, w) FBC_PAIR_DOTS_2(sum, a, b, c, u, v, w) FBC_PAIR_DOT("more", sum, c, w)
/* p.mac in place, p.addN: the sum shifted by an immediate, p.clipu with one. */
#define FBC_PAIR_SCALE(sum, less_one, addend) \
    ".insn r 0x33, 0, 0x21, " sum ", " sum ", " less_one "\n" \
    ".insn r 0x5B, 2, %[shift], " sum ", " sum ", " addend "\n" \
    ".insn r 0x33, 2, 0x0A, " sum ", " sum ", x%[clip]\n"
/* Both values into a byte; two bits each into its lower half, or into its upper half, the lower being there already. */
#define FBC_PAIR_INSERT(code, word, part, position) \
    ".insn r 0x33, 2, " code ", " word ", " part ", " position "\n"                    /* p.insert */
#define FBC_PAIR_STORE_BYTE(word, step) ".insn r 0x2B, 4, 0, " step ", a3, " word "\n" /* p.sb */
#define FBC_PAIR_STORE_4(step) FBC_PAIR_INSERT("0x63", "t6", "a1", "x4") FBC_PAIR_STORE_BYTE("t6", step)
#define FBC_PAIR_STORE_2L(step) FBC_PAIR_INSERT("0x61", "t6", "a1", "x2") FBC_PAIR_STORE_BYTE("t6", step)
#define FBC_PAIR_STORE_2H(step) \
    FBC_PAIR_INSERT("0x61", "t6", "a1", "x2") \
    "lbu a1, 0(a3)\n" FBC_PAIR_INSERT("0x63", "a1", "t6", "x4") FBC_PAIR_STORE_BYTE("a1", step)

/* An output of both channels: `dots` of rows a, b, c with the taps u, v, w and d, e, f with x, y, z. */
#define FBC_PAIR_OUTPUT(dots, store, a, b, c, d, e, f, u, v, w, x, y, z, step) \
    dots("t6", a, b, c, u, v, w) FBC_PAIR_SCALE("t6", "a6", "gp") dots("a1", d, e, f, x, y, z) \
        FBC_PAIR_SCALE("a1", "a7", "tp") store(step)
/* One output row of a strip, behind the loads of its rows. */
#define FBC_PAIR_ROW(load, dots, store, a, b, c, d, e, f) \
    load FBC_PAIR_OUTPUT(dots, store, a, b, c, d, e, f, "s0", "s1", "s2", "s6", "s7", "s8", "a4") \
        FBC_PAIR_OUTPUT(dots, store, a, b, c, d, e, f, "s3", "s4", "s5", "s9", "s10", "s11", "a5")
#define FBC_PAIR_LOADS_1(b, c, e, f) FBC_PAIR_NEXT(c, f)
#define FBC_PAIR_LOADS_2(b, c, e, f) FBC_PAIR_NEXT(b, e) FBC_PAIR_NEXT(c, f)
#define FBC_PAIR_STEP(stride, store, a, b, c, d, e, f) \
    FBC_PAIR_ROW(FBC_PAIR_LOADS_##stride(b, c, e, f), FBC_PAIR_DOTS_3, FBC_PAIR_STORE_##store, a, b, c, d, e, f)
#define FBC_PAIR_LOWEST_LOAD_1
#define FBC_PAIR_LOWEST_LOAD_2 FBC_PAIR_NEXT("t1", "t4")

/* Ways into the row loop, all but the last of equally many instructions: to the last row, to its steps from the last
 * one on. */
#define FBC_PAIR_FIRST_ROW(a, d) \
    ".insn i 0x7B, 0, x1, x0, 2\n" /* lp.starti 1: the next instruction */ \
    "lw t6, 52(sp)\n lw a1, 48(sp)\n" FBC_PAIR_LOAD(a, "a2", "t6") FBC_PAIR_LOAD(d, "ra", "t6")
#define FBC_PAIR_MASK(a, d) "and " a ", " a ", a1\n and " d ", " d ", a1\n"
#define FBC_PAIR_ENTER_1(a, b, d, e, then) \
    FBC_PAIR_FIRST_ROW(a, d) FBC_PAIR_NEXT(b, e) "lw t6, 40(sp)\n" FBC_PAIR_MASK(a, d) FBC_PAIR_COUNT then
#define FBC_PAIR_ENTER_2(a, d, then) FBC_PAIR_FIRST_ROW(a, d) "lw t6, 40(sp)\n" FBC_PAIR_MASK(a, d) FBC_PAIR_COUNT then
#define FBC_PAIR_ENTRIES_1 \
    FBC_PAIR_FIRST_ROW("t0", "t3") \
    FBC_PAIR_NEXT("t1", "t4") \
    FBC_PAIR_MASK("t0", "t3") \
    "j 84f\n nop\n nop\n" FBC_PAIR_ENTER_1("t2", "t0", "t5", "t3", "j 83f\n") \
        FBC_PAIR_ENTER_1("t1", "t2", "t4", "t5", "j 82f\n") FBC_PAIR_ENTER_1("t0", "t1", "t3", "t4", )
#define FBC_PAIR_ENTRIES_2 \
    FBC_PAIR_FIRST_ROW("t0", "t3") \
    FBC_PAIR_MASK("t0", "t3") \
    "j 84f\n nop\n nop\n" FBC_PAIR_ENTER_2("t2", "t5", "j 82f\n") FBC_PAIR_ENTER_2("t0", "t3", )
#define FBC_PAIR_LOOP_1(store) \
    FBC_PAIR_STEP(1, store, "t0", "t1", "t2", "t3", "t4", "t5") \
    "82:\n" FBC_PAIR_STEP(1, store, "t1", "t2", "t0", "t4", "t5", "t3") "83:\n" FBC_PAIR_STEP(1, store, "t2", "t0", \
                                                                                              "t1", "t5", "t3", "t4")
#define FBC_PAIR_LOOP_2(store) \
    FBC_PAIR_STEP(2, store, "t0", "t1", "t2", "t3", "t4", "t5") \
    "82:\n" FBC_PAIR_STEP(2, store, "t2", "t1", "t0", "t5", "t4", "t3")

#define FBC_PAIR_NEXT_PAIR \
    "9: lw t0, 4(sp)\n lw t1, 8(sp)\n lw a2, 12(sp)\n lw t2, 24(sp)\n lw a3, 16(sp)\n" \
    "lw a6, 0(t0)\n lw a7, 8(t0)\n lw gp, 0(t1)\n lw tp, 4(t1)\n lw t5, 64(sp)\n lw t6, 68(sp)\n" \
    "add t0, t0, t5\n add t1, t1, t6\n sw t0, 4(sp)\n sw t1, 8(sp)\n lw t5, 72(sp)\n lw t6, 76(sp)\n" \
    "add ra, a2, t2\n add t5, a2, t5\n add t6, a3, t6\n sw t5, 12(sp)\n sw t6, 16(sp)\n" \
    "addi t0, sp, 100\n sw t0, 80(sp)\n"
#define FBC_PAIR_FILTER_4 \
    "lhu s0, 0(a1)\n lhu s1, 2(a1)\n lhu s2, 4(a1)\n lhu s6, 6(a1)\n lhu s7, 8(a1)\n lhu s8, 10(a1)\n"
#define FBC_PAIR_FILTER_2 \
    "lbu s0, 0(a1)\n lbu s1, 1(a1)\n lbu s2, 2(a1)\n lbu s6, 3(a1)\n lbu s7, 4(a1)\n lbu s8, 5(a1)\n"
#define FBC_PAIR_SHIFT_3(code, x, y, z, from_x, from_y, from_z, by) \
    code " " x ", " from_x ", " by "\n " code " " y ", " from_y ", " by "\n " code " " z ", " from_z ", " by "\n"
#define FBC_PAIR_PLACE(x, y, z, from_x, from_y, from_z, up, down) \
    FBC_PAIR_SHIFT_3("sll", x, y, z, from_x, from_y, from_z, up) FBC_PAIR_SHIFT_3("srl", x, y, z, x, y, z, down)
#define FBC_PAIR_NEXT_PHASE(bits) \
    "8: lw t6, 80(sp)\n lw a1, 0(sp)\n" FBC_PAIR_FIELD("t0") "beqz t0, 7f\n" FBC_PAIR_FIELD("t1") \
        FBC_PAIR_FIELD("t2") "add a2, a2, t1\n add ra, ra, t1\n add a3, a3, t2\n" FBC_PAIR_FIELD("t1") \
            FBC_PAIR_FIELD("t2") FBC_PAIR_FIELD("t3") \
                FBC_PAIR_FIELD("t4") "addi t6, t6, 8\n sw t6, 80(sp)\n" FBC_PAIR_FILTER_##bits FBC_PAIR_PLACE( \
                    "s3", "s4", "s5", "s0", "s1", "s2", "t3", "t4") FBC_PAIR_PLACE("s9", "s10", "s11", "s6", "s7", \
                                                                                   "s8", "t3", "t4") \
                    FBC_PAIR_PLACE("s0", "s1", "s2", "s0", "s1", "s2", "t1", "t2") \
                        FBC_PAIR_PLACE("s6", "s7", "s8", "s6", "s7", "s8", "t1", \
                                       "t2") "lw t6, 84(sp)\n .insn i 0x7B, 2, x1, t0, 0\n jr t6\n" /* lp.count 1 */

/* Behind the row loop: the last row with all its rows, or without the one below. Strides have the usual one of an even
 * plane first: with stride 1, padding lies below it. */
#define FBC_PAIR_LAST(stride, store) FBC_PAIR_STEP(stride, store, "t0", "t1", "t2", "t3", "t4", "t5")
#define FBC_PAIR_LOWEST(stride, store) \
    FBC_PAIR_ROW(FBC_PAIR_LOWEST_LOAD_##stride, FBC_PAIR_DOTS_2, FBC_PAIR_STORE_##store, "t0", "t1", "t2", "t3", "t4", \
                 "t5")
#define FBC_PAIR_NEXT_STRIP \
    "4: lw t6, 80(sp)\n lw t0, -8(t6)\n lw t1, -4(t6)\n add a2, a2, t0\n add ra, ra, t0\n add a3, a3, t1\n j 8b\n"
#define FBC_PAIR_END_1(store) \
    "84: lw t6, 56(sp)\n beqz t6, 5f\n" FBC_PAIR_LOWEST(1, store) FBC_PAIR_NEXT_STRIP \
        "5:\n" FBC_PAIR_LAST(1, store) "j 4b\n"
#define FBC_PAIR_END_2(store) \
    "84: lw t6, 56(sp)\n bnez t6, 5f\n" FBC_PAIR_LAST(2, store) FBC_PAIR_NEXT_STRIP \
        "5:\n" FBC_PAIR_LOWEST(2, store) "j 4b\n"

/* Instructions. */
#define FBC_PAIR_STORED_4 2
#define FBC_PAIR_STORED_2L 2
#define FBC_PAIR_STORED_2H 4
#define FBC_PAIR_ENTERED_1 (3 * 12 + 11)
#define FBC_PAIR_ENTERED_2 (2 * 10 + 9)
#define FBC_PAIR_STEPS_1 3
#define FBC_PAIR_STEPS_2 2
#define FBC_PAIR_LOADED_1 2
#define FBC_PAIR_LOADED_2 4
#define FBC_PAIR_HEAD(stride) (3 + 24 + 48 + FBC_PAIR_ENTERED_##stride) /* from lp.starti 0 to the row loop */
#define FBC_PAIR_ALL_ROWS(stride, store) (FBC_PAIR_LOADED_##stride + 2 * (12 + FBC_PAIR_STORED_##store))
#define FBC_PAIR_ROUND(stride, store) (FBC_PAIR_STEPS_##stride * FBC_PAIR_ALL_ROWS(stride, store))
#define FBC_PAIR_LAST_ROW_1(store) (2 * (10 + FBC_PAIR_STORED_##store))
#define FBC_PAIR_LAST_ROW_2(store) FBC_PAIR_ALL_ROWS(2, store)
#define FBC_PAIR_TAIL(stride, store) /* from the row loop to the end of the strip */ \
    (2 + FBC_PAIR_LAST_ROW_##stride(store) + 6)

#define FBC_PAIR_ASM(bits, is_signed, stride, store) \
    __asm__ volatile( \
        ".balign 4\n .option push\n .option norvc\n .option norelax\n" \
        "sw gp, 88(a0)\n sw tp, 92(a0)\n sw sp, 96(a0)\n mv sp, a0\n" \
        "lla t0, 6f\n lw t1, 44(sp)\n add t0, t0, t1\n sw t0, 84(sp)\n" \
        "lw a4, 28(sp)\n lw a5, 32(sp)\n lw a0, 36(sp)\n" \
        ".insn i 0x7B, 0, x0, x0, %[start]\n"                   /* lp.starti 0 */ \
        ".insn i 0x7B, 1, x0, x0, %[end]\n"                     /* lp.endi 0 */ \
        ".insn i 0x7B, 1, x1, x0, %[last]\n" FBC_PAIR_NEXT_PAIR /* lp.endi 1 */ \
            FBC_PAIR_NEXT_PHASE(bits) "6:\n" FBC_PAIR_ENTRIES_##stride FBC_PAIR_LOOP_##stride(store) \
                FBC_PAIR_END_##stride(store) "7: lw t0, 20(sp)\n lw t1, 60(sp)\n addi t0, t0, -1\n add " \
                                             "a1, a1, t1\n sw t0, 20(sp)\n sw a1, 0(sp)\n" \
                                             "bnez t0, 9b\n" \
                                             "lw gp, 88(sp)\n lw tp, 92(sp)\n lw sp, 96(sp)\n" \
                                             ".option pop" \
        : "+r"(block) \
        : [first] "i"(((is_signed) ? 0x4C : 0x44) | ((bits) == 2 ? 1 : 0)), \
          [more] "i"(((is_signed) ? 0x5C : 0x54) | ((bits) == 2 ? 1 : 0)), [shift] "i"(FBC_PAIR_SHIFT), \
          [clip] "i"((bits) + 1), [start] "i"(2 * FBC_PAIR_HEAD(stride)), \
          [end] "i"(2 * (FBC_PAIR_HEAD(stride) + FBC_PAIR_ROUND(stride, store) - 2)), \
          [last] "i"(2 * (FBC_PAIR_HEAD(stride) + FBC_PAIR_ROUND(stride, store) + FBC_PAIR_TAIL(stride, store) - 3)) \
        : "ra", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", \
          "s10", "s11", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "memory")

/* All strips of the pairs. */
#define FBC_DEFINE_PAIRS(bits, is_signed, stride, store) \
    static void fbc_pairs_##bits##_##is_signed##_##stride##_##store(fbc_pair_run *run) { \
        register fbc_pair_run *block __asm__("a0") = run; \
        FBC_PAIR_ASM(bits, is_signed, stride, store); \
    }

#else

typedef enum { FBC_PAIR_4, FBC_PAIR_2L, FBC_PAIR_2H } fbc_pair_store;

/* The sum of a window of `rows` rows whose first word lies at `input`; its taps are shifted up, then down. */
FBC_INLINE int32_t fbc_pair_sum(const uint8_t *input, uint32_t row_bytes, const uint8_t *filter, uint32_t rows,
                                uint32_t bits, uint32_t is_signed, uint32_t up, uint32_t down) {
    int32_t sum = 0;
    for (uint32_t row = 0; row < rows; row++, input += row_bytes) {
        const uint32_t stored =
            bits == 4u ? filter[2u * row] | (uint32_t)filter[2u * row + 1u] << 8 : (uint32_t)filter[row];
        const uint32_t word = stored << up >> down;
        const uint8_t taps[4] = {(uint8_t)word, (uint8_t)(word >> 8), (uint8_t)(word >> 16), (uint8_t)(word >> 24)};
        for (uint32_t lane = 0; lane < 32u / bits; lane++) {
            const int32_t tap = fbc_read_lane(taps, lane, bits, 1u);
            sum += tap == 0 ? 0 : tap * fbc_read_lane(input, lane, bits, is_signed);
        }
    }
    return sum;
}

FBC_INLINE void fbc_pair_put(uint8_t *output, const uint32_t values[2], fbc_pair_store store) {
    const uint32_t both = values[0] | values[1] << (store == FBC_PAIR_4 ? 4 : 2);
    *output = (uint8_t)(store == FBC_PAIR_2H ? (*output & 15u) | both << 4 : both);
}

/* Two outputs of a strip's row; `above` is 1 if the first row of the window is not there, `rows` are. */
FBC_INLINE void fbc_pair_row(const fbc_pair_run *run, const fbc_pair_phase *phase, const uint8_t *input,
                             uint8_t *output, uint32_t above, uint32_t rows, uint32_t bits, uint32_t is_signed,
                             fbc_pair_store store) {
    for (uint32_t column = 0; column < 2u; column++) {
        const uint32_t up = column == 0u ? phase->left_up : phase->right_up;
        const uint32_t down = column == 0u ? phase->left_down : phase->right_down;
        uint32_t values[2];
        for (uint32_t channel = 0; channel < 2u; channel++) {
            const uint8_t *filter = run->filters + (3u * channel + above) * bits / 2u;
            const int32_t sum = fbc_pair_sum(input + channel * run->plane_bytes, run->row_bytes, filter, rows, bits,
                                             is_signed, up, down);
            const int32_t product = fbc_multiply_less_one(sum, run->scales[channel].multiplier);
            const int32_t value = (product + run->addends[channel]) >> FBC_PAIR_SHIFT;
            values[channel] = (uint32_t)fbc_clamp(value, 0, (int32_t)(1u << bits) - 1);
        }
        fbc_pair_put(output + column * run->pixel_bytes, values, store);
    }
}

FBC_INLINE void fbc_pair_strip(const fbc_pair_run *run, const fbc_pair_phase *phase, const uint8_t *input,
                               uint8_t *output, uint32_t bits, uint32_t is_signed, uint32_t stride,
                               fbc_pair_store store) {
    uint32_t above = run->first_mask == 0u;
    for (uint32_t row = 1; row <= run->output_rows; row++) {
        const uint32_t rows = 3u - above - (row == run->output_rows ? run->below : 0u);
        fbc_pair_row(run, phase, input, output, above, rows, bits, is_signed, store);
        input += (stride - above) * run->row_bytes;
        output += run->pixel_bytes + run->row_rest;
        above = 0;
    }
}

FBC_INLINE void fbc_pairs_in_c(fbc_pair_run *run, uint32_t bits, uint32_t is_signed, uint32_t stride,
                               fbc_pair_store store) {
    const uint32_t output_bytes = run->output_rows * (run->pixel_bytes + run->row_rest);
    for (; run->pairs > 0u; run->pairs--) {
        uint32_t read = 0, written = 0; /* bytes from the plane and the output to the strip */
        for (const fbc_pair_phase *phase = run->phases; phase->strips > 0u; phase++) {
            read += phase->input_step;
            written += phase->output_step;
            for (uint32_t strip = 0; strip < phase->strips; strip++) {
                fbc_pair_strip(run, phase, run->plane + read, run->output + written, bits, is_signed, stride, store);
                read += phase->input_next + run->input_bytes;
                written += phase->output_next + output_bytes;
            }
        }
        run->filters += run->filter_step;
        run->scales += run->scale_step / 8u;
        run->addends += run->addend_step / 4u;
        run->plane += run->plane_step;
        run->output += run->output_step;
    }
}

#define FBC_DEFINE_PAIRS(bits, is_signed, stride, store) \
    static void fbc_pairs_##bits##_##is_signed##_##stride##_##store(fbc_pair_run *run) { \
        fbc_pairs_in_c(run, bits, is_signed, stride, FBC_PAIR_##store); \
    }

#endif

#endif
