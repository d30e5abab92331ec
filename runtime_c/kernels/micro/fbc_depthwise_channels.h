/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* The 3x3 depthwise convolution, stride 2, of one channel after the other, each read where it lies: in a plane without
 * borders, a byte an element, outputs of 8 bits.
 *
 * A channel is computed down strips of two output columns; each output has a word of a row, four pixels, of its own.
 * What lies beside the plane is not read: at the left and the right edge other words hold the windows, and the taps lie
 * at other places of them. So strips come in phases with taps of their own: left edge, inside, right edge. Rows above
 * and below are zeros: the first row is masked, the last outputs leave out the third row.
 *
 * Three rows stay in registers; their roles rotate, so the row loop holds two steps. It computes all rows but the last.
 * Where they are no multiple of the steps, it is entered at a later step. */
#ifndef FBC_DEPTHWISE_CHANNELS_H
#define FBC_DEPTHWISE_CHANNELS_H

#include "common/fbc_requantize.h"
#include "micro/fbc_xpulp.h"

/* Where the taps of a row, three bytes and a zero, go in a word: selectors of pv.shuffle.b. */
enum {
    FBC_TAPS_FROM_SECOND = 0x03030201, /* the first tap is beside the plane */
    FBC_TAPS_AT_0 = 0x03020100,
    FBC_TAPS_AT_1 = 0x02010003,
    FBC_TAPS_AT_2 = 0x01000303 /* the last tap is beside the plane */
};

enum { FBC_CHANNEL_PHASES = 4, FBC_CHANNEL_FILTER_WORDS = 3 };

/* Strips that have their taps at the same places. The assembler knows the offsets of the members of both structs. */
typedef struct {
    uint32_t strips;      /* 0 behind the last phase */
    uint32_t input_step;  /* bytes from behind the phase before, or from the plane, to the word of the left output */
    uint32_t output_step; /* likewise to that output */
    uint32_t left;        /* selector */
    uint32_t right;       /* selector */
    uint32_t apart;       /* bytes from the left output's word to that of the right one */
} fbc_channel_phase;

typedef struct {
    const uint32_t *filters; /* 0: of the next channel; a word a row: three taps and a zero */
    const fbc_scale *scales; /* 4: less one */
    const int32_t *addends;  /* 8 */
    const uint8_t *plane;    /* 12: the first row that is read */
    uint8_t *output;         /* 16: of the first pixel; channels lie side by side */
    uint32_t channels;       /* 20: at least 1 */
    uint32_t plane_bytes;    /* 24: from channel to channel */
    uint32_t pixel_bytes;    /* 28: of the output */
    uint32_t row_rest;       /* 32: of the output, from a right output to the left one of the next row */
    uint32_t shift;          /* 36 */
    uint32_t row_bytes;      /* 40: of a plane */
    uint32_t rounds;         /* 44: of the row loop, the first of which may be shorter */
    uint32_t entry;          /* 48: bytes to the way into it */
    uint32_t first_mask;     /* 52: 0 if the first window's first row is above the plane, else all ones */
    uint32_t first_step;     /* 56: bytes from that row to the next one that is read */
    uint32_t below;          /* 60: the last window's last row is below the plane */
    uint32_t input_next;     /* 64: bytes from behind the last row of a strip to the next one */
    uint32_t output_next;    /* 68 */
    uint32_t saved[2];       /* 72: registers, by the assembler */
    fbc_channel_phase phases[FBC_CHANNEL_PHASES + 1]; /* 80 */
    uint32_t output_rows;                             /* as many as the rounds make */
} fbc_channel_run;

/* Rows of a round, and bytes of a way into the row loop. */
enum { FBC_CHANNEL_STEPS = 2, FBC_CHANNEL_ENTRY = 7 * 4 };

#ifdef FBC_XPULPV2

_Static_assert(sizeof(fbc_channel_phase) == 24, "the assembler below has the offsets of members as numbers");
_Static_assert(offsetof(fbc_channel_run, phases) == 80, "the assembler below has the offsets of members as numbers");

/* Registers: s0-s2 the left output's taps, s3-s5 the right one's; t0-t2 rows, s6-s8 those of the right output; t6 sum
 * and value; a2 plane, a3 output, a4, a5 to the next output of a row and of the next one; a6 multiplier less 1, a7
 * addend, tp clamp, s9 shift; s10 from row to row, t4 from the first one, t3 its mask; s11 rounds, ra way into the
 * loop, t5 below; gp apart; a1 phase, a0 the run. gp and tp are put back at the end; only a trap could miss them. */
#define FBC_CHANNEL_NEXT(word) ".insn r 0x0B, 7, 0x10, " word ", a2, s10\n"     /* p.lw, post-increment */
#define FBC_CHANNEL_FIRST_ROW(word) ".insn r 0x0B, 7, 0x10, " word ", a2, t4\n" /* p.lw, post-increment */
#define FBC_CHANNEL_APART(word) ".insn r 0x03, 7, 0x10, " word ", a2, gp\n"     /* p.lw */
#define FBC_CHANNEL_MASK(word) "and " word ", " word ", t3\n"
#define FBC_CHANNEL_COUNT ".insn i 0x7B, 2, x0, s11, 0\n" /* lp.count 0 */
#define FBC_CHANNEL_START ".insn i 0x7B, 0, x1, x0, 2\n"  /* lp.starti 1: the next instruction */
#define FBC_CHANNEL_POINTED(word, pointer) ".insn i 0x0B, 2, " word ", " pointer ", 4\n" /* p.lw, post-increment */
#define FBC_CHANNEL_FIELD(word) FBC_CHANNEL_POINTED(word, "a1")
#define FBC_CHANNEL_PLACE(taps, from, selector) ".insn r 0x57, 1, 0x60, " taps ", " from ", " selector "\n"
#define FBC_CHANNEL_DOT(code, row, taps) ".insn r 0x57, 1, %[" code "], t6, " row ", " taps "\n"
#define FBC_CHANNEL_SCALE \
    ".insn r 0x33, 0, 0x21, t6, t6, a6\n" /* p.mac in place */ \
    ".insn r 0x5B, 2, 0x20, t6, a7, s9\n" /* p.addNr */ \
    ".insn r 0x33, 2, 0x0A, t6, t6, x9\n" /* p.clipu: 8 bits */
#define FBC_CHANNEL_PLAIN FBC_CHANNEL_SCALE
#define FBC_CHANNEL_CLAMPED ".insn r 0x33, 5, 0x0A, t6, t6, tp\n" FBC_CHANNEL_SCALE /* p.clip */
#define FBC_CHANNEL_STORE(step) ".insn r 0x2B, 4, 0, " step ", a3, t6\n"            /* p.sb */
#define FBC_CHANNEL_OUTPUT(kind, a, b, c, u, v, w, step) \
    FBC_CHANNEL_DOT("first", a, u) \
    FBC_CHANNEL_DOT("more", b, v) FBC_CHANNEL_DOT("more", c, w) FBC_CHANNEL_##kind FBC_CHANNEL_STORE(step)
#define FBC_CHANNEL_OUTPUT_SHORT(kind, a, b, u, v, step) \
    FBC_CHANNEL_DOT("first", a, u) FBC_CHANNEL_DOT("more", b, v) FBC_CHANNEL_##kind FBC_CHANNEL_STORE(step)

/* One output row of a strip: a, b, c are its rows, x, y, z those of the right output. */
#define FBC_CHANNEL_STEP(kind, a, b, c, x, y, z) \
    FBC_CHANNEL_APART(y) \
    FBC_CHANNEL_NEXT(b) \
    FBC_CHANNEL_APART(z) \
    FBC_CHANNEL_NEXT(c) \
    FBC_CHANNEL_OUTPUT(kind, a, b, c, "s0", "s1", "s2", "a4") FBC_CHANNEL_OUTPUT(kind, x, y, z, "s3", "s4", "s5", "a5")

/* Ways into the row loop, all but the last of equally many instructions: to the last row, to its steps from the last
 * one on. */
#define FBC_CHANNEL_ENTER(a, x, more) \
    FBC_CHANNEL_START FBC_CHANNEL_APART(x) FBC_CHANNEL_FIRST_ROW(a) FBC_CHANNEL_MASK(x) FBC_CHANNEL_MASK(a) more
#define FBC_CHANNEL_ENTRIES \
    FBC_CHANNEL_ENTER("t0", "s6", "j 84f\n nop\n") \
    FBC_CHANNEL_ENTER("t2", "s8", FBC_CHANNEL_COUNT "j 82f\n") \
    FBC_CHANNEL_ENTER("t0", "s6", FBC_CHANNEL_COUNT)
#define FBC_CHANNEL_LOOP(kind) \
    FBC_CHANNEL_STEP(kind, "t0", "t1", "t2", "s6", "s7", "s8") \
    "82:\n" FBC_CHANNEL_STEP(kind, "t2", "t1", "t0", "s8", "s7", "s6")
/* The last row, all of whose rows there are, or none below. */
#define FBC_CHANNEL_LAST(kind) FBC_CHANNEL_STEP(kind, "t0", "t1", "t2", "s6", "s7", "s8")
#define FBC_CHANNEL_LOWEST(kind) \
    FBC_CHANNEL_APART("s7") \
    FBC_CHANNEL_NEXT("t1") \
    FBC_CHANNEL_OUTPUT_SHORT(kind, "t0", "t1", "s0", "s1", "a4") \
    FBC_CHANNEL_OUTPUT_SHORT(kind, "s6", "s7", "s3", "s4", "a5")

#define FBC_CHANNEL_PREPARE
#define FBC_CHANNEL_NEXT_STRIP "lw t1, 64(a0)\n lw t2, 68(a0)\n add a2, a2, t1\n add a3, a3, t2\n"
#define FBC_CHANNEL_NEXT_CHANNEL \
    "9: lw t1, 4(a0)\n lw t2, 8(a0)\n lw a2, 12(a0)\n lw a3, 16(a0)\n lw t0, 24(a0)\n addi a1, a0, " \
    "80\n" FBC_CHANNEL_POINTED("a6", "t1") FBC_CHANNEL_POINTED("tp", "t1") FBC_CHANNEL_POINTED( \
        "a7", "t2") "add t0, a2, t0\n" \
                    "addi t6, a3, 1\n sw t1, 4(a0)\n sw t2, 8(a0)\n sw t0, 12(a0)\n sw t6, 16(a0)\n"
#define FBC_CHANNEL_NEXT_PHASE \
    "8:\n" FBC_CHANNEL_FIELD("t6") "lw t0, 0(a0)\n beqz t6, 7f\n" FBC_CHANNEL_FIELD("t1") FBC_CHANNEL_FIELD( \
        "t2") "lw s0, 0(t0)\n lw s1, 4(t0)\n lw s2, 8(t0)\n add a2, a2, t1\n add a3, a3, t2\n" FBC_CHANNEL_FIELD("t1") \
        FBC_CHANNEL_FIELD("t2") FBC_CHANNEL_FIELD("gp") FBC_CHANNEL_PLACE("s3", "s0", "t2") \
            FBC_CHANNEL_PLACE("s4", "s1", "t2") FBC_CHANNEL_PLACE("s5", "s2", "t2") \
                FBC_CHANNEL_PLACE("s0", "s0", "t1") FBC_CHANNEL_PLACE("s1", "s1", "t1") \
                    FBC_CHANNEL_PLACE("s2", "s2", "t1") ".insn i 0x7B, 2, x1, t6, 0\n jr ra\n" /* lp.count 1 */

/* Behind the row loop. The usual last row of an even plane comes first. */
#define FBC_CHANNEL_END(kind) \
    "84: bnez t5, 5f\n" FBC_CHANNEL_LAST(kind) "4:\n" FBC_CHANNEL_NEXT_STRIP "j 8b\n" \
                                               "5:\n" FBC_CHANNEL_LOWEST(kind) "j 4b\n"

/* Instructions. */
#define FBC_CHANNEL_COMPUTED_PLAIN 7 /* of an output */
#define FBC_CHANNEL_COMPUTED_CLAMPED 8
#define FBC_CHANNEL_LOADS 4
#define FBC_CHANNEL_ENTERED (2 * 7 + 6)
#define FBC_CHANNEL_HEAD (3 + 15 + 21 + FBC_CHANNEL_ENTERED) /* from lp.starti 0 to the row loop */
#define FBC_CHANNEL_ROW(kind) (FBC_CHANNEL_LOADS + 2 * FBC_CHANNEL_COMPUTED_##kind)
#define FBC_CHANNEL_ROUND(kind) (FBC_CHANNEL_STEPS * FBC_CHANNEL_ROW(kind))
#define FBC_CHANNEL_NEXT_COUNT 4
#define FBC_CHANNEL_LAST_ROW(kind) FBC_CHANNEL_ROW(kind)
#define FBC_CHANNEL_TAIL(kind) /* from the row loop to the end of the strip */ \
    (1 + FBC_CHANNEL_LAST_ROW(kind) + FBC_CHANNEL_NEXT_COUNT)

#define FBC_CHANNEL_ASM(is_signed, kind) \
    __asm__ volatile( \
        ".balign 4\n .option push\n .option norvc\n .option norelax\n" \
        "sw gp, 72(a0)\n sw tp, 76(a0)\n lw t0, 48(a0)\n lla ra, 6f\n add ra, ra, t0\n" \
        "lw a4, 28(a0)\n lw a5, 32(a0)\n lw s9, 36(a0)\n lw s10, 40(a0)\n lw s11, 44(a0)\n" \
        "lw t3, 52(a0)\n lw t4, 56(a0)\n lw t5, 60(a0)\n" FBC_CHANNEL_PREPARE \
        ".insn i 0x7B, 0, x0, x0, %[start]\n"                         /* lp.starti 0 */ \
        ".insn i 0x7B, 1, x0, x0, %[end]\n"                           /* lp.endi 0 */ \
        ".insn i 0x7B, 1, x1, x0, %[last]\n" FBC_CHANNEL_NEXT_CHANNEL /* lp.endi 1 */ \
        FBC_CHANNEL_NEXT_PHASE "6:\n" FBC_CHANNEL_ENTRIES FBC_CHANNEL_LOOP(kind) \
            FBC_CHANNEL_END(kind) "7: lw t1, 20(a0)\n addi t0, t0, 12\n sw t0, 0(a0)\n addi t1, t1, -1\n" \
                                  "sw t1, 20(a0)\n bnez t1, 9b\n" \
                                  "lw gp, 72(a0)\n lw tp, 76(a0)\n" \
                                  ".option pop" \
        : "+r"(block) \
        : [first] "i"((is_signed) ? 0x4C : 0x44), [more] "i"((is_signed) ? 0x5C : 0x54), \
          [start] "i"(2 * FBC_CHANNEL_HEAD), [end] "i"(2 * (FBC_CHANNEL_HEAD + FBC_CHANNEL_ROUND(kind) - 2)), \
          [last] "i"(2 * (FBC_CHANNEL_HEAD + FBC_CHANNEL_ROUND(kind) + FBC_CHANNEL_TAIL(kind) - 3)) \
        : "ra", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", \
          "s10", "s11", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "memory")

/* All strips of the channels. */
#define FBC_DEFINE_CHANNELS(is_signed, kind) \
    static void fbc_channels_##is_signed##_##kind(fbc_channel_run *run) { \
        register fbc_channel_run *block __asm__("a0") = run; \
        FBC_CHANNEL_ASM(is_signed, kind); \
    }

#else

enum { FBC_CHANNEL_PLAIN, FBC_CHANNEL_CLAMPED };

/* The output whose window begins at `input` in its second row if `above`, else in its first; of `rows` rows. */
FBC_INLINE uint8_t fbc_channel_output(const fbc_channel_run *run, const uint8_t *input, uint32_t selector,
                                      uint32_t above, uint32_t rows, uint32_t is_signed, uint32_t clamped) {
    int32_t sum = 0;
    for (uint32_t row = above; row < rows; row++, input += run->row_bytes) {
        for (uint32_t lane = 0; lane < 4u; lane++) {
            const uint32_t tap = selector >> 8u * lane & 3u;
            const int32_t weight = (int8_t)(run->filters[row] >> 8u * tap & 0xFFu);
            sum += fbc_read_lane(input, lane, 8u, is_signed) * weight;
        }
    }
    const fbc_scale scale = *run->scales;
    const int32_t clipped = clamped ? fbc_clamp(sum, -scale.clamp - 1, scale.clamp) : sum;
    return (uint8_t)fbc_clamp((fbc_multiply_less_one(clipped, scale.multiplier) + *run->addends) >> run->shift, 0, 255);
}

FBC_INLINE void fbc_strip_of_channel(const fbc_channel_run *run, const fbc_channel_phase *phase, const uint8_t *input,
                                     uint8_t *output, uint32_t is_signed, uint32_t clamped) {
    uint32_t above = run->first_mask == 0u;
    for (uint32_t row = 1; row <= run->output_rows; row++) {
        const uint32_t rows = row == run->output_rows ? 3u - run->below : 3u;
        output[0] = fbc_channel_output(run, input, phase->left, above, rows, is_signed, clamped);
        output[run->pixel_bytes] =
            fbc_channel_output(run, input + phase->apart, phase->right, above, rows, is_signed, clamped);
        input += (2u - above) * run->row_bytes;
        output += run->pixel_bytes + run->row_rest;
        above = 0;
    }
}

FBC_INLINE void fbc_channels_in_c(fbc_channel_run *run, uint32_t is_signed, uint32_t clamped) {
    for (; run->channels > 0u; run->channels--) {
        const uint8_t *input = run->plane;
        uint8_t *output = run->output;
        for (const fbc_channel_phase *phase = run->phases; phase->strips > 0u; phase++) {
            input += (int32_t)phase->input_step;
            output += (int32_t)phase->output_step;
            for (uint32_t strip = 0; strip < phase->strips; strip++) {
                fbc_strip_of_channel(run, phase, input, output, is_signed, clamped);
                input += 4u;
                output += 2u * run->pixel_bytes;
            }
        }
        run->filters += FBC_CHANNEL_FILTER_WORDS;
        run->scales++;
        run->addends++;
        run->plane += run->plane_bytes;
        run->output++;
    }
}

#define FBC_DEFINE_CHANNELS(is_signed, kind) \
    static void fbc_channels_##is_signed##_##kind(fbc_channel_run *run) { \
        fbc_channels_in_c(run, is_signed, FBC_CHANNEL_##kind); \
    }

#endif

#endif
