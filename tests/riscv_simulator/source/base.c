/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* RV32I and RV32M. */
#include "execute.h"

#define RS1 core->x[instruction->rs1]
#define RS2 core->x[instruction->rs2]
#define IMMEDIATE ((uint32_t)instruction->immediate)
#define DEFINE(name, statement) \
    static void name(Core *core, const Instruction *instruction) { \
        statement; \
    }
#define RESULT(name, expression) DEFINE(name, core->x[instruction->rd] = (expression))

RESULT(execute_lui, IMMEDIATE)
RESULT(execute_auipc, core->pc + IMMEDIATE)

static void jump(Core *core, const Instruction *instruction, uint32_t target) {
    core->x[instruction->rd] = core->next_pc;
    core->next_pc = target;
}
DEFINE(execute_jal, jump(core, instruction, core->pc + IMMEDIATE))
DEFINE(execute_jalr, jump(core, instruction, (RS1 + IMMEDIATE) & ~1u))

#define BRANCH(name, condition) DEFINE(name, if (condition) { core->next_pc = core->pc + IMMEDIATE; })
BRANCH(execute_beq, RS1 == RS2)
BRANCH(execute_bne, RS1 != RS2)
BRANCH(execute_blt, (int32_t)RS1 < (int32_t)RS2)
BRANCH(execute_bge, (int32_t)RS1 >= (int32_t)RS2)
BRANCH(execute_bltu, RS1 < RS2)
BRANCH(execute_bgeu, RS1 >= RS2)
/* XpulpV2: the 5-bit immediate in the rs2 field is signed. */
BRANCH(execute_beqimm, (int32_t)RS1 == sign_extend(instruction->rs2, 5))
BRANCH(execute_bneimm, (int32_t)RS1 != sign_extend(instruction->rs2, 5))

RESULT(execute_lb, (uint32_t)sign_extend(load_byte(core, RS1 + IMMEDIATE), 8))
RESULT(execute_lh, (uint32_t)sign_extend(load_half(core, RS1 + IMMEDIATE), 16))
RESULT(execute_lw, load_word(core, RS1 + IMMEDIATE))
RESULT(execute_lbu, load_byte(core, RS1 + IMMEDIATE))
RESULT(execute_lhu, load_half(core, RS1 + IMMEDIATE))
DEFINE(execute_sb, store_byte(core, RS1 + IMMEDIATE, RS2))
DEFINE(execute_sh, store_half(core, RS1 + IMMEDIATE, RS2))
DEFINE(execute_sw, store_word(core, RS1 + IMMEDIATE, RS2))

RESULT(execute_addi, RS1 + IMMEDIATE)
RESULT(execute_slti, (int32_t)RS1 < instruction->immediate)
RESULT(execute_sltiu, RS1 < IMMEDIATE)
RESULT(execute_xori, RS1 ^ IMMEDIATE)
RESULT(execute_ori, RS1 | IMMEDIATE)
RESULT(execute_andi, RS1 &IMMEDIATE)
RESULT(execute_slli, RS1 << (IMMEDIATE & 31u))
RESULT(execute_srli, RS1 >> (IMMEDIATE & 31u))
RESULT(execute_srai, arithmetic_shift(RS1, IMMEDIATE))

RESULT(execute_add, RS1 + RS2)
RESULT(execute_sub, RS1 - RS2)
RESULT(execute_sll, RS1 << (RS2 & 31u))
RESULT(execute_slt, (int32_t)RS1 < (int32_t)RS2)
RESULT(execute_sltu, RS1 < RS2)
RESULT(execute_xor, RS1 ^ RS2)
RESULT(execute_srl, RS1 >> (RS2 & 31u))
RESULT(execute_sra, arithmetic_shift(RS1, RS2))
RESULT(execute_or, RS1 | RS2)
RESULT(execute_and, RS1 &RS2)

static uint32_t high_half(int64_t product) {
    return (uint32_t)((uint64_t)product >> 32);
}

static uint32_t divide(uint32_t dividend, uint32_t divisor) {
    if (divisor == 0u) {
        return UINT32_MAX;
    }
    if (dividend == 0x80000000u && divisor == UINT32_MAX) {
        return dividend;
    }
    return (uint32_t)((int32_t)dividend / (int32_t)divisor);
}

static uint32_t remainder_of(uint32_t dividend, uint32_t divisor) {
    if (divisor == 0u) {
        return dividend;
    }
    if (dividend == 0x80000000u && divisor == UINT32_MAX) {
        return 0;
    }
    return (uint32_t)((int32_t)dividend % (int32_t)divisor);
}

RESULT(execute_mul, RS1 *RS2)
RESULT(execute_mulh, high_half((int64_t)(int32_t)RS1 *(int32_t)RS2))
RESULT(execute_mulhsu, high_half((int64_t)(int32_t)RS1 *(int64_t)RS2))
RESULT(execute_mulhu, (uint32_t)((uint64_t)RS1 * RS2 >> 32))
RESULT(execute_div, divide(RS1, RS2))
RESULT(execute_divu, RS2 == 0u ? UINT32_MAX : RS1 / RS2)
RESULT(execute_rem, remainder_of(RS1, RS2))
RESULT(execute_remu, RS2 == 0u ? RS1 : RS1 % RS2)

static void execute_fence(Core *core, const Instruction *instruction) {
    (void)core;
    (void)instruction;
}

static Execute *decode_immediate(uint32_t word, Instruction *instruction) {
    static Execute *const plain[8] = {execute_addi, NULL, execute_slti, execute_sltiu,
                                      execute_xori, NULL, execute_ori,  execute_andi};
    const uint32_t funct3 = bits(word, 12, 3);
    const uint32_t funct7 = bits(word, 25, 7);
    instruction->immediate = sign_extend(bits(word, 20, 12), 12);
    if (funct3 == 1u) {
        return funct7 == 0u ? execute_slli : NULL;
    }
    if (funct3 == 5u) {
        return funct7 == 0u ? execute_srli : funct7 == 0x20u ? execute_srai : NULL;
    }
    return plain[funct3];
}

static Execute *decode_register(uint32_t word) {
    static Execute *const plain[8] = {execute_add, execute_sll, execute_slt, execute_sltu,
                                      execute_xor, execute_srl, execute_or,  execute_and};
    static Execute *const multiply[8] = {execute_mul, execute_mulh, execute_mulhsu, execute_mulhu,
                                         execute_div, execute_divu, execute_rem,    execute_remu};
    const uint32_t funct3 = bits(word, 12, 3);
    switch (bits(word, 25, 7)) {
    case 0x00:
        return plain[funct3];
    case 0x01:
        return multiply[funct3];
    case 0x20:
        return funct3 == 0u ? execute_sub : funct3 == 5u ? execute_sra : NULL;
    default:
        return NULL;
    }
}

static Execute *decode_jump(uint32_t word, Instruction *instruction) {
    static Execute *const branches[8] = {execute_beq, execute_bne, execute_beqimm, execute_bneimm,
                                         execute_blt, execute_bge, execute_bltu,   execute_bgeu};
    const uint32_t opcode = bits(word, 0, 7);
    instruction->jumps = true;
    if (opcode == OPCODE_BRANCH) {
        instruction->immediate = branch_offset(word);
        return branches[bits(word, 12, 3)];
    }
    if (opcode == OPCODE_JALR) {
        instruction->immediate = sign_extend(bits(word, 20, 12), 12);
        return bits(word, 12, 3) == 0u ? execute_jalr : NULL;
    }
    instruction->immediate = sign_extend(
        bits(word, 31, 1) << 20 | bits(word, 12, 8) << 12 | bits(word, 20, 1) << 11 | bits(word, 21, 10) << 1, 21);
    return execute_jal;
}

static Execute *decode_memory(uint32_t word, Instruction *instruction) {
    static Execute *const loads[8] = {execute_lb, execute_lh, execute_lw, NULL, execute_lbu, execute_lhu, NULL, NULL};
    static Execute *const stores[8] = {execute_sb, execute_sh, execute_sw};
    if (bits(word, 0, 7) == OPCODE_STORE) {
        instruction->immediate = store_offset(word);
        return stores[bits(word, 12, 3)];
    }
    instruction->immediate = sign_extend(bits(word, 20, 12), 12);
    return loads[bits(word, 12, 3)];
}

bool decode_base(Core *core, uint32_t word, Instruction *instruction) {
    const uint32_t funct3 = bits(word, 12, 3);
    switch (bits(word, 0, 7)) {
    case OPCODE_LUI:
    case OPCODE_AUIPC:
        instruction->immediate = (int32_t)(word & 0xFFFFF000u);
        instruction->execute = bits(word, 0, 7) == OPCODE_LUI ? execute_lui : execute_auipc;
        break;
    case OPCODE_JAL:
    case OPCODE_JALR:
    case OPCODE_BRANCH:
        instruction->execute = decode_jump(word, instruction);
        if (bits(word, 0, 7) == OPCODE_BRANCH && (funct3 & 6u) == 2u && core->machine->options.isa < ISA_XPULPV2) {
            instruction->execute = NULL;
        }
        break;
    case OPCODE_LOAD:
    case OPCODE_STORE:
        instruction->execute = decode_memory(word, instruction);
        break;
    case OPCODE_IMMEDIATE:
        instruction->execute = decode_immediate(word, instruction);
        break;
    case OPCODE_REGISTER:
        instruction->execute = decode_register(word);
        break;
    case OPCODE_FENCE:
        instruction->execute = funct3 <= 1u ? execute_fence : NULL;
        break;
    default:
        break;
    }
    return instruction->execute != NULL;
}
