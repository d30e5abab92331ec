/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Cluster DMA: 1-D copies between L1 and L2, or 2-D on the L2 side.
 *
 * A copy that is not immediate first fills its target with random bytes and moves the data only when the program looks
 * whether it is done (the second look of --copies delayed says yes) or sleeps for its event. So a missing wait, a
 * source that is overwritten too early and a target that is still in use all show in the result. */
#include "memory.h"

enum { COUNTERS = 16, QUEUE = 64, COMMAND = 0, STATUS = 4 };
enum { TO_L1 = 1u << 17, INCREMENT = 1u << 18, TWO_D = 1u << 19, RAISES_EVENT = 1u << 20, BROADCAST = 1u << 22 };
enum { LENGTH_MASK = 0x1FFFF, KNOWN_BITS = LENGTH_MASK | TO_L1 | INCREMENT | TWO_D | RAISES_EVENT | BROADCAST };

typedef struct {
    Core *core;
    uint32_t counter;
    uint32_t flags;
    uint32_t bytes;
    uint32_t l1;
    uint32_t l2;
    uint32_t line_bytes;
    uint32_t stride;
} Copy;

static Copy queue[QUEUE];
static uint32_t queued;
static bool allocated[COUNTERS];
static bool looked_at[COUNTERS];
static int current_counter[MAXIMUM_CLUSTER_CORES]; /* the last one that the core allocated; -1: none */
static uint32_t words[MAXIMUM_CLUSTER_CORES][5];
static uint32_t word_count[MAXIMUM_CLUSTER_CORES];

void dma_reset(void) {
    queued = 0;
    memset(allocated, 0, sizeof allocated);
    memset(looked_at, 0, sizeof looked_at);
    memset(word_count, 0, sizeof word_count);
    for (int i = 0; i < MAXIMUM_CLUSTER_CORES; i++) {
        current_counter[i] = -1;
    }
}

bool dma_idle(void) {
    return queued == 0u;
}

static bool is_busy(uint32_t counter) {
    for (uint32_t i = 0; i < queued; i++) {
        if (queue[i].counter == counter) {
            return true;
        }
    }
    return false;
}

typedef void LineAction(Machine *machine, uint8_t *target, const uint8_t *source, uint32_t bytes);

static void move_line(Machine *machine, uint8_t *target, const uint8_t *source, uint32_t bytes) {
    (void)machine;
    memmove(target, source, bytes);
}

static void poison_line(Machine *machine, uint8_t *target, const uint8_t *source, uint32_t bytes) {
    (void)source;
    memory_poison(machine, target, bytes);
}

static void for_each_line(const Copy *copy, LineAction *action) {
    uint32_t l1 = copy->l1;
    uint32_t l2 = copy->l2;
    for (uint32_t rest = copy->bytes; rest > 0u;) {
        const uint32_t bytes = rest < copy->line_bytes ? rest : copy->line_bytes;
        const bool to_l1 = (copy->flags & TO_L1) != 0u;
        uint8_t *target = memory_writable_range(copy->core, to_l1 ? l1 : l2, bytes, "target of a DMA copy");
        const uint8_t *source = memory_range(copy->core, to_l1 ? l2 : l1, bytes, "source of a DMA copy");
        if (l1 - L1_BASE >= L1_BYTES || l2 - L2_BASE >= L2_BYTES) {
            fault(copy->core, "DMA copy of %u bytes with 0x%08x as L1 and 0x%08x as L2 address", copy->bytes, l1, l2);
        }
        action(copy->core->machine, target, source, bytes);
        l1 += bytes;
        l2 += copy->stride;
        rest -= bytes;
    }
}

static void finish(const Copy *copy) {
    for_each_line(copy, move_line);
    if ((copy->flags & RAISES_EVENT) != 0u) {
        const uint32_t cores = (copy->flags & BROADCAST) != 0u ? 0u : 1u << copy->core->index;
        event_unit_trigger(copy->core->machine, 1u << EVENT_DMA, cores);
    }
}

/* Finishes, in the order of their start, the copies of a counter (or of a core, if counter is COUNTERS). */
static void finish_all(uint32_t counter, const Core *core) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < queued; i++) {
        const Copy copy = queue[i];
        if (counter < COUNTERS ? copy.counter == counter : copy.core == core) {
            finish(&copy);
        } else {
            queue[kept++] = copy;
        }
    }
    queued = kept;
}

void dma_complete_for_event(Core *core) {
    finish_all(COUNTERS, core);
}

static void start(Core *core, const Copy *copy) {
    Machine *machine = core->machine;
    if ((copy->flags & ~(uint32_t)KNOWN_BITS) != 0u || (copy->flags & INCREMENT) == 0u) {
        fault(core, "DMA command 0x%08x: without increment, with an interrupt or 2-D in L1", copy->flags);
    }
    if (copy->bytes == 0u || copy->line_bytes == 0u) {
        fault(core, "DMA command for no bytes");
    }
    const bool at_once = machine->options.copies == COPY_IMMEDIATE ||
                         (machine->options.copies == COPY_RANDOM && (machine_random(machine) & 1u) != 0u);
    if (at_once) {
        finish(copy);
        return;
    }
    if (queued == QUEUE) {
        fault(core, "more than %d DMA copies under way", QUEUE);
    }
    for_each_line(copy, poison_line);
    queue[queued++] = *copy;
    looked_at[copy->counter] = false;
}

static void write_command(Core *core, uint32_t value) {
    uint32_t *word = words[core->index];
    if (current_counter[core->index] < 0) {
        fault(core, "DMA command without an allocated counter");
    }
    word[word_count[core->index]++] = value;
    const bool two_d = (word[0] & TWO_D) != 0u;
    if (word_count[core->index] < (two_d ? 5u : 3u)) {
        return;
    }
    word_count[core->index] = 0;
    const uint32_t bytes = word[0] & LENGTH_MASK;
    const Copy copy = {core,
                       (uint32_t)current_counter[core->index],
                       word[0],
                       bytes,
                       word[1],
                       word[2],
                       two_d ? word[3] : bytes,
                       two_d ? word[4] : bytes};
    start(core, &copy);
}

static uint32_t read_status(Core *core) {
    Machine *machine = core->machine;
    uint32_t status = 0;
    for (uint32_t i = 0; i < COUNTERS; i++) {
        const bool later =
            machine->options.copies == COPY_RANDOM ? (machine_random(machine) & 1u) != 0u : !looked_at[i];
        if (is_busy(i) && !later) {
            finish_all(i, NULL);
        }
        looked_at[i] = true;
        status |= (is_busy(i) ? 1u << i : 0u) | (allocated[i] ? 0x10000u << i : 0u);
    }
    return status;
}

uint32_t dma_read(Core *core, uint32_t offset) {
    if (offset == STATUS) {
        return read_status(core);
    }
    for (uint32_t i = 0; i < COUNTERS; i++) {
        if (!allocated[i]) {
            allocated[i] = true;
            current_counter[core->index] = (int)i;
            return i;
        }
    }
    fault(core, "all %d DMA counters are allocated", COUNTERS);
}

void dma_write(Core *core, uint32_t offset, uint32_t value) {
    if (offset == COMMAND) {
        write_command(core, value);
        return;
    }
    for (uint32_t i = 0; i < COUNTERS; i++) {
        if ((value >> i & 1u) == 0u) {
            continue;
        }
        if (!allocated[i] || is_busy(i)) {
            fault(core, "DMA counter %u is freed while it is %s", i, allocated[i] ? "busy" : "not allocated");
        }
        allocated[i] = false;
        for (int other = 0; other < MAXIMUM_CLUSTER_CORES; other++) {
            current_counter[other] = current_counter[other] == (int)i ? -1 : current_counter[other];
        }
    }
}
