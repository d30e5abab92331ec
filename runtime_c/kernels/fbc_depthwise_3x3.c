/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution 3x3 of 8-bit activations, vertical stride 1 or 2, any padding below 3, HWC in and out, channels
 * a multiple of 4, 32-bit requantization to 8, 4 or 2 bits.
 *
 * A core walks down one output column with four channels. Each input row is three words (three pixels of four
 * channels), transposed to one word per channel that holds the row's three taps; rows stay in registers as long as
 * outputs need them. Columns beside the tile have weight 0 and are read from inside the tile. */
#include "common/fbc_share.h"
#include "micro/fbc_depthwise_rows.h"
#include "micro/fbc_store_block.h"

enum { KERNEL = 3, CHANNELS = 4 };

/* Of four channels: [row][channel] words of three taps and a zero byte. */
typedef uint32_t tap_words[KERNEL][CHANNELS];

typedef struct {
    const uint8_t *line;      /* next input row, at the first column that lies in the tile */
    uint32_t offsets[KERNEL]; /* of the three columns from there, the first always 0; 0 for those beside the tile */
    uint32_t line_bytes;
    int32_t y; /* of the next input row */
    int32_t height;
} row_reader;

static void read_filters(const fbc_conv_args *args, uint32_t channel, tap_words filters) {
    const uint32_t filter_bytes = fbc_lane_bytes(KERNEL * KERNEL, args->weight_bits);
    const uint8_t *filter = (const uint8_t *)args->weights + channel * filter_bytes;
    for (uint32_t i = 0; i < CHANNELS; i++) {
        for (uint32_t row = 0; row < KERNEL; row++) {
            uint32_t word = 0;
            for (uint32_t tap = 0; tap < KERNEL; tap++) {
                const int32_t weight = fbc_read_lane(filter, KERNEL * row + tap, args->weight_bits, 1u);
                word |= ((uint32_t)weight & 0xFFu) << (8u * tap);
            }
            filters[row][i] = word;
        }
        filter += filter_bytes;
    }
}

FBC_INLINE void read_row(row_reader *reader, uint32_t taps[CHANNELS]) {
    if (reader->y >= 0 && reader->y < reader->height) {
        const uint32_t second = fbc_load_word_at(reader->line, reader->offsets[1]);
        const uint32_t third = fbc_load_word_at(reader->line, reader->offsets[2]);
        const uint32_t first = fbc_load_word(&reader->line, reader->line_bytes);
        fbc_transpose_taps(first, second, third, taps);
    } else {
        taps[0] = taps[1] = taps[2] = taps[3] = 0u;
    }
    reader->y++;
}

FBC_INLINE void copy_row(uint32_t to[CHANNELS], const uint32_t from[CHANNELS]) {
    to[0] = from[0], to[1] = from[1], to[2] = from[2], to[3] = from[3];
}

/* Brings the rows of the next output into rows[0..2]; the vertical stride is 1 or 2. */
FBC_INLINE void advance(row_reader *reader, tap_words rows, uint32_t stride) {
    if (stride == 1u) {
        copy_row(rows[0], rows[1]);
        copy_row(rows[1], rows[2]);
    } else {
        copy_row(rows[0], rows[2]);
        read_row(reader, rows[1]);
    }
    read_row(reader, rows[2]);
}

FBC_INLINE int32_t convolve(tap_words rows, tap_words filters, uint32_t channel, uint32_t is_signed) {
    int32_t sum = fbc_first_dot_bytes(rows[0][channel], filters[0][channel], is_signed);
    sum = fbc_dot_bytes(sum, rows[1][channel], filters[1][channel], is_signed);
    return fbc_dot_bytes(sum, rows[2][channel], filters[2][channel], is_signed);
}

/* One output column of four channels; `filters` has the columns beside the tile masked out already. */
FBC_INLINE void convolve_column(const fbc_conv_args *args, const row_reader *start, tap_words start_filters,
                                uint32_t channel, uint8_t *output, uint32_t is_signed, uint32_t stride,
                                fbc_requantization_kind kind, uint32_t only_bytes) {
    const fbc_block_parameters block = fbc_get_block_parameters(&args->requantization, channel);
    const uint32_t output_bits = only_bytes ? 8u : args->output_bits;
    const uint32_t step = args->output_width * fbc_lane_bytes(args->output_channels, output_bits);
    row_reader reader = *start;
    tap_words filters, rows;
    copy_row(filters[0], start_filters[0]);
    copy_row(filters[1], start_filters[1]);
    copy_row(filters[2], start_filters[2]);
    read_row(&reader, rows[0]);
    read_row(&reader, rows[1]);
    read_row(&reader, rows[2]);
    for (uint32_t rest = args->output_height; rest > 0u; rest--) {
        int32_t sums[CHANNELS] = {convolve(rows, filters, 0u, is_signed), convolve(rows, filters, 1u, is_signed),
                                  convolve(rows, filters, 2u, is_signed), convolve(rows, filters, 3u, is_signed)};
        fbc_requantize_pixel(&block, kind, sums);
        output = fbc_store_channels(output, output_bits, step, sums);
        if (rest > 1u) {
            advance(&reader, rows, stride);
        }
    }
}

static void prepare_column(const fbc_conv_args *args, uint32_t channel, uint32_t x, tap_words filters, tap_words masked,
                           row_reader *reader) {
    const int32_t left = (int32_t)(x * args->stride_width) - args->pad_left;
    const int32_t top = -(int32_t)args->pad_top;
    const uint32_t pixel_bytes = args->input_channels;
    const uint32_t first_line = top > 0 ? (uint32_t)top : 0u;
    const int32_t first_column = left < 0 ? 0 : left < args->input_width ? left : args->input_width - 1;
    uint32_t mask = 0;
    reader->line_bytes = args->input_width * pixel_bytes;
    reader->y = top;
    reader->height = args->input_height;
    reader->line =
        (const uint8_t *)args->input + first_line * reader->line_bytes + (uint32_t)first_column * pixel_bytes + channel;
    for (int32_t tap = 0; tap < KERNEL; tap++) {
        const int32_t column = left + tap;
        const uint32_t inside = column >= 0 && column < args->input_width;
        mask |= inside ? 0xFFu << (8 * tap) : 0u;
        reader->offsets[tap] = inside ? (uint32_t)(column - first_column) * pixel_bytes : 0u;
    }
    for (uint32_t row = 0; row < KERNEL; row++) {
        for (uint32_t i = 0; i < CHANNELS; i++) {
            masked[row][i] = filters[row][i] & mask;
        }
    }
}

FBC_INLINE void convolve_columns(const fbc_conv_args *args, uint32_t is_signed, uint32_t stride,
                                 fbc_requantization_kind kind, uint32_t only_bytes) {
    const uint32_t columns = args->output_width;
    const uint32_t output_bytes = fbc_lane_bytes(args->output_channels, args->output_bits);
    const fbc_range strips = fbc_core_range(((uint32_t)args->output_channels >> 2) * columns);
    tap_words filters, masked;
    for (uint32_t strip = strips.begin; strip < strips.end; strip++) {
        const uint32_t channel = strip / columns * CHANNELS;
        const uint32_t x = strip % columns;
        row_reader reader;
        if (strip == strips.begin || x == 0u) {
            read_filters(args, channel, filters);
        }
        prepare_column(args, channel, x, filters, masked, &reader);
        uint8_t *output = (uint8_t *)args->output + x * output_bytes + (channel * args->output_bits >> 3);
        convolve_column(args, &reader, masked, channel, output, is_signed, stride, kind, only_bytes);
    }
}

#define DEFINE(is_signed, stride) \
    static void plain_##is_signed##_##stride(const fbc_conv_args *args) { \
        convolve_columns(args, is_signed, stride, FBC_PLAIN, 1u); \
    } \
    static void clamped_##is_signed##_##stride(const fbc_conv_args *args) { \
        convolve_columns(args, is_signed, stride, FBC_CLAMPED, 1u); \
    } \
    static void general_##is_signed##_##stride(const fbc_conv_args *args) { \
        convolve_columns(args, is_signed, stride, FBC_GENERAL, 0u); \
    }
DEFINE(0, 1)
DEFINE(0, 2)
DEFINE(1, 1)
DEFINE(1, 2)

typedef void (*columns_function)(const fbc_conv_args *args);
enum { PLAIN, CLAMPED, GENERAL };

/* By sign of the activations, vertical stride, kind of requantization. */
static const columns_function functions[2][2][3] = {
    {{plain_0_1, clamped_0_1, general_0_1}, {plain_0_2, clamped_0_2, general_0_2}},
    {{plain_1_1, clamped_1_1, general_1_1}, {plain_1_2, clamped_1_2, general_1_2}}};

void fbc_depthwise_3x3(void *arguments) {
    const fbc_conv_args *args = arguments;
    uint32_t kind = GENERAL;
    if (args->output_bits == 8u && args->requantization.low == 0) {
        kind = fbc_kind_of(&args->requantization, 8u) == FBC_PLAIN ? PLAIN : CLAMPED;
    }
    functions[args->activation_signed != 0u][args->stride_height - 1u][kind](args);
}
