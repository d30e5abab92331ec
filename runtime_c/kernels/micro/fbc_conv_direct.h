/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Pointwise convolutions whose pixels are whole words of the kernel's width: every column lies in the input, one behind
 * the other. Most calls of a network are such, of small tiles, so that what each core does before its first block
 * counts: all cores fetch every line of it from the shared instruction cache in turn. Therefore they have a set-up of
 * their own beside that of fbc_conv_blocked.h, with as few instructions as it takes. */
#ifndef FBC_CONV_DIRECT_H
#define FBC_CONV_DIRECT_H

#include <stddef.h>

#include "common/fbc_blocked_plan.h"
#include "common/fbc_share.h"
#include "micro/fbc_block_run.h"

_Static_assert(offsetof(fbc_conv_args, kernel_width) == offsetof(fbc_conv_args, kernel_height) + 2u &&
                   offsetof(fbc_conv_args, pad_left) == offsetof(fbc_conv_args, stride_height) + 3u &&
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
    return fbc_conv_word(args, offsetof(fbc_conv_args, kernel_height)) == 0x10001u &&
           fbc_conv_word(args, offsetof(fbc_conv_args, stride_height)) == 0x101u &&
           args->input_width == args->output_width && args->input_height == args->output_height;
}

/* Whole words and whole groups, and no byte of the output that two quads write. */
FBC_INLINE uint32_t fbc_conv_is_direct(const fbc_conv_args *args, uint32_t bits) {
    const uint32_t pixels = (uint32_t)args->output_height * args->output_width;
    const uint32_t shares_bytes = args->output_channel_first && args->output_bits < 8u && (pixels & 3u) != 0u;
    return fbc_conv_is_pointwise(args) && args->activation_bits == bits && (args->input_channels * bits & 31u) == 0u &&
           (args->output_channels & 3u) == 0u && pixels >= 4u && !shares_bytes;
}

/* The calling core's blocks, of quads of pixels and groups of channels, quads outermost: `left` of them, from a quad
 * and a group of it on. */
typedef struct {
    uint32_t quad;
    uint32_t group;
    uint32_t left;
    uint32_t quads; /* with all groups, if it is no more than these; else 0 */
} fbc_direct_share;

FBC_INLINE fbc_direct_share fbc_share_quads(uint32_t quads, uint32_t groups) {
    if (fbc_core_count() == 8u && (quads & 7u) == 0u) { /* no division */
        const uint32_t each = quads >> 3;
        const fbc_direct_share whole = {each * fbc_core_id(), 0u, each * groups, each};
        return whole;
    }
    const fbc_range blocks = fbc_core_range(quads * groups);
    uint32_t quad = blocks.begin / groups;
#ifdef FBC_XPULPV2
    __asm__("" : "+r"(quad)); /* or the compiler divides again for the remainder */
#endif
    const fbc_direct_share share = {quad, blocks.begin - quad * groups, blocks.end - blocks.begin, 0u};
    return share;
}

/* Computes the calling core's blocks. */
FBC_INLINE void fbc_conv_direct(const fbc_conv_args *args, uint32_t bits, void (*run_blocks)(fbc_block_run *run)) {
    const uint32_t pixels = (uint32_t)args->output_height * args->output_width, output_bits = args->output_bits;
    const uint32_t groups = (uint32_t)args->output_channels >> 2, words = args->input_channels * bits >> 5;
    const uint32_t ratio_shift = fbc_ratio_shift(bits, args->weight_bits), ratio = 1u << ratio_shift;
    uint32_t group_words = (words + ratio - 1u) >> ratio_shift << ratio_shift;
    group_words = group_words < 2u ? 2u : group_words;
    const uint8_t *weights = ratio == 1u ? args->weights : args->scratch;
    fbc_direct_share share = fbc_share_quads((pixels + 3u) >> 2, groups);
    fbc_block_run run;
    fbc_prepare_block_run(&run, &args->requantization, output_bits);
    run.words = group_words - 1u;
    run.column_words = words;
    run.column_step = 16u * words;
    uint32_t quad_step = output_bits >> 1, group_step = output_bits >> 1;
    if (args->output_channel_first) {
        run.step = run.back = pixels * output_bits >> 3;
        group_step = 4u * run.step;
    } else {
        run.step = args->output_channels * output_bits >> 3;
        run.back = group_step - 3u * run.step;
        quad_step = 4u * run.step;
    }
    while (share.left > 0u) {
        const uint32_t rest = (pixels >> 2) - share.quad; /* whole quads; none of the last one if it has fewer pixels */
        uint32_t first = 4u * share.quad, quads = 1u, count = groups - share.group;
        if (rest == 0u) {
            first = pixels - 4u; /* some of the quad before once more */
        }
        if (count > share.left) {
            count = share.left;
        } else if (count == groups && rest > 1u && share.left >= 2u * groups) {
            quads = share.quads > 0u ? share.quads : share.left / groups;
            quads = quads < rest ? quads : rest;
        }
        const uint8_t *column = (const uint8_t *)args->input + 4u * words * first;
        for (uint32_t i = 0; i < 4u; i++) {
            run.columns[i] = column;
            column += 4u * words;
        }
        run.weights = weights + 16u * group_words * share.group;
        run.scales = args->requantization.scale + 4u * share.group;
        run.addends = (const int32_t *)args->requantization.addend + 4u * share.group;
        run.output = (uint8_t *)args->output + share.group * group_step + (first * quad_step >> 2);
        run.groups = count;
        run.quads = quads;
        run.quad_skip = quad_step - count * (3u * run.step + run.back);
        run_blocks(&run);
        share.left -= quads * count;
        share.quad += quads;
        share.group = 0u;
    }
}

#endif
