/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Residual add of two inputs of 4, or of 2, bits to as many, a word at a time: outputs are looked up. Every core
 * computes those of all pairs of lanes before.
 *
 * 2 bits: sixteen outputs fill a register. Byte a of it holds those of a with b = 0..3: pv.shuffle.b picks the bytes of
 * four lanes, a shift of each byte the outputs. 4 bits: the outputs are bytes of a table on the stack. */
#ifndef FBC_ADD_LOOKUP_H
#define FBC_ADD_LOOKUP_H

#include "micro/fbc_four_lanes.h"

/* Bits 8 a + 2 b and the next of the table: the output of a and b as they lie in memory. */
static uint32_t fbc_add_crumb_table(const fbc_four_block *block, fbc_clip_kind kind) {
    const int32_t high = block->high, low = kind == FBC_CLIP_SIGNED ? -high - 1 : 0;
    const uint32_t shift = block->shift, step = (uint32_t)block->multiplier_b;
    uint32_t table = 0, row = (uint32_t)block->addend;
    for (uint32_t a = 0; a < 4u; a++) {
        uint32_t sum = row;
#pragma GCC unroll 4
        for (uint32_t b = 0; b < 4u; b++) {
            table = table >> 2 | (uint32_t)fbc_bring_into((int32_t)sum >> shift, low, high) << 30;
            sum += step;
        }
        row += (uint32_t)block->multiplier_a;
    }
    if (block->signs_a != 0u) { /* 2 and 3 in front of 0 and 1 */
        table = table << 16 | table >> 16;
    }
    if (block->signs_b != 0u) {
        table = (table << 4 & 0xF0F0F0F0u) | (table >> 4 & 0x0F0F0F0Fu);
    }
    return table;
}

#ifdef FBC_XPULPV2
#define FBC_NIBBLE_ROW(clip, mask, instructions) \
    ".balign 4\n.option push\n.option norvc\n" \
    ".insn i 0x7B, 4, x0, %[eight], 2*" instructions "\n" /* lp.setup 0 */ \
    "sra %[value], %[sum], %[shift]\n" \
    ".insn r 0x33, " clip ", 0x0A, %[value], %[value], %[high]\n" mask \
    ".insn s 0x2B, 0, %[value], 1(%[row])\n" /* p.sb */ \
    "add %[sum], %[sum], %[multiplier]\n" \
    ".option pop"
#define FBC_NIBBLE_OPERANDS \
    : [value] "=&r"(value), [sum] "+r"(sum), [row] "+r"(row) \
    : [eight] "r"(8u), [multiplier] "r"(block->multiplier_a), [shift] "r"(block->shift), [high] "r"(block->high) \
    : "memory"
#endif

/* Eight bytes of the other table, of consecutive lanes of the first input. */
FBC_INLINE void fbc_add_nibble_row(const fbc_four_block *block, fbc_clip_kind kind, uint32_t sum, uint8_t *row) {
#ifdef FBC_XPULPV2
    uint32_t value;
    if (kind == FBC_CLIP_SIGNED) {
        __asm__ volatile(FBC_NIBBLE_ROW("5", "andi %[value], %[value], 15\n", "5") FBC_NIBBLE_OPERANDS);
    } else {
        __asm__ volatile(FBC_NIBBLE_ROW("6", "", "4") FBC_NIBBLE_OPERANDS);
    }
#else
    for (uint32_t i = 0; i < 8u; i++) {
        row[i] = (uint8_t)(fbc_clip_sum(block, sum + i * (uint32_t)block->multiplier_a, kind) & 15);
    }
#endif
}

/* Byte a + 16 b: the output of a and b as they lie in memory. */
FBC_INLINE void fbc_add_nibble_table(const fbc_four_block *block, fbc_clip_kind kind, uint8_t table[256]) {
    const uint32_t sign_a = block->signs_a & 8u, sign_b = block->signs_b & 8u;
    uint32_t sum = (uint32_t)block->addend;
    for (uint32_t b = 0; b < 16u; b++) {
        uint8_t *row = table + 16u * (b ^ sign_b);
        fbc_add_nibble_row(block, kind, sum, row + sign_a);
        fbc_add_nibble_row(block, kind, sum + 8u * (uint32_t)block->multiplier_a, row + (sign_a ^ 8u));
        sum += (uint32_t)block->multiplier_b;
    }
}

#ifdef FBC_XPULPV2

#define FBC_LOOKUP_BYTE(position, to, word) FBC_FOUR_LANE_8_##position(to, word)
#define FBC_LOOKUP_LOAD(byte) ".insn r 0x03, 7, 0x20, " byte ", %[table], " byte "\n" /* p.lbu, indexed */
#define FBC_LOOKUP_PACK(word, s0, s1, s2, s3) \
    ".insn r 0x57, 1, 0x70, " word ", " s1 ", " s0 "\n" /* pv.packlo.b */ \
    ".insn r 0x57, 1, 0x6C, " word ", " s3 ", " s2 "\n" /* pv.packhi.b */
#define FBC_LOOKUP_FOUR(word) \
    FBC_FOUR_LANE_8_0("%[s0]", word) \
    FBC_FOUR_LANE_8_1("%[s1]", word) \
    FBC_FOUR_LANE_8_2("%[s2]", word) \
    FBC_FOUR_LANE_8_3("%[s3]", word) \
    FBC_LOOKUP_LOAD("%[s0]") \
    FBC_LOOKUP_LOAD("%[s1]") \
    FBC_LOOKUP_LOAD("%[s2]") FBC_LOOKUP_LOAD("%[s3]") FBC_LOOKUP_PACK(word, "%[s0]", "%[s1]", "%[s2]", "%[s3]")

/* Pairs of even lanes are bytes of one word, those of odd lanes of another. */
static void fbc_add_look_up_nibbles(const fbc_four_block *block, uint32_t words, const uint8_t *table) {
    const uint8_t *input_a = block->input_a;
    const uint8_t *input_b = block->input_b;
    uint8_t *output = block->output;
    uint32_t a, b, t, s0, s1, s2, s3;
    __asm__ volatile(
        ".balign 4\n.option push\n.option norvc\n"
        ".insn i 0x7B, 4, x0, %[words], 2*30\n" /* lp.setup 0 */
        FBC_FOUR_LOAD_8("%[a]", "%[input_a]") FBC_FOUR_LOAD_8(
            "%[b]", "%[input_b]") "and %[t], %[a], %[low]\n"
                                  "and %[s0], %[b], %[low]\n"
                                  ".insn r 0x57, 7, 0x20, %[a], %[a], x2\n" /* pv.srl.sci.b by 4 */
                                  "and %[b], %[b], %[high]\n"
                                  "or %[a], %[a], %[b]\n" FBC_FOUR_MAC("%[t]", "%[s0]", "%[sixteen]")
                                      FBC_LOOKUP_FOUR("%[t]") FBC_LOOKUP_FOUR("%[a]")
                                          FBC_FOUR_MAC("%[t]", "%[a]",
                                                       "%[sixteen]") ".insn s 0x2B, 2, %[t], 4(%[output])\n" /* p.sw */
                                                                     ".option pop"
        : [a] "=&r"(a), [b] "=&r"(b), [t] "=&r"(t), [s0] "=&r"(s0), [s1] "=&r"(s1), [s2] "=&r"(s2), [s3] "=&r"(s3),
          [input_a] "+r"(input_a), [input_b] "+r"(input_b), [output] "+r"(output)
        : [words] "r"(words), [table] "r"(table), [low] "r"(0x0F0F0F0Fu), [high] "r"(0xF0F0F0F0u), [sixteen] "r"(16u)
        : "memory");
}

#define FBC_LOOKUP_CRUMBS(sum, a, b) \
    ".insn r 0x57, 1, 0x60, " sum ", %[table], " a "\n" /* pv.shuffle.b */ \
    ".insn r 0x57, 1, 0x20, " sum ", " sum ", " b "\n"  /* pv.srl.b */ \
    "and " sum ", " sum ", %[low]\n"

/* Selectors are the lanes of a, whose bytes' other bits do not matter; shifts are twice those of b. */
static void fbc_add_look_up_crumbs(const fbc_four_block *block, uint32_t words, uint32_t table) {
    const uint8_t *input_a = block->input_a;
    const uint8_t *input_b = block->input_b;
    uint8_t *output = block->output;
    uint32_t a, b, t, s0, s1, s2, s3;
    __asm__ volatile(
        ".balign 4\n.option push\n.option norvc\n"
        ".insn i 0x7B, 4, x0, %[words], 2*27\n" /* lp.setup 0 */
        FBC_FOUR_LOAD_8("%[a]", "%[input_a]") FBC_FOUR_LOAD_8(
            "%[b]",
            "%[input_b]") "srli %[s1], %[a], 2\n srli %[s2], %[a], 4\n srli %[s3], %[a], 6\n"
                          "slli %[t], %[b], 1\n and %[t], %[t], %[twice]\n"
                          "srli %[b], %[b], 1\n and %[b], %[b], %[twice]\n" FBC_LOOKUP_CRUMBS("%[s0]", "%[a]", "%[t]")
                              FBC_LOOKUP_CRUMBS(
                                  "%[s1]", "%[s1]",
                                  "%[b]") "srli %[t], %[t], 4\n srli %[b], %[b], 4\n" FBC_LOOKUP_CRUMBS("%[s2]",
                                                                                                        "%[s2]", "%[t]")
                                  FBC_LOOKUP_CRUMBS("%[s3]", "%[s3]", "%[b]") FBC_FOUR_MAC("%[s0]", "%[s1]", "%[four]")
                                      FBC_FOUR_MAC("%[s2]", "%[s3]", "%[four]")
                                          FBC_FOUR_MAC("%[s0]", "%[s2]",
                                                       "%[sixteen]") ".insn s 0x2B, 2, %[s0], 4(%[output])\n" /* p.sw */
                                                                     ".option pop"
        : [a] "=&r"(a), [b] "=&r"(b), [t] "=&r"(t), [s0] "=&r"(s0), [s1] "=&r"(s1), [s2] "=&r"(s2), [s3] "=&r"(s3),
          [input_a] "+r"(input_a), [input_b] "+r"(input_b), [output] "+r"(output)
        : [words] "r"(words), [table] "r"(table), [low] "r"(0x03030303u), [twice] "r"(0x66666666u), [four] "r"(4u),
          [sixteen] "r"(16u)
        : "memory");
}

#else

static void fbc_add_look_up_nibbles(const fbc_four_block *block, uint32_t words, const uint8_t *table) {
    for (uint32_t i = 0; i < 8u * words; i++) {
        const int32_t a = fbc_read_lane(block->input_a, i, 4u, 0u), b = fbc_read_lane(block->input_b, i, 4u, 0u);
        fbc_write_lane(block->output, i, 4u, table[a + 16 * b]);
    }
}

static void fbc_add_look_up_crumbs(const fbc_four_block *block, uint32_t words, uint32_t table) {
    for (uint32_t i = 0; i < 16u * words; i++) {
        const int32_t a = fbc_read_lane(block->input_a, i, 2u, 0u), b = fbc_read_lane(block->input_b, i, 2u, 0u);
        fbc_write_lane(block->output, i, 2u, (int32_t)(table >> (8 * a + 2 * b) & 3u));
    }
}

#endif

#endif
