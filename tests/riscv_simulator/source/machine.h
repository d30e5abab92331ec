/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* The simulated machine: a fabric controller, a cluster of up to eight cores, their memories and peripherals. */
#ifndef MACHINE_H
#define MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define L1_BASE 0x10000000u
#define L1_BYTES 0x10000u
#define L2_BASE 0x1C000000u
#define L2_BYTES 0x190000u /* 2 x 32 KiB private and 1.5 MiB shared, adjacent */
#define L3_BYTES 0x800000u

enum { MAXIMUM_CLUSTER_CORES = 8, FABRIC = MAXIMUM_CLUSTER_CORES, CORE_COUNT = MAXIMUM_CLUSTER_CORES + 1 };
enum { SINK = 32 };          /* where writes to x0 go */
enum { STATUS_FAULT = 125 }; /* exit status of the simulator itself when the program did something wrong */

typedef struct Core Core;
typedef struct Instruction Instruction;
typedef struct Machine Machine;

/* Executes one decoded instruction; core->next_pc is already the following one. */
typedef void Execute(Core *core, const Instruction *instruction);

struct Instruction {
    Execute *execute; /* NULL: not decoded yet */
    int32_t immediate;
    uint8_t rd; /* SINK for x0 */
    uint8_t rs1;
    uint8_t rs2;
    uint8_t bytes;     /* 2 or 4 */
    bool jumps;        /* may change next_pc */
    bool ends_loop;    /* some hardware loop ended here: look at the loop registers */
    uint8_t lane_bits; /* of SIMD instructions, for messages */
    uint8_t spare;
};

typedef struct {
    uint32_t start;
    uint32_t end; /* address of the last instruction of the body */
    uint32_t count;
} HardwareLoop;

typedef enum { CORE_OFF, CORE_RUNNING, CORE_WAITS_FOR_EVENT, CORE_HALTED } CoreState;

struct Core {
    uint32_t x[33];
    uint32_t pc;
    uint32_t next_pc;
    HardwareLoop loops[2];
    uint32_t special[6]; /* mac & load: two activation, then four weight registers */
    CoreState state;
    uint32_t index; /* 0..7 in the cluster, FABRIC */
    uint32_t hart;
    uint64_t instructions;
    uint64_t slot_start; /* instructions when the scheduler last came to this core */
    uint32_t event_mask;
    uint32_t event_buffer;
    uint8_t wait_register; /* rd of the p.elw that sleeps */
    bool wait_clears;
    uint32_t trap_vector;
    uint32_t scratch;
    uint32_t counter_mask;
    uint32_t counter_mode;
    uint64_t counter_cycles; /* value at the last reset of the performance counters */
    uint64_t counter_instructions;
    Machine *machine;
};

typedef enum { ISA_RV32IMC, ISA_XPULPV2, ISA_XPULPNN } Isa;
typedef enum { COPY_DELAYED, COPY_IMMEDIATE, COPY_RANDOM } CopyMode;

typedef struct {
    uint32_t cores;
    uint32_t quantum; /* instructions a core runs before the next one; 0: random, 1 to 64 */
    uint64_t seed;
    uint64_t maximum_instructions;
    CopyMode copies;
    Isa isa;
} Options;

struct Machine {
    Options options;
    uint8_t *l1;
    uint8_t *l2;
    uint8_t *l3;
    Instruction *code;   /* one entry per half word of L2 */
    uint32_t code_first; /* addresses of the lowest and highest decoded instruction */
    uint32_t code_last;
    Core cores[CORE_COUNT];
    uint64_t cycle; /* rounds of the scheduler, counted in instructions of one core */
    uint64_t random_state;
    bool ended;
    int status;
};

/* machine.c */
void machine_reset(Machine *machine, const Options *options);
void machine_run(Machine *machine);
void machine_end(Core *core, int status);
uint32_t machine_random(Machine *machine);
uint32_t core_cycles(const Core *core);
uint64_t machine_instructions(const Machine *machine);
_Noreturn void fault(const Core *core, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* elf.c: loads the segments and returns the entry point */
uint32_t elf_load(Machine *machine, const char *path);

/* decode.c */
void decode(Core *core, uint32_t address, Instruction *instruction);

/* peripherals.c */
uint32_t peripheral_read(Core *core, uint32_t address);
void peripheral_write(Core *core, uint32_t address, uint32_t value);

/* event_unit.c */
#define EVENT_UNIT_BASE 0x10204000u
#define EVENT_UNIT_BYTES 0x400u
void event_unit_reset(void);
uint32_t event_unit_read(Core *core, uint32_t offset);
void event_unit_write(Core *core, uint32_t offset, uint32_t value);
void event_unit_wait(Core *core, uint32_t offset, uint8_t rd); /* p.elw */
void event_unit_trigger(Machine *machine, uint32_t events, uint32_t core_mask);

/* dma.c */
enum { EVENT_DMA = 8 };
void dma_reset(void);
uint32_t dma_read(Core *core, uint32_t offset);
void dma_write(Core *core, uint32_t offset, uint32_t value);
void dma_complete_for_event(Core *core);
bool dma_idle(void);

/* hyperram.c */
void hyperram_reset(void);
uint32_t hyperram_read(Core *core, uint32_t offset);
void hyperram_write(Core *core, uint32_t offset, uint32_t value);
bool hyperram_idle(void);

/* semihosting.c */
void semihosting_call(Core *core);

#endif
