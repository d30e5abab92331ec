/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Which tiles the 3x3 depthwise convolutions of planes without borders can compute. */
#ifndef FBC_IN_PLACE_H
#define FBC_IN_PLACE_H

#include "fbc_kernels.h"
#include "fbc_lanes.h"

/* Rows or columns of the last window of three behind the tile. */
FBC_INLINE int32_t fbc_window_behind(uint32_t outputs, uint32_t stride, uint32_t pad, uint32_t inputs) {
    return (int32_t)((outputs - 1u) * stride + 3u - pad) - (int32_t)inputs;
}

/* Rows are whole bytes and the layer's, with a column of padding at most on each side and one at all; so are columns.
 * The compiler's side is fits_in_place in fbcompile/lowering/kernels/depthwise_in_place.py. */
FBC_INLINE uint32_t fbc_fits_in_place(const fbc_conv_args *args) {
    const uint32_t left = args->pad_left, stride = args->stride_width;
    const int32_t right = fbc_window_behind(args->output_width, stride, left, args->input_width);
    const int32_t below =
        fbc_window_behind(args->output_height, args->stride_height, args->pad_top, args->input_height);
    const uint32_t columns = left <= 1u && right >= 0 && right <= 1 && left + (uint32_t)right + stride >= 3u;
    return args->kernel_height == 3u && args->kernel_width == 3u && stride <= 2u && args->stride_height == stride &&
           args->input_width >= 4u && (args->input_width * args->activation_bits & 7u) == 0u && columns &&
           args->pad_top <= 1u && below <= 1;
}

#endif
