/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* What the decoders of the instruction groups share. Each gets a word with operands and size already filled in, sets
 * `execute` (and what else it needs) and returns true if the word is one of its instructions. */
#ifndef EXECUTE_H
#define EXECUTE_H

#include "memory.h"

enum {
    OPCODE_LOAD = 0x03,
    OPCODE_POST_LOAD = 0x0B,
    OPCODE_FENCE = 0x0F,
    OPCODE_IMMEDIATE = 0x13,
    OPCODE_AUIPC = 0x17,
    OPCODE_STORE = 0x23,
    OPCODE_POST_STORE = 0x2B,
    OPCODE_REGISTER = 0x33,
    OPCODE_LUI = 0x37,
    OPCODE_SIMD = 0x57,
    OPCODE_ROUND = 0x5B,
    OPCODE_BRANCH = 0x63,
    OPCODE_JALR = 0x67,
    OPCODE_JAL = 0x6F,
    OPCODE_SYSTEM = 0x73,
    OPCODE_MAC_LOAD = 0x77,
    OPCODE_LOOP = 0x7B
};

static inline uint32_t bits(uint32_t word, unsigned low, unsigned count) {
    return word >> low & ((1u << count) - 1u);
}

static inline int32_t sign_extend(uint32_t value, unsigned width) {
    return (int32_t)(value << (32u - width)) >> (32u - width);
}

static inline uint32_t arithmetic_shift(uint32_t value, uint32_t amount) {
    return (uint32_t)((int32_t)value >> (amount & 31u));
}

bool decode_base(Core *core, uint32_t word, Instruction *instruction);
bool decode_system(Core *core, uint32_t word, Instruction *instruction);
bool decode_event_load(Core *core, uint32_t word, Instruction *instruction);
bool decode_xpulp_scalar(Core *core, uint32_t word, Instruction *instruction);
bool decode_xpulp_memory(Core *core, uint32_t word, Instruction *instruction);
bool decode_hardware_loop(Core *core, uint32_t word, Instruction *instruction);
bool decode_simd(Core *core, uint32_t word, Instruction *instruction);
bool decode_dot_product(Core *core, uint32_t word, Instruction *instruction);
bool decode_mac_load(Core *core, uint32_t word, Instruction *instruction);

/* The 32-bit instruction that a 16-bit one stands for; 0 if there is none. */
uint32_t expand_compressed(uint32_t half);

/* Offsets of branches and jumps, and of stores, from the instruction word. */
int32_t branch_offset(uint32_t word);
int32_t store_offset(uint32_t word);

#endif
