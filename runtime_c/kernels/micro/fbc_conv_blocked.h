/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Convolution in blocks of four pixels x four output channels; a kernel that includes it defines FBC_WIDTH, the bits
 * of its dot products, and FBC_MACLOAD, 1 if it uses mac&load.
 *
 * The blocks of all quads of pixels and groups of channels are split evenly over the cores, quads outermost, so that a
 * core gathers a quad once for all its groups, and few pixels are split by groups. If the pixels are no multiple of
 * four, the last quad begins earlier and computes some of them again. */
#ifndef FBC_CONV_BLOCKED_H
#define FBC_CONV_BLOCKED_H

#include "common/fbc_share.h"
#include "micro/fbc_block_run.h"
#include "micro/fbc_columns.h"
#include "micro/fbc_conv_direct.h"

/* Computes a run; a function of its own for each combination of constants, so that the loop over the pixels stays small
 * and is there once. */
typedef void (*fbc_run_function)(fbc_block_run *run);

#define FBC_RUN_NAME(sign, output_bits, kind, first) fbc_run_##sign##_##output_bits##_##kind##_##first
#define FBC_RUN_FUNCTION(bits, sign, output_bits, kind, first) \
    static __attribute__((noinline)) void FBC_RUN_NAME(sign, output_bits, kind, first)(fbc_block_run * run) { \
        fbc_run_blocks(run, bits, sign, output_bits##u, kind, first##u, FBC_MACLOAD); \
    }
#define FBC_RUN_FUNCTION_KINDS(bits, sign, output_bits, first) \
    FBC_RUN_FUNCTION(bits, sign, output_bits, FBC_PLAIN, first) \
    FBC_RUN_FUNCTION(bits, sign, output_bits, FBC_CLAMPED, first) \
    FBC_RUN_FUNCTION(bits, sign, output_bits, FBC_GENERAL, first)
#define FBC_RUN_FUNCTION_OUTPUTS(bits, sign, first) \
    FBC_RUN_FUNCTION_KINDS(bits, sign, 8, first) \
    FBC_RUN_FUNCTION(bits, sign, 8, FBC_UNCLAMPED, first) \
    FBC_RUN_FUNCTION_KINDS(bits, sign, 4, first) \
    FBC_RUN_FUNCTION_KINDS(bits, sign, 2, first)
/* Defines them all for dot products of `bits`. */
#define FBC_RUN_FUNCTIONS(bits) \
    FBC_RUN_FUNCTION_OUTPUTS(bits, 0, 0) \
    FBC_RUN_FUNCTION_OUTPUTS(bits, 1, 0) \
    FBC_RUN_FUNCTION_OUTPUTS(bits, 0, 1) \
    FBC_RUN_FUNCTION_OUTPUTS(bits, 1, 1) \
    static fbc_run_function fbc_choose_run(const fbc_conv_args *args, fbc_requantization_kind kind) { \
        static const fbc_run_function functions[2][2][3][4] = {{FBC_RUN_NAMES(0, 0), FBC_RUN_NAMES(1, 0)}, \
                                                               {FBC_RUN_NAMES(0, 1), FBC_RUN_NAMES(1, 1)}}; \
        const uint32_t output = args->output_bits == 8u ? 0u : args->output_bits == 4u ? 1u : 2u; \
        return functions[args->output_channel_first != 0u][args->activation_signed != 0u][output][kind]; \
    }
#define FBC_RUN_NAMES_OF(sign, output_bits, first, unclamped) \
    {FBC_RUN_NAME(sign, output_bits, FBC_PLAIN, first), FBC_RUN_NAME(sign, output_bits, unclamped, first), \
     FBC_RUN_NAME(sign, output_bits, FBC_CLAMPED, first), FBC_RUN_NAME(sign, output_bits, FBC_GENERAL, first)}
#define FBC_RUN_NAMES(sign, first) \
    {FBC_RUN_NAMES_OF(sign, 8, first, FBC_UNCLAMPED), FBC_RUN_NAMES_OF(sign, 4, first, FBC_CLAMPED), \
     FBC_RUN_NAMES_OF(sign, 2, first, FBC_CLAMPED)}

/* Blocks that a run does not compute: fewer than four pixels, or rare requantizations. */
static __attribute__((noinline)) void fbc_conv_rare_block(const fbc_conv_args *args, const fbc_blocked_plan *plan,
                                                          const uint8_t *const columns[4], const uint8_t *weights,
                                                          uint32_t pixel, uint32_t group) {
    const uint32_t channel = 4u * group, rest = args->output_channels - channel, channels = rest < 4u ? rest : 4u;
    const uint32_t pixels = plan->pixels - pixel < 4u ? plan->pixels - pixel : 4u;
    const uint32_t plane = fbc_lane_bytes(plan->pixels, args->output_bits);
    const uint32_t pixel_bytes = fbc_lane_bytes(args->output_channels, args->output_bits);
    uint8_t *output = args->output;
    for (uint32_t i = 0; i < pixels; i++) {
        int32_t sums[4];
        if (args->activation_signed) {
            fbc_dot_4x1(FBC_WIDTH, 1u, FBC_MACLOAD, weights, columns[i], plan->column_words, sums);
        } else {
            fbc_dot_4x1(FBC_WIDTH, 0u, FBC_MACLOAD, weights, columns[i], plan->column_words, sums);
        }
        for (uint32_t c = 0; c < channels; c++) {
            const int32_t value = fbc_requantize(&args->requantization, channel + c, sums[c]);
            if (args->output_channel_first) {
                fbc_write_lane(output + (channel + c) * plane, pixel + i, args->output_bits, value);
            } else {
                fbc_write_lane(output + (pixel + i) * pixel_bytes, channel + c, args->output_bits, value);
            }
        }
    }
}

/* The last group if it has fewer than four channels: computed beside the output, then copied. */
static __attribute__((noinline)) void fbc_conv_last_group(const fbc_conv_args *args, fbc_block_run *run,
                                                          fbc_run_function run_blocks, uint8_t *output) {
    const uint32_t channel = args->output_channels & ~3u, channels = args->output_channels & 3u;
    const uint32_t step = run->step, back = run->back, bits = args->output_bits, mask = (1u << channels * bits) - 1u;
    fbc_scale scales[4] = {{0, 0}};
    int32_t addends[4] = {0};
    uint32_t words[4] = {0};
    for (uint32_t i = 0; i < channels; i++) {
        scales[i] = args->requantization.scale[channel + i];
        addends[i] = ((const int32_t *)args->requantization.addend)[channel + i];
    }
    run->scales = scales;
    run->addends = addends;
    run->output = (uint8_t *)words;
    run->step = run->back = 4u;
    run->groups = run->quads = 1u;
    run_blocks(run);
    run->step = step;
    run->back = back;
    const uint32_t lines = args->output_channel_first ? channels : 4u;
    const uint32_t bytes = args->output_channel_first ? bits >> 1 : fbc_lane_bytes(channels, bits);
    for (uint32_t i = 0; i < lines; i++) {
        uint32_t word = args->output_channel_first ? words[i] : words[i] & mask;
        for (uint32_t j = 0; j < bytes; j++) {
            output[j] = (uint8_t)word;
            word >>= 8;
        }
        output += step;
    }
}

/* Where the columns of four pixels lie in the input, from (y, x) of the output. */
static __attribute__((noinline)) void fbc_find_quad(const fbc_gathering *gathering, uint32_t y, uint32_t x,
                                                    const uint8_t *quad[4]) {
    const fbc_conv_args *args = gathering->args;
    const uint32_t step = args->stride_width * gathering->plan->pixel_bytes;
    const uint32_t row = args->stride_height * gathering->row_bytes;
    const uint8_t *column = (const uint8_t *)args->input + y * row + x * step;
    uint32_t left_in_row = gathering->output_width - x;
    for (uint32_t i = 0; i < 4u; i++) {
        quad[i] = column;
        column += step;
        left_in_row--;
        if (left_in_row == 0u) {
            left_in_row = gathering->output_width;
            column += (int32_t)(row - left_in_row * step); /* negative where rows of outputs overlap */
        }
    }
}

/* What does not change from run to run, and where the first block is written. */
FBC_INLINE void fbc_prepare_run(fbc_block_run *run, const fbc_conv_args *args, const fbc_blocked_plan *plan) {
    fbc_prepare_block_run(run, &args->requantization, args->output_bits);
    run->words = (plan->group_bytes >> 4) - 1u;
    run->column_words = plan->column_words;
    run->quad_skip = 0u;
    if (args->output_channel_first) {
        run->step = run->back = fbc_lane_bytes(plan->pixels, args->output_bits);
    } else {
        run->step = fbc_lane_bytes(args->output_channels, args->output_bits);
        run->back = ((uint32_t)args->output_bits >> 1) - 3u * run->step;
    }
}

/* Quads that a run may compute; within a row of the output unless all columns lie at constant steps. */
typedef struct {
    uint32_t most;
    uint32_t end;  /* column of the output in which the last must end */
    uint32_t step; /* from quad to quad of the columns */
} fbc_quads;

FBC_INLINE fbc_quads fbc_plan_quads(const fbc_gathering *gathering) {
    const fbc_conv_args *args = gathering->args;
    const fbc_blocked_plan *plan = gathering->plan;
    fbc_quads quads = {plan->quads, gathering->output_width, 4u * gathering->column_step};
    if (plan->direct) {
        const uint32_t step = args->stride_width * plan->pixel_bytes;
        quads.most = plan->pixels;
        quads.step = 4u * step;
        if (args->stride_height * gathering->row_bytes == quads.end * step) {
            quads.end = plan->pixels;
        }
    } else if (plan->position_bytes == 0u) {
        quads.end = plan->pixels;
    } else if (gathering->adjoining > 1u) { /* columns overlap, so more than planned fit */
        const uint32_t overlap = (uint32_t)args->kernel_width - args->stride_width;
        while (4u * (quads.most + 1u) * args->stride_width + overlap <= 4u * plan->quads * args->kernel_width) {
            quads.most++;
        }
    }
    return quads;
}

/* A call on one core. */
typedef struct {
    fbc_blocked_plan plan;
    fbc_gathering gathering;
    fbc_block_run run;
    fbc_run_function run_blocks; /* NULL if no run computes these blocks */
    const uint8_t *weights;
    uint8_t *columns;
} fbc_conv_call;

/* Groups of a quad, from `group` up to `end`. */
static __attribute__((noinline)) void fbc_conv_quad(fbc_conv_call *call, uint32_t quad, uint32_t group, uint32_t end) {
    const fbc_blocked_plan *plan = &call->plan;
    const fbc_conv_args *args = call->gathering.args;
    fbc_block_run *run = &call->run;
    const uint32_t bits = args->output_bits, whole = (uint32_t)args->output_channels >> 2;
    const uint32_t whole_end = end < whole ? end : whole;
    const uint32_t first = 4u * quad, rest = plan->pixels - first;
    /* The last pixels of a plane of narrow lanes share bytes with those before; others are computed with some of the
     * quad before once more. */
    const uint32_t by_pixel = call->run_blocks == NULL || (rest < 4u && args->output_channel_first && bits < 8u);
    const uint32_t pixel = rest < 4u && !by_pixel ? plan->pixels - 4u : first;
    const uint32_t y = pixel / call->gathering.output_width, x = pixel - y * call->gathering.output_width;
    if (plan->direct) {
        fbc_find_quad(&call->gathering, y, x, run->columns);
    } else {
        const uint32_t pixels = plan->pixels - pixel < 4u ? plan->pixels - pixel : 4u;
        fbc_gather_columns(&call->gathering, y, x, pixels, call->columns, run->columns);
    }
    if (by_pixel) {
        for (; group < end; group++) {
            fbc_conv_rare_block(args, plan, run->columns, call->weights + group * plan->group_bytes, pixel, group);
        }
        return;
    }
    uint8_t *output = args->output;
    uint32_t group_step = bits >> 1;
    if (args->output_channel_first) {
        group_step = 4u * run->step;
        output += pixel * bits >> 3;
    } else {
        output += pixel * run->step;
    }
    run->column_step = 0u; /* the last group reads the columns again */
    if (group < whole_end) {
        run->weights = call->weights + group * plan->group_bytes;
        run->scales = args->requantization.scale + 4u * group;
        run->addends = (const int32_t *)args->requantization.addend + 4u * group;
        run->output = output + group * group_step;
        run->groups = whole_end - group;
        run->quads = 1u;
        call->run_blocks(run);
    }
    if (whole < end) {
        run->weights = call->weights + whole * plan->group_bytes;
        fbc_conv_last_group(args, run, call->run_blocks, output + whole * group_step);
    }
}

/* All groups of quads from `quad` up to `end`. */
FBC_INLINE void fbc_conv_quads(fbc_conv_call *call, uint32_t quad, uint32_t end) {
    const fbc_quads at_once = fbc_plan_quads(&call->gathering);
    const fbc_conv_args *args = call->gathering.args;
    fbc_block_run *run = &call->run;
    const uint32_t width = call->gathering.output_width, column_step = call->gathering.column_step;
    uint32_t y = 4u * quad / width, x = 4u * quad - y * width, left = end - quad;
    run->weights = call->weights;
    run->scales = args->requantization.scale;
    run->addends = args->requantization.addend;
    const uint32_t quad_step = args->output_channel_first ? (uint32_t)args->output_bits >> 1 : 4u * run->step;
    uint8_t *output = (uint8_t *)args->output + quad * quad_step;
    run->quad_skip = quad_step - call->plan.groups * (3u * run->step + run->back);
    run->output = output;
    run->groups = call->plan.groups;
    run->column_step = at_once.step;
    while (left > 0u) {
        const uint32_t room = (at_once.end - x) >> 2;
        uint32_t quads = at_once.most < left ? at_once.most : left;
        quads = room < quads ? room : quads;
        quads = quads > 0u ? quads : 1u;
        if (call->plan.direct) {
            fbc_find_quad(&call->gathering, y, x, run->columns);
        } else if (x + 4u * quads <= width && call->gathering.adjoining > 1u) {
            fbc_gather_row(&call->gathering, y, x, 4u * quads, call->columns);
            run->columns[0] = call->columns;
            run->columns[1] = call->columns + column_step;
            run->columns[2] = call->columns + 2u * column_step;
            run->columns[3] = call->columns + 3u * column_step;
        } else {
            fbc_gather_columns(&call->gathering, y, x, 4u * quads, call->columns, run->columns);
        }
        run->quads = quads;
        call->run_blocks(run);
        run->output = output += quads * quad_step;
        left -= quads;
        for (x += 4u * quads; x >= width && left > 0u; x -= width) {
            y++;
        }
    }
}

/* `run_blocks` computes blocks; NULL if none can. */
static __attribute__((noinline)) void fbc_conv_gathered(const fbc_conv_args *args, fbc_run_function run_blocks) {
    fbc_conv_call call;
    call.plan = fbc_make_blocked_plan(args, FBC_WIDTH, 1u);
    call.gathering = fbc_make_gathering(args, &call.plan);
    call.weights = call.plan.weight_bytes > 0u ? args->scratch : args->weights;
    call.columns = (uint8_t *)args->scratch + call.plan.weight_bytes + fbc_core_id() * call.plan.core_bytes;
    fbc_prepare_run(&call.run, args, &call.plan);
    call.run_blocks = call.plan.pixels < 4u ? NULL : run_blocks;
    const uint32_t groups = call.plan.groups;
    const fbc_range blocks = fbc_core_range(((call.plan.pixels + 3u) >> 2) * groups);
    uint32_t quad = blocks.begin / groups, left = blocks.end - blocks.begin;
    const uint32_t group = blocks.begin - quad * groups;
    if (group > 0u && left > 0u) {
        const uint32_t end = left < groups - group ? group + left : groups;
        fbc_conv_quad(&call, quad, group, end);
        left -= end - group;
        quad++;
    }
    const uint32_t whole_quads = call.plan.pixels >> 2;
    if (call.run_blocks != NULL && (args->output_channels & 3u) == 0u && left >= groups && quad < whole_quads) {
        const uint32_t rest = whole_quads - quad, count = left / groups;
        const uint32_t end = quad + (count < rest ? count : rest);
        fbc_conv_quads(&call, quad, end);
        left -= (end - quad) * groups;
        quad = end;
    }
    while (left > 0u) {
        const uint32_t end = left < groups ? left : groups;
        fbc_conv_quad(&call, quad, 0u, end);
        left -= end;
        quad++;
    }
}

FBC_INLINE void fbc_conv_blocked(const fbc_conv_args *args,
                                 fbc_run_function (*choose_run)(const fbc_conv_args *, fbc_requantization_kind)) {
    const fbc_requantization_kind kind = fbc_kind_of(&args->requantization, args->output_bits);
    if (kind != FBC_RARE && fbc_conv_is_direct(args, FBC_WIDTH)) {
        fbc_conv_direct(args, FBC_WIDTH, choose_run(args, kind));
        return;
    }
    fbc_conv_gathered(args, kind == FBC_RARE ? NULL : choose_run(args, kind));
}

#endif
