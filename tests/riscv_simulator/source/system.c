/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Control and status registers, wfi, and ebreak as semihosting call. Traps do not exist here: their causes are faults.
 */
#include "execute.h"

enum {
    CSR_MSTATUS = 0x300,
    CSR_MTVEC = 0x305,
    CSR_MSCRATCH = 0x340,
    CSR_MEPC = 0x341,
    CSR_MCAUSE = 0x342,
    CSR_COUNTERS = 0x780, /* PULP performance counters: 0 cycles, 1 instructions, the others stay 0 */
    CSR_COUNTER_RESET = 0x79F,
    CSR_MCYCLE = 0xB00,
    CSR_MINSTRET = 0xB02,
    CSR_COUNTER_EVENTS = 0xCC0,
    CSR_COUNTER_MODE = 0xCC1,
    CSR_MHARTID = 0xF14
};
enum { SEMIHOSTING_BEFORE = 0x01F01013, SEMIHOSTING_AFTER = 0x40705013 };

static uint32_t read_counter(const Core *core, uint32_t counter) {
    if (counter == 0u) {
        return core_cycles(core) - (uint32_t)core->counter_cycles;
    }
    return counter == 1u ? (uint32_t)(core->instructions - core->counter_instructions) : 0u;
}

static uint32_t read_csr(const Core *core, uint32_t number) {
    if (number >= CSR_COUNTERS && number < CSR_COUNTER_RESET) {
        return read_counter(core, number - CSR_COUNTERS);
    }
    switch (number) {
    case CSR_MHARTID:
        return core->hart;
    case CSR_MCYCLE:
        return core_cycles(core);
    case CSR_MINSTRET:
        return (uint32_t)core->instructions;
    case CSR_MTVEC:
        return core->trap_vector;
    case CSR_MSCRATCH:
        return core->scratch;
    case CSR_COUNTER_EVENTS:
        return core->counter_mask;
    case CSR_COUNTER_MODE:
        return core->counter_mode;
    case CSR_COUNTER_RESET:
    case CSR_MSTATUS:
    case CSR_MEPC:
    case CSR_MCAUSE:
        return 0;
    default:
        fault(core, "unknown control and status register 0x%03x", number);
    }
}

static void write_csr(Core *core, uint32_t number, uint32_t value) {
    switch (number) {
    case CSR_MTVEC:
        core->trap_vector = value;
        break;
    case CSR_MSCRATCH:
        core->scratch = value;
        break;
    case CSR_COUNTER_EVENTS:
        core->counter_mask = value;
        break;
    case CSR_COUNTER_MODE:
        core->counter_mode = value;
        break;
    case CSR_COUNTER_RESET:
        core->counter_cycles = core_cycles(core);
        core->counter_instructions = core->instructions;
        break;
    default:
        fault(core, "write of 0x%08x to the control and status register 0x%03x", value, number);
    }
}

/* immediate: the register's number; rd and rs1 as in the word; rs2: funct3. */
static void execute_csr(Core *core, const Instruction *instruction) {
    const uint32_t number = (uint32_t)instruction->immediate;
    const uint32_t operation = instruction->rs2 & 3u;
    const uint32_t operand = (instruction->rs2 & 4u) != 0u ? instruction->rs1 : core->x[instruction->rs1];
    const uint32_t old = operation == 1u && instruction->rd == SINK ? 0u : read_csr(core, number);
    if (operation == 1u) {
        write_csr(core, number, operand);
    } else if (instruction->rs1 != 0u) {
        write_csr(core, number, operation == 2u ? old | operand : old & ~operand);
    }
    core->x[instruction->rd] = old;
}

/* No interrupt is ever raised, so this core sleeps for good. */
static void execute_wfi(Core *core, const Instruction *instruction) {
    (void)instruction;
    core->state = CORE_HALTED;
}

static uint32_t word_at(Core *core, uint32_t address) {
    uint32_t word;
    memcpy(&word, memory_range(core, address, sizeof word, "code around ebreak"), sizeof word);
    return word;
}

static void execute_ebreak(Core *core, const Instruction *instruction) {
    if (instruction->bytes != 4u || word_at(core, core->pc - 4u) != SEMIHOSTING_BEFORE ||
        word_at(core, core->pc + 4u) != SEMIHOSTING_AFTER) {
        fault(core, "ebreak outside of a semihosting call (slli x0, x0, 31; ebreak; srai x0, x0, 7; uncompressed)");
    }
    semihosting_call(core);
}

bool decode_system(Core *core, uint32_t word, Instruction *instruction) {
    (void)core;
    if (bits(word, 0, 7) != OPCODE_SYSTEM) {
        return false;
    }
    const uint32_t funct3 = bits(word, 12, 3);
    if (word == 0x10500073u) {
        instruction->execute = execute_wfi;
    } else if (word == 0x00100073u) {
        instruction->execute = execute_ebreak;
    } else if ((funct3 & 3u) != 0u) {
        instruction->immediate = (int32_t)bits(word, 20, 12);
        instruction->rs2 = (uint8_t)funct3;
        instruction->execute = execute_csr;
    }
    return instruction->execute != NULL;
}
