/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution in portable C. */
#include "common/fbc_instances.h"
#include "common/fbc_requantize.h"
#include "common/fbc_share.h"

typedef void (*pixel_function)(const fbc_conv_args *args, uint32_t pixel, fbc_range channels);

typedef struct {
    int32_t begin;
    int32_t end;
} tap_range;

/* The taps of a kernel of `size` placed at `start` that lie inside [0, limit). */
FBC_INLINE tap_range inside(int32_t start, int32_t size, int32_t limit) {
    const tap_range taps = {start < 0 ? -start : 0, start + size > limit ? limit - start : size};
    return taps;
}

FBC_INLINE void compute_pixel(const fbc_conv_args *args, uint32_t pixel, fbc_range channels, uint32_t activation_bits,
                              uint32_t activation_signed, uint32_t weight_bits) {
    const uint32_t pixel_bytes = fbc_lane_bytes(args->input_channels, activation_bits);
    const uint32_t taps_per_channel = (uint32_t)args->kernel_height * args->kernel_width;
    const uint32_t filter_bytes = fbc_lane_bytes(taps_per_channel, weight_bits);
    const int32_t top = (int32_t)(pixel / args->output_width) * args->stride_height - args->pad_top;
    const int32_t left = (int32_t)(pixel % args->output_width) * args->stride_width - args->pad_left;
    const tap_range rows = inside(top, args->kernel_height, args->input_height);
    const tap_range columns = inside(left, args->kernel_width, args->input_width);
    const uint8_t *input = args->input;
    uint8_t *output = (uint8_t *)args->output + pixel * fbc_lane_bytes(args->output_channels, args->output_bits);
    for (uint32_t channel = channels.begin; channel < channels.end; channel++) {
        const uint8_t *filter = (const uint8_t *)args->weights + channel * filter_bytes;
        int32_t sum = 0;
        for (int32_t row = rows.begin; row < rows.end; row++) {
            for (int32_t column = columns.begin; column < columns.end; column++) {
                const uint32_t source = (uint32_t)((top + row) * args->input_width + left + column);
                const uint32_t tap = (uint32_t)(row * args->kernel_width + column);
                sum += fbc_read_lane(input + source * pixel_bytes, channel, activation_bits, activation_signed) *
                       fbc_read_lane(filter, tap, weight_bits, 1u);
            }
        }
        fbc_write_lane(output, channel, args->output_bits, fbc_requantize(&args->requantization, channel, sum));
    }
}

#define DEFINE_PIXEL(activation_bits, activation_signed, weight_bits) \
    static void pixel_##activation_bits##_##activation_signed##_##weight_bits(const fbc_conv_args *args, \
                                                                              uint32_t pixel, fbc_range channels) { \
        compute_pixel(args, pixel, channels, activation_bits, activation_signed, weight_bits); \
    }
FBC_FOR_EACH_OPERAND(DEFINE_PIXEL)

#define NAME_PIXEL(activation_bits, activation_signed, weight_bits) \
    pixel_##activation_bits##_##activation_signed##_##weight_bits,
static const pixel_function pixel_functions[] = {FBC_FOR_EACH_OPERAND(NAME_PIXEL)};

void fbc_depthwise_portable(void *arguments) {
    const fbc_conv_args *args = arguments;
    const uint32_t pixels = (uint32_t)args->output_height * args->output_width;
    const fbc_share share = fbc_core_share(pixels, args->output_channels);
    const pixel_function compute =
        pixel_functions[FBC_OPERAND_INDEX(args->activation_bits, args->activation_signed, args->weight_bits)];
    for (uint32_t pixel = share.pixels.begin; pixel < share.pixels.end; pixel++) {
        compute(args, pixel, share.channels);
    }
}
