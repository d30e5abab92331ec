/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution 3x3 of channel-first activations, weights and outputs of 4 bits. */
#include "micro/fbc_depthwise_by_pairs.h"
#include "micro/fbc_depthwise_pairs_stride_2.h"

FBC_PAIR_KINDS(4, 4)

static __attribute__((noinline)) void fbc_depthwise_stride_1(const fbc_conv_args *args) {
    static fbc_pairs_table table = FBC_PAIR_TABLE(4, 4, 4);
    fbc_depthwise_by_pairs(args, 4u, &table);
}

void fbc_depthwise_pairs_4(void *arguments) {
    const fbc_conv_args *args = arguments;
    if (args->stride_width == 2u) {
        fbc_depthwise_stride_2(args, 4u);
    } else {
        fbc_depthwise_stride_1(args);
    }
}
