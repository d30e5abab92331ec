/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* The platform over PMSIS calls, for SDKs of PULP chips (pulp-sdk, gap_sdk).
 *
 * fbc_main runs on cluster core 0. Files, and loading external memory, are the fabric controller's: the cluster leaves
 * a request and the controller, which waits in its main function for requests, serves it with blocking calls. Transfers
 * between L2 and L1 and those with external memory are started by the cluster itself.
 *
 * Files that are written lie on the host (HostFS: a simulator's or the debugger's). Files that are read lie there too,
 * or, with FBC_PMSIS_FLASH, in the ReadFS partition of the HyperFlash.
 */
#include "fbc_platform.h"

#include <stdio.h>

#include "pmsis.h"
#include "bsp/fs.h"
#include "bsp/fs/hostfs.h"
#include "bsp/ram.h"
#include "bsp/ram/hyperram.h"

#ifdef FBC_PMSIS_FLASH
#include "bsp/flash.h"
#include "bsp/flash/hyperflash.h"
#include "bsp/fs/readfs.h"
#endif

#if !defined FBC_L1_ARENA_BYTES || !defined FBC_L2_ARENA_BYTES
#error "define FBC_L1_ARENA_BYTES and FBC_L2_ARENA_BYTES"
#endif

#ifndef FBC_HOST_FOLDER
#define FBC_HOST_FOLDER "" /* put in front of the names of files on the host */
#endif

enum {
    MAIN_STACK_BYTES = 4096,   /* cluster core 0: the layer functions */
    WORKER_STACK_BYTES = 1024, /* the other cores: kernels only */
    MAXIMUM_FILES = 8,
    MAXIMUM_NAME = 128,
    MAXIMUM_COPIES = 8,    /* at once: half of the counters that the DMA has */
    COPY_BYTES = 0xFFF0,   /* a command's size, and on some chips its stride, has 16 bits */
    MAXIMUM_TRANSFERS = 4, /* with external memory at once */
    STATUS_NO_DEVICE = 98, /* cluster, external memory or a file system does not open */
};

PI_L1 static uint8_t l1_arena[FBC_L1_ARENA_BYTES] __attribute__((aligned(64)));
PI_L2 static uint8_t l2_arena[FBC_L2_ARENA_BYTES] __attribute__((aligned(64)));
uint8_t *const fbc_l1_arena = l1_arena;
uint8_t *const fbc_l2_arena = l2_arena;

static struct pi_device cluster;
static struct pi_device ram;
static struct pi_device host_files;
#ifdef FBC_PMSIS_FLASH
static struct pi_device flash;
static struct pi_device flash_files;
#endif

/* ---- Cores and cycles ---- */

uint32_t fbc_core_id(void) {
    return (uint32_t)pi_core_id();
}

uint32_t fbc_core_count(void) {
    return FBC_CORES;
}

uint32_t fbc_cycles(void) {
    return (uint32_t)pi_perf_read(PI_PERF_CYCLES);
}

uint32_t fbc_parallel(void (*kernel)(void *), void *args) {
    const uint32_t start = fbc_cycles();
#if FBC_CORES > 1
    pi_cl_team_fork(FBC_CORES, kernel, args);
#else
    kernel(args);
#endif
    return fbc_cycles() - start;
}

/* ---- Transfers between L2 and L1 ---- */

static PI_L1 pi_cl_dma_copy_t copies[MAXIMUM_COPIES];
static PI_L1 uint32_t copies_group[MAXIMUM_COPIES]; /* 0: not under way */
static PI_L1 uint32_t present_group;                /* of the next copies */

static void wait_for(uint32_t copy) {
    if (copies_group[copy] != 0u) {
        pi_cl_dma_wait(&copies[copy]);
        copies_group[copy] = 0u;
    }
}

void fbc_dma_wait(void) {
    for (uint32_t i = 0u; i < MAXIMUM_COPIES; i++) {
        wait_for(i);
    }
}

uint32_t fbc_dma_group(void) {
    const uint32_t group = present_group++;
    present_group += present_group == 0u;
    return group;
}

uint32_t fbc_dma_wait_group(uint32_t group) {
    const uint32_t start = fbc_cycles();
    for (uint32_t i = 0u; i < MAXIMUM_COPIES; i++) {
        if (copies_group[i] == group) {
            wait_for(i);
        }
    }
    return fbc_cycles() - start;
}

static pi_cl_dma_copy_t *free_copy(void) {
    for (uint32_t i = 0u;; i++) {
        if (i == MAXIMUM_COPIES) {
            fbc_dma_wait();
            i = 0u;
        }
        if (copies_group[i] == 0u) {
            copies_group[i] = present_group;
            return &copies[i];
        }
    }
}

/* One command: `bytes` bytes in lines of `length`; one line if `length` is 0. */
static void start_command(uint8_t *l1, uint8_t *l2, uint32_t bytes, uint32_t length, uint32_t stride,
                          pi_cl_dma_dir_e direction) {
    pi_cl_dma_copy_t *const copy = free_copy();
    copy->ext = (uint32_t)(uintptr_t)l2;
    copy->loc = (uint32_t)(uintptr_t)l1;
    copy->size = (uint16_t)bytes;
    copy->dir = direction;
    copy->merge = 0;
    copy->stride = stride;
    copy->length = length;
    if (length == 0u) {
        pi_cl_dma_memcpy(copy);
    } else {
        pi_cl_dma_memcpy_2d(copy);
    }
}

static void start_dense(uint8_t *l1, uint8_t *l2, uint32_t bytes, pi_cl_dma_dir_e direction) {
    for (uint32_t done = 0u; done < bytes; done += COPY_BYTES) {
        const uint32_t rest = bytes - done;
        start_command(l1 + done, l2 + done, rest < COPY_BYTES ? rest : COPY_BYTES, 0u, 0u, direction);
    }
}

static void start_copy(const fbc_dma_copy *copy, pi_cl_dma_dir_e direction) {
    uint8_t *l1 = copy->l1, *l2 = copy->l2;
    if (copy->lines == 1u || copy->l2_stride == copy->line_bytes) {
        start_dense(l1, l2, copy->line_bytes * copy->lines, direction);
        return;
    }
    if (copy->line_bytes == 0u) {
        return;
    }
    const uint32_t most = copy->l2_stride <= COPY_BYTES ? COPY_BYTES / copy->line_bytes : 0u; /* lines of a command */
    for (uint32_t line = 0u; line < copy->lines;) {
        const uint32_t rest = copy->lines - line;
        const uint32_t lines = most <= 1u ? 1u : rest < most ? rest : most;
        if (lines == 1u) {
            start_dense(l1, l2, copy->line_bytes, direction);
        } else {
            start_command(l1, l2, lines * copy->line_bytes, copy->line_bytes, copy->l2_stride, direction);
        }
        l1 += lines * copy->line_bytes;
        l2 += lines * copy->l2_stride;
        line += lines;
    }
}

void fbc_dma_in(const fbc_dma_copy *copy) {
    start_copy(copy, PI_CL_DMA_DIR_EXT2LOC);
}

void fbc_dma_out(const fbc_dma_copy *copy) {
    start_copy(copy, PI_CL_DMA_DIR_LOC2EXT);
}

/* ---- Requests of the cluster to the fabric controller ---- */

typedef enum { OPEN_FILE, READ_FILE, WRITE_FILE, CLOSE_FILE, LOAD_EXTERNAL_MEMORY, PRINT, END } request_kind;

/* One at a time: the cluster writes it, sends `arrived` and waits for `served`. */
static PI_L2 volatile struct {
    uint32_t served;
    request_kind kind;
    const char *text; /* name of a file, or what is to be printed */
    int file;
    int writable;
    void *data;
    uint32_t bytes;
    int result;
} request;
static PI_L2 pi_task_t arrived;

static int ask(request_kind kind) {
    request.kind = kind;
    request.served = 0u;
    pi_cl_send_task_to_fc(&arrived);
    while (request.served == 0u) {
    }
    return request.result;
}

int fbc_file_open(const char *path, int writable) {
    request.text = path;
    request.writable = writable;
    return ask(OPEN_FILE);
}

int fbc_file_read(int file, void *data, uint32_t bytes) {
    request.file = file;
    request.data = data;
    request.bytes = bytes;
    return ask(READ_FILE);
}

int fbc_file_write(int file, const void *data, uint32_t bytes) {
    union {
        const void *constant;
        void *data; /* what pi_fs_write declares, though it only reads */
    } source = {.constant = data};
    request.file = file;
    request.data = source.data;
    request.bytes = bytes;
    return ask(WRITE_FILE);
}

void fbc_file_close(int file) {
    request.file = file;
    (void)ask(CLOSE_FILE);
}

int fbc_l3_load_file(const char *path, uint32_t bytes) {
    request.text = path;
    request.bytes = bytes;
    return ask(LOAD_EXTERNAL_MEMORY);
}

void fbc_print(const char *text) {
    request.text = text;
    (void)ask(PRINT);
}

/* ---- External memory: transfers are started in the order of the list, some at once ---- */

static PI_L2 uint32_t external_base; /* where the loaded file begins */
static PI_L1 const fbc_l3_transfer *transfers;
static PI_L1 uint32_t transfers_allowed;
static PI_L1 uint32_t transfers_started;
static PI_L1 uint32_t transfers_done;
static PI_L1 pi_cl_ram_req_t requests[MAXIMUM_TRANSFERS]; /* of transfer n: n % MAXIMUM_TRANSFERS */

static void start_transfers(void) {
    for (; transfers_started < transfers_allowed && transfers_started - transfers_done < MAXIMUM_TRANSFERS;
         transfers_started++) {
        const fbc_l3_transfer *const now = &transfers[transfers_started];
        pi_cl_ram_req_t *const started = &requests[transfers_started % MAXIMUM_TRANSFERS];
        if (now->write) {
            pi_cl_ram_write(&ram, external_base + now->l3, l2_arena + now->l2, now->bytes, started);
        } else {
            pi_cl_ram_read(&ram, external_base + now->l3, l2_arena + now->l2, now->bytes, started);
        }
    }
}

static void finish_transfers(uint32_t count) {
    while (transfers_done < count) {
        start_transfers();
        pi_cl_ram_req_t *const oldest = &requests[transfers_done % MAXIMUM_TRANSFERS];
        if (transfers[transfers_done].write) {
            pi_cl_ram_write_wait(oldest);
        } else {
            pi_cl_ram_read_wait(oldest);
        }
        transfers_done++;
    }
    start_transfers();
}

void fbc_l3_begin(const fbc_l3_transfer *list) {
    finish_transfers(transfers_allowed);
    transfers = list;
    transfers_allowed = 0u;
    transfers_started = 0u;
    transfers_done = 0u;
}

void fbc_l3_allow(uint32_t count) {
    transfers_allowed = count;
    start_transfers();
}

uint32_t fbc_l3_wait(uint32_t count) {
    const uint32_t start = fbc_cycles();
    finish_transfers(count);
    return fbc_cycles() - start;
}

/* Of a transfer that nobody has waited for, PMSIS does not tell. */
uint32_t fbc_l3_happened(uint32_t count) {
    return count <= transfers_done;
}

/* ---- The fabric controller ---- */

static pi_fs_file_t *files[MAXIMUM_FILES];

static pi_fs_file_t *open_by_name(const char *path, int writable) {
#ifdef FBC_PMSIS_FLASH
    if (!writable) {
        return pi_fs_open(&flash_files, path, PI_FS_FLAGS_READ);
    }
#endif
    char name[MAXIMUM_NAME];
    const int length = snprintf(name, sizeof name, "%s%s", FBC_HOST_FOLDER, path);
    if (length < 0 || length >= MAXIMUM_NAME) {
        return NULL;
    }
    return pi_fs_open(&host_files, name, writable ? PI_FS_FLAGS_WRITE : PI_FS_FLAGS_READ);
}

static int open_file(const char *path, int writable) {
    for (int file = 0; file < MAXIMUM_FILES; file++) {
        if (files[file] == NULL) {
            files[file] = open_by_name(path, writable);
            return files[file] == NULL ? -1 : file;
        }
    }
    return -1;
}

static int is_open(int file) {
    return file >= 0 && file < MAXIMUM_FILES && files[file] != NULL;
}

static int close_file(int file) {
    if (!is_open(file)) {
        return -1;
    }
    pi_fs_close(files[file]);
    files[file] = NULL;
    return 0;
}

static int read_file(int file, void *data, uint32_t bytes) {
    return is_open(file) && pi_fs_read(files[file], data, bytes) == (int32_t)bytes ? 0 : -1;
}

static int write_file(int file, void *data, uint32_t bytes) {
    return is_open(file) && pi_fs_write(files[file], data, bytes) == (int32_t)bytes ? 0 : -1;
}

/* The L2 arena is free before the run, so it is the buffer. */
static int load_external_memory(const char *path, uint32_t bytes) {
    static uint32_t allocated;
    if (allocated != 0u) {
        pi_ram_free(&ram, external_base, allocated);
        allocated = 0u;
    }
    const int file = open_file(path, 0);
    if (file < 0) {
        return -1;
    }
    int status = 0;
    if (bytes != 0u) {
        status = pi_ram_alloc(&ram, &external_base, bytes) == 0 ? 0 : -1;
        allocated = status == 0 ? bytes : 0u;
    }
    for (uint32_t done = 0u; done < bytes && status == 0;) {
        const uint32_t rest = bytes - done;
        const uint32_t part = rest < sizeof l2_arena ? rest : sizeof l2_arena;
        status = read_file(file, l2_arena, part);
        if (status == 0) {
            pi_ram_write(&ram, external_base + done, l2_arena, part);
        }
        done += part;
    }
    (void)close_file(file);
    return status;
}

static int serve(void) {
    switch (request.kind) {
    case OPEN_FILE:
        return open_file(request.text, request.writable);
    case READ_FILE:
        return read_file(request.file, request.data, request.bytes);
    case WRITE_FILE:
        return write_file(request.file, request.data, request.bytes);
    case CLOSE_FILE:
        return close_file(request.file);
    case LOAD_EXTERNAL_MEMORY:
        return load_external_memory(request.text, request.bytes);
    case PRINT:
        return printf("%s", request.text) < 0 ? -1 : 0;
    case END:
        break;
    }
    return 0;
}

static int open_devices(void) {
    static struct pi_cluster_conf cluster_conf;
    static struct pi_hyperram_conf ram_conf;
    static struct pi_hostfs_conf host_conf;
    pi_cluster_conf_init(&cluster_conf);
    cluster_conf.id = 0;
    pi_open_from_conf(&cluster, &cluster_conf);
    pi_hyperram_conf_init(&ram_conf);
    pi_open_from_conf(&ram, &ram_conf);
    pi_hostfs_conf_init(&host_conf);
    pi_open_from_conf(&host_files, &host_conf);
    if (pi_cluster_open(&cluster) != 0 || pi_ram_open(&ram) != 0 || pi_fs_mount(&host_files) != 0) {
        return -1;
    }
#ifdef FBC_PMSIS_FLASH
    static struct pi_hyperflash_conf flash_conf;
    static struct pi_readfs_conf read_conf;
    pi_hyperflash_conf_init(&flash_conf);
    pi_open_from_conf(&flash, &flash_conf);
    if (pi_flash_open(&flash) != 0) {
        return -1;
    }
    pi_readfs_conf_init(&read_conf);
    read_conf.fs.flash = &flash;
    pi_open_from_conf(&flash_files, &read_conf);
    if (pi_fs_mount(&flash_files) != 0) {
        return -1;
    }
#endif
    return 0;
}

static PI_L2 int exit_status;

static void cluster_main(void *unused) {
    (void)unused;
    for (uint32_t i = 0u; i < MAXIMUM_COPIES; i++) {
        copies_group[i] = 0u;
    }
    present_group = 1u;
    transfers_allowed = 0u;
    transfers_started = 0u;
    transfers_done = 0u;
    pi_perf_conf(1u << PI_PERF_CYCLES);
    pi_perf_reset();
    pi_perf_start();
    exit_status = fbc_main();
    (void)ask(END);
}

static void fabric_main(void) {
    static PI_L2 struct pi_cluster_task task;
    static pi_task_t finished;
    if (open_devices() != 0) {
        printf("cluster, external memory or file system: cannot be opened\n");
        pmsis_exit(STATUS_NO_DEVICE);
        return;
    }
    pi_cluster_task(&task, cluster_main, NULL);
    task.stack_size = MAIN_STACK_BYTES;
    task.slave_stack_size = WORKER_STACK_BYTES;
    pi_task_block(&arrived);
    pi_cluster_send_task_to_cl_async(&cluster, &task, pi_task_block(&finished));
    for (request_kind kind = PRINT; kind != END;) {
        pi_task_wait_on(&arrived);
        kind = request.kind;
        request.result = serve();
        pi_task_block(&arrived); /* before the cluster may send the next one */
        request.served = 1u;
    }
    pi_task_wait_on(&finished);
    pi_cluster_close(&cluster);
    pmsis_exit(exit_status);
}

int main(void) {
    return pmsis_kickoff((void *)fabric_main);
}
