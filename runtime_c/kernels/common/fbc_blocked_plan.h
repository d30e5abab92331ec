/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Sizes that the blocked convolution, its weight expansion and its scratch-size functions share. The compiler's side is
 * BlockedKernel in fbcompile/lowering/kernels/blocked.py; a test compares the two.
 *
 * A column is what one output pixel reads: the kernel's taps, each tap its input channels at the kernel's width in
 * whole bytes (in as many words as the input pixel has, times the ratio of widths, if that has whole words), the end
 * filled up to a whole word. Taps that are whole words follow each other by columns of the kernel: so the columns of
 * neighbouring pixels overlap in scratch. Other taps, and those of linear layers, follow each other by rows. A pixel
 * that lies in the input as its column would is read in place ("direct"); else columns are gathered, four or more per
 * core.
 *
 * Narrower activations are widened while gathering. If the pixels are whole words, source word k gives `ratio` column
 * words, the h-th with the lanes h, h + ratio, h + 2 ratio, ...; the weights have been packed in that order. If not,
 * lanes keep their order.
 *
 * Narrower weights lie so that they widen by shift and mask: bits [h b, (h + 1) b) of each lane of source word s are
 * the lane of word (ratio s + h). */
#ifndef FBC_BLOCKED_PLAN_H
#define FBC_BLOCKED_PLAN_H

#include "common/fbc_lanes.h"
#include "fbc_kernels.h"
#include "fbc_platform.h"

typedef struct {
    uint32_t pixel_bytes;    /* of the input */
    uint32_t tap_bytes;      /* of a column */
    uint32_t position_bytes; /* of a kernel column's taps, 0 if taps follow each other by rows */
    uint32_t column_words;   /* read by a dot product */
    uint32_t column_stride;  /* bytes from column to column in scratch */
    uint32_t quads;          /* of columns that a core gathers at once: more if they are short */
    uint32_t core_bytes;     /* a core's columns, and a word so that the cores' columns begin in different banks */
    uint32_t pixels;         /* of the output */
    uint32_t groups;         /* of four output channels */
    uint32_t group_bytes;    /* weights of a group, at the kernel's width, at least two words of each channel */
    uint32_t weight_bytes;   /* of the widened weights in scratch, 0 if they are read in place */
    uint32_t direct;
} fbc_blocked_plan;

FBC_INLINE uint32_t fbc_blocked_is_direct(const fbc_conv_args *args, uint32_t bits, uint32_t pixel_bytes,
                                          uint32_t by_columns) {
    const uint32_t below = (args->output_height - 1u) * args->stride_height + args->kernel_height;
    const uint32_t right = (args->output_width - 1u) * args->stride_width + args->kernel_width;
    const uint32_t inside =
        args->pad_top == 0u && args->pad_left == 0u && below <= args->input_height && right <= args->input_width;
    const uint32_t adjoining = args->kernel_height == 1u ||
                               (args->kernel_width == args->input_width && (args->kernel_width == 1u || !by_columns));
    return inside && adjoining && args->activation_bits == bits && (pixel_bytes & 3u) == 0u;
}

/* Of widths: 0, 1 or 2 for one, two or four narrow lanes in a wide one. */
FBC_INLINE uint32_t fbc_ratio_shift(uint32_t bits, uint32_t narrow) {
    return narrow == bits ? 0u : 2u * narrow == bits ? 1u : 2u;
}

/* Quads of columns in a core's scratch. */
FBC_INLINE uint32_t fbc_quads_at_once(uint32_t column_words) {
    return column_words <= 16u ? 4u : column_words <= 40u ? 2u : 1u;
}

/* by_columns: 1 of convolutions, 0 of linear layers. */
FBC_INLINE fbc_blocked_plan fbc_make_blocked_plan(const fbc_conv_args *args, uint32_t bits, uint32_t by_columns) {
    fbc_blocked_plan plan;
    const uint32_t shift = fbc_ratio_shift(bits, args->weight_bits), ratio = 1u << shift;
    plan.pixel_bytes = fbc_lane_bytes(args->input_channels, args->activation_bits);
    plan.tap_bytes = (plan.pixel_bytes & 3u) == 0u ? plan.pixel_bytes << fbc_ratio_shift(bits, args->activation_bits)
                                                   : fbc_lane_bytes(args->input_channels, bits);
    plan.position_bytes = by_columns && (plan.pixel_bytes & 3u) == 0u ? plan.tap_bytes * args->kernel_height : 0u;
    plan.column_words = (plan.tap_bytes * args->kernel_height * args->kernel_width + 3u) >> 2;
    plan.column_stride = 4u * plan.column_words;
    plan.quads = fbc_quads_at_once(plan.column_words);
    plan.core_bytes = 4u * plan.quads * plan.column_stride + 4u;
    plan.pixels = (uint32_t)args->output_height * args->output_width;
    plan.groups = (args->output_channels + 3u) >> 2;
    plan.group_bytes = ((plan.column_words + ratio - 1u) >> shift) << (shift + 4u);
    plan.group_bytes = plan.group_bytes < 32u ? 32u : plan.group_bytes;
    plan.weight_bytes = ratio == 1u ? 0u : plan.groups * plan.group_bytes;
    plan.direct = fbc_blocked_is_direct(args, bits, plan.pixel_bytes, by_columns);
    return plan;
}

FBC_INLINE uint32_t fbc_blocked_scratch_bytes(const fbc_conv_args *args, uint32_t bits, uint32_t by_columns) {
    const fbc_blocked_plan plan = fbc_make_blocked_plan(args, bits, by_columns);
    const uint32_t columns = plan.direct ? 0u : fbc_core_count() * plan.core_bytes;
    return plan.weight_bytes + columns;
}

#endif
