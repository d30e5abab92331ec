/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution 3x3, stride 2, of channel-first activations of 4 or 2 bits to outputs of as many, without
 * scratch: one pair of channels after the other, each read where it lies; requantization less one, by a shift of 16,
 * clipped to all outputs.
 *
 * A pair is computed down strips of two output columns, whose windows are five columns of the plane. Rows are whole
 * bytes, so that exactly one side of a plane has a column of padding: the first strip is the one there, the others
 * follow away from it. Of its two outputs a strip computes the outer one, nearer to that side, first. Strips are a
 * whole number of bytes apart, so that a word of a row (of 2 bits: a half of one) that begins where the first strip's
 * does has the windows at the same lanes in all strips; only the first strip leaves out one tap of the outer outputs.
 * What of a word lies beside its row meets zeros. If columns of outputs are odd, one is computed twice. With padding
 * below only, strips go from the last row up, so that rows beside the plane come first.
 *
 * Words of 2 bits hold two rows, so that two dot products are a window: one of the lower two rows, and one of the
 * upper row, which is the last row of the step before.
 *
 * The work is cut into units: a band of output rows of four channels. Each core takes a run of units. */
#ifndef FBC_DEPTHWISE_PAIRS_STRIDE_2_H
#define FBC_DEPTHWISE_PAIRS_STRIDE_2_H

#include "common/fbc_requantize.h"
#include "micro/fbc_depthwise_in_place.h"

/* The assembler knows the offsets of the members. */
typedef struct {
    const uint8_t *filters;  /* 0: of the next pair: three rows of three taps and a zero of each channel */
    const fbc_scale *scales; /* 4: less one */
    const int32_t *addends;  /* 8 */
    uint32_t strips_left;    /* 12: strips of the pair behind the running ones, by the assembler */
    const uint8_t *last;     /* 16: behind the last pair's filter, as far as from pair to pair */
    uint32_t inner_up;       /* 20: bits by which filter rows are shifted for inner outputs */
    uint32_t turn;           /* 24: and then turned right for outer ones */
    uint32_t edge_mask;      /* 28: without the tap beside the plane */
    uint32_t more_strips;    /* 32: behind the first one */
    uint32_t way;            /* 36: address of the way into the row loop, or 0, by the assembler */
    uint32_t rounds;         /* 40: of the row loop, of two rows, the first of which may be shorter */
    uint32_t below;          /* 44: the last window's last row is beside the plane */
    int32_t strip_input;     /* 48: bytes from behind a strip's last row to the next strip */
    int32_t strip_output;    /* 52: likewise of the output */
    int32_t again_input;     /* 56: more from the first strip to the second: an output back if they are odd */
    int32_t again_output;    /* 60 */
    int32_t pair_input;      /* 64: more from the last strip to the next pair */
    int32_t pair_output;     /* 68 */
    const uint8_t *plane;    /* 72: of the first channel, the first row that is read */
    uint8_t *output;         /* 76: of the first strip's first row */
    uint32_t plane_bytes;    /* 80: from channel to channel */
    int32_t row_step;        /* 84: from row to row */
    int32_t to_inner;        /* 88: bytes from an outer to an inner output */
    int32_t to_outer;        /* 92: from there to the next row's outer one */
    int32_t begin;           /* 96: bytes from a plane's row to the first strip's word */
    uint32_t entry;          /* 100: bytes to the way into the row loop, 0: the usual one */
    uint32_t saved[3];       /* 104: registers, by the assembler */
    int32_t filter_row;      /* 116: bytes from row to row of a filter */
    int32_t filter_channel;  /* 120: from its last row to the first one of the next channel */
    int32_t filter_pair;     /* 124: of the next pair */
    uint32_t above;          /* the first window's first row is beside the plane */
    uint32_t output_rows;
} fbc_stride_2_run;

/* Bytes of a way into the row loop. */
enum { FBC_STRIDE_2_WAY_BYTES = 6 * 4, FBC_STRIDE_2_INSIDE_BYTES_4 = 6 * 4, FBC_STRIDE_2_INSIDE_BYTES_2 = 8 * 4 };

/* How two values of a pixel are stored: into a byte, its lower half, or its upper half, the lower being there. */
typedef enum { FBC_STRIDE_2_BYTE, FBC_STRIDE_2_LOWER, FBC_STRIDE_2_UPPER } fbc_stride_2_store;

#ifdef FBC_XPULPNN

_Static_assert(offsetof(fbc_stride_2_run, filter_pair) == 124,
               "the assembler below has the offsets of members as numbers");

/* Registers: s0-s2 taps of the outer output of the first channel, s3-s5 of the inner one, s6-s8 and s9-s11 of the
 * second channel; t0-t2 and t3-t5 their rows; t6, a1 sums and values; a2, ra planes, a0 from row to row; a3 output, a4,
 * a5 to the inner output and to the next row; a6, a7 multipliers less 1, gp, tp addends; sp the run. gp, tp and sp are
 * put back at the end; only a trap could miss them.
 *
 * Of 2 bits: s0, s3, s6, s9 taps of the lower rows, s1, s4, s7, s10 of the upper row; t0, t2 and t3, t5 the rows of a
 * step and of the one before; s2 the lower half of a byte; s5, s8, s11 strip_input, strip_output and below. */
#define FBC_STRIDE_2_LOAD_4(word, pointer) ".insn r 0x0B, 7, 0x10, " word ", " pointer ", a0\n" /* p.lw */
#define FBC_STRIDE_2_LOAD_2(word, pointer) ".insn r 0x0B, 7, 0x28, " word ", " pointer ", a0\n" /* p.lhu */
#define FBC_STRIDE_2_ROW(bits, first, second) \
    FBC_STRIDE_2_LOAD_##bits(first, "a2") FBC_STRIDE_2_LOAD_##bits(second, "ra")
#define FBC_STRIDE_2_PACK(to, upper, lower) ".insn r 0x57, 0, 0x68, " to ", " upper ", " lower "\n" /* pv.pack.h */
#define FBC_STRIDE_2_FIRST(sum, row, taps) ".insn r 0x57, 2, %[first], " sum ", " row ", " taps "\n"
#define FBC_STRIDE_2_MORE(sum, row, taps) ".insn r 0x57, 2, %[more], " sum ", " row ", " taps "\n"
/* p.mac in place, p.addN: the sum shifted by an immediate, p.clipu with one. */
#define FBC_STRIDE_2_SCALE(sum, less_one, addend) \
    ".insn r 0x33, 0, 0x21, " sum ", " sum ", " less_one "\n" \
    ".insn r 0x5B, 2, %[shift], " sum ", " sum ", " addend "\n" \
    ".insn r 0x33, 2, 0x0A, " sum ", " sum ", x%[clip]\n"
#define FBC_STRIDE_2_INSERT(code, word, part, position) ".insn r 0x33, 2, " code ", " word ", " part ", " position "\n"
#define FBC_STRIDE_2_STORE(word, step) ".insn r 0x2B, 4, 0, " step ", a3, " word "\n" /* p.sb */
#define FBC_STRIDE_2_BEGIN_BYTE
#define FBC_STRIDE_2_BEGIN_LOWER
#define FBC_STRIDE_2_BEGIN_UPPER "lbu s2, 0(a3)\n"
#define FBC_STRIDE_2_END_BYTE(step) FBC_STRIDE_2_INSERT("0x63", "t6", "a1", "x4") FBC_STRIDE_2_STORE("t6", step)
#define FBC_STRIDE_2_END_LOWER(step) FBC_STRIDE_2_INSERT("0x61", "t6", "a1", "x2") FBC_STRIDE_2_STORE("t6", step)
#define FBC_STRIDE_2_END_UPPER(step) \
    FBC_STRIDE_2_INSERT("0x61", "s2", "t6", "x4") \
    FBC_STRIDE_2_INSERT("0x61", "s2", "a1", "x6") FBC_STRIDE_2_STORE("s2", step)

/* A window of rows a, b, c and the taps u, v, w; of the first two of them, the last being below the plane. Of 2 bits, b
 * and c are packed into c, and u and v are the taps of b and c, and of a. */
#define FBC_STRIDE_2_WINDOW_4(sum, a, b, c, u, v, w) \
    FBC_STRIDE_2_FIRST(sum, a, u) FBC_STRIDE_2_MORE(sum, b, v) FBC_STRIDE_2_MORE(sum, c, w)
#define FBC_STRIDE_2_LOWEST_WINDOW_4(sum, a, b, c, u, v, w) FBC_STRIDE_2_FIRST(sum, a, u) FBC_STRIDE_2_MORE(sum, b, v)
#define FBC_STRIDE_2_WINDOW_2(sum, a, b, c, u, v, w) FBC_STRIDE_2_FIRST(sum, a, v) FBC_STRIDE_2_MORE(sum, c, u)
#define FBC_STRIDE_2_LOWEST_WINDOW_2(sum, a, b, c, u, v, w) FBC_STRIDE_2_FIRST(sum, a, v) FBC_STRIDE_2_MORE(sum, b, u)
#define FBC_STRIDE_2_OUTPUT(window, store, a, b, c, d, e, f, u, v, w, x, y, z, step) \
    FBC_STRIDE_2_BEGIN_##store window("t6", a, b, c, u, v, w) FBC_STRIDE_2_SCALE("t6", "a6", "gp") \
        window("a1", d, e, f, x, y, z) FBC_STRIDE_2_SCALE("a1", "a7", "tp") FBC_STRIDE_2_END_##store(step)
#define FBC_STRIDE_2_OUTPUTS(window, store, a, b, c, d, e, f) \
    FBC_STRIDE_2_OUTPUT(window, store, a, b, c, d, e, f, "s0", "s1", "s2", "s6", "s7", "s8", "a4") \
    FBC_STRIDE_2_OUTPUT(window, store, a, b, c, d, e, f, "s3", "s4", "s5", "s9", "s10", "s11", "a5")
#define FBC_STRIDE_2_ROWS_4(b, c, e, f) FBC_STRIDE_2_ROW(4, b, e) FBC_STRIDE_2_ROW(4, c, f)
#define FBC_STRIDE_2_ROWS_2(b, c, e, f) \
    FBC_STRIDE_2_ROW(2, b, e) \
    FBC_STRIDE_2_ROW(2, c, f) FBC_STRIDE_2_PACK(c, c, b) FBC_STRIDE_2_PACK(f, f, e)
/* One output row of a strip. */
#define FBC_STRIDE_2_STEP(bits, store, a, b, c, d, e, f) \
    FBC_STRIDE_2_ROWS_##bits(b, c, e, f) FBC_STRIDE_2_OUTPUTS(FBC_STRIDE_2_WINDOW_##bits, store, a, b, c, d, e, f)

/* The usual way into the row loop: to its first row, without a row above the first output. The others, with such a row
 * too: past it, to its second row, to its first one. They set where the loop of strips starts. */
#define FBC_STRIDE_2_ABOVE(bits, first, second) "mv " first ", zero\n mv " second ", zero\n"
#define FBC_STRIDE_2_INSIDE_4(bits, first, second) FBC_STRIDE_2_ROW(bits, first, second)
#define FBC_STRIDE_2_INSIDE_2(bits, first, second) \
    FBC_STRIDE_2_ROW(bits, first, second) "slli " first ", " first ", 16\n slli " second ", " second ", 16\n"
#define FBC_STRIDE_2_ENTER(bits, begin, first, second) \
    "lw t6, 40(sp)\n" begin(bits, first, second) ".insn i 0x7B, 2, x0, t6, 0\n" /* lp.count 0 */
#define FBC_STRIDE_2_WAY(bits, begin, first, second, to) \
    ".insn i 0x7B, 0, x1, x0, 2\n" /* lp.starti 1: the next instruction */ \
        FBC_STRIDE_2_ENTER(bits, begin, first, second) "j " to "\n"
#define FBC_STRIDE_2_WAYS(bits, begin) \
    FBC_STRIDE_2_WAY(bits, begin, "t0", "t3", "83b") FBC_STRIDE_2_WAY(bits, begin, "t2", "t5", "82b")
#define FBC_STRIDE_2_ALL_WAYS(bits) \
    "86: jr t4\n" FBC_STRIDE_2_WAYS(bits, FBC_STRIDE_2_ABOVE) FBC_STRIDE_2_WAYS(bits, FBC_STRIDE_2_INSIDE_##bits) \
        FBC_STRIDE_2_WAY(bits, FBC_STRIDE_2_INSIDE_##bits, "t0", "t3", "81b")

/* Filter rows from t0 on, t4, t6 and a1 bytes apart, and, in place, as taps of inner outputs, moved up by t4; those of
 * outer ones are these turned by t4. Scales from t1 on, addends from t3 on. */
#define FBC_STRIDE_2_ALL_4(code, by) \
    code("s0", "s3", by) code("s1", "s4", by) code("s2", "s5", by) code("s6", "s9", by) code("s7", "s10", by) \
        code("s8", "s11", by)
#define FBC_STRIDE_2_ALL_2(code, by) \
    code("s0", "s3", by) code("s1", "s4", by) code("s6", "s9", by) code("s7", "s10", by)
#define FBC_STRIDE_2_UP(outer, inner, by) "sll " inner ", " inner ", " by "\n"
#define FBC_STRIDE_2_TURN(outer, inner, by) ".insn r 0x33, 5, 0x04, " outer ", " inner ", " by "\n" /* p.ror */
#define FBC_STRIDE_2_MASK(outer, inner, mask) "and " outer ", " outer ", " mask "\n"
#define FBC_STRIDE_2_HALF(taps, step) ".insn r 0x0B, 7, 0x28, " taps ", t0, " step "\n"  /* p.lhu */
#define FBC_STRIDE_2_OCTET(taps, step) ".insn r 0x0B, 7, 0x20, " taps ", t0, " step "\n" /* p.lbu */
#define FBC_STRIDE_2_FILTER(load, a, b, c, d, e, f, last) \
    load(a, "t4") load(b, "t4") load(c, "t6") load(d, "t4") load(e, "t4") load(f, last)
#define FBC_STRIDE_2_FILTER_4 FBC_STRIDE_2_FILTER(FBC_STRIDE_2_HALF, "s3", "s4", "s5", "s9", "s10", "s11", "t6")
#define FBC_STRIDE_2_FILTER_2 FBC_STRIDE_2_FILTER(FBC_STRIDE_2_OCTET, "s4", "s3", "s0", "s10", "s9", "s6", "a1")
#define FBC_STRIDE_2_TAPS_4 FBC_STRIDE_2_ALL_4(FBC_STRIDE_2_UP, "t4")
#define FBC_STRIDE_2_TAPS_2 \
    FBC_STRIDE_2_PACK("s3", "s0", "s3") \
    FBC_STRIDE_2_PACK("s9", "s6", "s9") \
    FBC_STRIDE_2_PACK("s4", "s4", "zero") \
    FBC_STRIDE_2_PACK("s10", "s10", "zero") FBC_STRIDE_2_ALL_2(FBC_STRIDE_2_UP, "t4")
#define FBC_STRIDE_2_FIELD(word, pointer, step) ".insn i 0x0B, 2, " word ", " pointer ", " step "\n" /* p.lw */
#define FBC_STRIDE_2_SCALES(second_scale, second_addend) \
    FBC_STRIDE_2_FIELD("a6", "t1", "8") \
    FBC_STRIDE_2_FIELD("a7", "t1", second_scale) \
    FBC_STRIDE_2_FIELD("gp", "t3", "4") FBC_STRIDE_2_FIELD("tp", "t3", second_addend)
#define FBC_STRIDE_2_SCALES_4 FBC_STRIDE_2_SCALES("8", "4")
#define FBC_STRIDE_2_SCALES_2 FBC_STRIDE_2_SCALES("24", "12")

/* Of 2 bits: what is constant and has a register. As many instructions, so that the next ones begin a cache line. */
#define FBC_STRIDE_2_CONSTANTS_4 "nop\n nop\n nop\n"
#define FBC_STRIDE_2_CONSTANTS_2 "lw s11, 44(a0)\n lw s5, 48(a0)\n lw s8, 52(a0)\n"
#define FBC_STRIDE_2_BEGIN \
    "sw gp, 104(a0)\n sw tp, 108(a0)\n sw sp, 112(a0)\n mv sp, a0\n" \
    "lw t1, 100(sp)\n lw a2, 72(sp)\n lw t3, 80(sp)\n lla t0, 86f\n add t0, t0, t1\n add ra, a2, t3\n" \
    "bnez t1, 1f\n li t0, 0\n 1: sw t0, 36(sp)\n" \
    "lw a3, 76(sp)\n lw a0, 84(sp)\n lw a4, 88(sp)\n lw a5, 92(sp)\n lw t0, 0(sp)\n lw t2, 96(sp)\n li t5, 0\n" \
    ".word 0x007B + ((81f - .) << 19)\n"     /* lp.starti 0 */ \
    ".word 0x107B + ((83f - . - 4) << 19)\n" /* lp.endi 0: the last instruction */ \
    ".word 0x00FB + ((87f - .) << 19)\n"     /* lp.starti 1 */ \
    ".word 0x10FB + ((84f - . - 4) << 19)\n"
/* A pair's taps, and then its first strip; its taps masked by a1, t6 strips, the first t2 and t5 bytes ahead. */
#define FBC_STRIDE_2_PAIR_1_4 "9: lw t4, 116(sp)\n lw t6, 120(sp)\n"
#define FBC_STRIDE_2_PAIR_1_2 FBC_STRIDE_2_PAIR_1_4 "lw a1, 124(sp)\n"
#define FBC_STRIDE_2_PAIR_2 "lw t1, 4(sp)\n lw t3, 8(sp)\n lw t4, 20(sp)\n"
#define FBC_STRIDE_2_PAIR_3 \
    "lw a1, 28(sp)\n lw t6, 32(sp)\n sw t0, 0(sp)\n sw t1, 4(sp)\n sw t3, 8(sp)\n sw t6, 12(sp)\n li t6, 1\n"
#define FBC_STRIDE_2_STRIPS_1 "85: lw t4, 24(sp)\n add a2, a2, t2\n add ra, ra, t2\n add a3, a3, t5\n"
#define FBC_STRIDE_2_STRIPS_2 "lw t4, 36(sp)\n .insn i 0x7B, 2, x1, t6, 0\n bnez t4, 86f\n" /* lp.count 1 */
#define FBC_STRIDE_2_LOOP(bits, store) \
    "87:\n" FBC_STRIDE_2_ENTER(bits, FBC_STRIDE_2_ABOVE, "t0", "t3") "81:\n" FBC_STRIDE_2_STEP( \
        bits, store, "t0", "t1", "t2", "t3", "t4", "t5") "82:\n" FBC_STRIDE_2_STEP(bits, store, "t2", "t1", "t0", \
                                                                                   "t5", "t4", "t3")
/* Behind a strip; a pair's first strip; its other ones. */
#define FBC_STRIDE_2_ADVANCE(below, input, output) \
    "bnez " below ", 6f\n 5: add a2, a2, " input "\n add ra, ra, " input "\n add a3, a3, " output "\n"
#define FBC_STRIDE_2_BEHIND_4 \
    "83: lw t6, 44(sp)\n lw t2, 48(sp)\n lw t5, 52(sp)\n" FBC_STRIDE_2_ADVANCE("t6", "t2", "t5")
#define FBC_STRIDE_2_BEHIND_2 "83: " FBC_STRIDE_2_ADVANCE("s11", "s5", "s8")
#define FBC_STRIDE_2_NEXT \
    "84: lw t6, 12(sp)\n lw t2, 56(sp)\n lw t5, 60(sp)\n li a1, -1\n beqz t6, 7f\n sw zero, 12(sp)\n j 85b\n" \
    "7: lw t0, 0(sp)\n lw t1, 16(sp)\n lw t2, 64(sp)\n lw t5, 68(sp)\n bne t0, t1, 9b\n j 8f\n"
#define FBC_STRIDE_2_LOWEST(bits, store) \
    "6:\n" FBC_STRIDE_2_ROW(bits, "t1", "t4") \
        FBC_STRIDE_2_OUTPUTS(FBC_STRIDE_2_LOWEST_WINDOW_##bits, store, "t0", "t1", "", "t3", "t4", "") "j 5b\n"
#define FBC_STRIDE_2_END "8: lw gp, 104(sp)\n lw tp, 108(sp)\n lw sp, 112(sp)\n"
/* Labels: 9 a pair, 85 strips of it, 87 and 86 usual and other ways into the row loop, 81 and 82 its two rows, 83
 * behind it, 6 the lowest row, 5 to the next strip, 84 behind strips, 7 behind a pair, 8 the end. What runs for every
 * pair is one piece of about 512 bytes, the cores' own instruction buffer. */
#define FBC_STRIDE_2_CODE(bits, store) \
    FBC_STRIDE_2_CONSTANTS_##bits FBC_STRIDE_2_BEGIN \
        FBC_STRIDE_2_PAIR_1_##bits FBC_STRIDE_2_FILTER_##bits FBC_STRIDE_2_PAIR_2 \
            FBC_STRIDE_2_SCALES_##bits FBC_STRIDE_2_PAIR_3 FBC_STRIDE_2_TAPS_##bits FBC_STRIDE_2_STRIPS_1 \
            FBC_STRIDE_2_ALL_##bits(FBC_STRIDE_2_TURN, "t4") FBC_STRIDE_2_ALL_##bits(FBC_STRIDE_2_MASK, "a1") \
                FBC_STRIDE_2_STRIPS_2 FBC_STRIDE_2_LOOP(bits, store) \
                    FBC_STRIDE_2_BEHIND_##bits FBC_STRIDE_2_NEXT FBC_STRIDE_2_LOWEST(bits, store) \
                        FBC_STRIDE_2_ALL_WAYS(bits) FBC_STRIDE_2_END

#define FBC_STRIDE_2_RUN(run, bits, is_signed, store) \
    do { \
        register fbc_stride_2_run *block __asm__("a0") = run; \
        __asm__ volatile(".balign 16\n .option push\n .option norvc\n .option norelax\n" FBC_STRIDE_2_CODE( \
                             bits, store) ".option pop" \
                         : "+r"(block) \
                         : [first] "i"(((is_signed) ? 0x4C : 0x44) | ((bits) == 2 ? 1 : 0)), \
                           [more] "i"(((is_signed) ? 0x5C : 0x54) | ((bits) == 2 ? 1 : 0)), \
                           [shift] "i"(FBC_PLANE_SHIFT), [clip] "i"((bits) + 1) \
                         : "ra", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "s0", "s1", "s2", "s3", "s4", "s5", "s6", \
                           "s7", "s8", "s9", "s10", "s11", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "memory"); \
    } while (0)

#else

typedef struct {
    uint32_t bits;
    uint32_t is_signed;
    fbc_stride_2_store store;
} fbc_stride_2_kind;

/* The sum of a window of `rows` rows whose first word lies `at` bytes from the plane. */
FBC_INLINE int32_t fbc_stride_2_sum(const fbc_stride_2_run *run, const fbc_stride_2_kind *kind, const uint8_t *filter,
                                    int32_t at, uint32_t rows, uint32_t turn, uint32_t mask) {
    const uint32_t bits = kind->bits;
    int32_t sum = 0;
    for (uint32_t row = 0; row < rows; row++, filter += run->filter_row, at += run->row_step) {
        const uint32_t stored = bits == 4u ? filter[0] | (uint32_t)filter[1] << 8 : (uint32_t)filter[0];
        const uint32_t inner = stored << run->inner_up, word = (inner >> turn | inner << (-turn & 31u)) & mask;
        const uint8_t taps[4] = {(uint8_t)word, (uint8_t)(word >> 8), (uint8_t)(word >> 16), (uint8_t)(word >> 24)};
        for (uint32_t lane = 0; lane < 32u / bits; lane++) {
            const int32_t tap = fbc_read_lane(taps, lane, bits, 1u);
            if (tap != 0) { /* other lanes may be beside the tile */
                const uint8_t *byte = run->plane + at + (int32_t)(lane * bits >> 3);
                sum += tap * fbc_read_lane(byte, lane & (8u / bits - 1u), bits, kind->is_signed);
            }
        }
    }
    return sum;
}

FBC_INLINE void fbc_stride_2_put(uint8_t *output, const uint32_t values[2], fbc_stride_2_store store) {
    const uint32_t both = values[0] | values[1] << (store == FBC_STRIDE_2_BYTE ? 4 : 2);
    *output = (uint8_t)(store == FBC_STRIDE_2_UPPER ? (*output & 15u) | both << 4 : both);
}

/* An output whose window's first row is `above` of the filter's. */
FBC_INLINE void fbc_stride_2_output(const fbc_stride_2_run *run, const fbc_stride_2_kind *kind, int32_t at,
                                    uint8_t *output, uint32_t above, uint32_t rows, uint32_t turn, uint32_t mask) {
    uint32_t values[2];
    for (uint32_t channel = 0; channel < 2u; channel++) {
        const uint8_t *filter = run->filters + (int32_t)above * run->filter_row;
        const int32_t plane = at + (int32_t)(channel * run->plane_bytes);
        const int32_t sum =
            fbc_stride_2_sum(run, kind, filter + 3u * channel * kind->bits / 2u, plane, rows, turn, mask);
        const int32_t product = fbc_multiply_less_one(sum, run->scales[channel].multiplier);
        const int32_t value = (product + run->addends[channel]) >> FBC_PLANE_SHIFT;
        values[channel] = (uint32_t)fbc_clamp(value, 0, (int32_t)(1u << kind->bits) - 1);
    }
    fbc_stride_2_put(output, values, kind->store);
}

/* `at` and `to` are bytes from the plane and the output; returned behind the strip. */
FBC_INLINE void fbc_stride_2_strip(const fbc_stride_2_run *run, const fbc_stride_2_kind *kind, int32_t *at, int32_t *to,
                                   uint32_t mask) {
    uint32_t above = run->above;
    for (uint32_t row = 1; row <= run->output_rows; row++) {
        const uint32_t rows = 3u - above - (row == run->output_rows ? run->below : 0u);
        fbc_stride_2_output(run, kind, *at, run->output + *to, above, rows, run->turn, mask);
        *to += run->to_inner;
        fbc_stride_2_output(run, kind, *at, run->output + *to, above, rows, 0u, UINT32_MAX);
        *to += run->to_outer;
        *at += (int32_t)(row == run->output_rows ? rows : 2u - above) * run->row_step;
        above = 0;
    }
    *at += run->strip_input;
    *to += run->strip_output;
}

FBC_INLINE void fbc_stride_2_in_c(fbc_stride_2_run *run, uint32_t bits, uint32_t is_signed, fbc_stride_2_store store) {
    const fbc_stride_2_kind kind = {bits, is_signed, store};
    const uint32_t step = bits == 4u ? 2u : 4u; /* channels */
    int32_t at = run->begin, to = 0;
    while (run->filters != run->last) {
        fbc_stride_2_strip(run, &kind, &at, &to, run->edge_mask);
        if (run->more_strips > 0u) {
            at += run->again_input;
            to += run->again_output;
        }
        for (uint32_t strip = 0; strip < run->more_strips; strip++) {
            fbc_stride_2_strip(run, &kind, &at, &to, UINT32_MAX);
        }
        at += run->pair_input;
        to += run->pair_output;
        run->filters += 3u * bits / 2u * step;
        run->scales += step;
        run->addends += step;
    }
}

#define FBC_STRIDE_2_RUN(run, bits, is_signed, store) fbc_stride_2_in_c(run, bits, is_signed, FBC_STRIDE_2_##store)

#endif

/* Where strips are: the first one, and from strip to strip. Returns the bytes from a row of the output, the next one
 * `line` bytes away, to the first strip's outer output. */
FBC_INLINE uint32_t fbc_place_stride_2(const fbc_conv_args *args, uint32_t bits, int32_t row_bytes, int32_t line,
                                       fbc_stride_2_run *run) {
    const int32_t pixel = (int32_t)(args->output_channels * bits >> 3), all = args->output_width * pixel;
    const int32_t planes = (int32_t)((bits == 4u ? 2u : 4u) * run->plane_bytes), step = (int32_t)(bits >> 1);
    if (args->pad_left != 0u) {
        run->begin = -step;
        run->inner_up = bits == 4u ? 20u : 10u;
        run->turn = 2u * bits;
        run->edge_mask = bits == 4u ? ~0xF000u : ~0x00C000C0u;
        run->to_inner = pixel;
        run->to_outer = line - pixel;
        run->strip_input = step;
        run->strip_output = 2 * pixel;
        run->pair_input = planes - row_bytes;
        run->pair_output = 1 - all;
        return 0u;
    }
    run->begin = row_bytes - step;
    run->inner_up = 0;
    run->turn = 32u - 2u * bits;
    run->edge_mask = bits == 4u ? ~0xF0000u : ~0x03000300u;
    run->to_inner = -pixel;
    run->to_outer = line + pixel;
    run->strip_input = -step;
    run->strip_output = -2 * pixel;
    run->pair_input = planes + row_bytes;
    run->pair_output = 1 + all;
    return (uint32_t)(all - pixel);
}

/* How the row loop is entered and left: with `looped` rows. */
FBC_INLINE void fbc_enter_stride_2(uint32_t bits, uint32_t above, uint32_t looped, fbc_stride_2_run *run) {
    const uint32_t kind = looped == 0u ? 0u : 2u - (looped & 1u);
    const uint32_t inside = bits == 4u ? FBC_STRIDE_2_INSIDE_BYTES_4 : FBC_STRIDE_2_INSIDE_BYTES_2;
    run->rounds = (looped + 1u) >> 1;
    run->entry = 4u + kind * FBC_STRIDE_2_WAY_BYTES;
    if (above == 0u) {
        run->entry = 4u + 2u * FBC_STRIDE_2_WAY_BYTES + kind * inside;
    } else if (kind == 2u) {
        run->entry = 0;
    }
}

FBC_INLINE void fbc_run_stride_2(fbc_stride_2_run *run, uint32_t bits, uint32_t is_signed, uint32_t pair) {
    if (bits == 4u) {
        if (is_signed) {
            FBC_STRIDE_2_RUN(run, 4, 1, BYTE);
        } else {
            FBC_STRIDE_2_RUN(run, 4, 0, BYTE);
        }
    } else if (pair == 0u) {
        if (is_signed) {
            FBC_STRIDE_2_RUN(run, 2, 1, LOWER);
        } else {
            FBC_STRIDE_2_RUN(run, 2, 0, LOWER);
        }
    } else {
        if (is_signed) {
            FBC_STRIDE_2_RUN(run, 2, 1, UPPER);
        } else {
            FBC_STRIDE_2_RUN(run, 2, 0, UPPER);
        }
    }
}

/* Of its own, because the assembler takes all registers. */
static __attribute__((noinline)) void fbc_compute_stride_2(const fbc_conv_args *args, uint32_t bits, uint32_t group,
                                                           uint32_t count, uint32_t row, uint32_t rows) {
    /* The cores' stacks lie in the same banks, but all of them read this all the time. */
    struct {
        fbc_stride_2_run first;
        uint32_t more[14];
    } room;
    fbc_stride_2_run *run = (fbc_stride_2_run *)(void *)((uint8_t *)&room + 8u * (fbc_core_id() & 7u));
    const int32_t row_bytes = (int32_t)(args->input_width * bits >> 3);
    const uint32_t pad = args->pad_top, top = row == 0u ? pad : 0u, width = args->output_width;
    const uint32_t bottom = 2u * (row + rows) + 1u > args->input_height + pad, read = 2u * rows + 1u - top - bottom;
    const int32_t line = (int32_t)(width * args->output_channels * bits >> 3);
    const uint8_t *plane = (const uint8_t *)args->input + (2u * row + top - pad) * (uint32_t)row_bytes;
    uint8_t *output = (uint8_t *)args->output + row * (uint32_t)line;
    run->filters = (const uint8_t *)args->weights + 6u * bits * group;
    run->filter_row = (int32_t)(bits >> 1);
    int32_t row_step = row_bytes, line_step = line;
    if (bottom > top) { /* from the last row up, with the filter's */
        plane += (read - 1u) * (uint32_t)row_bytes;
        output += (rows - 1u) * (uint32_t)line;
        run->filters += bits;
        run->filter_row = -run->filter_row;
        row_step = -row_bytes;
        line_step = -line;
    }
    run->filter_channel = (int32_t)(3u * bits >> 1) - 2 * run->filter_row;
    run->filter_pair = run->filter_channel + 6; /* of 2 bits only */
    run->above = top | bottom;
    run->below = top & bottom;
    run->output_rows = rows;
    run->plane_bytes = args->input_height * (uint32_t)row_bytes;
    run->more_strips = (width - 1u) >> 1;
    run->row_step = row_step;
    fbc_enter_stride_2(bits, run->above, rows - run->below, run);
    const uint32_t outer = fbc_place_stride_2(args, bits, row_bytes, line_step, run);
    const int32_t odd = bits == 4u ? (int32_t)(width & 1u) : 0; /* an output is a byte of input apart */
    run->again_input = args->pad_left != 0u ? -odd : odd;
    run->again_output = odd != 0 ? -run->to_inner : 0;
    run->strip_input -= (int32_t)read * row_step;
    run->strip_output -= (int32_t)rows * line_step;
    run->scales = args->requantization.scale + 4u * group;
    run->addends = (const int32_t *)args->requantization.addend + 4u * group;
    run->plane = plane + 4u * group * run->plane_bytes;
    run->output = output + outer + (bits >> 1) * group;
    run->last = run->filters + 6u * bits * count;
    fbc_run_stride_2(run, bits, args->activation_signed, 0u);
    if (bits == 2u) { /* the other pair of each group */
        run->last += 6;
        run->filters = run->last - 12u * count;
        run->scales = args->requantization.scale + 4u * group + 2;
        run->addends = (const int32_t *)args->requantization.addend + 4u * group + 2;
        run->plane += 2u * run->plane_bytes;
        fbc_run_stride_2(run, bits, args->activation_signed, 1u);
    }
}

/* What a unit costs: see fbc_band_costs. */
static const fbc_band_costs fbc_stride_2_costs = {.kernel = 3, .pixel = 33, .column = 37, .unit = 700};

static __attribute__((noinline)) void fbc_compute_stride_2_bands(const fbc_conv_args *args, uint32_t bits) {
    const uint32_t groups = args->output_channels >> 2, height = args->output_height;
    const uint32_t band_rows = fbc_balance_bands(&fbc_stride_2_costs, groups, 1u, args->output_width, height);
    fbc_range units = fbc_core_range(groups * ((height + band_rows - 1u) / band_rows));
    while (units.begin < units.end) {
        const uint32_t band = units.begin / groups, row = band * band_rows, group = units.begin - band * groups;
        const uint32_t left = groups - group, all = units.end - units.begin, count = all < left ? all : left;
        const uint32_t rows = height - row < band_rows ? height - row : band_rows;
        fbc_compute_stride_2(args, bits, group, count, row, rows);
        units.begin += count;
    }
}

FBC_INLINE void fbc_depthwise_stride_2(const fbc_conv_args *args, uint32_t bits) {
    const uint32_t groups = args->output_channels >> 2;
    if (fbc_cores_divide(groups)) {
        const fbc_range own = fbc_core_range(groups);
        fbc_compute_stride_2(args, bits, own.begin, own.end - own.begin, 0u, args->output_height);
    } else {
        fbc_compute_stride_2_bands(args, bits);
    }
}

#endif
