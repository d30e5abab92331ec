/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Bare-metal PULP-open: boot, fork and join, DMA, HyperRAM. The program runs on cluster core 0; the
 * fabric controller boots the cluster and then serves external memory. */
#include "fbc_platform.h"
#include "fbc_cores.h"
#include "fbc_pulp_open.h"

#if !defined FBC_L1_ARENA_BYTES || !defined FBC_L2_ARENA_BYTES
#error "define FBC_L1_ARENA_BYTES and FBC_L2_ARENA_BYTES"
#endif

#define TEXT_OF(tokens) #tokens
#define TEXT(macro) TEXT_OF(macro)
#define ALL_CORES ((1u << FBC_CORES) - 1u)
#define IN_L1 __attribute__((section(".l1_data")))

enum { CLUSTER_CORES = 9, TRAP_STATUS = 99 };

static uint8_t l1_arena[FBC_L1_ARENA_BYTES] __attribute__((section(".l1_arena"), aligned(64)));
static uint8_t l2_arena[FBC_L2_ARENA_BYTES] __attribute__((section(".l2_arena"), aligned(64)));
uint8_t *const fbc_l1_arena = l1_arena;
uint8_t *const fbc_l2_arena = l2_arena;

/* The work that core 0 hands to the others. */
static struct {
    void (*kernel)(void *);
    void *args;
} volatile job IN_L1;

/* Bit masks of DMA counters: the one of the copies that belong to no group yet (0 if none), and all that are in use. */
static uint32_t IN_L1 dma_open;
static uint32_t IN_L1 dma_in_use;

/* Where core 0 says which transfers with external memory may happen, and the fabric controller, which makes them, which
 * have happened. Counts never go back: those of a list start at `first`. */
static struct {
    const fbc_l3_transfer *list;
    uint32_t first;
    uint32_t allowed;
    uint32_t done;
} volatile external;

extern const uint8_t _cluster_start[];
void fbc_fabric_main(void);
void fbc_cluster_main(uint32_t core);
void fbc_trap(uint32_t cause, uint32_t address, uint32_t hart);

/* What kernels take from fbc_cores.h, for code that is compiled without FBC_INLINE_CORES. */
extern inline uint32_t fbc_core_id(void);
extern inline uint32_t fbc_core_count(void);
__asm__(".globl fbc_cores\n.equ fbc_cores, " TEXT(FBC_CORES));

uint32_t fbc_cycles(void) {
    uint32_t cycles;
    __asm__ volatile("csrr %0, mcycle" : "=r"(cycles)::"memory");
    return cycles;
}

/* p.elw: sleeps until all cores have come. */
static inline void barrier(void) {
    uint32_t ignored;
    __asm__ volatile(".insn i 0x03, 6, %0, %2(%1)"
                     : "=r"(ignored)
                     : "r"(FBC_EVENT_UNIT_BASE), "i"(FBC_BARRIER_WAIT_OFFSET)
                     : "memory");
}

uint32_t fbc_parallel(void (*kernel)(void *), void *args) {
    const uint32_t start = fbc_cycles();
#if FBC_CORES > 1
    job.kernel = kernel;
    job.args = args;
    barrier();
    kernel(args);
    barrier();
#else
    kernel(args);
#endif
    return fbc_cycles() - start;
}

/* All copies of a group share one counter. L1 is smaller than the 17 bits of a command's length. */
static void start_copy(const fbc_dma_copy *copy, uint32_t direction) {
    const uint32_t bytes = copy->line_bytes * copy->lines;
    const int dense = copy->lines == 1u || copy->l2_stride == copy->line_bytes;
    if (bytes == 0u) {
        return;
    }
    if (dma_open == 0u) {
        dma_open = 1u << FBC_DMA_COMMAND;
        dma_in_use |= dma_open;
    }
    FBC_DMA_COMMAND = bytes | direction | FBC_DMA_INCREMENT | (dense ? 0u : FBC_DMA_TWO_D);
    FBC_DMA_COMMAND = (uint32_t)(uintptr_t)copy->l1;
    FBC_DMA_COMMAND = (uint32_t)(uintptr_t)copy->l2;
    if (!dense) {
        FBC_DMA_COMMAND = copy->line_bytes;
        FBC_DMA_COMMAND = copy->l2_stride;
    }
}

void fbc_dma_in(const fbc_dma_copy *copy) {
    start_copy(copy, FBC_DMA_TO_L1);
}

void fbc_dma_out(const fbc_dma_copy *copy) {
    start_copy(copy, 0u);
}

uint32_t fbc_dma_group(void) {
    const uint32_t group = dma_open;
    dma_open = 0u;
    return group;
}

uint32_t fbc_dma_wait_group(uint32_t group) {
    const uint32_t start = fbc_cycles();
    if (group != 0u) {
        while ((FBC_DMA_STATUS & group) != 0u) {
        }
        FBC_DMA_STATUS = group;
        dma_in_use &= ~group;
    }
    return fbc_cycles() - start;
}

void fbc_dma_wait(void) {
    dma_open = 0u;
    fbc_dma_wait_group(dma_in_use);
}

void fbc_l3_begin(const fbc_l3_transfer *list) {
    while (external.done != external.allowed) {
    }
    external.list = list;
    external.first = external.allowed;
}

void fbc_l3_allow(uint32_t count) {
    __asm__ volatile("" ::: "memory");
    external.allowed = external.first + count;
}

uint32_t fbc_l3_wait(uint32_t count) {
    const uint32_t start = fbc_cycles();
    const uint32_t wanted = external.first + count;
    while ((int32_t)(external.done - wanted) < 0) {
    }
    return fbc_cycles() - start;
}

uint32_t fbc_l3_happened(uint32_t count) {
    const uint32_t happened = (int32_t)(external.done - (external.first + count)) >= 0;
    __asm__ volatile("" ::: "memory");
    return happened;
}

/* Some cycles between two looks, which leave the memory to the cluster. */
static void pause(void) {
    __asm__ volatile("nop\nnop\nnop\nnop\nnop\nnop\nnop\nnop");
}

static void make_transfer(const fbc_l3_transfer *transfer) {
    const uint32_t l2 = (uint32_t)(uintptr_t)(l2_arena + transfer->l2);
    if (transfer->write) {
        FBC_HYPER_WRITE_ADDRESS = l2;
        FBC_HYPER_WRITE_BYTES = transfer->bytes;
        FBC_HYPER_COMMAND = FBC_HYPER_COMMAND_WRITE;
        FBC_HYPER_EXTERNAL_ADDRESS = transfer->l3;
        FBC_HYPER_WRITE_START = FBC_HYPER_START;
    } else {
        FBC_HYPER_READ_ADDRESS = l2;
        FBC_HYPER_READ_BYTES = transfer->bytes;
        FBC_HYPER_COMMAND = FBC_HYPER_COMMAND_READ;
        FBC_HYPER_EXTERNAL_ADDRESS = transfer->l3;
        FBC_HYPER_READ_START = FBC_HYPER_START;
    }
    while ((FBC_HYPER_STATUS & 1u) != 0u) {
        pause();
    }
}

/* The fabric controller after boot: one transfer after the other, so that external memory never waits for core 0. */
static void serve_external_memory(void) {
    for (uint32_t done = 0u;; external.done = ++done) {
        while (external.allowed == done) {
            pause();
        }
        make_transfer(&external.list[done - external.first]);
    }
}

/* The L2 arena is free before the run, so it is the buffer. */
int fbc_l3_load_file(const char *path, uint32_t bytes) {
    static fbc_l3_transfer part = {.write = 1u};
    const int file = fbc_file_open(path, 0);
    if (file < 0) {
        return -1;
    }
    int status = 0;
    for (uint32_t done = 0; done < bytes && status == 0; done += part.bytes) {
        const uint32_t rest = bytes - done;
        part.bytes = rest < sizeof l2_arena ? rest : sizeof l2_arena;
        part.l3 = done;
        status = fbc_file_read(file, l2_arena, part.bytes);
        if (status == 0) {
            fbc_l3_begin(&part);
            fbc_l3_allow(1u);
            fbc_l3_wait(1u);
        }
    }
    fbc_file_close(file);
    return status;
}

static void end_simulation(uint32_t status) {
    FBC_SOC_STATUS = 0x80000000u | (status & 0xFFu);
    for (;;) {
    }
}

static char *append_hexadecimal(char *text, uint32_t value) {
    for (int shift = 28; shift >= 0; shift -= 4) {
        *text++ = "0123456789abcdef"[value >> shift & 15u];
    }
    return text;
}

void fbc_trap(uint32_t cause, uint32_t address, uint32_t hart) {
    static char message[] = "trap: cause ........ address ........ hart ........\n";
    append_hexadecimal(message + 12, cause);
    append_hexadecimal(message + 29, address);
    append_hexadecimal(message + 43, hart);
    fbc_print(message);
    end_simulation(TRAP_STATUS);
}

/* Caches are off at reset: everything is five times slower without them. */
void fbc_fabric_main(void) {
    FBC_FABRIC_ICACHE_ENABLE = 1u;
    FBC_CLUSTER_ICACHE_ENABLE = 1u;
    FBC_UDMA_CLOCK_ENABLE = 0xFFFFFFFFu;
    FBC_HYPER_DEVICE = 0u;
    for (uint32_t core = 0; core < CLUSTER_CORES; core++) {
        FBC_CLUSTER_BOOT_ADDRESS(core) = (uint32_t)(uintptr_t)_cluster_start;
    }
    FBC_CLUSTER_FETCH_ENABLE = ALL_CORES;
    serve_external_memory();
}

void fbc_cluster_main(uint32_t core) {
    FBC_EVENT_MASK = FBC_EVENT_BARRIER;
    if (core == 0u) {
        dma_open = 0u;
        dma_in_use = 0u;
        FBC_BARRIER_TRIGGER_MASK = ALL_CORES;
        FBC_BARRIER_TARGET_MASK = ALL_CORES;
    } else {
        while (FBC_BARRIER_TARGET_MASK != ALL_CORES) {
        }
    }
    barrier();
    if (core == 0u) {
        end_simulation((uint32_t)fbc_main());
    }
    for (;;) {
        barrier();
        job.kernel(job.args);
        barrier();
    }
}
