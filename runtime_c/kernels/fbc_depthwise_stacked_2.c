/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution 3x3, stride 1 or 2, activations, weights and outputs of 2 bits, HWC.
 *
 * The work is cut into units: a band of output rows of four channels. Each core takes a run of units, those of a band
 * one after the other; of as many of a band as its scratch has room for it writes the stacked planes with their
 * borders, then it computes four channels after the other. */
#include "micro/fbc_depthwise_stacked.h"

/* In fours of cycles. */
static const fbc_band_costs stacked_costs = {.kernel = 3, .at_once = 4, .pixel = 6, .column = 3, .unit = 60};

typedef void (*stacked_function)(fbc_stacked_run *run);

FBC_DEFINE_STACKED(0, 1)
FBC_DEFINE_STACKED(0, 2)
FBC_DEFINE_STACKED(1, 1)
FBC_DEFINE_STACKED(1, 2)

/* What a core works with. The cores' stacks lie in the same banks, but all of this is read all the time, so that each
 * core has it at another place of its stack. */
typedef struct {
    fbc_stacked_run run;
    fbc_stack stack;
} core_data;

/* Of so many output rows. */
FBC_INLINE uint32_t count_word_rows(const fbc_conv_args *args, uint32_t rows) {
    return args->stride_height == 1u ? (rows + 1u) >> 1 : rows;
}

/* Word rows are fewer than the rows of the planes that the plan is made for. */
FBC_INLINE fbc_depthwise_plan make_plan(const fbc_conv_args *args) {
    fbc_depthwise_plan plan = fbc_make_depthwise_plan(args, &stacked_costs);
    plan.pair_bytes = 8u * plan.quads * count_word_rows(args, plan.band_rows);
    plan.core_bytes = 2u * plan.pair_bytes * plan.at_once + 4u;
    return plan;
}

/* What does not depend on channels and bands. */
FBC_INLINE void prepare_run(const fbc_conv_args *args, const fbc_depthwise_plan *plan, const uint8_t *scratch,
                            fbc_stacked_run *run) {
    const uint32_t stride = args->stride_width, lanes = args->pad_left & (stride - 1u);
    const uint32_t pixel_bytes = args->output_channels >> 2, width = args->output_width;
    run->plane = scratch + 4u - args->pad_left - lanes;
    run->plane_group = 2u * plan->pair_bytes - stride * width;
    run->output_group = 1u - width * pixel_bytes;
    run->row_bytes = width * pixel_bytes;
    run->plane_bytes = 4u * plan->quads;
    run->columns = width;
    run->shift = args->requantization.shift;
    run->lanes = 8u * lanes;
}

/* Lanes of a pair of rows from `row` on that are inside the tile, and where its rows are read. */
FBC_INLINE uint32_t place_pair(const fbc_conv_args *args, int32_t row, uint32_t row_bytes, uint32_t offsets[2]) {
    const int32_t last = (int32_t)args->input_height - 1;
    uint32_t mask = 0;
    for (uint32_t i = 0; i < 2u; i++, row++) {
        const int32_t inside = fbc_clamp(row, 0, last);
        offsets[i] = (uint32_t)inside * row_bytes;
        mask |= row == inside ? 0x33333333u << 2u * i : 0u;
    }
    return mask;
}

/* The band of output rows from `row` on. */
FBC_INLINE void begin_band(const fbc_conv_args *args, const fbc_depthwise_plan *plan, uint32_t row, core_data *core) {
    const uint32_t left = args->output_height - row, rows = left < plan->band_rows ? left : plan->band_rows;
    const uint32_t stride = args->stride_height, word_rows = count_word_rows(args, rows);
    fbc_stacked_run *run = &core->run;
    fbc_stack *stack = &core->stack;
    const uint32_t row_bytes = stack->planes.row_bytes;
    run->odd = stride == 1u ? rows & 1u : 0u;
    run->word_rows = word_rows;
    run->plane_next = stride - 4u * word_rows * run->plane_bytes;
    run->output_next = (args->output_channels >> 2) - rows * run->row_bytes;
    const int32_t first = (int32_t)(row * stride) - args->pad_top - (int32_t)run->odd;
    stack->word_rows = word_rows;
    stack->first_mask = place_pair(args, first, row_bytes, stack->first);
    stack->second[0] = (uint32_t)(first + 2) * row_bytes;
    stack->second[1] = stack->second[0] + row_bytes;
    stack->last_mask = place_pair(args, first + 2 * (int32_t)word_rows, row_bytes, stack->last);
}

/* All outputs of some groups of channels in a band. */
FBC_INLINE void compute_groups(const fbc_conv_args *args, const fbc_depthwise_plan *plan, stacked_function compute,
                               uint32_t group, uint32_t groups, core_data *core) {
    const uint32_t channel = group * FBC_DEPTHWISE_CHANNELS;
    fbc_stacked_run *run = &core->run;
    core->stack.planes.groups = groups;
    core->stack.from = (const uint8_t *)args->input + group;
    fbc_fill_stacked(&core->stack);
    run->filters = (const uint32_t *)args->weights + channel;
    run->scales = args->requantization.scale + channel;
    run->addends = (const int32_t *)args->requantization.addend + channel;
    run->end = run->plane + 2u * groups * plan->pair_bytes;
    compute(run);
}

void fbc_depthwise_stacked_2(void *arguments) {
    static const stacked_function functions[2][2] = {{fbc_stacked_0_1, fbc_stacked_0_2},
                                                     {fbc_stacked_1_1, fbc_stacked_1_2}};
    const fbc_conv_args *args = arguments;
    const fbc_depthwise_plan plan = make_plan(args);
    const stacked_function compute = functions[args->activation_signed != 0u][args->stride_height - 1u];
    const fbc_range units = fbc_core_range(plan.groups * plan.bands);
    uint8_t *scratch = (uint8_t *)args->scratch + fbc_core_id() * plan.core_bytes;
    struct {
        core_data first;
        uint32_t more[14];
    } room;
    core_data *core = (core_data *)(void *)((uint8_t *)&room + 8u * (fbc_core_id() & 7u));
    fbc_prepare_planes(args, &plan, &core->stack.planes);
    core->stack.to = scratch + 4;
    prepare_run(args, &plan, scratch, &core->run);
    fbc_clear_words(scratch, 4u * plan.at_once * count_word_rows(args, plan.band_rows) + 1u, 4u * plan.quads);
    uint32_t band = 0, group = units.begin, left = units.end - units.begin;
    for (; group >= plan.groups && left > 0u; band++) {
        group -= plan.groups;
    }
    for (; left > 0u; band++, group = 0) {
        begin_band(args, &plan, band * plan.band_rows, core);
        uint8_t *output = (uint8_t *)args->output + band * plan.band_rows * core->run.row_bytes;
        while (left > 0u && group < plan.groups) {
            const uint32_t rest = plan.groups - group;
            uint32_t groups = left < plan.at_once ? left : plan.at_once;
            groups = rest < groups ? rest : groups;
            core->run.output = output + group;
            compute_groups(args, &plan, compute, group, groups, core);
            left -= groups;
            group += groups;
        }
    }
}

uint32_t fbc_depthwise_stacked_2_scratch_bytes(const fbc_conv_args *args) {
    return fbc_core_count() * make_plan(args).core_bytes;
}
