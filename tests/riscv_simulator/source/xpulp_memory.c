/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* XpulpV2 loads and stores with post-increment or register offset, p.elw, and hardware loops. */
#include "execute.h"

#define RS1 core->x[instruction->rs1]
#define RS2 core->x[instruction->rs2]
#define INCREMENT_REGISTER core->x[instruction->rd == SINK ? 0 : instruction->rd]
#define IMMEDIATE ((uint32_t)instruction->immediate)
#define DEFINE(name, statements) \
    static void name(Core *core, const Instruction *instruction) { \
        statements \
    }

static uint32_t signed_byte(Core *core, uint32_t address) {
    return (uint32_t)sign_extend(load_byte(core, address), 8);
}
static uint32_t signed_half(Core *core, uint32_t address) {
    return (uint32_t)sign_extend(load_half(core, address), 16);
}

/* The increment is read before the load writes rd, which may be the register that holds it. */
#define LOAD(name, access) \
    DEFINE(execute_##name##_post, const uint32_t address = RS1; RS1 = address + IMMEDIATE; \
           core->x[instruction->rd] = access(core, address);) \
    DEFINE(execute_##name##_post_register, const uint32_t address = RS1; const uint32_t next = address + RS2; \
           core->x[instruction->rd] = access(core, address); RS1 = next;) \
    DEFINE(execute_##name##_indexed, core->x[instruction->rd] = access(core, RS1 + RS2);)
LOAD(lb, signed_byte)
LOAD(lh, signed_half)
LOAD(lw, load_word)
LOAD(lbu, load_byte)
LOAD(lhu, load_half)

#define STORE(name, access) \
    DEFINE(execute_##name##_post, access(core, RS1, RS2); RS1 += IMMEDIATE;) \
    DEFINE(execute_##name##_post_register, const uint32_t next = RS1 + INCREMENT_REGISTER; access(core, RS1, RS2); \
           RS1 = next;) \
    DEFINE(execute_##name##_indexed, access(core, RS1 + INCREMENT_REGISTER, RS2);)
STORE(sb, store_byte)
STORE(sh, store_half)
STORE(sw, store_word)

static void execute_elw(Core *core, const Instruction *instruction) {
    const uint32_t address = RS1 + IMMEDIATE;
    if (core->index == FABRIC || address - EVENT_UNIT_BASE >= EVENT_UNIT_BYTES) {
        fault(core, "p.elw from 0x%08x: only a cluster core, from its event unit", address);
    }
    event_unit_wait(core, address - EVENT_UNIT_BASE, instruction->rd);
}

static Execute *decode_load(Core *core, uint32_t word, const Instruction *instruction) {
    static Execute *const post[8] = {execute_lb_post,  execute_lh_post, execute_lw_post, NULL,
                                     execute_lbu_post, execute_lhu_post};
    static Execute *const post_register[8] = {execute_lb_post_register,  execute_lh_post_register,
                                              execute_lw_post_register,  NULL,
                                              execute_lbu_post_register, execute_lhu_post_register};
    static Execute *const indexed[8] = {execute_lb_indexed,
                                        execute_lh_indexed,
                                        execute_lw_indexed,
                                        NULL,
                                        execute_lbu_indexed,
                                        execute_lhu_indexed,
                                        NULL,
                                        NULL};
    const uint32_t funct3 = bits(word, 12, 3);
    const bool register_form = funct3 == 7u;
    if (register_form && bits(word, 25, 2) != 0u) {
        return NULL;
    }
    const uint32_t kind = bits(word, 27, 5) >> 1;
    if (bits(word, 0, 7) == OPCODE_LOAD) {
        return bits(word, 27, 1) == 0u && kind < 8u ? indexed[kind] : NULL;
    }
    if (instruction->rd == instruction->rs1) {
        fault(core, "post-increment load 0x%08x into its own address register: undefined", word);
    }
    if (!register_form) {
        return post[funct3];
    }
    return bits(word, 27, 1) == 0u && kind < 8u ? post_register[kind] : NULL;
}

static Execute *decode_store(uint32_t word) {
    static Execute *const post[8] = {execute_sb_post,          execute_sh_post,          execute_sw_post,         NULL,
                                     execute_sb_post_register, execute_sh_post_register, execute_sw_post_register};
    static Execute *const indexed[8] = {
        NULL, NULL, NULL, NULL, execute_sb_indexed, execute_sh_indexed, execute_sw_indexed};
    const uint32_t funct3 = bits(word, 12, 3);
    if (funct3 >= 4u && bits(word, 25, 7) != 0u) {
        return NULL;
    }
    return bits(word, 0, 7) == OPCODE_STORE ? indexed[funct3] : post[funct3];
}

bool decode_xpulp_memory(Core *core, uint32_t word, Instruction *instruction) {
    const uint32_t opcode = bits(word, 0, 7);
    const uint32_t funct3 = bits(word, 12, 3);
    if (opcode == OPCODE_POST_LOAD || (opcode == OPCODE_LOAD && funct3 == 7u)) {
        instruction->immediate = sign_extend(bits(word, 20, 12), 12);
        instruction->execute = decode_load(core, word, instruction);
    } else if (opcode == OPCODE_POST_STORE || opcode == OPCODE_STORE) {
        instruction->immediate = store_offset(word);
        instruction->execute = decode_store(word);
    }
    return instruction->execute != NULL;
}

/* p.elw is part of every cluster core: without it there is no barrier. */
bool decode_event_load(Core *core, uint32_t word, Instruction *instruction) {
    (void)core;
    if (bits(word, 0, 7) != OPCODE_LOAD || bits(word, 12, 3) != 6u) {
        return false;
    }
    instruction->immediate = sign_extend(bits(word, 20, 12), 12);
    instruction->execute = execute_elw;
    return true;
}

/* Hardware loops. In these instructions rd is the loop, rs2 and immediate as the decoder below sets them. */
static void set_end(Core *core, const Instruction *instruction, uint32_t offset) {
    const uint32_t end = core->pc + offset;
    if (end - L2_BASE >= L2_BYTES) {
        fault(core, "hardware loop %u ends outside of L2, at 0x%08x", instruction->rd, end);
    }
    core->loops[instruction->rd].end = end;
    core->machine->code[(end - L2_BASE) >> 1].ends_loop = true;
}

static void setup(Core *core, const Instruction *instruction, uint32_t count, uint32_t offset) {
    set_end(core, instruction, offset);
    core->loops[instruction->rd].start = core->next_pc;
    core->loops[instruction->rd].count = count;
}
DEFINE(execute_starti, core->loops[instruction->rd].start = core->pc + (IMMEDIATE << 1);)
DEFINE(execute_endi, set_end(core, instruction, IMMEDIATE << 1);)
DEFINE(execute_count, core->loops[instruction->rd].count = RS1;)
DEFINE(execute_counti, core->loops[instruction->rd].count = IMMEDIATE;)
DEFINE(execute_setup, setup(core, instruction, RS1, IMMEDIATE << 1);)
DEFINE(execute_setupi, setup(core, instruction, IMMEDIATE, (uint32_t)instruction->rs1 << 1);)

/* lp.setupi: the count is the 12-bit field and the length of the body, in half words, the rs1 field. */
bool decode_hardware_loop(Core *core, uint32_t word, Instruction *instruction) {
    static Execute *const loops[8] = {execute_starti, execute_endi,  execute_count,
                                      execute_counti, execute_setup, execute_setupi};
    (void)core;
    if (bits(word, 0, 7) != OPCODE_LOOP || bits(word, 8, 4) != 0u) {
        return false;
    }
    instruction->rd = (uint8_t)bits(word, 7, 1);
    instruction->immediate = (int32_t)bits(word, 20, 12);
    instruction->execute = loops[bits(word, 12, 3)];
    return instruction->execute != NULL;
}
