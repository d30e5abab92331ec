/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef BSP_RAM_HYPERRAM_H
#define BSP_RAM_HYPERRAM_H

#include "bsp/ram.h"

struct pi_hyperram_conf {
    int chip_select;
};

void pi_hyperram_conf_init(struct pi_hyperram_conf *conf);

#endif
