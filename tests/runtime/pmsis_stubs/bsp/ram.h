/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* External memory: see ../pmsis.h. */
#ifndef BSP_RAM_H
#define BSP_RAM_H

#include "pmsis.h"

typedef struct {
    uint32_t address;
    void *data;
    uint32_t size;
    int write;
    int pending;
} pi_cl_ram_req_t;

int32_t pi_ram_open(struct pi_device *device);
int pi_ram_alloc(struct pi_device *device, uint32_t *address, uint32_t size);
int pi_ram_free(struct pi_device *device, uint32_t address, uint32_t size);
void pi_ram_write(struct pi_device *device, uint32_t address, void *data, uint32_t size);
void pi_cl_ram_read(struct pi_device *device, uint32_t address, void *data, uint32_t size, pi_cl_ram_req_t *request);
void pi_cl_ram_read_wait(pi_cl_ram_req_t *request);
void pi_cl_ram_write(struct pi_device *device, uint32_t address, void *data, uint32_t size, pi_cl_ram_req_t *request);
void pi_cl_ram_write_wait(pi_cl_ram_req_t *request);

#endif
