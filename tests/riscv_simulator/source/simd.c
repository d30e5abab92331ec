/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* SIMD instructions that work lane by lane, and those that move lanes.
 *
 * Left out because GVSOC computes them wrongly, so that no kernel comes to need them: pv.avg, pv.avgu, pv.qnt, and on
 * crumbs pv.abs and the .sc forms of pv.min, pv.minu, pv.max, pv.maxu. */
#include "lanes.h"

#define RD core->x[instruction->rd]
#define RS1 core->x[instruction->rs1]
#define RS2 core->x[instruction->rs2]
#define IMMEDIATE ((uint32_t)instruction->immediate)

/* One lane of each operation: a, b as signed or unsigned lanes, width in bits. */
#define LANE_add(a, b, width) ((a) + (b))
#define LANE_sub(a, b, width) ((a) - (b))
#define LANE_min(a, b, width) ((a) < (b) ? (a) : (b))
#define LANE_max(a, b, width) ((a) > (b) ? (a) : (b))
#define LANE_shift_right(a, b, width) ((a) >> ((uint32_t)(b) & ((width) - 1u)))
#define LANE_shift_left(a, b, width) ((int32_t)((uint32_t)(a) << ((uint32_t)(b) & ((width) - 1u))))
#define LANE_eq(a, b, width) (-((a) == (b)))
#define LANE_ne(a, b, width) (-((a) != (b)))
#define LANE_gt(a, b, width) (-((a) > (b)))
#define LANE_ge(a, b, width) (-((a) >= (b)))
#define LANE_lt(a, b, width) (-((a) < (b)))
#define LANE_le(a, b, width) (-((a) <= (b)))

/* Three forms of one operation on one width. */
#define FORMS_OF(name, width, expression) \
    static uint32_t name##_##width(uint32_t a, uint32_t b) { \
        return expression; \
    } \
    static void execute_##name##_##width(Core *core, const Instruction *instruction) { \
        RD = name##_##width(RS1, RS2); \
    } \
    static void execute_##name##_sc_##width(Core *core, const Instruction *instruction) { \
        RD = name##_##width(RS1, replicate(RS2, width)); \
    } \
    static void execute_##name##_sci_##width(Core *core, const Instruction *instruction) { \
        RD = name##_##width(RS1, IMMEDIATE); \
    }

#define LANES_OF(name, width, lane, operation) \
    static uint32_t name##_lanes_##width(uint32_t a, uint32_t b) { \
        uint32_t result = 0; \
        for (unsigned i = 0; i < 32u / (width); i++) { \
            const int32_t x = lane(a, width, i); \
            const int32_t y = lane(b, width, i); \
            result |= ((uint32_t)LANE_##operation(x, y, width) & ((1u << (width)) - 1u)) << (width) * i; \
        } \
        return result; \
    } \
    FORMS_OF(name, width, name##_lanes_##width(a, b))

#define ALL_WIDTHS(name, lane, operation) \
    LANES_OF(name, 16, lane, operation) \
    LANES_OF(name, 8, lane, operation) \
    LANES_OF(name, 4, lane, operation) \
    LANES_OF(name, 2, lane, operation)
#define WIDE_ONLY(name, lane, operation) \
    LANES_OF(name, 16, lane, operation) \
    LANES_OF(name, 8, lane, operation)
#define BITWISE(name, expression) \
    FORMS_OF(name, 16, expression) \
    FORMS_OF(name, 8, expression) FORMS_OF(name, 4, expression) FORMS_OF(name, 2, expression)

ALL_WIDTHS(add, lane_signed, add)
ALL_WIDTHS(sub, lane_signed, sub)
ALL_WIDTHS(min, lane_signed, min)
ALL_WIDTHS(minu, lane_unsigned, min)
ALL_WIDTHS(max, lane_signed, max)
ALL_WIDTHS(maxu, lane_unsigned, max)
ALL_WIDTHS(srl, lane_unsigned, shift_right)
ALL_WIDTHS(sra, lane_signed, shift_right)
ALL_WIDTHS(sll, lane_unsigned, shift_left)
BITWISE(or, a | b)
BITWISE(xor, a ^ b)
BITWISE(and, a &b)
WIDE_ONLY(cmpeq, lane_signed, eq)
WIDE_ONLY(cmpne, lane_signed, ne)
WIDE_ONLY(cmpgt, lane_signed, gt)
WIDE_ONLY(cmpge, lane_signed, ge)
WIDE_ONLY(cmplt, lane_signed, lt)
WIDE_ONLY(cmple, lane_signed, le)
WIDE_ONLY(cmpgtu, lane_unsigned, gt)
WIDE_ONLY(cmpgeu, lane_unsigned, ge)
WIDE_ONLY(cmpltu, lane_unsigned, lt)
WIDE_ONLY(cmpleu, lane_unsigned, le)

typedef struct {
    uint8_t operation; /* funct7 >> 1 */
    bool signed_immediate;
    Execute *execute[WIDTHS][FORMS];
} LaneOperation;

#define ENTRY(name, width) {execute_##name##_##width, execute_##name##_sc_##width, execute_##name##_sci_##width}
#define ALL(code, is_signed, name) \
    { \
        (code) >> 1, is_signed, { \
            ENTRY(name, 16), ENTRY(name, 8), ENTRY(name, 4), ENTRY(name, 2) \
        } \
    }
#define WIDE(code, is_signed, name) \
    { \
        (code) >> 1, is_signed, { \
            ENTRY(name, 16), ENTRY(name, 8), {NULL, NULL, NULL}, { \
                NULL, NULL, NULL \
            } \
        } \
    }

static const LaneOperation operations[] = {
    ALL(0x00, true, add),      ALL(0x04, true, sub),     ALL(0x10, true, min),      ALL(0x14, false, minu),
    ALL(0x18, true, max),      ALL(0x1C, false, maxu),   ALL(0x20, false, srl),     ALL(0x24, true, sra),
    ALL(0x28, false, sll),     ALL(0x2C, true, or),      ALL(0x30, true, xor),      ALL(0x34, true, and),
    WIDE(0x02, true, cmpeq),   WIDE(0x06, true, cmpne),  WIDE(0x0A, true, cmpgt),   WIDE(0x0E, true, cmpge),
    WIDE(0x12, true, cmplt),   WIDE(0x16, true, cmple),  WIDE(0x1A, false, cmpgtu), WIDE(0x1E, false, cmpgeu),
    WIDE(0x22, false, cmpltu), WIDE(0x26, false, cmpleu)};

#define DEFINE(name, expression) \
    static void execute_##name(Core *core, const Instruction *instruction) { \
        RD = (expression); \
    }

static uint32_t absolute(uint32_t value, unsigned width) {
    uint32_t result = 0;
    for (unsigned i = 0; i < 32u / width; i++) {
        const int32_t lane = lane_signed(value, width, i);
        result |= ((uint32_t)(lane < 0 ? -lane : lane) & ((1u << width) - 1u)) << width * i;
    }
    return result;
}
DEFINE(abs_16, absolute(RS1, 16))
DEFINE(abs_8, absolute(RS1, 8))
DEFINE(abs_4, absolute(RS1, 4))

/* The lane's number was checked by the decoder. */
DEFINE(extract_16, (uint32_t)lane_signed(RS1, 16, IMMEDIATE))
DEFINE(extract_8, (uint32_t)lane_signed(RS1, 8, IMMEDIATE))
DEFINE(extractu_16, (uint32_t)lane_unsigned(RS1, 16, IMMEDIATE))
DEFINE(extractu_8, (uint32_t)lane_unsigned(RS1, 8, IMMEDIATE))

static uint32_t insert_lane(uint32_t target, uint32_t value, unsigned width, uint32_t lane) {
    const uint32_t mask = ((1u << width) - 1u) << width * lane;
    return (target & ~mask) | (value << width * lane & mask);
}
DEFINE(insert_16, insert_lane(RD, RS1, 16, IMMEDIATE))
DEFINE(insert_8, insert_lane(RD, RS1, 8, IMMEDIATE))

/* Each lane of `selector` names a lane: of `first` if its next bit is 0, else of `second`. */
static uint32_t shuffle(uint32_t first, uint32_t second, uint32_t selector, unsigned width) {
    const uint32_t lanes = 32u / width;
    uint32_t result = 0;
    for (unsigned i = 0; i < lanes; i++) {
        const uint32_t choice = selector >> width * i;
        const uint32_t source = (choice & lanes) != 0u ? second : first;
        result |= (uint32_t)lane_unsigned(source, width, choice & (lanes - 1u)) << width * i;
    }
    return result;
}
DEFINE(shuffle_16, shuffle(RS1, RS1, RS2, 16))
DEFINE(shuffle_8, shuffle(RS1, RS1, RS2, 8))
DEFINE(shuffle2_16, shuffle(RD, RS1, RS2, 16))
DEFINE(shuffle2_8, shuffle(RD, RS1, RS2, 8))
DEFINE(shuffle_sci, shuffle(RS1, RS1, IMMEDIATE, instruction->lane_bits))

DEFINE(pack, RS1 << 16 | (RS2 & 0xFFFFu))
DEFINE(packhi, (RD & 0xFFFFu) | (RS1 & 0xFFu) << 24 | (RS2 & 0xFFu) << 16)
DEFINE(packlo, (RD & 0xFFFF0000u) | (RS1 & 0xFFu) << 8 | (RS2 & 0xFFu))

static Execute *decode_lane_move(Core *core, uint32_t word, Instruction *instruction) {
    static Execute *const extract[2][3] = {{execute_extract_16, execute_extractu_16, execute_insert_16},
                                           {execute_extract_8, execute_extractu_8, execute_insert_8}};
    const uint32_t kind = bits(word, 26, 6);
    const uint32_t narrow = bits(word, 12, 1);
    const uint32_t lane = bits(word, 20, 5) << 1 | bits(word, 25, 1);
    if (lane >= (narrow != 0u ? 4u : 2u)) {
        fault(core, "lane %u in the extract or insert 0x%08x: the register has no such lane", lane, word);
    }
    instruction->immediate = (int32_t)lane;
    return extract[narrow][kind == 0x3Cu >> 1 ? 0 : kind == 0x48u >> 1 ? 1 : 2];
}

/* pv.shuffle.sci: one bit (half words) or two (bytes) per lane; of bytes, the top lane's are in the opcode. */
static Execute *decode_shuffle_immediate(uint32_t word, Instruction *instruction) {
    const uint32_t immediate = bits(word, 20, 5) << 1 | bits(word, 25, 1);
    uint32_t top = 0;
    switch (bits(word, 26, 6) << 1) {
    case 0x60:
        break;
    case 0x74:
        top = 1;
        break;
    case 0x78:
        top = 2;
        break;
    case 0x7C:
        top = 3;
        break;
    default:
        return NULL;
    }
    if (bits(word, 12, 3) == 6u) {
        instruction->lane_bits = 16;
        instruction->immediate = (int32_t)((immediate & 1u) | (immediate & 2u) << 15);
        return top == 0u ? execute_shuffle_sci : NULL;
    }
    instruction->lane_bits = 8;
    instruction->immediate =
        (int32_t)((immediate & 3u) | (immediate & 0xCu) << 6 | (immediate & 0x30u) << 12 | top << 24);
    return execute_shuffle_sci;
}

static Execute *decode_move(Core *core, uint32_t word, Instruction *instruction) {
    const uint32_t funct3 = bits(word, 12, 3);
    const uint32_t kind = bits(word, 26, 6) << 1;
    if (funct3 >= 6u) {
        if (kind == 0x3Cu || kind == 0x48u || kind == 0x58u) {
            return decode_lane_move(core, word, instruction);
        }
        return decode_shuffle_immediate(word, instruction);
    }
    if (funct3 == 2u && kind == 0x38u && bits(word, 20, 6) == 0u && core->machine->options.isa >= ISA_XPULPNN) {
        return execute_abs_4;
    }
    if (funct3 > 1u || bits(word, 25, 1) != 0u) {
        return NULL;
    }
    switch (kind) {
    case 0x38:
        return bits(word, 20, 5) != 0u ? NULL : funct3 == 0u ? execute_abs_16 : execute_abs_8;
    case 0x60:
        return funct3 == 0u ? execute_shuffle_16 : execute_shuffle_8;
    case 0x64:
        return funct3 == 0u ? execute_shuffle2_16 : execute_shuffle2_8;
    case 0x68:
        return funct3 == 0u ? execute_pack : NULL;
    case 0x6C:
        return funct3 == 1u ? execute_packhi : NULL;
    case 0x70:
        return funct3 == 1u ? execute_packlo : NULL;
    default:
        return NULL;
    }
}

static bool is_wrong_in_gvsoc(uint32_t word) {
    const uint32_t code = bits(word, 25, 7);
    return bits(word, 12, 3) == 3u && code >= 0x11u && code <= 0x1Du && (code & 1u) != 0u;
}

bool decode_simd(Core *core, uint32_t word, Instruction *instruction) {
    static const unsigned width_bits[WIDTHS] = {16, 8, 4, 2};
    unsigned width;
    SimdForm form;
    if (bits(word, 0, 7) != OPCODE_SIMD) {
        return false;
    }
    if (is_wrong_in_gvsoc(word)) {
        return false;
    }
    if (simd_form(core, word, &width, &form)) {
        for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
            if (operations[i].operation == bits(word, 26, 6)) {
                instruction->immediate =
                    (int32_t)simd_immediate(word, operations[i].signed_immediate, width_bits[width]);
                instruction->execute = operations[i].execute[width][form];
                return instruction->execute != NULL;
            }
        }
    }
    instruction->execute = decode_move(core, word, instruction);
    return instruction->execute != NULL;
}
