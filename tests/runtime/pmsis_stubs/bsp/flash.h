/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef BSP_FLASH_H
#define BSP_FLASH_H

#include "pmsis.h"

int32_t pi_flash_open(struct pi_device *device);

#endif
