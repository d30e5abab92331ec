/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* The inner loop of every blocked convolution: four pixels with one group of four output channels after the other, from
 * the dot products to the packed output. Weights are one stream: a word of each of the channels 0..3, then the next
 * word of channels 0..3, ...; then the next group. fbc_conv_blocked_* have the words in order; fbc_conv_macload_* the
 * second before the first.
 *
 * A run is one piece of assembler that owns all 31 registers, because a block needs them: the compiler would spill. Two
 * hardware loops: groups, and words in them. The first word is multiplied without accumulation, so that no sum is
 * zeroed. A group's code fits a core's own instruction buffer of 512 bytes where its requantization does not clamp
 * (with mac&load). XpulpV2 (8 bit only): 24 instructions for 16 dot products. XpulpNN: mac&load keeps four weight and
 * two activation words in special registers and loads one while it multiplies, 17 instructions. Its loads are one word
 * ahead, also from group to group: therefore the second word lies first, and up to 16 bytes behind the weights and 8
 * behind a pixel are read and not used. Elsewhere plain C, which is their oracle.
 *
 * Requantization: one value after the other; where it is short, one instruction multiplies, adds and shifts, and bytes
 * are clipped four at once. What is rare is left to the caller: a run writes the sums then. */
#ifndef FBC_BLOCK_RUN_H
#define FBC_BLOCK_RUN_H

#include "micro/fbc_dot_4x1.h"
#include "micro/fbc_store_block.h"

/* The assembler knows the offsets of the members, which are all of four bytes on the target. */
typedef struct {
    const uint8_t *columns[4]; /* 0 */
    uint32_t words;            /* 16: of a group's weights beyond the first, at least 1; may pass the columns' end */
    const uint8_t *weights;    /* 20: these of the first group; so are those that follow */
    const fbc_scale *scales;   /* 24 */
    const int32_t *addends;    /* 28 */
    uint8_t *output;           /* 32: of the first pixel, or channel if channels are planes; rare: sums, by pixels */
    uint32_t groups;           /* 36: at least 1 */
    uint32_t step;             /* 40: bytes of the output from pixel to pixel, or from plane to plane */
    uint32_t back;             /* 44: bytes from the fourth to the next group's first, modulo 2^32 */
    uint32_t shift;            /* 48 */
    int32_t high;              /* 52 */
    uint32_t places;           /* 56: where bytes go in narrow lanes, as factors; by the assembler's function */
    uint32_t column_words;     /* 60: what there is of a column; the assembler multiplies the rest by zero weights */
    uint32_t quads;            /* 64: at least 1; from quad to quad all pointers move by constant steps */
    uint32_t column_step;      /* 68 */
    uint32_t quad_skip;        /* 72: of the output, behind the last group */
    uint32_t saved[3];         /* 76: registers, by the assembler */
} fbc_block_run;

/* What does not change from run to run. */
FBC_INLINE void fbc_prepare_block_run(fbc_block_run *run, const fbc_requantization *parameters) {
    run->shift = parameters->shift;
    run->high = parameters->high;
}

FBC_INLINE void fbc_run_blocks_in_c(const fbc_block_run *run, uint32_t bits, uint32_t is_signed, uint32_t output_bits,
                                    fbc_requantization_kind kind, uint32_t channel_first, uint32_t macload) {
    const uint32_t is_low_signed = kind == FBC_SHORT_SIGNED || kind == FBC_SIGNED || kind == FBC_CLAMPED_SIGNED;
    const int32_t low = is_low_signed ? -run->high - 1 : 0;
    uint8_t *output = run->output;
    for (uint32_t quad = 0; quad < run->quads; quad++) {
        fbc_block_parameters block = {run->scales, run->addends, low, run->high, run->shift, kind <= FBC_SHORT_SIGNED};
        const uint8_t *weights = run->weights;
        for (uint32_t group = 0; group < run->groups; group++) {
            int32_t sums[4][4];
            for (uint32_t pixel = 0; pixel < 4u; pixel++) {
                const uint8_t *column = run->columns[pixel] + quad * run->column_step;
                fbc_dot_4x1(bits, is_signed, macload, weights, column, run->column_words, sums[pixel]);
                if (kind != FBC_RARE) {
                    fbc_requantize_pixel(&block, kind >= FBC_CLAMPED_UNSIGNED, sums[pixel]);
                }
            }
            if (kind == FBC_RARE) {
                memcpy(output, sums, sizeof sums);
                output += sizeof sums;
            }
            for (uint32_t i = 0; i < 4u && kind != FBC_RARE; i++) {
                const int32_t plane[4] = {sums[0][i], sums[1][i], sums[2][i], sums[3][i]};
                fbc_store_four(output, output_bits, 0u, channel_first ? plane : sums[i]);
                output += (int32_t)(i < 3u ? run->step : run->back);
            }
            weights += 16u * (run->words + 1u);
            block.scales += 4;
            block.addends += 4;
        }
        output += (int32_t)run->quad_skip;
    }
}

#ifdef FBC_XPULPV2

/* Registers. Sums of pixel p, channel c, are number 4 p + c of t0-t6, s2-s10. a0 the run, a1 weights, a2-a5 columns.
 * The fourth channel's sums hold the pixels of the first word. Behind the dot products a2 and a3 are free, a4 is the
 * multiplier or clamp, and while they are packed the places are in s10, four values in a4. Always: a6 scales, a7
 * addends, s11 output. Behind the dot products, with mac&load always: s1 step, ra back, gp shift, tp high. gp, tp and
 * sp are put back at the end; only a trap could miss them. */
#define FBC_RUN_CLOBBERS \
    "memory", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", \
        "s10", "s11", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "ra"

/* The words of four pixels often lie in one bank of the memory, and those of all cores: between two of their loads
 * stands something else, so that another core's fit in. */
#define FBC_RUN_LOAD(word, pointer) ".insn i 0x0B, 2, " word ", " pointer ", 4\n" /* p.lw, post-increment */
#define FBC_RUN_DOT(code, sum, pixel, weight) ".insn r 0x57, %[dot], %[" code "], " sum ", " pixel ", " weight "\n"
#define FBC_RUN_DOT_4(code, s0, s1, s2, s3, x0, x1, x2, x3, weight) \
    FBC_RUN_DOT(code, s0, x0, weight) \
    FBC_RUN_DOT(code, s1, x1, weight) FBC_RUN_DOT(code, s2, x2, weight) FBC_RUN_DOT(code, s3, x3, weight)
#define FBC_RUN_COLUMNS "lw a2, 0(a0)\n lw a3, 4(a0)\n lw a4, 8(a0)\n lw a5, 12(a0)\n"

/* Operands of both: lanes of the plain dot product, its signs, those of mac&load. Weights are signed. */
#define FBC_RUN_CODES(bits, is_signed) \
    [dot] "i"((bits) == 8u ? 1 : 2), [first] "i"(((is_signed) ? 0x4C : 0x44) | ((bits) == 2u ? 1 : 0)), \
        [more] "i"(((is_signed) ? 0x5C : 0x54) | ((bits) == 2u ? 1 : 0)), \
        [width] "i"((bits) == 8u   ? 1 \
                    : (bits) == 4u ? 2 \
                                   : 3), \
        [sign] "i"((is_signed) ? 0x7C : 0x6C)

/* One mac&load: accumulator += weights[w] . activations[a]; then register a or w is loaded from [pointer], pointer
 * += 4. The immediate is w load << 4 | a load << 3 | w << 1 | a, written as a register number. */
#define FBC_RUN_MLDOT(accumulator, pointer, immediate) \
    ".insn r 0x77, %[width], %[sign], " accumulator ", " pointer ", x" #immediate "\n"
/* With two short instructions, and the alignment in FBC_RUN, the loop begins where a line of the instruction buffer
 * does. */
#define FBC_RUN_MACLOAD_ONCE \
    "lw sp, 16(a0)\n lw ra, 44(a0)\n lw gp, 48(a0)\n lw tp, 52(a0)\n" FBC_RUN_SHORTEN("lw s1, 40(a0)\n")
#define FBC_RUN_MACLOAD_WEIGHTS FBC_RUN_SHORTEN("lw a1, 20(a0)\n")
#define FBC_RUN_SHORTEN(instruction) ".option rvc\n" instruction ".option norvc\n"
#define FBC_RUN_MACLOAD_BEGIN \
    FBC_RUN_MLDOT("x0", "a1", 16) \
    FBC_RUN_MLDOT("x0", "a1", 18) FBC_RUN_MLDOT("x0", "a1", 20) FBC_RUN_MLDOT("x0", "a1", 22)
#define FBC_RUN_PIXELS "t3", "s2", "s6", "s10"
#define FBC_RUN_FIRST_4(s0, s1, s2, s3, weight) FBC_RUN_FIRST_4_(s0, s1, s2, s3, FBC_RUN_PIXELS, weight)
#define FBC_RUN_FIRST_4_(...) FBC_RUN_DOT_4("first", __VA_ARGS__)
#define FBC_RUN_MACLOAD_DOTS \
    FBC_RUN_LOAD("t3", "a2") \
    FBC_RUN_LOAD("t1", "a1") \
    FBC_RUN_LOAD("s2", "a3") \
    FBC_RUN_LOAD("t2", "a1") \
    FBC_RUN_LOAD("s6", "a4") \
    FBC_RUN_LOAD("s0", "a1") \
    FBC_RUN_LOAD("s10", "a5") \
    FBC_RUN_FIRST_4("t0", "t4", "s3", "s7", "t1") \
    FBC_RUN_FIRST_4("t1", "t5", "s4", "s8", "t2") \
    FBC_RUN_FIRST_4("t2", "t6", "s5", "s9", "s0") \
    FBC_RUN_LOAD("s0", "a1") \
    FBC_RUN_MLDOT("x0", "a2", 8) \
    FBC_RUN_FIRST_4("t3", "s2", "s6", "s10", "s0") \
    FBC_RUN_MLDOT("x0", "a3", 9) \
    ".insn i 0x7B, 4, x0, sp, 34\n" /* lp.setup 0, words, 17 instructions */ \
        FBC_RUN_MLDOT("t0", "a4", 0) FBC_RUN_MLDOT("t1", "a4", 2) FBC_RUN_MLDOT("t2", "a4", 4) \
            FBC_RUN_MLDOT("t3", "a4", 14) FBC_RUN_MLDOT("t4", "a5", 1) FBC_RUN_MLDOT("t5", "a5", 3) \
                FBC_RUN_MLDOT("t6", "a5", 5) FBC_RUN_MLDOT("s2", "a5", 15) FBC_RUN_MLDOT("s3", "a2", 0) \
                    FBC_RUN_MLDOT("s4", "a2", 2) FBC_RUN_MLDOT("s5", "a2", 4) FBC_RUN_MLDOT("s6", "a2", 14) \
                        FBC_RUN_MLDOT("s7", "a1", 17) FBC_RUN_MLDOT("s8", "a1", 19) FBC_RUN_MLDOT("s9", "a1", 21) \
                            FBC_RUN_MLDOT("s10", "a1", 23) FBC_RUN_MLDOT("x0", "a3", 9)

/* Without mac&load the words take the registers of what is not needed meanwhile. Pixels are loaded in even cycles of a
 * word's 24, weights in odd ones, so that cores an even number of cycles apart do not want one bank. */
#define FBC_RUN_BLOCKED_ONCE ".balign 16\n"
#define FBC_RUN_BLOCKED_WEIGHTS "lw a1, 20(a0)\n"
#define FBC_RUN_BLOCKED_BEGIN
#define FBC_RUN_WORD(code, between) \
    FBC_RUN_LOAD("gp", "a2") \
    FBC_RUN_LOAD("ra", "a1") \
    FBC_RUN_LOAD("tp", "a3") \
    FBC_RUN_LOAD("s0", "a1") \
    FBC_RUN_LOAD("sp", "a4") \
    FBC_RUN_DOT(code, "t0", "gp", "ra") \
    FBC_RUN_LOAD("s1", "a5") \
    FBC_RUN_DOT(code, "t4", "tp", "ra") \
    FBC_RUN_DOT(code, "s3", "sp", "ra") \
    FBC_RUN_DOT(code, "s7", "s1", "ra") \
    FBC_RUN_DOT(code, "t1", "gp", "s0") \
    FBC_RUN_DOT(code, "t5", "tp", "s0") \
    FBC_RUN_DOT(code, "s4", "sp", "s0") \
    FBC_RUN_LOAD("ra", "a1") \
    FBC_RUN_DOT(code, "s8", "s1", "s0") \
    FBC_RUN_DOT(code, "t2", "gp", "ra") \
    FBC_RUN_DOT(code, "t6", "tp", "ra") \
    FBC_RUN_LOAD("s0", "a1") \
    FBC_RUN_DOT(code, "s5", "sp", "ra") \
    FBC_RUN_DOT(code, "s9", "s1", "ra") \
    between FBC_RUN_DOT(code, "t3", "gp", "s0") FBC_RUN_DOT(code, "s2", "tp", "s0") \
        FBC_RUN_DOT(code, "s6", "sp", "s0") FBC_RUN_DOT(code, "s10", "s1", "s0")
#define FBC_RUN_BLOCKED_DOTS \
    FBC_RUN_WORD("first", "lw ra, 16(a0)\n") \
    ".insn i 0x7B, 4, x0, ra, 48\n" /* lp.setup 0, words, 24 instructions */ \
        FBC_RUN_WORD("more", ) "lw s1, 40(a0)\n lw ra, 44(a0)\n lw gp, 48(a0)\n lw tp, 52(a0)\n"
enum { FBC_RUN_MACLOAD_INSTRUCTIONS = 4 + 27 + 17, FBC_RUN_BLOCKED_INSTRUCTIONS = 4 + 25 + 1 + 24 + 4 };

/* One channel of four pixels, sums s0-s3. */
#define FBC_RUN_LOAD_ADDEND(y) ".insn i 0x0B, 2, " y ", a7, 4\n"
#define FBC_RUN_LOAD_MULTIPLIER(x) ".insn i 0x0B, 2, " x ", a6, 8\n"
#define FBC_RUN_MAC(sum, factor) ".insn r 0x33, 0, 0x21, " sum ", " sum ", " factor "\n"

/* Value by value: the multiplier less 1 in a2; y is free. p.mac in place takes one cycle, a
 * multiplication two; p.addN, (sum + addend) >> shift, wants no copies of the addend. */
#define FBC_RUN_ADD_SHIFT(sum, addend) ".insn r 0x5B, 2, 0x20, " sum ", " addend ", gp\n"
#define FBC_RUN_SHIFT(y, s0, s1, s2, s3) \
    FBC_RUN_MAC(s0, "a2") \
    FBC_RUN_MAC(s1, "a2") \
    FBC_RUN_MAC(s2, "a2") \
    FBC_RUN_MAC(s3, "a2") \
    FBC_RUN_ADD_SHIFT(s0, y) FBC_RUN_ADD_SHIFT(s1, y) FBC_RUN_ADD_SHIFT(s2, y) FBC_RUN_ADD_SHIFT(s3, y)
#define FBC_RUN_FOUR(code, a, b, c, d, operand) \
    ".insn r 0x33, " code ", " a ", " a ", " operand "\n .insn r 0x33, " code ", " b ", " b ", " operand "\n" \
    ".insn r 0x33, " code ", " c ", " c ", " operand "\n .insn r 0x33, " code ", " d ", " d ", " operand "\n"
/* p.clip: [-operand - 1, operand]; p.clipu: [0, operand]. */
#define FBC_RUN_CLIP(a, b, c, d, operand) FBC_RUN_FOUR("5, 0x0A", a, b, c, d, operand)
#define FBC_RUN_CLIP_UNSIGNED(a, b, c, d, operand) FBC_RUN_FOUR("6, 0x0A", a, b, c, d, operand)
#define FBC_RUN_CLAMP(y, s0, s1, s2, s3) \
    "lw a4, 4(a6)\n" FBC_RUN_LOAD_MULTIPLIER("a2") FBC_RUN_LOAD_ADDEND(y) FBC_RUN_CLIP(s0, s1, s2, s3, "a4")
#define FBC_RUN_NO_CLAMP(y, s0, s1, s2, s3) FBC_RUN_LOAD_MULTIPLIER("a2") FBC_RUN_LOAD_ADDEND(y)
#define FBC_RUN_CHANNEL_UNSIGNED(y, s0, s1, s2, s3) \
    FBC_RUN_NO_CLAMP(y, s0, s1, s2, s3) \
    FBC_RUN_SHIFT(y, s0, s1, s2, s3) FBC_RUN_CLIP_UNSIGNED(s0, s1, s2, s3, "tp")
#define FBC_RUN_CHANNEL_SIGNED(y, s0, s1, s2, s3) \
    FBC_RUN_NO_CLAMP(y, s0, s1, s2, s3) FBC_RUN_SHIFT(y, s0, s1, s2, s3) FBC_RUN_CLIP(s0, s1, s2, s3, "tp")
#define FBC_RUN_CHANNEL_CLAMPED_UNSIGNED(y, s0, s1, s2, s3) \
    FBC_RUN_CLAMP(y, s0, s1, s2, s3) \
    FBC_RUN_SHIFT(y, s0, s1, s2, s3) FBC_RUN_CLIP_UNSIGNED(s0, s1, s2, s3, "tp")
#define FBC_RUN_CHANNEL_CLAMPED_SIGNED(y, s0, s1, s2, s3) \
    FBC_RUN_CLAMP(y, s0, s1, s2, s3) FBC_RUN_SHIFT(y, s0, s1, s2, s3) FBC_RUN_CLIP(s0, s1, s2, s3, "tp")
enum { FBC_RUN_SHIFTED = 14, FBC_RUN_CLAMPED = 5 };
#define FBC_RUN_CHANNELS(channel) \
    channel("a3", "t0", "t4", "s3", "s7") channel("a3", "t1", "t5", "s4", "s8") channel("a3", "t2", "t6", "s5", "s9") \
        channel("a3", "t3", "s2", "s6", "s10")
#define FBC_RUN_BY_PIXELS(write) \
    write("t0", "t1", "t2", "t3", "s1") write("t4", "t5", "t6", "s2", "s1") write("s3", "s4", "s5", "s6", "s1") \
        write("s7", "s8", "s9", "s10", "ra")
#define FBC_RUN_BY_CHANNELS(write) \
    write("t0", "t4", "s3", "s7", "s1") write("t1", "t5", "s4", "s8", "s1") write("t2", "t6", "s5", "s9", "s1") \
        write("t3", "s2", "s6", "s10", "ra")
/* Four values. 8 bit: pv.packlo.b, pv.packhi.b. Else p.insert: the last field is the position. */
#define FBC_RUN_SIMD(code, d, s0, s1) ".insn r 0x57, " code ", " d ", " s0 ", " s1 "\n"
#define FBC_RUN_STORE(width, value, step) ".insn r 0x2B, " width ", 0, " step ", s11, " value "\n" /* p.sw */
#define FBC_RUN_WRITE_8(v0, v1, v2, v3, step) \
    FBC_RUN_SIMD("1, 0x70", "a2", v1, v0) FBC_RUN_SIMD("1, 0x6C", "a2", v3, v2) FBC_RUN_STORE("6", "a2", step)
#define FBC_RUN_WRITE_4(v0, v1, v2, v3, step) \
    ".insn r 0x33, 2, 0x63, " v0 ", " v1 ", x4\n .insn r 0x33, 2, 0x63, " v0 ", " v2 ", x8\n" \
    ".insn r 0x33, 2, 0x63, " v0 ", " v3 ", x12\n" FBC_RUN_STORE("5", v0, step)
#define FBC_RUN_WRITE_2(v0, v1, v2, v3, step) \
    ".insn r 0x33, 2, 0x61, " v0 ", " v1 ", x2\n .insn r 0x33, 2, 0x61, " v0 ", " v2 ", x4\n" \
    ".insn r 0x33, 2, 0x61, " v0 ", " v3 ", x6\n" FBC_RUN_STORE("4", v0, step)
enum { FBC_RUN_WRITTEN_8 = 3, FBC_RUN_WRITTEN_4 = 4, FBC_RUN_WRITTEN_2 = 4 };

/* Short: p.macsN, (y + lower half of sum * multiplier) >> 15. y, the addend, and x are free, and s2 and s3 then: the
 * values are in x, s0, s1, y. */
#define FBC_RUN_MAC_SHIFT(y, sum) ".insn r 0x5B, 1, 0x40 + %[scale], " y ", " sum ", a4\n"
#define FBC_RUN_CHANNEL_SHORT(x, y, s0, s1, s2, s3) \
    FBC_RUN_LOAD_ADDEND(y) \
    FBC_RUN_LOAD_MULTIPLIER("a4") \
    "mv " x ", " y "\n" FBC_RUN_MAC_SHIFT(x, s0) "mv " s0 ", " y "\n" FBC_RUN_MAC_SHIFT( \
        s0, s1) "mv " s1 ", " y "\n" FBC_RUN_MAC_SHIFT(s1, s2) FBC_RUN_MAC_SHIFT(y, s3)
#define FBC_RUN_CHANNEL_SHORT_UNSIGNED(x, y, s0, s1, s2, s3) \
    FBC_RUN_CHANNEL_SHORT(x, y, s0, s1, s2, s3) FBC_RUN_CLIP_UNSIGNED(x, s0, s1, y, "tp")
#define FBC_RUN_CHANNEL_SHORT_SIGNED(x, y, s0, s1, s2, s3) \
    FBC_RUN_CHANNEL_SHORT(x, y, s0, s1, s2, s3) FBC_RUN_CLIP(x, s0, s1, y, "tp")
#define FBC_RUN_SHORT_CHANNELS(channel) \
    channel("a2", "a3", "t0", "t4", "s3", "s7") channel("s3", "s7", "t1", "t5", "s4", "s8") \
        channel("s4", "s8", "t2", "t6", "s5", "s9") channel("s5", "s9", "t3", "s2", "s6", "s10")
/* Bytes of values 0, 2, 1, 3, clipped by pv.max.sc.b, pv.min.sc.b; pv.dotup puts each at its place. */
#define FBC_RUN_PACK(v0, v1, v2, v3, lanes) \
    FBC_RUN_SIMD("1, 0x70", "a4", v2, v0) \
    FBC_RUN_SIMD("1, 0x6C", "a4", v3, v1) \
    FBC_RUN_SIMD("5, 0x18", "a4", "a4", "x0") \
    FBC_RUN_SIMD("5, 0x10", "a4", "a4", "tp") FBC_RUN_SIMD(lanes, "a4", "a4", "s10")
#define FBC_RUN_PACK_4(v0, v1, v2, v3, step) FBC_RUN_PACK(v0, v1, v2, v3, "0, 0x40") FBC_RUN_STORE("5", "a4", step)
#define FBC_RUN_PACK_2(v0, v1, v2, v3, step) FBC_RUN_PACK(v0, v1, v2, v3, "1, 0x40") FBC_RUN_STORE("4", "a4", step)
#define FBC_RUN_SHORT_BY_PIXELS(write) \
    write("a2", "s3", "s4", "s5", "s1") write("t0", "t1", "t2", "t3", "s1") write("t4", "t5", "t6", "s2", "s1") \
        write("a3", "s7", "s8", "s9", "ra")
#define FBC_RUN_SHORT_BY_CHANNELS(write) \
    write("a2", "t0", "t4", "a3", "s1") write("s3", "t1", "t5", "s7", "s1") write("s4", "t2", "t6", "s8", "s1") \
        write("s5", "t3", "s2", "s9", "ra")
enum { FBC_RUN_MULTIPLIED = 9, FBC_RUN_CLIPPED = 4, FBC_RUN_PACKED = 6 };

/* Sums of a pixel. */
#define FBC_RUN_STORE_NEXT(sum) ".insn s 0x2B, 2, " sum ", 4(s11)\n" /* p.sw, post-increment */
#define FBC_RUN_SUMS(s0, s1, s2, s3) \
    FBC_RUN_STORE_NEXT(s0) FBC_RUN_STORE_NEXT(s1) FBC_RUN_STORE_NEXT(s2) FBC_RUN_STORE_NEXT(s3)
#define FBC_RUN_ALL_SUMS \
    FBC_RUN_SUMS("t0", "t1", "t2", "t3") \
    FBC_RUN_SUMS("t4", "t5", "t6", "s2") FBC_RUN_SUMS("s3", "s4", "s5", "s6") FBC_RUN_SUMS("s7", "s8", "s9", "s10")

/* Behind the loops instructions may be short: weights and second word are not needed now. */
#define FBC_RUN_NEXT_QUAD \
    "lw a1, 64(a0)\n addi a1, a1, -1\n beqz a1, 2f\n sw a1, 64(a0)\n" \
    "lw s0, 68(a0)\n lw a2, 0(a0)\n lw a3, 4(a0)\n lw a4, 8(a0)\n lw a5, 12(a0)\n lw a1, 72(a0)\n" \
    "add a2, a2, s0\n add a3, a3, s0\n add a4, a4, s0\n add a5, a5, s0\n add s11, s11, a1\n" \
    "sw a2, 0(a0)\n sw a3, 4(a0)\n sw a4, 8(a0)\n sw a5, 12(a0)\n"

#define FBC_RUN(unit, requantize, instructions) \
    __asm__ volatile(".balign 4\n.option push\n" \
                     ".option norvc\n" \
                     "sw gp, 76(a0)\n .balign 16\n sw tp, 80(a0)\n sw sp, 84(a0)\n" \
                     "lw s11, 32(a0)\n" FBC_RUN_##unit##_ONCE "1: " FBC_RUN_##unit##_WEIGHTS \
                     "lw t0, 36(a0)\n lw a6, 24(a0)\n lw a7, 28(a0)\n" FBC_RUN_##unit##_BEGIN \
                     ".insn i 0x7B, 4, x1, t0, %[body]\n" /* lp.setup 1, groups, up to the next quad */ \
                     FBC_RUN_COLUMNS FBC_RUN_##unit##_DOTS requantize \
                     ".option pop\n" FBC_RUN_NEXT_QUAD "j 1b\n" \
                     "2: lw gp, 76(a0)\n lw tp, 80(a0)\n lw sp, 84(a0)" \
                     : \
                     : "r"(a0), FBC_RUN_CODES(bits, is_signed), [scale] "i"(FBC_SHORT_SHIFT), \
                       [body] "i"(2 * (FBC_RUN_##unit##_INSTRUCTIONS + (instructions))) \
                     : FBC_RUN_CLOBBERS)

#define FBC_RUN_KIND(unit, channel, by, width, more) \
    FBC_RUN(unit, FBC_RUN_CHANNELS(channel) by(FBC_RUN_WRITE_##width), \
            4 * (FBC_RUN_SHIFTED + FBC_RUN_WRITTEN_##width + (more)))
#define FBC_RUN_KINDS(unit, by, width) \
    do { \
        if (kind == FBC_UNSIGNED) { \
            FBC_RUN_KIND(unit, FBC_RUN_CHANNEL_UNSIGNED, by, width, 0); \
        } else if (kind == FBC_SIGNED) { \
            FBC_RUN_KIND(unit, FBC_RUN_CHANNEL_SIGNED, by, width, 0); \
        } else if (kind == FBC_CLAMPED_UNSIGNED) { \
            FBC_RUN_KIND(unit, FBC_RUN_CHANNEL_CLAMPED_UNSIGNED, by, width, FBC_RUN_CLAMPED); \
        } else { \
            FBC_RUN_KIND(unit, FBC_RUN_CHANNEL_CLAMPED_SIGNED, by, width, FBC_RUN_CLAMPED); \
        } \
    } while (0)
#define FBC_RUN_SHORT(unit, channel, before, by, write, instructions) \
    FBC_RUN(unit, FBC_RUN_SHORT_CHANNELS(channel) before by(write), 4 * FBC_RUN_MULTIPLIED + (instructions))
#define FBC_RUN_SHORT_KINDS(unit, by, width) \
    do { \
        if (kind == FBC_SHORT_BYTES) { \
            FBC_RUN_SHORT(unit, FBC_RUN_CHANNEL_SHORT, "lw s10, 56(a0)\n", by, FBC_RUN_PACK_##width, \
                          1 + 4 * FBC_RUN_PACKED); \
        } else if (kind == FBC_SHORT_UNSIGNED) { \
            FBC_RUN_SHORT(unit, FBC_RUN_CHANNEL_SHORT_UNSIGNED, , by, FBC_RUN_WRITE_##width, \
                          4 * (FBC_RUN_CLIPPED + FBC_RUN_WRITTEN_##width)); \
        } else { \
            FBC_RUN_SHORT(unit, FBC_RUN_CHANNEL_SHORT_SIGNED, , by, FBC_RUN_WRITE_##width, \
                          4 * (FBC_RUN_CLIPPED + FBC_RUN_WRITTEN_##width)); \
        } \
    } while (0)
#define FBC_RUN_WIDTHS(unit, by, short_by) \
    do { \
        if (kind <= FBC_SHORT_SIGNED && output_bits == 4u) { \
            FBC_RUN_SHORT_KINDS(unit, short_by, 4); \
        } else if (kind <= FBC_SHORT_SIGNED) { \
            FBC_RUN_SHORT_KINDS(unit, short_by, 2); \
        } else if (output_bits == 8u) { \
            FBC_RUN_KINDS(unit, by, 8); \
        } else if (output_bits == 4u) { \
            FBC_RUN_KINDS(unit, by, 4); \
        } else { \
            FBC_RUN_KINDS(unit, by, 2); \
        } \
    } while (0)
#define FBC_RUN_LAYOUTS(unit) \
    do { \
        if (kind == FBC_RARE) { \
            FBC_RUN(unit, FBC_RUN_ALL_SUMS, 16); \
        } else if (channel_first) { \
            FBC_RUN_WIDTHS(unit, FBC_RUN_BY_CHANNELS, FBC_RUN_SHORT_BY_CHANNELS); \
        } else { \
            FBC_RUN_WIDTHS(unit, FBC_RUN_BY_PIXELS, FBC_RUN_SHORT_BY_PIXELS); \
        } \
    } while (0)

/* Changes the run's pointers. Everything but the first argument is constant. */
FBC_INLINE void fbc_run_blocks(fbc_block_run *run, uint32_t bits, uint32_t is_signed, uint32_t output_bits,
                               fbc_requantization_kind kind, uint32_t channel_first, uint32_t macload) {
    register fbc_block_run *a0 __asm__("a0") = run;
    if (kind == FBC_SHORT_BYTES) {
        run->places = output_bits == 4u ? 0x00100001u : 0x40041001u;
    }
    if (macload) {
        FBC_RUN_LAYOUTS(MACLOAD);
    } else {
        FBC_RUN_LAYOUTS(BLOCKED);
    }
}

#else

#define fbc_run_blocks fbc_run_blocks_in_c

#endif

#endif
