/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Residual add, four lanes at a time: inputs and outputs of at most 8 bits, outputs clipped to [0, high] or
 * [-high - 1, high]. */
#include "common/fbc_fours.h"
#include "common/fbc_instances.h"
#include "micro/fbc_add_halves.h"
#include "micro/fbc_add_lookup.h"
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

#define FOR_EACH_HALVES_OUTPUT(X, signs) \
    X(signs, 8, UNSIGNED) \
    X(signs, 8, SIGNED) \
    X(signs, 4, UNSIGNED) \
    X(signs, 4, SIGNED) \
    X(signs, 2, UNSIGNED) \
    X(signs, 2, SIGNED)
#define FOR_EACH_HALVES(X) \
    FOR_EACH_HALVES_OUTPUT(X, NONE) \
    FOR_EACH_HALVES_OUTPUT(X, SECOND) \
    FOR_EACH_HALVES_OUTPUT(X, BOTH)

FOR_EACH_HALVES(FBC_DEFINE_ADD_HALVES)

#define HALVES_ENTRY(signs, output_bits, kind) \
    [FBC_HALVES_##signs][FBC_WIDTH_INDEX(output_bits)][FBC_CLIP_##kind] = \
        fbc_add_halves_##signs##_##output_bits##_##kind,
static const add_function halves_functions[3][3][2] = {FOR_EACH_HALVES(HALVES_ENTRY)};

typedef struct {
    const uint8_t *data;
    int32_t multiplier;
    uint32_t bits;
    uint32_t is_signed;
} add_input;

/* The wider one first; of equal ones, an unsigned one. */
typedef struct {
    add_input a;
    add_input b;
} add_inputs;

static add_inputs order_inputs(const fbc_add_args *args) {
    const add_input a = {args->input_a, args->multiplier_a, args->bits_a, args->signed_a};
    const add_input b = {args->input_b, args->multiplier_b, args->bits_b, args->signed_b};
    const uint32_t swap = a.bits < b.bits || (a.bits == b.bits && a.is_signed > b.is_signed);
    const add_inputs inputs = {swap ? b : a, swap ? a : b};
    return inputs;
}

FBC_INLINE uint32_t fits_half(int32_t value) {
    return value == (int16_t)value;
}

/* True if 256 times the sum of any signed bytes and addend is an int32. */
static uint32_t fits_moved_up(const fbc_add_args *args, const add_inputs *inputs) {
    const int32_t a = inputs->a.multiplier, b = inputs->b.multiplier, addend = args->addend;
    const uint32_t largest = 128u * (uint32_t)((a < 0 ? -a : a) + (b < 0 ? -b : b)), most = 1u << 23;
    return largest < most && addend < (int32_t)(most - largest) && addend > (int32_t)(largest - most) &&
           args->shift < 24u;
}

/* What computes a core's blocks, and the sign bits that it wants flipped. */
typedef struct {
    add_function add;
    uint32_t flip_a;
    uint32_t flip_b;
} add_choice;

static add_choice choose_function(const fbc_add_args *args, const add_inputs *inputs, fbc_clip_kind clip) {
    const add_input *a = &inputs->a, *b = &inputs->b;
    const uint32_t output = FBC_WIDTH_INDEX(args->output_bits);
    if (b->bits == 8u && fits_half(a->multiplier) && fits_half(b->multiplier)) {
        if (!a->is_signed) {
            const add_choice halves = {halves_functions[b->is_signed][output][clip], 0u, b->is_signed};
            return halves;
        }
        if (fits_moved_up(args, inputs)) {
            const add_choice halves = {halves_functions[FBC_HALVES_BOTH][output][clip], 0u, 0u};
            return halves;
        }
    }
    const uint32_t flips = a->is_signed | b->is_signed;
    const add_choice any = {functions[FBC_WIDTH_INDEX(a->bits)][FBC_WIDTH_INDEX(b->bits)][output][clip][flips],
                            a->is_signed, b->is_signed};
    return any;
}

/* Fours from which on it takes less time to look outputs up. */
enum { LEAST_FOURS_4 = 96, LEAST_FOURS_2 = 16 };

/* Whole words of the block, whose lanes all have as many bits; it is left with the fours behind them. */
static __attribute__((noinline)) void look_up(fbc_four_block *block, uint32_t bits, fbc_clip_kind clip) {
    const uint32_t shift = bits == 4u ? 1u : 2u, words = block->fours >> shift;
    if (bits == 2u) {
        fbc_add_look_up_crumbs(block, words, fbc_add_crumb_table(block, clip));
    } else {
        uint8_t table[256];
        if (clip == FBC_CLIP_SIGNED) {
            fbc_add_nibble_table(block, FBC_CLIP_SIGNED, table);
        } else {
            fbc_add_nibble_table(block, FBC_CLIP_UNSIGNED, table);
        }
        fbc_add_look_up_nibbles(block, words, table);
    }
    block->input_a += 4u * words;
    block->input_b += 4u * words;
    block->output += 4u * words;
    block->fours -= words << shift;
}

/* A call on one core. */
typedef struct {
    const fbc_add_args *args;
    add_inputs inputs; /* at the row */
    uint8_t *output;
    add_function add;
    fbc_four_block block; /* but for its pointers and size */
} add_call;

/* Elements of the row behind the fours of a run. */
static __attribute__((noinline)) void add_rest(const add_call *call, const fbc_four_run *run) {
    const fbc_add_args *args = call->args;
    const add_input *a = &call->inputs.a, *b = &call->inputs.b;
    const uint32_t first = run->first + 4u * run->fours;
    for (uint32_t i = first; i < first + run->rest; i++) {
        const int32_t sum = fbc_read_lane(a->data, i, a->bits, a->is_signed) * a->multiplier +
                            fbc_read_lane(b->data, i, b->bits, b->is_signed) * b->multiplier + args->addend;
        fbc_write_lane(call->output, i, args->output_bits, fbc_clamp(sum >> args->shift, args->low, args->high));
    }
}

FBC_INLINE void add_run(add_call *call, const fbc_four_run *run) {
    const add_input *a = &call->inputs.a, *b = &call->inputs.b;
    fbc_four_block *block = &call->block;
    const uint32_t output_bits = call->args->output_bits;
    block->input_a = a->data + (run->first * a->bits >> 3);
    block->input_b = b->data + (run->first * b->bits >> 3);
    block->output = call->output + (run->first * output_bits >> 3);
    block->fours = run->fours;
    if (a->bits == b->bits && a->bits == output_bits && output_bits < 8u &&
        run->fours >= (output_bits == 4u ? LEAST_FOURS_4 : LEAST_FOURS_2)) {
        look_up(block, output_bits, call->args->low == 0 ? FBC_CLIP_UNSIGNED : FBC_CLIP_SIGNED);
    }
    if (block->fours > 0u) {
        call->add(block);
    }
    if (run->rest > 0u) {
        add_rest(call, run);
    }
}

/* Pixels with left-over bits. */
static __attribute__((noinline)) void add_rows(add_call *call) {
    const add_inputs first = call->inputs;
    const fbc_add_args *args = call->args;
    fbc_four_share share = fbc_core_fours(args->pixels, args->channels);
    while (share.count > 0u) {
        const fbc_four_run run = fbc_next_fours(&share);
        call->inputs.a.data = first.a.data + run.row * fbc_lane_bytes(args->channels, first.a.bits);
        call->inputs.b.data = first.b.data + run.row * fbc_lane_bytes(args->channels, first.b.bits);
        call->output = (uint8_t *)args->output + run.row * fbc_lane_bytes(args->channels, args->output_bits);
        add_run(call, &run);
    }
}

/* True if the lanes of all three tensors follow each other without left-over bits between the pixels. */
FBC_INLINE uint32_t is_one_row(const fbc_add_args *args, uint32_t narrowest) {
    const uint32_t bits = narrowest < args->output_bits ? narrowest : args->output_bits;
    return args->pixels == 1u || (args->channels * bits & 7u) == 0u;
}

void fbc_add_fours(void *arguments) {
    const fbc_add_args *args = arguments;
    add_call call = {.args = args, .inputs = order_inputs(args), .output = args->output};
    const add_input *a = &call.inputs.a, *b = &call.inputs.b;
    const add_choice choice = choose_function(args, &call.inputs, args->low == 0 ? FBC_CLIP_UNSIGNED : FBC_CLIP_SIGNED);
    call.add = choice.add;
    call.block.multiplier_a = a->multiplier;
    call.block.multiplier_b = b->multiplier;
    call.block.addend =
        (int32_t)((uint32_t)args->addend - fbc_sign_offset(a->bits, choice.flip_a) * (uint32_t)a->multiplier -
                  fbc_sign_offset(b->bits, choice.flip_b) * (uint32_t)b->multiplier);
    call.block.shift = args->shift;
    call.block.high = args->high;
    call.block.signs_a = fbc_sign_bits(a->bits, choice.flip_a);
    call.block.signs_b = fbc_sign_bits(b->bits, choice.flip_b);
    if (!is_one_row(args, b->bits)) {
        add_rows(&call);
        return;
    }
    fbc_four_share share = fbc_core_fours(1u, args->pixels * args->channels);
    if (share.count > 0u) {
        const fbc_four_run run = fbc_next_fours(&share);
        add_run(&call, &run);
    }
}
