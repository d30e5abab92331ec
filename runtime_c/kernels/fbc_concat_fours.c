/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* One input of a concat, requantized to the output's scale, four lanes at a time: outputs of at most 8 bits clipped to
 * [0, high] or [-high - 1, high], not wide, no clamp. An input that is not changed is copied. */
#include "common/fbc_fours.h"
#include "common/fbc_instances.h"
#include "micro/fbc_four_lanes.h"

typedef void (*requantize_function)(const fbc_four_block *block);

#define FOR_EACH_KIND(X, bits, output_bits) \
    X(bits, output_bits, UNSIGNED, 0) \
    X(bits, output_bits, UNSIGNED, 1) \
    X(bits, output_bits, SIGNED, 0) \
    X(bits, output_bits, SIGNED, 1)
#define FOR_EACH_OUTPUT(X, bits) \
    FOR_EACH_KIND(X, bits, 8) \
    FOR_EACH_KIND(X, bits, 4) \
    FOR_EACH_KIND(X, bits, 2)
#define FOR_EACH_INPUT(X) \
    FOR_EACH_OUTPUT(X, 8) \
    FOR_EACH_OUTPUT(X, 4) \
    FOR_EACH_OUTPUT(X, 2)

FOR_EACH_INPUT(FBC_DEFINE_REQUANTIZE_FOURS)

#define ENTRY(bits, output_bits, kind, flip) \
    [FBC_WIDTH_INDEX(bits)][FBC_WIDTH_INDEX(output_bits)][FBC_CLIP_##kind][flip] = \
        fbc_requantize_fours_##bits##_##output_bits##_##kind##_##flip,
static const requantize_function functions[3][3][2][2] = {FOR_EACH_INPUT(ENTRY)};

/* x = (x * multiplier + addend) >> shift means 0 <= x * (multiplier - 2^shift) + addend < 2^shift, which is linear in
 * x: it holds for a whole range if it holds at both ends. */
static uint32_t keeps_value(const fbc_requantization *parameters, int32_t value) {
    const int64_t unit = (int64_t)1 << parameters->shift;
    const int64_t slope = parameters->scale[0].multiplier - unit;
    const int64_t rest = value * slope + ((const int32_t *)parameters->addend)[0];
    return rest >= 0 && rest < unit && value >= parameters->low && value <= parameters->high;
}

static uint32_t is_copy(const fbc_concat_args *args) {
    const uint32_t range = 1u << args->activation_bits;
    const int32_t low = args->activation_signed ? -(int32_t)(range >> 1) : 0;
    return args->activation_bits == args->output_bits && keeps_value(&args->requantization, low) &&
           keeps_value(&args->requantization, low + (int32_t)range - 1);
}

static __attribute__((noinline)) void requantize_rest(const fbc_concat_args *args, const uint8_t *input,
                                                      uint8_t *output, uint32_t lane, uint32_t count,
                                                      uint32_t output_lane) {
    for (uint32_t i = 0; i < count; i++) {
        const int32_t value = fbc_read_lane(input, lane + i, args->activation_bits, args->activation_signed);
        fbc_write_lane(output, output_lane + lane + i, args->output_bits,
                       fbc_requantize(&args->requantization, 0u, value));
    }
}

/* Where the input does not begin at a byte of the output, its first lanes join a byte that the input before it began: a
 * core takes whole pixels. */
static __attribute__((noinline)) void requantize_pixels(const fbc_concat_args *args) {
    const uint32_t input_bytes = fbc_lane_bytes(args->channels, args->activation_bits);
    const uint32_t output_bytes = fbc_lane_bytes(args->output_channels, args->output_bits);
    const fbc_range pixels = fbc_core_range(args->pixels);
    for (uint32_t pixel = pixels.begin; pixel < pixels.end; pixel++) {
        requantize_rest(args, (const uint8_t *)args->input + pixel * input_bytes,
                        (uint8_t *)args->output + pixel * output_bytes, 0u, args->channels, args->output_offset);
    }
}

static void requantize_run(const fbc_concat_args *args, requantize_function requantize, const fbc_four_run *run,
                           const uint8_t *input, uint8_t *output) {
    const int32_t multiplier = args->requantization.scale[0].multiplier;
    const uint32_t offset = fbc_sign_offset(args->activation_bits, args->activation_signed) * (uint32_t)multiplier;
    const int32_t addend = ((const int32_t *)args->requantization.addend)[0];
    const fbc_four_block block = {input + (run->first * args->activation_bits >> 3),
                                  input,
                                  output + (run->first * args->output_bits >> 3),
                                  run->fours,
                                  multiplier,
                                  0,
                                  (int32_t)((uint32_t)addend - offset),
                                  args->requantization.shift,
                                  args->requantization.high,
                                  fbc_sign_bits(args->activation_bits, args->activation_signed),
                                  0u};
    if (run->fours > 0u) {
        requantize(&block);
    }
    if (run->rest > 0u) {
        requantize_rest(args, input, output, run->first + 4u * run->fours, run->rest, 0u);
    }
}

void fbc_concat_fours(void *arguments) {
    const fbc_concat_args copy = *(const fbc_concat_args *)arguments;
    const fbc_concat_args *args = &copy;
    const uint32_t bits = args->activation_bits, output_bits = args->output_bits;
    if (((uint32_t)args->output_offset * output_bits & 7u) != 0u) {
        requantize_pixels(args);
        return;
    }
    const uint32_t narrowest = bits < output_bits ? bits : output_bits;
    const uint32_t alone = args->channels == args->output_channels;
    const uint32_t one_row = args->pixels == 1u || (alone && (args->channels * narrowest & 7u) == 0u);
    const uint32_t elements = one_row ? args->pixels * args->channels : args->channels;
    const uint32_t output_bytes = fbc_lane_bytes(args->output_channels, output_bits);
    const uint32_t copies = is_copy(args);
    const requantize_function requantize =
        functions[FBC_WIDTH_INDEX(bits)][FBC_WIDTH_INDEX(output_bits)]
                 [args->requantization.low == 0 ? FBC_CLIP_UNSIGNED : FBC_CLIP_SIGNED][args->activation_signed != 0u];
    uint8_t *first = (uint8_t *)args->output + ((uint32_t)args->output_offset * output_bits >> 3);
    fbc_four_share share = fbc_core_fours(one_row ? 1u : args->pixels, elements);
    while (share.count > 0u) {
        const fbc_four_run run = fbc_next_fours(&share);
        const uint8_t *input = (const uint8_t *)args->input + run.row * fbc_lane_bytes(elements, bits);
        uint8_t *output = first + run.row * output_bytes;
        if (copies) {
            const uint32_t skipped = run.first * bits >> 3;
            fbc_copy_bytes(output + skipped, input + skipped, fbc_lane_bytes(4u * run.fours + run.rest, bits));
        } else {
            requantize_run(args, requantize, &run, input, output);
        }
    }
}
