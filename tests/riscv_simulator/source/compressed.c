/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* RV32C: every 16-bit instruction is the short form of a 32-bit one (RISC-V ISA manual, chapter "C"). */
#include "execute.h"

static uint32_t type_r(uint32_t opcode, uint32_t funct3, uint32_t funct7, uint32_t rd, uint32_t rs1, uint32_t rs2) {
    return funct7 << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode;
}

static uint32_t type_i(uint32_t opcode, uint32_t funct3, uint32_t rd, uint32_t rs1, int32_t immediate) {
    return ((uint32_t)immediate & 0xFFFu) << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode;
}

static uint32_t type_s(uint32_t funct3, uint32_t rs1, uint32_t rs2, uint32_t offset) {
    return bits(offset, 5, 7) << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | bits(offset, 0, 5) << 7 | OPCODE_STORE;
}

static uint32_t type_b(uint32_t funct3, uint32_t rs1, int32_t offset) {
    const uint32_t o = (uint32_t)offset;
    return bits(o, 12, 1) << 31 | bits(o, 5, 6) << 25 | rs1 << 15 | funct3 << 12 | bits(o, 1, 4) << 8 |
           bits(o, 11, 1) << 7 | OPCODE_BRANCH;
}

static uint32_t type_j(uint32_t rd, int32_t offset) {
    const uint32_t o = (uint32_t)offset;
    return bits(o, 20, 1) << 31 | bits(o, 1, 10) << 21 | bits(o, 11, 1) << 20 | bits(o, 12, 8) << 12 | rd << 7 |
           OPCODE_JAL;
}

static int32_t jump_offset(uint32_t h) {
    return sign_extend(bits(h, 12, 1) << 11 | bits(h, 11, 1) << 4 | bits(h, 9, 2) << 8 | bits(h, 8, 1) << 10 |
                           bits(h, 7, 1) << 6 | bits(h, 6, 1) << 7 | bits(h, 3, 3) << 1 | bits(h, 2, 1) << 5,
                       12);
}

static int32_t short_branch_offset(uint32_t h) {
    return sign_extend(
        bits(h, 12, 1) << 8 | bits(h, 10, 2) << 3 | bits(h, 5, 2) << 6 | bits(h, 3, 2) << 1 | bits(h, 2, 1) << 5, 9);
}

static uint32_t quadrant_0(uint32_t h) {
    const uint32_t low = 8u + bits(h, 2, 3);
    const uint32_t base = 8u + bits(h, 7, 3);
    const uint32_t word_offset = bits(h, 10, 3) << 3 | bits(h, 6, 1) << 2 | bits(h, 5, 1) << 6;
    const uint32_t stack_offset = bits(h, 11, 2) << 4 | bits(h, 7, 4) << 6 | bits(h, 6, 1) << 2 | bits(h, 5, 1) << 3;
    switch (bits(h, 13, 3)) {
    case 0: /* c.addi4spn */
        return stack_offset == 0u ? 0u : type_i(OPCODE_IMMEDIATE, 0, low, 2, (int32_t)stack_offset);
    case 2: /* c.lw */
        return type_i(OPCODE_LOAD, 2, low, base, (int32_t)word_offset);
    case 6: /* c.sw */
        return type_s(2, base, low, word_offset);
    default:
        return 0;
    }
}

static uint32_t arithmetic(uint32_t h) {
    static const uint32_t funct3_of[] = {0, 4, 6, 7}; /* sub xor or and */
    const uint32_t rd = 8u + bits(h, 7, 3);
    const int32_t immediate = sign_extend(bits(h, 12, 1) << 5 | bits(h, 2, 5), 6);
    const uint32_t kind = bits(h, 10, 2);
    if (kind == 2u) { /* c.andi */
        return type_i(OPCODE_IMMEDIATE, 7, rd, rd, immediate);
    }
    if (bits(h, 12, 1) != 0u) { /* shifts of 32 and more, RV64 */
        return 0;
    }
    if (kind < 2u) { /* c.srli, c.srai */
        return type_r(OPCODE_IMMEDIATE, 5, kind == 1u ? 0x20 : 0, rd, rd, bits(h, 2, 5));
    }
    const uint32_t operation = bits(h, 5, 2);
    return type_r(OPCODE_REGISTER, funct3_of[operation], operation == 0u ? 0x20 : 0, rd, rd, 8u + bits(h, 2, 3));
}

static uint32_t stack_or_lui(uint32_t h, uint32_t rd, int32_t immediate) {
    if (rd == 2u) { /* c.addi16sp */
        const int32_t step = sign_extend(bits(h, 12, 1) << 9 | bits(h, 6, 1) << 4 | bits(h, 5, 1) << 6 |
                                             bits(h, 3, 2) << 7 | bits(h, 2, 1) << 5,
                                         10);
        return step == 0 ? 0u : type_i(OPCODE_IMMEDIATE, 0, 2, 2, step);
    }
    return immediate == 0 ? 0u : (uint32_t)immediate << 12 | rd << 7 | OPCODE_LUI;
}

static uint32_t quadrant_1(uint32_t h) {
    const uint32_t rd = bits(h, 7, 5);
    const int32_t immediate = sign_extend(bits(h, 12, 1) << 5 | bits(h, 2, 5), 6);
    switch (bits(h, 13, 3)) {
    case 0: /* c.addi, c.nop */
        return type_i(OPCODE_IMMEDIATE, 0, rd, rd, immediate);
    case 1: /* c.jal */
        return type_j(1, jump_offset(h));
    case 2: /* c.li */
        return type_i(OPCODE_IMMEDIATE, 0, rd, 0, immediate);
    case 3:
        return stack_or_lui(h, rd, immediate);
    case 4:
        return arithmetic(h);
    case 5: /* c.j */
        return type_j(0, jump_offset(h));
    default: /* c.beqz, c.bnez */
        return type_b(bits(h, 13, 1), 8u + bits(h, 7, 3), short_branch_offset(h));
    }
}

static uint32_t jump_or_move(uint32_t h, uint32_t rd, uint32_t rs2) {
    const uint32_t second = bits(h, 12, 1);
    if (rs2 != 0u) { /* c.mv, c.add */
        return type_r(OPCODE_REGISTER, 0, 0, rd, second != 0u ? rd : 0u, rs2);
    }
    if (rd == 0u) { /* c.ebreak */
        return second != 0u ? 1u << 20 | OPCODE_SYSTEM : 0u;
    }
    return type_i(OPCODE_JALR, 0, second, rd, 0); /* c.jr, c.jalr */
}

static uint32_t quadrant_2(uint32_t h) {
    const uint32_t rd = bits(h, 7, 5);
    const uint32_t rs2 = bits(h, 2, 5);
    switch (bits(h, 13, 3)) {
    case 0: /* c.slli */
        return bits(h, 12, 1) != 0u ? 0u : type_r(OPCODE_IMMEDIATE, 1, 0, rd, rd, rs2);
    case 2: /* c.lwsp */
        return rd == 0u ? 0u
                        : type_i(OPCODE_LOAD, 2, rd, 2,
                                 (int32_t)(bits(h, 12, 1) << 5 | bits(h, 4, 3) << 2 | bits(h, 2, 2) << 6));
    case 4:
        return jump_or_move(h, rd, rs2);
    case 6: /* c.swsp */
        return type_s(2, 2, rs2, bits(h, 9, 4) << 2 | bits(h, 7, 2) << 6);
    default:
        return 0;
    }
}

uint32_t expand_compressed(uint32_t half) {
    switch (half & 3u) {
    case 0:
        return half == 0u ? 0u : quadrant_0(half);
    case 1:
        return quadrant_1(half);
    default:
        return quadrant_2(half);
    }
}
