/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution 3x3, stride 1 or 2, of channel-first activations of 8 bits to outputs of 8 bits, clipped to all
 * of them: each channel is read in place, without scratch.
 *
 * The work is cut into units: a band of output rows of one channel. Each core takes a run of units. */
#include "micro/fbc_depthwise_channels_stride_1.h"
#include "micro/fbc_depthwise_channels_stride_2.h"
#include "micro/fbc_widen_filter_rows.h"

/* A unit costs about eight cycles per output, fourteen per strip of two columns, and what it costs by itself. */
static const fbc_band_costs band_costs = {.kernel = 3, .pixel = 8, .column = 7, .unit = 100};

/* The filters of `count` channels from `channel` on. Narrow weights are widened; if there are more than that fills,
 * `count` becomes less. */
enum { FBC_WIDENED_GROUPS_1 = 4 };

FBC_INLINE const uint32_t *fbc_filters_1(const fbc_conv_args *args, uint32_t channel, uint32_t *count,
                                         uint32_t *widened) {
    const uint32_t bits = args->weight_bits, inside = channel & 3u, most = 4u * FBC_WIDENED_GROUPS_1 - inside;
    if (FBC_USUALLY(bits == 8u)) {
        return (const uint32_t *)args->weights + 3u * channel;
    }
    *count = *count < most ? *count : most;
    fbc_widen_filters((const uint32_t *)args->weights + 3u * (channel - inside) * bits / 8u, bits,
                      (inside + *count + 3u) >> 2, widened);
    return widened + 3u * inside;
}

/* Outputs of so many channels lie in so many banks of L1 that each core can begin in one of its own. */
enum { FBC_CHANNEL_1_TURNED = 16 };

/* `count` channels from `channel` on, a band of `rows` output rows from `row` on. */
static __attribute__((noinline)) void fbc_run_channels_1(const fbc_conv_args *args, uint32_t channel, uint32_t count,
                                                         const uint32_t *filters, uint32_t row, uint32_t rows) {
    const uint32_t width = args->input_width, plane_bytes = args->input_height * width;
    fbc_channel_room_1 room;
    fbc_channel_run_1 *run = fbc_place_run_1(&room);
    fbc_begin_band_1(args, row, rows, plane_bytes, run);
    const uint32_t turn = count >= FBC_CHANNEL_1_TURNED ? (fbc_core_id() & 7u) * count >> 3 : 0u;
    run->turn = turn;
    run->channels = count;
    run->planes_bytes = count * plane_bytes;
    run->end = filters + 3u * count;
    channel += turn;
    const uint32_t first = row - args->pad_top + run->above; /* row of the input */
    const uint8_t *input = (const uint8_t *)args->input + channel * plane_bytes + first * width;
    fbc_compute_band_1(args, channel, input, fbc_output_row_1(args, row), filters + 3u * turn, run);
}

static __attribute__((noinline)) void fbc_run_units_1(const fbc_conv_args *args) {
    uint32_t widened[FBC_WIDENED_GROUPS_1 * FBC_FILTER_ROWS];
    fbc_band_units units = fbc_cut_units(args, &band_costs, args->output_channels);
    while (units.units.begin < units.units.end) {
        const fbc_unit_run part = fbc_take_units(args, &units);
        uint32_t count = part.count;
        const uint32_t *filters = fbc_filters_1(args, part.channel, &count, widened);
        units.units.begin -= part.count - count;
        fbc_run_channels_1(args, part.channel, count, filters, part.row, part.band.rows);
    }
}

static __attribute__((noinline)) void fbc_depthwise_channels_1(const fbc_conv_args *args) {
    const uint32_t channels = args->output_channels;
    if (FBC_USUALLY(fbc_cores_divide(channels) && args->weight_bits == 8u)) {
        const fbc_range range = fbc_core_range(channels);
        fbc_run_channels_1(args, range.begin, range.end - range.begin,
                           (const uint32_t *)args->weights + 3u * range.begin, 0u, args->output_height);
    } else {
        fbc_run_units_1(args);
    }
}

enum { FBC_BANKS_BYTES_2 = 64 }; /* so far apart lie bytes in the same bank of L1 */

/* The cores go down their strips in step. Where all rows, or every other one, begin in one bank, that could not serve
 * all of them, so they begin at strips of their own. Returns how many strips of its first channel a core leaves for
 * the end. */
FBC_INLINE uint32_t fbc_turn_2(uint32_t width, uint32_t strips) {
    return width % (FBC_BANKS_BYTES_2 / 2) == 0u ? (fbc_core_id() & 7u) * strips >> 3 : 0u;
}

/* The run's channels, but at last the first `turn` strips of the first one. Leaves the run at the channels behind. */
FBC_INLINE void fbc_compute_turned_2(fbc_channels_2_function function, uint32_t turn, fbc_channel_run_2 *run) {
    const uint32_t *const filters = run->filters, *const end = run->filters_end;
    const uint32_t strips = run->strips, edge_taps = run->edge_taps;
    const fbc_scale *scales = run->scales;
    const int32_t *addends = run->addends;
    const uint8_t *input = run->input;
    uint8_t *output = run->output;
    run->filters_end = filters + 3;
    run->strips = strips - turn;
    run->edge_taps = run->taps;
    run->input = input + 2 * (int32_t)turn * run->apart;
    run->output = output + 2 * (int32_t)turn * run->output_apart;
    function(run);
    run->strips = strips;
    run->edge_taps = edge_taps;
    if (filters + 3 < end) {
        run->filters = filters + 3;
        run->filters_end = end;
        function(run);
    }
    const fbc_scale *const next_scales = run->scales;
    const int32_t *const next_addends = run->addends;
    const uint8_t *const next_input = run->input;
    uint8_t *const next_output = run->output;
    run->filters = filters;
    run->filters_end = filters + 3;
    run->strips = turn;
    run->scales = scales;
    run->addends = addends;
    run->input = input;
    run->output = output;
    function(run);
    run->strips = strips;
    run->scales = next_scales;
    run->addends = next_addends;
    run->input = next_input;
    run->output = next_output;
}

enum { FBC_WIDENED_GROUPS_2 = 3 };

/* Of narrow weights, or strips in turn. Narrow weights are widened some groups of four channels at once. */
static __attribute__((noinline)) void fbc_compute_parts_2(const fbc_conv_args *args, uint32_t channel, uint32_t count,
                                                          fbc_channels_2_function function, uint32_t turn,
                                                          fbc_channel_run_2 *run) {
    const uint32_t bits = args->weight_bits, end = channel + count;
    uint32_t widened[FBC_WIDENED_GROUPS_2 * FBC_FILTER_ROWS];
    while (channel < end) {
        const uint32_t group = channel & ~3u, most = bits == 8u ? end : group + 4u * FBC_WIDENED_GROUPS_2;
        const uint32_t next = most < end ? most : end;
        run->filters = (const uint32_t *)args->weights + 3u * channel;
        if (bits != 8u) {
            fbc_widen_filters((const uint32_t *)args->weights + 3u * group * bits / 8u, bits, (next - group + 3u) >> 2,
                              widened);
            run->filters = widened + 3u * (channel - group);
        }
        run->filters_end = run->filters + 3u * (next - channel);
        if (turn != 0u) {
            fbc_compute_turned_2(function, turn, run);
        } else {
            function(run);
        }
        channel = next;
    }
}

/* Of channels [channel, channel + count) of output rows [row, row + rows). */
static __attribute__((noinline)) void fbc_compute_pass_2(const fbc_conv_args *args, uint32_t channel, uint32_t count,
                                                         uint32_t row, uint32_t rows, uint32_t backwards,
                                                         fbc_channel_run_2 *run) {
    const fbc_plane_band band = fbc_band_of_rows(args, row, rows);
    const uint32_t row_bytes = args->input_width, plane_bytes = args->input_height * row_bytes;
    const uint8_t *const first_row = (const uint8_t *)args->input + channel * plane_bytes + band.first * row_bytes;
    fbc_begin_pass_2(args, &band, row, first_row, plane_bytes, backwards, run);
    run->output += channel;
    run->scales = args->requantization.scale + channel;
    run->addends = (const int32_t *)args->requantization.addend + channel;
    const fbc_channels_2_function function = fbc_choose_channels_2(args, &band);
    const uint32_t turn = fbc_turn_2(row_bytes, run->strips);
    if (args->weight_bits != 8u || turn != 0u) {
        fbc_compute_parts_2(args, channel, count, function, turn, run);
        return;
    }
    run->filters = (const uint32_t *)args->weights + 3u * channel;
    run->filters_end = run->filters + 3u * count;
    function(run);
}

/* Several bands, or columns of padding on both sides: the strip at the right edge is a second pass. */
static __attribute__((noinline)) void fbc_compute_bands_2(const fbc_conv_args *args, fbc_band_units units,
                                                          uint32_t strips, fbc_channel_run_2 *run) {
    const uint32_t both = args->input_width & 1u, backwards = args->pad_left == 0u;
    while (units.units.begin < units.units.end) {
        const fbc_unit_run part = fbc_take_units(args, &units);
        run->strips = strips - both;
        fbc_compute_pass_2(args, part.channel, part.count, part.row, part.band.rows, backwards, run);
        if (both != 0u) {
            run->strips = 1;
            fbc_compute_pass_2(args, part.channel, part.count, part.row, part.band.rows, 1u, run);
        }
    }
}

static __attribute__((noinline)) void fbc_depthwise_channels_2(const fbc_conv_args *args) {
    /* The cores' stacks lie in the same banks, but all of them read this all the time. */
    struct {
        fbc_channel_run_2 first;
        uint32_t more[14];
    } room;
    fbc_channel_run_2 *run = (fbc_channel_run_2 *)(void *)((uint8_t *)&room + 8u * (fbc_core_id() & 7u));
    const uint32_t strips = (args->output_width + 1u) >> 1, rows = args->output_height;
    const fbc_band_units units = fbc_cut_units(args, &band_costs, args->output_channels);
    const uint32_t channel = units.units.begin, count = units.units.end - channel;
    if ((args->input_width & 1u) != 0u || units.band_rows != rows) {
        fbc_compute_bands_2(args, units, strips, run);
    } else if (count > 0u) {
        run->strips = strips;
        fbc_compute_pass_2(args, channel, count, 0u, rows, args->pad_left == 0u, run);
    }
}

void fbc_depthwise_channels_8(void *arguments) {
    const fbc_conv_args *args = arguments;
    if (args->stride_height == 1u) {
        fbc_depthwise_channels_1(args);
    } else {
        fbc_depthwise_channels_2(args);
    }
}
