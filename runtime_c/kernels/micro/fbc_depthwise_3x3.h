/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution 3x3, stride 1 or 2, any padding below 3, channels a multiple of 4, 32-bit requantization.
 *
 * The work is cut into units: a band of output rows of four channels. Each core takes a run of units, those of a band
 * one after the other; of as many of a band as its scratch has room for it writes the input planes with their borders,
 * then it walks down all strips of two output columns with two channels after the other. */
#ifndef FBC_DEPTHWISE_3X3_H
#define FBC_DEPTHWISE_3X3_H

#include "micro/fbc_depthwise_bands.h"
#include "micro/fbc_depthwise_strips.h"
#include "micro/fbc_widen_filter_rows.h"

enum { FBC_DEPTHWISE_AT_ONCE = 4 };

/* A unit costs about five cycles per pixel and row that it writes into its planes, thirty-five per output pixel, and
 * what strips and a unit cost by themselves. */
static const fbc_band_costs fbc_strip_costs = {
    .kernel = 3, .at_once = FBC_DEPTHWISE_AT_ONCE, .pixel = 8, .column = 5, .unit = 70};

typedef void (*fbc_strips_function)(fbc_strip_pairs *pairs);

/* By sign of the activations, stride, kind of requantization. */
typedef const fbc_strips_function fbc_strips_table[2][2][4];

FBC_INLINE fbc_strip_kind fbc_choose_kind(const fbc_requantization *parameters, uint32_t bits) {
    if (parameters->form == FBC_FORM_FOLDED) {
        return FBC_STRIP_FOLDED;
    }
    if (parameters->low != 0 || parameters->high != (int32_t)(1u << bits) - 1) {
        return FBC_STRIP_GENERAL;
    }
    return parameters->clamped ? FBC_STRIP_CLAMPED : FBC_STRIP_PLAIN;
}

/* What a core works with. The cores' stacks lie in the same banks, but all of this is read all the time, so that each
 * core has it at another place of its stack. */
typedef struct {
    fbc_strip_pairs pairs;
    fbc_planes planes;
    uint32_t filters[FBC_DEPTHWISE_AT_ONCE * FBC_FILTER_ROWS]; /* widened */
} fbc_depthwise_core;

/* What does not depend on channels and bands. */
FBC_INLINE void fbc_prepare_strips(const fbc_conv_args *args, uint32_t bits, const fbc_depthwise_plan *plan,
                                   const uint8_t *scratch, fbc_strip_pairs *pairs) {
    const uint32_t width = args->output_width, odd = width & 1u, stride = args->stride_width;
    /* Of an odd number of columns, the first strip begins with one before them. */
    const uint32_t before = args->pad_left + (odd << (stride - 1u)), lanes = before & (stride - 1u);
    const uint32_t pixel_bytes = args->output_channels * bits >> 3;
    const uint32_t folded = args->requantization.form == FBC_FORM_FOLDED;
    pairs->strips = (width + 1u) >> 1;
    pairs->plane = scratch + 4u - before - lanes;
    pairs->lanes = 8u * lanes;
    pairs->left = odd != 0u ? 0u : pixel_bytes;
    pairs->plane_pair = (plan->pair_bytes << (bits == 2u)) - 2u * stride * pairs->strips;
    pairs->output_pair = (bits == 8u ? 2u : 1u) - 2u * pixel_bytes * pairs->strips;
    pairs->pixel_bytes = pixel_bytes;
    pairs->row_bytes = width * pixel_bytes;
    pairs->plane_bytes = 4u * plan->quads;
    pairs->shift = folded && bits == 8u ? (uint32_t)FBC_STRIP_UPPER_BYTES : args->requantization.shift;
    pairs->low = args->requantization.low;
    pairs->high = args->requantization.high;
}

/* Output rows [row, row + rows) of the tile: what a band tells its planes and strips. Returns the first row of the tile
 * that the planes hold. */
FBC_INLINE uint32_t fbc_begin_band(const fbc_conv_args *args, const fbc_depthwise_plan *plan, uint32_t row,
                                   uint8_t *scratch, fbc_depthwise_core *core) {
    const uint32_t left = args->output_height - row, rows = left < plan->band_rows ? left : plan->band_rows;
    const uint32_t stride = args->stride_height, steps = 4u - stride;
    const uint32_t all = (rows - 1u) * stride + fbc_strip_costs.kernel, row_bytes = 8u * plan->quads; /* of a pair */
    const uint32_t rounds = stride == 1u ? fbc_third(rows + 2u) : (rows + 1u) >> 1;
    fbc_strip_pairs *pairs = &core->pairs;
    pairs->rounds = rounds;
    pairs->missing = rounds * steps - rows;
    pairs->plane_next = 2u * stride - all * row_bytes;
    pairs->output_next = 2u * pairs->pixel_bytes - rows * pairs->row_bytes;
    return fbc_begin_planes(args, plan, row, all, scratch, &core->planes);
}

/* All outputs of the pairs from the one of that channel on, or of every other one. */
FBC_INLINE void fbc_compute_pairs(const fbc_conv_args *args, uint32_t channel, const uint32_t *filters,
                                  fbc_strips_function strips, fbc_strip_pairs *pairs) {
    const fbc_requantization *parameters = &args->requantization;
    pairs->filters = filters;
    pairs->scales = parameters->scale + channel;
    pairs->addends = (const int32_t *)parameters->addend + (channel << (parameters->form == FBC_FORM_FOLDED));
    strips(pairs);
}

/* `second`: of every other pair, NULL if the first function does all. */
FBC_INLINE void fbc_depthwise_3x3(const fbc_conv_args *args, uint32_t bits, fbc_strips_table *first,
                                  fbc_strips_table *second) {
    const fbc_depthwise_plan plan = fbc_make_depthwise_plan(args, &fbc_strip_costs);
    const uint32_t is_signed = args->activation_signed != 0u, stride = args->stride_height - 1u;
    const fbc_strip_kind kind = fbc_choose_kind(&args->requantization, bits);
    const fbc_strips_function strips = (*first)[is_signed][stride][kind];
    const fbc_fill_function fill = fbc_choose_fill(args);
    uint8_t *scratch = (uint8_t *)args->scratch + fbc_core_id() * plan.core_bytes;
    struct {
        fbc_depthwise_core first;
        uint32_t more[14];
    } room;
    fbc_depthwise_core *core = (fbc_depthwise_core *)(void *)((uint8_t *)&room + 8u * (fbc_core_id() & 7u));
    fbc_strip_pairs *pairs = &core->pairs;
    fbc_prepare_planes(args, &plan, &core->planes);
    fbc_prepare_strips(args, bits, &plan, scratch, pairs);
    const uint32_t rows = (plan.band_rows - 1u) * args->stride_height + fbc_strip_costs.kernel;
    fbc_clear_words(scratch, 4u * plan.at_once * rows + 1u, 4u * plan.quads);
    fbc_group_walk walk = fbc_begin_walk(&plan);
    for (; walk.left > 0u; walk.band++, walk.group = 0) {
        const uint32_t row = walk.band * plan.band_rows, top = fbc_begin_band(args, &plan, row, scratch, core);
        const uint8_t *input = (const uint8_t *)args->input + top * core->planes.row_bytes;
        uint8_t *output = (uint8_t *)args->output + row * pairs->row_bytes + pairs->left;
        for (uint32_t groups; (groups = fbc_next_groups(&plan, &walk)) > 0u; fbc_walk_past(&walk, groups)) {
            const uint32_t channel = walk.group * FBC_DEPTHWISE_CHANNELS;
            core->planes.input = input + walk.group * core->planes.group_bytes;
            core->planes.groups = groups;
            fill(&core->planes);
            const uint32_t *filters = (const uint32_t *)args->weights + 3u * channel * args->weight_bits / 8u;
            if (__builtin_expect(args->weight_bits != 8u, 0)) {
                fbc_widen_filters(filters, args->weight_bits, groups, core->filters);
                filters = core->filters;
            }
            pairs->right = output + (channel * bits >> 3);
            pairs->end = pairs->plane + 2u * groups * plan.pair_bytes;
            fbc_compute_pairs(args, channel, filters, strips, pairs);
            if (second != NULL) {
                pairs->plane += plan.pair_bytes;
                pairs->end += plan.pair_bytes;
                fbc_compute_pairs(args, channel + 2u, filters + FBC_FILTER_ROWS / 2, (*second)[is_signed][stride][kind],
                                  pairs);
                pairs->plane -= plan.pair_bytes;
            }
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
/* An fbc_strips_table. */
#define FBC_DEPTHWISE_NAMES(is_signed, stride, folded, store) \
    { \
        fbc_strips_##is_signed##_##stride##_PLAIN_##store, \
        fbc_strips_##is_signed##_##stride##_CLAMPED_##store, \
        fbc_strips_##is_signed##_##stride##_GENERAL_##store, \
        fbc_strips_##is_signed##_##stride##_##folded##_##store, \
    }
#define FBC_DEPTHWISE_TABLE(folded, store) \
    { \
        {FBC_DEPTHWISE_NAMES(0, 1, folded, store), FBC_DEPTHWISE_NAMES(0, 2, folded, store)}, \
        {FBC_DEPTHWISE_NAMES(1, 1, folded, store), FBC_DEPTHWISE_NAMES(1, 2, folded, store)}, \
    }

#endif
