/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Convolution in blocks of four pixels x four output channels; the width is constant in each kernel that includes it,
 * and so is FBC_MACLOAD: 1 if it uses mac&load.
 *
 * The blocks of all quads of pixels and groups of channels are split evenly over the cores, quads outermost, so that a
 * core gathers a quad once for all its groups, and few pixels are split by groups. If the pixels are no multiple of
 * four, the last quad begins earlier and computes some of them again. */
#ifndef FBC_CONV_BLOCKED_H
#define FBC_CONV_BLOCKED_H

#include "common/fbc_share.h"
#include "micro/fbc_block_run.h"
#include "micro/fbc_columns.h"

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
    FBC_RUN_FUNCTION_KINDS(bits, sign, 4, first) \
    FBC_RUN_FUNCTION_KINDS(bits, sign, 2, first)
/* Defines them all for dot products of `bits`. */
#define FBC_RUN_FUNCTIONS(bits) \
    FBC_RUN_FUNCTION_OUTPUTS(bits, 0, 0) \
    FBC_RUN_FUNCTION_OUTPUTS(bits, 1, 0) \
    FBC_RUN_FUNCTION_OUTPUTS(bits, 0, 1) \
    FBC_RUN_FUNCTION_OUTPUTS(bits, 1, 1) \
    static fbc_run_function fbc_choose_run(const fbc_conv_args *args, fbc_requantization_kind kind) { \
        static const fbc_run_function functions[2][2][3][3] = {{FBC_RUN_NAMES(0, 0), FBC_RUN_NAMES(1, 0)}, \
                                                               {FBC_RUN_NAMES(0, 1), FBC_RUN_NAMES(1, 1)}}; \
        const uint32_t output = args->output_bits == 8u ? 0u : args->output_bits == 4u ? 1u : 2u; \
        return functions[args->output_channel_first != 0u][args->activation_signed != 0u][output][kind]; \
    }
#define FBC_RUN_NAMES_OF(sign, output_bits, first) \
    {FBC_RUN_NAME(sign, output_bits, FBC_PLAIN, first), FBC_RUN_NAME(sign, output_bits, FBC_CLAMPED, first), \
     FBC_RUN_NAME(sign, output_bits, FBC_GENERAL, first)}
#define FBC_RUN_NAMES(sign, first) \
    {FBC_RUN_NAMES_OF(sign, 8, first), FBC_RUN_NAMES_OF(sign, 4, first), FBC_RUN_NAMES_OF(sign, 2, first)}

/* Blocks that a run does not compute: fewer than four pixels, or rare requantizations. */
static __attribute__((noinline)) void fbc_conv_rare_block(const fbc_conv_args *args, const fbc_blocked_plan *plan,
                                                          const uint8_t *const columns[4], const uint8_t *weights,
                                                          uint32_t bits, uint32_t pixel, uint32_t group) {
    const uint32_t channel = 4u * group, rest = args->output_channels - channel, channels = rest < 4u ? rest : 4u;
    const uint32_t pixels = plan->pixels - pixel < 4u ? plan->pixels - pixel : 4u;
    const uint32_t plane = fbc_lane_bytes(plan->pixels, args->output_bits);
    const uint32_t pixel_bytes = fbc_lane_bytes(args->output_channels, args->output_bits);
    uint8_t *output = args->output;
    for (uint32_t i = 0; i < pixels; i++) {
        int32_t sums[4];
        if (args->activation_signed) {
            fbc_dot_4x1(bits, 1u, FBC_MACLOAD, weights, columns[i], plan->column_words, sums);
        } else {
            fbc_dot_4x1(bits, 0u, FBC_MACLOAD, weights, columns[i], plan->column_words, sums);
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

/* Where the columns of the first four of the pixels lie, which begin at (y, x) of the output: in the input, or gathered
 * into `columns` with the others. */
FBC_INLINE void fbc_load_quad(const fbc_conv_args *args, const fbc_blocked_plan *plan, const uint8_t *quad[4],
                              uint32_t y, uint32_t x, uint32_t pixels, uint32_t bits, uint8_t *columns) {
    if (plan->direct) {
        const uint32_t step = args->stride_width * plan->pixel_bytes;
        const uint32_t row = args->stride_height * args->input_width * plan->pixel_bytes;
        const uint8_t *column = (const uint8_t *)args->input + y * row + x * step;
        uint32_t left_in_row = args->output_width - x;
        for (uint32_t i = 0; i < 4u; i++) {
            quad[i] = column;
            column += step;
            left_in_row--;
            if (left_in_row == 0u) {
                left_in_row = args->output_width;
                column += (int32_t)(row - left_in_row * step); /* negative where rows of outputs overlap */
            }
        }
        return;
    }
    const int32_t top = (int32_t)(y * args->stride_height) - args->pad_top;
    const int32_t left = (int32_t)(x * args->stride_width) - args->pad_left;
    fbc_gather_columns(args, plan, bits, top, left, columns, pixels);
    for (uint32_t i = 0; i < 4u; i++) {
        quad[i] = columns;
        columns += plan->column_stride;
    }
}

/* What does not change from run to run, and where the first block is written. */
FBC_INLINE void fbc_prepare_run(fbc_block_run *run, const fbc_conv_args *args, const fbc_blocked_plan *plan) {
    fbc_prepare_block_run(run, &args->requantization, args->output_bits);
    run->words = (plan->group_bytes >> 4) - 1u;
    run->column_words = plan->column_words;
    if (args->output_channel_first) {
        run->step = run->back = fbc_lane_bytes(plan->pixels, args->output_bits);
        run->quad_step = (uint32_t)args->output_bits >> 1;
    } else {
        run->step = fbc_lane_bytes(args->output_channels, args->output_bits);
        run->back = ((uint32_t)args->output_bits >> 1) - 3u * run->step;
        run->quad_step = 4u * run->step;
    }
}

/* Groups of four pixels, from `group` up to `end`, and the same of the quads behind if a run has several. */
FBC_INLINE void fbc_conv_groups(const fbc_conv_args *args, fbc_block_run *run, fbc_run_function run_blocks,
                                const uint8_t *weights, uint32_t group_bytes, uint32_t pixel, uint32_t group,
                                uint32_t end) {
    const uint32_t bits = args->output_bits, whole = (uint32_t)args->output_channels >> 2;
    const uint32_t whole_end = end < whole ? end : whole;
    uint8_t *output = args->output;
    uint32_t group_step = bits >> 1;
    if (args->output_channel_first) {
        group_step = 4u * run->step;
        output += pixel * bits >> 3;
    } else {
        output += pixel * run->step;
    }
    if (group < whole_end) {
        run->weights = weights + group * group_bytes;
        run->scales = args->requantization.scale + 4u * group;
        run->addends = (const int32_t *)args->requantization.addend + 4u * group;
        run->output = output + group * group_step;
        run->groups = whole_end - group;
        run_blocks(run);
    }
    if (whole < end) {
        run->weights = weights + whole * group_bytes;
        fbc_conv_last_group(args, run, run_blocks, output + whole * group_step);
    }
}

FBC_INLINE void fbc_conv_blocked(const fbc_conv_args *args, uint32_t bits,
                                 fbc_run_function (*choose_run)(const fbc_conv_args *, fbc_requantization_kind)) {
    const fbc_blocked_plan plan = fbc_make_blocked_plan(args, bits);
    const fbc_requantization_kind kind = fbc_kind_of(&args->requantization, args->output_bits);
    const uint32_t rare = kind == FBC_RARE || plan.pixels < 4u;
    /* The last pixels of a plane of narrow lanes share bytes with those before. */
    const uint32_t whole_quads = args->output_channel_first && args->output_bits < 8u;
    const uint32_t width = args->output_width;
    uint32_t step = plan.column_stride, at_once = plan.quads;
    if (plan.direct) {
        step = args->stride_width * plan.pixel_bytes;
        at_once = args->stride_height * args->input_width * plan.pixel_bytes == width * step ? plan.pixels : 1u;
    }
    at_once = (args->output_channels & 3u) != 0u ? 1u : at_once;
    const fbc_range blocks = fbc_core_range(((plan.pixels + 3u) >> 2) * plan.groups);
    const uint8_t *weights = plan.weight_bytes > 0u ? args->scratch : args->weights;
    uint8_t *columns = (uint8_t *)args->scratch + plan.weight_bytes + fbc_core_id() * plan.core_bytes;
    const fbc_run_function run_blocks = rare ? NULL : choose_run(args, kind);
    fbc_block_run run;
    fbc_prepare_run(&run, args, &plan);
    run.column_step = at_once == 1u ? 0u : 4u * step;
    uint32_t quad = blocks.begin / plan.groups, group = blocks.begin - quad * plan.groups;
    uint32_t y = 4u * quad / width, x = 4u * quad - y * width;
    uint32_t left = blocks.end - blocks.begin;
    while (left > 0u) {
        const uint32_t end = left < plan.groups - group ? group + left : plan.groups;
        const uint32_t pixel = 4u * quad, rest = plan.pixels - pixel;
        uint32_t quads = 1u;
        left -= end - group;
        if (rare || (rest < 4u && whole_quads)) {
            fbc_load_quad(args, &plan, run.columns, y, x, rest < 4u ? rest : 4u, bits, columns);
            for (; group < end; group++) {
                fbc_conv_rare_block(args, &plan, run.columns, weights + group * plan.group_bytes, bits, pixel, group);
            }
        } else {
            const uint32_t back = rest < 4u ? 4u - rest : 0u;
            if (back > 0u) {
                for (; x < back; x += width) { /* some pixels of the quad before once more */
                    y--;
                }
                x -= back;
            } else if (end - group == plan.groups) {
                while (quads < at_once && left >= plan.groups && rest >= 4u * quads + 4u) {
                    left -= plan.groups;
                    quads++;
                }
            }
            run.quads = quads;
            fbc_load_quad(args, &plan, run.columns, y, x, 4u * quads, bits, columns);
            fbc_conv_groups(args, &run, run_blocks, weights, plan.group_bytes, pixel - back, group, end);
        }
        group = 0u;
        quad += quads;
        for (x += 4u * quads; x >= width && left > 0u; x -= width) {
            y++;
        }
    }
}

#endif
