/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* PMSIS on this computer, as strict as a chip: the cluster is a thread of its own beside the fabric controller; copies
 * and reads happen as late as they may, at the wait, and until then their destinations hold garbage; and whatever a
 * chip would not do (too many commands at once, sizes that do not fit, calls from the wrong side) ends the program. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pmsis.h"
#include "bsp/flash.h"
#include "bsp/flash/hyperflash.h"
#include "bsp/fs.h"
#include "bsp/fs/hostfs.h"
#include "bsp/fs/readfs.h"
#include "bsp/ram.h"
#include "bsp/ram/hyperram.h"

enum {
    DMA_COUNTERS = 16,
    RAM_BYTES = 8 << 20,
    RAM_FIRST = 4096, /* so that an address that forgets the allocation's is noticed */
    RAM_REQUESTS = 4,
    GARBAGE = 0xDB,
    SMALLEST_STACK = 1024,
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static _Thread_local int on_cluster;
static _Thread_local uint32_t core;

static void require(int holds, const char *rule) {
    if (!holds) {
        fprintf(stderr, "PMSIS: %s\n", rule);
        abort();
    }
}

/* ---- Tasks ---- */

void pi_open_from_conf(struct pi_device *device, void *conf) {
    device->config = conf;
}

pi_task_t *pi_task_block(pi_task_t *task) {
    pthread_mutex_lock(&mutex);
    task->done = 0;
    task->armed = 1;
    pthread_mutex_unlock(&mutex);
    return task;
}

static void finish(pi_task_t *task) {
    pthread_mutex_lock(&mutex);
    require(task->armed && !task->done, "a task is sent that nobody is to wait for");
    task->done = 1;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

void pi_task_wait_on(pi_task_t *task) {
    require(!on_cluster, "the cluster waits for a task of the fabric controller");
    pthread_mutex_lock(&mutex);
    while (!task->done) {
        pthread_cond_wait(&changed, &mutex);
    }
    task->armed = 0;
    pthread_mutex_unlock(&mutex);
}

int pmsis_kickoff(void *entry) {
    union {
        void *data;
        void (*function)(void);
    } start = {.data = entry};
    start.function();
    return 0;
}

void pmsis_exit(int status) {
    exit(status);
}

/* ---- Cluster ---- */

static int cluster_is_open;
static struct {
    struct pi_cluster_task *task;
    pi_task_t *end;
} job;
static pthread_t cluster_thread;

void pi_cluster_conf_init(struct pi_cluster_conf *conf) {
    conf->id = 0;
}

int pi_cluster_open(struct pi_device *device) {
    require(device->config != NULL, "the cluster is opened without a configuration");
    cluster_is_open = 1;
    return 0;
}

int pi_cluster_close(struct pi_device *device) {
    (void)device;
    require(pthread_join(cluster_thread, NULL) == 0, "the cluster is closed twice");
    cluster_is_open = 0;
    return 0;
}

struct pi_cluster_task *pi_cluster_task(struct pi_cluster_task *task, void (*entry)(void *), void *arg) {
    memset(task, 0, sizeof *task);
    task->entry = entry;
    task->arg = arg;
    return task;
}

static void *run_cluster(void *unused) {
    (void)unused;
    on_cluster = 1;
    job.task->entry(job.task->arg);
    finish(job.end);
    return NULL;
}

int pi_cluster_send_task_to_cl_async(struct pi_device *device, struct pi_cluster_task *task, pi_task_t *end) {
    (void)device;
    require(cluster_is_open, "a task for a closed cluster");
    require(task->stack_size >= SMALLEST_STACK && task->slave_stack_size >= SMALLEST_STACK, "small stacks");
    job.task = task;
    job.end = end;
    return pthread_create(&cluster_thread, NULL, run_cluster, NULL) == 0 ? 0 : -1;
}

void pi_cl_send_task_to_fc(pi_task_t *task) {
    require(on_cluster, "only the cluster sends tasks to the fabric controller");
    finish(task);
}

uint32_t pi_core_id(void) {
    return core;
}

void pi_cl_team_fork(int cores, void (*entry)(void *), void *arg) {
    require(on_cluster && core == 0u, "a fork outside of cluster core 0");
    for (core = 0u; core < (uint32_t)cores; core++) {
        entry(arg);
    }
    core = 0u;
}

static int counting;

void pi_perf_conf(unsigned events) {
    require(events == 1u << PI_PERF_CYCLES, "other events than cycles are counted");
}

void pi_perf_reset(void) {
    counting = 0;
}

void pi_perf_start(void) {
    counting = 1;
}

unsigned pi_perf_read(int event) {
    require(counting && event == PI_PERF_CYCLES, "cycles are read that are not counted");
    return 0u;
}

/* ---- DMA ---- */

static pi_cl_dma_copy_t *under_way[DMA_COUNTERS];

static uint8_t *at(uint32_t address) {
    return (uint8_t *)(uintptr_t)address; /* the program is linked into the lowest 4 GiB */
}

static void each_line(const pi_cl_dma_copy_t *copy, void (*move)(uint8_t *to, const uint8_t *from, uint32_t bytes)) {
    const uint32_t length = copy->length == 0u ? copy->size : copy->length;
    const uint32_t stride = copy->length == 0u ? 0u : copy->stride;
    for (uint32_t done = 0u; done < copy->size; done += length) {
        uint8_t *const l2 = at(copy->ext) + done / length * stride, *const l1 = at(copy->loc) + done;
        const int in = copy->dir == PI_CL_DMA_DIR_EXT2LOC;
        move(in ? l1 : l2, in ? l2 : l1, length);
    }
}

static void spoil(uint8_t *to, const uint8_t *from, uint32_t bytes) {
    (void)from;
    memset(to, GARBAGE, bytes);
}

static void move_bytes(uint8_t *to, const uint8_t *from, uint32_t bytes) {
    memcpy(to, from, bytes);
}

static void start(pi_cl_dma_copy_t *copy) {
    require(on_cluster && core == 0u, "a copy is started outside of cluster core 0");
    require(copy->size != 0u, "a copy of nothing");
    for (uint32_t i = 0u; i < DMA_COUNTERS; i++) {
        require(under_way[i] != copy, "a command is used again before it was waited for");
    }
    for (uint32_t i = 0u; i < DMA_COUNTERS; i++) {
        if (under_way[i] == NULL) {
            under_way[i] = copy;
            copy->id = i;
            each_line(copy, spoil);
            return;
        }
    }
    require(0, "more copies at once than the DMA has counters");
}

void pi_cl_dma_memcpy(pi_cl_dma_copy_t *copy) {
    require(copy->length == 0u, "a 1-D copy with lines");
    start(copy);
}

void pi_cl_dma_memcpy_2d(pi_cl_dma_copy_t *copy) {
    require(copy->length != 0u && copy->size % copy->length == 0u && copy->stride <= 0xFFFFu, "lines of a 2-D copy");
    start(copy);
}

void pi_cl_dma_wait(void *command) {
    pi_cl_dma_copy_t *const copy = command;
    require(copy->id < DMA_COUNTERS && under_way[copy->id] == copy, "a wait for a copy that is not under way");
    each_line(copy, move_bytes);
    under_way[copy->id] = NULL;
}

/* ---- External memory ---- */

static uint8_t ram_data[RAM_BYTES];
static uint32_t ram_allocated;
static int ram_is_open;
static int ram_waiting;

void pi_hyperram_conf_init(struct pi_hyperram_conf *conf) {
    conf->chip_select = 1;
}

int32_t pi_ram_open(struct pi_device *device) {
    ram_is_open = device->config != NULL;
    return ram_is_open ? 0 : -1;
}

int pi_ram_alloc(struct pi_device *device, uint32_t *address, uint32_t size) {
    (void)device;
    require(ram_is_open && !on_cluster && ram_allocated == 0u, "an allocation of external memory");
    if (size > RAM_BYTES - RAM_FIRST) {
        return -1;
    }
    *address = RAM_FIRST;
    ram_allocated = size;
    return 0;
}

int pi_ram_free(struct pi_device *device, uint32_t address, uint32_t size) {
    (void)device;
    require(address == RAM_FIRST && size == ram_allocated, "external memory is freed that was not allocated");
    ram_allocated = 0u;
    return 0;
}

static void check_range(uint32_t address, uint32_t size) {
    require(address >= RAM_FIRST && address - RAM_FIRST <= ram_allocated &&
                size <= ram_allocated - (address - RAM_FIRST),
            "an access outside of the allocated external memory");
}

void pi_ram_write(struct pi_device *device, uint32_t address, void *data, uint32_t size) {
    (void)device;
    require(!on_cluster, "a write to external memory by the cluster");
    check_range(address, size);
    memcpy(ram_data + address, data, size);
}

/* Requests are worked off in their order: a wait for one finishes all that were started before it. */
static pi_cl_ram_req_t *ram_queue[RAM_REQUESTS];

static void start_request(pi_cl_ram_req_t *request, uint32_t address, void *data, uint32_t size, int write) {
    require(on_cluster && core == 0u, "external memory is used outside of cluster core 0");
    require(ram_waiting < RAM_REQUESTS, "more transfers with external memory at once than are expected");
    for (int i = 0; i < ram_waiting; i++) {
        require(ram_queue[i] != request, "a request is used again before it was waited for");
    }
    check_range(address, size);
    if (!write) {
        memset(data, GARBAGE, size);
    }
    const pi_cl_ram_req_t started = {address, data, size, write, 1};
    *request = started;
    ram_queue[ram_waiting++] = request;
}

static void wait_for_request(pi_cl_ram_req_t *request, int write) {
    require(request->pending && request->write == write, "a wait for a transfer that was not started");
    while (request->pending) {
        pi_cl_ram_req_t *const first = ram_queue[0];
        uint8_t *const in_ram = ram_data + first->address;
        memcpy(first->write ? in_ram : first->data, first->write ? first->data : in_ram, first->size);
        first->pending = 0;
        ram_waiting--;
        memmove(&ram_queue[0], &ram_queue[1], (size_t)ram_waiting * sizeof ram_queue[0]);
    }
}

void pi_cl_ram_read(struct pi_device *device, uint32_t address, void *data, uint32_t size, pi_cl_ram_req_t *request) {
    (void)device;
    start_request(request, address, data, size, 0);
}

void pi_cl_ram_write(struct pi_device *device, uint32_t address, void *data, uint32_t size, pi_cl_ram_req_t *request) {
    (void)device;
    start_request(request, address, data, size, 1);
}

void pi_cl_ram_read_wait(pi_cl_ram_req_t *request) {
    wait_for_request(request, 0);
}

void pi_cl_ram_write_wait(pi_cl_ram_req_t *request) {
    wait_for_request(request, 1);
}

/* ---- Files ---- */

struct pi_fs_file_s {
    FILE *file;
};

static struct pi_device *mounted[2]; /* HostFS and ReadFS */

void pi_hostfs_conf_init(struct pi_hostfs_conf *conf) {
    conf->fs.type = 0;
    conf->fs.flash = NULL;
}

void pi_readfs_conf_init(struct pi_readfs_conf *conf) {
    conf->fs.type = 1;
    conf->fs.flash = NULL;
}

static int flash_is_open;

void pi_hyperflash_conf_init(struct pi_hyperflash_conf *conf) {
    conf->chip_select = 0;
}

int32_t pi_flash_open(struct pi_device *device) {
    flash_is_open = device->config != NULL;
    return flash_is_open ? 0 : -1;
}

int32_t pi_fs_mount(struct pi_device *device) {
    const struct pi_fs_conf *const conf = device->config;
    if (conf->type == 1 && (conf->flash == NULL || !flash_is_open)) {
        return -1;
    }
    mounted[conf->type] = device;
    return 0;
}

pi_fs_file_t *pi_fs_open(struct pi_device *device, const char *name, int flags) {
    const struct pi_fs_conf *const conf = device->config;
    require(!on_cluster, "a file is opened by the cluster");
    require(mounted[conf->type] == device, "a file of a file system that is not mounted");
    require(conf->type == 0 || flags == PI_FS_FLAGS_READ, "a file in flash is written");
    FILE *const file = fopen(name, flags == PI_FS_FLAGS_WRITE ? "wb" : "rb");
    if (file == NULL) {
        return NULL;
    }
    pi_fs_file_t *const opened = malloc(sizeof *opened);
    require(opened != NULL, "no memory");
    opened->file = file;
    return opened;
}

void pi_fs_close(pi_fs_file_t *file) {
    fclose(file->file);
    free(file);
}

int32_t pi_fs_read(pi_fs_file_t *file, void *buffer, uint32_t size) {
    require(!on_cluster, "a file is read by the cluster");
    return (int32_t)fread(buffer, 1, size, file->file);
}

int32_t pi_fs_write(pi_fs_file_t *file, void *buffer, uint32_t size) {
    require(!on_cluster, "a file is written by the cluster");
    return (int32_t)fwrite(buffer, 1, size, file->file);
}
