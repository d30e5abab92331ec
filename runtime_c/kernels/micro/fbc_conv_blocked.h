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

/* Of clamped requantizations there are runs to bytes only: few layers with narrower outputs are such. */
FBC_INLINE uint32_t fbc_run_writes_bytes(const fbc_conv_args *args, fbc_requantization_kind kind) {
    return args->output_bits < 8u && (kind == FBC_CLAMPED_UNSIGNED || kind == FBC_CLAMPED_SIGNED);
}

#define FBC_RUN_NAME(sign, output_bits, kind, first) fbc_run_##sign##_##output_bits##_##kind##_##first
#define FBC_RUN_FUNCTION(bits, sign, output_bits, kind, first) \
    static __attribute__((noinline)) void FBC_RUN_NAME(sign, output_bits, kind, first)(fbc_block_run * run) { \
        fbc_run_blocks(run, bits, sign, output_bits##u, kind, first##u, FBC_MACLOAD); \
    }
#define FBC_RUN_FUNCTION_PAIR(bits, sign, output_bits, first_kind, second_kind, first) \
    FBC_RUN_FUNCTION(bits, sign, output_bits, first_kind, first) \
    FBC_RUN_FUNCTION(bits, sign, output_bits, second_kind, first)
#define FBC_RUN_FUNCTION_OUTPUTS(bits, sign, first) \
    FBC_RUN_FUNCTION_PAIR(bits, sign, 8, FBC_UNSIGNED, FBC_SIGNED, first) \
    FBC_RUN_FUNCTION_PAIR(bits, sign, 8, FBC_CLAMPED_UNSIGNED, FBC_CLAMPED_SIGNED, first) \
    FBC_RUN_FUNCTION_PAIR(bits, sign, 4, FBC_UNSIGNED, FBC_SIGNED, first) \
    FBC_RUN_FUNCTION_PAIR(bits, sign, 2, FBC_UNSIGNED, FBC_SIGNED, first) \
    FBC_RUN_FUNCTION_PAIR(bits, sign, 4, FBC_SHORT_UNSIGNED, FBC_SHORT_SIGNED, first) \
    FBC_RUN_FUNCTION_PAIR(bits, sign, 2, FBC_SHORT_UNSIGNED, FBC_SHORT_SIGNED, first) \
    FBC_RUN_FUNCTION(bits, sign, 4, FBC_SHORT_BYTES, first) \
    FBC_RUN_FUNCTION(bits, sign, 2, FBC_SHORT_BYTES, first)
/* Defines them all for dot products of `bits`. */
#define FBC_RUN_FUNCTIONS(bits) \
    FBC_RUN_FUNCTION_OUTPUTS(bits, 0, 0) \
    FBC_RUN_FUNCTION_OUTPUTS(bits, 1, 0) \
    FBC_RUN_FUNCTION_OUTPUTS(bits, 0, 1) \
    FBC_RUN_FUNCTION_OUTPUTS(bits, 1, 1) \
    FBC_RUN_FUNCTION(bits, 0, 32, FBC_RARE, 0) \
    FBC_RUN_FUNCTION(bits, 1, 32, FBC_RARE, 0) \
    static const fbc_run_table fbc_runs = {{FBC_RUN_NAMES(0, 0), FBC_RUN_NAMES(1, 0)}, \
                                           {FBC_RUN_NAMES(0, 1), FBC_RUN_NAMES(1, 1)}};
#define FBC_RUN_NAMES_OF(sign, output_bits, first_kind, second_kind, first) \
    [first_kind] = FBC_RUN_NAME(sign, output_bits, first_kind, first), [second_kind] = FBC_RUN_NAME( \
                                                                           sign, output_bits, second_kind, first)
#define FBC_RUN_NARROW_NAMES(sign, output_bits, first) \
    FBC_RUN_NAMES_OF(sign, output_bits, FBC_UNSIGNED, FBC_SIGNED, first), \
        FBC_RUN_NAMES_OF(sign, output_bits, FBC_SHORT_UNSIGNED, FBC_SHORT_SIGNED, first), \
        [FBC_SHORT_BYTES] = FBC_RUN_NAME(sign, output_bits, FBC_SHORT_BYTES, first)
#define FBC_RUN_NAMES(sign, first) \
    { \
        {FBC_RUN_NARROW_NAMES(sign, 2, first)}, {FBC_RUN_NARROW_NAMES(sign, 4, first)}, { \
            FBC_RUN_NAMES_OF(sign, 8, FBC_UNSIGNED, FBC_SIGNED, first), \
                FBC_RUN_NAMES_OF(sign, 8, FBC_CLAMPED_UNSIGNED, FBC_CLAMPED_SIGNED, first), \
                [FBC_RARE] = FBC_RUN_NAME(sign, 32, FBC_RARE, 0) \
        } \
    }
/* By layout and sign, output bits / 4, kind; dimensions are powers of two because a multiplication takes two cycles. */
typedef fbc_run_function fbc_run_table[2][2][4][8];

FBC_INLINE fbc_run_function fbc_find_run(const fbc_run_table *runs, const fbc_conv_args *args,
                                         fbc_requantization_kind kind) {
    const uint32_t row = FBC_USUALLY(kind < FBC_CLAMPED_UNSIGNED) ? (uint32_t)args->output_bits >> 2 : 2u;
    return (*runs)[args->output_channel_first][args->activation_signed][row][kind];
}

/* A call on one core. */
typedef struct {
    fbc_blocked_plan plan;
    fbc_gathering gathering;
    fbc_block_run run;
    fbc_requantization_kind kind;
    fbc_run_function run_blocks;
    uint32_t writes_bytes; /* the runs, though the output is narrower */
    const uint8_t *weights;
    uint8_t *columns;
} fbc_conv_call;

/* Four pixels of a whole group, in 32 bits. */
static __attribute__((noinline)) void fbc_conv_store_sums(const fbc_conv_args *args, uint32_t channel, uint8_t *output,
                                                          uint32_t step, int32_t sums[4][4]) {
    const fbc_block_parameters block = fbc_get_block_parameters(&args->requantization, channel);
    const uint32_t bits = args->output_bits;
    for (uint32_t i = 0; i < 4u; i++) {
        fbc_requantize_pixel(&block, 1u, sums[i]);
    }
    for (uint32_t i = 0; i < 4u; i++) {
        const int32_t plane[4] = {sums[0][i], sums[1][i], sums[2][i], sums[3][i]};
        fbc_store_four(output, bits, 0u, args->output_channel_first ? plane : sums[i]);
        output += step;
    }
}

/* Others. */
static __attribute__((noinline)) void fbc_conv_store_lanes(const fbc_conv_args *args, uint32_t pixel, uint32_t pixels,
                                                           uint32_t channel, uint32_t step, int32_t sums[4][4]) {
    const uint32_t rest = args->output_channels - channel, channels = rest < 4u ? rest : 4u;
    const uint32_t bits = args->output_bits;
    uint8_t *output = args->output;
    for (uint32_t i = 0; i < pixels; i++) {
        for (uint32_t c = 0; c < channels; c++) {
            const int32_t value = fbc_requantize(&args->requantization, channel + c, sums[i][c]);
            if (args->output_channel_first) {
                fbc_write_lane(output + (channel + c) * step, pixel + i, bits, value);
            } else {
                fbc_write_lane(output + (pixel + i) * step, channel + c, bits, value);
            }
        }
    }
}

/* Blocks that are not written by a run: fewer than four pixels, or rare requantizations. */
static __attribute__((noinline)) void fbc_conv_rare_block(fbc_conv_call *call, uint32_t pixel, uint32_t group) {
    const fbc_blocked_plan *plan = &call->plan;
    const fbc_conv_args *args = call->gathering.args;
    fbc_block_run *run = &call->run;
    const uint8_t *weights = call->weights + group * plan->group_bytes;
    const uint32_t pixels = plan->pixels - pixel < 4u ? plan->pixels - pixel : 4u;
    const uint32_t channel = 4u * group, step = run->step, bits = args->output_bits;
    int32_t sums[4][4];
    if (pixels == 4u) {
        run->weights = weights;
        run->scales = args->requantization.scale;
        run->addends = args->requantization.addend;
        run->output = (uint8_t *)sums;
        run->groups = run->quads = 1u;
        call->run_blocks(run);
    }
    for (uint32_t i = 0; i < pixels && pixels < 4u; i++) {
        if (args->activation_signed) {
            fbc_dot_4x1(FBC_WIDTH, 1u, FBC_MACLOAD, weights, run->columns[i], plan->column_words, sums[i]);
        } else {
            fbc_dot_4x1(FBC_WIDTH, 0u, FBC_MACLOAD, weights, run->columns[i], plan->column_words, sums[i]);
        }
    }
    if (pixels < 4u || args->requantization.wide || bits == 32u || channel + 4u > args->output_channels) {
        fbc_conv_store_lanes(args, pixel, pixels, channel, step, sums);
    } else if (args->output_channel_first) {
        fbc_conv_store_sums(args, channel, (uint8_t *)args->output + channel * step + (pixel * bits >> 3), step, sums);
    } else {
        fbc_conv_store_sums(args, channel, (uint8_t *)args->output + pixel * step + (channel * bits >> 3), step, sums);
    }
}

/* Four bytes as narrower lanes. */
FBC_INLINE uint32_t fbc_narrow_word(uint32_t bits, uint32_t word) {
    const int32_t v0 = (int32_t)word, v1 = (int32_t)(word >> 8), v2 = (int32_t)(word >> 16), v3 = (int32_t)(word >> 24);
    return bits == 4u ? fbc_pack_lanes(4u, v0, v1, v2, v3) : fbc_pack_lanes(2u, v0, v1, v2, v3);
}

/* Whole groups whose runs write bytes where the output is narrower: computed beside the output, some at a time. */
static __attribute__((noinline)) void fbc_conv_narrow_groups(fbc_conv_call *call, uint32_t group, uint32_t end,
                                                             uint8_t *output) {
    const fbc_conv_args *args = call->gathering.args;
    fbc_block_run *run = &call->run;
    const uint32_t step = run->step, back = run->back, bits = args->output_bits;
    uint32_t words[8][4];
    run->step = run->back = 4u;
    while (group < end) {
        const uint32_t count = end - group < 8u ? end - group : 8u;
        run->weights = call->weights + group * call->plan.group_bytes;
        run->scales = args->requantization.scale + 4u * group;
        run->addends = (const int32_t *)args->requantization.addend + 4u * group;
        run->output = (uint8_t *)words;
        run->groups = count;
        run->quads = 1u;
        call->run_blocks(run);
        for (uint32_t i = 0; i < count; i++) {
            for (uint32_t j = 0; j < 4u; j++) {
                const uint32_t word = fbc_narrow_word(bits, words[i][j]), next = j < 3u ? step : back;
                if (bits == 4u) {
                    fbc_store_half(output, 0u, word);
                } else {
                    fbc_store_byte(output, 0u, word);
                }
                output += (int32_t)next;
            }
        }
        group += count;
    }
    run->step = step;
    run->back = back;
}

/* The last group if it has fewer than four channels: likewise. */
static __attribute__((noinline)) void fbc_conv_last_group(fbc_conv_call *call, uint8_t *output) {
    const fbc_conv_args *args = call->gathering.args;
    fbc_block_run *run = &call->run;
    const uint32_t channel = args->output_channels & ~3u, channels = args->output_channels & 3u;
    const uint32_t step = run->step, back = run->back, bits = args->output_bits, mask = (1u << channels * bits) - 1u;
    fbc_scale scales[4] = {{0, 0}};
    int32_t addends[4] = {0};
    uint32_t words[4] = {0};
    for (uint32_t i = 0; i < channels; i++) {
        scales[i] = args->requantization.scale[channel + i];
        addends[i] = ((const int32_t *)args->requantization.addend)[channel + i];
    }
    run->weights = call->weights + (channel >> 2) * call->plan.group_bytes;
    run->scales = scales;
    run->addends = addends;
    run->output = (uint8_t *)words;
    run->step = run->back = 4u;
    run->groups = run->quads = 1u;
    call->run_blocks(run);
    run->step = step;
    run->back = back;
    const uint32_t lines = args->output_channel_first ? channels : 4u;
    const uint32_t bytes = args->output_channel_first ? bits >> 1 : fbc_lane_bytes(channels, bits);
    for (uint32_t i = 0; i < lines; i++) {
        uint32_t word = call->writes_bytes ? fbc_narrow_word(bits, words[i]) : words[i];
        word = args->output_channel_first ? word : word & mask;
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
    fbc_prepare_block_run(run, &args->requantization);
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
    const uint32_t again = rest < 4u && plan->pixels >= 4u && !(args->output_channel_first && bits < 8u);
    const uint32_t pixel = again && call->kind != FBC_RARE ? plan->pixels - 4u : first;
    const uint32_t width = call->gathering.output_width, y = fbc_divide(pixel, width), x = pixel - y * width;
    if (plan->direct) {
        fbc_find_quad(&call->gathering, y, x, run->columns);
    } else {
        const uint32_t pixels = plan->pixels - pixel < 4u ? plan->pixels - pixel : 4u;
        fbc_gather_columns(&call->gathering, y, x, pixels, call->columns, run->columns);
    }
    run->column_step = 0u; /* the next run reads the columns again */
    if (call->kind == FBC_RARE || pixel + 4u > plan->pixels) {
        for (; group < end; group++) {
            fbc_conv_rare_block(call, pixel, group);
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
    if (group < whole_end && call->writes_bytes) {
        fbc_conv_narrow_groups(call, group, whole_end, output + group * group_step);
    } else if (group < whole_end) {
        run->weights = call->weights + group * plan->group_bytes;
        run->scales = args->requantization.scale + 4u * group;
        run->addends = (const int32_t *)args->requantization.addend + 4u * group;
        run->output = output + group * group_step;
        run->groups = whole_end - group;
        run->quads = 1u;
        call->run_blocks(run);
    }
    if (whole < end) {
        fbc_conv_last_group(call, output + whole * group_step);
    }
}

/* All groups of quads from `quad` up to `end`. */
FBC_INLINE void fbc_conv_quads(fbc_conv_call *call, uint32_t quad, uint32_t end) {
    const fbc_quads at_once = fbc_plan_quads(&call->gathering);
    const fbc_conv_args *args = call->gathering.args;
    fbc_block_run *run = &call->run;
    const uint32_t width = call->gathering.output_width, column_step = call->gathering.column_step;
    uint32_t y = fbc_divide(4u * quad, width), x = 4u * quad - y * width, left = end - quad;
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

static __attribute__((noinline)) void fbc_conv_gathered(const fbc_conv_args *args, fbc_requantization_kind kind,
                                                        const fbc_run_table *runs) {
    fbc_conv_call call;
    call.kind = kind;
    call.run_blocks = fbc_find_run(runs, args, kind);
    call.writes_bytes = fbc_run_writes_bytes(args, kind);
    call.plan = fbc_make_blocked_plan(args, FBC_WIDTH, 1u);
    call.gathering = fbc_make_gathering(args, &call.plan);
    call.weights = call.plan.weight_bytes > 0u ? args->scratch : args->weights;
    call.columns = (uint8_t *)args->scratch + call.plan.weight_bytes + fbc_core_id() * call.plan.core_bytes;
    fbc_prepare_run(&call.run, args, &call.plan);
    const uint32_t groups = call.plan.groups;
    fbc_block_share share = fbc_share_blocks((call.plan.pixels + 3u) >> 2, groups);
    if (share.group > 0u && share.left > 0u) {
        const uint32_t rest = groups - share.group, count = share.left < rest ? share.left : rest;
        fbc_conv_quad(&call, share.quad, share.group, share.group + count);
        share.left -= count;
        share.quad++;
    }
    const uint32_t whole_quads = call.plan.pixels >> 2;
    if (kind != FBC_RARE && !call.writes_bytes && (args->output_channels & 3u) == 0u && share.left >= groups &&
        share.quad < whole_quads) {
        const uint32_t rest = whole_quads - share.quad, count = fbc_divide(share.left, groups);
        const uint32_t end = share.quad + (count < rest ? count : rest);
        fbc_conv_quads(&call, share.quad, end);
        share.left -= (end - share.quad) * groups;
        share.quad = end;
    }
    while (share.left > 0u) {
        const uint32_t end = share.left < groups ? share.left : groups;
        fbc_conv_quad(&call, share.quad, 0u, end);
        share.left -= end;
        share.quad++;
    }
}

FBC_INLINE void fbc_conv_blocked(const fbc_conv_args *args, const fbc_run_table *runs) {
    const fbc_requantization_kind kind = fbc_kind_of(&args->requantization, args->output_bits);
    const uint32_t runs_write = kind != FBC_RARE && !fbc_run_writes_bytes(args, kind);
    if (FBC_USUALLY(runs_write != 0u) && fbc_conv_is_pointwise(args)) {
        if (fbc_conv_is_one_run(args, FBC_WIDTH)) {
            fbc_conv_in_one_run(args, FBC_WIDTH, fbc_find_run(runs, args, kind));
            return;
        }
        if (fbc_conv_is_direct(args)) {
            fbc_conv_direct(args, FBC_WIDTH, fbc_find_run(runs, args, kind));
            return;
        }
    }
    fbc_conv_gathered(args, kind, runs);
}

#endif
