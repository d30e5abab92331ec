/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Convolution in blocks of four pixels x four output channels; the width is constant in each kernel that includes it.
 *
 * The blocks of all quads of pixels and groups of channels are split evenly over the cores, quads outermost, so that a
 * core gathers a quad once for all its groups, and one pixel (linear layers) is split by its groups. */
#ifndef FBC_CONV_BLOCKED_H
#define FBC_CONV_BLOCKED_H

#include "common/fbc_share.h"
#include "micro/fbc_block_run.h"
#include "micro/fbc_columns.h"

/* Up to four output pixels that follow each other, and the groups that this core computes of them. */
typedef struct {
    const uint8_t *columns[4];
    uint32_t pixels;
    uint32_t end_group;
    uint8_t *output;
} fbc_quad;

FBC_INLINE const uint8_t *fbc_group_weights(const fbc_conv_args *args, const fbc_blocked_plan *plan, uint32_t group) {
    const uint8_t *weights = plan->weight_bytes > 0u ? args->scratch : args->weights;
    return weights + group * plan->group_bytes;
}

/* What runs of blocks have in common. */
FBC_INLINE void fbc_prepare_run(fbc_block_run *run, const fbc_conv_args *args, const fbc_blocked_plan *plan) {
    const uint32_t pixel_bytes = fbc_lane_bytes(args->output_channels, args->output_bits);
    run->words = plan->group_bytes >> 4;
    run->pixel_bytes = pixel_bytes;
    run->back = ((uint32_t)args->output_bits >> 1) - 4u * pixel_bytes;
    run->shift = args->requantization.shift;
    run->high = args->requantization.high;
    run->low = args->requantization.low;
    run->column_words = plan->column_words;
}

/* Computes a run; a function of its own for each combination of constants, so that the loop over the pixels stays small
 * and is there once. */
typedef void (*fbc_run_function)(fbc_block_run *run);

#define FBC_RUN_FUNCTION(bits, sign, output_bits, kind) \
    static __attribute__((noinline)) void fbc_run_##sign##_##output_bits##_##kind(fbc_block_run *run) { \
        fbc_run_blocks(run, bits, sign, output_bits##u, kind); \
    }
#define FBC_RUN_FUNCTION_KINDS(bits, sign, output_bits) \
    FBC_RUN_FUNCTION(bits, sign, output_bits, FBC_PLAIN) \
    FBC_RUN_FUNCTION(bits, sign, output_bits, FBC_CLAMPED) \
    FBC_RUN_FUNCTION(bits, sign, output_bits, FBC_GENERAL)
#define FBC_RUN_FUNCTION_OUTPUTS(bits, sign) \
    FBC_RUN_FUNCTION_KINDS(bits, sign, 8) \
    FBC_RUN_FUNCTION_KINDS(bits, sign, 4) \
    FBC_RUN_FUNCTION_KINDS(bits, sign, 2)
/* Defines them all for dot products of `bits`. */
#define FBC_RUN_FUNCTIONS(bits) \
    FBC_RUN_FUNCTION_OUTPUTS(bits, 0) \
    FBC_RUN_FUNCTION_OUTPUTS(bits, 1) \
    static fbc_run_function fbc_choose_run(uint32_t is_signed, uint32_t output_bits, fbc_requantization_kind kind) { \
        static const fbc_run_function functions[2][3][3] = {FBC_RUN_NAMES(0), FBC_RUN_NAMES(1)}; \
        const uint32_t output = output_bits == 8u ? 0u : output_bits == 4u ? 1u : 2u; \
        return functions[is_signed != 0u][output][kind]; \
    }
#define FBC_RUN_NAMES_OF(sign, output_bits) \
    {fbc_run_##sign##_##output_bits##_FBC_PLAIN, fbc_run_##sign##_##output_bits##_FBC_CLAMPED, \
     fbc_run_##sign##_##output_bits##_FBC_GENERAL}
#define FBC_RUN_NAMES(sign) {FBC_RUN_NAMES_OF(sign, 8), FBC_RUN_NAMES_OF(sign, 4), FBC_RUN_NAMES_OF(sign, 2)}

/* Whole groups of four pixels, from `group` up to `end`. */
FBC_INLINE void fbc_conv_whole_groups(const fbc_conv_args *args, const fbc_blocked_plan *plan, const fbc_quad *quad,
                                      fbc_block_run *run, uint32_t group, uint32_t end, fbc_run_function run_blocks) {
    run->columns[0] = quad->columns[0];
    run->columns[1] = quad->columns[1];
    run->columns[2] = quad->columns[2];
    run->columns[3] = quad->columns[3];
    run->weights = fbc_group_weights(args, plan, group);
    run->scales = args->requantization.scale + 4u * group;
    run->addends = (const int32_t *)args->requantization.addend + 4u * group;
    run->output = quad->output + group * ((uint32_t)args->output_bits >> 1);
    run->groups = end - group;
    run_blocks(run);
}

/* One pixel of any block, any kind. Not inlined: there are many copies of the fast path. */
static __attribute__((noinline)) void fbc_store_pixel(const fbc_requantization *parameters, int32_t *sums,
                                                      uint32_t channel, uint32_t channels, uint8_t *output,
                                                      uint32_t output_bits) {
    if (channels == 4u && !parameters->wide && output_bits < 32u) {
        const fbc_block_parameters block = fbc_get_block_parameters(parameters, channel);
        fbc_requantize_pixel(&block, FBC_GENERAL, sums);
        fbc_store_channels(output, output_bits, 0u, sums);
        return;
    }
    for (uint32_t i = 0; i < channels; i++) {
        fbc_write_lane(output, i, output_bits, fbc_requantize(parameters, channel + i, sums[i]));
    }
}

/* All else: fewer than four pixels or channels, rare requantizations. */
FBC_INLINE void fbc_conv_other_groups(const fbc_conv_args *args, const fbc_blocked_plan *plan, const fbc_quad *quad,
                                      uint32_t group, uint32_t bits) {
    const uint32_t output_bytes = fbc_lane_bytes(args->output_channels, args->output_bits);
    const uint8_t *weights = fbc_group_weights(args, plan, group);
    for (; group < quad->end_group; group++) {
        const uint32_t channel = 4u * group;
        const uint32_t rest = args->output_channels - channel;
        uint8_t *output = quad->output + group * ((uint32_t)args->output_bits >> 1);
        for (uint32_t i = 0; i < quad->pixels; i++) {
            int32_t sums[4];
            if (args->activation_signed) {
                fbc_dot_4x1(bits, 1u, weights, quad->columns[i], plan->column_words, sums);
            } else {
                fbc_dot_4x1(bits, 0u, weights, quad->columns[i], plan->column_words, sums);
            }
            fbc_store_pixel(&args->requantization, sums, channel, rest < 4u ? rest : 4u, output, args->output_bits);
            output += output_bytes;
        }
        weights += plan->group_bytes;
    }
}

FBC_INLINE void fbc_load_quad(const fbc_conv_args *args, const fbc_blocked_plan *plan, const fbc_gathering *gathering,
                              fbc_quad *quad, uint32_t y, uint32_t x, uint32_t bits, uint8_t *columns) {
    const uint8_t *column = columns;
    uint32_t step = plan->column_stride, left_in_row = 4u, next_row = 0u;
    if (plan->direct) {
        step = args->stride_width * plan->pixel_bytes;
        column = (const uint8_t *)args->input + y * args->stride_height * gathering->inside.source_step + x * step;
        left_in_row = args->output_width - x;
        next_row = args->stride_height * gathering->inside.source_step - args->output_width * step;
    } else {
        const int32_t top = (int32_t)(y * args->stride_height) - args->pad_top;
        const int32_t left = (int32_t)(x * args->stride_width) - args->pad_left;
        fbc_gather_columns(args, plan, gathering, bits, top, left, columns, quad->pixels);
    }
    for (uint32_t i = 0; i < quad->pixels; i++) {
        quad->columns[i] = column;
        column += step;
        left_in_row--;
        if (left_in_row == 0u) {
            left_in_row = args->output_width;
            column += (int32_t)next_row; /* negative where a row of outputs spans more inputs than it moves by */
        }
    }
}

FBC_INLINE void fbc_conv_blocked(const fbc_conv_args *args, uint32_t bits,
                                 fbc_run_function (*choose_run)(uint32_t, uint32_t, fbc_requantization_kind)) {
    const fbc_blocked_plan plan = fbc_make_blocked_plan(args, bits);
    const fbc_gathering gathering = fbc_make_gathering(args, &plan, bits);
    const fbc_requantization_kind kind = fbc_kind_of(&args->requantization, args->output_bits);
    const uint32_t pixels = (uint32_t)args->output_height * args->output_width;
    const uint32_t output_bytes = fbc_lane_bytes(args->output_channels, args->output_bits);
    const uint32_t whole = kind == FBC_RARE ? 0u : (uint32_t)args->output_channels >> 2;
    const fbc_range blocks = fbc_core_range(((pixels + 3u) >> 2) * plan.groups);
    uint8_t *columns = (uint8_t *)args->scratch + plan.weight_bytes + fbc_core_id() * plan.core_bytes;
    fbc_block_run run;
    fbc_prepare_run(&run, args, &plan);
    const fbc_run_function run_blocks =
        kind == FBC_RARE ? NULL : choose_run(args->activation_signed, args->output_bits, kind);
    fbc_quad quad;
    uint32_t pixel = blocks.begin / plan.groups * 4u, group = blocks.begin % plan.groups;
    uint32_t y = pixel / args->output_width, x = pixel % args->output_width;
    uint32_t left = blocks.end - blocks.begin;
    quad.output = (uint8_t *)args->output + pixel * output_bytes;
    while (left > 0u) {
        quad.pixels = pixels - pixel < 4u ? pixels - pixel : 4u;
        quad.end_group = left < plan.groups - group ? group + left : plan.groups;
        fbc_load_quad(args, &plan, &gathering, &quad, y, x, bits, columns);
        left -= quad.end_group - group;
        const uint32_t end = quad.pixels < 4u ? 0u : quad.end_group < whole ? quad.end_group : whole;
        if (group < end) {
            fbc_conv_whole_groups(args, &plan, &quad, &run, group, end, run_blocks);
            group = end;
        }
        if (group < quad.end_group) {
            fbc_conv_other_groups(args, &plan, &quad, group, bits);
        }
        group = 0u;
        pixel += 4u;
        quad.output += 4u * output_bytes;
        for (x += 4u; x >= args->output_width; x -= args->output_width) {
            y++;
        }
    }
}

#endif
