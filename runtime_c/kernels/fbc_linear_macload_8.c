/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Linear layer with 8-bit mac&load. */
#include "micro/fbc_linear.h"

void fbc_linear_macload_8(void *args) {
    fbc_linear(args, 8u, 1u);
}

uint32_t fbc_linear_macload_8_scratch_bytes(const fbc_conv_args *args) {
    return fbc_blocked_scratch_bytes(args, 8u, 0u);
}
