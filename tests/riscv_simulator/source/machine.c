/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Reset, scheduling of the cores, hardware loops, end of the run. */
#include "machine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "memory.h"

enum { LONGEST_RANDOM_QUANTUM = 64 };

static void *allocate(size_t count, size_t bytes) {
    void *data = calloc(count, bytes);
    if (data == NULL) {
        fprintf(stderr, "riscv_simulator: no memory for %zu bytes\n", count * bytes);
        exit(STATUS_FAULT);
    }
    return data;
}

/* xorshift64*, so that a seed gives the same run on every host. */
uint32_t machine_random(Machine *machine) {
    uint64_t state = machine->random_state;
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    machine->random_state = state;
    return (uint32_t)((state * 0x2545F4914F6CDD1Du) >> 32);
}

/* Memories start with random contents: real ones are not cleared either. */
void machine_reset(Machine *machine, const Options *options) {
    *machine = (Machine){.options = *options, .code_first = UINT32_MAX};
    machine->random_state = options->seed * 2u + 0x9E3779B97F4A7C15u;
    machine->l1 = allocate(L1_BYTES, 1);
    machine->l2 = allocate(L2_BYTES, 1);
    machine->l3 = allocate(L3_BYTES, 1);
    machine->code = allocate(L2_BYTES / 2u, sizeof *machine->code);
    memory_poison(machine, machine->l1, L1_BYTES);
    memory_poison(machine, machine->l2, L2_BYTES);
    for (uint32_t i = 0; i < CORE_COUNT; i++) {
        Core *core = &machine->cores[i];
        core->machine = machine;
        core->index = i;
        core->hart = i == FABRIC ? 31u << 5 : i;
        for (int reg = 1; reg < SINK; reg++) {
            core->x[reg] = machine_random(machine);
        }
    }
    event_unit_reset();
    dma_reset();
    hyperram_reset();
}

_Noreturn void fault(const Core *core, const char *format, ...) {
    va_list arguments;
    fflush(stdout);
    fprintf(stderr, "riscv_simulator: error: ");
    if (core != NULL) {
        if (core->index == FABRIC) {
            fprintf(stderr, "fabric controller");
        } else {
            fprintf(stderr, "core %u", core->index);
        }
        fprintf(stderr, ", pc 0x%08x, after %llu instructions: ", core->pc,
                (unsigned long long)machine_instructions(core->machine));
    }
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n");
    exit(STATUS_FAULT);
}

/* One time base for all cores: finished rounds, and how far the core is in the present one. */
uint32_t core_cycles(const Core *core) {
    return (uint32_t)(core->machine->cycle + (core->instructions - core->slot_start));
}

uint64_t machine_instructions(const Machine *machine) {
    uint64_t sum = 0;
    for (int i = 0; i < CORE_COUNT; i++) {
        sum += machine->cores[i].instructions;
    }
    return sum;
}

void machine_end(Core *core, int status) {
    if (!dma_idle()) {
        fault(core, "the program ends while DMA copies are under way");
    }
    if (!hyperram_idle()) {
        fault(core, "the program ends while a HyperRAM transfer is under way");
    }
    core->machine->ended = true;
    core->machine->status = status;
    core->state = CORE_HALTED;
}

/* Loop 0 is the inner one: loop 1 only counts when loop 0 falls through. */
static void end_of_loop_body(Core *core, const Instruction *instruction) {
    for (int i = 0; i < 2; i++) {
        HardwareLoop *loop = &core->loops[i];
        if (loop->count == 0u || loop->end != core->pc) {
            continue;
        }
        if (instruction->jumps) {
            fault(core, "a branch or jump is the last instruction of hardware loop %d", i);
        }
        loop->count--;
        if (loop->count != 0u) {
            core->next_pc = loop->start;
            return;
        }
    }
}

static void run_core(Core *core, uint32_t instructions) {
    Machine *machine = core->machine;
    const uint64_t last = core->instructions + instructions;
    core->slot_start = core->instructions;
    while (core->instructions != last && core->state == CORE_RUNNING) {
        const uint32_t offset = core->pc - L2_BASE;
        if (offset >= L2_BYTES || (offset & 1u) != 0u) {
            fault(core, "instruction fetch outside of L2 or from an odd address");
        }
        Instruction *instruction = &machine->code[offset >> 1];
        if (instruction->execute == NULL) {
            decode(core, core->pc, instruction);
        }
        core->next_pc = core->pc + instruction->bytes;
        instruction->execute(core, instruction);
        core->instructions++;
        if (instruction->ends_loop) {
            end_of_loop_body(core, instruction);
        }
        core->pc = core->next_pc;
    }
}

static _Noreturn void report_deadlock(Machine *machine) {
    static const char *const states[] = {"off", "running", "waits for an event", "halted"};
    fflush(stdout);
    for (int i = 0; i < CORE_COUNT; i++) {
        const Core *core = &machine->cores[i];
        if (core->state != CORE_OFF) {
            fprintf(stderr, "  hart 0x%x: %s before pc 0x%08x, event mask 0x%08x, events 0x%08x\n", core->hart,
                    states[core->state], core->pc, core->event_mask, core->event_buffer);
        }
    }
    fault(NULL, "deadlock: no core of the cluster runs any more and the program has not ended");
}

/* The fabric controller polls for work and cannot wake the cluster's cores here. */
static bool cluster_sleeps(const Machine *machine) {
    bool waits = false;
    for (int i = 0; i < MAXIMUM_CLUSTER_CORES; i++) {
        if (machine->cores[i].state == CORE_RUNNING) {
            return false;
        }
        waits |= machine->cores[i].state == CORE_WAITS_FOR_EVENT;
    }
    return waits || machine->cores[FABRIC].state != CORE_RUNNING;
}

void machine_run(Machine *machine) {
    const uint64_t maximum = machine->options.maximum_instructions;
    while (!machine->ended) {
        uint32_t longest = 0;
        const uint32_t first = machine->options.quantum == 0u ? machine_random(machine) % CORE_COUNT : 0u;
        for (uint32_t i = 0; i < CORE_COUNT && !machine->ended; i++) {
            Core *core = &machine->cores[(first + i) % CORE_COUNT];
            if (core->state != CORE_RUNNING) {
                continue;
            }
            uint32_t quantum = machine->options.quantum;
            if (quantum == 0u) {
                quantum = 1u + machine_random(machine) % LONGEST_RANDOM_QUANTUM;
            }
            longest = quantum > longest ? quantum : longest;
            run_core(core, quantum);
        }
        machine->cycle += longest;
        if (!machine->ended && cluster_sleeps(machine)) {
            report_deadlock(machine);
        }
        if (maximum != 0u && machine->cycle > maximum) {
            fault(NULL, "the program did not end within %llu instructions of one core", (unsigned long long)maximum);
        }
    }
    fflush(stdout);
}
