/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Max pooling in portable C; taps outside the tile are ignored. */
#include "common/fbc_share.h"
#include "fbc_kernels.h"

FBC_INLINE int32_t window_maximum(const fbc_pool_args *args, int32_t top, int32_t left, uint32_t channel) {
    const uint32_t pixel_bytes = fbc_lane_bytes(args->channels, args->activation_bits);
    const uint8_t *input = args->input;
    int32_t maximum = INT32_MIN;
    for (int32_t row = 0; row < args->kernel_height; row++) {
        const int32_t y = top + row;
        if (y < 0 || y >= args->input_height) {
            continue;
        }
        for (int32_t column = 0; column < args->kernel_width; column++) {
            const int32_t x = left + column;
            if (x < 0 || x >= args->input_width) {
                continue;
            }
            const uint8_t *pixel = input + (uint32_t)(y * args->input_width + x) * pixel_bytes;
            const int32_t value = fbc_read_lane(pixel, channel, args->activation_bits, args->activation_signed);
            maximum = value > maximum ? value : maximum;
        }
    }
    return maximum;
}

void fbc_max_pool_portable(void *arguments) {
    const fbc_pool_args *args = arguments;
    const uint32_t pixels = (uint32_t)args->output_height * args->output_width;
    const uint32_t output_bytes = fbc_lane_bytes(args->channels, args->output_bits);
    const fbc_share share = fbc_core_share(pixels, args->channels);
    for (uint32_t pixel = share.pixels.begin; pixel < share.pixels.end; pixel++) {
        const int32_t top = (int32_t)(pixel / args->output_width) * args->stride_height - args->pad_top;
        const int32_t left = (int32_t)(pixel % args->output_width) * args->stride_width - args->pad_left;
        uint8_t *output = (uint8_t *)args->output + pixel * output_bytes;
        for (uint32_t channel = share.channels.begin; channel < share.channels.end; channel++) {
            fbc_write_lane(output, channel, args->output_bits, window_maximum(args, top, left, channel));
        }
    }
}
