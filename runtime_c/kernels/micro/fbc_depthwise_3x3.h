/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution 3x3, stride 1 or 2, any padding below 3, channels a multiple of 4, 32-bit requantization.
 *
 * The work is cut into units: a band of output rows of four channels. Each core takes a run of units; of each it writes
 * the input planes with their borders into scratch once, then it walks down all strips of two output columns with two
 * channels and again with the other two. */
#ifndef FBC_DEPTHWISE_3X3_H
#define FBC_DEPTHWISE_3X3_H

#include "micro/fbc_depthwise_bands.h"
#include "micro/fbc_depthwise_strips.h"
#include "micro/fbc_widen_filter_rows.h"

/* A unit costs about five cycles per pixel and row that it writes into its planes, thirty-five per output pixel, and
 * what strips and a unit cost by themselves. */
static const fbc_band_costs fbc_strip_costs = {.kernel = 3, .pixel = 8, .column = 5, .unit = 70};

/* Parameters of two channels, the multipliers less one. */
FBC_INLINE void fbc_copy_parameters(const fbc_requantization *parameters, uint32_t channel, fbc_strip_pair *pair) {
    const fbc_scale *scale = parameters->scale + channel;
    const int32_t *addend = (const int32_t *)parameters->addend + channel;
    pair->multiplier[0] = scale[0].multiplier;
    pair->multiplier[1] = scale[1].multiplier;
    pair->addend[0] = addend[0];
    pair->addend[1] = addend[1];
}

/* Behind a clamp, products are added to an addend that is loaded. */
FBC_INLINE void fbc_copy_clamps(const fbc_requantization *parameters, uint32_t channel, fbc_strip_pair *pair) {
    const fbc_scale *scale = parameters->scale + channel;
    pair->multiplier[0]++;
    pair->multiplier[1]++;
    pair->clamp[0] = parameters->clamped ? scale[0].clamp : INT32_MAX;
    pair->clamp[1] = parameters->clamped ? scale[1].clamp : INT32_MAX;
}

FBC_INLINE void fbc_copy_folded(const fbc_requantization *parameters, uint32_t channel, fbc_strip_pair *pair) {
    const fbc_scale *scale = parameters->scale + channel;
    const int32_t *addend = (const int32_t *)parameters->addend + 2u * channel;
    pair->multiplier[0] = scale[0].multiplier;
    pair->clamp[0] = scale[0].clamp;
    pair->multiplier[1] = scale[1].multiplier;
    pair->clamp[1] = scale[1].clamp;
    pair->offset[0] = addend[0];
    pair->addend[0] = addend[1];
    pair->offset[1] = addend[2];
    pair->addend[1] = addend[3];
}

/* Of four channels. A function, because it is not read where nothing is clamped. */
static __attribute__((noinline)) void fbc_prepare_bounds(const fbc_requantization *parameters, uint32_t channel,
                                                         fbc_strip_pair pairs[2]) {
    for (fbc_strip_pair *pair = pairs; pair < pairs + 2; pair++, channel += 2u) {
        if (parameters->form == FBC_FORM_FOLDED) {
            fbc_copy_folded(parameters, channel, pair);
        } else {
            fbc_copy_parameters(parameters, channel, pair);
            fbc_copy_clamps(parameters, channel, pair);
        }
    }
}

FBC_INLINE void fbc_prepare_parameters(const fbc_requantization *parameters, uint32_t channel, fbc_strip_kind kind,
                                       fbc_strip_pair pairs[2]) {
    if (kind == FBC_STRIP_PLAIN) {
        fbc_copy_parameters(parameters, channel, &pairs[0]);
        fbc_copy_parameters(parameters, channel + 2u, &pairs[1]);
    } else {
        fbc_prepare_bounds(parameters, channel, pairs);
    }
}

/* What does not depend on channels and bands. */
FBC_INLINE void fbc_prepare_strips(const fbc_conv_args *args, const fbc_depthwise_plan *plan, uint8_t *scratch,
                                   fbc_strip_pair pairs[2]) {
    /* Of an odd number of columns, the first strip begins with one before them. */
    const uint32_t before = args->pad_left + (args->output_width & 1u) * args->stride_width;
    const uint32_t lanes = args->stride_width == 2u ? before & 1u : 0u;
    const uint32_t pixel_bytes = fbc_lane_bytes(args->output_channels, args->output_bits);
    const uint32_t folded = args->requantization.form == FBC_FORM_FOLDED;
    for (uint32_t i = 0; i < 2u; i++) {
        pairs[i].shift = folded ? (uint32_t)FBC_STRIP_UPPER_BYTES : args->requantization.shift;
        pairs[i].low = args->requantization.low;
        pairs[i].high = args->requantization.high;
        pairs[i].strips = (args->output_width + 1u) >> 1;
        pairs[i].pixel_bytes = pixel_bytes;
        pairs[i].row_bytes = args->output_width * pixel_bytes;
        pairs[i].plane_bytes = 4u * plan->quads;
        pairs[i].plane = scratch + i * plan->pair_bytes + 4u - before - lanes;
        pairs[i].lanes = 8u * lanes;
    }
}

/* Output rows [row, row + rows) of the tile: what a band tells its planes and strips. Returns the first row of the tile
 * that the planes hold. */
FBC_INLINE uint32_t fbc_begin_band(const fbc_conv_args *args, const fbc_depthwise_plan *plan, uint32_t row,
                                   uint32_t rows, uint8_t *scratch, fbc_planes *planes, fbc_strip_pair pairs[2]) {
    const uint32_t stride = args->stride_height, steps = stride == 1u ? 3u : 2u;
    const uint32_t all = (rows - 1u) * stride + fbc_strip_costs.kernel, row_bytes = 8u * plan->quads; /* of a pair */
    const uint32_t rounds = stride == 1u ? fbc_third(rows + 2u) : (rows + 1u) >> 1;
    const uint32_t rest = rows + steps - rounds * steps; /* rows of the first round */
    for (uint32_t i = 0; i < 2u; i++) {
        pairs[i].rounds = rounds;
        pairs[i].rest = rest == steps ? 0u : rest;
        pairs[i].plane_next = 2u * stride - all * row_bytes;
        pairs[i].output_next = 2u * pairs[i].pixel_bytes - rows * pairs[i].row_bytes;
    }
    return fbc_begin_planes(args, plan, row, all, scratch, planes);
}

typedef void (*fbc_strips_function)(fbc_strip_pair *pair);

/* By sign of the activations, stride, kind of requantization, pair of channels. */
typedef const fbc_strips_function fbc_strips_table[2][2][4][2];

FBC_INLINE fbc_strip_kind fbc_choose_kind(const fbc_conv_args *args) {
    const fbc_requantization *parameters = &args->requantization;
    if (parameters->form == FBC_FORM_FOLDED) {
        return FBC_STRIP_FOLDED;
    }
    if (parameters->low != 0 || parameters->high != (int32_t)(1u << args->output_bits) - 1) {
        return FBC_STRIP_GENERAL;
    }
    return parameters->clamped ? FBC_STRIP_CLAMPED : FBC_STRIP_PLAIN;
}

/* What a core works with. The cores' stacks lie in the same banks, but all of this is read all the time, so that each
 * core has it at another place of its stack. */
typedef struct {
    fbc_strip_pair pairs[2];
    fbc_planes planes;
    uint32_t filters[FBC_FILTER_ROWS]; /* widened */
} fbc_depthwise_core;

/* Of four channels. */
FBC_INLINE void fbc_prepare_filters(const fbc_conv_args *args, uint32_t channel, fbc_depthwise_core *core) {
    const uint32_t *rows = (const uint32_t *)args->weights + 3u * channel * args->weight_bits / 8u;
    if (args->weight_bits != 8u) {
        fbc_widen_filters(rows, args->weight_bits, 1u, core->filters);
        rows = core->filters;
    }
    core->pairs[0].filters = rows;
    core->pairs[1].filters = rows + FBC_FILTER_ROWS / 2;
}

FBC_INLINE void fbc_depthwise_3x3(const fbc_conv_args *args, fbc_strips_table *table) {
    const fbc_depthwise_plan plan = fbc_make_depthwise_plan(args, &fbc_strip_costs);
    const fbc_strips_function(*functions)[2] = (*table)[args->activation_signed != 0u][args->stride_height - 1u];
    const fbc_strip_kind kind = fbc_choose_kind(args);
    const fbc_fill_function fill = fbc_choose_fill(args);
    const fbc_range units = fbc_core_range(plan.groups * plan.bands);
    const uint32_t bits = args->activation_bits, channel_first = args->input_channel_first;
    const uint32_t odd = args->output_width & 1u;
    uint8_t *scratch = (uint8_t *)args->scratch + fbc_core_id() * plan.core_bytes;
    struct {
        fbc_depthwise_core first;
        uint32_t more[14];
    } room;
    fbc_depthwise_core *core = (fbc_depthwise_core *)(void *)((uint8_t *)&room + 8u * (fbc_core_id() & 7u));
    fbc_strip_pair *pairs = core->pairs;
    fbc_planes *planes = &core->planes;
    const uint8_t *input = args->input;
    uint32_t channel = (plan.bands == 1u ? units.begin : units.begin / plan.bands) * FBC_DEPTHWISE_CHANNELS;
    uint32_t row = plan.bands == 1u ? 0u : units.begin % plan.bands * plan.band_rows;
    fbc_prepare_planes(args, &plan, planes);
    fbc_prepare_strips(args, &plan, scratch, pairs);
    /* Read once: the table is far away. One function does both pairs unless they are stored differently. */
    const fbc_strips_function first = functions[kind][0], second = functions[kind][1];
    pairs[0].next = first == second ? &pairs[1] : NULL;
    pairs[1].next = NULL;
    fbc_clear_words(scratch, 4u * ((plan.band_rows - 1u) * args->stride_height + fbc_strip_costs.kernel) + 1u,
                    4u * plan.quads);
    for (uint32_t unit = units.begin; unit < units.end; unit++) {
        if (unit == units.begin || plan.bands > 1u) {
            const uint32_t left = args->output_height - row;
            const uint32_t rows = left < plan.band_rows ? left : plan.band_rows;
            const uint32_t top = fbc_begin_band(args, &plan, row, rows, scratch, planes, pairs);
            input = (const uint8_t *)args->input + top * planes->row_bytes;
        }
        planes->input = input + (channel_first ? channel * planes->spread : channel * bits >> 3);
        fill(planes);
        fbc_prepare_filters(args, channel, core);
        fbc_prepare_parameters(&args->requantization, channel, kind, pairs);
        uint8_t *output = (uint8_t *)args->output + row * pairs->row_bytes;
        for (uint32_t i = 0; i < 2u; i++) {
            pairs[i].left = output + ((channel + 2u * i) * args->output_bits >> 3);
            pairs[i].right = odd != 0u ? pairs[i].left : pairs[i].left + pairs[i].pixel_bytes;
        }
        first(&pairs[0]);
        if (first != second) {
            second(&pairs[1]);
        }
        row += plan.band_rows;
        if (row >= args->output_height) {
            row = 0;
            channel += FBC_DEPTHWISE_CHANNELS;
        }
    }
}

/* Of one width of outputs; `folded` says how folded parameters are computed with. */
#define FBC_DEPTHWISE_STRIPS(folded, store, is_signed, stride) \
    FBC_DEFINE_STRIPS(is_signed, stride, PLAIN, store) \
    FBC_DEFINE_STRIPS(is_signed, stride, CLAMPED, store) \
    FBC_DEFINE_STRIPS(is_signed, stride, GENERAL, store) \
    FBC_DEFINE_STRIPS(is_signed, stride, folded, store)
#define FBC_DEPTHWISE_ALL_STRIPS(folded, store) \
    FBC_DEPTHWISE_STRIPS(folded, store, 0, 1) \
    FBC_DEPTHWISE_STRIPS(folded, store, 0, 2) \
    FBC_DEPTHWISE_STRIPS(folded, store, 1, 1) \
    FBC_DEPTHWISE_STRIPS(folded, store, 1, 2)
/* An fbc_strips_table: `low` and `high` say how the first and the second pair of channels are stored. */
#define FBC_DEPTHWISE_PAIR(is_signed, stride, kind, low, high) \
    {fbc_strips_##is_signed##_##stride##_##kind##_##low, fbc_strips_##is_signed##_##stride##_##kind##_##high}
#define FBC_DEPTHWISE_NAMES(is_signed, stride, folded, low, high) \
    { \
        FBC_DEPTHWISE_PAIR(is_signed, stride, PLAIN, low, high), \
        FBC_DEPTHWISE_PAIR(is_signed, stride, CLAMPED, low, high), \
        FBC_DEPTHWISE_PAIR(is_signed, stride, GENERAL, low, high), \
        FBC_DEPTHWISE_PAIR(is_signed, stride, folded, low, high), \
    }
#define FBC_DEPTHWISE_TABLE(folded, low, high) \
    { \
        {FBC_DEPTHWISE_NAMES(0, 1, folded, low, high), FBC_DEPTHWISE_NAMES(0, 2, folded, low, high)}, \
        {FBC_DEPTHWISE_NAMES(1, 1, folded, low, high), FBC_DEPTHWISE_NAMES(1, 2, folded, low, high)}, \
    }

#endif
