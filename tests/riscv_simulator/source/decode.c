/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Decoding of one instruction: fetch, operands, then the groups one after the other. */
#include "execute.h"

typedef struct {
    bool (*decode)(Core *core, uint32_t word, Instruction *instruction);
    Isa isa; /* the smallest one with this group */
} Group;

static const Group groups[] = {
    {decode_base, ISA_RV32IMC},         {decode_system, ISA_RV32IMC},       {decode_event_load, ISA_RV32IMC},
    {decode_xpulp_scalar, ISA_XPULPV2}, {decode_xpulp_memory, ISA_XPULPV2}, {decode_hardware_loop, ISA_XPULPV2},
    {decode_dot_product, ISA_XPULPV2},  {decode_simd, ISA_XPULPV2},         {decode_mac_load, ISA_XPULPNN}};

int32_t branch_offset(uint32_t word) {
    return sign_extend(
        bits(word, 31, 1) << 12 | bits(word, 7, 1) << 11 | bits(word, 25, 6) << 5 | bits(word, 8, 4) << 1, 13);
}

int32_t store_offset(uint32_t word) {
    return sign_extend(bits(word, 25, 7) << 5 | bits(word, 7, 5), 12);
}

static uint32_t fetch_half(Core *core, uint32_t address) {
    uint16_t half;
    memcpy(&half, memory_range(core, address, sizeof half, "instruction fetch"), sizeof half);
    return half;
}

static void remember_code(Machine *machine, uint32_t address, uint32_t bytes) {
    const uint32_t last = address + bytes - 2u;
    machine->code_first = address < machine->code_first ? address : machine->code_first;
    machine->code_last = last > machine->code_last ? last : machine->code_last;
}

void decode(Core *core, uint32_t address, Instruction *instruction) {
    uint32_t word = fetch_half(core, address);
    uint32_t bytes = 2;
    const uint32_t half = word;
    if ((word & 3u) == 3u) {
        word |= fetch_half(core, address + 2u) << 16;
        bytes = 4;
    } else {
        word = expand_compressed(half);
        if (word == 0u) {
            fault(core, "unknown compressed instruction 0x%04x: quadrant %u, funct3 %u", half, bits(half, 0, 2),
                  bits(half, 13, 3));
        }
    }
    Instruction result = {.ends_loop = instruction->ends_loop, .bytes = (uint8_t)bytes};
    const uint32_t rd = bits(word, 7, 5);
    result.rd = (uint8_t)(rd == 0u ? SINK : rd);
    result.rs1 = (uint8_t)bits(word, 15, 5);
    result.rs2 = (uint8_t)bits(word, 20, 5);
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        if (core->machine->options.isa >= groups[i].isa && groups[i].decode(core, word, &result)) {
            remember_code(core->machine, address, bytes);
            *instruction = result;
            return;
        }
    }
    fault(core, "unknown instruction 0x%08x: opcode 0x%02x, funct3 %u, funct7 0x%02x, rd x%u, rs1 x%u, rs2 x%u", word,
          bits(word, 0, 7), bits(word, 12, 3), bits(word, 25, 7), rd, bits(word, 15, 5), bits(word, 20, 5));
}
