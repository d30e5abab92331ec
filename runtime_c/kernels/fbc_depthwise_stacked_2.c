/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution 3x3, activations, weights and outputs of 2 bits: parts of 4 channels. */
#include "micro/fbc_depthwise_by_parts.h"

FBC_STACKED_KINDS(2)

void fbc_depthwise_stacked_2(void *arguments) {
    static fbc_stacked_table functions = FBC_STACKED_TABLE(2);
    fbc_depthwise_by_parts(arguments, 2u, &functions);
}

uint32_t fbc_depthwise_stacked_2_scratch_bytes(const fbc_conv_args *args) {
    return fbc_stacked_scratch_bytes(args, 2u);
}
