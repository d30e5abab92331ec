/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Two channels of 4 bits, see micro/fbc_depthwise_flat.h.
 *
 * A row of a window is half a word, so two rows of a channel are a word, the older one in its lower half, and a sum is
 * two dot products: of that word, and of the newest row, which then moves into the word. */
#ifndef FBC_DEPTHWISE_FLAT_4_H
#define FBC_DEPTHWISE_FLAT_4_H

#include "micro/fbc_depthwise_flat.h"

/* The compiler's side is in fbcompile/lowering/kernels/depthwise_in_place.py. */
static const fbc_band_costs fbc_flat_4_costs = {.kernel = 3, .pixel = 33, .column = 11, .unit = 330};

#ifdef FBC_XPULPNN

/* Registers: s0, s1 taps of two rows of the left outputs of both channels, s2, s3 of the third row; s4-s7 of the right
 * outputs; t3, t4 two rows of both channels, t5, t6 the newest; t0, t1 sums; s8, s9 multipliers less one, s10, s11
 * addends. */
#define FBC_FLAT_4_LOADS FBC_FLAT_LOAD("0x28", "t5", "a3") FBC_FLAT_LOAD("0x28", "t6", "a4")
#define FBC_FLAT_4_SELECT FBC_FLAT_SHUFFLE("0", "t3", "t5") FBC_FLAT_SHUFFLE("0", "t4", "t6")
#define FBC_FLAT_4_DOTS_1(sum, rows, newest, taps, third) FBC_FLAT_DOT("first", sum, rows, taps)
#define FBC_FLAT_4_DOTS_2(sum, rows, newest, taps, third) \
    FBC_FLAT_DOT("first", sum, rows, taps) FBC_FLAT_DOT("more", sum, newest, third)
/* p.mac in place, p.addN: the sum shifted by an immediate, p.clipu with one. */
#define FBC_FLAT_4_SCALE(sum, less_one, addend) \
    ".insn r 0x33, 0, 0x21, " sum ", " sum ", " less_one "\n" \
    ".insn r 0x5B, 2, %[shift], " sum ", " sum ", " addend "\n" \
    ".insn r 0x33, 2, 0x0A, " sum ", " sum ", x5\n"
#define FBC_FLAT_4_OUTPUT(dots, u, v, x, y, step) \
    dots("t0", "t3", "t5", u, x) FBC_FLAT_4_SCALE("t0", "s8", "s10") dots("t1", "t4", "t6", v, y) \
        FBC_FLAT_4_SCALE("t1", "s9", "s11") ".insn r 0x33, 2, 0x63, t0, t1, x4\n" /* p.insert */ \
        FBC_FLAT_STORE("t0", step)
#define FBC_FLAT_4_LEFT(dots, step) FBC_FLAT_4_OUTPUT(dots, "s0", "s1", "s2", "s3", step)
#define FBC_FLAT_4_RIGHT(dots, step) FBC_FLAT_4_OUTPUT(dots, "s4", "s5", "s6", "s7", step)

#define FBC_FLAT_4_TAPS \
    "lw t0, 0(a0)\n lw t1, 12(a0)\n lw t2, 16(a0)\n lw a3, 20(a0)\n lw a4, 24(a0)\n lw a6, 28(a0)\n" \
    "lw s0, 0(t0)\n lhu s2, 4(t0)\n lw s1, 6(t0)\n lhu s3, 10(t0)\n lw a7, 32(a0)\n lw s8, 0(t1)\n lw s9, 8(t1)\n" \
    "lw s10, 0(t2)\n lw s11, 4(t2)\n li ra, 0x00020001\n" \
    "slli s4, s0, 4\n slli s5, s1, 4\n slli s6, s2, 4\n slli s7, s3, 4\n"

/* The next row of outputs inside, and at the edges, where the first output reads what the last one has read before the
 * newest row; the last row if there are zeros below it. */
#define FBC_FLAT_4_ROW_INSTRUCTIONS "28"
#define FBC_FLAT_4_ROW \
    FBC_FLAT_4_LOADS FBC_FLAT_4_LEFT(FBC_FLAT_4_DOTS_2, "a6") FBC_FLAT_4_RIGHT(FBC_FLAT_4_DOTS_2, "a7") \
        FBC_FLAT_4_SELECT
#define FBC_FLAT_4_EDGE_ROW \
    FBC_FLAT_4_RIGHT(FBC_FLAT_4_DOTS_2, "a7") \
    FBC_FLAT_4_SELECT FBC_FLAT_4_LOADS FBC_FLAT_4_LEFT(FBC_FLAT_4_DOTS_2, "a6")
#define FBC_FLAT_4_LAST_ROW FBC_FLAT_4_LEFT(FBC_FLAT_4_DOTS_1, "a6") FBC_FLAT_4_RIGHT(FBC_FLAT_4_DOTS_1, "a7")
#define FBC_FLAT_4_LAST_EDGE_ROW \
    FBC_FLAT_4_RIGHT(FBC_FLAT_4_DOTS_1, "a7") \
    FBC_FLAT_4_SELECT FBC_FLAT_4_LEFT(FBC_FLAT_4_DOTS_1, "a6")
#define FBC_FLAT_4_FIRST_ROWS "li t3, 0\n li t4, 0\n" FBC_FLAT_LOOP("t0", "4") FBC_FLAT_4_LOADS FBC_FLAT_4_SELECT

#define FBC_FLAT_4_STRIPS \
    "lw a2, 4(a0)\n lw a5, 8(a0)\n lw t1, 60(a0)\n add a5, a5, a6\n" FBC_FLAT_OUTER_END("9f") \
        FBC_FLAT_OUTER_COUNT("t1") FBC_FLAT_OUTER_START                                         /* of strips */ \
        "lw t0, 36(a0)\n" FBC_FLAT_4_FIRST_ROWS "lw t1, 44(a0)\n lw t2, 48(a0)\n beqz t1, 6f\n" /* of rows */ \
        FBC_FLAT_LOOP("t1", FBC_FLAT_4_ROW_INSTRUCTIONS) FBC_FLAT_4_ROW \
        "beqz t2, 7f\n" /* below */ \
        "6:" FBC_FLAT_4_LAST_ROW "7: lw t1, 52(a0)\n lw t2, 56(a0)\n add a2, a2, t1\n add a5, a5, t2\n 9:\n"
/* If the first row is above, the lower half of the window's first row is in it, and cleared. */
#define FBC_FLAT_4_EDGES \
    "lw t0, 36(a0)\n lw t1, 40(a0)\n lw a2, 4(a0)\n lw a5, 8(a0)\n addi a2, a2, -1\n" FBC_FLAT_4_FIRST_ROWS \
    "li a1, 0x00FF00FF\n and s0, s0, a1\n and s1, s1, a1\n and s2, s2, a1\n and s3, s3, a1\n not a1, a1\n" \
    "and s4, s4, a1\n and s5, s5, a1\n and s6, s6, a1\n and s7, s7, a1\n beqz t1, 5f\n"      /* above */ \
        FBC_FLAT_CLEAR("t3", "0x67", "x16") FBC_FLAT_CLEAR("t4", "0x67", "x16")              /* the third row */ \
        "5:" FBC_FLAT_4_LOADS "lw t1, 44(a0)\n lw t2, 48(a0)\n beqz t1, 6f\n"                /* of rows */ \
        FBC_FLAT_LOOP("t1", FBC_FLAT_4_ROW_INSTRUCTIONS) FBC_FLAT_4_EDGE_ROW "beqz t2, 7f\n" /* below */ \
                                                                             "6:" FBC_FLAT_4_LAST_EDGE_ROW "7:\n"

#define FBC_FLAT_4_ASM(is_signed) \
    __asm__ volatile(FBC_FLAT_ASM_BEGIN FBC_FLAT_4_TAPS FBC_FLAT_4_STRIPS FBC_FLAT_4_EDGES FBC_FLAT_ASM_END \
                     : \
                     : "r"(block), [first] "i"((is_signed) ? 0x4C : 0x44), [more] "i"((is_signed) ? 0x5C : 0x54), \
                       [shift] "i"(FBC_PLANE_SHIFT) \
                     : FBC_FLAT_CLOBBERS)

#define FBC_DEFINE_FLAT_4(is_signed) \
    static void fbc_compute_flat_4_##is_signed(fbc_flat_run *run, uint32_t count) { \
        register fbc_flat_run *block __asm__("a0") = run; \
        for (uint32_t i = 0; i < count; i++) { \
            FBC_FLAT_4_ASM(is_signed); \
            fbc_next_flat_channels(run, 2u); \
        } \
    }
FBC_DEFINE_FLAT_4(0)
FBC_DEFINE_FLAT_4(1)

#endif

FBC_INLINE void fbc_depthwise_flat_4(const fbc_conv_args *args) {
#ifdef FBC_XPULPNN
    fbc_depthwise_flat(args, 4u, &fbc_flat_4_costs,
                       args->activation_signed ? fbc_compute_flat_4_1 : fbc_compute_flat_4_0);
#else
    fbc_depthwise_flat(args, 4u, &fbc_flat_4_costs);
#endif
}

#endif
