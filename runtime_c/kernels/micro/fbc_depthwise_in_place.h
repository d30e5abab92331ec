/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* What the 3x3 depthwise convolutions that read planes in place share: bands of output rows, and where columns and rows
 * of padding are. */
#ifndef FBC_DEPTHWISE_IN_PLACE_H
#define FBC_DEPTHWISE_IN_PLACE_H

#include "common/fbc_in_place.h"
#include "micro/fbc_depthwise_bands.h"

/* Right shift of the requantization of planes of less than 8 bits. */
enum { FBC_PLANE_SHIFT = 16 };

/* Output rows of a tile, and the input rows that they read. A row loop computes all but the last, in rounds of three
 * rows (stride 2: two), the first of which may be shorter. */
typedef struct {
    uint32_t rows;
    uint32_t first;  /* input row */
    uint32_t above;  /* the first window's first row is above the tile */
    uint32_t below;  /* the last window's last row is below the tile */
    uint32_t read;   /* input rows */
    uint32_t rounds; /* of the row loop */
    uint32_t entry;  /* the way into it: 0 past it, else the rows of its first round */
} fbc_plane_band;

FBC_INLINE fbc_plane_band fbc_band_of_rows(const fbc_conv_args *args, uint32_t row, uint32_t rows) {
    const uint32_t stride = args->stride_height, looped = rows - 1u, steps = stride == 1u ? 3u : 2u;
    const uint32_t above = row == 0u ? args->pad_top : 0u;
    const uint32_t below = fbc_window_behind(row + rows, stride, args->pad_top, args->input_height) > 0;
    const uint32_t rounds = stride == 1u ? fbc_third(looped + 2u) : (looped + 1u) >> 1;
    const fbc_plane_band band = {
        .rows = rows,
        .first = row * stride - args->pad_top + above,
        .above = above,
        .below = below,
        .read = 3u + looped * stride - above - below,
        .rounds = rounds,
        .entry = looped == 0u ? 0u : looped + steps - rounds * steps,
    };
    return band;
}

/* The work in units, a band of one channel, or of one group of them, each: units of a band follow each other. */
typedef struct {
    fbc_range units;    /* that the calling core has yet to compute */
    uint32_t channels;  /* or groups of them */
    uint32_t band_rows; /* one band if the cores can share the channels evenly */
} fbc_band_units;

/* Units of one band that the calling core computes. */
typedef struct {
    uint32_t channel; /* or group */
    uint32_t count;
    uint32_t row; /* of the output */
    fbc_plane_band band;
} fbc_unit_run;

FBC_INLINE fbc_band_units fbc_cut_units(const fbc_conv_args *args, const fbc_band_costs *costs, uint32_t channels) {
    const uint32_t height = args->output_height;
    fbc_band_units units = {.channels = channels, .band_rows = height};
    uint32_t bands = 1;
    if (!fbc_cores_divide(channels)) {
        units.band_rows = fbc_balance_bands(costs, channels, 1u, args->output_width, height);
        bands = (height + units.band_rows - 1u) / units.band_rows;
    }
    units.units = fbc_core_range(channels * bands);
    return units;
}

FBC_INLINE fbc_unit_run fbc_take_units(const fbc_conv_args *args, fbc_band_units *units) {
    const uint32_t height = args->output_height, channels = units->channels, begin = units->units.begin;
    const uint32_t index = units->band_rows == height ? 0u : begin / channels, row = index * units->band_rows;
    const uint32_t channel = begin - index * channels, left = channels - channel, all = units->units.end - begin;
    const uint32_t rows = height - row < units->band_rows ? height - row : units->band_rows;
    const fbc_unit_run run = {channel, all < left ? all : left, row, fbc_band_of_rows(args, row, rows)};
    units->units.begin += run.count;
    return run;
}

#endif
