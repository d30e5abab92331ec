/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution 3x3, stride 1 or 2, of channel-first activations, weights and outputs of 2 bits, read in place
 * without scratch. */
#include "micro/fbc_depthwise_flat_2.h"
#include "micro/fbc_depthwise_pairs_stride_2.h"

static __attribute__((noinline)) void depthwise_stride_1(const fbc_conv_args *args) {
    fbc_depthwise_flat_2(args);
}

void fbc_depthwise_pairs_2(void *arguments) {
    const fbc_conv_args *args = arguments;
    if (args->stride_height == 1u) {
        depthwise_stride_1(args);
    } else {
        fbc_depthwise_stride_2(args, 2u);
    }
}
