/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution 3x3, stride 1 or 2, any padding below 3, channels a multiple of 4, 32-bit requantization.
 *
 * The work is cut into units: a band of output rows of four channels. Each core takes a run of units; of each it writes
 * the input planes with their borders into scratch once, then it walks down all strips of two output columns with two
 * channels and again with the other two. */
#ifndef FBC_DEPTHWISE_3X3_H
#define FBC_DEPTHWISE_3X3_H

#include "common/fbc_share.h"
#include "micro/fbc_depthwise_planes.h"
#include "micro/fbc_depthwise_strips.h"

enum { FBC_DEPTHWISE_KERNEL = 3, FBC_DEPTHWISE_CHANNELS = 4, FBC_DEPTHWISE_PLANES_BYTES = 3072 };

typedef struct {
    uint32_t groups;     /* of four channels */
    uint32_t bands;      /* of output rows */
    uint32_t band_rows;  /* output rows of a band; the last may have fewer */
    uint32_t quads;      /* words of a row of a plane */
    uint32_t pair_bytes; /* of two planes */
    uint32_t core_bytes; /* of scratch */
} fbc_depthwise_plan;

/* Enough bands that the planes stay small, and up to seven more if that lets the cores end together. A unit costs about
 * its output pixels, two rows of borders, and what twenty pixels cost. The compiler's side is DepthwiseKernel in
 * fbcompile/lowering/kernels/depthwise.py; a test compares the two. */
FBC_INLINE fbc_depthwise_plan fbc_make_depthwise_plan(const fbc_conv_args *args) {
    const uint32_t width = args->output_width, height = args->output_height, stride = args->stride_height;
    const uint32_t cores = fbc_core_count();
    const uint32_t reach = ((width < 2u ? 2u : width) - 1u) * stride + 4u;
    fbc_depthwise_plan plan = {.groups = args->output_channels / FBC_DEPTHWISE_CHANNELS, .quads = (reach + 3u) >> 2};
    const uint32_t input_rows = FBC_DEPTHWISE_PLANES_BYTES / (16u * plan.quads);
    const uint32_t most_rows = input_rows < FBC_DEPTHWISE_KERNEL ? 1u : (input_rows - FBC_DEPTHWISE_KERNEL) / stride + 1u;
    const uint32_t fewest = (height + most_rows - 1u) / most_rows;
    uint32_t least = UINT32_MAX;
    for (uint32_t bands = fewest; bands < fewest + 8u && bands <= height; bands++) {
        const uint32_t rows = (height + bands - 1u) / bands;
        const uint32_t units = plan.groups * bands;
        const uint32_t cost = (units + cores - 1u) / cores * ((rows + 2u) * width + 20u);
        if (cost < least) {
            least = cost;
            plan.band_rows = rows;
        }
        if (units % cores == 0u) {
            break;
        }
    }
    plan.bands = (height + plan.band_rows - 1u) / plan.band_rows;
    plan.pair_bytes = 8u * plan.quads * ((plan.band_rows - 1u) * stride + FBC_DEPTHWISE_KERNEL);
    plan.core_bytes = 2u * plan.pair_bytes + 4u; /* a word more, so that the cores begin in different banks */
    return plan;
}

FBC_INLINE uint32_t fbc_depthwise_scratch_bytes(const fbc_conv_args *args) {
    return fbc_core_count() * fbc_make_depthwise_plan(args).core_bytes;
}

FBC_INLINE uint32_t fbc_load_word_anywhere(const uint8_t *address) {
    uint32_t word;
#ifdef FBC_XPULPV2
    __asm__ volatile("lw %0, 0(%1)" : "=r"(word) : "r"(address) : "memory"); /* misaligned: two cycles */
#else
    memcpy(&word, address, sizeof word);
#endif
    return word;
}

/* The three taps of each row in the low bytes of a word. */
FBC_INLINE void fbc_read_taps(const uint8_t *filter, uint32_t bits, uint32_t taps[3]) {
    if (bits == 8u) { /* reads no byte behind the filter, which may be the last one */
        taps[0] = fbc_load_word_anywhere(filter) & 0xFFFFFFu;
        taps[1] = fbc_load_word_anywhere(filter + 3) & 0xFFFFFFu;
        taps[2] = fbc_load_word_anywhere(filter + 5) >> 8;
        return;
    }
    for (uint32_t row = 0; row < 3u; row++) {
        taps[row] = 0;
        for (uint32_t i = 0; i < 3u; i++) {
            taps[row] |= ((uint32_t)fbc_read_lane(filter, 3u * row + i, bits, 1u) & 0xFFu) << 8u * i;
        }
    }
}

/* Filters and parameters of two channels. */
FBC_INLINE void fbc_prepare_pair(const fbc_conv_args *args, uint32_t channel, fbc_strip_pair *pair) {
    const fbc_requantization *parameters = &args->requantization;
    const uint32_t filter_bytes = fbc_lane_bytes(9u, args->weight_bits);
    for (uint32_t i = 0; i < 2u; i++) {
        const uint8_t *filter = (const uint8_t *)args->weights + (channel + i) * filter_bytes;
        uint32_t *taps = pair->weights[i][0];
        if (args->weight_bits == 8u) {
            fbc_read_taps(filter, 8u, taps);
        } else if (args->weight_bits == 4u) {
            fbc_read_taps(filter, 4u, taps);
        } else {
            fbc_read_taps(filter, 2u, taps);
        }
        for (uint32_t row = 0; row < 3u; row++) {
            pair->weights[i][1][row] = taps[row] << 8;
        }
        pair->multiplier[i] = parameters->scale[channel + i].multiplier;
        pair->clamp[i] = parameters->clamped ? parameters->scale[channel + i].clamp : INT32_MAX;
        pair->addend[i] = ((const int32_t *)parameters->addend)[channel + i];
    }
}

/* What does not depend on channels and bands. */
FBC_INLINE void fbc_prepare_strips(const fbc_conv_args *args, const fbc_depthwise_plan *plan, fbc_strip_pair *pair) {
    pair->low = args->requantization.low;
    pair->high = args->requantization.high;
    pair->shift = args->requantization.shift;
    pair->column = 0;
    pair->last = args->output_width < 2u ? 0u : args->output_width - 2u;
    pair->pixel_bytes = fbc_lane_bytes(args->output_channels, args->output_bits);
    pair->second_bytes = args->output_width < 2u ? 0u : pair->pixel_bytes;
    pair->row_bytes = args->output_width * pair->pixel_bytes;
    pair->plane_bytes = 4u * plan->quads;
}

typedef void (*fbc_fill_function)(const fbc_planes *planes);

FBC_INLINE fbc_fill_function fbc_choose_fill(const fbc_conv_args *args) {
    if (args->input_channel_first) {
        return fbc_fill_planes_first;
    }
    if (args->activation_bits == 8u) {
        return fbc_fill_planes_8;
    }
    if (args->activation_bits == 4u) {
        return args->activation_signed ? fbc_fill_planes_4_1 : fbc_fill_planes_4_0;
    }
    return args->activation_signed ? fbc_fill_planes_2_1 : fbc_fill_planes_2_0;
}

/* Four channels' planes of `rows` input rows, the first of which is row `top` of the tile or a border. */
FBC_INLINE void fbc_write_planes(const fbc_conv_args *args, const fbc_depthwise_plan *plan, fbc_fill_function fill,
                                 uint32_t channel, int32_t top, int32_t rows, uint8_t *pairs) {
    const int32_t height = args->input_height;
    const int32_t above = top >= 0 ? 0 : -top < rows ? -top : rows;
    const int32_t rest = height - (top + above) < rows - above ? height - (top + above) : rows - above;
    const uint32_t inside = rest > 0 ? (uint32_t)rest : 0u;
    const uint32_t below = (uint32_t)(rows - above) - inside;
    const uint32_t row_bytes = 8u * plan->quads; /* of a pair */
    fbc_planes planes = {.width = args->input_width, .pad_left = args->pad_left, .rows = inside, .quads = plan->quads};
    planes.column_bytes =
        args->input_channel_first ? 1u : fbc_lane_bytes(args->input_channels, args->activation_bits);
    planes.row_bytes = args->input_width * planes.column_bytes;
    planes.channel_bytes = args->input_height * planes.row_bytes;
    planes.input = (const uint8_t *)args->input + (uint32_t)(top + above) * planes.row_bytes;
    planes.input += args->input_channel_first ? channel * planes.channel_bytes : channel * args->activation_bits >> 3;
    for (uint32_t i = 0; i < 2u; i++) {
        uint8_t *pair = pairs + i * plan->pair_bytes;
        planes.to[i] = pair + (uint32_t)above * row_bytes;
        fbc_clear_planes(pair, (uint32_t)above, plan->quads);
        fbc_clear_planes(planes.to[i] + inside * row_bytes, below, plan->quads);
    }
    if (inside > 0u) {
        fill(&planes);
    }
}

typedef void (*fbc_strips_function)(fbc_strip_pair *pair);

/* By sign of the activations, stride, kind of requantization, pair of channels. */
typedef const fbc_strips_function fbc_strips_table[2][2][3][2];

FBC_INLINE const fbc_strips_function *fbc_choose_strips(const fbc_conv_args *args, fbc_strips_table *table) {
    const fbc_requantization *parameters = &args->requantization;
    fbc_strip_kind kind = FBC_STRIP_GENERAL;
    if (parameters->low == 0 && parameters->high == (int32_t)(1u << args->output_bits) - 1) {
        kind = parameters->clamped ? FBC_STRIP_CLAMPED : FBC_STRIP_PLAIN;
    }
    return (*table)[args->activation_signed != 0u][args->stride_height - 1u][kind];
}

FBC_INLINE void fbc_depthwise_3x3(const void *arguments, fbc_strips_table *table) {
    /* A copy on the core's own stack: the caller's may lie in slow memory. */
    const fbc_conv_args copy = *(const fbc_conv_args *)arguments;
    const fbc_conv_args *args = &copy;
    const fbc_depthwise_plan plan = fbc_make_depthwise_plan(args);
    const fbc_strips_function *convolve = fbc_choose_strips(args, table);
    const fbc_fill_function fill = fbc_choose_fill(args);
    const fbc_range units = fbc_core_range(plan.groups * plan.bands);
    const uint32_t steps = args->stride_height == 1u ? 3u : 2u;
    uint8_t *planes = (uint8_t *)args->scratch + fbc_core_id() * plan.core_bytes;
    fbc_strip_pair pairs[2];
    fbc_prepare_strips(args, &plan, &pairs[0]);
    pairs[1] = pairs[0];
    for (uint32_t unit = units.begin; unit < units.end; unit++) {
        const uint32_t channel = unit / plan.bands * FBC_DEPTHWISE_CHANNELS;
        const uint32_t row = unit % plan.bands * plan.band_rows;
        const uint32_t left = args->output_height - row;
        const uint32_t rows = left < plan.band_rows ? left : plan.band_rows;
        if (unit == units.begin || row == 0u) {
            fbc_prepare_pair(args, channel, &pairs[0]);
            fbc_prepare_pair(args, channel + 2u, &pairs[1]);
        }
        fbc_write_planes(args, &plan, fill, channel, (int32_t)(row * args->stride_height) - args->pad_top,
                         (int32_t)((rows - 1u) * args->stride_height + FBC_DEPTHWISE_KERNEL), planes);
        for (uint32_t i = 0; i < 2u; i++) {
            pairs[i].rounds = (rows + steps - 1u) / steps;
            pairs[i].rest = rows % steps;
            pairs[i].plane = planes + i * plan.pair_bytes;
            pairs[i].output = (uint8_t *)args->output + row * pairs[i].row_bytes +
                              ((channel + 2u * i) * args->output_bits >> 3);
            convolve[i](&pairs[i]);
        }
    }
}

/* A kernel for one width of outputs: `low` and `high` say how the first and the second pair of channels are stored. */
#define FBC_DEPTHWISE_STRIPS(store, is_signed, stride) \
    FBC_DEFINE_STRIPS(is_signed, stride, PLAIN, store) \
    FBC_DEFINE_STRIPS(is_signed, stride, CLAMPED, store) \
    FBC_DEFINE_STRIPS(is_signed, stride, GENERAL, store)
#define FBC_DEPTHWISE_ALL_STRIPS(store) \
    FBC_DEPTHWISE_STRIPS(store, 0, 1) \
    FBC_DEPTHWISE_STRIPS(store, 0, 2) \
    FBC_DEPTHWISE_STRIPS(store, 1, 1) \
    FBC_DEPTHWISE_STRIPS(store, 1, 2)
#define FBC_DEPTHWISE_NAMES(is_signed, stride, low, high) \
    { \
        {fbc_strips_##is_signed##_##stride##_PLAIN_##low, fbc_strips_##is_signed##_##stride##_PLAIN_##high}, \
            {fbc_strips_##is_signed##_##stride##_CLAMPED_##low, fbc_strips_##is_signed##_##stride##_CLAMPED_##high}, \
            {fbc_strips_##is_signed##_##stride##_GENERAL_##low, fbc_strips_##is_signed##_##stride##_GENERAL_##high}, \
    }
#define FBC_DEFINE_DEPTHWISE(name, low, high) \
    static fbc_strips_table table = { \
        {FBC_DEPTHWISE_NAMES(0, 1, low, high), FBC_DEPTHWISE_NAMES(0, 2, low, high)}, \
        {FBC_DEPTHWISE_NAMES(1, 1, low, high), FBC_DEPTHWISE_NAMES(1, 2, low, high)}, \
    }; \
    void name(void *arguments) { \
        fbc_depthwise_3x3(arguments, &table); \
    } \
    uint32_t name##_scratch_bytes(const fbc_conv_args *args) { \
        return fbc_depthwise_scratch_bytes(args); \
    }

#endif
