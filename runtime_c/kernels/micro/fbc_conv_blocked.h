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
    uint32_t first_group;
    uint32_t end_group;
    uint8_t *output;
} fbc_quad;

FBC_INLINE const uint8_t *fbc_group_weights(const fbc_conv_args *args, const fbc_blocked_plan *plan, uint32_t group) {
    const uint8_t *weights = plan->weight_bytes > 0u ? args->scratch : args->weights;
    return weights + group * plan->group_bytes;
}

/* Whole groups of whole quads: everything that the inner code depends on is constant. Returns the group after. */
FBC_INLINE uint32_t fbc_conv_whole_groups(const fbc_conv_args *args, const fbc_blocked_plan *plan, const fbc_quad *quad,
                                          uint32_t bits, uint32_t is_signed, uint32_t output_bits,
                                          fbc_requantization_kind kind) {
    const fbc_requantization *parameters = &args->requantization;
    const uint32_t whole = (uint32_t)args->output_channels >> 2, group = quad->first_group;
    const uint32_t end = quad->end_group < whole ? quad->end_group : whole;
    const uint32_t pixel_bytes = fbc_lane_bytes(args->output_channels, output_bits);
    if (group >= end) {
        return group;
    }
    fbc_block_run run = {
        .columns = {quad->columns[0], quad->columns[1], quad->columns[2], quad->columns[3]},
        .words = plan->group_bytes >> 4,
        .weights = fbc_group_weights(args, plan, group),
        .scales = parameters->scale + 4u * group,
        .addends = (const int32_t *)parameters->addend + 4u * group,
        .output = quad->output + group * (output_bits >> 1),
        .groups = end - group,
        .pixel_bytes = pixel_bytes,
        .back = (output_bits >> 1) - 4u * pixel_bytes,
        .shift = parameters->shift,
        .high = parameters->high,
        .low = parameters->low,
        .column_words = plan->column_words,
    };
    fbc_run_blocks(&run, bits, is_signed, output_bits, kind);
    return end;
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
                                      uint32_t group, uint32_t bits, uint32_t is_signed) {
    const uint32_t output_bytes = fbc_lane_bytes(args->output_channels, args->output_bits);
    const uint8_t *weights = fbc_group_weights(args, plan, group);
    for (; group < quad->end_group; group++) {
        const uint32_t channel = 4u * group;
        const uint32_t rest = args->output_channels - channel;
        uint8_t *output = quad->output + group * ((uint32_t)args->output_bits >> 1);
        for (uint32_t i = 0; i < quad->pixels; i++) {
            int32_t sums[4];
            fbc_dot_4x1(bits, is_signed, weights, quad->columns[i], plan->column_words, sums);
            fbc_store_pixel(&args->requantization, sums, channel, rest < 4u ? rest : 4u, output, args->output_bits);
            output += output_bytes;
        }
        weights += plan->group_bytes;
    }
}

FBC_INLINE uint32_t fbc_conv_quad(const fbc_conv_args *args, const fbc_blocked_plan *plan, const fbc_quad *quad,
                                  uint32_t bits, uint32_t is_signed, uint32_t output_bits) {
    switch (fbc_kind_of(&args->requantization, output_bits)) {
    case FBC_PLAIN:
        return fbc_conv_whole_groups(args, plan, quad, bits, is_signed, output_bits, FBC_PLAIN);
    case FBC_CLAMPED:
        return fbc_conv_whole_groups(args, plan, quad, bits, is_signed, output_bits, FBC_CLAMPED);
    case FBC_GENERAL:
        return fbc_conv_whole_groups(args, plan, quad, bits, is_signed, output_bits, FBC_GENERAL);
    default:
        return quad->first_group;
    }
}

FBC_INLINE void fbc_load_quad(const fbc_conv_args *args, const fbc_blocked_plan *plan, const fbc_gathering *gathering,
                              fbc_quad *quad, uint32_t first, uint32_t bits, uint8_t *columns) {
    const uint32_t y = first / args->output_width, x = first - y * args->output_width;
    const uint8_t *column = columns;
    uint32_t step = plan->column_stride;
    if (plan->direct) {
        step = args->stride_width * plan->pixel_bytes;
        column = (const uint8_t *)args->input + y * args->stride_height * gathering->inside.source_step + x * step;
    } else {
        const int32_t top = (int32_t)(y * args->stride_height) - args->pad_top;
        const int32_t left = (int32_t)(x * args->stride_width) - args->pad_left;
        fbc_gather_columns(args, plan, gathering, bits, top, left, columns, quad->pixels);
    }
    uint32_t left_in_row = args->output_width - x;
    const uint32_t next_row = args->stride_height * gathering->inside.source_step - args->output_width * step;
    for (uint32_t i = 0; i < quad->pixels; i++) {
        quad->columns[i] = column;
        column += step;
        left_in_row--;
        if (plan->direct && left_in_row == 0u) {
            left_in_row = args->output_width;
            column += next_row;
        }
    }
}

FBC_INLINE void fbc_conv_blocked(const fbc_conv_args *args, uint32_t bits, uint32_t is_signed) {
    const fbc_blocked_plan plan = fbc_make_blocked_plan(args, bits);
    const fbc_gathering gathering = fbc_make_gathering(args, &plan, bits);
    const uint32_t pixels = (uint32_t)args->output_height * args->output_width;
    const uint32_t output_bytes = fbc_lane_bytes(args->output_channels, args->output_bits);
    const fbc_range blocks = fbc_core_range(((pixels + 3u) >> 2) * plan.groups);
    uint8_t *columns = (uint8_t *)args->scratch + plan.weight_bytes + fbc_core_id() * plan.core_bytes;
    uint32_t block = blocks.begin;
    while (block < blocks.end) {
        const uint32_t first = block / plan.groups * 4u;
        fbc_quad quad;
        quad.pixels = pixels - first < 4u ? pixels - first : 4u;
        quad.first_group = block % plan.groups;
        quad.end_group = quad.first_group + blocks.end - block;
        if (quad.end_group > plan.groups) {
            quad.end_group = plan.groups;
        }
        quad.output = (uint8_t *)args->output + first * output_bytes;
        fbc_load_quad(args, &plan, &gathering, &quad, first, bits, columns);
        uint32_t done = quad.first_group;
        if (quad.pixels == 4u && args->output_bits == 8u) {
            done = fbc_conv_quad(args, &plan, &quad, bits, is_signed, 8u);
        } else if (quad.pixels == 4u && args->output_bits == 4u) {
            done = fbc_conv_quad(args, &plan, &quad, bits, is_signed, 4u);
        } else if (quad.pixels == 4u && args->output_bits == 2u) {
            done = fbc_conv_quad(args, &plan, &quad, bits, is_signed, 2u);
        }
        fbc_conv_other_groups(args, &plan, &quad, done, bits, is_signed);
        block += quad.end_group - quad.first_group;
    }
}

#endif
