/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution 3x3, stride 1, of HWC activations of 4 bits to outputs of 4 bits: as fbc_depthwise_pixels_8,
 * but computed as fbc_depthwise_pairs_4 computes a channel-first tensor. */
#include "micro/fbc_depthwise_flat_4.h"
#include "micro/fbc_depthwise_pixels.h"

/* A unit costs some five cycles per pixel that it transposes, and thirty per output pixel. */
static const fbc_band_costs band_costs = {.kernel = 3, .pixel = 37, .column = 22, .unit = 430};

#ifdef FBC_XPULPNN

void fbc_depthwise_pixels_4(void *arguments) {
    const fbc_conv_args *args = arguments;
    const fbc_pixels_plan plan = fbc_make_pixels_plan(args, &band_costs);
    const fbc_flat_function compute = args->activation_signed ? fbc_compute_flat_4_1 : fbc_compute_flat_4_0;
    const uint32_t cores = fbc_core_count(), height = args->output_height;
    uint8_t *planes = fbc_planes_of_core(args, &plan);
    /* The cores' stacks lie in the same banks, but all of them read this all the time. */
    struct {
        fbc_flat_run first;
        uint32_t more[14];
    } room;
    fbc_flat_run *run = (fbc_flat_run *)(void *)((uint8_t *)&room + 8u * (fbc_core_id() & 7u));
    fbc_prepare_flat_run(args, 4u, plan.plane_bytes, run);
    uint32_t group = fbc_core_id();
    for (uint32_t row = 0; row < height; row += plan.band_rows, group -= plan.groups) {
        const uint32_t left = height - row, rows = left < plan.band_rows ? left : plan.band_rows;
        const fbc_plane_band band = fbc_band_of_rows(args, row, rows);
        const fbc_pixels_band pixels = fbc_pixels_of_band(args, &plan, &band, planes);
        fbc_begin_flat_band(args, 4u, &band, run);
        for (; group < plan.groups; group += cores) {
            fbc_transpose_group(&pixels, group, 4u);
            fbc_point_flat_run(args, 4u, FBC_DEPTHWISE_CHANNELS * group, row, planes, run);
            compute(run, FBC_DEPTHWISE_CHANNELS / 2);
        }
    }
}

#else

void fbc_depthwise_pixels_4(void *arguments) {
    fbc_depthwise_flat(arguments, 4u, &band_costs);
}

#endif

uint32_t fbc_depthwise_pixels_4_scratch_bytes(const fbc_conv_args *args) {
    return fbc_core_count() * fbc_make_pixels_plan(args, &band_costs).core_bytes;
}
