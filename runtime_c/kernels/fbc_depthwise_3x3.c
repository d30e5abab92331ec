/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution 3x3 of 8-bit activations, stride 1 or 2, any padding below 3, HWC in and out, channels a
 * multiple of 4, 32-bit requantization to 8, 4 or 2 bits.
 *
 * A strip is two output columns (stride 2: one) of four channels. Each core takes a run of strips and works on up to
 * four at a time: first it transposes their four input columns into scratch, padding included, then it walks down
 * them with two channels and again with the other two. Outputs go to their place at once, but through scratch if they
 * are narrower than a byte or if the last strip has a column more than the output. */
#include "common/fbc_share.h"
#include "micro/fbc_depthwise_strips.h"
#include "micro/fbc_depthwise_transpose.h"

enum { KERNEL = 3, CHANNELS = 4, PAIRS = 2, STRIPS = 4, ROW_BYTES = 16 };

typedef struct {
    uint32_t rows;           /* of a strip's input, padding included */
    uint32_t columns;        /* output columns of a strip */
    uint32_t strips;         /* of four channels */
    uint32_t strips_at_once; /* at most */
    uint32_t strip_bytes;    /* transposed */
    uint32_t staged;         /* outputs go through scratch */
    uint32_t core_bytes;     /* of scratch */
} depthwise_plan;

/* The compiler's side is DepthwiseStripKernel in fbcompile/lowering/kernel_model.py; a test compares the two. */
static depthwise_plan make_plan(const fbc_conv_args *args) {
    depthwise_plan plan;
    plan.rows = (args->output_height - 1u) * args->stride_height + KERNEL;
    plan.columns = args->stride_width == 1u ? 2u : 1u;
    plan.strips = (args->output_width + plan.columns - 1u) / plan.columns;
    plan.strips_at_once = plan.strips < STRIPS ? plan.strips : STRIPS;
    plan.strip_bytes = ROW_BYTES * plan.rows;
    plan.staged = args->output_bits < 8u || args->output_width % plan.columns != 0u;
    const uint32_t staged_bytes = plan.staged ? CHANNELS * plan.columns * args->output_height : 0u;
    /* A word more, so that the cores' strips begin in different banks. */
    plan.core_bytes = plan.strips_at_once * (plan.strip_bytes + staged_bytes) + 4u;
    return plan;
}

uint32_t fbc_depthwise_3x3_scratch_bytes(const fbc_conv_args *args) {
    return fbc_core_count() * make_plan(args).core_bytes;
}

FBC_INLINE uint32_t load_word_anywhere(const uint8_t *address) {
    uint32_t word;
#ifdef FBC_XPULPV2
    __asm__ volatile("lw %0, 0(%1)" : "=r"(word) : "r"(address) : "memory"); /* misaligned: two cycles */
#else
    memcpy(&word, address, sizeof word);
#endif
    return word;
}

/* The three taps of a row in the low bytes of a word. */
FBC_INLINE uint32_t read_taps(const uint8_t *filter, uint32_t row, uint32_t bits) {
    uint32_t taps = 0;
    if (bits == 8u) { /* reads no byte behind the filter, which may be the last one */
        return row == 2u ? load_word_anywhere(filter + 5) >> 8 : load_word_anywhere(filter + KERNEL * row) & 0xFFFFFFu;
    }
    for (uint32_t i = 0; i < KERNEL; i++) {
        taps |= ((uint32_t)fbc_read_lane(filter, KERNEL * row + i, bits, 1u) & 0xFFu) << 8u * i;
    }
    return taps;
}

static void prepare_pair(const fbc_conv_args *args, uint32_t channel, fbc_strip_pair *pair) {
    const fbc_requantization *parameters = &args->requantization;
    const uint32_t filter_bytes = fbc_lane_bytes(KERNEL * KERNEL, args->weight_bits);
    for (uint32_t i = 0; i < 2u; i++) {
        const uint8_t *filter = (const uint8_t *)args->weights + (channel + i) * filter_bytes;
        for (uint32_t row = 0; row < KERNEL; row++) {
            const uint32_t taps = args->weight_bits == 8u   ? read_taps(filter, row, 8u)
                                  : args->weight_bits == 4u ? read_taps(filter, row, 4u)
                                                            : read_taps(filter, row, 2u);
            pair->weights[i][0][row] = taps;
            pair->weights[i][1][row] = taps << 8;
        }
        pair->multiplier[i] = parameters->scale[channel + i].multiplier;
        pair->clamp[i] = parameters->clamped ? parameters->scale[channel + i].clamp : INT32_MAX;
        pair->addend[i] = ((const int32_t *)parameters->addend)[channel + i];
    }
    const uint32_t steps = args->stride_height == 1u ? 3u : 2u;
    pair->low = parameters->low;
    pair->high = parameters->high;
    pair->shift = parameters->shift;
    pair->rounds = (args->output_height + steps - 1u) / steps;
    pair->rest = args->output_height % steps;
}

/* The input columns of one strip. */
static void find_columns(const fbc_conv_args *args, uint32_t channel, int32_t left, fbc_four_columns *columns) {
    const int32_t width = args->input_width;
    const int32_t base = left < 0 ? 0 : left < width ? left : width - 1;
    const uint32_t pixel_bytes = args->input_channels;
    columns->line = (const uint8_t *)args->input + (uint32_t)base * pixel_bytes + channel;
    columns->line_bytes = args->input_width * pixel_bytes;
    if (left >= 0 && left + 3 < width) {
        columns->mask = 0xFFFFFFFFu;
        columns->offsets[0] = 0u;
        columns->offsets[1] = pixel_bytes;
        columns->offsets[2] = 2u * pixel_bytes;
        columns->offsets[3] = 3u * pixel_bytes;
        return;
    }
    columns->mask = 0;
    for (int32_t i = 0; i < 4; i++) {
        const uint32_t inside = left + i >= 0 && left + i < width;
        columns->mask |= inside ? 0xFFu << 8 * i : 0u;
        columns->offsets[i] = inside ? (uint32_t)(left + i - base) * pixel_bytes : 0u;
    }
}

static void transpose_strips(const fbc_conv_args *args, const depthwise_plan *plan, uint32_t channel, fbc_range strips,
                             uint8_t *to) {
    const uint32_t above = args->pad_top < plan->rows ? args->pad_top : plan->rows;
    const uint32_t inside = plan->rows - above < args->input_height ? plan->rows - above : args->input_height;
    for (uint32_t strip = strips.begin; strip < strips.end; strip++) {
        fbc_four_columns columns;
        find_columns(args, channel, (int32_t)(2u * strip) - args->pad_left, &columns);
        to = fbc_write_zero_rows(to, above);
        to = fbc_transpose_columns(&columns, inside, to);
        to = fbc_write_zero_rows(to, plan->rows - above - inside);
    }
}

/* From scratch, where a pixel is a word of four bytes, to the output. */
FBC_INLINE void store_staged(const fbc_conv_args *args, const uint8_t *staged, uint32_t channel, fbc_range columns,
                             uint32_t staged_columns, uint32_t bits) {
    const uint32_t pixel_bytes = fbc_lane_bytes(args->output_channels, bits);
    const uint32_t line_bytes = args->output_width * pixel_bytes;
    uint8_t *line = (uint8_t *)args->output + columns.begin * pixel_bytes + (channel * bits >> 3);
    for (uint32_t row = 0; row < args->output_height; row++) {
        uint8_t *output = line;
        for (uint32_t column = 0; column < columns.end - columns.begin; column++) {
            uint32_t word;
            memcpy(&word, __builtin_assume_aligned(staged + 4u * column, 4), sizeof word);
            const int32_t values[CHANNELS] = {(int32_t)word, (int32_t)(word >> 8), (int32_t)(word >> 16),
                                              (int32_t)(word >> 24)};
            if (bits == 8u) {
                output = fbc_store_word(output, pixel_bytes, word);
            } else if (bits == 4u) {
                output =
                    fbc_store_half(output, pixel_bytes, fbc_pack_lanes(4u, values[0], values[1], values[2], values[3]));
            } else {
                output =
                    fbc_store_byte(output, pixel_bytes, fbc_pack_lanes(2u, values[0], values[1], values[2], values[3]));
            }
        }
        staged += CHANNELS * staged_columns;
        line += line_bytes;
    }
}

#define DEFINE(is_signed, stride) \
    FBC_DEFINE_STRIPS(is_signed, stride, PLAIN) \
    FBC_DEFINE_STRIPS(is_signed, stride, CLAMPED) \
    FBC_DEFINE_STRIPS(is_signed, stride, GENERAL)
DEFINE(0, 1)
DEFINE(0, 2)
DEFINE(1, 1)
DEFINE(1, 2)

typedef void (*strips_function)(fbc_strip_pair *pair);

/* By sign of the activations, stride, kind of requantization. */
static const strips_function functions[2][2][3] = {
    {{fbc_strips_0_1_PLAIN, fbc_strips_0_1_CLAMPED, fbc_strips_0_1_GENERAL},
     {fbc_strips_0_2_PLAIN, fbc_strips_0_2_CLAMPED, fbc_strips_0_2_GENERAL}},
    {{fbc_strips_1_1_PLAIN, fbc_strips_1_1_CLAMPED, fbc_strips_1_1_GENERAL},
     {fbc_strips_1_2_PLAIN, fbc_strips_1_2_CLAMPED, fbc_strips_1_2_GENERAL}}};

static strips_function choose_function(const fbc_conv_args *args) {
    const fbc_requantization *parameters = &args->requantization;
    fbc_strip_kind kind = FBC_STRIP_GENERAL;
    if (parameters->low == 0 && parameters->high == 255) {
        kind = parameters->clamped ? FBC_STRIP_CLAMPED : FBC_STRIP_PLAIN;
    }
    return functions[args->activation_signed != 0u][args->stride_height - 1u][kind];
}

/* Some strips of one group of four channels. */
static void convolve_strips(const fbc_conv_args *args, const depthwise_plan *plan, strips_function convolve,
                            fbc_strip_pair pairs[PAIRS], uint32_t channel, fbc_range strips) {
    uint8_t *words = (uint8_t *)args->scratch + fbc_core_id() * plan->core_bytes;
    uint8_t *staged = words + plan->strips_at_once * plan->strip_bytes;
    const uint32_t count = strips.end - strips.begin;
    const uint32_t pixel_bytes = plan->staged ? CHANNELS : args->output_channels;
    const uint32_t row_bytes = plan->staged ? CHANNELS * plan->columns * count : pixel_bytes * args->output_width;
    const fbc_range columns = {strips.begin * plan->columns,
                               strips.end == plan->strips ? args->output_width : strips.end * plan->columns};
    uint8_t *output = plan->staged ? staged : (uint8_t *)args->output + columns.begin * pixel_bytes + channel;
    transpose_strips(args, plan, channel, strips, words);
    for (uint32_t i = 0; i < PAIRS; i++) {
        pairs[i].strips = count;
        pairs[i].pixel_bytes = pixel_bytes;
        pairs[i].row_bytes_less1 = row_bytes - 1u;
        pairs[i].words = words + 8u * i;
        pairs[i].output = output + 2u * i;
        convolve(&pairs[i]);
    }
    if (plan->staged) {
        const uint32_t staged_columns = plan->columns * count;
        if (args->output_bits == 8u) {
            store_staged(args, staged, channel, columns, staged_columns, 8u);
        } else if (args->output_bits == 4u) {
            store_staged(args, staged, channel, columns, staged_columns, 4u);
        } else {
            store_staged(args, staged, channel, columns, staged_columns, 2u);
        }
    }
}

void fbc_depthwise_3x3(void *arguments) {
    /* A copy on the core's own stack: the caller's may lie in slow memory. */
    const fbc_conv_args copy = *(const fbc_conv_args *)arguments;
    const fbc_conv_args *args = &copy;
    const depthwise_plan plan = make_plan(args);
    const strips_function convolve = choose_function(args);
    const fbc_range all = fbc_core_range((args->output_channels / (uint32_t)CHANNELS) * plan.strips);
    fbc_strip_pair pairs[PAIRS];
    for (uint32_t position = all.begin; position < all.end;) {
        const uint32_t channel = position / plan.strips * CHANNELS;
        fbc_range strips = {position % plan.strips, plan.strips};
        strips.end = strips.begin + STRIPS < strips.end ? strips.begin + STRIPS : strips.end;
        if (strips.end - strips.begin > all.end - position) {
            strips.end = strips.begin + (all.end - position);
        }
        if (position == all.begin || strips.begin == 0u) {
            prepare_pair(args, channel, &pairs[0]);
            prepare_pair(args, channel + 2u, &pairs[1]);
        }
        convolve_strips(args, &plan, convolve, pairs, channel, strips);
        position += strips.end - strips.begin;
    }
}
