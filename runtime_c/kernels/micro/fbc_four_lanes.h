/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* The inner loops of residual add and requantization: four lanes at a time, of any width.
 *
 * Inputs are read as unsigned lanes: the sign bit of signed ones is flipped, which adds 2^(bits - 1), and the addend
 * has been lowered accordingly. Sums wrap around, but the last one is the same int32 as without that. */
#ifndef FBC_FOUR_LANES_H
#define FBC_FOUR_LANES_H

#include "common/fbc_requantize.h"
#include "common/fbc_widen.h"
#include "micro/fbc_xpulp.h"

typedef struct {
    const uint8_t *input_a;
    const uint8_t *input_b; /* add only */
    uint8_t *output;
    uint32_t fours; /* at least 1 */
    int32_t multiplier_a;
    int32_t multiplier_b;
    int32_t addend;
    uint32_t shift;
    int32_t high;
    uint32_t signs_a; /* bits to flip */
    uint32_t signs_b;
} fbc_four_block;

/* What outputs are clipped to: [0, high] or [-high - 1, high]. */
typedef enum { FBC_CLIP_UNSIGNED, FBC_CLIP_SIGNED } fbc_clip_kind;

/* Mask of the sign bits that are flipped in a word of lanes. */
FBC_INLINE uint32_t fbc_sign_bits(uint32_t bits, uint32_t is_signed) {
    return is_signed ? fbc_in_every_lane(1u << (bits - 1u), bits) : 0u;
}

/* What flipping the sign bit adds to a lane. */
FBC_INLINE uint32_t fbc_sign_offset(uint32_t bits, uint32_t is_signed) {
    return is_signed ? 1u << (bits - 1u) : 0u;
}

/* The mask is the same in every lane. */
FBC_INLINE uint32_t fbc_flip_lane(uint32_t lane, uint32_t bits, uint32_t signs) {
    return lane ^ (signs & ((1u << bits) - 1u));
}

FBC_INLINE int32_t fbc_clip_sum(const fbc_four_block *block, uint32_t sum, fbc_clip_kind kind) {
    return fbc_clamp((int32_t)sum >> block->shift, kind == FBC_CLIP_SIGNED ? -block->high - 1 : 0, block->high);
}

#ifdef FBC_XPULPV2

#define FBC_FOUR_LOAD_8(word, pointer) ".insn i 0x0B, 2, " word ", " pointer ", 4\n"
#define FBC_FOUR_LOAD_4(word, pointer) ".insn i 0x0B, 5, " word ", " pointer ", 2\n"
#define FBC_FOUR_LOAD_2(word, pointer) ".insn i 0x0B, 4, " word ", " pointer ", 1\n"
/* p.extractu: funct7 is 0x60 | (length - 1), the register field is the position. */
#define FBC_FOUR_EXTRACT(length, to, word, position) ".insn r 0x33, 1, " length ", " to ", " word ", " position "\n"
#define FBC_FOUR_LANE_8_0(to, word) FBC_FOUR_EXTRACT("0x67", to, word, "x0")
#define FBC_FOUR_LANE_8_1(to, word) FBC_FOUR_EXTRACT("0x67", to, word, "x8")
#define FBC_FOUR_LANE_8_2(to, word) FBC_FOUR_EXTRACT("0x67", to, word, "x16")
#define FBC_FOUR_LANE_8_3(to, word) FBC_FOUR_EXTRACT("0x67", to, word, "x24")
#define FBC_FOUR_LANE_4_0(to, word) FBC_FOUR_EXTRACT("0x63", to, word, "x0")
#define FBC_FOUR_LANE_4_1(to, word) FBC_FOUR_EXTRACT("0x63", to, word, "x4")
#define FBC_FOUR_LANE_4_2(to, word) FBC_FOUR_EXTRACT("0x63", to, word, "x8")
#define FBC_FOUR_LANE_4_3(to, word) FBC_FOUR_EXTRACT("0x63", to, word, "x12")
#define FBC_FOUR_LANE_2_0(to, word) FBC_FOUR_EXTRACT("0x61", to, word, "x0")
#define FBC_FOUR_LANE_2_1(to, word) FBC_FOUR_EXTRACT("0x61", to, word, "x2")
#define FBC_FOUR_LANE_2_2(to, word) FBC_FOUR_EXTRACT("0x61", to, word, "x4")
#define FBC_FOUR_LANE_2_3(to, word) FBC_FOUR_EXTRACT("0x61", to, word, "x6")
#define FBC_FOUR_MAC(sum, lane, multiplier) ".insn r 0x33, 0, 0x21, " sum ", " lane ", " multiplier "\n"
#define FBC_FOUR_CLIP(sum) ".insn r 0x33, %[clip], 0x0A, " sum ", " sum ", %[high]\n"
#define FBC_FOUR_INSERT(length, from, position) ".insn r 0x33, 2, " length ", %[s0], " from ", " position "\n"
/* Packs s0..s3 and stores them. */
#define FBC_FOUR_STORE_8 \
    ".insn r 0x57, 1, 0x70, %[t], %[s1], %[s0]\n" \
    ".insn r 0x57, 1, 0x6C, %[t], %[s3], %[s2]\n" \
    ".insn s 0x2B, 2, %[t], 4(%[output])\n"
#define FBC_FOUR_STORE_4 \
    FBC_FOUR_INSERT("0x63", "%[s1]", "x4") \
    FBC_FOUR_INSERT("0x63", "%[s2]", "x8") \
    FBC_FOUR_INSERT("0x63", "%[s3]", "x12") ".insn s 0x2B, 1, %[s0], 2(%[output])\n"
#define FBC_FOUR_STORE_2 \
    FBC_FOUR_INSERT("0x61", "%[s1]", "x2") \
    FBC_FOUR_INSERT("0x61", "%[s2]", "x4") \
    FBC_FOUR_INSERT("0x61", "%[s3]", "x6") ".insn s 0x2B, 0, %[s0], 1(%[output])\n"
#define FBC_FOUR_STORED_8 "3"
#define FBC_FOUR_STORED_4 "4"
#define FBC_FOUR_STORED_2 "4"
#define FBC_FOUR_FLIP_0_A ""
#define FBC_FOUR_FLIP_1_A "xor %[a], %[a], %[signs_a]\n"
#define FBC_FOUR_FLIP_0_B ""
#define FBC_FOUR_FLIP_1_B "xor %[b], %[b], %[signs_b]\n"

#define FBC_FOUR_LOOP(instructions) \
    ".balign 4\n .option push\n .option norvc\n .insn i 0x7B, 4, x0, %[fours], 2*(" instructions ")\n"

#define FBC_FOUR_ADD_LANE(bits_a, bits_b, index, sum) \
    "mv " sum ", %[addend]\n" FBC_FOUR_LANE_##bits_a##_##index("%[t]", "%[a]") \
        FBC_FOUR_LANE_##bits_b##_##index("%[u]", "%[b]") FBC_FOUR_MAC(sum, "%[t]", "%[multiplier_a]") \
            FBC_FOUR_MAC(sum, "%[u]", "%[multiplier_b]") "sra " sum ", " sum ", %[shift]\n" FBC_FOUR_CLIP(sum)

#define FBC_FOUR_ADD_BODY(bits_a, bits_b, output_bits, flip) \
    FBC_FOUR_LOOP("30 + 2 * " #flip " + " FBC_FOUR_STORED_##output_bits) \
    FBC_FOUR_LOAD_##bits_a("%[a]", "%[input_a]") FBC_FOUR_LOAD_##bits_b("%[b]", "%[input_b]") \
        FBC_FOUR_FLIP_##flip##_A FBC_FOUR_FLIP_##flip##_B \
        FBC_FOUR_ADD_LANE(bits_a, bits_b, 0, "%[s0]") FBC_FOUR_ADD_LANE(bits_a, bits_b, 1, "%[s1]") \
            FBC_FOUR_ADD_LANE(bits_a, bits_b, 2, "%[s2]") FBC_FOUR_ADD_LANE(bits_a, bits_b, 3, "%[s3]") \
                FBC_FOUR_STORE_##output_bits ".option pop"

#define FBC_DEFINE_ADD_FOURS(bits_a, bits_b, output_bits, kind, flip) \
    static void fbc_add_fours_##bits_a##_##bits_b##_##output_bits##_##kind##_##flip(const fbc_four_block *block) { \
        const uint8_t *input_a = block->input_a; \
        const uint8_t *input_b = block->input_b; \
        uint8_t *output = block->output; \
        uint32_t a, b, t, u, s0, s1, s2, s3; \
        __asm__ volatile( \
            FBC_FOUR_ADD_BODY(bits_a, bits_b, output_bits, flip) \
            : [a] "=&r"(a), [b] "=&r"(b), [t] "=&r"(t), [u] "=&r"(u), [s0] "=&r"(s0), [s1] "=&r"(s1), [s2] "=&r"(s2), \
              [s3] "=&r"(s3), [input_a] "+r"(input_a), [input_b] "+r"(input_b), [output] "+r"(output) \
            : [fours] "r"(block->fours), [multiplier_a] "r"(block->multiplier_a), \
              [multiplier_b] "r"(block->multiplier_b), [addend] "r"(block->addend), [shift] "r"(block->shift), \
              [high] "r"(block->high), [signs_a] "r"(block->signs_a), [signs_b] "r"(block->signs_b), \
              [clip] "i"(FBC_CLIP_##kind == FBC_CLIP_SIGNED ? 5 : 6) \
            : "memory"); \
    }

#define FBC_FOUR_REQUANTIZE_SUM(bits, index, sum) \
    FBC_FOUR_LANE_##bits##_##index("%[t]", "%[a]") \
        FBC_FOUR_MAC(sum, "%[t]", "%[multiplier_a]") "sra " sum ", " sum ", %[shift]\n" FBC_FOUR_CLIP(sum)
#define FBC_FOUR_REQUANTIZE_LANE(bits, index, sum) "mv " sum ", %[addend]\n" FBC_FOUR_REQUANTIZE_SUM(bits, index, sum)

/* Between a load and what needs it stands something else: the core would wait a cycle. */
#define FBC_FOUR_REQUANTIZE_BODY(bits, output_bits, flip) \
    FBC_FOUR_LOOP("21 + " #flip " + " FBC_FOUR_STORED_##output_bits) \
    FBC_FOUR_LOAD_##bits("%[a]", "%[input_a]") "mv %[s0], %[addend]\n" FBC_FOUR_FLIP_##flip##_A \
    FBC_FOUR_REQUANTIZE_SUM(bits, 0, "%[s0]") FBC_FOUR_REQUANTIZE_LANE(bits, 1, "%[s1]") \
        FBC_FOUR_REQUANTIZE_LANE(bits, 2, "%[s2]") FBC_FOUR_REQUANTIZE_LANE(bits, 3, "%[s3]") \
            FBC_FOUR_STORE_##output_bits ".option pop"

#define FBC_DEFINE_REQUANTIZE_FOURS(bits, output_bits, kind, flip) \
    static void fbc_requantize_fours_##bits##_##output_bits##_##kind##_##flip(const fbc_four_block *block) { \
        const uint8_t *input_a = block->input_a; \
        uint8_t *output = block->output; \
        uint32_t a, t, s0, s1, s2, s3; \
        __asm__ volatile(FBC_FOUR_REQUANTIZE_BODY(bits, output_bits, flip) \
                         : [a] "=&r"(a), [t] "=&r"(t), [s0] "=&r"(s0), [s1] "=&r"(s1), [s2] "=&r"(s2), [s3] "=&r"(s3), \
                           [input_a] "+r"(input_a), [output] "+r"(output) \
                         : [fours] "r"(block->fours), [multiplier_a] "r"(block->multiplier_a), \
                           [addend] "r"(block->addend), [shift] "r"(block->shift), [high] "r"(block->high), \
                           [signs_a] "r"(block->signs_a), [clip] "i"(FBC_CLIP_##kind == FBC_CLIP_SIGNED ? 5 : 6) \
                         : "memory"); \
    }

#else

/* A lane with its sign bit flipped where that is asked for. */
FBC_INLINE uint32_t fbc_flipped_lane(const uint8_t *data, uint32_t index, uint32_t bits, uint32_t signs) {
    return fbc_flip_lane((uint32_t)fbc_read_lane(data, index, bits, 0u), bits, signs);
}

#define FBC_DEFINE_ADD_FOURS(bits_a, bits_b, output_bits, kind, flip) \
    static void fbc_add_fours_##bits_a##_##bits_b##_##output_bits##_##kind##_##flip(const fbc_four_block *block) { \
        for (uint32_t i = 0; i < 4u * block->fours; i++) { \
            const uint32_t a = fbc_flipped_lane(block->input_a, i, bits_a, (flip) ? block->signs_a : 0u); \
            const uint32_t b = fbc_flipped_lane(block->input_b, i, bits_b, (flip) ? block->signs_b : 0u); \
            const uint32_t sum = \
                (uint32_t)block->addend + a * (uint32_t)block->multiplier_a + b * (uint32_t)block->multiplier_b; \
            fbc_write_lane(block->output, i, output_bits, fbc_clip_sum(block, sum, FBC_CLIP_##kind)); \
        } \
    }

#define FBC_DEFINE_REQUANTIZE_FOURS(bits, output_bits, kind, flip) \
    static void fbc_requantize_fours_##bits##_##output_bits##_##kind##_##flip(const fbc_four_block *block) { \
        for (uint32_t i = 0; i < 4u * block->fours; i++) { \
            const uint32_t a = fbc_flipped_lane(block->input_a, i, bits, (flip) ? block->signs_a : 0u); \
            const uint32_t sum = (uint32_t)block->addend + a * (uint32_t)block->multiplier_a; \
            fbc_write_lane(block->output, i, output_bits, fbc_clip_sum(block, sum, FBC_CLIP_##kind)); \
        } \
    }

#endif

#endif
