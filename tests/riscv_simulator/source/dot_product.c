/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Dot products, and mac & load: a dot product of two special registers that loads one of them anew. */
#include "lanes.h"

#define RD core->x[instruction->rd]
#define RS1 core->x[instruction->rs1]
#define RS2 core->x[instruction->rs2]

enum { UNSIGNED_UNSIGNED, UNSIGNED_SIGNED, SIGNED_SIGNED, SIGN_KINDS };

#define DOT(width, kind, lane_a, lane_b) \
    static inline uint32_t dot_##kind##_##width(uint32_t a, uint32_t b) { \
        int32_t sum_even = 0; \
        int32_t sum_odd = 0; \
        _Pragma("GCC unroll 8") for (unsigned i = 0; i < 32u / (width); i += 2) { \
            sum_even += lane_a(a, width, i) * lane_b(b, width, i); \
            sum_odd += lane_a(a, width, i + 1) * lane_b(b, width, i + 1); \
        } \
        return (uint32_t)sum_even + (uint32_t)sum_odd; \
    }
/* Two products of unsigned half words do not fit an int32_t. */
static inline uint32_t dot_uu_16(uint32_t a, uint32_t b) {
    return (a & 0xFFFFu) * (b & 0xFFFFu) + (a >> 16) * (b >> 16);
}
DOT(8, uu, lane_unsigned, lane_unsigned)
DOT(4, uu, lane_unsigned, lane_unsigned)
DOT(2, uu, lane_unsigned, lane_unsigned)
DOT(16, us, lane_unsigned, lane_signed)
DOT(8, us, lane_unsigned, lane_signed)
DOT(4, us, lane_unsigned, lane_signed)
DOT(2, us, lane_unsigned, lane_signed)
DOT(16, ss, lane_signed, lane_signed)
DOT(8, ss, lane_signed, lane_signed)
DOT(4, ss, lane_signed, lane_signed)
DOT(2, ss, lane_signed, lane_signed)

#define DEFINE(name, expression) \
    static void execute_##name(Core *core, const Instruction *instruction) { \
        RD = (expression); \
    }
#define FORMS_OF(kind, width) \
    DEFINE(dot_##kind##_##width, dot_##kind##_##width(RS1, RS2)) \
    DEFINE(dot_##kind##_sc_##width, dot_##kind##_##width(RS1, replicate(RS2, width))) \
    DEFINE(dot_##kind##_sci_##width, dot_##kind##_##width(RS1, (uint32_t)instruction->immediate)) \
    DEFINE(sum_##kind##_##width, RD + dot_##kind##_##width(RS1, RS2)) \
    DEFINE(sum_##kind##_sc_##width, RD + dot_##kind##_##width(RS1, replicate(RS2, width))) \
    DEFINE(sum_##kind##_sci_##width, RD + dot_##kind##_##width(RS1, (uint32_t)instruction->immediate))
#define WIDTHS_OF(kind) FORMS_OF(kind, 16) FORMS_OF(kind, 8) FORMS_OF(kind, 4) FORMS_OF(kind, 2)
WIDTHS_OF(uu)
WIDTHS_OF(us)
WIDTHS_OF(ss)

#define ENTRY(operation, kind, width) \
    {execute_##operation##_##kind##_##width, execute_##operation##_##kind##_sc_##width, \
     execute_##operation##_##kind##_sci_##width}
#define ENTRIES(operation, kind) \
    {ENTRY(operation, kind, 16), ENTRY(operation, kind, 8), ENTRY(operation, kind, 4), ENTRY(operation, kind, 2)}

static Execute *const dot_products[2][SIGN_KINDS][WIDTHS][FORMS] = {
    {ENTRIES(dot, uu), ENTRIES(dot, us), ENTRIES(dot, ss)}, {ENTRIES(sum, uu), ENTRIES(sum, us), ENTRIES(sum, ss)}};

/* funct7 without bit 0: 40 dotup, 44 dotusp, 4C dotsp, the same + 10 with accumulation. */
bool decode_dot_product(Core *core, uint32_t word, Instruction *instruction) {
    static const int8_t kinds[4] = {UNSIGNED_UNSIGNED, UNSIGNED_SIGNED, -1, SIGNED_SIGNED};
    static const unsigned width_bits[WIDTHS] = {16, 8, 4, 2};
    const uint32_t code = bits(word, 25, 7);
    unsigned width;
    SimdForm form;
    if (bits(word, 0, 7) != OPCODE_SIMD || (code & 0x62u) != 0x40u || !simd_form(core, word, &width, &form)) {
        return false;
    }
    const int kind = kinds[code >> 2 & 3u];
    if (kind < 0) {
        return false;
    }
    instruction->immediate = (int32_t)simd_immediate(word, kind != UNSIGNED_UNSIGNED, width_bits[width]);
    instruction->execute = dot_products[code >> 4 & 1u][kind][width][form];
    return true;
}

/* The instruction's immediate: bit 4 loads the weight, bit 3 the activation register, bits 2-1 and 0 are their numbers.
 */
enum { LOAD_WEIGHT = 16, LOAD_ACTIVATION = 8, FIRST_WEIGHT = 2 };

static inline void load_special(Core *core, const Instruction *instruction, uint32_t activation, uint32_t weight) {
    const uint32_t control = (uint32_t)instruction->immediate;
    if ((control & (LOAD_WEIGHT | LOAD_ACTIVATION)) == 0u) {
        return;
    }
    const uint32_t address = RS1;
    if ((address & 3u) != 0u) {
        fault(core, "mac & load from 0x%08x, which is not a multiple of 4", address);
    }
    core->special[(control & LOAD_ACTIVATION) != 0u ? activation : weight] = load_word(core, address);
    RS1 = address + 4u;
}

#define MAC_LOAD(name, width, kind, first, second) \
    static void execute_##name##_##width(Core *core, const Instruction *instruction) { \
        const uint32_t activation = (uint32_t)instruction->immediate & 1u; \
        const uint32_t weight = FIRST_WEIGHT + ((uint32_t)instruction->immediate >> 1 & 3u); \
        RD += dot_##kind##_##width(core->special[first], core->special[second]); \
        load_special(core, instruction, activation, weight); \
    }
#define MAC_LOADS(width) \
    MAC_LOAD(mac_load_uu, width, uu, activation, weight) \
    MAC_LOAD(mac_load_us, width, us, activation, weight) \
    MAC_LOAD(mac_load_su, width, us, weight, activation) \
    MAC_LOAD(mac_load_ss, width, ss, activation, weight)
MAC_LOADS(16)
MAC_LOADS(8)
MAC_LOADS(4)
MAC_LOADS(2)

#define ROW(name) {execute_##name##_16, execute_##name##_8, execute_##name##_4, execute_##name##_2}

bool decode_mac_load(Core *core, uint32_t word, Instruction *instruction) {
    static Execute *const rows[4][WIDTHS] = {ROW(mac_load_uu), ROW(mac_load_us), ROW(mac_load_su), ROW(mac_load_ss)};
    if (bits(word, 0, 7) != OPCODE_MAC_LOAD || bits(word, 12, 3) >= WIDTHS) {
        return false;
    }
    int row;
    switch (bits(word, 25, 7)) {
    case 0x70: /* mlsdotup */
        row = 0;
        break;
    case 0x6C: /* mlsdotsup: activation unsigned, weight signed */
        row = 1;
        break;
    case 0x74: /* mlsdotusp: activation signed, weight unsigned */
        row = 2;
        break;
    case 0x7C: /* mlsdotsp */
        row = 3;
        break;
    default:
        return false;
    }
    instruction->immediate = instruction->rs2;
    if (instruction->rd == instruction->rs1 && (instruction->rs2 & (LOAD_WEIGHT | LOAD_ACTIVATION)) != 0) {
        fault(core, "mac & load 0x%08x with the pointer as accumulator", word);
    }
    instruction->execute = rows[row][bits(word, 12, 3)];
    return true;
}
