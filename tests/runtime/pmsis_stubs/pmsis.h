/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* The part of the public PMSIS API that runtime_c/platform/pmsis calls, for tests without an SDK: declarations that
 * its compilation is checked against, implemented for this computer in pmsis_host.c. */
#ifndef PMSIS_H
#define PMSIS_H

#include <stddef.h>
#include <stdint.h>

#define PI_L1 __attribute__((section(".l1_stub")))
#define PI_L2 __attribute__((section(".l2_stub")))

struct pi_device {
    void *config;
    void *data;
};

typedef struct pi_task {
    int done;
    int armed;
} pi_task_t;

void pi_open_from_conf(struct pi_device *device, void *conf);
pi_task_t *pi_task_block(pi_task_t *task);
void pi_task_wait_on(pi_task_t *task);

int pmsis_kickoff(void *entry);
void pmsis_exit(int status);

struct pi_cluster_conf {
    int id;
};

struct pi_cluster_task {
    void (*entry)(void *);
    void *arg;
    void *stacks;
    uint32_t stack_size;
    uint32_t slave_stack_size;
    int nb_cores;
};

void pi_cluster_conf_init(struct pi_cluster_conf *conf);
int pi_cluster_open(struct pi_device *device);
int pi_cluster_close(struct pi_device *device);
struct pi_cluster_task *pi_cluster_task(struct pi_cluster_task *task, void (*entry)(void *), void *arg);
int pi_cluster_send_task_to_cl_async(struct pi_device *device, struct pi_cluster_task *cluster_task, pi_task_t *task);
void pi_cl_send_task_to_fc(pi_task_t *task);

uint32_t pi_core_id(void);
void pi_cl_team_fork(int cores, void (*entry)(void *), void *arg);

enum { PI_PERF_CYCLES = 0 };

void pi_perf_conf(unsigned events);
void pi_perf_reset(void);
void pi_perf_start(void);
unsigned pi_perf_read(int event);

typedef enum { PI_CL_DMA_DIR_LOC2EXT = 0, PI_CL_DMA_DIR_EXT2LOC = 1 } pi_cl_dma_dir_e;

typedef struct {
    uint32_t id;
    uint32_t ext;
    uint32_t loc;
    uint16_t size;
    pi_cl_dma_dir_e dir;
    uint8_t merge;
    uint32_t stride;
    uint32_t length;
} pi_cl_dma_copy_t;

void pi_cl_dma_memcpy(pi_cl_dma_copy_t *copy);
void pi_cl_dma_memcpy_2d(pi_cl_dma_copy_t *copy);
void pi_cl_dma_wait(void *copy);

#endif
