/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Breaks every rule of kernels/common/fbc_check.h in otherwise good arguments, one at a time. Prints the lines where
 * another rule was named than the one broken; the exit status is their number. */
#include "common/fbc_check.h"

#include <stdio.h>

static _Alignas(4) uint8_t memory[16];
static const fbc_scale scale[1] = {{1, 1}};
static const int32_t addend[1] = {0};
static int wrong;

static const fbc_kernel_limits limits = {
    .activation_widths = 14,
    .weight_widths = 12, /* not 2 */
    .output_widths = 46,
    .wide = 0,
    .form = FBC_FORM_OWN,
    .input_channel_first = 0,
    .output_channel_first = 0,
    .in_place = 0,
    .depthwise = 0,
    .channel_block = 4,
    .layer_channels = 10,
    .pad_bottom = 1,
    .pad_right = 0,
};

static fbc_requantization good_requantization(void) {
    const fbc_requantization parameters = {scale, addend, 0, 255, 31, 0, 0, 0};
    return parameters;
}

/* 5x6 input with a row of zeros above and below, 3x3, stride 2x1. */
static fbc_conv_args good_conv(void) {
    const fbc_conv_args args = {
        .input = memory,
        .weights = memory,
        .output = memory,
        .scratch = NULL,
        .requantization = good_requantization(),
        .input_height = 5,
        .input_width = 6,
        .input_channels = 3,
        .output_height = 3,
        .output_width = 4,
        .output_channels = 8,
        .kernel_height = 3,
        .kernel_width = 3,
        .stride_height = 2,
        .stride_width = 1,
        .pad_top = 1,
        .activation_bits = 4,
        .weight_bits = 4,
        .output_bits = 8,
    };
    return args;
}

static fbc_add_args good_add(void) {
    const fbc_add_args args = {
        .input_a = memory,
        .input_b = memory,
        .output = memory,
        .low = -8,
        .high = 7,
        .pixels = 3,
        .channels = 10,
        .shift = 31,
        .bits_a = 8,
        .bits_b = 2,
        .output_bits = 4,
    };
    return args;
}

static fbc_pool_args good_pool(void) {
    const fbc_pool_args args = {
        .input = memory,
        .output = memory,
        .requantization = good_requantization(),
        .input_height = 4,
        .input_width = 4,
        .channels = 10,
        .output_height = 1,
        .output_width = 1,
        .kernel_height = 4,
        .kernel_width = 4,
        .stride_height = 1,
        .stride_width = 1,
        .activation_bits = 8,
        .output_bits = 8,
    };
    return args;
}

static fbc_concat_args good_concat(void) {
    const fbc_concat_args args = {
        .input = memory,
        .output = memory,
        .requantization = good_requantization(),
        .pixels = 3,
        .channels = 4,
        .output_channels = 9,
        .output_offset = 5,
        .activation_bits = 2,
        .output_bits = 8,
    };
    return args;
}

static void expect(int line, fbc_rule found, fbc_rule rule) {
    if (found != rule) {
        printf("line %d: rule %d (%s) instead of %d\n", line, found, fbc_rule_text(found), rule);
        wrong++;
    }
}

#define CONV(change, rule) \
    do { \
        fbc_conv_args args = good_conv(); \
        fbc_kernel_limits kernel = limits; \
        change; \
        expect(__LINE__, fbc_check_conv_args(&args, &kernel), rule); \
    } while (0)
#define ADD(change, rule) \
    do { \
        fbc_add_args args = good_add(); \
        change; \
        expect(__LINE__, fbc_check_add_args(&args, &limits), rule); \
    } while (0)
#define POOL(averages, change, rule) \
    do { \
        fbc_pool_args args = good_pool(); \
        change; \
        expect(__LINE__, fbc_check_pool_args(&args, &limits, averages), rule); \
    } while (0)
#define CONCAT(change, rule) \
    do { \
        fbc_concat_args args = good_concat(); \
        change; \
        expect(__LINE__, fbc_check_concat_args(&args, &limits), rule); \
    } while (0)

static void check_convolutions(void) {
    CONV((void)kernel, FBC_RULE_KEPT);
    CONV(args.input = NULL, FBC_RULE_POINTER);
    CONV(args.weights = NULL, FBC_RULE_POINTER);
    CONV(args.output = NULL, FBC_RULE_POINTER);
    CONV(args.requantization.scale = NULL, FBC_RULE_POINTER);
    CONV(args.requantization.addend = NULL, FBC_RULE_POINTER);
    CONV(args.input = memory + 1, FBC_RULE_ALIGNMENT);
    CONV(args.weights = memory + 2, FBC_RULE_ALIGNMENT);
    CONV(args.output = memory + 3, FBC_RULE_ALIGNMENT);
    CONV(args.scratch = memory + 1, FBC_RULE_ALIGNMENT);
    CONV(args.scratch = memory + 4, FBC_RULE_KEPT);
    CONV(args.input_channels = 0, FBC_RULE_SIZE);
    CONV(args.output_channels = 0, FBC_RULE_SIZE);
    CONV(args.output_height = 0, FBC_RULE_SIZE);
    CONV(args.output_width = 0, FBC_RULE_SIZE);
    CONV(args.kernel_height = 0, FBC_RULE_SIZE);
    CONV(args.kernel_width = 0, FBC_RULE_SIZE);
    CONV(args.stride_height = 0, FBC_RULE_SIZE);
    CONV(args.stride_width = 0, FBC_RULE_SIZE);
    CONV(args.activation_bits = 32, FBC_RULE_WIDTH);
    CONV(args.activation_bits = 6, FBC_RULE_WIDTH);
    CONV(args.weight_bits = 2, FBC_RULE_WIDTH);
    CONV(args.weight_bits = 0, FBC_RULE_WIDTH);
    CONV(args.output_bits = 16, FBC_RULE_WIDTH);
    CONV(args.requantization.shift = 32, FBC_RULE_REQUANTIZATION);
    CONV(args.requantization.wide = 1, FBC_RULE_REQUANTIZATION);
    CONV((args.requantization.wide = 1, args.requantization.shift = 62, kernel.wide = 1), FBC_RULE_KEPT);
    CONV((args.requantization.wide = 1, args.requantization.shift = 63, kernel.wide = 1), FBC_RULE_REQUANTIZATION);
    CONV(args.requantization.form = FBC_FORM_FOLDED, FBC_RULE_REQUANTIZATION);
    CONV((args.requantization.form = FBC_FORM_SHORT, kernel.form = FBC_FORM_FOLDED), FBC_RULE_REQUANTIZATION);
    CONV((args.requantization.form = FBC_FORM_SHORT, kernel.form = FBC_FORM_SHORT), FBC_RULE_KEPT);
    CONV(args.requantization.low = 256, FBC_RULE_REQUANTIZATION);
    CONV(args.requantization.high = 256, FBC_RULE_REQUANTIZATION);
    CONV(args.requantization.low = -1, FBC_RULE_REQUANTIZATION); /* [-1, 255] is no 8-bit type */
    CONV((args.requantization.low = -128, args.requantization.high = 127), FBC_RULE_KEPT);
    CONV((args.requantization.low = -129, args.requantization.high = 0), FBC_RULE_REQUANTIZATION);
    CONV((args.output_bits = 32, args.requantization.low = INT32_MIN, args.requantization.high = INT32_MAX),
         FBC_RULE_KEPT);
    CONV(args.output_height = 4, FBC_RULE_GEOMETRY);
    CONV(args.output_width = 5, FBC_RULE_GEOMETRY);
    CONV(args.kernel_width = 4, FBC_RULE_GEOMETRY);
    CONV(args.input_height = 4, FBC_RULE_GEOMETRY);
    CONV(args.pad_top = 0, FBC_RULE_GEOMETRY);
    CONV(kernel.pad_bottom = 0, FBC_RULE_GEOMETRY);
    CONV(kernel.in_place = 1, FBC_RULE_GEOMETRY);
    CONV((kernel.in_place = 1, kernel.input_channel_first = 1, args.input_channel_first = 1, args.stride_height = 1,
          args.pad_left = 1, args.output_height = 5, args.output_width = 6, kernel.pad_right = 1),
         FBC_RULE_KEPT);
    CONV((kernel.in_place = 1, args.stride_height = 1, args.pad_left = 1, args.output_height = 5, args.output_width = 6,
          kernel.pad_right = 1),
         FBC_RULE_KEPT);
    CONV((kernel.in_place = 1, kernel.input_channel_first = 1, args.stride_height = 1, args.pad_left = 1,
          args.output_height = 5, args.output_width = 6, kernel.pad_right = 1),
         FBC_RULE_LAYOUT);
    CONV(args.output_channels = 9, FBC_RULE_CHANNELS);
    CONV(args.output_channels = 12, FBC_RULE_CHANNELS);
    CONV(args.output_channels = 10, FBC_RULE_KEPT);
    CONV(kernel.depthwise = 1, FBC_RULE_CHANNELS);
    CONV((kernel.depthwise = 1, args.input_channels = 8), FBC_RULE_KEPT);
    CONV(args.input_channel_first = 1, FBC_RULE_LAYOUT);
    CONV(args.output_channel_first = 1, FBC_RULE_LAYOUT);
    CONV((kernel.input_channel_first = 1, args.input_channel_first = 1), FBC_RULE_KEPT);
    CONV((kernel.output_channel_first = 1, args.output_channel_first = 1), FBC_RULE_KEPT);
}

static void check_additions(void) {
    ADD((void)args, FBC_RULE_KEPT);
    ADD(args.input_a = NULL, FBC_RULE_POINTER);
    ADD(args.input_b = memory + 2, FBC_RULE_ALIGNMENT);
    ADD(args.output = memory + 1, FBC_RULE_ALIGNMENT);
    ADD(args.pixels = 0, FBC_RULE_SIZE);
    ADD(args.channels = 0, FBC_RULE_SIZE);
    ADD(args.channels = 11, FBC_RULE_CHANNELS);
    ADD(args.bits_a = 1, FBC_RULE_WIDTH);
    ADD(args.bits_b = 32, FBC_RULE_WIDTH);
    ADD(args.output_bits = 0, FBC_RULE_WIDTH);
    ADD(args.shift = 32, FBC_RULE_REQUANTIZATION);
    ADD(args.high = 8, FBC_RULE_REQUANTIZATION);
    ADD(args.low = 8, FBC_RULE_REQUANTIZATION);
}

static void check_pools(void) {
    POOL(1, (void)args, FBC_RULE_KEPT);
    POOL(0, (void)args, FBC_RULE_KEPT);
    POOL(0, args.input = NULL, FBC_RULE_POINTER);
    POOL(0, args.output = memory + 2, FBC_RULE_ALIGNMENT);
    POOL(0, args.requantization.scale = NULL, FBC_RULE_KEPT);
    POOL(1, args.requantization.scale = NULL, FBC_RULE_POINTER);
    POOL(1, args.requantization.shift = 32, FBC_RULE_REQUANTIZATION);
    POOL(0, args.output_bits = 4, FBC_RULE_WIDTH);
    POOL(1, (args.output_bits = 4, args.requantization.high = 15), FBC_RULE_KEPT);
    POOL(0, args.activation_bits = 3, FBC_RULE_WIDTH);
    POOL(0, args.kernel_height = 6, FBC_RULE_GEOMETRY);
    POOL(0, args.output_width = 2, FBC_RULE_GEOMETRY);
    POOL(1, (args.output_width = 2, args.kernel_width = 3), FBC_RULE_GEOMETRY);
    POOL(0, (args.output_width = 2, args.kernel_width = 3), FBC_RULE_KEPT);
    POOL(0, args.stride_width = 0, FBC_RULE_SIZE);
    POOL(0, args.channels = 0, FBC_RULE_SIZE);
    POOL(0, args.channels = 7, FBC_RULE_CHANNELS);
}

static void check_concatenations(void) {
    CONCAT((void)args, FBC_RULE_KEPT);
    CONCAT(args.input = NULL, FBC_RULE_POINTER);
    CONCAT(args.output = memory + 1, FBC_RULE_ALIGNMENT);
    CONCAT(args.pixels = 0, FBC_RULE_SIZE);
    CONCAT(args.channels = 0, FBC_RULE_SIZE);
    CONCAT(args.activation_bits = 32, FBC_RULE_WIDTH);
    CONCAT(args.output_bits = 7, FBC_RULE_WIDTH);
    CONCAT(args.requantization.high = 300, FBC_RULE_REQUANTIZATION);
    CONCAT(args.output_offset = 6, FBC_RULE_CHANNELS);
}

int main(void) {
    check_convolutions();
    check_additions();
    check_pools();
    check_concatenations();
    return wrong;
}
