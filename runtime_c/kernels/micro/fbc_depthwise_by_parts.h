/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution 3x3, stride 1 or 2, activations, weights and outputs of 4, or 2, bits, HWC.
 *
 * The work is cut into units: a band of output rows of four channels. Each core takes a run of units, those of a band
 * one after the other; of as many of a band as its scratch has room for it writes the stacked planes with their
 * borders, then it computes one part of them after the other. */
#ifndef FBC_DEPTHWISE_BY_PARTS_H
#define FBC_DEPTHWISE_BY_PARTS_H

#include "micro/fbc_depthwise_stacked.h"

/* In fours of cycles. */
static const fbc_band_costs fbc_stacked_costs = {.kernel = 3, .at_once = 4, .pixel = 6, .column = 3, .unit = 60};

typedef void (*fbc_stacked_function)(fbc_stacked_run *run);

/* By sign of the activations, stride. */
typedef const fbc_stacked_function fbc_stacked_table[2][2];

/* What a core works with. The cores' stacks lie in the same banks, but all of this is read all the time, so that each
 * core has it at another place of its stack. */
typedef struct {
    fbc_stacked_run run;
    fbc_stack stack;
} fbc_stacked_core;

/* Of so many output rows. */
FBC_INLINE uint32_t fbc_count_word_rows(const fbc_conv_args *args, uint32_t bits, uint32_t rows) {
    return (args->stride_height == 1u ? (rows + 1u) >> 1 : rows) + (bits == 4u);
}

/* Word rows are fewer than the rows of the planes that the plan is made for. */
FBC_INLINE fbc_depthwise_plan fbc_make_stacked_plan(const fbc_conv_args *args, uint32_t bits) {
    fbc_depthwise_plan plan = fbc_make_depthwise_plan(args, &fbc_stacked_costs);
    plan.pair_bytes = 8u * plan.quads * fbc_count_word_rows(args, bits, plan.band_rows);
    plan.core_bytes = 2u * plan.pair_bytes * plan.at_once + 4u;
    return plan;
}

/* What does not depend on channels and bands. */
FBC_INLINE void fbc_prepare_stacked(const fbc_conv_args *args, uint32_t bits, const fbc_depthwise_plan *plan,
                                    uint8_t *scratch, fbc_stacked_core *core) {
    const uint32_t stride = args->stride_width, lanes = args->pad_left & (stride - 1u);
    const uint32_t pixel_bytes = args->output_channels * bits >> 3, width = args->output_width;
    fbc_stacked_run *run = &core->run;
    fbc_prepare_planes(args, plan, &core->stack.planes);
    core->stack.to = scratch + 4;
    core->stack.part_bytes = bits == 4u ? plan->pair_bytes : 2u * plan->pair_bytes;
    run->plane = scratch + 4u - args->pad_left - lanes;
    run->plane_part = core->stack.part_bytes - stride * width;
    run->output_part = 1u - width * pixel_bytes;
    run->row_bytes = width * pixel_bytes;
    run->plane_bytes = 4u * plan->quads;
    run->columns = width;
    run->shift = args->requantization.shift;
    run->lanes = 8u * lanes;
}

/* Lanes of a pair of rows from `row` on that are inside the tile, and where its rows are read. */
FBC_INLINE uint32_t fbc_place_pair(const fbc_conv_args *args, uint32_t bits, int32_t row, uint32_t row_bytes,
                                   uint32_t offsets[2]) {
    const int32_t last = (int32_t)args->input_height - 1;
    const uint32_t lanes = bits == 2u ? 0x33333333u : 0x0F0F0F0Fu;
    uint32_t mask = 0;
    for (uint32_t i = 0; i < 2u; i++, row++) {
        const int32_t inside = fbc_clamp(row, 0, last);
        offsets[i] = (uint32_t)inside * row_bytes;
        mask |= row == inside ? lanes << bits * i : 0u;
    }
    return mask;
}

/* The band of output rows from `row` on. */
FBC_INLINE void fbc_begin_stacked_band(const fbc_conv_args *args, uint32_t bits, const fbc_depthwise_plan *plan,
                                       uint32_t row, fbc_stacked_core *core) {
    const uint32_t left = args->output_height - row, rows = left < plan->band_rows ? left : plan->band_rows;
    const uint32_t stride = args->stride_height, odd = stride == 1u ? rows & 1u : 0u;
    const uint32_t round = fbc_stacked_round(bits, stride), words = fbc_count_word_rows(args, bits, rows);
    fbc_stacked_run *run = &core->run;
    fbc_stack *stack = &core->stack;
    const uint32_t row_bytes = stack->planes.row_bytes;
    run->missing = (0u - rows) & ((1u << round) - 1u);
    run->rounds = (rows + run->missing) >> round;
    run->plane_next = stride - 8u / bits * words * run->plane_bytes;
    run->output_next = (args->output_channels * bits >> 3) - rows * run->row_bytes;
    const int32_t first = (int32_t)(row * stride) - args->pad_top - (int32_t)odd;
    stack->pairs = words + (bits == 2u);
    stack->first_mask = fbc_place_pair(args, bits, first, row_bytes, stack->first);
    stack->second[0] = (uint32_t)(first + 2) * row_bytes;
    stack->second[1] = stack->second[0] + row_bytes;
    stack->last_mask = fbc_place_pair(args, bits, first + 2 * (int32_t)stack->pairs - 2, row_bytes, stack->last);
}

/* All outputs of some groups of channels in a band. */
FBC_INLINE void fbc_compute_stacked(const fbc_conv_args *args, uint32_t bits, const fbc_depthwise_plan *plan,
                                    fbc_stacked_function compute, uint32_t group, uint32_t groups,
                                    fbc_stacked_core *core) {
    const uint32_t channel = group * FBC_DEPTHWISE_CHANNELS;
    fbc_stacked_run *run = &core->run;
    core->stack.planes.groups = groups;
    core->stack.from = (const uint8_t *)args->input + group * bits / 2u;
    fbc_fill_stacked(&core->stack, bits);
    run->filters = (const uint32_t *)args->weights + channel * bits / 2u;
    run->scales = args->requantization.scale + channel;
    run->addends = (const int32_t *)args->requantization.addend + channel;
    run->end = run->plane + 2u * groups * plan->pair_bytes;
    compute(run);
}

FBC_INLINE void fbc_depthwise_by_parts(const fbc_conv_args *args, uint32_t bits, fbc_stacked_table *functions) {
    const fbc_depthwise_plan plan = fbc_make_stacked_plan(args, bits);
    const fbc_stacked_function compute = (*functions)[args->activation_signed != 0u][args->stride_height - 1u];
    uint8_t *scratch = (uint8_t *)args->scratch + fbc_core_id() * plan.core_bytes;
    struct {
        fbc_stacked_core first;
        uint32_t more[14];
    } room;
    fbc_stacked_core *core = (fbc_stacked_core *)(void *)((uint8_t *)&room + 8u * (fbc_core_id() & 7u));
    fbc_prepare_stacked(args, bits, &plan, scratch, core);
    fbc_clear_words(scratch, 4u * plan.at_once * fbc_count_word_rows(args, bits, plan.band_rows) + 1u, 4u * plan.quads);
    fbc_group_walk walk = fbc_begin_walk(&plan);
    for (; walk.left > 0u; walk.band++, walk.group = 0) {
        const uint32_t row = walk.band * plan.band_rows;
        fbc_begin_stacked_band(args, bits, &plan, row, core);
        uint8_t *output = (uint8_t *)args->output + row * core->run.row_bytes;
        for (uint32_t groups; (groups = fbc_next_groups(&plan, &walk)) > 0u; fbc_walk_past(&walk, groups)) {
            core->run.output = output + walk.group * bits / 2u;
            fbc_compute_stacked(args, bits, &plan, compute, walk.group, groups, core);
        }
    }
}

FBC_INLINE uint32_t fbc_stacked_scratch_bytes(const fbc_conv_args *args, uint32_t bits) {
    return fbc_core_count() * fbc_make_stacked_plan(args, bits).core_bytes;
}

#define FBC_STACKED_KINDS(bits) \
    FBC_DEFINE_STACKED(bits, 0, 1) \
    FBC_DEFINE_STACKED(bits, 0, 2) FBC_DEFINE_STACKED(bits, 1, 1) FBC_DEFINE_STACKED(bits, 1, 2)
#define FBC_STACKED_TABLE(bits) \
    { \
        {fbc_stacked_##bits##_0_1, fbc_stacked_##bits##_0_2}, \
        {fbc_stacked_##bits##_1_1, fbc_stacked_##bits##_1_2}, \
    }

#endif
