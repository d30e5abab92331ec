/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Max pooling of whole words; taps outside the tile are ignored. The cores split the output into pixels, or
 * into blocks of up to 16 bytes of a pixel if there are few pixels or long ones. Left-over bits of a pixel are 0 and so
 * is their maximum. */
#include "common/fbc_share.h"
#include "fbc_kernels.h"
#include "micro/fbc_pool_words.h"

enum { BLOCK_BYTES = 16, WORD_BYTES = 4, SHORT_BLOCKS = 4 };

/* Output pixels beside each other whose windows have the same shape. */
typedef struct {
    uint32_t pixels;
    uint32_t bytes; /* of each pixel */
    uint32_t input_step;
    uint32_t output_step;
    fbc_window window;
} pool_run;

/* The taps of output pixel (y, x) that lie inside the tile, and how many pixels from x on, at most `pixels`, have as
 * many; a window without taps has no rows. Returns the first tap. */
static const uint8_t *find_window(const fbc_pool_args *args, uint32_t y, uint32_t x, uint32_t pixels, pool_run *run) {
    const int32_t top = (int32_t)y * args->stride_height - args->pad_top;
    const int32_t left = (int32_t)x * args->stride_width - args->pad_left;
    const int32_t bottom = top + args->kernel_height, right = left + args->kernel_width;
    const int32_t first_row = top < 0 ? 0 : top, first_column = left < 0 ? 0 : left;
    const int32_t rows = (bottom < args->input_height ? bottom : args->input_height) - first_row;
    const int32_t columns = (right < args->input_width ? right : args->input_width) - first_column;
    run->pixels = 1u;
    run->window.rows = rows > 0 && columns > 0 ? (uint32_t)rows : 0u;
    run->window.columns = (uint32_t)columns;
    run->window.skip = (args->input_width - run->window.columns) * run->window.pixel_bytes;
    if (left >= 0 && right <= args->input_width && pixels > 1u) {
        const uint32_t whole = (uint32_t)(args->input_width - right) / args->stride_width + 1u;
        run->pixels = whole < pixels ? whole : pixels;
    }
    return (const uint8_t *)args->input +
           (uint32_t)(first_row * args->input_width + first_column) * run->window.pixel_bytes;
}

/* Fewer bytes than a word of each pixel. */
static __attribute__((noinline)) void pool_bytes(const fbc_pool_args *args, const pool_run *run, const uint8_t *input,
                                                 uint8_t *output) {
    const uint32_t bits = args->activation_bits;
    const uint32_t line_bytes = run->window.columns * run->window.pixel_bytes + run->window.skip;
    for (uint32_t pixel = 0; pixel < run->pixels; pixel++) {
        for (uint32_t lane = 0; lane < 8u * run->bytes / bits; lane++) {
            int32_t maximum = INT32_MIN;
            for (uint32_t row = 0; row < run->window.rows; row++) {
                for (uint32_t column = 0; column < run->window.columns; column++) {
                    const uint8_t *tap = input + row * line_bytes + column * run->window.pixel_bytes;
                    const int32_t value = fbc_read_lane(tap, lane, bits, args->activation_signed);
                    maximum = value > maximum ? value : maximum;
                }
            }
            fbc_write_lane(output, lane, bits, maximum);
        }
        input += run->input_step;
        output += run->output_step;
    }
}

FBC_INLINE void pool_pixel(const fbc_window *window, const uint8_t *input, uint8_t *output, uint32_t bytes,
                           uint32_t bits, uint32_t is_signed) {
    if (FBC_MAX_IS_DIRECT(bits)) {
        for (; bytes >= BLOCK_BYTES; bytes -= BLOCK_BYTES) {
            fbc_max_four_words(window, input, output, bits, is_signed);
            input += BLOCK_BYTES;
            output += BLOCK_BYTES;
        }
    }
    for (; bytes >= WORD_BYTES; bytes -= WORD_BYTES) {
        output = fbc_store_word(output, WORD_BYTES, fbc_max_word(window, input, bits, is_signed));
        input += WORD_BYTES;
    }
    if (bytes > 0u) { /* the last word overlaps the one before */
        const uint32_t back = WORD_BYTES - bytes;
        fbc_store_word(output - back, 0u, fbc_max_word(window, input - back, bits, is_signed));
    }
}

/* At least a word of each pixel; all bytes are this core's. */
FBC_INLINE void pool_words(const pool_run *shared, const uint8_t *input, uint8_t *output, uint32_t bits,
                           uint32_t is_signed) {
    const pool_run run = *shared; /* which no store can change */
    for (uint32_t pixel = 0; pixel < run.pixels; pixel++) {
        pool_pixel(&run.window, input, output, run.bytes, bits, is_signed);
        input += run.input_step;
        output += run.output_step;
    }
}

typedef void (*pool_function)(const pool_run *run, const uint8_t *input, uint8_t *output);

#define DEFINE(bits, is_signed) \
    static void pool_##bits##_##is_signed(const pool_run *run, const uint8_t *input, uint8_t *output) { \
        pool_words(run, input, output, bits##u, is_signed); \
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

/* To begin within a pixel costs more than to have one pixel more than other cores, if it is a short one. */
static fbc_range core_blocks(uint32_t pixels, uint32_t blocks) {
    if (pixels < fbc_core_count() || blocks > SHORT_BLOCKS) {
        return fbc_core_range(pixels * blocks);
    }
    const fbc_range range = fbc_core_range(pixels);
    const fbc_range whole = {range.begin * blocks, range.end * blocks};
    return whole;
}

void fbc_max_pool_words(void *arguments) {
    const fbc_pool_args copy = *(const fbc_pool_args *)arguments;
    const fbc_pool_args *args = &copy;
    const pool_function pool = choose_function(args);
    const uint32_t pixel_bytes = fbc_lane_bytes(args->channels, args->activation_bits);
    const uint32_t width = args->output_width;
    const uint32_t blocks = (pixel_bytes + BLOCK_BYTES - 1u) / BLOCK_BYTES;
    const fbc_range all = core_blocks(args->output_height * width, blocks);
    pool_run run = {1u, 0u, args->stride_width * pixel_bytes, pixel_bytes, {0u, 0u, pixel_bytes, 0u}};
    for (uint32_t position = all.begin; position < all.end;) {
        const uint32_t pixel = position / blocks, first = position % blocks;
        const uint32_t y = pixel / width, x = pixel % width;
        const uint32_t left = all.end - position;
        const uint32_t end = first + left < blocks ? first + left : blocks;
        /* More than one pixel only from the first block on, and only whole ones. */
        const uint32_t pixels = first != 0u ? 1u : left / blocks < width - x ? left / blocks : width - x;
        const uint32_t begin = first * BLOCK_BYTES;
        const uint8_t *input = find_window(args, y, x, pixels, &run) + begin;
        uint8_t *output = (uint8_t *)args->output + pixel * pixel_bytes + begin;
        run.bytes = end < blocks ? (end - first) * BLOCK_BYTES : pixel_bytes - begin;
        if (run.window.rows == 0u) {
            memset(output, 0, run.bytes);
        } else if (run.bytes < WORD_BYTES) {
            pool_bytes(args, &run, input, output);
        } else {
            pool(&run, input, output);
        }
        position += run.pixels == 1u ? end - first : run.pixels * blocks;
    }
}
