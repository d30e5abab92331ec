/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution 3x3, stride 1 or 2, of channel-first activations of 8 bits to outputs of 8 bits, clipped to all
 * of them: each channel is read in place, without scratch.
 *
 * The work is cut into units: a band of output rows of one channel. Each core takes a run of units. */
#include "micro/fbc_depthwise_channels.h"
#include "micro/fbc_depthwise_channels_1.h"
#include "micro/fbc_depthwise_in_place.h"
#include "micro/fbc_widen_filter_rows.h"

/* A unit costs about eight cycles per output, fourteen per strip of two columns, and what it costs by itself. */
static const fbc_band_costs band_costs = {.kernel = 3, .pixel = 8, .column = 7, .unit = 100};

/* Where a phase begins: the column of its first word and its first output; and what it leaves behind. */
typedef struct {
    fbc_channel_phase *next;
    uint32_t input_column;
    uint32_t output_column;
} phase_end;

FBC_INLINE void add_phase(phase_end *end, const fbc_channel_run *run, uint32_t stride, uint32_t strips,
                          uint32_t input_column, uint32_t output_column, uint32_t left, uint32_t right,
                          uint32_t apart) {
    fbc_channel_phase *phase = end->next;
    if (strips == 0u) {
        return;
    }
    phase->strips = strips;
    phase->input_step = input_column - end->input_column;
    phase->output_step = (output_column - end->output_column) * run->pixel_bytes;
    phase->left = left;
    phase->right = right;
    phase->apart = apart;
    end->next++;
    end->input_column = input_column + 2u * stride * strips;
    end->output_column = output_column + 2u * strips;
}

/* Rows so far apart lie in the same bank of L1. */
enum { FBC_BANKS_BYTES = 64 };

/* Stride 2: two outputs at an edge with a column of padding have one word; the rest inside, one of them twice if need
 * be. The cores go down their strips in step, and read more than a bank can serve: where all rows lie in one bank, they
 * begin at strips of their own. */
FBC_INLINE void prepare_phases_2(const fbc_conv_args *args, fbc_channel_run *run) {
    const uint32_t width = args->input_width, outputs = args->output_width, before = args->pad_left;
    const uint32_t behind = (uint32_t)fbc_window_behind(outputs, 2u, before, width);
    const uint32_t edges = 2u * before + 2u * behind, inside = outputs > edges ? (outputs - edges + 1u) >> 1 : 0u;
    const uint32_t from = before != 0u ? outputs - 2u * behind - 2u * inside : 0u;
    const uint32_t taps = before != 0u ? FBC_TAPS_AT_1 : FBC_TAPS_AT_0;
    const uint32_t turn = width % FBC_BANKS_BYTES == 0u ? (fbc_core_id() & 7u) * inside >> 3 : 0u;
    const uint32_t input = 2u * (from - before);
    phase_end end = {run->phases, 0u, 0u};
    add_phase(&end, run, 2u, inside - turn, input + 4u * turn, from + 2u * turn, taps, taps, 2u);
    add_phase(&end, run, 2u, behind, width - 4u, outputs - 2u, FBC_TAPS_AT_0, FBC_TAPS_AT_2, 0u);
    add_phase(&end, run, 2u, before, 0u, 0u, FBC_TAPS_FROM_SECOND, FBC_TAPS_AT_1, 0u);
    add_phase(&end, run, 2u, turn, input, from, taps, taps, 2u);
    end.next->strips = 0;
}

/* What does not depend on channels and bands. */
FBC_INLINE void prepare_run(const fbc_conv_args *args, fbc_channel_run *run) {
    run->plane_bytes = (uint32_t)args->input_height * args->input_width;
    run->pixel_bytes = args->output_channels;
    run->row_rest = (args->output_width - 1u) * run->pixel_bytes;
    run->shift = args->requantization.shift;
    run->row_bytes = args->input_width;
    prepare_phases_2(args, run);
}

FBC_INLINE void begin_band(const fbc_plane_band *band, fbc_channel_run *run) {
    run->rounds = band->rounds;
    run->entry = band->entry * FBC_CHANNEL_ENTRY;
    run->first_mask = band->above - 1u;
    run->first_step = band->above != 0u ? 0u : run->row_bytes;
    run->below = band->below;
    run->input_next = 4u - band->read * run->row_bytes;
    run->output_next = 2u * run->pixel_bytes - band->rows * (run->pixel_bytes + run->row_rest);
    run->output_rows = band->rows;
}

typedef void (*channels_function)(fbc_channel_run *run);

/* By sign of the activations, whether sums are clamped. */
typedef const channels_function channels_table[2][2];

enum { FBC_WIDENED_GROUPS = 1 };

/* Channels [channel, channel + count) of a band. Narrow weights are widened some groups of four channels at once. */
FBC_INLINE void compute_channels(const fbc_conv_args *args, channels_function function, uint32_t channel,
                                 uint32_t count, const uint8_t *input, uint8_t *output, fbc_channel_run *run) {
    const uint32_t bits = args->weight_bits, end = channel + count;
    uint32_t widened[FBC_WIDENED_GROUPS * FBC_FILTER_ROWS];
    while (channel < end) {
        const uint32_t group = channel & ~3u, most = bits == 8u ? end : group + 4u * FBC_WIDENED_GROUPS;
        const uint32_t *filters = (const uint32_t *)args->weights + 3u * channel;
        if (bits != 8u) {
            const uint32_t groups = (end - group + 3u) >> 2;
            fbc_widen_filters((const uint32_t *)args->weights + 3u * group * bits / 8u, bits,
                              groups < FBC_WIDENED_GROUPS ? groups : FBC_WIDENED_GROUPS, widened);
            filters = widened + 3u * (channel - group);
        }
        run->filters = filters;
        run->scales = args->requantization.scale + channel;
        run->addends = (const int32_t *)args->requantization.addend + channel;
        run->plane = input + channel * run->plane_bytes;
        run->output = output + channel;
        run->channels = (most < end ? most : end) - channel;
        channel += run->channels;
        function(run);
    }
}

static __attribute__((noinline)) void depthwise_channels(const fbc_conv_args *args, channels_table *table) {
    const uint32_t clamped = args->requantization.clamped != 0u;
    const channels_function function = (*table)[args->activation_signed != 0u][clamped];
    fbc_band_units units = fbc_cut_units(args, &band_costs, args->output_channels);
    /* The cores' stacks lie in the same banks, but all of them read this all the time. */
    struct {
        fbc_channel_run first;
        uint32_t more[14];
    } room;
    fbc_channel_run *run = (fbc_channel_run *)(void *)((uint8_t *)&room + 8u * (fbc_core_id() & 7u));
    prepare_run(args, run);
    while (units.units.begin < units.units.end) {
        const fbc_unit_run part = fbc_take_units(args, &units);
        begin_band(&part.band, run);
        const uint8_t *input = (const uint8_t *)args->input + part.band.first * run->row_bytes;
        uint8_t *output = (uint8_t *)args->output + part.row * (run->pixel_bytes + run->row_rest);
        compute_channels(args, function, part.channel, part.count, input, output, run);
    }
}

FBC_DEFINE_CHANNELS(0, PLAIN)
FBC_DEFINE_CHANNELS(0, CLAMPED)
FBC_DEFINE_CHANNELS(1, PLAIN)
FBC_DEFINE_CHANNELS(1, CLAMPED)

void fbc_depthwise_channels_8(void *arguments) {
    static channels_table table = {{fbc_channels_0_PLAIN, fbc_channels_0_CLAMPED},
                                   {fbc_channels_1_PLAIN, fbc_channels_1_CLAMPED}};
    const fbc_conv_args *args = arguments;
    if (args->stride_height == 1u) {
        fbc_depthwise_channels_1(args, &band_costs);
    } else {
        depthwise_channels(args, &table);
    }
}
