/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Convolution with 4-bit mac&load, 4 pixels x 4 channels. */
#define FBC_MACLOAD 1u
#define FBC_WIDTH 4u
#include "micro/fbc_conv_blocked.h"

FBC_RUN_FUNCTIONS(FBC_WIDTH)

void fbc_conv_macload_4(void *args) {
    fbc_conv_blocked(args, &fbc_runs);
}

uint32_t fbc_conv_macload_4_scratch_bytes(const fbc_conv_args *args) {
    return fbc_blocked_scratch_bytes(args, FBC_WIDTH, 1u);
}
