/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* The 3x3 depthwise convolution of one channel after the other with stride 2, each read where it lies: in a plane
 * without borders, a byte an element, outputs of 8 bits.
 *
 * A channel is computed in strips of two output columns. Each output has a word of a row, with its window at the same
 * place of all words. So at the edge with a column of padding a word may begin two bytes in front of its row, or end
 * two bytes behind it: the tap there is zero. The strip at that edge is the first one, from the left or from the right,
 * and only its outer output has a tap less; the other strips take their taps from the inner output. With padding on
 * both sides, the strip at the right edge is a pass of its own. Of an odd number of columns, the second strip computes
 * one again.
 *
 * Three rows stay in registers; their roles rotate, so the row loop holds two steps. An odd number of rows enters it in
 * the middle. A row above is zero; a last row whose window has a row below leaves that out behind the loop. */
#ifndef FBC_DEPTHWISE_CHANNELS_STRIDE_2_H
#define FBC_DEPTHWISE_CHANNELS_STRIDE_2_H

#include "micro/fbc_depthwise_in_place.h"
#include "micro/fbc_xpulp.h"

/* The assembler knows the offsets of members. Steps are backwards if the strips are. */
typedef struct {
    const uint32_t *filters;     /* 0: a word a row: three taps and a zero */
    const uint32_t *filters_end; /* 4: behind those of the last channel */
    const fbc_scale *scales;     /* 8: less one */
    const int32_t *addends;      /* 12 */
    const uint8_t *input;        /* 16: the word of the first strip's outer output, in the first row that is read */
    uint8_t *output;             /* 20: that output of the first row; channels lie side by side */
    uint32_t edge_taps;          /* 24: of that output, selector of pv.shuffle.b */
    uint32_t taps;               /* 28: of all others */
    uint32_t strips;             /* 32 */
    uint32_t overlap;            /* 36: the second strip begins at the first one's inner output */
    int32_t apart;               /* 40: bytes from the outer output's word to the inner one's */
    int32_t output_apart;        /* 44: likewise from output to output */
    int32_t output_rest;         /* 48: from an inner output to the outer one of the next row */
    uint32_t shift;              /* 52 */
    uint32_t row_bytes;          /* 56: of a plane */
    uint32_t rounds;             /* 60: of the row loop, the first of which may be half a one */
    uint32_t entry;              /* 64: bytes to the way into it */
    int32_t strip_input;         /* 68: from behind the last row of a strip to the next one */
    int32_t strip_output;        /* 72 */
    int32_t channel_input;       /* 76: from behind the last strip to the next channel */
    int32_t channel_output;      /* 80 */
    uint32_t saved[2];           /* 84: registers, by the assembler */
    uint32_t rows;               /* of the output */
    uint32_t above;              /* the first row's window has a row above the plane */
} fbc_channel_run_2;

/* Selectors: the taps of a row, three bytes and a zero, from a word's first byte on, and a byte without a tap. */
#define FBC_TAPS_2 0x03020100u
#define FBC_NO_TAP_2 3u

/* Bytes of a way into the row loop. */
enum { FBC_CHANNEL_2_ENTRY = 5 * 4 };

#ifdef FBC_XPULPV2

_Static_assert(offsetof(fbc_channel_run_2, saved) == 84, "the assembler below has the offsets of members as numbers");

/* Registers: s0-s2 the outer output's taps, s3-s5 the inner one's; t0-t2 rows of the outer output, s6-s8 of the inner
 * one; t6 sum and value; a2 plane, a3 output, a4, a5 to the next output of a row and of the next one, gp apart; a6
 * multiplier less 1, a7 addend, tp clamp, or scales if there are none, s9 shift; s10 from row to row, s11 rounds, ra
 * way into the loop; t3, t5 to the next strip; t4 filters; a1 overlap; a0 the run. gp and tp are put back at the end;
 * only a trap could miss them. */
#define FBC_CHANNEL_2_NEXT(word) ".insn r 0x0B, 7, 0x10, " word ", a2, s10\n" /* p.lw, post-increment */
#define FBC_CHANNEL_2_APART(word) ".insn r 0x03, 7, 0x10, " word ", a2, gp\n" /* p.lw */
#define FBC_CHANNEL_2_POINTED(word, step, pointer) ".insn i 0x0B, 2, " word ", " pointer ", " step "\n" /* p.lw */
#define FBC_CHANNEL_2_PLACE(taps, from, selector) ".insn r 0x57, 1, 0x60, " taps ", " from ", " selector "\n"
#define FBC_CHANNEL_2_DOT(code, row, taps) ".insn r 0x57, 1, %[" code "], t6, " row ", " taps "\n"
#define FBC_CHANNEL_2_SCALE \
    ".insn r 0x33, 0, 0x21, t6, t6, a6\n" /* p.mac in place */ \
    ".insn r 0x5B, 2, 0x20, t6, a7, s9\n" /* p.addNr */ \
    ".insn r 0x33, 2, 0x0A, t6, t6, x9\n" /* p.clipu: 8 bits */
#define FBC_CHANNEL_2_VALUE_PLAIN FBC_CHANNEL_2_SCALE
#define FBC_CHANNEL_2_VALUE_CLAMPED ".insn r 0x33, 5, 0x0A, t6, t6, tp\n" FBC_CHANNEL_2_SCALE /* p.clip */
#define FBC_CHANNEL_2_STORE(step) ".insn r 0x2B, 4, 0, " step ", a3, t6\n"                    /* p.sb, post-increment */
#define FBC_CHANNEL_2_FINISH(kind, step) FBC_CHANNEL_2_VALUE_##kind FBC_CHANNEL_2_STORE(step)
#define FBC_CHANNEL_2_TWO(a, b, u, v) FBC_CHANNEL_2_DOT("first", a, u) FBC_CHANNEL_2_DOT("more", b, v)

/* One output row of a strip: a, b, c are rows of the outer output, x, y, z of the inner one. */
#define FBC_CHANNEL_2_STEP(kind, a, b, c, x, y, z) \
    FBC_CHANNEL_2_APART(y) \
    FBC_CHANNEL_2_NEXT(b) \
    FBC_CHANNEL_2_APART(z) \
    FBC_CHANNEL_2_NEXT(c) \
    FBC_CHANNEL_2_TWO(a, b, "s0", "s1") \
    FBC_CHANNEL_2_DOT("more", c, "s2") \
    FBC_CHANNEL_2_FINISH(kind, "a4") \
    FBC_CHANNEL_2_TWO(x, y, "s3", "s4") \
    FBC_CHANNEL_2_DOT("more", z, "s5") \
    FBC_CHANNEL_2_FINISH(kind, "a5")

/* Ways into the row loop, all of equally many instructions but the last: of no rows, an odd number, an even number. The
 * outer loop goes back to the second instruction. */
#define FBC_CHANNEL_2_ENTER_INSIDE(a, x, more) \
    ".insn i 0x7B, 0, x1, x0, 2\n" FBC_CHANNEL_2_APART(x) FBC_CHANNEL_2_NEXT(a) more
#define FBC_CHANNEL_2_ENTER_ABOVE(a, x, more) ".insn i 0x7B, 0, x1, x0, 2\n li " a ", 0\n li " x ", 0\n" more
#define FBC_CHANNEL_2_COUNT ".insn i 0x7B, 2, x0, s11, 0\n" /* lp.count 0 */
#define FBC_CHANNEL_2_ENTRIES(enter, even) \
    enter("t0", "s6", "j 4f\n nop\n") enter("t2", "s8", FBC_CHANNEL_2_COUNT "j 2f\n") \
        enter("t0", "s6", FBC_CHANNEL_2_COUNT even)
#define FBC_CHANNEL_2_LOOP(kind) \
    "1:\n" FBC_CHANNEL_2_STEP(kind, "t0", "t1", "t2", "s6", "s7", \
                              "s8") "2:\n" FBC_CHANNEL_2_STEP(kind, "t2", "t1", "t0", "s8", "s7", "s6") "4:\n"

/* Behind the row loop, by whether a row is below. */
#define FBC_CHANNEL_2_LOWEST_0(kind)
#define FBC_CHANNEL_2_LOWEST_1(kind) \
    FBC_CHANNEL_2_APART("s7") \
    FBC_CHANNEL_2_NEXT("t1") \
    FBC_CHANNEL_2_TWO("t0", "t1", "s0", "s1") \
    FBC_CHANNEL_2_FINISH(kind, "a4") \
    FBC_CHANNEL_2_TWO("s6", "s7", "s3", "s4") \
    FBC_CHANNEL_2_FINISH(kind, "a5")

#define FBC_CHANNEL_2_SCALES_PLAIN "lw tp, 8(a0)\n"
#define FBC_CHANNEL_2_SCALES_CLAMPED
#define FBC_CHANNEL_2_SAVE_PLAIN "sw tp, 8(a0)\n"
#define FBC_CHANNEL_2_SAVE_CLAMPED
/* Addend and multiplier. */
#define FBC_CHANNEL_2_FETCH_PLAIN FBC_CHANNEL_2_POINTED("a7", "4", "t1") FBC_CHANNEL_2_POINTED("a6", "8", "tp")
#define FBC_CHANNEL_2_FETCH_CLAMPED \
    "lw t0, 8(a0)\n" FBC_CHANNEL_2_POINTED("a7", "4", "t1") FBC_CHANNEL_2_POINTED("a6", "4", "t0") \
        FBC_CHANNEL_2_POINTED("tp", "4", "t0") "sw t0, 8(a0)\n"
#define FBC_CHANNEL_2_PREPARE(kind) \
    "sw gp, 84(a0)\n sw tp, 88(a0)\n lw t0, 64(a0)\n lla ra, 6f\n add ra, ra, t0\n" \
    "lw t4, 0(a0)\n lw a1, 36(a0)\n lw a2, 16(a0)\n lw a3, 20(a0)\n lw gp, 40(a0)\n lw a4, 44(a0)\n lw a5, 48(a0)\n" \
    "lw s9, 52(a0)\n lw s10, 56(a0)\n lw s11, 60(a0)\n lw t3, 68(a0)\n lw t5, 72(a0)\n" FBC_CHANNEL_2_SCALES_##kind
/* To a channel's first strip, behind which the outer loop goes on behind this. */
#define FBC_CHANNEL_2_CHANNEL(kind) \
    "8: lw t1, 12(a0)\n" FBC_CHANNEL_2_POINTED("s0", "4", "t4") FBC_CHANNEL_2_POINTED("s1", "4", "t4") \
        FBC_CHANNEL_2_POINTED("s2", "4", \
                              "t4") "lw s6, 28(a0)\n lw s7, 24(a0)\n lw s8, 32(a0)\n" FBC_CHANNEL_2_FETCH_##kind \
        "sw t1, 12(a0)\n" FBC_CHANNEL_2_PLACE("s3", "s0", "s6") FBC_CHANNEL_2_PLACE("s4", "s1", "s6") \
            FBC_CHANNEL_2_PLACE("s5", "s2", "s6") FBC_CHANNEL_2_PLACE("s0", "s0", "s7") \
                FBC_CHANNEL_2_PLACE("s1", "s1", "s7") \
                    FBC_CHANNEL_2_PLACE("s2", "s2", "s7") ".insn i 0x7B, 2, x1, s8, 0\n" /* lp.count 1 */ \
                                                          ".insn i 0x7B, 0, x1, x0, 4\n" /* lp.starti 1 */ \
                                                          "jr 4(ra)\n"
/* To the second strip, from which on the outer loop goes to the way into the row loop. */
#define FBC_CHANNEL_2_SECOND "mv s0, s3\n mv s1, s4\n mv s2, s5\n bnez a1, 5f\n jr ra\n"
#define FBC_CHANNEL_2_OVERLAP "5: sub a2, a2, gp\n sub a3, a3, a4\n jr ra\n"

/* Instructions. */
#define FBC_CHANNEL_2_COMPUTED_PLAIN 7 /* of an output */
#define FBC_CHANNEL_2_COMPUTED_CLAMPED 8
#define FBC_CHANNEL_2_FETCHED_PLAIN 2 /* of addend and multiplier */
#define FBC_CHANNEL_2_FETCHED_CLAMPED 5
#define FBC_CHANNEL_2_HEAD(kind) \
    (2 + 17 + FBC_CHANNEL_2_FETCHED_##kind + 5 + 6 * 5 - 1) /* from lp.endi 0 to the row loop */
#define FBC_CHANNEL_2_ROUND(kind) (2 * (4 + 2 * FBC_CHANNEL_2_COMPUTED_##kind))
#define FBC_CHANNEL_2_SHORT_0(kind) 0
#define FBC_CHANNEL_2_SHORT_1(kind) (2 + 2 * (FBC_CHANNEL_2_COMPUTED_##kind - 1))

#define FBC_CHANNEL_2_ASM(is_signed, kind, below) \
    __asm__ volatile( \
        ".balign 4\n .option push\n .option norvc\n .option norelax\n" FBC_CHANNEL_2_PREPARE( \
            kind) ".insn i 0x7B, 0, x0, x0, %[start]\n" /* lp.starti 0 */ \
                  ".insn i 0x7B, 1, x0, x0, %[end]\n"   /* lp.endi 0 */ \
                  ".insn i 0x7B, 1, x1, x0, %[last]\n"  /* lp.endi 1 */ \
        FBC_CHANNEL_2_CHANNEL(kind) FBC_CHANNEL_2_SECOND \
        "6:\n" FBC_CHANNEL_2_ENTRIES(FBC_CHANNEL_2_ENTER_INSIDE, "j 1f\n") \
            FBC_CHANNEL_2_ENTRIES(FBC_CHANNEL_2_ENTER_ABOVE, "") FBC_CHANNEL_2_LOOP(kind) \
                FBC_CHANNEL_2_LOWEST_##below(kind) "add a2, a2, t3\n add a3, a3, t5\n" \
                                                   "lw t0, 4(a0)\n lw t1, 76(a0)\n lw t2, 80(a0)\n add a2, a2, t1\n " \
                                                   "add a3, a3, t2\n bne t4, t0, 8b\n j 7f\n" FBC_CHANNEL_2_OVERLAP \
                                                   "7: " FBC_CHANNEL_2_SAVE_##kind \
        "sw a2, 16(a0)\n sw a3, 20(a0)\n lw gp, 84(a0)\n lw tp, 88(a0)\n .option pop" \
        : "+r"(block) \
        : [first] "i"((is_signed) ? 0x4C : 0x44), [more] "i"((is_signed) ? 0x5C : 0x54), \
          [start] "i"(2 * (FBC_CHANNEL_2_HEAD(kind) + 1)), \
          [end] "i"(2 * (FBC_CHANNEL_2_HEAD(kind) + FBC_CHANNEL_2_ROUND(kind) - 1)), \
          [last] "i"(2 * (FBC_CHANNEL_2_HEAD(kind) + FBC_CHANNEL_2_ROUND(kind) + FBC_CHANNEL_2_SHORT_##below(kind))) \
        : "ra", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", \
          "s10", "s11", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "memory")

/* All strips of the channels. */
#define FBC_DEFINE_CHANNELS_2(is_signed, kind, below) \
    static void fbc_channels_2_##is_signed##_##kind##_##below(fbc_channel_run_2 *run) { \
        register fbc_channel_run_2 *block __asm__("a0") = run; \
        FBC_CHANNEL_2_ASM(is_signed, kind, below); \
    }

#else

enum { FBC_CHANNEL_2_PLAIN, FBC_CHANNEL_2_CLAMPED };

/* The output whose window's first row, or second one if `above`, begins at `input`. Only what has a tap is read. */
FBC_INLINE uint8_t fbc_channel_output_2(const fbc_channel_run_2 *run, const uint8_t *input, uint32_t selector,
                                        uint32_t above, uint32_t rows, uint32_t is_signed, uint32_t clamped) {
    int32_t sum = 0;
    for (uint32_t row = above; row < rows; row++, input += run->row_bytes) {
        for (uint32_t lane = 0; lane < 4u; lane++) {
            const uint32_t tap = selector >> 8u * lane & 3u;
            if (tap < 3u) {
                const int32_t weight = (int8_t)(run->filters[row] >> 8u * tap & 0xFFu);
                sum += fbc_read_lane(input, lane, 8u, is_signed) * weight;
            }
        }
    }
    const fbc_scale scale = *run->scales;
    const int32_t clipped = clamped ? fbc_clamp(sum, -scale.clamp - 1, scale.clamp) : sum;
    return (uint8_t)fbc_clamp((fbc_multiply_less_one(clipped, scale.multiplier) + *run->addends) >> run->shift, 0, 255);
}

/* The strip at the run's input and output. */
FBC_INLINE void fbc_strip_of_channel_2(fbc_channel_run_2 *run, uint32_t outer_taps, uint32_t is_signed,
                                       uint32_t clamped, uint32_t below) {
    uint32_t above = run->above;
    for (uint32_t row = 1; row <= run->rows; row++) {
        const uint32_t rows = row == run->rows ? 3u - below : 3u;
        *run->output = fbc_channel_output_2(run, run->input, outer_taps, above, rows, is_signed, clamped);
        run->output += run->output_apart;
        *run->output = fbc_channel_output_2(run, run->input + run->apart, run->taps, above, rows, is_signed, clamped);
        run->output += run->output_rest;
        run->input += (2u - above) * run->row_bytes;
        above = 0;
    }
    run->input += (int32_t)((1u - below) * run->row_bytes) + run->strip_input;
    run->output += run->strip_output;
}

FBC_INLINE void fbc_channels_2_in_c(fbc_channel_run_2 *run, uint32_t is_signed, uint32_t clamped, uint32_t below) {
    for (; run->filters < run->filters_end; run->filters += 3, run->scales++, run->addends++) {
        for (uint32_t strip = 0; strip < run->strips; strip++) {
            if (strip == 1u && run->overlap) {
                run->input -= run->apart;
                run->output -= run->output_apart;
            }
            fbc_strip_of_channel_2(run, strip == 0u ? run->edge_taps : run->taps, is_signed, clamped, below);
        }
        run->input += run->channel_input;
        run->output += run->channel_output;
    }
}

#define FBC_DEFINE_CHANNELS_2(is_signed, kind, below) \
    static void fbc_channels_2_##is_signed##_##kind##_##below(fbc_channel_run_2 *run) { \
        fbc_channels_2_in_c(run, is_signed, FBC_CHANNEL_2_##kind, below); \
    }

#endif

FBC_DEFINE_CHANNELS_2(0, PLAIN, 0)
FBC_DEFINE_CHANNELS_2(0, PLAIN, 1)
FBC_DEFINE_CHANNELS_2(0, CLAMPED, 0)
FBC_DEFINE_CHANNELS_2(0, CLAMPED, 1)
FBC_DEFINE_CHANNELS_2(1, PLAIN, 0)
FBC_DEFINE_CHANNELS_2(1, PLAIN, 1)
FBC_DEFINE_CHANNELS_2(1, CLAMPED, 0)
FBC_DEFINE_CHANNELS_2(1, CLAMPED, 1)

typedef void (*fbc_channels_2_function)(fbc_channel_run_2 *run);

/* By sign of the activations, whether sums are clamped, and whether a row is below. */
#define FBC_CHANNELS_2_BELOW(is_signed, kind) \
    {fbc_channels_2_##is_signed##_##kind##_0, fbc_channels_2_##is_signed##_##kind##_1}
#define FBC_CHANNELS_2_KINDS(is_signed) \
    {FBC_CHANNELS_2_BELOW(is_signed, PLAIN), FBC_CHANNELS_2_BELOW(is_signed, CLAMPED)}
static const fbc_channels_2_function fbc_channels_2_table[2][2][2] = {FBC_CHANNELS_2_KINDS(0), FBC_CHANNELS_2_KINDS(1)};

/* As many strips as the run says, from the left edge or backwards from the right one, of a band of output rows from
 * `row` on: all but the channels, planes of which lie `plane_bytes` apart. `first_row` is what the band reads first of
 * the first one. */
FBC_INLINE void fbc_begin_pass_2(const fbc_conv_args *args, const fbc_plane_band *band, uint32_t row,
                                 const uint8_t *first_row, uint32_t plane_bytes, uint32_t backwards,
                                 fbc_channel_run_2 *run) {
    const uint32_t left = args->pad_left, row_bytes = args->input_width, columns = args->output_width;
    const int32_t pixel = args->output_channels, output_row = (int32_t)columns * pixel;
    const int32_t direction = 1 - 2 * (int32_t)backwards, apart = 2 * direction, output_apart = direction * pixel;
    const uint32_t column = backwards * (columns - 1u), rows = band->rows, looped = rows - band->below;
    run->taps = FBC_TAPS_2 << 8u * left | FBC_NO_TAP_2 * left;
    run->edge_taps = run->taps | FBC_NO_TAP_2 << 8u * (left + 2u * backwards);
    run->overlap = columns & ~row_bytes & 1u;
    run->apart = apart;
    run->output_apart = output_apart;
    run->output_rest = output_row - output_apart;
    run->shift = args->requantization.shift;
    run->row_bytes = row_bytes;
    run->rounds = (looped + 1u) >> 1;
    run->entry = FBC_CHANNEL_2_ENTRY * (3u * band->above + 2u - (looped & 1u) - 2u * (looped == 0u));
    run->strip_input = 2 * apart - (int32_t)(band->read * row_bytes);
    run->strip_output = 2 * output_apart - (int32_t)rows * output_row;
    const int32_t outputs = (int32_t)(2u * run->strips - run->overlap);
    run->channel_input = (int32_t)plane_bytes - outputs * apart;
    run->channel_output = 1 - outputs * output_apart;
    run->rows = rows;
    run->above = band->above;
    run->input = first_row + 2 * (int32_t)(column - left);
    run->output = (uint8_t *)args->output + row * (uint32_t)output_row + column * (uint32_t)pixel;
}

FBC_INLINE fbc_channels_2_function fbc_choose_channels_2(const fbc_conv_args *args, const fbc_plane_band *band) {
    return fbc_channels_2_table[args->activation_signed != 0u][args->requantization.clamped != 0u][band->below];
}

#endif
