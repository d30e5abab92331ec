/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* The inner loop of every blocked convolution: four pixels with one group of four output channels after the other, from
 * the dot products to the packed output. Weights are one stream: word k of channels 0..3, then word k + 1 of channels
 * 0..3, ...; then the next group.
 *
 * With XpulpV2 a run is one piece of assembler with registers of its own choice, because a block needs all 28 that
 * there are: the compiler would spill. Two hardware loops: groups, and words in them. XpulpNN: mac&load keeps four
 * weight and two activation words in special registers and loads one while it multiplies, 17 instructions for 16 dot
 * products. It loads one step ahead, also from group to group: up to 16 bytes behind the weights and 4 behind a pixel
 * are read and not used. XpulpV2 (8 bit only): 24 instructions. Elsewhere plain C, which is their oracle. */
#ifndef FBC_BLOCK_RUN_H
#define FBC_BLOCK_RUN_H

#include "micro/fbc_dot_4x1.h"
#include "micro/fbc_store_block.h"

/* The assembler knows the offsets of the members, which are all of four bytes on the target. */
typedef struct {
    const uint8_t *columns[4]; /* 0 */
    uint32_t words;            /* 16: of a group's weights and, at most 3 of them beyond their end, of the columns */
    const uint8_t *weights;    /* 20: these of the first group; so are those that follow */
    const fbc_scale *scales;   /* 24 */
    const int32_t *addends;    /* 28 */
    uint8_t *output;           /* 32: of the first pixel */
    uint32_t groups;           /* 36: at least 1 */
    uint32_t pixel_bytes;      /* 40: of the output */
    uint32_t back;             /* 44: bytes from behind the fourth pixel to the next group's first, modulo 2^32 */
    uint32_t shift;            /* 48 */
    int32_t high;              /* 52 */
    int32_t low;               /* 56 */
    uint32_t column_words;     /* 60: what there is of a column; the assembler multiplies the rest by zero weights */
} fbc_block_run;

FBC_INLINE void fbc_run_blocks_in_c(const fbc_block_run *run, uint32_t bits, uint32_t is_signed, uint32_t output_bits,
                                    fbc_requantization_kind kind) {
    fbc_block_parameters block = {run->scales, run->addends, run->low, run->high, run->shift};
    const uint8_t *weights = run->weights;
    for (uint32_t group = 0; group < run->groups; group++) {
        uint8_t *output = run->output + group * (output_bits >> 1);
        for (uint32_t pixel = 0; pixel < 4u; pixel++) {
            int32_t sums[4];
            fbc_dot_4x1_in_c(bits, is_signed, weights, run->columns[pixel], run->column_words, sums);
            fbc_requantize_pixel(&block, kind, sums);
            output = fbc_store_channels(output, output_bits, run->pixel_bytes, sums);
        }
        weights += 16u * run->words;
        block.scales += 4;
        block.addends += 4;
    }
}

#ifdef FBC_XPULPV2

/* Registers. Sums of pixel p, channel c, are number 4 p + c of t0-t6, s2-s10. a0 the run, a1 weights, a2-a5 columns, s0
 * words. Behind the dot products a2 and a3 are free, a4 is the multiplier or clamp, a5 the shift, s0 high, ra low; then
 * and, if registers last, always: a6 scales, a7 addends, s11 output, s1 pixel_bytes, ra back. */
#define FBC_RUN_CLOBBERS \
    "memory", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", \
        "s10", "s11", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "ra"

#define FBC_RUN_COLUMNS "lw a2, 0(a0)\n lw a3, 4(a0)\n lw a4, 8(a0)\n lw a5, 12(a0)\n lw s0, 16(a0)\n"
#define FBC_RUN_ZERO \
    "li t0, 0\n li t1, 0\n li t2, 0\n li t3, 0\n li t4, 0\n li t5, 0\n li t6, 0\n li s2, 0\n" \
    "li s3, 0\n li s4, 0\n li s5, 0\n li s6, 0\n li s7, 0\n li s8, 0\n li s9, 0\n li s10, 0\n"
#define FBC_RUN_STATE "lw a6, 24(a0)\n lw a7, 28(a0)\n lw s11, 32(a0)\n lw s1, 40(a0)\n"
#define FBC_RUN_LOW "lw ra, 56(a0)\n"
#define FBC_RUN_BACK "lw ra, 44(a0)\n"

#ifdef FBC_XPULPNN

/* One mac&load: accumulator += weights[w] . activations[a]; then register a or w is loaded from [pointer], pointer
 * += 4. The immediate is w load << 4 | a load << 3 | w << 1 | a, written as a register number. */
#define FBC_RUN_MLDOT(accumulator, pointer, immediate) \
    ".insn r 0x77, %[width], %[sign], " accumulator ", " pointer ", x" #immediate "\n"
/* funct3 says the lane width, funct7 the signs: weights signed, activations unsigned (0x6C) or signed (0x7C). */
#define FBC_RUN_CODES(bits, is_signed) \
    [width] "i"((bits) == 8u ? 1 : (bits) == 4u ? 2 : 3), [sign] "i"((is_signed) ? 0x7C : 0x6C)

#define FBC_RUN_FIRST \
    FBC_RUN_STATE FBC_RUN_BACK FBC_RUN_MLDOT("x0", "a1", 16) FBC_RUN_MLDOT("x0", "a1", 18) \
        FBC_RUN_MLDOT("x0", "a1", 20) FBC_RUN_MLDOT("x0", "a1", 22)
#define FBC_RUN_DOTS \
    FBC_RUN_MLDOT("x0", "a2", 8) \
    FBC_RUN_MLDOT("x0", "a3", 9) \
    ".insn i 0x7B, 4, x0, s0, 34\n" /* lp.setup 0, words, 17 instructions */ \
        FBC_RUN_MLDOT("t0", "a4", 0) FBC_RUN_MLDOT("t1", "a4", 2) FBC_RUN_MLDOT("t2", "a4", 4) \
            FBC_RUN_MLDOT("t3", "a4", 14) FBC_RUN_MLDOT("t4", "a5", 1) FBC_RUN_MLDOT("t5", "a5", 3) \
                FBC_RUN_MLDOT("t6", "a5", 5) FBC_RUN_MLDOT("s2", "a5", 15) FBC_RUN_MLDOT("s3", "a2", 0) \
                    FBC_RUN_MLDOT("s4", "a2", 2) FBC_RUN_MLDOT("s5", "a2", 4) FBC_RUN_MLDOT("s6", "a2", 14) \
                        FBC_RUN_MLDOT("s7", "a1", 17) FBC_RUN_MLDOT("s8", "a1", 19) FBC_RUN_MLDOT("s9", "a1", 21) \
                            FBC_RUN_MLDOT("s10", "a1", 23) FBC_RUN_MLDOT("x0", "a3", 9)
#define FBC_RUN_RESUME
#define FBC_RUN_SUSPEND
#define FBC_RUN_PLAIN_BACK
enum { FBC_RUN_INSTRUCTIONS = 5 + 16 + 3 + 17, FBC_RUN_EXTRA = 0, FBC_RUN_GENERAL_EXTRA = 2 };

#else

#define FBC_RUN_LOAD(word, pointer) ".insn i 0x0B, 2, " word ", " pointer ", 4\n" /* p.lw, post-increment */
#define FBC_RUN_DOT(sum, pixel, weight) ".insn r 0x57, 1, %[sign], " sum ", " pixel ", " weight "\n"
#define FBC_RUN_DOT_4(s0, s1, s2, s3, weight) \
    FBC_RUN_DOT(s0, "a6", weight) \
    FBC_RUN_DOT(s1, "a7", weight) FBC_RUN_DOT(s2, "s11", weight) FBC_RUN_DOT(s3, "s1", weight)
#define FBC_RUN_CODES(bits, is_signed) [sign] "i"((is_signed) ? 0x5C : 0x54)

#define FBC_RUN_FIRST
/* The loop's count is in the loop's own register when it begins, so s0 holds weights from there on. */
#define FBC_RUN_DOTS \
    ".insn i 0x7B, 4, x0, s0, 48\n" /* lp.setup 0, words, 24 instructions */ \
        FBC_RUN_LOAD("ra", "a1") FBC_RUN_LOAD("a6", "a2") FBC_RUN_LOAD("a7", "a3") FBC_RUN_LOAD("s11", "a4") \
            FBC_RUN_LOAD("s1", "a5") FBC_RUN_LOAD("s0", "a1") FBC_RUN_DOT_4("t0", "t4", "s3", "s7", "ra") \
                FBC_RUN_LOAD("ra", "a1") FBC_RUN_DOT_4("t1", "t5", "s4", "s8", "s0") FBC_RUN_LOAD("s0", "a1") \
                    FBC_RUN_DOT_4("t2", "t6", "s5", "s9", "ra") FBC_RUN_DOT_4("t3", "s2", "s6", "s10", "s0")
#define FBC_RUN_RESUME FBC_RUN_STATE
#define FBC_RUN_SUSPEND "sw a6, 24(a0)\n sw a7, 28(a0)\n sw s11, 32(a0)\n"
#define FBC_RUN_PLAIN_BACK FBC_RUN_BACK
enum { FBC_RUN_INSTRUCTIONS = 5 + 16 + 1 + 24, FBC_RUN_EXTRA = 4 + 3 + 1, FBC_RUN_GENERAL_EXTRA = 1 };

#endif

/* One channel of four pixels: sums s0-s3; x and y are free. The results are in x, s0, s1, y; s2 and s3 are free then.
 */
#define FBC_RUN_LOAD_ADDEND(y) ".insn i 0x0B, 2, " y ", a7, 4\n"
#define FBC_RUN_LOAD_MULTIPLIER ".insn i 0x0B, 2, a4, a6, 8\n"
#define FBC_RUN_TO_CLAMP(s0, s1, s2, s3) \
    "lw a4, 4(a6)\n" \
    ".insn r 0x33, 5, 0x0A, " s0 ", " s0 ", a4\n .insn r 0x33, 5, 0x0A, " s1 ", " s1 ", a4\n" \
    ".insn r 0x33, 5, 0x0A, " s2 ", " s2 ", a4\n .insn r 0x33, 5, 0x0A, " s3 ", " s3 ", a4\n"
#define FBC_RUN_MAC(sum, value) ".insn r 0x33, 0, 0x21, " sum ", " value ", a4\n"
#define FBC_RUN_SCALE(x, y, s0, s1, s2, s3) \
    "mv " x ", " y \
    "\n" FBC_RUN_MAC(x, s0) "mv " s0 ", " y "\n" FBC_RUN_MAC(s0, s1) "mv " s1 ", " y "\n" FBC_RUN_MAC(s1, s2) \
        FBC_RUN_MAC(y, s3) "sra " x ", " x ", a5\n sra " s0 ", " s0 ", a5\n sra " s1 ", " s1 ", a5\n sra " y ", " y \
                           ", a5\n"
/* The same with fewer instructions and a cycle more (a multiplication takes two): where more would not fit the 512
 * bytes of a core's own instruction buffer. p.addN: (sum + addend) >> shift. */
#define FBC_RUN_ADD_SHIFT(sum, addend) ".insn r 0x5B, 2, 0x20, " sum ", " addend ", a5\n"
#define FBC_RUN_SCALE_SHORT(x, y, s0, s1, s2, s3) \
    "mul " x ", " s0 ", a4\n mul " s0 ", " s1 ", a4\n mul " s1 ", " s2 ", a4\n mul " s2 ", " s3 \
    ", a4\n" FBC_RUN_ADD_SHIFT(x, y) FBC_RUN_ADD_SHIFT(s0, y) FBC_RUN_ADD_SHIFT(s1, y) FBC_RUN_ADD_SHIFT(y, s2)
#define FBC_RUN_FOUR(code, a, b, c, d, operand) \
    ".insn r 0x33, " code ", " a ", " a ", " operand "\n .insn r 0x33, " code ", " b ", " b ", " operand "\n" \
    ".insn r 0x33, " code ", " c ", " c ", " operand "\n .insn r 0x33, " code ", " d ", " d ", " operand "\n"
#define FBC_RUN_CHANNEL_PLAIN(x, y, s0, s1, s2, s3) \
    FBC_RUN_LOAD_ADDEND(y) \
    FBC_RUN_LOAD_MULTIPLIER FBC_RUN_SCALE(x, y, s0, s1, s2, s3) FBC_RUN_FOUR("6, 0x0A", x, s0, s1, y, "s0")
#define FBC_RUN_CHANNEL_CLAMPED(x, y, s0, s1, s2, s3) \
    FBC_RUN_TO_CLAMP(s0, s1, s2, s3) \
    FBC_RUN_LOAD_ADDEND(y) \
    FBC_RUN_LOAD_MULTIPLIER FBC_RUN_SCALE_SHORT(x, y, s0, s1, s2, s3) FBC_RUN_FOUR("6, 0x0A", x, s0, s1, y, "s0")
#define FBC_RUN_CHANNEL_GENERAL(x, y, s0, s1, s2, s3) \
    FBC_RUN_TO_CLAMP(s0, s1, s2, s3) \
    FBC_RUN_LOAD_ADDEND(y) \
    FBC_RUN_LOAD_MULTIPLIER FBC_RUN_SCALE_SHORT(x, y, s0, s1, s2, s3) FBC_RUN_FOUR("6, 0x02", x, s0, s1, y, "ra") \
        FBC_RUN_FOUR("4, 0x02", x, s0, s1, y, "s0")
enum { FBC_RUN_PLAIN_CHANNEL = 17, FBC_RUN_CLAMPED_CHANNEL = 19, FBC_RUN_GENERAL_CHANNEL = 23 };

#define FBC_RUN_REQUANTIZE(channel) \
    "lw a5, 48(a0)\n lw s0, 52(a0)\n" channel("a2", "a3", "t0", "t4", "s3", "s7") \
        channel("s3", "s7", "t1", "t5", "s4", "s8") channel("s4", "s8", "t2", "t6", "s5", "s9") \
            channel("s5", "s9", "t3", "s2", "s6", "s10")

/* One pixel, packed and written; s6 is free. 8 bit: pv.packlo.b, pv.packhi.b, p.sw. Else p.insert: the last field is
 * the position. */
#define FBC_RUN_WRITE_8(v0, v1, v2, v3) \
    ".insn r 0x57, 1, 0x70, s6, " v1 ", " v0 "\n .insn r 0x57, 1, 0x6C, s6, " v3 ", " v2 "\n" \
    ".insn r 0x2B, 6, 0, s1, s11, s6\n"
#define FBC_RUN_WRITE_4(v0, v1, v2, v3) \
    ".insn r 0x33, 2, 0x63, " v0 ", " v1 ", x4\n .insn r 0x33, 2, 0x63, " v0 ", " v2 ", x8\n" \
    ".insn r 0x33, 2, 0x63, " v0 ", " v3 ", x12\n .insn r 0x2B, 5, 0, s1, s11, " v0 "\n"
#define FBC_RUN_WRITE_2(v0, v1, v2, v3) \
    ".insn r 0x33, 2, 0x61, " v0 ", " v1 ", x2\n .insn r 0x33, 2, 0x61, " v0 ", " v2 ", x4\n" \
    ".insn r 0x33, 2, 0x61, " v0 ", " v3 ", x6\n .insn r 0x2B, 4, 0, s1, s11, " v0 "\n"
#define FBC_RUN_STORE(write, back) \
    write("a2", "s3", "s4", "s5") write("t0", "t1", "t2", "t3") write("t4", "t5", "t6", "s2") \
        back write("a3", "s7", "s8", "s9") "add s11, s11, ra\n"

#define FBC_RUN(channel, low, write, back, instructions) \
    __asm__ volatile(".option push\n" \
                     ".option norvc\n" \
                     ".balign 16\n" \
                     "lw a1, 20(a0)\n lw t0, 36(a0)\n" FBC_RUN_FIRST \
                     ".insn i 0x7B, 4, x1, t0, %[body]\n" /* lp.setup 1, groups, the rest */ \
                     FBC_RUN_COLUMNS FBC_RUN_ZERO FBC_RUN_DOTS FBC_RUN_RESUME low FBC_RUN_REQUANTIZE(channel) \
                         FBC_RUN_STORE(write, back) FBC_RUN_SUSPEND ".option pop" \
                     : \
                     : "r"(a0), FBC_RUN_CODES(bits, is_signed), \
                       [body] "i"(2 * (FBC_RUN_INSTRUCTIONS + FBC_RUN_EXTRA + 2 + (instructions) + 1)) \
                     : FBC_RUN_CLOBBERS)

#define FBC_RUN_KINDS(write, write_instructions) \
    do { \
        if (kind == FBC_PLAIN) { \
            FBC_RUN(FBC_RUN_CHANNEL_PLAIN, , write, FBC_RUN_PLAIN_BACK, \
                    4 * (FBC_RUN_PLAIN_CHANNEL + (write_instructions))); \
        } else if (kind == FBC_CLAMPED) { \
            FBC_RUN(FBC_RUN_CHANNEL_CLAMPED, , write, FBC_RUN_PLAIN_BACK, \
                    4 * (FBC_RUN_CLAMPED_CHANNEL + (write_instructions))); \
        } else { \
            FBC_RUN(FBC_RUN_CHANNEL_GENERAL, FBC_RUN_LOW, write, FBC_RUN_BACK, \
                    FBC_RUN_GENERAL_EXTRA + 4 * (FBC_RUN_GENERAL_CHANNEL + (write_instructions))); \
        } \
    } while (0)

/* Changes the run, which is not to be used again. Everything but the first argument is constant. */
FBC_INLINE void fbc_run_blocks(fbc_block_run *run, uint32_t bits, uint32_t is_signed, uint32_t output_bits,
                               fbc_requantization_kind kind) {
#ifndef FBC_XPULPNN
    if (bits != 8u) {
        fbc_run_blocks_in_c(run, bits, is_signed, output_bits, kind);
        return;
    }
#endif
    register fbc_block_run *a0 __asm__("a0") = run;
    if (output_bits == 8u) {
        FBC_RUN_KINDS(FBC_RUN_WRITE_8, 3);
    } else if (output_bits == 4u) {
        FBC_RUN_KINDS(FBC_RUN_WRITE_4, 4);
    } else {
        FBC_RUN_KINDS(FBC_RUN_WRITE_2, 4);
    }
}

#else

#define fbc_run_blocks fbc_run_blocks_in_c

#endif

#endif
