/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Max pooling of whole words; taps outside the tile are ignored. The cores split the output into blocks of up to 16
 * bytes of a pixel. Left-over bits of a pixel are 0 and so is their maximum. */
#include "common/fbc_share.h"
#include "fbc_kernels.h"
#include "micro/fbc_pool_words.h"

enum { BLOCK_BYTES = 16, WORD_BYTES = 4 };

/* The taps of one output pixel that lie inside the tile; false if there are none. */
static uint32_t find_window(const fbc_pool_args *args, uint32_t pixel, fbc_window *window, const uint8_t **input) {
    const int32_t top = (int32_t)(pixel / args->output_width) * args->stride_height - args->pad_top;
    const int32_t left = (int32_t)(pixel % args->output_width) * args->stride_width - args->pad_left;
    const int32_t bottom = top + args->kernel_height, right = left + args->kernel_width;
    const int32_t first_row = top < 0 ? 0 : top, first_column = left < 0 ? 0 : left;
    const int32_t rows = (bottom < args->input_height ? bottom : args->input_height) - first_row;
    const int32_t columns = (right < args->input_width ? right : args->input_width) - first_column;
    if (rows <= 0 || columns <= 0) {
        return 0u;
    }
    window->rows = (uint32_t)rows;
    window->columns = (uint32_t)columns;
    window->skip = (args->input_width - window->columns) * window->pixel_bytes;
    *input =
        (const uint8_t *)args->input + (uint32_t)(first_row * args->input_width + first_column) * window->pixel_bytes;
    return 1u;
}

/* Fewer bytes than a word. */
static void pool_bytes(const fbc_pool_args *args, const fbc_window *window, const uint8_t *input, uint8_t *output,
                       uint32_t bytes) {
    const uint32_t bits = args->activation_bits, line_bytes = window->columns * window->pixel_bytes + window->skip;
    for (uint32_t lane = 0; lane < 8u * bytes / bits; lane++) {
        int32_t maximum = INT32_MIN;
        for (uint32_t row = 0; row < window->rows; row++) {
            for (uint32_t column = 0; column < window->columns; column++) {
                const uint8_t *tap = input + row * line_bytes + column * window->pixel_bytes;
                const int32_t value = fbc_read_lane(tap, lane, bits, args->activation_signed);
                maximum = value > maximum ? value : maximum;
            }
        }
        fbc_write_lane(output, lane, bits, maximum);
    }
}

FBC_INLINE void pool_words(const fbc_window *window, const uint8_t *input, uint8_t *output, uint32_t bytes,
                           uint32_t bits, uint32_t is_signed) {
    if (FBC_MAX_IS_DIRECT(bits) && bytes == BLOCK_BYTES) {
        fbc_max_four_words(window, input, output, bits, is_signed);
        return;
    }
    for (uint32_t done = 0; done + WORD_BYTES <= bytes; done += WORD_BYTES) {
        fbc_store_word(output + done, 0u, fbc_max_word(window, input + done, bits, is_signed));
    }
    if ((bytes & 3u) != 0u) { /* the last word overlaps the one before */
        const uint32_t last = bytes - WORD_BYTES;
        fbc_store_word(output + last, 0u, fbc_max_word(window, input + last, bits, is_signed));
    }
}

typedef void (*pool_function)(const fbc_window *window, const uint8_t *input, uint8_t *output, uint32_t bytes);

#define DEFINE(bits, is_signed) \
    static void pool_##bits##_##is_signed(const fbc_window *window, const uint8_t *input, uint8_t *output, \
                                          uint32_t bytes) { \
        pool_words(window, input, output, bytes, bits##u, is_signed); \
    }
DEFINE(8, 0)
DEFINE(8, 1)
DEFINE(4, 0)
DEFINE(4, 1)
DEFINE(2, 0)
DEFINE(2, 1)

static pool_function choose_function(const fbc_pool_args *args) {
    if (args->activation_bits == 8u) {
        return args->activation_signed ? pool_8_1 : pool_8_0;
    }
    if (args->activation_bits == 4u) {
        return args->activation_signed ? pool_4_1 : pool_4_0;
    }
    return args->activation_signed ? pool_2_1 : pool_2_0;
}

void fbc_max_pool_words(void *arguments) {
    const fbc_pool_args copy = *(const fbc_pool_args *)arguments;
    const fbc_pool_args *args = &copy;
    const pool_function pool = choose_function(args);
    fbc_window window = {0};
    window.pixel_bytes = fbc_lane_bytes(args->channels, args->activation_bits);
    const uint32_t pixels = (uint32_t)args->output_height * args->output_width;
    const uint32_t blocks = (window.pixel_bytes + BLOCK_BYTES - 1u) / BLOCK_BYTES;
    const fbc_range all = fbc_core_range(pixels * blocks);
    for (uint32_t position = all.begin; position < all.end;) {
        const uint32_t pixel = position / blocks;
        const uint32_t first = position - pixel * blocks;
        const uint32_t left = all.end - position;
        const uint32_t end = first + left < blocks ? first + left : blocks;
        const uint8_t *input = args->input;
        uint8_t *output = (uint8_t *)args->output + pixel * window.pixel_bytes;
        const uint32_t covered = find_window(args, pixel, &window, &input);
        position += end - first;
        for (uint32_t begin = first * BLOCK_BYTES; begin < end * BLOCK_BYTES; begin += BLOCK_BYTES) {
            const uint32_t rest = window.pixel_bytes - begin;
            const uint32_t bytes = rest < BLOCK_BYTES ? rest : BLOCK_BYTES;
            if (!covered) {
                memset(output + begin, 0, bytes);
            } else if (bytes < WORD_BYTES) {
                pool_bytes(args, &window, input + begin, output + begin, bytes);
            } else {
                pool(&window, input + begin, output + begin, bytes);
            }
        }
    }
}
