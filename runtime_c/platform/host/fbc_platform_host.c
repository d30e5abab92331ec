/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* The platform on a host computer: copies happen when they are started; logical cores run one after the other, or, with
 * FBC_HOST_THREADS, at once in threads of their own, so that a thread sanitizer sees what they share. */
#if FBC_HOST_THREADS
#define _POSIX_C_SOURCE 200809L /* barriers */
#include <pthread.h>
#endif

#include "fbc_platform.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if !defined FBC_L1_ARENA_BYTES || !defined FBC_L2_ARENA_BYTES
#error "define FBC_L1_ARENA_BYTES and FBC_L2_ARENA_BYTES"
#endif

enum { MAXIMUM_FILES = 8 };

static _Alignas(64) uint8_t l1_arena[FBC_L1_ARENA_BYTES];
static _Alignas(64) uint8_t l2_arena[FBC_L2_ARENA_BYTES];
uint8_t *const fbc_l1_arena = l1_arena;
uint8_t *const fbc_l2_arena = l2_arena;

static _Thread_local uint32_t current_core;
static uint8_t *external_memory;
static uint32_t external_bytes;
static const fbc_l3_transfer *transfers;
static uint32_t transfers_allowed;
static FILE *files[MAXIMUM_FILES];

uint32_t fbc_core_id(void) {
    return current_core;
}

uint32_t fbc_core_count(void) {
    return FBC_CORES;
}

#if FBC_HOST_THREADS

/* The work that core 0 hands to the others; no kernel: the end. Two barriers, because to the thread sanitizer a core
 * that leaves one late has seen all that the others did until they came to it again. */
static struct {
    void (*kernel)(void *);
    void *args;
} job;
static pthread_barrier_t begin;
static pthread_barrier_t end;
static pthread_t threads[FBC_CORES];

static void *work(void *core) {
    current_core = *(const uint32_t *)core;
    for (;;) {
        pthread_barrier_wait(&begin);
        if (job.kernel == NULL) {
            return NULL;
        }
        job.kernel(job.args);
        pthread_barrier_wait(&end);
    }
}

static int start_cores(void) {
    static uint32_t cores[FBC_CORES];
    int status = pthread_barrier_init(&begin, NULL, FBC_CORES);
    status = status == 0 ? pthread_barrier_init(&end, NULL, FBC_CORES) : status;
    for (uint32_t core = 1; core < FBC_CORES && status == 0; core++) {
        cores[core] = core;
        status = pthread_create(&threads[core], NULL, work, &cores[core]);
    }
    return status;
}

static void stop_cores(void) {
    job.kernel = NULL;
    pthread_barrier_wait(&begin);
    for (uint32_t core = 1; core < FBC_CORES; core++) {
        pthread_join(threads[core], NULL);
    }
}

uint32_t fbc_parallel(void (*kernel)(void *), void *args) {
    job.kernel = kernel;
    job.args = args;
    pthread_barrier_wait(&begin);
    kernel(args);
    pthread_barrier_wait(&end);
    return 0u;
}

#else

static int start_cores(void) {
    return 0;
}

static void stop_cores(void) {}

uint32_t fbc_parallel(void (*kernel)(void *), void *args) {
    for (current_core = 0; current_core < FBC_CORES; current_core++) {
        kernel(args);
    }
    current_core = 0;
    return 0u;
}

#endif

void fbc_dma_in(const fbc_dma_copy *copy) {
    for (uint32_t line = 0; line < copy->lines; line++) {
        memcpy((uint8_t *)copy->l1 + line * copy->line_bytes, (const uint8_t *)copy->l2 + line * copy->l2_stride,
               copy->line_bytes);
    }
}

void fbc_dma_out(const fbc_dma_copy *copy) {
    for (uint32_t line = 0; line < copy->lines; line++) {
        memcpy((uint8_t *)copy->l2 + line * copy->l2_stride, (const uint8_t *)copy->l1 + line * copy->line_bytes,
               copy->line_bytes);
    }
}

uint32_t fbc_dma_group(void) {
    return 0u;
}

uint32_t fbc_dma_wait_group(uint32_t group) {
    (void)group;
    return 0u;
}

void fbc_dma_wait(void) {}

static void fail(const char *what, uint32_t bytes, uint32_t at) {
    fprintf(stderr, "L3 transfer of %u bytes at %u: %s\n", bytes, at, what);
    abort();
}

static void transfer(const fbc_l3_transfer *now) {
    if (now->l3 > external_bytes || now->bytes > external_bytes - now->l3) {
        fail("outside of external memory", now->bytes, now->l3);
    }
    if (now->l2 > sizeof l2_arena || now->bytes > sizeof l2_arena - now->l2) {
        fail("outside of the L2 arena", now->bytes, now->l3);
    }
    if (now->write) {
        memcpy(external_memory + now->l3, l2_arena + now->l2, now->bytes);
    } else {
        memcpy(l2_arena + now->l2, external_memory + now->l3, now->bytes);
    }
}

void fbc_l3_begin(const fbc_l3_transfer *list) {
    transfers = list;
    transfers_allowed = 0u;
}

void fbc_l3_allow(uint32_t count) {
    while (transfers_allowed < count) {
        transfer(&transfers[transfers_allowed++]);
    }
}

/* On the machine this would wait for ever. */
uint32_t fbc_l3_wait(uint32_t count) {
    if (count > transfers_allowed) {
        fail("waited for, but not allowed", transfers[count - 1u].bytes, transfers[count - 1u].l3);
    }
    return 0u;
}

uint32_t fbc_l3_happened(uint32_t count) {
    return count <= transfers_allowed;
}

int fbc_l3_load_file(const char *path, uint32_t bytes) {
    free(external_memory);
    external_bytes = 0;
    external_memory = malloc(bytes == 0u ? 1u : bytes);
    if (external_memory == NULL) {
        return -1;
    }
    const int file = fbc_file_open(path, 0);
    if (file < 0) {
        return -1;
    }
    const int status = fbc_file_read(file, external_memory, bytes);
    fbc_file_close(file);
    external_bytes = status == 0 ? bytes : 0u;
    return status;
}

int fbc_file_open(const char *path, int writable) {
    for (int file = 0; file < MAXIMUM_FILES; file++) {
        if (files[file] == NULL) {
            files[file] = fopen(path, writable ? "wb" : "rb");
            return files[file] == NULL ? -1 : file;
        }
    }
    return -1;
}

int fbc_file_read(int file, void *data, uint32_t bytes) {
    return fread(data, 1, bytes, files[file]) == bytes ? 0 : -1;
}

int fbc_file_write(int file, const void *data, uint32_t bytes) {
    return fwrite(data, 1, bytes, files[file]) == bytes ? 0 : -1;
}

void fbc_file_close(int file) {
    fclose(files[file]);
    files[file] = NULL;
}

uint32_t fbc_cycles(void) {
    return 0;
}

void fbc_print(const char *text) {
    fputs(text, stdout);
}

int main(void) {
    if (start_cores() != 0) {
        fputs("the threads of the cores cannot be started\n", stderr);
        abort();
    }
    const int status = fbc_main();
    stop_cores();
    free(external_memory);
    return status;
}
