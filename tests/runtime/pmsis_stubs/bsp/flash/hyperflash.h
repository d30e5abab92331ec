/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef BSP_FLASH_HYPERFLASH_H
#define BSP_FLASH_HYPERFLASH_H

#include "bsp/flash.h"

struct pi_hyperflash_conf {
    int chip_select;
};

void pi_hyperflash_conf_init(struct pi_hyperflash_conf *conf);

#endif
