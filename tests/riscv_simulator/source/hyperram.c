/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* External HyperRAM behind the uDMA, transaction 0. A transfer that is not immediate poisons its target and happens
 * when it is looked at after the time it takes on the machine. */
#include "memory.h"

enum {
    CLOCK_ENABLE = 0x000,
    RX_ADDRESS = 0x480,
    RX_BYTES = 0x484,
    RX_START = 0x488,
    TX_ADDRESS = 0x48C,
    TX_BYTES = 0x490,
    TX_START = 0x494,
    COMMAND = 0x498,
    EXTERNAL_ADDRESS = 0x49C,
    STATUS = 0x4A4,
    LATENCY = 0x884,
    LATENCY_ADD = 0x888,
    DEVICE = 0x8A0
};
enum { COMMAND_WRITE = 1, COMMAND_READ = 5, START = 0x14, REGISTERS = 0x1000 / 4 };
enum { STARTUP_CYCLES = 140 }; /* and one a byte */

static uint32_t registers[REGISTERS];
static bool busy;
static uint32_t start_cycle;
static bool writes;
static Core *starter;

void hyperram_reset(void) {
    memset(registers, 0, sizeof registers);
    busy = false;
}

bool hyperram_idle(void) {
    return !busy;
}

static uint8_t *l2_side(void) {
    const uint32_t address = registers[(writes ? TX_ADDRESS : RX_ADDRESS) / 4];
    const uint32_t bytes = registers[(writes ? TX_BYTES : RX_BYTES) / 4];
    if (address - L2_BASE >= L2_BYTES) {
        fault(starter, "HyperRAM transfer of %u bytes with 0x%08x as L2 address", bytes, address);
    }
    return writes ? memory_range(starter, address, bytes, "source of a HyperRAM transfer")
                  : memory_writable_range(starter, address, bytes, "target of a HyperRAM transfer");
}

static void finish(void) {
    uint8_t *external = starter->machine->l3 + registers[EXTERNAL_ADDRESS / 4];
    if (writes) {
        memcpy(external, l2_side(), registers[TX_BYTES / 4]);
    } else {
        memcpy(l2_side(), external, registers[RX_BYTES / 4]);
    }
    busy = false;
}

static void start(Core *core, bool is_write) {
    const uint32_t bytes = registers[(is_write ? TX_BYTES : RX_BYTES) / 4];
    const uint32_t external = registers[EXTERNAL_ADDRESS / 4];
    if (registers[CLOCK_ENABLE / 4] == 0u || registers[DEVICE / 4] != 0u ||
        registers[COMMAND / 4] != (is_write ? COMMAND_WRITE : COMMAND_READ)) {
        fault(core, "HyperRAM transfer with the clock off, another device than 0, or command %u for a %s",
              registers[COMMAND / 4], is_write ? "write" : "read");
    }
    if (bytes == 0u || bytes > L3_BYTES || external > L3_BYTES - bytes) {
        fault(core, "HyperRAM transfer of %u bytes at 0x%08x is not inside its %u bytes", bytes, external, L3_BYTES);
    }
    starter = core;
    writes = is_write;
    busy = true;
    start_cycle = core_cycles(core);
    uint8_t *memory = l2_side();
    const CopyMode copies = core->machine->options.copies;
    if (copies == COPY_IMMEDIATE) {
        finish();
    } else if (!is_write) {
        memory_poison(core->machine, memory, bytes);
    }
}

uint32_t hyperram_read(Core *core, uint32_t offset) {
    if (offset != STATUS) {
        fault(core, "load from the uDMA register 0x%03x, which this simulator does not have", offset);
    }
    const bool random = core->machine->options.copies == COPY_RANDOM;
    const uint32_t bytes = registers[(writes ? TX_BYTES : RX_BYTES) / 4];
    const bool later =
        random ? (machine_random(core->machine) & 1u) != 0u : core_cycles(core) - start_cycle < bytes + STARTUP_CYCLES;
    if (busy && !later) {
        finish();
    }
    return busy ? 1u : 0u;
}

void hyperram_write(Core *core, uint32_t offset, uint32_t value) {
    switch (offset) {
    case CLOCK_ENABLE:
    case DEVICE:
    case LATENCY:
    case LATENCY_ADD:
    case RX_ADDRESS:
    case RX_BYTES:
    case TX_ADDRESS:
    case TX_BYTES:
    case COMMAND:
    case EXTERNAL_ADDRESS:
    case RX_START:
    case TX_START:
        break;
    default:
        fault(core, "store to the uDMA register 0x%03x, which this simulator does not have", offset);
    }
    if (busy) {
        fault(core, "store to the HyperRAM registers while a transfer is under way");
    }
    registers[offset / 4u] = value;
    if (offset == RX_START || offset == TX_START) {
        if (value != START) {
            fault(core, "HyperRAM start value 0x%02x instead of 0x%02x", value, START);
        }
        start(core, offset == TX_START);
    }
}
