/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Residual add, four lanes at a time: inputs and outputs of at most 8 bits, outputs clipped to [0, high] or
 * [-high - 1, high]. */
#include "common/fbc_fours.h"
#include "common/fbc_instances.h"
#include "micro/fbc_four_lanes.h"

typedef void (*add_function)(const fbc_four_block *block);

/* The wider input comes first. */
#define FOR_EACH_KIND(X, bits_a, bits_b, output_bits) \
    X(bits_a, bits_b, output_bits, UNSIGNED, 0) \
    X(bits_a, bits_b, output_bits, UNSIGNED, 1) \
    X(bits_a, bits_b, output_bits, SIGNED, 0) \
    X(bits_a, bits_b, output_bits, SIGNED, 1)
#define FOR_EACH_OUTPUT(X, bits_a, bits_b) \
    FOR_EACH_KIND(X, bits_a, bits_b, 8) \
    FOR_EACH_KIND(X, bits_a, bits_b, 4) \
    FOR_EACH_KIND(X, bits_a, bits_b, 2)
#define FOR_EACH_PAIR(X) \
    FOR_EACH_OUTPUT(X, 8, 8) \
    FOR_EACH_OUTPUT(X, 8, 4) \
    FOR_EACH_OUTPUT(X, 8, 2) \
    FOR_EACH_OUTPUT(X, 4, 4) \
    FOR_EACH_OUTPUT(X, 4, 2) \
    FOR_EACH_OUTPUT(X, 2, 2)

FOR_EACH_PAIR(FBC_DEFINE_ADD_FOURS)

#define ENTRY(bits_a, bits_b, output_bits, kind, flip) \
    [FBC_WIDTH_INDEX(bits_a)][FBC_WIDTH_INDEX(bits_b)][FBC_WIDTH_INDEX(output_bits)][FBC_CLIP_##kind][flip] = \
        fbc_add_fours_##bits_a##_##bits_b##_##output_bits##_##kind##_##flip,
static const add_function functions[3][3][3][2][2] = {FOR_EACH_PAIR(ENTRY)};

#define FOR_EACH_HALVES_KIND(X, output_bits) \
    X(output_bits, UNSIGNED, 0) \
    X(output_bits, UNSIGNED, 1) \
    X(output_bits, SIGNED, 0) \
    X(output_bits, SIGNED, 1)
#define FOR_EACH_HALVES(X) \
    FOR_EACH_HALVES_KIND(X, 8) \
    FOR_EACH_HALVES_KIND(X, 4) \
    FOR_EACH_HALVES_KIND(X, 2)

FOR_EACH_HALVES(FBC_DEFINE_ADD_HALVES)

#define HALVES_ENTRY(output_bits, kind, flip) \
    [FBC_WIDTH_INDEX(output_bits)][FBC_CLIP_##kind][flip] = fbc_add_halves_##output_bits##_##kind##_##flip,
static const add_function halves_functions[3][2][2] = {FOR_EACH_HALVES(HALVES_ENTRY)};

/* True if dot products of half words can be used. */
FBC_INLINE uint32_t fits_halves(const fbc_add_args *args) {
    return args->bits_a == 8u && args->bits_b == 8u && args->multiplier_a == (int16_t)args->multiplier_a &&
           args->multiplier_b == (int16_t)args->multiplier_b;
}

static add_function choose_function(const fbc_add_args *args) {
    const uint32_t output = FBC_WIDTH_INDEX(args->output_bits);
    const fbc_clip_kind clip = args->low == 0 ? FBC_CLIP_UNSIGNED : FBC_CLIP_SIGNED;
    const uint32_t flips = args->signed_a || args->signed_b;
    if (fits_halves(args)) {
        return halves_functions[output][clip][flips];
    }
    return functions[FBC_WIDTH_INDEX(args->bits_a)][FBC_WIDTH_INDEX(args->bits_b)][output][clip][flips];
}

/* True if the lanes of all three tensors follow each other without left-over bits between the pixels. */
FBC_INLINE uint32_t is_one_row(const fbc_add_args *args) {
    const uint32_t narrowest = args->bits_a < args->bits_b ? args->bits_a : args->bits_b;
    const uint32_t bits = narrowest < args->output_bits ? narrowest : args->output_bits;
    return args->pixels == 1u || (args->channels * bits & 7u) == 0u;
}

static __attribute__((noinline)) void add_rest(const fbc_add_args *args, const uint8_t *row_a, const uint8_t *row_b,
                                               uint8_t *output, fbc_range lanes) {
    for (uint32_t i = lanes.begin; i < lanes.end; i++) {
        const int32_t sum = fbc_read_lane(row_a, i, args->bits_a, args->signed_a) * args->multiplier_a +
                            fbc_read_lane(row_b, i, args->bits_b, args->signed_b) * args->multiplier_b + args->addend;
        fbc_write_lane(output, i, args->output_bits, fbc_clamp(sum >> args->shift, args->low, args->high));
    }
}

static void swap_inputs(fbc_add_args *args) {
    const fbc_add_args before = *args;
    args->input_a = before.input_b;
    args->multiplier_a = before.multiplier_b;
    args->bits_a = before.bits_b;
    args->signed_a = before.signed_b;
    args->input_b = before.input_a;
    args->multiplier_b = before.multiplier_a;
    args->bits_b = before.bits_a;
    args->signed_b = before.signed_a;
}

void fbc_add_fours(void *arguments) {
    fbc_add_args args = *(const fbc_add_args *)arguments;
    if (args.bits_a < args.bits_b) {
        swap_inputs(&args);
    }
    const uint32_t one_row = is_one_row(&args);
    const uint32_t elements = one_row ? args.pixels * args.channels : args.channels;
    const uint32_t offset = fbc_sign_offset(args.bits_a, args.signed_a) * (uint32_t)args.multiplier_a +
                            fbc_sign_offset(args.bits_b, args.signed_b) * (uint32_t)args.multiplier_b;
    const add_function add = choose_function(&args);
    fbc_four_share share = fbc_core_fours(one_row ? 1u : args.pixels, elements);
    while (share.left.begin < share.left.end) {
        const fbc_four_run run = fbc_next_fours(&share);
        const uint8_t *row_a = (const uint8_t *)args.input_a + run.row * fbc_lane_bytes(elements, args.bits_a);
        const uint8_t *row_b = (const uint8_t *)args.input_b + run.row * fbc_lane_bytes(elements, args.bits_b);
        uint8_t *output = (uint8_t *)args.output + run.row * fbc_lane_bytes(elements, args.output_bits);
        const fbc_four_block block = {row_a + (run.first * args.bits_a >> 3),
                                      row_b + (run.first * args.bits_b >> 3),
                                      output + (run.first * args.output_bits >> 3),
                                      run.fours,
                                      args.multiplier_a,
                                      args.multiplier_b,
                                      (int32_t)((uint32_t)args.addend - offset),
                                      args.shift,
                                      args.high,
                                      fbc_sign_bits(args.bits_a, args.signed_a),
                                      fbc_sign_bits(args.bits_b, args.signed_b)};
        if (run.fours > 0u) {
            add(&block);
        }
        const uint32_t rest = run.first + 4u * run.fours;
        const fbc_range lanes = {rest, rest + run.rest};
        if (run.rest > 0u) {
            add_rest(&args, row_a, row_b, output, lanes);
        }
    }
}
