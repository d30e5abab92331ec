/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution 5x5, stride 1 or 2, any padding below 5, channels a multiple of 4, 32-bit requantization.
 *
 * Each core takes a run of units, a band of output rows of four channels; of each it writes the input planes with their
 * borders into scratch once, then it walks down all columns of outputs of one channel after the other. */
#include "micro/fbc_depthwise_bands.h"
#include "micro/fbc_depthwise_columns.h"
#include "micro/fbc_widen_filter.h"

enum { FBC_KERNEL = 5, FBC_TAPS = FBC_KERNEL * FBC_KERNEL };

/* In fours of cycles. */
static const fbc_band_costs band_costs = {.kernel = FBC_KERNEL, .at_once = 1, .pixel = 20, .column = 30, .unit = 220};

typedef void (*columns_function)(fbc_columns *columns);

#define DEFINE_BOTH_STORES(is_signed, stride, kind) \
    FBC_DEFINE_COLUMNS(is_signed, stride, kind, ALONE) \
    FBC_DEFINE_COLUMNS(is_signed, stride, kind, INSERTED)
#define DEFINE_BOTH_KINDS(is_signed, stride) \
    DEFINE_BOTH_STORES(is_signed, stride, PLAIN) \
    DEFINE_BOTH_STORES(is_signed, stride, GENERAL)
DEFINE_BOTH_KINDS(0, 1)
DEFINE_BOTH_KINDS(0, 2)
DEFINE_BOTH_KINDS(1, 1)
DEFINE_BOTH_KINDS(1, 2)

#define NAME_BOTH_STORES(is_signed, stride, kind) \
    {fbc_columns_##is_signed##_##stride##_##kind##_ALONE, fbc_columns_##is_signed##_##stride##_##kind##_INSERTED}
#define NAME_BOTH_KINDS(is_signed, stride) \
    {NAME_BOTH_STORES(is_signed, stride, PLAIN), NAME_BOTH_STORES(is_signed, stride, GENERAL)}
/* By sign of the activations, stride, kind of requantization, store. */
static const columns_function columns_functions[2][2][2][2] = {{NAME_BOTH_KINDS(0, 1), NAME_BOTH_KINDS(0, 2)},
                                                               {NAME_BOTH_KINDS(1, 1), NAME_BOTH_KINDS(1, 2)}};

/* What a core works with. The cores' stacks lie in the same banks, but all of this is read all the time, so that each
 * core has it at another place of its stack. */
typedef struct {
    fbc_columns columns;
    fbc_column_channel channels[FBC_DEPTHWISE_CHANNELS];
    fbc_planes planes;
    fbc_column_channel *inserted;                          /* first channel whose outputs are inserted, or NULL */
    uint8_t widened[FBC_DEPTHWISE_CHANNELS][FBC_TAPS + 3]; /* filters narrower than 8 bits */
} core_data;

/* Whole words of a filter, the last one so that it ends with the filter. */
static __attribute__((noinline)) void widen_filters(const fbc_conv_args *args, uint32_t first, core_data *core) {
    const uint32_t bits = args->weight_bits, filter_bytes = bits == 4u ? 13u : 7u;
    const uint8_t *filter = (const uint8_t *)args->weights + filter_bytes * first;
    for (uint32_t i = 0; i < FBC_DEPTHWISE_CHANNELS; i++, filter += filter_bytes) {
        uint8_t *widened = core->widened[i];
        if (bits == 4u) {
            fbc_widen_taps_of_word(filter, 4u, widened);
            fbc_widen_taps_of_word(filter + 4, 4u, widened + 8);
            fbc_widen_taps_of_word(filter + 8, 4u, widened + 16);
            fbc_widen_taps_of_word(filter + 9, 4u, widened + 18);
        } else {
            fbc_widen_taps_of_word(filter, 2u, widened);
            fbc_widen_taps_of_word(filter + 3, 2u, widened + 12);
        }
    }
}

FBC_INLINE void prepare_channel(const fbc_requantization *parameters, uint32_t index, uint8_t *output,
                                fbc_column_channel *channel) {
    channel->multiplier = parameters->scale[index].multiplier;
    channel->addend = ((const int32_t *)parameters->addend)[index];
    channel->clamp = parameters->clamped ? parameters->scale[index].clamp : INT32_MAX;
    channel->output = output;
}

/* Taps, parameters and first outputs of four channels. */
FBC_INLINE void prepare_channels(const fbc_conv_args *args, uint32_t first, uint8_t *output, core_data *core) {
    const fbc_requantization *parameters = &args->requantization;
    const uint32_t bits = args->output_bits;
    fbc_column_channel *channels = core->channels;
    output += first * bits >> 3;
    prepare_channel(parameters, first, output, &channels[0]);
    prepare_channel(parameters, first + 1u, output + (bits >> 3), &channels[1]);
    prepare_channel(parameters, first + 2u, output + (2u * bits >> 3), &channels[2]);
    prepare_channel(parameters, first + 3u, output + (3u * bits >> 3), &channels[3]);
    if (args->weight_bits != 8u) {
        widen_filters(args, first, core);
        return;
    }
    const uint8_t *filter = (const uint8_t *)args->weights + FBC_TAPS * first;
    channels[0].filter = filter;
    channels[1].filter = filter + FBC_TAPS;
    channels[2].filter = filter + 2u * FBC_TAPS;
    channels[3].filter = filter + 3u * FBC_TAPS;
}

/* What does not depend on channels and bands. Channels that begin a byte of the output are a chain of their own. */
FBC_INLINE void prepare_core(const fbc_conv_args *args, const fbc_depthwise_plan *plan, const uint8_t *scratch,
                             core_data *core) {
    const uint32_t bits = args->output_bits, plane_bytes = 4u * plan->quads;
    fbc_columns *columns = &core->columns;
    columns->low = args->requantization.low;
    columns->high = args->requantization.high;
    columns->shift = args->requantization.shift;
    columns->plane_bytes = 2u * plane_bytes;
    columns->row_bytes = args->output_width * fbc_lane_bytes(args->output_channels, bits);
    columns->columns = args->output_width;
    fbc_column_channel *chains[2] = {NULL, NULL};
    for (uint32_t i = FBC_DEPTHWISE_CHANNELS; i-- > 0u;) {
        fbc_column_channel *channel = &core->channels[i];
        const uint32_t position = i * bits & 7u, inserted = position != 0u;
        channel->plane = scratch + (i >> 1) * plan->pair_bytes + (i & 1u) * plane_bytes + 4u - args->pad_left;
        channel->filter = core->widened[i];
        channel->field = (bits - 1u) << 5 | position;
        channel->next = chains[inserted];
        chains[inserted] = channel;
    }
    core->inserted = chains[1];
    fbc_prepare_planes(args, plan, &core->planes);
}

/* A division takes more than thirty cycles; exact below 2^16. */
FBC_INLINE uint32_t fifth(uint32_t value) {
    return value * 52429u >> 18;
}

/* Output rows [row, row + rows) of the tile. Returns the first row of the tile that the planes hold. */
FBC_INLINE uint32_t begin_band(const fbc_conv_args *args, const fbc_depthwise_plan *plan, uint32_t row, uint32_t rows,
                               uint8_t *scratch, core_data *core) {
    const uint32_t stride = args->stride_height, all = (rows - 1u) * stride + FBC_KERNEL;
    fbc_columns *columns = &core->columns;
    columns->rounds = fifth(rows + 4u);
    columns->missing = FBC_KERNEL * columns->rounds - rows;
    columns->plane_next = stride - all * columns->plane_bytes;
    columns->output_next = fbc_lane_bytes(args->output_channels, args->output_bits) - rows * columns->row_bytes;
    return fbc_begin_planes(args, plan, row, all, scratch, &core->planes);
}

/* All outputs of a unit. */
FBC_INLINE void compute_unit(const columns_function functions[2], core_data *core) {
    core->columns.channel = core->channels;
    functions[0](&core->columns);
    if (core->inserted != NULL) {
        core->columns.channel = core->inserted;
        functions[1](&core->columns);
    }
}

void fbc_depthwise_5x5(void *arguments) {
    const fbc_conv_args *args = arguments;
    const fbc_depthwise_plan plan = fbc_make_depthwise_plan(args, &band_costs);
    const uint32_t general = args->requantization.low != 0 || args->requantization.clamped;
    const columns_function *chosen =
        columns_functions[args->activation_signed != 0u][args->stride_height - 1u][general];
    const columns_function functions[2] = {chosen[0], chosen[1]}; /* read once: the table is far away */
    const fbc_fill_function fill = fbc_choose_fill(args);
    const fbc_range units = fbc_core_range(plan.groups * plan.bands);
    uint8_t *scratch = (uint8_t *)args->scratch + fbc_core_id() * plan.core_bytes;
    struct {
        core_data first;
        uint32_t more[14];
    } room;
    core_data *core = (core_data *)(void *)((uint8_t *)&room + 8u * (fbc_core_id() & 7u));
    const uint8_t *input = args->input;
    uint32_t channel = (plan.bands == 1u ? units.begin : units.begin / plan.bands) * FBC_DEPTHWISE_CHANNELS;
    uint32_t row = plan.bands == 1u ? 0u : units.begin % plan.bands * plan.band_rows;
    prepare_core(args, &plan, scratch, core);
    fbc_clear_words(scratch, 4u * ((plan.band_rows - 1u) * args->stride_height + FBC_KERNEL) + 1u, 4u * plan.quads);
    for (uint32_t unit = units.begin; unit < units.end; unit++) {
        if (unit == units.begin || plan.bands > 1u) {
            const uint32_t left = args->output_height - row;
            const uint32_t rows = left < plan.band_rows ? left : plan.band_rows;
            const uint32_t top = begin_band(args, &plan, row, rows, scratch, core);
            input = (const uint8_t *)args->input + top * core->planes.row_bytes;
        }
        core->planes.input =
            input + (args->input_channel_first ? channel * core->planes.spread : channel * args->activation_bits >> 3);
        fill(&core->planes);
        prepare_channels(args, channel, (uint8_t *)args->output + row * core->columns.row_bytes, core);
        compute_unit(functions, core);
        row += plan.band_rows;
        if (row >= args->output_height) {
            row = 0;
            channel += FBC_DEPTHWISE_CHANNELS;
        }
    }
}

uint32_t fbc_depthwise_5x5_scratch_bytes(const fbc_conv_args *args) {
    return fbc_depthwise_scratch_bytes(args, &band_costs);
}
