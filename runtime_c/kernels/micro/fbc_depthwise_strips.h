/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* The 3x3 depthwise convolution of two channels, down strips of two output columns.
 *
 * It reads the planes of micro/fbc_depthwise_planes.h: a row of the first channel, then a row of the second one,
 * borders included. With stride 1 a word, four pixels of one row, meets [w0 w1 w2 0] for the left output and [0 w0 w1
 * w2] for the right one; with stride 2 each output has a word of its own, which meets one of them,
 * whichever lets one of the two words be aligned. Three rows of both
 * channels stay in registers; their roles rotate, so the row loop holds three steps (stride 2: two).
 *
 * The left output is stored before the right one: if the number of columns is odd, the first strip begins one column
 * before them, and its left outputs, which mean nothing, go where the right ones overwrite them.
 *
 * With XpulpV2 this is one piece of assembler that owns all registers, because the compiler spills: it needs 31, and a
 * strip of sixteen rows is too short to pay for loading twelve weight words. */
#ifndef FBC_DEPTHWISE_STRIPS_H
#define FBC_DEPTHWISE_STRIPS_H

#include "common/fbc_requantize.h"
#include "micro/fbc_xpulp.h"

/* What a requantization needs: clip to [0, 2^bits - 1]; that behind a clamp; any clamp and clip; or it is folded by the
 * compiler, so that clipping the sum is all: to the upper byte of a product, or with factors of 16 bits. */
typedef enum {
    FBC_STRIP_PLAIN,
    FBC_STRIP_CLAMPED,
    FBC_STRIP_GENERAL,
    FBC_STRIP_FOLDED,
    FBC_STRIP_NARROW
} fbc_strip_kind;

/* How two outputs are stored: 8 bits each; 4 bits each; 2 bits each into the low half of a byte, or into the high half
 * of a byte whose low half is there already. */
typedef enum { FBC_STORE_8, FBC_STORE_4, FBC_STORE_2L, FBC_STORE_2H } fbc_strip_store;

/* Pairs of channels whose planes lie one behind the other. The assembler knows the offsets of these members. */
typedef struct {
    const uint32_t *filters; /* 0: of the next pair; by channel, row: three taps and a zero */
    const fbc_scale *scales; /* 4: likewise; the multipliers less one, unless folded */
    const int32_t *addends;  /* 8: likewise; folded: the offset before each */
    const uint8_t *plane;    /* 12: first row of the first channel of the first pair */
    const uint8_t *end;      /* 16: what `plane` is behind the last pair */
    uint8_t *right;          /* 20: first right output */
    uint32_t left;           /* 24: bytes from the first left output to the right one */
    uint32_t plane_pair;     /* 28: bytes from behind the last strip of a pair to the next pair */
    uint32_t output_pair;    /* 32: likewise of the output */
    uint32_t plane_next;     /* 36: bytes from behind the last row of a strip to the next one */
    uint32_t output_next;    /* 40: likewise of the output */
    uint32_t pixel_bytes;    /* 44: from output to output in a row */
    uint32_t row_bytes;      /* 48: of the output */
    uint32_t plane_bytes;    /* 52: of a row of a plane */
    uint32_t strips;         /* 56: at least 1 */
    uint32_t rounds;         /* 60: of three output rows (stride 2: two), the first of which may be shorter */
    uint32_t missing;        /* 64: rows of the first round that are not there */
    uint32_t shift;          /* 68; folded, 8 bits: the selector of two upper bytes */
    uint32_t lanes;          /* 72: stride 2: bits that the taps go up */
    int32_t low;             /* 76 */
    int32_t high;            /* 80 */
    int32_t parameters[5];   /* 84: of the pair at hand, by the assembler */
    uint32_t saved[3];       /* 104: registers, likewise */
} fbc_strip_pairs;

enum { FBC_STRIP_UPPER_BYTES = 0x0703, FBC_STRIP_NARROW_SHIFT = 18 };

#ifdef FBC_XPULPV2

_Static_assert(sizeof(fbc_strip_pairs) == 116, "the assembler below has the offsets of fbc_strip_pairs as numbers");

/* Registers: s0-s2 and s3-s5 the first channel's weights, s6-s8 and s9-s11 the second's (stride 2: s0-s2 and s3-s5);
 * t0-t2 and t3-t5 its and its neighbour's rows (stride 2: of the left output, s6-s8 and s9-s11 of the right one); t6,
 * a1 sums; a2 plane, a0 its row; a3, a4 outputs, a5 from row to row, a6, a7 multipliers, tp, gp addends, or, behind a
 * clamp, tp the first clamp and gp a sum (folded: tp the second bound and gp the first, or a sum); ra shift,
 * selector or the first channel's offset; sp the block of parameters. tp, gp and sp are put back at the end; only a
 * trap could miss them. */
#define FBC_STRIP_DOTS(sum, x, y, z, w0, w1, w2) \
    ".insn r 0x57, 1, %[first], " sum ", " x ", " w0 "\n" \
    ".insn r 0x57, 1, %[more], " sum ", " y ", " w1 "\n" \
    ".insn r 0x57, 1, %[more], " sum ", " z ", " w2 "\n"
#define FBC_STRIP_DOTS_MORE(sum, x, y, z, w0, w1, w2) \
    ".insn r 0x57, 1, %[more], " sum ", " x ", " w0 "\n" \
    ".insn r 0x57, 1, %[more], " sum ", " y ", " w1 "\n" \
    ".insn r 0x57, 1, %[more], " sum ", " z ", " w2 "\n"
#define FBC_STRIP_CLIP_TO(sum, bound) ".insn r 0x33, 6, 0x0A, " sum ", " sum ", " bound "\n" /* p.clipu */
#define FBC_STRIP_MULTIPLY(sum, less_one) FBC_STRIP_MAC(sum, sum, less_one) /* one cycle, where mul takes two */
#define FBC_STRIP_MAC(sum, factor, multiplier) ".insn r 0x33, 0, 0x21, " sum ", " factor ", " multiplier "\n"
#define FBC_STRIP_ADD_SHIFT(sum, addend) ".insn r 0x5B, 2, 0x20, " sum ", " addend ", ra\n" /* p.addNr */
#define FBC_STRIP_SHIFT(sum) "sra " sum ", " sum ", ra\n"

#define FBC_STRIP_CLIP(sum) ".insn r 0x33, 2, 0x0A, " sum ", " sum ", x%[clip]\n" /* p.clipu */
#define FBC_STRIP_CLAMP(sum, bound) ".insn r 0x33, 5, 0x0A, " sum ", " sum ", " bound "\n"
#define FBC_STRIP_MAXIMUM(sum, bound) ".insn r 0x33, 6, 0x02, " sum ", " sum ", " bound "\n"
#define FBC_STRIP_MINIMUM(sum, bound) ".insn r 0x33, 4, 0x02, " sum ", " sum ", " bound "\n"
#define FBC_STRIP_GET(word, offset) "lw " word ", " offset "(sp)\n"
#define FBC_STRIP_INSERT_8 "0x67" /* funct7 of p.insert of that many bits */
#define FBC_STRIP_INSERT_4 "0x63"
#define FBC_STRIP_INSERT_2 "0x61"
#define FBC_STRIP_INSERT(bits, word, part, position) \
    ".insn r 0x33, 2, " FBC_STRIP_INSERT_##bits ", " word ", " part ", " position "\n"
#define FBC_STRIP_STORE_HALF(word, pointer) ".insn r 0x2B, 5, 0, a5, " pointer ", " word "\n"
#define FBC_STRIP_STORE_BYTE(word, pointer) ".insn r 0x2B, 4, 0, a5, " pointer ", " word "\n"

/* Packs two outputs and stores them, and how many instructions that takes. */
#define FBC_STRIP_STORE_8(first, second, pointer) \
    FBC_STRIP_INSERT(8, first, second, "x8") FBC_STRIP_STORE_HALF(first, pointer)
#define FBC_STRIP_STORE_4(first, second, pointer) \
    FBC_STRIP_INSERT(4, first, second, "x4") FBC_STRIP_STORE_BYTE(first, pointer)
#define FBC_STRIP_STORE_2L(first, second, pointer) \
    FBC_STRIP_INSERT(2, first, second, "x2") FBC_STRIP_STORE_BYTE(first, pointer)
#define FBC_STRIP_STORE_2H(first, second, pointer) \
    FBC_STRIP_INSERT(2, first, second, "x2") \
    "lbu " second ", 0(" pointer ")\n" FBC_STRIP_INSERT(4, second, first, "x4") FBC_STRIP_STORE_BYTE(second, pointer)
#define FBC_STRIP_BITS_8 8
#define FBC_STRIP_BITS_4 4
#define FBC_STRIP_BITS_2L 2
#define FBC_STRIP_BITS_2H 2
#define FBC_STRIP_STORED_8 2
#define FBC_STRIP_STORED_4 2
#define FBC_STRIP_STORED_2L 2
#define FBC_STRIP_STORED_2H 4

/* Outputs of both channels, of rows a, b, c with the weights u, v, w and rows d, e, f with x, y, z. The latency of a
 * multiplication makes two sums alternate. */
#define FBC_STRIP_TWO_PLAIN(a, b, c, u, v, w, d, e, f, x, y, z, store, pointer) \
    FBC_STRIP_DOTS("t6", a, b, c, u, v, w) \
    FBC_STRIP_MULTIPLY("t6", "a6") \
    FBC_STRIP_DOTS("a1", d, e, f, x, y, z) \
    FBC_STRIP_ADD_SHIFT("t6", "tp") \
    FBC_STRIP_MULTIPLY("a1", "a7") \
    FBC_STRIP_CLIP("t6") FBC_STRIP_ADD_SHIFT("a1", "gp") FBC_STRIP_CLIP("a1") store("t6", "a1", pointer)
#define FBC_STRIP_CLAMPED_SUMS(a, b, c, u, v, w, d, e, f, x, y, z) \
    FBC_STRIP_GET("gp", "84") \
    FBC_STRIP_DOTS("t6", a, b, c, u, v, w) \
    FBC_STRIP_CLAMP("t6", "tp") \
    FBC_STRIP_GET("a1", "92") \
    FBC_STRIP_MAC("gp", "t6", "a6") \
    FBC_STRIP_DOTS("t6", d, e, f, x, y, z) \
    FBC_STRIP_CLAMP("t6", "a1") FBC_STRIP_GET("a1", "88") FBC_STRIP_SHIFT("gp") FBC_STRIP_MAC("a1", "t6", "a7")
#define FBC_STRIP_TWO_CLAMPED(a, b, c, u, v, w, d, e, f, x, y, z, store, pointer) \
    FBC_STRIP_CLAMPED_SUMS(a, b, c, u, v, w, d, e, f, x, y, z) \
    FBC_STRIP_CLIP("gp") FBC_STRIP_SHIFT("a1") FBC_STRIP_CLIP("a1") store("gp", "a1", pointer)
#define FBC_STRIP_TWO_GENERAL(a, b, c, u, v, w, d, e, f, x, y, z, store, pointer) \
    FBC_STRIP_CLAMPED_SUMS(a, b, c, u, v, w, d, e, f, x, y, z) \
    FBC_STRIP_GET("t6", "76") \
    FBC_STRIP_SHIFT("a1") \
    FBC_STRIP_MAXIMUM("gp", "t6") \
    FBC_STRIP_MAXIMUM("a1", "t6") \
    FBC_STRIP_GET("t6", "80") FBC_STRIP_MINIMUM("gp", "t6") FBC_STRIP_MINIMUM("a1", "t6") store("gp", "a1", pointer)
/* Both outputs of a step: the left one behind the loads of its rows, then the right one, behind whose first
 * multiplication the first channel's oldest row is free. */
#define FBC_STRIP_LEFT_PLAIN(load, ...) load FBC_STRIP_TWO_PLAIN(__VA_ARGS__, "a3")
#define FBC_STRIP_RIGHT_PLAIN(...) FBC_STRIP_TWO_PLAIN(__VA_ARGS__, "a4")
#define FBC_STRIP_LEFT_CLAMPED(load, ...) load FBC_STRIP_TWO_CLAMPED(__VA_ARGS__, "a3")
#define FBC_STRIP_RIGHT_CLAMPED(...) FBC_STRIP_TWO_CLAMPED(__VA_ARGS__, "a4")
#define FBC_STRIP_LEFT_GENERAL(load, ...) load FBC_STRIP_TWO_GENERAL(__VA_ARGS__, "a3")
#define FBC_STRIP_RIGHT_GENERAL(...) FBC_STRIP_TWO_GENERAL(__VA_ARGS__, "a4")
#define FBC_STRIP_TWO_FOLDED(load, free, a, b, c, u, v, w, d, e, f, x, y, z, pointer) \
    FBC_STRIP_GET("t6", "96") \
    load FBC_STRIP_DOTS_MORE("t6", a, b, c, u, v, w) FBC_STRIP_CLIP_TO("t6", "gp") FBC_STRIP_GET(free, "84") \
        FBC_STRIP_GET("a1", "100") FBC_STRIP_MAC(free, "t6", "a6") FBC_STRIP_GET("t6", "88") \
            FBC_STRIP_DOTS_MORE("a1", d, e, f, x, y, z) FBC_STRIP_CLIP_TO("a1", "tp") \
                FBC_STRIP_MAC("t6", "a1", "a7") ".insn r 0x57, 1, 0x64, " free ", t6, ra\n" /* pv.shuffle2.b */ \
        FBC_STRIP_STORE_HALF(free, pointer)
#define FBC_STRIP_LEFT_FOLDED(load, a, b, c, u, v, w, d, e, f, x, y, z, store) \
    FBC_STRIP_TWO_FOLDED(load, "gp", a, b, c, u, v, w, d, e, f, x, y, z, "a3")
#define FBC_STRIP_RIGHT_FOLDED(a, b, c, u, v, w, d, e, f, x, y, z, store) \
    FBC_STRIP_TWO_FOLDED(FBC_STRIP_GET("gp", "92"), a, a, b, c, u, v, w, d, e, f, x, y, z, "a4")
/* p.muluN: the product of two lower halves, shifted by an immediate. */
#define FBC_STRIP_MULTIPLY_NARROW(sum, multiplier) ".insn r 0x5B, 0, %[scale], " sum ", " sum ", " multiplier "\n"
#define FBC_STRIP_TWO_NARROW(load, a, b, c, u, v, w, d, e, f, x, y, z, store, pointer) \
    "mv t6, ra\n" load FBC_STRIP_DOTS_MORE("t6", a, b, c, u, v, w) FBC_STRIP_CLIP_TO("t6", "gp") \
        FBC_STRIP_GET("a1", "100") FBC_STRIP_MULTIPLY_NARROW("t6", "a6") FBC_STRIP_DOTS_MORE("a1", d, e, f, x, y, z) \
            FBC_STRIP_CLIP_TO("a1", "tp") FBC_STRIP_MULTIPLY_NARROW("a1", "a7") store("t6", "a1", pointer)
#define FBC_STRIP_LEFT_NARROW(load, ...) FBC_STRIP_TWO_NARROW(load, __VA_ARGS__, "a3")
#define FBC_STRIP_RIGHT_NARROW(...) FBC_STRIP_TWO_NARROW(, __VA_ARGS__, "a4")
#define FBC_STRIP_COMPUTED_NARROW 24
#define FBC_STRIP_COMPUTED_FOLDED 29 /* instructions of both without loads of rows and stores */
#define FBC_STRIP_COMPUTED_PLAIN 24
#define FBC_STRIP_COMPUTED_CLAMPED 34
#define FBC_STRIP_COMPUTED_GENERAL 42
/* What a pair begins with: its parameters, read from t0 and t1, which go on to those of the next pair. */
#define FBC_STRIP_TAKE(word, from, step) ".insn i 0x0B, 2, " word ", " from ", " step "\n" /* p.lw */
#define FBC_STRIP_PUT(word, offset) "sw " word ", " offset "(sp)\n"
#define FBC_STRIP_PARAMETERS_PLAIN \
    FBC_STRIP_TAKE("a6", "t0", "8") \
    FBC_STRIP_TAKE("a7", "t0", "8") FBC_STRIP_TAKE("tp", "t1", "4") FBC_STRIP_TAKE("gp", "t1", "4")
/* Behind a clamp, products are added to an addend that is loaded. */
#define FBC_STRIP_PARAMETERS_CLAMPED \
    "lw tp, 4(t0)\n lw t2, 12(t0)\n" FBC_STRIP_TAKE("a6", "t0", "8") FBC_STRIP_TAKE("a7", "t0", "8") \
        FBC_STRIP_PUT("t2", "92") FBC_STRIP_TAKE("t2", "t1", "4") FBC_STRIP_TAKE("t3", "t1", "4") \
            FBC_STRIP_PUT("t2", "84") FBC_STRIP_PUT("t3", "88") "addi a6, a6, 1\n addi a7, a7, 1\n"
#define FBC_STRIP_PARAMETERS_GENERAL FBC_STRIP_PARAMETERS_CLAMPED
#define FBC_STRIP_BOUNDS \
    "lw gp, 4(t0)\n lw tp, 12(t0)\n" FBC_STRIP_TAKE("a6", "t0", "8") FBC_STRIP_TAKE("a7", "t0", "8") \
        FBC_STRIP_PUT("gp", "92")
#define FBC_STRIP_PARAMETERS_FOLDED \
    FBC_STRIP_BOUNDS \
    FBC_STRIP_TAKE("t2", "t1", "4") \
    FBC_STRIP_TAKE("t3", "t1", "4") \
    FBC_STRIP_TAKE("t4", "t1", "4") \
    FBC_STRIP_TAKE("t5", "t1", "4") \
    FBC_STRIP_PUT("t2", "96") FBC_STRIP_PUT("t3", "84") FBC_STRIP_PUT("t4", "100") FBC_STRIP_PUT("t5", "88")
#define FBC_STRIP_PARAMETERS_NARROW \
    FBC_STRIP_BOUNDS FBC_STRIP_TAKE("ra", "t1", "8") FBC_STRIP_TAKE("t2", "t1", "8") FBC_STRIP_PUT("t2", "100")
#define FBC_STRIP_SHIFTED "lw ra, 68(sp)\n"
#define FBC_STRIP_SHIFT_PLAIN FBC_STRIP_SHIFTED
#define FBC_STRIP_SHIFT_CLAMPED FBC_STRIP_SHIFTED
#define FBC_STRIP_SHIFT_GENERAL FBC_STRIP_SHIFTED
#define FBC_STRIP_SHIFT_FOLDED FBC_STRIP_SHIFTED
#define FBC_STRIP_SHIFT_NARROW ""

/* The next row of both channels. */
#define FBC_STRIP_NEXT(word) ".insn r 0x0B, 7, 0x10, " word ", a2, a0\n" /* p.lw */
#define FBC_STRIP_LOAD_1(first, second) FBC_STRIP_NEXT(first) FBC_STRIP_NEXT(second)
#define FBC_STRIP_LOAD_2(left1, right1, left2, right2) \
    "lw " right1 ", 2(a2)\n" FBC_STRIP_NEXT(left1) "lw " right2 ", 2(a2)\n" FBC_STRIP_NEXT(left2)

/* One output row: a, b, c the first channel's rows, d, e, f the second's. */
#define FBC_STRIP_STEP_1(kind, store, a, b, c, d, e, f) \
    FBC_STRIP_LEFT_##kind(FBC_STRIP_LOAD_1(c, f), a, b, c, "s0", "s1", "s2", d, e, f, "s6", "s7", "s8", store) \
        FBC_STRIP_RIGHT_##kind(a, b, c, "s3", "s4", "s5", d, e, f, "s9", "s10", "s11", store)
/* With stride 2: a is the row of the step before, or its words of the right output. */
#define FBC_STRIP_STEP_2(kind, store, a, c, d, f, right_a, right_c, right_d, right_f) \
    FBC_STRIP_LEFT_##kind(FBC_STRIP_LOAD_2("t1", "s7", "t4", "s10") FBC_STRIP_LOAD_2(c, right_c, f, right_f), a, "t1", \
                          c, "s0", "s1", "s2", d, "t4", f, "s3", "s4", "s5", store) \
        FBC_STRIP_RIGHT_##kind(right_a, "s7", right_c, "s0", "s1", "s2", right_d, "s10", right_f, "s3", "s4", "s5", \
                               store)

/* The beginning of a strip, from which the hardware's outer loop goes on: the first rows. Where the rows are no
 * multiple of the steps, the first round begins at a later step, whose rows are others; which, is decided once. */
#define FBC_STRIP_BEGIN(rows) \
    ".insn i 0x7B, 0, x1, x0, 2\n"                        /* lp.starti 1 */ \
    "lw t6, 60(sp)\n" rows ".insn i 0x7B, 2, x0, t6, 0\n" /* lp.count 0 */
#define FBC_STRIP_BEGIN_1 \
    "beqz t6, 5f\n addi t6, t6, -1\n beqz t6, 6f\n" FBC_STRIP_BEGIN(FBC_STRIP_LOAD_1("t2", "t5") FBC_STRIP_LOAD_1( \
        "t0", "t3")) "j 9f\n" \
                     "6:\n" FBC_STRIP_BEGIN(FBC_STRIP_LOAD_1("t1", "t4") FBC_STRIP_LOAD_1( \
                         "t2", "t5")) "j 8f\n" \
                                      "5:\n" FBC_STRIP_BEGIN(FBC_STRIP_LOAD_1("t0", "t3") \
                                                                 FBC_STRIP_LOAD_1("t1", "t4"))
#define FBC_STRIP_BEGIN_2 \
    "beqz t6, 5f\n" FBC_STRIP_BEGIN( \
        FBC_STRIP_LOAD_2("t2", "s8", "t5", "s11")) "j 8f\n" \
                                                   "5:\n" FBC_STRIP_BEGIN(FBC_STRIP_LOAD_2("t0", "s6", "t3", "s9"))
#define FBC_STRIP_LOOP_1(kind, store) \
    FBC_STRIP_STEP_1(kind, store, "t0", "t1", "t2", "t3", "t4", "t5") \
    "8:\n" FBC_STRIP_STEP_1(kind, store, "t1", "t2", "t0", "t4", "t5", \
                            "t3") "9:\n" FBC_STRIP_STEP_1(kind, store, "t2", "t0", "t1", "t5", "t3", "t4")
#define FBC_STRIP_LOOP_2(kind, store) \
    FBC_STRIP_STEP_2(kind, store, "t0", "t2", "t3", "t5", "s6", "s8", "s9", "s11") \
    "8:\n" FBC_STRIP_STEP_2(kind, store, "t2", "t0", "t5", "t3", "s8", "s6", "s11", "s9")
/* Instructions of the loop, from lp.starti 0 to it, and behind it. */
#define FBC_STRIP_INSTRUCTIONS_1(kind, store) (3 * (2 + FBC_STRIP_COMPUTED_##kind + 2 * FBC_STRIP_STORED_##store))
#define FBC_STRIP_INSTRUCTIONS_2(kind, store) (2 * (8 + FBC_STRIP_COMPUTED_##kind + 2 * FBC_STRIP_STORED_##store))
#define FBC_STRIP_HEAD_1 29
#define FBC_STRIP_HEAD_2 19
#define FBC_STRIP_TAIL 6
/* Taps of a pair, read from t6, which goes on to those of the next pair. */
#define FBC_STRIP_SIX(a, b, c, d, e, f) \
    FBC_STRIP_TAKE(a, "t6", "4") \
    FBC_STRIP_TAKE(b, "t6", "4") \
    FBC_STRIP_TAKE(c, "t6", "4") \
    FBC_STRIP_TAKE(d, "t6", "4") FBC_STRIP_TAKE(e, "t6", "4") FBC_STRIP_TAKE(f, "t6", "4")
#define FBC_STRIP_WEIGHTS_1 \
    FBC_STRIP_SIX("s0", "s1", "s2", "s6", "s7", "s8") \
    "slli s3, s0, 8\n slli s4, s1, 8\n slli s5, s2, 8\n slli s9, s6, 8\n slli s10, s7, 8\n slli s11, s8, 8\n"
#define FBC_STRIP_WEIGHTS_2 \
    "lw t2, 72(sp)\n" FBC_STRIP_SIX( \
        "s0", "s1", "s2", "s3", "s4", \
        "s5") "sll s0, s0, t2\n sll s1, s1, t2\n sll s2, s2, t2\n sll s3, s3, t2\n sll s4, s4, t2\n sll s5, s5, t2\n"
/* Outputs of 2 bits: every other pair is computed. */
#define FBC_STRIP_SKIP_8(kind) ""
#define FBC_STRIP_SKIP_4(kind) ""
#define FBC_STRIP_SKIP_2L(kind) "addi t6, t6, 24\n addi t0, t0, 16\n addi t1, t1, " FBC_STRIP_ADDENDS_##kind "\n"
#define FBC_STRIP_SKIP_2H(kind) FBC_STRIP_SKIP_2L(kind)
#define FBC_STRIP_ADDENDS_PLAIN "8" /* bytes of two channels */
#define FBC_STRIP_ADDENDS_CLAMPED "8"
#define FBC_STRIP_ADDENDS_GENERAL "8"
#define FBC_STRIP_ADDENDS_NARROW "16"

#define FBC_STRIP_ASM(is_signed, stride, kind, store) \
    __asm__ volatile(".balign 16\n.option push\n" \
                     ".option norvc\n" \
                     "sw tp, 104(a0)\n sw gp, 108(a0)\n sw sp, 112(a0)\n mv sp, a0\n" \
                     "lw a2, 12(sp)\n lw a4, 20(sp)\n lw a5, 48(sp)\n lw a0, 52(sp)\n" FBC_STRIP_SHIFT_##kind \
                     "7: lw t6, 0(sp)\n lw t0, 4(sp)\n lw t1, 8(sp)\n" FBC_STRIP_WEIGHTS_##stride \
                         FBC_STRIP_PARAMETERS_##kind FBC_STRIP_SKIP_##store(kind) FBC_STRIP_PUT("t6", "0") \
                             FBC_STRIP_PUT("t0", "4") \
                                 FBC_STRIP_PUT("t1", "8") "lw t2, 56(sp)\n lw a3, 24(sp)\n lw t6, 64(sp)\n" \
                                                          ".insn i 0x7B, 2, x1, t2, 0\n" /* lp.count 1 */ \
                                                          "sub a3, a4, a3\n" \
                                                          ".insn i 0x7B, 0, x0, x0, %[start]\n" /* lp.starti 0 */ \
                                                          ".insn i 0x7B, 1, x0, x0, %[end]\n"   /* lp.endi 0 */ \
                                                          ".insn i 0x7B, 1, x1, x0, %[last]\n"  /* lp.endi 1 */ \
                     FBC_STRIP_BEGIN_##stride FBC_STRIP_LOOP_##stride( \
                         kind, FBC_STRIP_STORE_##store) "lw t6, 36(sp)\n lw t0, 40(sp)\n lw t1, 44(sp)\n" \
                                                        "add a2, a2, t6\n add a4, a4, t0\n sub a3, a4, t1\n" \
                                                        "lw t0, 28(sp)\n lw t1, 32(sp)\n lw t2, 16(sp)\n add a2, a2, " \
                                                        "t0\n add a4, a4, t1\n bne a2, t2, 7b\n" \
                                                        "lw tp, 104(sp)\n lw gp, 108(sp)\n lw sp, 112(sp)\n" \
                                                        ".option pop" \
                     : "+r"(block) \
                     : [first] "i"((is_signed) ? 0x4C : 0x44), [more] "i"((is_signed) ? 0x5C : 0x54), \
                       [clip] "i"(FBC_STRIP_BITS_##store + 1), [scale] "i"(FBC_STRIP_NARROW_SHIFT), \
                       [start] "i"(2 * FBC_STRIP_HEAD_##stride), \
                       [end] "i"(2 * (FBC_STRIP_HEAD_##stride + FBC_STRIP_INSTRUCTIONS_##stride(kind, store) - 2)), \
                       [last] "i"(2 * (FBC_STRIP_HEAD_##stride + FBC_STRIP_INSTRUCTIONS_##stride(kind, store) + \
                                       FBC_STRIP_TAIL - 3)) \
                     : "ra", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", \
                       "s8", "s9", "s10", "s11", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "memory")

/* All strips of pairs of channels. */
#define FBC_DEFINE_STRIPS(is_signed, stride, kind, store) \
    static void fbc_strips_##is_signed##_##stride##_##kind##_##store(fbc_strip_pairs *pairs) { \
        register fbc_strip_pairs *block __asm__("a0") = pairs; \
        FBC_STRIP_ASM(is_signed, stride, kind, store); \
    }

#else

FBC_INLINE int32_t fbc_strip_dot(int32_t sum, const uint8_t *activations, uint32_t weights, uint32_t is_signed) {
    for (uint32_t lane = 0; lane < 4u; lane++) {
        sum += fbc_read_lane(activations, lane, 8u, is_signed) * (int32_t)(int8_t)(weights >> 8u * lane & 0xFFu);
    }
    return sum;
}

FBC_INLINE uint32_t fbc_strip_output(const fbc_strip_pairs *pairs, const uint8_t *plane, uint32_t channel,
                                     uint32_t lanes, uint32_t is_signed, fbc_strip_kind kind, fbc_strip_store store) {
    const uint32_t folded = kind == FBC_STRIP_FOLDED || kind == FBC_STRIP_NARROW;
    const fbc_scale *scale = pairs->scales + channel;
    const int32_t *addends = pairs->addends + (folded ? 2u * channel : channel);
    int32_t sum = 0;
    for (uint32_t row = 0; row < 3u; row++) {
        const uint32_t weights = pairs->filters[3u * channel + row] << lanes;
        sum = fbc_strip_dot(sum, plane + (2u * row + channel) * pairs->plane_bytes, weights, is_signed);
    }
    if (folded) {
        const uint32_t clipped = (uint32_t)fbc_clamp(sum + addends[0], 0, scale->clamp);
        const uint32_t product = clipped * (uint32_t)scale->multiplier;
        return kind == FBC_STRIP_FOLDED ? (product + (uint32_t)addends[1]) >> 24 : product >> FBC_STRIP_NARROW_SHIFT;
    }
    if (kind != FBC_STRIP_PLAIN) {
        sum = fbc_clamp(sum, -scale->clamp - 1, scale->clamp);
    }
    /* Wraps around where the left output of the first strip means nothing. */
    const uint32_t product = (uint32_t)sum * ((uint32_t)scale->multiplier + 1u);
    const int32_t value = (int32_t)(product + (uint32_t)addends[0]) >> pairs->shift;
    const int32_t high = store == FBC_STORE_8 ? 255 : store == FBC_STORE_4 ? 15 : 3;
    return (uint32_t)(kind == FBC_STRIP_GENERAL ? fbc_clamp(value, pairs->low, pairs->high)
                                                : fbc_clamp(value, 0, high));
}

FBC_INLINE void fbc_strip_store_two(uint8_t *output, const uint32_t values[2], fbc_strip_store store) {
    if (store == FBC_STORE_8) {
        output[0] = (uint8_t)values[0];
        output[1] = (uint8_t)values[1];
    } else if (store == FBC_STORE_4) {
        output[0] = (uint8_t)((values[0] & 15u) | values[1] << 4);
    } else {
        const uint32_t both = (values[0] & 3u) | (values[1] & 3u) << 2;
        output[0] = (uint8_t)(store == FBC_STORE_2L ? both : (output[0] & 15u) | both << 4);
    }
}

/* One pair. */
FBC_INLINE void fbc_strips_in_c(const fbc_strip_pairs *pairs, uint32_t is_signed, uint32_t stride, fbc_strip_kind kind,
                                fbc_strip_store store) {
    const uint32_t steps = stride == 1u ? 3u : 2u;
    const uint32_t output_rows = pairs->rounds * steps - pairs->missing;
    for (uint32_t strip = 0; strip < pairs->strips; strip++) {
        for (uint32_t i = 0; i < 2u * output_rows; i++) {
            const uint32_t row = i >> 1, column = i & 1u; /* of the strip, the left one first */
            const uint32_t shifted = stride == 1u ? 0u : 2u * column;
            const uint8_t *plane =
                pairs->plane + 2u * stride * row * pairs->plane_bytes + 2u * stride * strip + shifted;
            uint32_t values[2];
            for (uint32_t channel = 0; channel < 2u; channel++) {
                const uint32_t lanes = stride == 1u ? 8u * column : pairs->lanes; /* that the taps go up */
                values[channel] = fbc_strip_output(pairs, plane, channel, lanes, is_signed, kind, store);
            }
            uint8_t *left = pairs->right - (strip == 0u ? pairs->left : pairs->pixel_bytes);
            uint8_t *output = column == 0u ? left : pairs->right;
            fbc_strip_store_two(output + 2u * strip * pairs->pixel_bytes + row * pairs->row_bytes, values, store);
        }
    }
}

FBC_INLINE void fbc_strips_of_pairs(const fbc_strip_pairs *pairs, uint32_t is_signed, uint32_t stride,
                                    fbc_strip_kind kind, fbc_strip_store store) {
    const uint32_t step = store == FBC_STORE_2L || store == FBC_STORE_2H ? 2u : 1u; /* pairs */
    const uint32_t folded = kind == FBC_STRIP_FOLDED || kind == FBC_STRIP_NARROW;
    fbc_strip_pairs pair = *pairs;
    for (; pair.plane != pair.end; pair.plane += pair.plane_pair + 2u * stride * pair.strips) {
        fbc_strips_in_c(&pair, is_signed, stride, kind, store);
        pair.filters += 6u * step;
        pair.scales += 2u * step;
        pair.addends += (folded ? 4u : 2u) * step;
        pair.right += pair.output_pair + 2u * pair.strips * pair.pixel_bytes;
    }
}

#define FBC_DEFINE_STRIPS(is_signed, stride, kind, store) \
    static void fbc_strips_##is_signed##_##stride##_##kind##_##store(fbc_strip_pairs *pairs) { \
        fbc_strips_of_pairs(pairs, is_signed, stride, FBC_STRIP_##kind, FBC_STORE_##store); \
    }

#endif

#endif
