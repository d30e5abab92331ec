/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Event unit as each core sees it: event buffers and masks, software events, barriers. */
#include "machine.h"

#include <string.h>

enum { EVENT_BARRIER = 16, BARRIERS = 8 };
enum {
    MASK = 0x00,
    MASK_CLEAR = 0x04,
    MASK_SET = 0x08,
    BUFFER = 0x1C,
    BUFFER_MASKED = 0x20,
    BUFFER_CLEAR = 0x28,
    WAIT = 0x38,
    WAIT_CLEAR = 0x3C,
    SOFTWARE_EVENTS = 0x100,
    SOFTWARE_EVENTS_END = 0x120,
    BARRIER_AREA = 0x200,
    BARRIER_AREA_END = BARRIER_AREA + BARRIERS * 0x20
};
enum {
    TRIGGER_MASK = 0x00,
    STATUS = 0x04,
    TARGET_MASK = 0x0C,
    TRIGGER = 0x10,
    TRIGGER_WAIT = 0x18,
    TRIGGER_WAIT_CLEAR = 0x1C
};

static struct {
    uint32_t trigger_mask;
    uint32_t target_mask;
    uint32_t status;
} barriers[BARRIERS];

void event_unit_reset(void) {
    memset(barriers, 0, sizeof barriers);
}

/* What p.elw loads is random: hardware gives the events, GVSOC mostly 0, so no program may use it. */
static void wake_if_ready(Core *core) {
    if (core->state != CORE_WAITS_FOR_EVENT || (core->event_buffer & core->event_mask) == 0u) {
        return;
    }
    core->x[core->wait_register] = machine_random(core->machine);
    if (core->wait_clears) {
        core->event_buffer &= ~core->event_mask;
    }
    core->state = CORE_RUNNING;
}

/* An empty core mask means all cores. */
void event_unit_trigger(Machine *machine, uint32_t events, uint32_t core_mask) {
    for (uint32_t i = 0; i < MAXIMUM_CLUSTER_CORES; i++) {
        if (core_mask == 0u || (core_mask >> i & 1u) != 0u) {
            machine->cores[i].event_buffer |= events;
            wake_if_ready(&machine->cores[i]);
        }
    }
}

static void release_if_complete(Machine *machine, uint32_t barrier) {
    if (barriers[barrier].status == barriers[barrier].trigger_mask) {
        barriers[barrier].status = 0;
        event_unit_trigger(machine, 1u << EVENT_BARRIER, barriers[barrier].target_mask);
    }
}

static uint32_t read_barrier(const Core *core, uint32_t offset) {
    const uint32_t barrier = (offset - BARRIER_AREA) / 0x20u;
    switch (offset & 0x1Fu) {
    case TRIGGER_MASK:
        return barriers[barrier].trigger_mask;
    case STATUS:
        return barriers[barrier].status;
    case TARGET_MASK:
        return barriers[barrier].target_mask;
    default:
        fault(core, "load from the event unit, offset 0x%03x: unknown, or meant for p.elw", offset);
    }
}

/* A half-configured barrier (nobody triggers it) must not release itself, so only the status counts here. */
static void write_barrier(Core *core, uint32_t offset, uint32_t value) {
    const uint32_t barrier = (offset - BARRIER_AREA) / 0x20u;
    switch (offset & 0x1Fu) {
    case TRIGGER_MASK:
        barriers[barrier].trigger_mask = value;
        break;
    case TARGET_MASK:
        barriers[barrier].target_mask = value;
        break;
    case TRIGGER:
        barriers[barrier].status |= value;
        break;
    default:
        fault(core, "store to the event unit, offset 0x%03x: unknown register", offset);
    }
    if (barriers[barrier].status != 0u) {
        release_if_complete(core->machine, barrier);
    }
}

uint32_t event_unit_read(Core *core, uint32_t offset) {
    if (offset >= BARRIER_AREA && offset < BARRIER_AREA_END) {
        return read_barrier(core, offset);
    }
    switch (offset) {
    case MASK:
        return core->event_mask;
    case BUFFER:
        return core->event_buffer;
    case BUFFER_MASKED:
        return core->event_buffer & core->event_mask;
    default:
        fault(core, "load from the event unit, offset 0x%03x: unknown, or meant for p.elw", offset);
    }
}

void event_unit_write(Core *core, uint32_t offset, uint32_t value) {
    if (offset >= BARRIER_AREA && offset < BARRIER_AREA_END) {
        write_barrier(core, offset, value);
        return;
    }
    if (offset >= SOFTWARE_EVENTS && offset < SOFTWARE_EVENTS_END) {
        event_unit_trigger(core->machine, 1u << (offset - SOFTWARE_EVENTS) / 4u, value);
        return;
    }
    switch (offset) {
    case MASK:
        core->event_mask = value;
        break;
    case MASK_CLEAR:
        core->event_mask &= ~value;
        break;
    case MASK_SET:
        core->event_mask |= value;
        break;
    case BUFFER_CLEAR:
        core->event_buffer &= ~value;
        break;
    default:
        fault(core, "store to the event unit, offset 0x%03x: unknown register", offset);
    }
}

void event_unit_wait(Core *core, uint32_t offset, uint8_t rd) {
    const bool in_barrier = offset >= BARRIER_AREA && offset < BARRIER_AREA_END;
    const uint32_t kind = offset & 0x1Fu;
    if (in_barrier ? kind != TRIGGER_WAIT && kind != TRIGGER_WAIT_CLEAR : offset != WAIT && offset != WAIT_CLEAR) {
        fault(core, "p.elw from the event unit, offset 0x%03x: not a register to wait on", offset);
    }
    core->wait_register = rd;
    core->wait_clears = in_barrier ? kind == TRIGGER_WAIT_CLEAR : offset == WAIT_CLEAR;
    core->state = CORE_WAITS_FOR_EVENT;
    if ((core->event_mask >> EVENT_DMA & 1u) != 0u) {
        dma_complete_for_event(core);
    }
    if (in_barrier) {
        const uint32_t barrier = (offset - BARRIER_AREA) / 0x20u;
        barriers[barrier].status |= 1u << core->index;
        release_if_complete(core->machine, barrier);
    }
    wake_if_ready(core);
}
