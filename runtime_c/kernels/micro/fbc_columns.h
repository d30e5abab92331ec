/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Gathers what one output pixel reads into a column (see fbc_blocked_plan.h). */
#ifndef FBC_COLUMNS_H
#define FBC_COLUMNS_H

#include "common/fbc_blocked_plan.h"
#include "common/fbc_widen.h"
#include "micro/fbc_xpulp.h"

/* The form of what is copied: several rows. */
typedef struct {
    uint32_t target_step; /* from row to row */
    uint32_t source_step;
    uint32_t bytes; /* of a row, at least 1 */
    uint32_t rows;  /* at least 1 */
} fbc_rows;

/* What every column of a call has in common. */
typedef struct {
    const fbc_conv_args *args;
    const fbc_blocked_plan *plan;
    fbc_rows inside;    /* of a column that lies in the tile, without its addresses */
    uint32_t bits;      /* of the column */
    uint32_t copies;    /* 1: of its lanes, too */
    uint32_t adjoining; /* 1: columns are words of pixels that follow each other in the input */
    uint32_t tops;      /* columns from rows 0 to tops - 1 and columns 0 to lefts - 1 of the input lie in the tile */
    uint32_t lefts;
    int32_t first_left; /* of the first output column; and behind the last */
    int32_t end_left;
    uint32_t pixel_step; /* bytes of the input from output pixel to output pixel */
    uint32_t row_step;   /* more from the last of a row to the first of the next */
} fbc_gathering;

#ifdef FBC_XPULPV2
#define FBC_COPY_ROWS(body, first, last) \
    __asm__ volatile( \
        ".option push\n" \
        ".option norvc\n" \
        ".insn i 0x7B, 4, x1, %[rows], " body "\n" /* lp.setup 1, rows, body / 2 instructions */ \
        first last "add %[target], %[target], %[target_skip]\n" \
        ".option pop" \
        : [target] "+r"(target), [source] "+r"(source), [a] "=&r"(a), [b] "=&r"(b) \
        : [rows] "r"(rows->rows), [pairs] "r"(pairs), [source_skip] "r"(source_skip), [target_skip] "r"(target_skip) \
        : "memory")
#define FBC_COPY_PAIRS \
    ".insn i 0x7B, 4, x0, %[pairs], 8\n" /* lp.setup 0, pairs, 4 instructions */ \
    ".insn i 0x0B, 2, %[a], %[source], 4\n .insn i 0x0B, 2, %[b], %[source], 4\n" /* p.lw */ \
    ".insn s 0x2B, 2, %[a], 4(%[target])\n .insn s 0x2B, 2, %[b], 4(%[target])\n" /* p.sw */
#define FBC_COPY_NONE "add %[source], %[source], %[source_skip]\n"
#define FBC_COPY_WORD ".insn i 0x0B, 2, %[a], %[source], 4\n" FBC_COPY_NONE ".insn s 0x2B, 2, %[a], 4(%[target])\n"
#endif

/* Copies whole words: up to 3 bytes more than a row, in ascending order of rows. */
FBC_INLINE void fbc_copy_rows(const fbc_rows *rows, uint8_t *target, const uint8_t *source) {
#ifdef FBC_XPULPV2
    const uint32_t words = (rows->bytes + 3u) >> 2, pairs = words >> 1;
    const uint32_t source_skip = rows->source_step - 4u * words, target_skip = rows->target_step - 4u * words;
    uint32_t a, b;
    if (pairs == 0u) {
        FBC_COPY_ROWS("8", , FBC_COPY_WORD);
    } else if ((words & 1u) != 0u) {
        FBC_COPY_ROWS("18", FBC_COPY_PAIRS, FBC_COPY_WORD);
    } else {
        FBC_COPY_ROWS("14", FBC_COPY_PAIRS, FBC_COPY_NONE);
    }
#else
    for (uint32_t row = 0; row < rows->rows; row++) {
        memcpy(target + row * rows->target_step, source + row * rows->source_step, rows->bytes);
    }
#endif
}

/* Returns the end of what was zeroed. */
FBC_INLINE uint8_t *fbc_zero_words(uint8_t *target, uint32_t words) {
#ifdef FBC_XPULPV2
    if (words > 0u) {
        __asm__ volatile(".option push\n"
                         ".option norvc\n"
                         ".insn i 0x7B, 4, x0, %1, 4\n" /* lp.setup 0, words, 2 instructions */
                         ".insn s 0x2B, 2, x0, 4(%0)\n" /* p.sw; a loop has two instructions at least */
                         "nop\n"
                         ".option pop"
                         : "+r"(target)
                         : "r"(words)
                         : "memory");
    }
    return target;
#else
    memset(target, 0, 4u * words);
    return target + 4u * words;
#endif
}

FBC_INLINE void fbc_widen_taps(const fbc_conv_args *args, const fbc_blocked_plan *plan, uint32_t bits, uint8_t *target,
                               const uint8_t *source, uint32_t taps) {
    const uint32_t from = args->activation_bits, is_signed = args->activation_signed;
    if ((plan->pixel_bytes & 3u) == 0u) {
        const uint32_t words = taps * plan->pixel_bytes >> 2;
        fbc_widen_words((uint32_t *)(void *)target, (const uint32_t *)(const void *)source, words, from, bits,
                        is_signed);
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

/* Rows that fbc_copy_rows cannot copy: of narrower activations, or whose bytes behind are not to be touched. */
static __attribute__((noinline)) void fbc_gather_rows(const fbc_conv_args *args, const fbc_blocked_plan *plan,
                                                      uint32_t bits, uint32_t taps, const fbc_rows *rows,
                                                      uint8_t *target, const uint8_t *source) {
    for (uint32_t row = 0; row < rows->rows; row++) {
        if (args->activation_bits == bits) {
            fbc_copy_bytes(target, source, rows->bytes);
        } else {
            fbc_widen_taps(args, plan, bits, target, source, taps);
        }
        target += rows->target_step;
        source += rows->source_step;
    }
}

/* Whole words of a row, which may be none. */
FBC_INLINE uint8_t *fbc_copy_words(uint8_t *target, const uint8_t *source, uint32_t words) {
    fbc_copy_bytes(target, source, 4u * words);
    return target + 4u * words;
}

/* A column with taps outside the tile. */
static __attribute__((noinline)) void fbc_gather_border(const fbc_gathering *gathering, int32_t top, int32_t left,
                                                        uint8_t *column) {
    const fbc_conv_args *args = gathering->args;
    const fbc_blocked_plan *plan = gathering->plan;
    const int32_t last_top = (int32_t)args->input_height - args->kernel_height;
    const int32_t last_left = (int32_t)args->input_width - args->kernel_width;
    const uint32_t above = top < 0 ? (uint32_t)-top : 0u, before = left < 0 ? (uint32_t)-left : 0u;
    const uint32_t below = top > last_top ? (uint32_t)(top - last_top) : 0u;
    const uint32_t after = left > last_left ? (uint32_t)(left - last_left) : 0u;
    if (above + below >= args->kernel_height || before + after >= args->kernel_width) {
        fbc_zero_words(column, plan->column_words);
        return;
    }
    const uint32_t taps = args->kernel_width - before - after, inside = args->kernel_height - above - below;
    const uint8_t *source = (const uint8_t *)args->input +
                            (uint32_t)(top + (int32_t)above) * gathering->inside.source_step +
                            (uint32_t)(left + (int32_t)before) * plan->pixel_bytes;
    if (gathering->copies && (plan->tap_bytes & 3u) == 0u) {
        const uint32_t words = plan->tap_bytes >> 2, row_words = args->kernel_width * words;
        uint8_t *target = fbc_zero_words(column, above * row_words);
        for (uint32_t row = 0; row < inside; row++) {
            target = fbc_zero_words(target, before * words);
            target = fbc_copy_words(target, source, taps * words);
            target = fbc_zero_words(target, after * words);
            source += gathering->inside.source_step;
        }
        fbc_zero_words(target, below * row_words);
        return;
    }
    fbc_zero_words(column, plan->column_words);
    const fbc_rows rows = {gathering->inside.target_step, gathering->inside.source_step, taps * plan->tap_bytes,
                           inside};
    fbc_gather_rows(args, plan, gathering->bits, taps, &rows,
                    column + above * rows.target_step + before * plan->tap_bytes, source);
}

FBC_INLINE fbc_gathering fbc_make_gathering(const fbc_conv_args *args, const fbc_blocked_plan *plan, uint32_t bits) {
    const uint32_t row_bytes = args->kernel_width * plan->tap_bytes, step = args->stride_width * plan->pixel_bytes;
    const uint32_t source_step = args->input_width * plan->pixel_bytes;
    const int32_t tops = (int32_t)args->input_height - args->kernel_height + 1;
    const int32_t lefts = (int32_t)args->input_width - args->kernel_width + 1;
    const fbc_gathering gathering = {
        .args = args,
        .plan = plan,
        .inside = {row_bytes, source_step, row_bytes, args->kernel_height},
        .bits = bits,
        .copies = args->activation_bits == bits,
        .adjoining = args->kernel_height == 1u && args->kernel_width == 1u && args->pad_top == 0u &&
                     args->pad_left == 0u && args->output_width == args->input_width && args->stride_width == 1u &&
                     args->stride_height == 1u && (plan->pixel_bytes & 3u) == 0u,
        .tops = tops > 0 ? (uint32_t)tops : 0u,
        .lefts = lefts > 0 ? (uint32_t)lefts : 0u,
        .first_left = -(int32_t)args->pad_left,
        .end_left = args->output_width * args->stride_width - args->pad_left,
        .pixel_step = step,
        .row_step = args->stride_height * source_step - args->output_width * step,
    };
    return gathering;
}

/* The columns of output pixels that follow each other, the first with its taps at (top, left). What a column does not
 * fill of its last word is not zeroed: the weights are zero there. */
static __attribute__((noinline)) void fbc_gather_columns(const fbc_conv_args *args, const fbc_blocked_plan *plan,
                                                         uint32_t bits, int32_t top, int32_t left, uint8_t *column,
                                                         uint32_t pixels) {
    const fbc_gathering all = fbc_make_gathering(args, plan, bits), *gathering = &all;
    const uint32_t stride = plan->column_stride, pixel_step = gathering->pixel_step;
    const uint32_t step = args->stride_width;
    const int32_t end = gathering->end_left;
    const uint32_t lefts = gathering->lefts;
    const fbc_rows inside = gathering->inside;
    /* The place of the first tap; of a column that begins outside the tile it is not used. */
    uint32_t place = (uint32_t)top * inside.source_step + (uint32_t)left * plan->pixel_bytes;
    uint32_t row_lefts = (uint32_t)top < gathering->tops ? lefts : 0u;
    if (gathering->adjoining && !gathering->copies && row_lefts > 0u) {
        fbc_widen_taps(args, plan, gathering->bits, column, (const uint8_t *)args->input + place, pixels);
        return;
    }
    do {
        if ((uint32_t)left >= row_lefts) {
            fbc_gather_border(gathering, top, left, column);
        } else if (gathering->copies) {
            fbc_copy_rows(&inside, column, (const uint8_t *)args->input + place);
        } else {
            fbc_gather_rows(args, plan, gathering->bits, args->kernel_width, &inside, column,
                            (const uint8_t *)args->input + place);
        }
        column += stride;
        place += pixel_step;
        left += (int32_t)step;
        if (left == end) {
            left = gathering->first_left;
            top += args->stride_height;
            place += gathering->row_step;
            row_lefts = (uint32_t)top < gathering->tops ? lefts : 0u;
        }
        pixels--;
    } while (pixels > 0u);
}

#endif
