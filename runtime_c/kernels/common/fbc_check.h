/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Rules that the arguments of a kernel keep, checked in front of the kernel in debug builds (FBC_CHECK): whatever would
 * make it hang, read beside its operands or compute something else is found here and named. */
#ifndef FBC_CHECK_H
#define FBC_CHECK_H

#include <stddef.h>

#include "common/fbc_in_place.h"
#include "fbc_kernels.h"

typedef enum {
    FBC_RULE_KEPT = 0,
    FBC_RULE_POINTER,        /* a pointer is NULL */
    FBC_RULE_ALIGNMENT,      /* a pointer is not aligned to 4 bytes */
    FBC_RULE_SIZE,           /* a size, kernel or stride is 0 */
    FBC_RULE_WIDTH,          /* the kernel does not read, or does not write, elements of these bits */
    FBC_RULE_REQUANTIZATION, /* shift, or bounds, or 64 bits where the kernel has 32, or another form */
    FBC_RULE_GEOMETRY,       /* the outputs read behind the input and its padding */
    FBC_RULE_CHANNELS,       /* channels that do not fit the kernel's blocks, the layer or each other */
    FBC_RULE_LAYOUT,         /* channel-first, which the kernel does not know */
} fbc_rule;

/* What a kernel takes, and what its arguments do not say about the layer. */
typedef struct {
    uint8_t activation_widths; /* sums of the widths: 14 is 8, 4 and 2 */
    uint8_t weight_widths;
    uint8_t output_widths;
    uint8_t wide;                 /* it requantizes in 64 bits too */
    uint8_t form;                 /* how it does that: fbc_requantization_form */
    uint8_t input_channel_first;  /* it takes such a tile */
    uint8_t output_channel_first; /* it writes such a tile */
    uint8_t in_place;             /* fbc_fits_in_place must hold, and the tile has the only layout that it takes */
    uint8_t depthwise;            /* it reads the input channel of the output channel's number */
    uint16_t channel_block;       /* output channels of a tile are a multiple, but for the last tile's */
    uint32_t layer_channels;      /* output channels of the layer */
    uint32_t pad_bottom;          /* of the layer */
    uint32_t pad_right;
} fbc_kernel_limits;

static inline const char *fbc_rule_text(fbc_rule rule) {
    switch (rule) {
    case FBC_RULE_KEPT:
        break;
    case FBC_RULE_POINTER:
        return "a pointer is NULL";
    case FBC_RULE_ALIGNMENT:
        return "a pointer is not aligned to 4 bytes";
    case FBC_RULE_SIZE:
        return "a size is 0";
    case FBC_RULE_WIDTH:
        return "the kernel has no elements of these bits";
    case FBC_RULE_REQUANTIZATION:
        return "shift or bounds of the requantization";
    case FBC_RULE_GEOMETRY:
        return "the outputs read behind the input and its padding";
    case FBC_RULE_CHANNELS:
        return "the channels do not fit";
    case FBC_RULE_LAYOUT:
        return "channel-first, which the kernel does not know";
    }
    return "all rules are kept";
}

static inline fbc_rule fbc_check_pointer(const void *pointer) {
    if (pointer == NULL) {
        return FBC_RULE_POINTER;
    }
    return ((uintptr_t)pointer & 3u) == 0u ? FBC_RULE_KEPT : FBC_RULE_ALIGNMENT;
}

/* The first rule that is broken. */
static inline fbc_rule fbc_first_rule(const fbc_rule *rules, uint32_t count) {
    for (uint32_t i = 0u; i < count; i++) {
        if (rules[i] != FBC_RULE_KEPT) {
            return rules[i];
        }
    }
    return FBC_RULE_KEPT;
}

/* 2, 4, 8 and 32 are powers of two, so a sum of widths is a set of them. */
static inline fbc_rule fbc_check_width(uint32_t bits, uint32_t widths) {
    const uint32_t is_width = bits == 2u || bits == 4u || bits == 8u || bits == 32u;
    return is_width && (bits & widths) != 0u ? FBC_RULE_KEPT : FBC_RULE_WIDTH;
}

static inline fbc_rule fbc_check_bounds(int32_t low, int32_t high, uint32_t shift, uint32_t largest_shift,
                                        uint32_t output_bits) {
    if (output_bits == 0u || output_bits > 32u) {
        return FBC_RULE_WIDTH;
    }
    const int64_t least = output_bits < 32u ? -((int64_t)1 << (output_bits - 1u)) : INT32_MIN;
    const int64_t most = output_bits < 32u ? ((int64_t)1 << output_bits) - 1 : INT32_MAX;
    const int in_range = low <= high && low >= least && high <= most;
    const int in_type = output_bits == 32u || (int64_t)high - low < (int64_t)1 << output_bits;
    return shift <= largest_shift && in_range && in_type ? FBC_RULE_KEPT : FBC_RULE_REQUANTIZATION;
}

static inline fbc_rule fbc_check_requantization(const fbc_requantization *parameters, uint32_t output_bits,
                                                const fbc_kernel_limits *limits) {
    const fbc_rule rules[] = {
        fbc_check_pointer(parameters->scale),
        fbc_check_pointer(parameters->addend),
        parameters->wide && !limits->wide ? FBC_RULE_REQUANTIZATION : FBC_RULE_KEPT,
        parameters->form != limits->form ? FBC_RULE_REQUANTIZATION : FBC_RULE_KEPT,
        fbc_check_bounds(parameters->low, parameters->high, parameters->shift, parameters->wide ? 62u : 31u,
                         output_bits),
    };
    return fbc_first_rule(rules, sizeof rules / sizeof rules[0]);
}

/* Rows, or columns. A tile may hold more of the input than is read, or none at all where all of it is padding. */
static inline fbc_rule fbc_check_windows(uint32_t outputs, uint32_t kernel, uint32_t stride, uint32_t pad,
                                         uint32_t inputs, uint32_t pad_behind) {
    if (outputs == 0u || kernel == 0u || stride == 0u) {
        return FBC_RULE_SIZE;
    }
    const uint64_t read = (uint64_t)(outputs - 1u) * stride + kernel;
    return read <= (uint64_t)pad + inputs + pad_behind ? FBC_RULE_KEPT : FBC_RULE_GEOMETRY;
}

static inline fbc_rule fbc_check_channels(uint32_t channels, const fbc_kernel_limits *limits) {
    if (channels == 0u) {
        return FBC_RULE_SIZE;
    }
    const uint32_t rest = channels % limits->channel_block, last_rest = limits->layer_channels % limits->channel_block;
    const int fits = channels <= limits->layer_channels && (rest == 0u || rest == last_rest);
    return fits ? FBC_RULE_KEPT : FBC_RULE_CHANNELS;
}

static inline fbc_rule fbc_check_conv_args(const fbc_conv_args *args, const fbc_kernel_limits *limits) {
    const uint32_t in_first = args->input_channel_first, out_first = args->output_channel_first;
    const int unpaired = limits->depthwise && args->input_channels != args->output_channels;
    const fbc_rule rules[] = {
        fbc_check_pointer(args->input),
        fbc_check_pointer(args->weights),
        fbc_check_pointer(args->output),
        args->scratch == NULL ? FBC_RULE_KEPT : fbc_check_pointer(args->scratch),
        args->input_channels == 0u ? FBC_RULE_SIZE : FBC_RULE_KEPT,
        fbc_check_width(args->activation_bits, limits->activation_widths),
        fbc_check_width(args->weight_bits, limits->weight_widths),
        fbc_check_width(args->output_bits, limits->output_widths),
        fbc_check_requantization(&args->requantization, args->output_bits, limits),
        fbc_check_windows(args->output_height, args->kernel_height, args->stride_height, args->pad_top,
                          args->input_height, limits->pad_bottom),
        fbc_check_windows(args->output_width, args->kernel_width, args->stride_width, args->pad_left, args->input_width,
                          limits->pad_right),
        fbc_check_channels(args->output_channels, limits),
        limits->in_place && !fbc_fits_in_place(args) ? FBC_RULE_GEOMETRY : FBC_RULE_KEPT,
        limits->in_place && limits->input_channel_first != in_first ? FBC_RULE_LAYOUT : FBC_RULE_KEPT,
        unpaired ? FBC_RULE_CHANNELS : FBC_RULE_KEPT,
        in_first > limits->input_channel_first || out_first > limits->output_channel_first ? FBC_RULE_LAYOUT
                                                                                           : FBC_RULE_KEPT,
    };
    return fbc_first_rule(rules, sizeof rules / sizeof rules[0]);
}

static inline fbc_rule fbc_check_add_args(const fbc_add_args *args, const fbc_kernel_limits *limits) {
    const fbc_rule rules[] = {
        fbc_check_pointer(args->input_a),
        fbc_check_pointer(args->input_b),
        fbc_check_pointer(args->output),
        args->pixels == 0u ? FBC_RULE_SIZE : FBC_RULE_KEPT,
        fbc_check_width(args->bits_a, limits->activation_widths),
        fbc_check_width(args->bits_b, limits->activation_widths),
        fbc_check_width(args->output_bits, limits->output_widths),
        fbc_check_bounds(args->low, args->high, args->shift, 31u, args->output_bits),
        fbc_check_channels(args->channels, limits),
    };
    return fbc_first_rule(rules, sizeof rules / sizeof rules[0]);
}

/* The average pool has a requantization, the max pool none. */
static inline fbc_rule fbc_check_pool_args(const fbc_pool_args *args, const fbc_kernel_limits *limits, int averages) {
    const int other_width = !averages && args->activation_bits != args->output_bits;
    const int several = averages && (args->output_height != 1u || args->output_width != 1u);
    const fbc_rule rules[] = {
        fbc_check_pointer(args->input),
        fbc_check_pointer(args->output),
        fbc_check_width(args->activation_bits, limits->activation_widths),
        fbc_check_width(args->output_bits, limits->output_widths),
        other_width ? FBC_RULE_WIDTH : FBC_RULE_KEPT,
        averages ? fbc_check_requantization(&args->requantization, args->output_bits, limits) : FBC_RULE_KEPT,
        fbc_check_windows(args->output_height, args->kernel_height, args->stride_height, args->pad_top,
                          args->input_height, limits->pad_bottom),
        fbc_check_windows(args->output_width, args->kernel_width, args->stride_width, args->pad_left, args->input_width,
                          limits->pad_right),
        several ? FBC_RULE_GEOMETRY : FBC_RULE_KEPT,
        fbc_check_channels(args->channels, limits),
    };
    return fbc_first_rule(rules, sizeof rules / sizeof rules[0]);
}

static inline fbc_rule fbc_check_concat_args(const fbc_concat_args *args, const fbc_kernel_limits *limits) {
    const uint32_t end = (uint32_t)args->output_offset + args->channels;
    const fbc_rule rules[] = {
        fbc_check_pointer(args->input),
        fbc_check_pointer(args->output),
        args->pixels == 0u || args->channels == 0u ? FBC_RULE_SIZE : FBC_RULE_KEPT,
        fbc_check_width(args->activation_bits, limits->activation_widths),
        fbc_check_width(args->output_bits, limits->output_widths),
        fbc_check_requantization(&args->requantization, args->output_bits, limits),
        end > args->output_channels ? FBC_RULE_CHANNELS : FBC_RULE_KEPT,
    };
    return fbc_first_rule(rules, sizeof rules / sizeof rules[0]);
}

#endif
