/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Loads and stores of a core: L1 at once, everything else with its checks out of line. */
#ifndef MEMORY_H
#define MEMORY_H

#include <string.h>

#include "machine.h"

uint32_t memory_load_outside(Core *core, uint32_t address, uint32_t bytes);
void memory_store_outside(Core *core, uint32_t address, uint32_t value, uint32_t bytes);

/* Bytes [address, address + bytes) of L1 or L2, or a fault that names `purpose`. */
uint8_t *memory_range(Core *core, uint32_t address, uint32_t bytes, const char *purpose);
/* As memory_range, and a fault if the range holds code that ran. */
uint8_t *memory_writable_range(Core *core, uint32_t address, uint32_t bytes, const char *purpose);
/* Fills what a copy under way will write, so that an early read or a late use cannot give the right data. */
void memory_poison(Machine *machine, uint8_t *data, uint32_t bytes);

static inline uint32_t load_word(Core *core, uint32_t address) {
    uint32_t value;
    if (address - L1_BASE <= L1_BYTES - 4u) {
        memcpy(&value, core->machine->l1 + (address - L1_BASE), sizeof value);
        return value;
    }
    return memory_load_outside(core, address, 4u);
}

static inline uint32_t load_half(Core *core, uint32_t address) {
    uint16_t value;
    if (address - L1_BASE <= L1_BYTES - 2u) {
        memcpy(&value, core->machine->l1 + (address - L1_BASE), sizeof value);
        return value;
    }
    return memory_load_outside(core, address, 2u);
}

static inline uint32_t load_byte(Core *core, uint32_t address) {
    if (address - L1_BASE < L1_BYTES) {
        return core->machine->l1[address - L1_BASE];
    }
    return memory_load_outside(core, address, 1u);
}

static inline void store_word(Core *core, uint32_t address, uint32_t value) {
    if (address - L1_BASE <= L1_BYTES - 4u) {
        memcpy(core->machine->l1 + (address - L1_BASE), &value, sizeof value);
        return;
    }
    memory_store_outside(core, address, value, 4u);
}

static inline void store_half(Core *core, uint32_t address, uint32_t value) {
    const uint16_t half = (uint16_t)value;
    if (address - L1_BASE <= L1_BYTES - 2u) {
        memcpy(core->machine->l1 + (address - L1_BASE), &half, sizeof half);
        return;
    }
    memory_store_outside(core, address, half, 2u);
}

static inline void store_byte(Core *core, uint32_t address, uint32_t value) {
    if (address - L1_BASE < L1_BYTES) {
        core->machine->l1[address - L1_BASE] = (uint8_t)value;
        return;
    }
    memory_store_outside(core, address, (uint8_t)value, 1u);
}

#endif
