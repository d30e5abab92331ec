/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Widens 4- or 2-bit blocked weights to 8 bit for fbc_conv_blocked_8. */
#include "common/fbc_expand_weights.h"

void fbc_expand_weights_8(void *arguments) {
    const fbc_conv_args *args = arguments;
    if (args->weight_bits == 4u) {
        fbc_expand_weights(args, 8u, 4u);
    } else {
        fbc_expand_weights(args, 8u, 2u);
    }
}
