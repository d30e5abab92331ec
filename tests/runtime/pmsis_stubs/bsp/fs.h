/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* File systems: see ../pmsis.h. */
#ifndef BSP_FS_H
#define BSP_FS_H

#include "pmsis.h"

typedef struct pi_fs_file_s pi_fs_file_t;
typedef enum { PI_FS_FLAGS_READ = 0, PI_FS_FLAGS_WRITE = 1 } pi_fs_flags_e;

struct pi_fs_conf {
    int type;
    struct pi_device *flash;
};

int32_t pi_fs_mount(struct pi_device *device);
pi_fs_file_t *pi_fs_open(struct pi_device *device, const char *file, int flags);
void pi_fs_close(pi_fs_file_t *file);
int32_t pi_fs_read(pi_fs_file_t *file, void *buffer, uint32_t size);
int32_t pi_fs_write(pi_fs_file_t *file, void *buffer, uint32_t size);

#endif
