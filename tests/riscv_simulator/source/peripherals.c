/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Peripheral address map, and the small peripherals: cluster control, instruction caches, SoC control. */
#include "machine.h"

enum {
    CLUSTER_CONTROL = 0x10200000,
    FETCH_ENABLE = 0x08,
    BOOT_ADDRESSES = 0x40,
    BOOT_ADDRESSES_END = 0x64, /* nine cores */
    CLUSTER_CACHE = 0x10201400,
    CACHE_BYTES = 0x20,
    DMA_BASE = 0x10204400,
    DMA_BYTES = 8,
    HYPERRAM_BASE = 0x1A102000,
    HYPERRAM_BYTES = 0x1000,
    SOC_STATUS = 0x1A1040A0,
    FABRIC_CACHE = 0x1A108800
};

static uint32_t boot_addresses[9];

static void start_cores(Core *core, uint32_t mask) {
    Machine *machine = core->machine;
    for (uint32_t i = 0; i < 32u; i++) {
        if ((mask >> i & 1u) == 0u) {
            continue;
        }
        if (i >= machine->options.cores) {
            fault(core, "the program starts core %u of a cluster of %u cores", i, machine->options.cores);
        }
        if (machine->cores[i].state == CORE_OFF) {
            machine->cores[i].pc = boot_addresses[i];
            machine->cores[i].state = CORE_RUNNING;
        }
    }
}

static bool is_cache_control(uint32_t address) {
    return address - CLUSTER_CACHE < CACHE_BYTES || address - FABRIC_CACHE < CACHE_BYTES;
}

uint32_t peripheral_read(Core *core, uint32_t address) {
    if (core->index != FABRIC && address - EVENT_UNIT_BASE < EVENT_UNIT_BYTES) {
        return event_unit_read(core, address - EVENT_UNIT_BASE);
    }
    if (core->index != FABRIC && address - DMA_BASE < DMA_BYTES) {
        return dma_read(core, address - DMA_BASE);
    }
    if (address - HYPERRAM_BASE < HYPERRAM_BYTES) {
        return hyperram_read(core, address - HYPERRAM_BASE);
    }
    fault(core, "load from the peripheral register 0x%08x, which this simulator does not have", address);
}

void peripheral_write(Core *core, uint32_t address, uint32_t value) {
    const uint32_t control = address - CLUSTER_CONTROL;
    if (core->index != FABRIC && address - EVENT_UNIT_BASE < EVENT_UNIT_BYTES) {
        event_unit_write(core, address - EVENT_UNIT_BASE, value);
    } else if (core->index != FABRIC && address - DMA_BASE < DMA_BYTES) {
        dma_write(core, address - DMA_BASE, value);
    } else if (address - HYPERRAM_BASE < HYPERRAM_BYTES) {
        hyperram_write(core, address - HYPERRAM_BASE, value);
    } else if (control >= BOOT_ADDRESSES && control < BOOT_ADDRESSES_END) {
        boot_addresses[(control - BOOT_ADDRESSES) / 4u] = value;
    } else if (control == FETCH_ENABLE) {
        start_cores(core, value);
    } else if (address == SOC_STATUS) {
        if (value >> 31 != 0u) {
            machine_end(core, (int)(value & 0x7FFFFFFFu));
        }
    } else if (!is_cache_control(address)) {
        fault(core, "store of 0x%08x to the peripheral register 0x%08x, which this simulator does not have", value,
              address);
    }
}
