/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Gathers what one output pixel reads into a column (see fbc_blocked_plan.h). */
#ifndef FBC_COLUMNS_H
#define FBC_COLUMNS_H

#include "common/fbc_blocked_plan.h"
#include "common/fbc_widen.h"
#include "micro/fbc_xpulp.h"

static __attribute__((noinline)) void fbc_zero_taps(uint8_t *target, uint32_t bytes) {
    for (; bytes > 0u && ((uintptr_t)target & 3u) != 0u; bytes--) {
        *target++ = 0u;
    }
    for (; bytes >= 4u; bytes -= 4u) {
        *(uint32_t *)(void *)target = 0u;
        target += 4;
    }
    for (; bytes > 0u; bytes--) {
        *target++ = 0u;
    }
}

FBC_INLINE void fbc_widen_words(uint32_t *target, const uint32_t *source, uint32_t words, uint32_t from, uint32_t to,
                                uint32_t is_signed) {
    for (uint32_t i = 0; i < words; i++) {
        for (uint32_t part = 0; part < to / from; part++) {
            *target++ = fbc_widen_lanes(source[i], part, from, to, is_signed);
        }
    }
}

FBC_INLINE void fbc_widen_taps(const fbc_conv_args *args, const fbc_blocked_plan *plan, uint32_t bits, uint8_t *target,
                               const uint8_t *source, uint32_t taps) {
    const uint32_t from = args->activation_bits, is_signed = args->activation_signed;
    if ((plan->pixel_bytes & 3u) == 0u) {
        const uint32_t words = taps * plan->pixel_bytes >> 2;
        if (from == 4u && !is_signed) {
            fbc_widen_words((uint32_t *)(void *)target, (const uint32_t *)(const void *)source, words, 4u, bits, 0u);
        } else if (from == 2u && !is_signed) {
            fbc_widen_words((uint32_t *)(void *)target, (const uint32_t *)(const void *)source, words, 2u, bits, 0u);
        } else {
            fbc_widen_words((uint32_t *)(void *)target, (const uint32_t *)(const void *)source, words, from, bits,
                            is_signed);
        }
        return;
    }
    for (uint32_t tap = 0; tap < taps; tap++) {
        for (uint32_t channel = 0; channel < args->input_channels; channel++) {
            fbc_write_lane(target, channel, bits, fbc_read_lane(source, channel, from, is_signed));
        }
        source += plan->pixel_bytes;
        target += plan->tap_bytes;
    }
}

FBC_INLINE void fbc_gather_taps(const fbc_conv_args *args, const fbc_blocked_plan *plan, uint32_t bits, uint8_t *target,
                                const uint8_t *source, uint32_t taps) {
    if (args->activation_bits == bits) {
        fbc_copy_bytes(target, source, taps * plan->tap_bytes);
    } else {
        fbc_widen_taps(args, plan, bits, target, source, taps);
    }
}

/* A column with taps outside the tile. */
static __attribute__((noinline)) void fbc_gather_border(const fbc_conv_args *args, const fbc_blocked_plan *plan,
                                                        uint32_t bits, int32_t top, int32_t left, uint8_t *column) {
    const uint32_t row_bytes = plan->tap_bytes * args->kernel_width;
    const int32_t beyond = left + args->kernel_width - args->input_width;
    const uint32_t before = left < 0 ? (uint32_t)-left : 0u;
    const uint32_t after = beyond > 0 ? (uint32_t)beyond : 0u;
    const uint32_t outside = before + after < args->kernel_width ? before + after : args->kernel_width;
    const uint32_t taps = args->kernel_width - outside;
    for (int32_t y = top; y < top + args->kernel_height; y++) {
        if (y < 0 || y >= args->input_height || taps == 0u) {
            fbc_zero_taps(column, row_bytes);
        } else {
            const uint32_t pixel = (uint32_t)(y * args->input_width + left) + before;
            const uint8_t *source = (const uint8_t *)args->input + pixel * plan->pixel_bytes;
            uint8_t *target = column + before * plan->tap_bytes;
            fbc_zero_taps(column, before * plan->tap_bytes);
            fbc_gather_taps(args, plan, bits, target, source, taps);
            fbc_zero_taps(target + taps * plan->tap_bytes, after * plan->tap_bytes);
        }
        column += row_bytes;
    }
}

static __attribute__((noinline)) void fbc_gather_column(const fbc_conv_args *args, const fbc_blocked_plan *plan,
                                                        uint32_t bits, int32_t top, int32_t left, uint8_t *column) {
    const int32_t kernel_height = args->kernel_height, kernel_width = args->kernel_width;
    ((uint32_t *)(void *)column)[plan->column_words - 1u] = 0u;
    if (top < 0 || left < 0 || top + kernel_height > args->input_height || left + kernel_width > args->input_width) {
        fbc_gather_border(args, plan, bits, top, left, column);
        return;
    }
    const uint32_t line_bytes = args->input_width * plan->pixel_bytes;
    const uint32_t row_bytes = (uint32_t)kernel_width * plan->tap_bytes;
    const uint8_t *source =
        (const uint8_t *)args->input + (uint32_t)top * line_bytes + (uint32_t)left * plan->pixel_bytes;
    for (int32_t row = 0; row < kernel_height; row++) {
        fbc_gather_taps(args, plan, bits, column, source, (uint32_t)kernel_width);
        source += line_bytes;
        column += row_bytes;
    }
}

#endif
