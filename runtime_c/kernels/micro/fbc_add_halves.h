/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Residual add of 8-bit inputs by multipliers of 16 bits: a dot product of half words per element, four at a time.
 *
 * A half word of either input makes a word [a b]; its low bytes are two elements' even one, its high bytes the odd
 * one. Unsigned lanes are moved down. Where one input is signed, it is the second, and its sign bits are flipped as in
 * fbc_four_lanes.h. Where both are, lanes are moved up instead, which keeps their signs: sums are 256 times as large.
 * The next words are loaded early, so 4 bytes behind the inputs are read and not used. */
#ifndef FBC_ADD_HALVES_H
#define FBC_ADD_HALVES_H

#include "micro/fbc_four_lanes.h"

/* Which inputs are signed. */
typedef enum { FBC_HALVES_NONE, FBC_HALVES_SECOND, FBC_HALVES_BOTH } fbc_halves_kind;

#ifdef FBC_XPULPV2

#define FBC_HALVES_DOWN(even, odd, word) \
    "and " even ", " word ", %[lanes]\n .insn r 0x57, 6, 0x20, " odd ", " word ", x4\n" /* pv.srl.sci.h by 8 */
#define FBC_HALVES_UP(even, odd, word) \
    ".insn r 0x57, 6, 0x28, " even ", " word ", x4\n and " odd ", " word ", %[lanes]\n" /* pv.sll.sci.h by 8 */
#define FBC_HALVES_DOT(sum) ".insn r 0x57, 0, %[dot], " sum ", " sum ", %[multipliers]\n"
#define FBC_HALVES_ADD_SHIFT(sum) ".insn r 0x5B, 2, 0x20, " sum ", %[addend], %[shift]\n" /* p.addNr */
#define FBC_HALVES_FOUR(each) each("%[s0]") each("%[s1]") each("%[s2]") each("%[s3]")
#define FBC_HALVES_LOADS FBC_FOUR_LOAD_8("%[a]", "%[input_a]") FBC_FOUR_LOAD_8("%[b]", "%[input_b]")

#define FBC_HALVES_BODY(split, flip, flips, output_bits) \
    FBC_HALVES_LOADS \
    FBC_FOUR_LOOP("20 + " #flips " + " FBC_FOUR_STORED_##output_bits) \
    flip ".insn r 0x57, 0, 0x68, %[t], %[b], %[a]\n"     /* pv.pack.h */ \
         ".insn r 0x57, 0, 0x64, %[a], %[b], %[upper]\n" /* pv.shuffle2.h: both upper halves */ \
        split("%[s0]", "%[s1]", "%[t]") split("%[s2]", "%[s3]", "%[a]") FBC_HALVES_LOADS \
        FBC_HALVES_FOUR(FBC_HALVES_DOT) FBC_HALVES_FOUR(FBC_HALVES_ADD_SHIFT) FBC_HALVES_FOUR(FBC_FOUR_CLIP) \
            FBC_FOUR_STORE_##output_bits ".option pop"
#define FBC_HALVES_BODY_NONE(output_bits) FBC_HALVES_BODY(FBC_HALVES_DOWN, "", 0, output_bits)
#define FBC_HALVES_BODY_SECOND(output_bits) FBC_HALVES_BODY(FBC_HALVES_DOWN, FBC_FOUR_FLIP_1_B, 1, output_bits)
#define FBC_HALVES_BODY_BOTH(output_bits) FBC_HALVES_BODY(FBC_HALVES_UP, "", 0, output_bits)

#define FBC_DEFINE_ADD_HALVES(signs, output_bits, kind) \
    static void fbc_add_halves_##signs##_##output_bits##_##kind(const fbc_four_block *block) { \
        const uint8_t *input_a = block->input_a; \
        const uint8_t *input_b = block->input_b; \
        uint8_t *output = block->output; \
        uint32_t a, b, t, s0, s1, s2, s3; \
        const uint32_t multipliers = (uint32_t)block->multiplier_b << 16 | ((uint32_t)block->multiplier_a & 0xFFFFu); \
        const uint32_t up = FBC_HALVES_##signs == FBC_HALVES_BOTH ? 8u : 0u; \
        __asm__ volatile(FBC_HALVES_BODY_##signs(output_bits) \
                         : [a] "=&r"(a), [b] "=&r"(b), [t] "=&r"(t), [s0] "=&r"(s0), [s1] "=&r"(s1), [s2] "=&r"(s2), \
                           [s3] "=&r"(s3), [input_a] "+r"(input_a), [input_b] "+r"(input_b), [output] "+r"(output) \
                         : [fours] "r"(block->fours), [multipliers] "r"(multipliers), [lanes] "r"(0x00FF00FFu << up), \
                           [upper] "r"(0x00030001u), [addend] "r"((uint32_t)block->addend << up), \
                           [shift] "r"(block->shift + up), [high] "r"(block->high), [signs_b] "r"(block->signs_b), \
                           [dot] "i"(up > 0u ? 0x4C : 0x44), [clip] "i"(FBC_CLIP_##kind == FBC_CLIP_SIGNED ? 5 : 6) \
                         : "memory"); \
    }

#else

#define FBC_DEFINE_ADD_HALVES(signs, output_bits, kind) \
    static void fbc_add_halves_##signs##_##output_bits##_##kind(const fbc_four_block *block) { \
        const uint32_t both = FBC_HALVES_##signs == FBC_HALVES_BOTH; \
        const int32_t multiplier_a = (int16_t)block->multiplier_a, multiplier_b = (int16_t)block->multiplier_b; \
        for (uint32_t i = 0; i < 4u * block->fours; i++) { \
            const int32_t a = fbc_read_lane(block->input_a, i, 8u, both); \
            const int32_t b = both ? fbc_read_lane(block->input_b, i, 8u, 1u) \
                                   : (int32_t)fbc_flipped_lane(block->input_b, i, 8u, block->signs_b); \
            const uint32_t sum = \
                (uint32_t)(a * multiplier_a) + (uint32_t)(b * multiplier_b) + (uint32_t)block->addend; \
            fbc_write_lane(block->output, i, output_bits, fbc_clip_sum(block, sum, FBC_CLIP_##kind)); \
        } \
    }

#endif

#endif
