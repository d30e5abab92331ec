/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Dense convolution in portable C: direct, one dot product per kernel tap (or per kernel row where taps adjoin). */
#include "common/fbc_instances.h"
#include "common/fbc_requantize.h"
#include "common/fbc_share.h"

typedef int32_t (*dot_function)(const uint8_t *activations, const uint8_t *weights, uint32_t count);

FBC_INLINE int32_t dot(const uint8_t *activations, const uint8_t *weights, uint32_t count, uint32_t activation_bits,
                       uint32_t activation_signed, uint32_t weight_bits) {
    int32_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        sum += fbc_read_lane(activations, i, activation_bits, activation_signed) *
               fbc_read_lane(weights, i, weight_bits, 1u);
    }
    return sum;
}

#define DEFINE_DOT(activation_bits, activation_signed, weight_bits) \
    static int32_t dot_##activation_bits##_##activation_signed##_##weight_bits( \
        const uint8_t *activations, const uint8_t *weights, uint32_t count) { \
        return dot(activations, weights, count, activation_bits, activation_signed, weight_bits); \
    }
FBC_FOR_EACH_OPERAND(DEFINE_DOT)

#define NAME_DOT(activation_bits, activation_signed, weight_bits) \
    dot_##activation_bits##_##activation_signed##_##weight_bits,
static const dot_function dots[] = {FBC_FOR_EACH_OPERAND(NAME_DOT)};

/* What does not change from one output to the next. */
typedef struct {
    const fbc_conv_args *args;
    dot_function dot;
    uint32_t pixel_bytes;  /* of the input */
    uint32_t tap_bytes;    /* of one output channel's weights */
    uint32_t filter_bytes; /* likewise, all taps */
    uint32_t rows_adjoin;  /* no left-over bits between the taps of a kernel row */
} conv_plan;

static int32_t accumulate(const conv_plan *plan, int32_t top, int32_t left, const uint8_t *filter) {
    const fbc_conv_args *args = plan->args;
    const uint8_t *input = args->input;
    const int32_t column_begin = left < 0 ? -left : 0;
    const int32_t beyond = left + args->kernel_width - args->input_width;
    const int32_t column_end = beyond > 0 ? args->kernel_width - beyond : args->kernel_width;
    int32_t sum = 0;
    for (int32_t row = 0; row < args->kernel_height; row++) {
        const int32_t y = top + row;
        if (y < 0 || y >= args->input_height || column_begin >= column_end) {
            continue;
        }
        const uint32_t pixel = (uint32_t)(y * args->input_width + left + column_begin);
        const uint32_t tap = (uint32_t)(row * args->kernel_width + column_begin);
        const uint8_t *activations = input + pixel * plan->pixel_bytes;
        const uint8_t *weights = filter + tap * plan->tap_bytes;
        const uint32_t taps = (uint32_t)(column_end - column_begin);
        if (plan->rows_adjoin) {
            sum += plan->dot(activations, weights, taps * args->input_channels);
        } else {
            for (uint32_t i = 0; i < taps; i++) {
                sum += plan->dot(activations, weights, args->input_channels);
                activations += plan->pixel_bytes;
                weights += plan->tap_bytes;
            }
        }
    }
    return sum;
}

static conv_plan make_plan(const fbc_conv_args *args) {
    conv_plan plan;
    plan.args = args;
    plan.dot = dots[FBC_OPERAND_INDEX(args->activation_bits, args->activation_signed, args->weight_bits)];
    plan.pixel_bytes = fbc_lane_bytes(args->input_channels, args->activation_bits);
    plan.tap_bytes = fbc_lane_bytes(args->input_channels, args->weight_bits);
    plan.filter_bytes = plan.tap_bytes * args->kernel_height * args->kernel_width;
    plan.rows_adjoin = ((uint32_t)args->input_channels * args->activation_bits & 7u) == 0u &&
                       ((uint32_t)args->input_channels * args->weight_bits & 7u) == 0u;
    return plan;
}

void fbc_conv_portable(void *arguments) {
    const fbc_conv_args *args = arguments;
    const conv_plan plan = make_plan(args);
    const uint32_t pixels = (uint32_t)args->output_height * args->output_width;
    const uint32_t output_bytes = fbc_lane_bytes(args->output_channels, args->output_bits);
    const fbc_share share = fbc_core_share(pixels, args->output_channels);
    for (uint32_t pixel = share.pixels.begin; pixel < share.pixels.end; pixel++) {
        const int32_t top = (int32_t)(pixel / args->output_width) * args->stride_height - args->pad_top;
        const int32_t left = (int32_t)(pixel % args->output_width) * args->stride_width - args->pad_left;
        uint8_t *output = (uint8_t *)args->output + pixel * output_bytes;
        const uint8_t *filter = (const uint8_t *)args->weights + share.channels.begin * plan.filter_bytes;
        for (uint32_t channel = share.channels.begin; channel < share.channels.end; channel++) {
            const int32_t sum = accumulate(&plan, top, left, filter);
            fbc_write_lane(output, channel, args->output_bits, fbc_requantize(&args->requantization, channel, sum));
            filter += plan.filter_bytes;
        }
    }
}
