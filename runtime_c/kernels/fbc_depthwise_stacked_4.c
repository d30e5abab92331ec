/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution 3x3, activations, weights and outputs of 4 bits: parts of 2 channels. */
#include "micro/fbc_depthwise_by_parts.h"

FBC_STACKED_KINDS(4)

void fbc_depthwise_stacked_4(void *arguments) {
    static fbc_stacked_table functions = FBC_STACKED_TABLE(4);
    fbc_depthwise_by_parts(arguments, 4u, &functions);
}

uint32_t fbc_depthwise_stacked_4_scratch_bytes(const fbc_conv_args *args) {
    return fbc_stacked_scratch_bytes(args, 4u);
}
