/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* What generated code and kernels need from a platform: fork, DMA, L3, files, cycles. One implementation per folder of
 * platform/. Only cluster core 0 calls anything here but fbc_core_id and fbc_core_count. */
#ifndef FBC_PLATFORM_H
#define FBC_PLATFORM_H

#include <stddef.h>
#include <stdint.h>

#ifndef FBC_CORES
#define FBC_CORES 8 /* cluster cores, a build option */
#endif

/* Index of the calling (on the host: logical) core, and number of cores. Neither changes while a kernel runs, so that
 * one call of each does for it. */
#ifdef FBC_INLINE_CORES /* the platform knows a shorter way than a call */
#include "fbc_cores.h"
#else
__attribute__((const)) uint32_t fbc_core_id(void);
__attribute__((const)) uint32_t fbc_core_count(void);
#endif

/* Runs kernel(args) once on every core; returns when all are done, the cycles it took. */
uint32_t fbc_parallel(void (*kernel)(void *), void *args);

/* A copy between L2 (or any outer memory) and L1: `lines` lines of `line_bytes`, dense in L1, `l2_stride` apart in L2.
 */
typedef struct {
    void *l1;
    void *l2;
    uint32_t line_bytes;
    uint32_t lines;
    uint32_t l2_stride;
} fbc_dma_copy;

/* Starts a copy and returns at once. */
void fbc_dma_in(const fbc_dma_copy *copy);  /* L2 -> L1 */
void fbc_dma_out(const fbc_dma_copy *copy); /* L1 -> L2 */
/* Copies since the last call form a group, which fbc_dma_wait_group waits for, once; it returns the cycles it waited.
 * At most 8 groups may be open. */
uint32_t fbc_dma_group(void);
uint32_t fbc_dma_wait_group(uint32_t group);
/* Waits for all copies that were started before it. */
void fbc_dma_wait(void);

/* A transfer between external memory and the L2 arena. */
typedef struct {
    uint32_t l2; /* offset in fbc_l2_arena */
    uint32_t l3; /* byte address */
    uint32_t bytes;
    uint32_t write; /* 1: L2 -> L3, 0: L3 -> L2 */
} fbc_l3_transfer;

/* External memory works through a list of transfers in its order, beside the cluster, as far as it is allowed to.
 * fbc_l3_begin waits for what was allowed of the list before, then takes a new one (NULL: none), nothing of it allowed
 * yet. fbc_l3_allow: the first `count` may happen now; it never goes back. fbc_l3_wait waits until these have happened
 * and returns the cycles it waited. fbc_l3_happened: 1 if they have; a platform that cannot tell says 0. */
void fbc_l3_begin(const fbc_l3_transfer *list);
void fbc_l3_allow(uint32_t count);
uint32_t fbc_l3_wait(uint32_t count);
uint32_t fbc_l3_happened(uint32_t count);
/* Before the run: copies a file of the host into external memory at address 0. Returns 0, or -1 if it cannot be read.
 */
int fbc_l3_load_file(const char *path, uint32_t bytes);

/* Files of the machine that runs or simulates the program, in its working directory. Handles are >= 0; -1 is failure.
 */
int fbc_file_open(const char *path, int writable);
int fbc_file_read(int file, void *data, uint32_t bytes);        /* 0 if all bytes came */
int fbc_file_write(int file, const void *data, uint32_t bytes); /* 0 if all bytes went */
void fbc_file_close(int file);

/* Cluster cycles since start; 0 on the host. */
uint32_t fbc_cycles(void);
void fbc_print(const char *text);

/* L1 and L2 arenas of the program, allocated by the linker script or as host arrays. */
extern uint8_t *const fbc_l1_arena;
extern uint8_t *const fbc_l2_arena;

/* The program: runs on cluster core 0; its result is the exit status. */
int fbc_main(void);

#endif
