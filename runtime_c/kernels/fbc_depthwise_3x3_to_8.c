/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution 3x3 with 8-bit outputs. */
#include "micro/fbc_depthwise_3x3.h"

FBC_DEPTHWISE_ALL_STRIPS(FOLDED, 8)

void fbc_depthwise_3x3_to_8(void *arguments) {
    static fbc_strips_table strips = FBC_DEPTHWISE_TABLE(FOLDED, 8);
    fbc_depthwise_3x3(arguments, 8u, &strips, NULL);
}

uint32_t fbc_depthwise_3x3_to_8_scratch_bytes(const fbc_conv_args *args) {
    return fbc_depthwise_scratch_bytes(args, &fbc_strip_costs);
}
