/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution 3x3 with 4-bit outputs. */
#include "micro/fbc_depthwise_3x3.h"

FBC_DEPTHWISE_ALL_STRIPS(NARROW, 4)

void fbc_depthwise_3x3_to_4(void *arguments) {
    static fbc_strips_table strips = FBC_DEPTHWISE_TABLE(NARROW, 4);
    fbc_depthwise_3x3(arguments, 4u, &strips, NULL);
}

uint32_t fbc_depthwise_3x3_to_4_scratch_bytes(const fbc_conv_args *args) {
    return fbc_depthwise_scratch_bytes(args, &fbc_strip_costs);
}
