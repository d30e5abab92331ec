/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Convolution with 8-bit dot products, 4 pixels x 4 channels. */
#include "micro/fbc_conv_blocked.h"

enum { BITS = 8 };

static void convolve_unsigned(const fbc_conv_args *args) {
    fbc_conv_blocked(args, BITS, 0u);
}

static void convolve_signed(const fbc_conv_args *args) {
    fbc_conv_blocked(args, BITS, 1u);
}

void fbc_conv_blocked_8(void *args) {
    if (((const fbc_conv_args *)args)->activation_signed) {
        convolve_signed(args);
    } else {
        convolve_unsigned(args);
    }
}

uint32_t fbc_conv_blocked_8_scratch_bytes(const fbc_conv_args *args) {
    return fbc_blocked_scratch_bytes(args, BITS);
}
