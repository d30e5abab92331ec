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
                   offsetof(fbc_conv_args, pad_left) == offsetof(fbc_conv_args, stride_height) + 3u,
               "read as words below");

/* A kernel of one tap, stride 1, no border, all rows of the tile. */
FBC_INLINE uint32_t fbc_conv_is_pointwise(const fbc_conv_args *args) {
    const uint8_t *bytes = (const uint8_t *)args;
    uint32_t kernel, steps;
    memcpy(&kernel, bytes + offsetof(fbc_conv_args, kernel_height), sizeof kernel);
    memcpy(&steps, bytes + offsetof(fbc_conv_args, stride_height), sizeof steps);
    return kernel == 0x10001u && steps == 0x101u && args->input_width == args->output_width &&
           args->input_height == args->output_height;
}

/* Whole words and whole groups, and no byte of the output that two quads write. */
FBC_INLINE uint32_t fbc_conv_is_direct(const fbc_conv_args *args, uint32_t bits) {
    const uint32_t pixels = (uint32_t)args->output_height * args->output_width;
    const uint32_t shares_bytes = args->output_channel_first && args->output_bits < 8u && (pixels & 3u) != 0u;
    return fbc_conv_is_pointwise(args) && args->activation_bits == bits && (args->input_channels * bits & 31u) == 0u &&
           (args->output_channels & 3u) == 0u && pixels >= 4u && !shares_bytes;
}

/* The calling core's blocks, of quads of pixels and groups of channels, quads outermost. */
FBC_INLINE void fbc_conv_direct(const fbc_conv_args *args, uint32_t bits, void (*run_blocks)(fbc_block_run *run)) {
    const uint32_t pixels = (uint32_t)args->output_height * args->output_width, output_bits = args->output_bits;
    const uint32_t groups = (uint32_t)args->output_channels >> 2, words = args->input_channels * bits >> 5;
    const uint32_t ratio_shift = fbc_ratio_shift(bits, args->weight_bits), ratio = 1u << ratio_shift;
    uint32_t group_words = (words + ratio - 1u) >> ratio_shift << ratio_shift;
    group_words = group_words < 2u ? 2u : group_words;
    const uint8_t *weights = ratio == 1u ? args->weights : args->scratch;
    const fbc_range blocks = fbc_core_range(((pixels + 3u) >> 2) * groups);
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
    uint32_t left = blocks.end - blocks.begin, quad = blocks.begin / groups;
#ifdef FBC_XPULPV2
    __asm__("" : "+r"(quad)); /* or the compiler divides again for the remainder */
#endif
    uint32_t group = blocks.begin - quad * groups;
    while (left > 0u) {
        const uint32_t rest = (pixels >> 2) - quad; /* whole quads; none of the last one if it has fewer pixels */
        uint32_t first = 4u * quad, quads = 1u, count = groups - group;
        if (rest == 0u) {
            first = pixels - 4u; /* some of the quad before once more */
        }
        if (count > left) {
            count = left;
        } else if (count == groups && rest > 1u && left >= 2u * groups) {
            quads = left / groups;
            quads = quads < rest ? quads : rest;
        }
        const uint8_t *column = (const uint8_t *)args->input + 4u * words * first;
        for (uint32_t i = 0; i < 4u; i++) {
            run.columns[i] = column;
            column += 4u * words;
        }
        run.weights = weights + 16u * group_words * group;
        run.scales = args->requantization.scale + 4u * group;
        run.addends = (const int32_t *)args->requantization.addend + 4u * group;
        run.output = (uint8_t *)args->output + group * group_step + (first * quad_step >> 2);
        run.groups = count;
        run.quads = quads;
        run.quad_skip = quad_step - count * (3u * run.step + run.back);
        run_blocks(&run);
        left -= quads * count;
        quad += quads;
        group = 0u;
    }
}

#endif
