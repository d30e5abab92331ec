/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution 3x3, stride 1 or 2, of channel-first activations of 4 or 2 bits to outputs of as many, without
 * scratch.
 *
 * The work is cut into units: a band of output rows of four channels. Each core takes a run of units. */
#ifndef FBC_DEPTHWISE_BY_PAIRS_H
#define FBC_DEPTHWISE_BY_PAIRS_H

#include "micro/fbc_depthwise_in_place.h"
#include "micro/fbc_depthwise_pairs.h"

/* What a unit costs: about thirty cycles per column and row of outputs, and what its strips and pairs cost. */
static const fbc_band_costs fbc_pair_costs = {.kernel = 3, .pixel = 33, .column = 37, .unit = 700};

/* A filter row's place in a word: from lane -1, the first tap beside the plane, or with the last tap beside it. */
typedef struct {
    uint32_t up;
    uint32_t down;
} fbc_tap_place;

FBC_INLINE fbc_tap_place fbc_place_taps(int32_t lane, uint32_t bits) {
    const fbc_tap_place before = {0u, bits}, place = {(uint32_t)lane * bits, 0u};
    return lane < 0 ? before : place;
}

FBC_INLINE fbc_tap_place fbc_place_two_taps(uint32_t lane, uint32_t bits) {
    const uint32_t last = 32u / bits - 2u;
    const fbc_tap_place place = {last * bits, (last - lane) * bits};
    return place;
}

/* Phases as they are added: what the one before leaves behind. Lanes and columns are of the plane, outputs of a row. */
typedef struct {
    fbc_pair_phase *next;
    uint32_t bits;
    uint32_t pixel_bytes;
    uint32_t input;  /* bytes */
    uint32_t output; /* columns */
} fbc_phase_list;

/* `strips` strips from output `output` on, `outputs` apart; their words begin at `column`, `columns` apart. */
FBC_INLINE void fbc_add_pair_phase(fbc_phase_list *list, uint32_t strips, uint32_t column, uint32_t columns,
                                   uint32_t output, uint32_t outputs, fbc_tap_place left, fbc_tap_place right) {
    if (strips == 0u) {
        return;
    }
    const uint32_t input = column * list->bits >> 3, step = columns * list->bits >> 3;
    fbc_pair_phase *phase = list->next++;
    phase->strips = strips;
    phase->input_step = input - list->input;
    phase->output_step = (output - list->output) * list->pixel_bytes;
    phase->left_up = left.up;
    phase->left_down = left.down;
    phase->right_up = right.up;
    phase->right_down = right.down;
    phase->input_next = step;
    phase->output_next = outputs * list->pixel_bytes;
    list->input = input + strips * step;
    list->output = output + strips * outputs;
}

/* Strips inside: the windows of the first begin at `window`, their outputs at `output`; `apart` columns lie between the
 * windows of its outputs, `columns` between the strips. */
FBC_INLINE void fbc_add_inside(fbc_phase_list *list, uint32_t strips, uint32_t window, uint32_t apart, uint32_t columns,
                               uint32_t output, uint32_t outputs) {
    const uint32_t lanes = 8u / list->bits, lane = window & (lanes - 1u);
    fbc_add_pair_phase(list, strips, window - lane, columns, output, outputs, fbc_place_taps((int32_t)lane, list->bits),
                       fbc_place_taps((int32_t)(lane + apart), list->bits));
}

/* The last two outputs, the second of which has a column of padding. */
FBC_INLINE void fbc_add_right_edge(fbc_phase_list *list, const fbc_conv_args *args, uint32_t window, uint32_t apart) {
    const uint32_t lanes = 8u / list->bits, word = 4u * lanes, width = args->input_width;
    const uint32_t column = width > word ? width - word : 0u, lane = window - column;
    fbc_add_pair_phase(list, 1u, column, 0u, args->output_width - 2u, 2u, fbc_place_taps((int32_t)lane, list->bits),
                       fbc_place_two_taps(lane + apart, list->bits));
}

/* Stride 1: two outputs at each edge, the rest inside. Of 2 bits, two strips inside begin at one byte. */
FBC_INLINE void fbc_add_phases_1(const fbc_conv_args *args, fbc_phase_list *list) {
    const uint32_t width = args->input_width, inside = (width - 4u) >> 1, bits = list->bits;
    fbc_add_pair_phase(list, 1u, 0u, 0u, 0u, 2u, fbc_place_taps(-1, bits), fbc_place_taps(0, bits));
    if (bits == 4u) {
        fbc_add_inside(list, inside, 1u, 1u, 2u, 2u, 2u);
    } else {
        fbc_add_inside(list, (inside + 1u) >> 1, 1u, 1u, 4u, 2u, 4u);
        fbc_add_inside(list, inside >> 1, 3u, 1u, 4u, 4u, 4u);
    }
    fbc_add_right_edge(list, args, width - 3u, 1u);
}

/* Stride 2: two outputs at an edge with a column of padding; the rest inside, one of them twice if need be. */
FBC_INLINE void fbc_add_phases_2(const fbc_conv_args *args, fbc_phase_list *list) {
    const uint32_t outputs = args->output_width, before = args->pad_left, bits = list->bits;
    const uint32_t behind = (uint32_t)fbc_window_behind(outputs, 2u, before, args->input_width);
    const uint32_t edges = 2u * before + 2u * behind, inside = outputs > edges ? (outputs - edges + 1u) >> 1 : 0u;
    const uint32_t from = before != 0u ? outputs - 2u * behind - 2u * inside : 0u;
    fbc_add_pair_phase(list, before, 0u, 0u, 0u, 2u, fbc_place_taps(-1, bits), fbc_place_taps(1, bits));
    fbc_add_inside(list, inside, 2u * from - before, 2u, 4u, from, 2u);
    if (behind != 0u) {
        fbc_add_right_edge(list, args, 2u * (outputs - 2u) - before, 2u);
    }
}

/* What does not depend on channels and bands; the steps of `step` pairs. */
FBC_INLINE void fbc_prepare_pair_run(const fbc_conv_args *args, uint32_t bits, uint32_t step, fbc_pair_run *run) {
    run->row_bytes = args->input_width * bits >> 3;
    run->plane_bytes = args->input_height * run->row_bytes;
    run->pixel_bytes = args->output_channels * bits >> 3;
    run->row_rest = (args->output_width - 1u) * run->pixel_bytes;
    run->filter_step = 3u * bits * step;
    run->scale_step = 2u * (uint32_t)sizeof(fbc_scale) * step;
    run->addend_step = 2u * (uint32_t)sizeof(int32_t) * step;
    run->plane_step = 2u * run->plane_bytes * step;
    run->output_step = 1;
}

/* The phases too, because they hold how to get from strip to strip. */
FBC_INLINE void fbc_begin_pair_band(const fbc_conv_args *args, uint32_t bits, const fbc_plane_band *band,
                                    fbc_pair_run *run) {
    fbc_phase_list list = {run->phases, bits, run->pixel_bytes, 0u, 0u};
    if (args->stride_width == 1u) {
        fbc_add_phases_1(args, &list);
    } else {
        fbc_add_phases_2(args, &list);
    }
    list.next->strips = 0;
    run->input_bytes = band->read * run->row_bytes;
    const uint32_t output_bytes = band->rows * (run->pixel_bytes + run->row_rest);
    for (fbc_pair_phase *phase = run->phases; phase < list.next; phase++) {
        phase->input_next -= run->input_bytes;
        phase->output_next -= output_bytes;
    }
    run->rounds = band->rounds;
    run->entry = band->entry * (args->stride_height == 1u ? FBC_PAIR_ENTRY_1 : FBC_PAIR_ENTRY_2);
    run->first_mask = band->above - 1u;
    run->first_step = band->above != 0u ? 0u : run->row_bytes;
    run->below = band->below;
    run->output_rows = band->rows;
}

typedef void (*fbc_pairs_function)(fbc_pair_run *run);

/* By sign of the activations, stride, pair of a byte of the output. */
typedef const fbc_pairs_function fbc_pairs_table[2][2][2];

/* `groups` groups of four channels from `group` on, of which two pairs are computed by one function, or by two. */
FBC_INLINE void fbc_depthwise_pairs(const fbc_conv_args *args, const fbc_pairs_function *functions, uint32_t bits,
                                    uint32_t group, uint32_t groups, const uint8_t *input, uint8_t *output,
                                    fbc_pair_run *run) {
    const uint32_t passes = bits == 4u ? 1u : 2u;
    for (uint32_t pass = 0; pass < passes; pass++) {
        const uint32_t channel = 4u * group + 2u * pass;
        run->filters = (const uint8_t *)args->weights + 3u * channel * bits / 2u;
        run->scales = args->requantization.scale + channel;
        run->addends = (const int32_t *)args->requantization.addend + channel;
        run->plane = input + channel * run->plane_bytes;
        run->output = output + (channel * bits >> 3);
        run->pairs = 2u * groups / passes;
        functions[pass](run);
    }
}

FBC_INLINE void fbc_depthwise_by_pairs(const fbc_conv_args *args, uint32_t bits, fbc_pairs_table *table) {
    const fbc_pairs_function *functions = (*table)[args->activation_signed != 0u][args->stride_height - 1u];
    fbc_band_units units = fbc_cut_units(args, &fbc_pair_costs, args->output_channels >> 2);
    /* The cores' stacks lie in the same banks, but all of them read this all the time. */
    struct {
        fbc_pair_run first;
        uint32_t more[14];
    } room;
    fbc_pair_run *run = (fbc_pair_run *)(void *)((uint8_t *)&room + 8u * (fbc_core_id() & 7u));
    fbc_prepare_pair_run(args, bits, bits == 4u ? 1u : 2u, run);
    while (units.units.begin < units.units.end) {
        const fbc_unit_run part = fbc_take_units(args, &units);
        fbc_begin_pair_band(args, bits, &part.band, run);
        const uint8_t *input = (const uint8_t *)args->input + part.band.first * run->row_bytes;
        uint8_t *output = (uint8_t *)args->output + part.row * (run->pixel_bytes + run->row_rest);
        fbc_depthwise_pairs(args, functions, bits, part.channel, part.count, input, output, run);
    }
}

#define FBC_PAIR_KINDS(bits, store) \
    FBC_DEFINE_PAIRS(bits, 0, 1, store) \
    FBC_DEFINE_PAIRS(bits, 0, 2, store) \
    FBC_DEFINE_PAIRS(bits, 1, 1, store) \
    FBC_DEFINE_PAIRS(bits, 1, 2, store)
#define FBC_PAIR_BOTH(bits, is_signed, stride, low, high) \
    {fbc_pairs_##bits##_##is_signed##_##stride##_##low, fbc_pairs_##bits##_##is_signed##_##stride##_##high}
/* An fbc_pairs_table: `low` and `high` say how the first and the second pair of four channels are stored. */
#define FBC_PAIR_TABLE(bits, low, high) \
    { \
        {FBC_PAIR_BOTH(bits, 0, 1, low, high), FBC_PAIR_BOTH(bits, 0, 2, low, high)}, \
        {FBC_PAIR_BOTH(bits, 1, 1, low, high), FBC_PAIR_BOTH(bits, 1, 2, low, high)}, \
    }

#endif
