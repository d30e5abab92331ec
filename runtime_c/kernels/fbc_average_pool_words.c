/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Global average pooling: sums of whole words over the plane, then requantization. The cores split a pixel's words. */
#include "common/fbc_requantize.h"
#include "common/fbc_share.h"
#include "micro/fbc_pool_words.h"
#include "micro/fbc_store_block.h"

enum { LEAST_BYTES = 8, MOST_LANES = 16 };

typedef struct {
    const fbc_pool_args *args;
    fbc_block_parameters block;
    fbc_scale scale; /* with a clamp that changes nothing if there is none */
    int32_t addend;
    uint32_t pixels;
    uint32_t pixel_bytes;
    uint32_t signs;
    int32_t offset; /* what flipping the signs adds to a sum */
} pool;

/* The sums of some channels, from a channel that begins a byte of the output. */
static __attribute__((noinline)) void write_lanes(const pool *now, uint32_t channel, uint32_t end,
                                                  const int32_t *totals) {
    for (; channel < end; channel++) {
        const int32_t value = fbc_requantize(&now->args->requantization, 0u, *totals++ - now->offset);
        fbc_write_lane(now->args->output, channel, now->args->output_bits, value);
    }
}

FBC_INLINE int32_t requantize_total(const pool *now, int32_t total) {
    return fbc_requantize_sum(&now->block, 1u, total - now->offset, now->scale, now->addend);
}

/* The sums of `count` channels, a multiple of four; outputs of at most 8 bits, not wide. */
FBC_INLINE void write_fours(const pool *now, uint32_t channel, uint32_t count, const int32_t *totals) {
    const uint32_t bits = now->args->output_bits;
    uint8_t *output = (uint8_t *)now->args->output + (channel * bits >> 3);
    for (uint32_t i = 0; i < count; i += 4u) {
        const int32_t values[4] = {requantize_total(now, totals[i]), requantize_total(now, totals[i + 1u]),
                                   requantize_total(now, totals[i + 2u]), requantize_total(now, totals[i + 3u])};
        output = fbc_store_four(output, bits, bits >> 1, values);
    }
}

/* Adds up two words (8 and 4 bits) or one word (2 bits) from byte `first` of all pixels. */
FBC_INLINE void sum_words(const pool *now, uint32_t first, uint32_t bits, int32_t totals[MOST_LANES]) {
    const uint32_t at_once = fbc_sum_pixels(bits);
    const uint8_t *input = (const uint8_t *)now->args->input + first;
    uint32_t left = now->pixels;
    uint32_t count = left < at_once ? left : at_once;
    uint32_t sums[FBC_SUM_WORDS];
    fbc_sum_words(input, now->pixel_bytes, count, bits, now->signs, sums);
    fbc_take_lane_sums(sums, bits, totals, 1u);
    for (left -= count; left > 0u; left -= count) {
        input += count * now->pixel_bytes;
        count = left < at_once ? left : at_once;
        fbc_sum_words(input, now->pixel_bytes, count, bits, now->signs, sums);
        fbc_take_lane_sums(sums, bits, totals, 0u);
    }
}

/* A plane whose pixels are too short, one lane at a time. */
static void pool_lanes(const pool *now) {
    const fbc_pool_args *args = now->args;
    for (uint32_t channel = 0; channel < args->channels; channel++) {
        const uint8_t *input = args->input;
        int32_t sum = now->offset;
        for (uint32_t pixel = 0; pixel < now->pixels; pixel++) {
            sum += fbc_read_lane(input, channel, args->activation_bits, args->activation_signed);
            input += now->pixel_bytes;
        }
        write_lanes(now, channel, channel + 1u, &sum);
    }
}

/* The core's part, in steps of what sum_words adds up. What is left of a pixel is summed again from its end. */
FBC_INLINE void pool_words(const pool *shared, uint32_t bits) {
    const pool copy = *shared; /* which no store can change */
    const pool *now = &copy;
    const uint32_t step_bytes = bits == 2u ? 4u : 8u;
    const uint32_t lanes = 8u * step_bytes / bits;
    const uint32_t steps = now->pixel_bytes / step_bytes;
    const uint32_t rest = now->pixel_bytes % step_bytes;
    const uint32_t channels = now->args->channels;
    const uint32_t rare = now->args->requantization.wide || now->args->output_bits == 32u;
    const fbc_range range = fbc_core_range(steps + (rest != 0u ? 1u : 0u));
    for (uint32_t step = range.begin; step < range.end; step++) {
        const uint32_t channel = step * lanes;
        const uint32_t back = step < steps ? 0u : step_bytes - rest;
        int32_t totals[MOST_LANES];
        sum_words(now, step * step_bytes - back, bits, totals);
        if (!rare && channel + lanes <= channels) {
            write_fours(now, channel, lanes, totals);
        } else {
            const uint32_t end = channel + lanes < channels ? channel + lanes : channels;
            write_lanes(now, channel, end, totals + 8u * back / bits);
        }
    }
}

void fbc_average_pool_words(void *arguments) {
    const fbc_pool_args copy = *(const fbc_pool_args *)arguments;
    const fbc_requantization *parameters = &copy.requantization;
    const uint32_t bits = copy.activation_bits;
    const uint32_t pixels = (uint32_t)copy.input_height * copy.input_width;
    const pool now = {&copy,
                      fbc_get_block_parameters(parameters, 0u),
                      {parameters->scale[0].multiplier, parameters->clamped ? parameters->scale[0].clamp : INT32_MAX},
                      ((const int32_t *)parameters->addend)[0],
                      pixels,
                      fbc_lane_bytes(copy.channels, bits),
                      copy.activation_signed ? fbc_in_every_lane(1u << (bits - 1u), bits) : 0u,
                      copy.activation_signed ? (int32_t)(pixels << (bits - 1u)) : 0};
    if (now.pixel_bytes < LEAST_BYTES) {
        if (fbc_core_id() == 0u) {
            pool_lanes(&now);
        }
    } else if (bits == 8u) {
        pool_words(&now, 8u);
    } else if (bits == 4u) {
        pool_words(&now, 4u);
    } else {
        pool_words(&now, 2u);
    }
}
