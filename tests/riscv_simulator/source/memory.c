/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Memory map outside of L1, and ranges that copies and files touch. Every other address is a fault. */
#include "memory.h"

static uint8_t *find(Machine *machine, uint32_t address, uint32_t bytes) {
    if (bytes <= L1_BYTES && address - L1_BASE <= L1_BYTES - bytes) {
        return machine->l1 + (address - L1_BASE);
    }
    if (bytes <= L2_BYTES && address - L2_BASE <= L2_BYTES - bytes) {
        return machine->l2 + (address - L2_BASE);
    }
    return NULL;
}

static bool holds_code(const Machine *machine, uint32_t address, uint32_t bytes) {
    return machine->code_first <= machine->code_last && address + bytes > machine->code_first &&
           address <= machine->code_last + 1u;
}

static bool is_peripheral(uint32_t address) {
    return address - 0x10200000u < 0x10000u || address - 0x1A100000u < 0x10000u;
}

uint32_t memory_load_outside(Core *core, uint32_t address, uint32_t bytes) {
    uint32_t value = 0;
    const uint8_t *data = find(core->machine, address, bytes);
    if (data != NULL) {
        memcpy(&value, data, bytes);
        return value;
    }
    if (!is_peripheral(address)) {
        fault(core, "load of %u bytes at 0x%08x, which is neither L1, L2 nor a peripheral", bytes, address);
    }
    if (bytes != 4u || (address & 3u) != 0u) {
        fault(core, "load of %u bytes from the peripheral register 0x%08x: only whole words", bytes, address);
    }
    return peripheral_read(core, address);
}

void memory_store_outside(Core *core, uint32_t address, uint32_t value, uint32_t bytes) {
    uint8_t *data = find(core->machine, address, bytes);
    if (data != NULL) {
        if (holds_code(core->machine, address, bytes)) {
            fault(core, "store of %u bytes at 0x%08x, into code that ran", bytes, address);
        }
        memcpy(data, &value, bytes);
        return;
    }
    if (!is_peripheral(address)) {
        fault(core, "store of %u bytes at 0x%08x, which is neither L1, L2 nor a peripheral", bytes, address);
    }
    if (bytes != 4u || (address & 3u) != 0u) {
        fault(core, "store of %u bytes to the peripheral register 0x%08x: only whole words", bytes, address);
    }
    peripheral_write(core, address, value);
}

uint8_t *memory_range(Core *core, uint32_t address, uint32_t bytes, const char *purpose) {
    uint8_t *data = find(core->machine, address, bytes);
    if (data == NULL) {
        fault(core, "%s: %u bytes at 0x%08x are not inside L1 or L2", purpose, bytes, address);
    }
    return data;
}

uint8_t *memory_writable_range(Core *core, uint32_t address, uint32_t bytes, const char *purpose) {
    uint8_t *data = memory_range(core, address, bytes, purpose);
    if (bytes > 0u && holds_code(core->machine, address, bytes)) {
        fault(core, "%s: %u bytes at 0x%08x would overwrite code that ran", purpose, bytes, address);
    }
    return data;
}

void memory_poison(Machine *machine, uint8_t *data, uint32_t bytes) {
    for (uint32_t i = 0; i < bytes; i++) {
        data[i] = (uint8_t)(machine_random(machine) >> 24);
    }
}
