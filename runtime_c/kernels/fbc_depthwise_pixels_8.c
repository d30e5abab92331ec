/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution 3x3, stride 1 or 2, of HWC activations of 8 bits to outputs of 8 bits, clipped to all of them:
 * planes of four channels are written into scratch, and computed as fbc_depthwise_channels_8 computes those of a
 * channel-first tensor.
 *
 * The work is cut into units: a band of output rows of four channels. Cores take them in turn, for pixels of groups
 * that follow each other lie in different banks of L1. */
#include "micro/fbc_depthwise_channels_stride_1.h"
#include "micro/fbc_depthwise_channels_stride_2.h"
#include "micro/fbc_depthwise_pixels.h"

/* By stride. A unit costs about five cycles per pixel that it transposes, eight (stride 2: ten) per output, some per
 * column of outputs, and what it costs by itself. */
static const fbc_band_costs band_costs[2] = {{.kernel = 3, .pixel = 37, .column = 38, .unit = 300},
                                             {.kernel = 3, .pixel = 64, .column = 20, .unit = 300}};

static __attribute__((noinline)) void fbc_depthwise_pixels_1(const fbc_conv_args *args, uint32_t *widened) {
    const fbc_pixels_plan plan = fbc_make_pixels_plan(args, &band_costs[0]);
    const uint32_t cores = fbc_core_count(), height = args->output_height;
    uint8_t *planes = fbc_planes_of_core(args, &plan);
    fbc_channel_room_1 room;
    fbc_channel_run_1 *run = fbc_place_run_1(&room);
    run->turn = 0;
    uint32_t group = fbc_core_id();
    for (uint32_t row = 0; row < height; row += plan.band_rows, group -= plan.groups) {
        const uint32_t left = height - row, rows = left < plan.band_rows ? left : plan.band_rows;
        const fbc_plane_band band = fbc_band_of_rows(args, row, rows);
        const fbc_pixels_band pixels = fbc_pixels_of_band(args, &plan, &band, planes);
        uint8_t *output = fbc_output_row_1(args, row);
        fbc_begin_band_1(args, row, rows, plan.plane_bytes, run);
        for (; group < plan.groups; group += cores) {
            const uint32_t *filters = fbc_filters_of_group(args, group, widened);
            fbc_transpose_group(&pixels, group, 8u);
            run->end = filters + FBC_FILTER_ROWS;
            fbc_compute_band_1(args, FBC_DEPTHWISE_CHANNELS * group, planes, output, filters, run);
        }
    }
}

/* Of a band: all columns, or all but the last strip and that one, which is computed backwards from the right edge. */
typedef struct {
    fbc_channel_run_2 run;
    const uint8_t *input; /* where the run begins */
    uint8_t *output;      /* likewise, of the first channel */
} fbc_pixels_pass;

FBC_INLINE void fbc_begin_pixels_pass(const fbc_conv_args *args, const fbc_pixels_plan *plan,
                                      const fbc_plane_band *band, uint32_t row, const uint8_t *planes,
                                      uint32_t backwards, fbc_pixels_pass *pass) {
    fbc_begin_pass_2(args, band, row, planes, plan->plane_bytes, backwards, &pass->run);
    pass->input = pass->run.input;
    pass->output = pass->run.output;
}

static __attribute__((noinline)) void fbc_depthwise_pixels_2(const fbc_conv_args *args, uint32_t *widened) {
    const fbc_pixels_plan plan = fbc_make_pixels_plan(args, &band_costs[1]);
    const uint32_t cores = fbc_core_count(), height = args->output_height;
    const uint32_t both = args->input_width & 1u, strips = (args->output_width + 1u) >> 1;
    uint8_t *planes = fbc_planes_of_core(args, &plan);
    /* The cores' stacks lie in the same banks, but all of them read this all the time. */
    struct {
        fbc_pixels_pass first[2];
        uint32_t more[14];
    } room;
    fbc_pixels_pass *passes = (fbc_pixels_pass *)(void *)((uint8_t *)&room + 8u * (fbc_core_id() & 7u));
    uint32_t group = fbc_core_id();
    for (uint32_t row = 0; row < height; row += plan.band_rows, group -= plan.groups) {
        const uint32_t left = height - row, rows = left < plan.band_rows ? left : plan.band_rows;
        const fbc_plane_band band = fbc_band_of_rows(args, row, rows);
        const fbc_pixels_band pixels = fbc_pixels_of_band(args, &plan, &band, planes);
        const fbc_channels_2_function function = fbc_choose_channels_2(args, &band);
        passes[0].run.strips = strips - both;
        passes[1].run.strips = 1;
        fbc_begin_pixels_pass(args, &plan, &band, row, planes, args->pad_left == 0u, &passes[0]);
        if (both != 0u) {
            fbc_begin_pixels_pass(args, &plan, &band, row, planes, 1u, &passes[1]);
        }
        for (; group < plan.groups; group += cores) {
            const uint32_t channel = FBC_DEPTHWISE_CHANNELS * group;
            const uint32_t *filters = fbc_filters_of_group(args, group, widened);
            fbc_transpose_group(&pixels, group, 8u);
            for (fbc_pixels_pass *pass = passes; pass <= passes + both; pass++) {
                fbc_channel_run_2 *run = &pass->run;
                run->filters = filters;
                run->filters_end = filters + FBC_FILTER_ROWS;
                run->scales = args->requantization.scale + channel;
                run->addends = (const int32_t *)args->requantization.addend + channel;
                run->input = pass->input;
                run->output = pass->output + channel;
                function(run);
            }
        }
    }
}

void fbc_depthwise_pixels_8(void *arguments) {
    const fbc_conv_args *args = arguments;
    uint32_t widened[FBC_FILTER_ROWS]; /* of a group */
    if (args->stride_height == 1u) {
        fbc_depthwise_pixels_1(args, widened);
    } else {
        fbc_depthwise_pixels_2(args, widened);
    }
}

uint32_t fbc_depthwise_pixels_8_scratch_bytes(const fbc_conv_args *args) {
    return fbc_core_count() * fbc_make_pixels_plan(args, &band_costs[args->stride_height - 1u]).core_bytes;
}
