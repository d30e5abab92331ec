/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* fbc_core_id and fbc_core_count of PULP-open as instructions, because every kernel asks for both on every core and a
 * call, apart from its own time, makes the kernel save its registers. */
#ifndef FBC_CORES_H
#define FBC_CORES_H

#include <stdint.h>

__attribute__((const)) inline uint32_t fbc_core_id(void) {
    uint32_t hart;
    __asm__("csrr %0, mhartid" : "=r"(hart));
    return hart & 31u;
}

/* Known when the program is linked, so that one compiled kernel serves any number of cores. */
__attribute__((const)) inline uint32_t fbc_core_count(void) {
    uint32_t cores;
    __asm__("addi %0, zero, %%lo(fbc_cores)" : "=r"(cores));
    return cores;
}

#endif
