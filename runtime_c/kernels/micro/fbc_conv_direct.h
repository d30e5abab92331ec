/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Pointwise convolutions whose pixels are whole words: every column lies in the input, or, widened, in scratch, one
 * behind the other. Most calls of a network are such, of small tiles, so that what each core does before its first
 * block counts: all cores fetch every line of it from the shared instruction cache in turn. Therefore they have a
 * set-up of their own beside that of fbc_conv_blocked.h, with as few instructions as it takes. */
#ifndef FBC_CONV_DIRECT_H
#define FBC_CONV_DIRECT_H

#include <stddef.h>

#include "common/fbc_blocked_plan.h"
#include "common/fbc_share.h"
#include "common/fbc_widen.h"
#include "micro/fbc_block_run.h"

/* Computes a run; a function of its own for each combination of constants, so that the loop over the pixels stays small
 * and is there once. */
typedef void (*fbc_run_function)(fbc_block_run *run);

_Static_assert(offsetof(fbc_conv_args, input_width) == offsetof(fbc_conv_args, input_height) + 2u &&
                   offsetof(fbc_conv_args, output_width) == offsetof(fbc_conv_args, output_height) + 2u &&
                   offsetof(fbc_conv_args, kernel_width) == offsetof(fbc_conv_args, kernel_height) + 2u &&
                   offsetof(fbc_conv_args, pad_left) == offsetof(fbc_conv_args, stride_height) + 3u &&
                   offsetof(fbc_conv_args, input_height) % 4u == 0u &&
                   offsetof(fbc_conv_args, output_height) % 4u == 0u &&
                   offsetof(fbc_conv_args, kernel_height) % 4u == 0u &&
                   offsetof(fbc_conv_args, stride_height) % 4u == 0u,
               "read as words below");

/* Members that fill a word, from `offset` on. */
FBC_INLINE uint32_t fbc_conv_word(const fbc_conv_args *args, size_t offset) {
    uint32_t word;
    memcpy(&word, __builtin_assume_aligned((const uint8_t *)args + offset, 4), sizeof word);
    return word;
}

/* A kernel of one tap, stride 1, no border, all rows of the tile. */
FBC_INLINE uint32_t fbc_conv_is_pointwise(const fbc_conv_args *args) {
    return FBC_USUALLY(fbc_conv_word(args, offsetof(fbc_conv_args, kernel_height)) == 0x10001u) &&
           FBC_USUALLY(fbc_conv_word(args, offsetof(fbc_conv_args, stride_height)) == 0x101u) &&
           FBC_USUALLY(fbc_conv_word(args, offsetof(fbc_conv_args, input_height)) ==
                       fbc_conv_word(args, offsetof(fbc_conv_args, output_height)));
}

/* The quotient. The compiler does not see what it is, or it would divide again for the remainder. */
FBC_INLINE uint32_t fbc_divide(uint32_t dividend, uint32_t divisor) {
    uint32_t quotient = dividend / divisor;
#ifdef FBC_XPULPV2
    __asm__("" : "+r"(quotient));
#endif
    return quotient;
}

/* The calling core's blocks, of quads of pixels and groups of channels, quads outermost: `left` of them, from a quad
 * and a group of it on. */
typedef struct {
    uint32_t quad;
    uint32_t group;
    uint32_t left;
} fbc_block_share;

FBC_INLINE fbc_block_share fbc_share_blocks(uint32_t quads, uint32_t groups) {
    if (fbc_cores_divide(quads)) { /* no division */
        const fbc_range whole = fbc_core_range(quads);
        const fbc_block_share share = {whole.begin, 0u, (whole.end - whole.begin) * groups};
        return share;
    }
    const fbc_range blocks = fbc_core_range(quads * groups);
    const uint32_t quad = fbc_divide(blocks.begin, groups);
    const fbc_block_share share = {quad, blocks.begin - quad * groups, blocks.end - blocks.begin};
    return share;
}

/* Of a pointwise convolution: whole words and whole groups. */
FBC_INLINE uint32_t fbc_has_whole_words(const fbc_conv_args *args, uint32_t activation_bits) {
    return FBC_USUALLY((args->input_channels * activation_bits & 31u) == 0u) &&
           FBC_USUALLY((args->output_channels & 3u) == 0u);
}

/* The same, of activations at the kernel's width, and as many whole quads for each of eight cores. */
FBC_INLINE uint32_t fbc_conv_is_one_run(const fbc_conv_args *args, uint32_t bits) {
    const uint32_t pixels = (uint32_t)args->output_height * args->output_width;
    return FBC_USUALLY(args->activation_bits == bits) && fbc_has_whole_words(args, bits) &&
           FBC_USUALLY(fbc_core_count() == 8u) && FBC_USUALLY((pixels & 31u) == 0u);
}

/* Whole words and whole groups, and no byte of the output that two quads write. */
FBC_INLINE uint32_t fbc_conv_is_direct(const fbc_conv_args *args) {
    const uint32_t pixels = (uint32_t)args->output_height * args->output_width;
    return fbc_has_whole_words(args, args->activation_bits) && pixels >= 4u &&
           (!args->output_channel_first || args->output_bits == 8u || (pixels & 3u) == 0u);
}

/* From group to group, and from quad to quad, of the output. */
typedef struct {
    uint32_t group;
    uint32_t quad;
} fbc_direct_steps;

/* What does not change from run to run. */
typedef struct {
    fbc_block_run *run;
    const uint8_t *weights;
    fbc_direct_steps steps;
} fbc_direct_call;

FBC_INLINE fbc_direct_call fbc_prepare_direct(const fbc_conv_args *args, uint32_t bits, fbc_block_run *run) {
    const uint32_t output_bits = args->output_bits, words = args->input_channels * bits >> 5;
    fbc_direct_call call = {run, args->weights, {output_bits >> 1, output_bits >> 1}};
    uint32_t group_words = words;
    if (!FBC_USUALLY(args->weight_bits == bits)) { /* widened by the kernel before, in scratch */
        const uint32_t shift = fbc_ratio_shift(bits, args->weight_bits), rest = (1u << shift) - 1u;
        group_words = (words + rest) & ~rest;
        call.weights = args->scratch;
    }
    fbc_prepare_block_run(run, &args->requantization);
    run->words = group_words - 1u + (group_words == 1u); /* at least 1 */
    run->column_words = words;
    run->column_step = 16u * words;
    if (FBC_USUALLY(!args->output_channel_first)) {
        run->step = args->output_channels * output_bits >> 3;
        run->back = call.steps.group - 3u * run->step;
        call.steps.quad = 4u * run->step;
    } else {
        run->step = run->back = (uint32_t)args->output_height * args->output_width * output_bits >> 3;
        call.steps.group = 4u * run->step;
    }
    return call;
}

/* Sets what differs between runs: `count` groups from `group` on of quads from pixel `first` on, whose columns begin
 * at `column`. */
FBC_INLINE void fbc_direct_run(const fbc_conv_args *args, const fbc_direct_call *call, const uint8_t *column,
                               uint32_t first, uint32_t group, uint32_t count, uint32_t quads) {
    fbc_block_run *run = call->run;
    for (uint32_t i = 0; i < 4u; i++) {
        run->columns[i] = column;
        column += run->column_step >> 2;
    }
    run->weights = call->weights + 16u * (run->words + 1u) * group;
    run->scales = args->requantization.scale + 4u * group;
    run->addends = (const int32_t *)args->requantization.addend + 4u * group;
    run->output = (uint8_t *)args->output + group * call->steps.group + (first * call->steps.quad >> 2);
    run->groups = count;
    run->quads = quads;
    run->quad_skip = call->steps.quad - count * call->steps.group;
}

/* Columns in the calling core's scratch, behind the widened weights: quads of pixels from `first` on, at the kernel's
 * width. */
static __attribute__((noinline)) const uint8_t *fbc_widen_quads(const fbc_conv_args *args, const fbc_block_run *run,
                                                                uint32_t first, uint32_t quads, uint32_t bits) {
    const uint32_t pixel_bytes = fbc_lane_bytes(args->input_channels, args->activation_bits);
    const uint32_t weight_bytes = 4u * args->output_channels * (run->words + 1u);
    const uint32_t core_bytes = fbc_quads_at_once(run->column_words) * run->column_step + 4u;
    const void *source = (const uint8_t *)args->input + first * pixel_bytes;
    uint8_t *target = (uint8_t *)args->scratch + fbc_core_id() * core_bytes;
    target += args->weight_bits == bits ? 0u : weight_bytes;
    fbc_widen_words((uint32_t *)(void *)target, source, quads * pixel_bytes, args->activation_bits, bits,
                    args->activation_signed);
    return target;
}

/* Computes the calling core's blocks in several runs. Narrower activations are widened before, as many quads at once as
 * scratch holds. */
static __attribute__((noinline)) void fbc_conv_direct(const fbc_conv_args *args, uint32_t bits,
                                                      fbc_run_function run_blocks) {
    fbc_block_run run;
    const fbc_direct_call call = fbc_prepare_direct(args, bits, &run);
    const uint32_t pixels = (uint32_t)args->output_height * args->output_width;
    const uint32_t groups = (uint32_t)args->output_channels >> 2, narrow = args->activation_bits != bits;
    const uint32_t most = narrow ? fbc_quads_at_once(run.column_words) : pixels;
    fbc_block_share share = fbc_share_blocks((pixels + 3u) >> 2, groups);
    while (share.left > 0u) {
        const uint32_t rest = (pixels >> 2) - share.quad; /* whole quads; none of the last one if it has fewer pixels */
        const uint32_t first = rest > 0u ? 4u * share.quad : pixels - 4u; /* else some of the quad before once more */
        uint32_t quads = 1u, count = groups - share.group;
        if (count > share.left) {
            count = share.left;
        } else if (count == groups && rest > 1u && share.left >= 2u * groups) {
            quads = share.left / groups;
            quads = quads < rest ? quads : rest;
            quads = quads < most ? quads : most;
        }
        const uint8_t *column = (const uint8_t *)args->input + first * (run.column_step >> 2);
        if (narrow) {
            column = fbc_widen_quads(args, &run, first, quads, bits);
        }
        fbc_direct_run(args, &call, column, first, share.group, count, quads);
        run_blocks(&run);
        share.left -= quads * count;
        share.quad += quads;
        share.group = 0u;
    }
}

/* Likewise, in one run. */
FBC_INLINE void fbc_conv_in_one_run(const fbc_conv_args *args, uint32_t bits, fbc_run_function run_blocks) {
    fbc_block_run run;
    const fbc_direct_call call = fbc_prepare_direct(args, bits, &run);
    const uint32_t quads = (uint32_t)args->output_height * args->output_width >> 5;
    const uint32_t first = 4u * quads * fbc_core_id();
    const uint8_t *column = (const uint8_t *)args->input + first * (run.column_step >> 2);
    fbc_direct_run(args, &call, column, first, 0u, (uint32_t)args->output_channels >> 2, quads);
    run_blocks(&run);
}

#endif
