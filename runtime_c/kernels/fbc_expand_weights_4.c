/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Widens 2-bit blocked weights to 4 bit for fbc_conv_blocked_4. */
#include "common/fbc_expand_weights.h"

void fbc_expand_weights_4(void *arguments) {
    fbc_expand_weights(arguments, 4u, 2u);
}
