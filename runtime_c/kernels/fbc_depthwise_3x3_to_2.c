/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution 3x3 with 2-bit outputs: four channels are a byte, whose halves two strips write. */
#include "micro/fbc_depthwise_3x3.h"

FBC_DEPTHWISE_ALL_STRIPS(NARROW, 2L)
FBC_DEPTHWISE_ALL_STRIPS(NARROW, 2H)

void fbc_depthwise_3x3_to_2(void *arguments) {
    static fbc_strips_table low = FBC_DEPTHWISE_TABLE(NARROW, 2L), high = FBC_DEPTHWISE_TABLE(NARROW, 2H);
    fbc_depthwise_3x3(arguments, 2u, &low, &high);
}

uint32_t fbc_depthwise_3x3_to_2_scratch_bytes(const fbc_conv_args *args) {
    return fbc_depthwise_scratch_bytes(args, &fbc_strip_costs);
}
