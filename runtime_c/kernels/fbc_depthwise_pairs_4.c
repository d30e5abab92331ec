/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution 3x3 of channel-first activations, weights and outputs of 4 bits. */
#include "micro/fbc_depthwise_by_pairs.h"
#include "micro/fbc_depthwise_flat_4.h"

FBC_PAIR_KINDS(4, 4)

void fbc_depthwise_pairs_4(void *arguments) {
    static fbc_pairs_table table = FBC_PAIR_TABLE(4, 4, 4);
    const fbc_conv_args *args = arguments;
    if (args->stride_height == 1u) {
        fbc_depthwise_flat_4(args);
    } else {
        fbc_depthwise_by_pairs(args, 4u, &table);
    }
}
