/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* XpulpV2 on whole registers: multiply-add, minimum and maximum, clips, bit fields, sums and products with a shift. */
#include "execute.h"

#define RD core->x[instruction->rd]
#define RS1 core->x[instruction->rs1]
#define RS2 core->x[instruction->rs2]
#define IMMEDIATE ((uint32_t)instruction->immediate)
#define RESULT(name, expression) \
    static void name(Core *core, const Instruction *instruction) { \
        core->x[instruction->rd] = (expression); \
    }

RESULT(execute_mac, RD + RS1 * RS2)
RESULT(execute_msu, RD - RS1 * RS2)
RESULT(execute_abs, (int32_t)RS1 < 0 ? 0u - RS1 : RS1)
RESULT(execute_slet, (int32_t)RS1 <= (int32_t)RS2)
RESULT(execute_sletu, RS1 <= RS2)
RESULT(execute_min, (int32_t)RS1 < (int32_t)RS2 ? RS1 : RS2)
RESULT(execute_minu, RS1 < RS2 ? RS1 : RS2)
RESULT(execute_max, (int32_t)RS1 > (int32_t)RS2 ? RS1 : RS2)
RESULT(execute_maxu, RS1 > RS2 ? RS1 : RS2)
RESULT(execute_ror, RS1 >> (RS2 & 31u) | RS1 << ((32u - (RS2 & 31u)) & 31u))
RESULT(execute_ff1, RS1 == 0u ? 32u : (uint32_t)__builtin_ctz(RS1))
RESULT(execute_fl1, RS1 == 0u ? 32u : 31u - (uint32_t)__builtin_clz(RS1))
RESULT(execute_clb, RS1 == 0u ? 0u : (uint32_t)__builtin_clrsb((int)RS1))
RESULT(execute_cnt, (uint32_t)__builtin_popcount(RS1))
RESULT(execute_exths, (uint32_t)sign_extend(RS1, 16))
RESULT(execute_exthz, RS1 & 0xFFFFu)
RESULT(execute_extbs, (uint32_t)sign_extend(RS1, 8))
RESULT(execute_extbz, RS1 & 0xFFu)

static uint32_t clip(uint32_t value, uint32_t low, uint32_t high) {
    if ((int32_t)value < (int32_t)low) {
        return low;
    }
    return (int32_t)value > (int32_t)high ? high : value;
}

static uint32_t clip_unsigned(uint32_t value, uint32_t high) {
    if ((int32_t)value > (int32_t)high) {
        return high;
    }
    return (int32_t)value <= 0 ? 0u : value;
}

/* The decoder has put the upper bound into the immediate. */
RESULT(execute_clip, clip(RS1, ~IMMEDIATE, IMMEDIATE))
RESULT(execute_clipu, clip_unsigned(RS1, IMMEDIATE))
RESULT(execute_clip_register, clip(RS1, ~RS2, RS2))
RESULT(execute_clipu_register, clip_unsigned(RS1, RS2))

/* Bit fields are described by (width - 1) << 5 | position, in a register or from the instruction. */
static uint32_t field_mask(uint32_t field) {
    const uint32_t width = bits(field, 5, 5) + 1u;
    return (uint32_t)(((UINT64_C(1) << width) - 1u) << bits(field, 0, 5));
}

static uint32_t extract_signed(uint32_t value, uint32_t field) {
    const uint32_t position = bits(field, 0, 5);
    const uint32_t width = bits(field, 5, 5) + 1u;
    const uint32_t available = width + position > 32u ? 32u - position : width;
    return (uint32_t)sign_extend(value >> position, available);
}

static uint32_t insert(uint32_t target, uint32_t value, uint32_t field) {
    const uint32_t mask = field_mask(field);
    return (target & ~mask) | (value << bits(field, 0, 5) & mask);
}

#define BIT_FIELD(name, expression) \
    static uint32_t name##_value(uint32_t target, uint32_t value, uint32_t field) { \
        (void)target; \
        return expression; \
    } \
    RESULT(name, name##_value(RD, RS1, IMMEDIATE)) \
    RESULT(name##_register, name##_value(RD, RS1, RS2))
BIT_FIELD(execute_extract, extract_signed(value, field))
BIT_FIELD(execute_extractu, (value & field_mask(field)) >> bits(field, 0, 5))
BIT_FIELD(execute_insert, insert(target, value, field))
BIT_FIELD(execute_bclr, value & ~field_mask(field))
BIT_FIELD(execute_bset, value | field_mask(field))

/* Sums: (rs1 +- rs2 [+ half]) >> shift in 32 bits; in the register forms (rd +- rs1 [+ half]) >> rs2. */
static uint32_t half_of(uint32_t shift) {
    return shift == 0u ? 0u : 1u << (shift - 1u);
}

#define SUM(name, operator, round, shift_right) \
    static uint32_t name##_value(uint32_t a, uint32_t b, uint32_t shift) { \
        return shift_right(a operator b + (round ? half_of(shift) : 0u), shift); \
    } \
    RESULT(name, name##_value(RS1, RS2, IMMEDIATE)) \
    RESULT(name##_register, name##_value(RD, RS1, RS2 & 31u))

static uint32_t logical_shift(uint32_t value, uint32_t amount) {
    return value >> amount;
}
SUM(execute_addN, +, 0, arithmetic_shift)
SUM(execute_adduN, +, 0, logical_shift)
SUM(execute_addRN, +, 1, arithmetic_shift)
SUM(execute_adduRN, +, 1, logical_shift)
SUM(execute_subN, -, 0, arithmetic_shift)
SUM(execute_subuN, -, 0, logical_shift)
SUM(execute_subRN, -, 1, arithmetic_shift)
SUM(execute_subuRN, -, 1, logical_shift)

/* Products of half words: (rd if it accumulates + product, 32 bits) [+ half] >> shift, the rounding in wider precision.
 */
static uint32_t low_signed(uint32_t value) {
    return (uint32_t)sign_extend(value, 16);
}
static uint32_t high_signed(uint32_t value) {
    return arithmetic_shift(value, 16);
}
static uint32_t low_unsigned(uint32_t value) {
    return value & 0xFFFFu;
}
static uint32_t high_unsigned(uint32_t value) {
    return value >> 16;
}
static uint32_t round_signed(uint32_t value, uint32_t shift) {
    return (uint32_t)(((int64_t)(int32_t)value + half_of(shift)) >> shift);
}
static uint32_t round_unsigned(uint32_t value, uint32_t shift) {
    return (uint32_t)(((uint64_t)value + half_of(shift)) >> shift);
}
static uint32_t round_in_32_bits(uint32_t value, uint32_t shift) {
    return (value + half_of(shift)) >> shift;
}

#define PRODUCT(name, half, shift_right, round_mul, round_mac) \
    RESULT(execute_mul_##name, shift_right(half(RS1) * half(RS2), IMMEDIATE)) \
    RESULT(execute_mac_##name, shift_right(RD + half(RS1) * half(RS2), IMMEDIATE)) \
    RESULT(execute_mul_round_##name, round_mul(half(RS1) * half(RS2), IMMEDIATE)) \
    RESULT(execute_mac_round_##name, round_mac(RD + half(RS1) * half(RS2), IMMEDIATE))
PRODUCT(low_u, low_unsigned, logical_shift, round_in_32_bits, round_unsigned)
PRODUCT(high_u, high_unsigned, logical_shift, round_in_32_bits, round_unsigned)
PRODUCT(low_s, low_signed, arithmetic_shift, round_signed, round_signed)
PRODUCT(high_s, high_signed, arithmetic_shift, round_signed, round_signed)

static Execute *decode_clip(uint32_t funct3, uint32_t size, Instruction *instruction) {
    instruction->immediate = (int32_t)((1u << (size == 0u ? 0u : size - 1u)) - 1u);
    switch (funct3) {
    case 1:
        return execute_clip;
    case 2:
        return execute_clipu;
    case 5:
        return execute_clip_register;
    case 6:
        return execute_clipu_register;
    default:
        return NULL;
    }
}

static Execute *decode_bit_field(uint32_t word, Instruction *instruction) {
    static Execute *const immediate[8] = {execute_extract, execute_extractu, execute_insert, execute_bclr,
                                          execute_bset};
    static Execute *const registers[8] = {execute_extract_register, execute_extractu_register, execute_insert_register,
                                          execute_bclr_register, execute_bset_register};
    const uint32_t funct3 = bits(word, 12, 3);
    if (bits(word, 30, 1) != 0u) {
        instruction->immediate = (int32_t)(bits(word, 25, 5) << 5 | bits(word, 20, 5));
        return immediate[funct3];
    }
    return bits(word, 25, 5) == 0u ? registers[funct3] : NULL;
}

/* p.avgu (funct7 2, funct3 1) is left out: the average of the SIMD unit is not what the hardware gives either. */
static Execute *decode_register(uint32_t word, Instruction *instruction) {
    static Execute *const compare[8] = {NULL,        NULL,         execute_slet, execute_sletu,
                                        execute_min, execute_minu, execute_max,  execute_maxu};
    static Execute *const count[8] = {execute_ff1,   execute_fl1,   execute_clb,   execute_cnt,
                                      execute_exths, execute_exthz, execute_extbs, execute_extbz};
    const uint32_t funct3 = bits(word, 12, 3);
    const uint32_t rs2 = bits(word, 20, 5);
    switch (bits(word, 25, 7)) {
    case 0x02:
        return funct3 == 0u && rs2 == 0u ? execute_abs : compare[funct3];
    case 0x04:
        return funct3 == 5u ? execute_ror : NULL;
    case 0x08:
        return rs2 == 0u ? count[funct3] : NULL;
    case 0x0A:
        return decode_clip(funct3, rs2, instruction);
    case 0x21:
        return funct3 == 0u ? execute_mac : funct3 == 1u ? execute_msu : NULL;
    default:
        return bits(word, 31, 1) != 0u ? decode_bit_field(word, instruction) : NULL;
    }
}

static Execute *decode_round(uint32_t word, Instruction *instruction) {
    static Execute *const products[4][4] = {
        {execute_mul_low_u, execute_mul_high_u, execute_mul_low_s, execute_mul_high_s},
        {execute_mac_low_u, execute_mac_high_u, execute_mac_low_s, execute_mac_high_s},
        {execute_mul_round_low_u, execute_mul_round_high_u, execute_mul_round_low_s, execute_mul_round_high_s},
        {execute_mac_round_low_u, execute_mac_round_high_u, execute_mac_round_low_s, execute_mac_round_high_s}};
    static Execute *const sums[4][4] = {
        {execute_addN, execute_addN_register, execute_adduN, execute_adduN_register},
        {execute_subN, execute_subN_register, execute_subuN, execute_subuN_register},
        {execute_addRN, execute_addRN_register, execute_adduRN, execute_adduRN_register},
        {execute_subRN, execute_subRN_register, execute_subuRN, execute_subuRN_register}};
    const uint32_t funct3 = bits(word, 12, 3);
    const uint32_t kind = bits(word, 30, 2);
    const uint32_t row = (funct3 & 1u) | (funct3 & 4u) >> 1;
    instruction->immediate = (int32_t)bits(word, 25, 5);
    if ((funct3 & 2u) == 0u) {
        return products[row][kind];
    }
    if ((kind & 1u) != 0u && instruction->immediate != 0) {
        return NULL;
    }
    return sums[row][kind];
}

bool decode_xpulp_scalar(Core *core, uint32_t word, Instruction *instruction) {
    (void)core;
    if (bits(word, 0, 7) == OPCODE_REGISTER) {
        instruction->execute = decode_register(word, instruction);
    } else if (bits(word, 0, 7) == OPCODE_ROUND) {
        instruction->execute = decode_round(word, instruction);
    }
    return instruction->execute != NULL;
}
