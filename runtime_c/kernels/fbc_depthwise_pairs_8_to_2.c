/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution 3x3 of channel-first activations of 8 bits to outputs of 2 bits: four channels are a byte,
 * whose halves two runs write. */
#include "micro/fbc_depthwise_by_pairs.h"

FBC_PAIR_KINDS(8, 2W, 2L)
FBC_PAIR_KINDS(8, 2W, 2H)

void fbc_depthwise_pairs_8_to_2(void *arguments) {
    static fbc_pairs_table table = FBC_PAIR_TABLE(8, 2W, 2L, 2H);
    fbc_depthwise_by_pairs(arguments, 8u, &table);
}
