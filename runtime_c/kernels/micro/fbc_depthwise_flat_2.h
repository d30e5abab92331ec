/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Four channels of 2 bits, see micro/fbc_depthwise_flat.h.
 *
 * A row of a window is a byte, so a word holds the four last ones of a channel, the newest in its lowest byte, and one
 * dot product is a sum. Sums are within int8. So instead of being requantized, the four channels' sums are compared
 * with three thresholds per channel, beyond which outputs are at least 1, 2 and 3. */
#ifndef FBC_DEPTHWISE_FLAT_2_H
#define FBC_DEPTHWISE_FLAT_2_H

#include "micro/fbc_depthwise_flat.h"

/* The compiler's side is in fbcompile/lowering/kernels/depthwise_in_place.py. */
static const fbc_band_costs fbc_flat_2_costs = {.kernel = 3, .pixel = 33, .column = 22, .unit = 560};

#ifdef FBC_XPULPNN

/* Registers: s0-s3 taps of the left outputs, s4-s7 of the right ones; t3-t6 rows; t0-t2, a1 sums; s8-s10 thresholds;
 * s11 what a comparison that is true, -1, adds to the output. */
#define FBC_FLAT_2_SELECT(w, x, y, z) \
    FBC_FLAT_SHUFFLE("1", "t3", w) \
    FBC_FLAT_SHUFFLE("1", "t4", x) FBC_FLAT_SHUFFLE("1", "t5", y) FBC_FLAT_SHUFFLE("1", "t6", z)
#define FBC_FLAT_2_LOADS(code) \
    FBC_FLAT_LOAD(code, "t0", "a3") \
    FBC_FLAT_LOAD(code, "t1", "a3") FBC_FLAT_LOAD(code, "t2", "a3") FBC_FLAT_LOAD(code, "a1", "a4")
/* The next row of a window that begins at a byte, or in the middle of one. */
#define FBC_FLAT_2_NEXT_EVEN FBC_FLAT_2_LOADS("0x20") FBC_FLAT_2_SELECT("t0", "t1", "t2", "a1")
#define FBC_FLAT_2_NEXT_ODD \
    FBC_FLAT_2_LOADS("0x28") \
    "srli t0, t0, 4\n srli t1, t1, 4\n srli t2, t2, 4\n srli a1, a1, 4\n" FBC_FLAT_2_SELECT("t0", "t1", "t2", "a1")
/* pv.packlo.b, pv.packhi.b */
#define FBC_FLAT_2_PACK ".insn r 0x57, 1, 0x70, t0, t1, t0\n .insn r 0x57, 1, 0x6C, t0, a1, t2\n"
/* pv.cmpgt.b */
#define FBC_FLAT_2_COMPARE(result, threshold) ".insn r 0x57, 1, 0x0A, " result ", t0, " threshold "\n"
/* pv.add.b, pv.dotsp.b */
#define FBC_FLAT_2_COUNT \
    ".insn r 0x57, 1, 0x00, t1, t1, t2\n .insn r 0x57, 1, 0x00, t0, t0, t1\n .insn r 0x57, 1, 0x4C, t0, t0, s11\n"
#define FBC_FLAT_2_OUTPUT(w, x, y, z, step) \
    FBC_FLAT_DOT("dot", "t0", "t3", w) \
    FBC_FLAT_DOT("dot", "t1", "t4", x) \
    FBC_FLAT_DOT("dot", "t2", "t5", y) \
    FBC_FLAT_DOT("dot", "a1", "t6", z) \
    FBC_FLAT_2_PACK FBC_FLAT_2_COMPARE("t1", "s8") FBC_FLAT_2_COMPARE("t2", "s9") FBC_FLAT_2_COMPARE("t0", "s10") \
        FBC_FLAT_2_COUNT FBC_FLAT_STORE("t0", step)
#define FBC_FLAT_2_OUTPUTS \
    FBC_FLAT_2_OUTPUT("s0", "s1", "s2", "s3", "a6") FBC_FLAT_2_OUTPUT("s4", "s5", "s6", "s7", "a7")
#define FBC_FLAT_2_NO_ROWS "li t3, 0\n li t4, 0\n li t5, 0\n li t6, 0\n"
#define FBC_FLAT_2_CLEAR(length_code, position, a, b, c, d) \
    FBC_FLAT_CLEAR(a, length_code, position) \
    FBC_FLAT_CLEAR(b, length_code, position) \
    FBC_FLAT_CLEAR(c, length_code, position) FBC_FLAT_CLEAR(d, length_code, position)

/* Taps: bytes of the filter in reverse, and a zero; the right ones a pixel on. */
#define FBC_FLAT_2_TAPS \
    "lw t0, 0(a0)\n lw t1, 12(a0)\n lw a3, 20(a0)\n lw a4, 24(a0)\n lw s8, 4(t1)\n lw s9, 12(t1)\n lw s10, 20(t1)\n" \
    "lw s0, 0(t0)\n lw s1, 3(t0)\n lw s2, 6(t0)\n lw s3, 8(t0)\n lw a6, 28(a0)\n lw a7, 32(a0)\n" \
    "li ra, 0x04000102\n srli s3, s3, 8\n" FBC_FLAT_SHUFFLE("1", "s0", "x0") FBC_FLAT_SHUFFLE("1", "s1", "x0") \
        FBC_FLAT_SHUFFLE("1", "s2", "x0") FBC_FLAT_SHUFFLE("1", "s3", "x0") /* the right ones */ \
        "slli s4, s0, 2\n slli s5, s1, 2\n slli s6, s2, 2\n slli s7, s3, 2\n" \
        "li ra, 0x02010004\n li s11, 0xC0F0FCFF\n"

#define FBC_FLAT_2_FIRST_EVEN_ROWS FBC_FLAT_2_NO_ROWS FBC_FLAT_LOOP("t0", "8") FBC_FLAT_2_NEXT_EVEN
#define FBC_FLAT_2_FIRST_ODD_ROWS FBC_FLAT_2_NO_ROWS FBC_FLAT_LOOP("t0", "12") FBC_FLAT_2_NEXT_ODD
#define FBC_FLAT_2_LAST_ROW FBC_FLAT_2_SELECT("x0", "x0", "x0", "x0") FBC_FLAT_2_OUTPUTS
/* Strips that begin at a byte. */
#define FBC_FLAT_2_EVEN_STRIPS \
    "lw a2, 4(a0)\n lw a5, 8(a0)\n lw t1, 60(a0)\n lla t0, 1f\n add a5, a5, a6\n sw t0, 64(a0)\n" FBC_FLAT_OUTER_END( \
        "9f") FBC_FLAT_OUTER_COUNT("t1") FBC_FLAT_OUTER_START                        /* of strips */ \
        "lw t0, 36(a0)\n" FBC_FLAT_2_FIRST_EVEN_ROWS "lw t1, 44(a0)\n beqz t1, 7f\n" /* of rows */ \
        FBC_FLAT_LOOP("t1", "34") FBC_FLAT_2_NEXT_EVEN FBC_FLAT_2_OUTPUTS "lw t0, 48(a0)\n beqz t0, 8f\n"
/* For all strips, the last row if zeros are below it, and the way to the next strip, or phase. */
#define FBC_FLAT_2_NEXT_STRIP \
    "7:" FBC_FLAT_2_LAST_ROW "8: lw t1, 52(a0)\n lw t2, 56(a0)\n add a2, a2, t1\n add a5, a5, t2\n" \
    "9: lw t0, 64(a0)\n jr t0\n"
/* Strips that begin in the middle of a byte, one less; from 3 on the one at the edges, too. There, `below` is negative:
 * the third row of the last row's first output is not zero, but what lies behind the plane. */
#define FBC_FLAT_2_ODD_STRIPS \
    "1: lw t1, 60(a0)\n lw a2, 4(a0)\n lw a5, 8(a0)\n addi t1, t1, -1\n slli t2, a6, 1\n add a5, a5, a6\n" \
    "lla t0, 2f\n beqz t1, 2f\n sw t0, 64(a0)\n add a5, a5, t2\n" FBC_FLAT_OUTER_COUNT("t1") \
        FBC_FLAT_OUTER_START /* of strips, its end is that of the others */ \
        "lw t0, 36(a0)\n" FBC_FLAT_2_FIRST_ODD_ROWS "3: lw t1, 44(a0)\n beqz t1, 4f\n" /* of rows */ \
        FBC_FLAT_LOOP("t1", "38") FBC_FLAT_2_NEXT_ODD FBC_FLAT_2_OUTPUTS \
        "4: lw t0, 48(a0)\n bgtz t0, 7b\n" \
        "beqz t0, 8b\n" FBC_FLAT_2_CLEAR("0x67", "x8", "s4", "s5", "s6", "s7") "j 7b\n"
/* The strip at the edges: its left outputs are the last ones of rows, the right ones the first ones. If the first row
 * is above, the lower half of the window's first row is in it, and cleared. */
#define FBC_FLAT_2_EDGES \
    "2: lw t1, 48(a0)\n lw t0, 36(a0)\n lw a2, 4(a0)\n lw a5, 8(a0)\n lw t2, 28(a0)\n neg t1, t1\n sw t1, 48(a0)\n" \
    "addi a2, a2, -1\n add a5, a5, a7\n neg a6, a7\n slli a7, a7, 1\n add a7, a7, t2\n" \
    "li a1, 0x0F0F0F0F\n and s0, s0, a1\n and s1, s1, a1\n and s2, s2, a1\n and s3, s3, a1\n not a1, a1\n" \
    "slli s4, s4, 8\n slli s5, s5, 8\n slli s6, s6, 8\n slli s7, s7, 8\n" \
    "and s4, s4, a1\n and s5, s5, a1\n and s6, s6, a1\n and s7, s7, a1\n" FBC_FLAT_2_FIRST_ODD_ROWS \
    "lw t1, 40(a0)\n beqz t1, 6f\n" FBC_FLAT_2_CLEAR("0x63", "x0", "t3", "t4", "t5", "t6") /* above */ \
        "6:" FBC_FLAT_2_NEXT_ODD "lla t0, 5f\n li t1, 1\n sw t0, 64(a0)\n" FBC_FLAT_OUTER_COUNT("t1") "j 3b\n 5:\n"

#define FBC_FLAT_2_ASM(is_signed) \
    __asm__ volatile(FBC_FLAT_ASM_BEGIN FBC_FLAT_2_TAPS FBC_FLAT_2_EVEN_STRIPS FBC_FLAT_2_NEXT_STRIP \
                         FBC_FLAT_2_ODD_STRIPS FBC_FLAT_2_EDGES FBC_FLAT_ASM_END \
                     : \
                     : "r"(block), [dot] "i"((is_signed) ? 0x4D : 0x45) \
                     : FBC_FLAT_CLOBBERS)

#define FBC_DEFINE_FLAT_2(is_signed) \
    static void fbc_compute_flat_2_##is_signed(fbc_flat_run *run, uint32_t count) { \
        register fbc_flat_run *block __asm__("a0") = run; \
        const uint32_t below = run->below; \
        for (uint32_t i = 0; i < count; i++) { \
            FBC_FLAT_2_ASM(is_signed); \
            run->below = below; \
            fbc_next_flat_channels(run, 4u); \
        } \
    }
FBC_DEFINE_FLAT_2(0)
FBC_DEFINE_FLAT_2(1)

#endif

FBC_INLINE void fbc_depthwise_flat_2(const fbc_conv_args *args) {
#ifdef FBC_XPULPNN
    fbc_depthwise_flat(args, 2u, &fbc_flat_2_costs,
                       args->activation_signed ? fbc_compute_flat_2_1 : fbc_compute_flat_2_0);
#else
    fbc_depthwise_flat(args, 2u, &fbc_flat_2_costs);
#endif
}

#endif
