/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Gathers what output pixels read into columns (see fbc_blocked_plan.h). The columns of neighbours overlap in a strip
 * if taps are whole words, so that each word is copied about once per kernel row. */
#ifndef FBC_COLUMNS_H
#define FBC_COLUMNS_H

#include "common/fbc_blocked_plan.h"
#include "micro/fbc_widen_taps.h"
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
    uint32_t copies; /* 1: the input has the width of the columns */
    uint32_t output_width;
    int32_t input_width;
    uint32_t row_bytes;   /* of the input */
    uint32_t adjoining;   /* output pixels of a row that are gathered together, at most */
    uint32_t column_step; /* bytes from column to column of those */
} fbc_gathering;

#ifdef FBC_XPULPV2
#define FBC_COPY_ROWS(body, first, last) \
    __asm__ volatile( \
        ".balign 4\n.option push\n" \
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
        __asm__ volatile(".balign 4\n.option push\n"
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

/* One tap each of `positions` pixels that follow each other, one kernel row of a strip. */
static __attribute__((noinline)) void fbc_widen_positions(const fbc_gathering *gathering, uint8_t *target,
                                                          const uint8_t *source, uint32_t positions) {
    const fbc_blocked_plan *plan = gathering->plan;
    if (gathering->args->kernel_height == 1u) {
        fbc_widen_taps(gathering->args, plan, FBC_WIDTH, target, source, positions);
        return;
    }
    for (; positions > 0u; positions--) {
        fbc_widen_taps(gathering->args, plan, FBC_WIDTH, target, source, 1u);
        target += plan->position_bytes;
        source += plan->pixel_bytes;
    }
}

static __attribute__((noinline)) void fbc_zero_positions(const fbc_blocked_plan *plan, uint8_t *target,
                                                         uint32_t positions) {
    for (; positions > 0u; positions--) {
        fbc_zero_words(target, plan->tap_bytes >> 2);
        target += plan->position_bytes;
    }
}

/* A strip: for each of several columns of the input, from `left`, the taps of all kernel rows, from `top`. */
FBC_INLINE void fbc_gather_strip(const fbc_gathering *gathering, int32_t top, int32_t left, int32_t positions,
                                 uint8_t *strip) {
    const fbc_conv_args *args = gathering->args;
    const fbc_blocked_plan *plan = gathering->plan;
    const int32_t over = left + positions - gathering->input_width;
    if (over > 0) {
        const int32_t after = over < positions ? over : positions;
        positions -= after;
        fbc_zero_words(strip + (uint32_t)positions * plan->position_bytes, (uint32_t)after * plan->position_bytes >> 2);
    }
    if (left < 0) {
        const int32_t before = -left < positions ? -left : positions;
        positions -= before;
        left = 0;
        strip = fbc_zero_words(strip, (uint32_t)before * plan->position_bytes >> 2);
    }
    if (positions == 0) {
        return;
    }
    const fbc_rows taps = {plan->position_bytes, plan->pixel_bytes, plan->tap_bytes, (uint32_t)positions};
    uint32_t place = (uint32_t)top * gathering->row_bytes + (uint32_t)left * plan->pixel_bytes;
    for (uint32_t row = args->kernel_height; row > 0u; row--) {
        if ((uint32_t)top >= args->input_height) {
            fbc_zero_positions(plan, strip, taps.rows);
        } else if (gathering->copies) {
            fbc_copy_rows(&taps, strip, (const uint8_t *)args->input + place);
        } else {
            fbc_widen_positions(gathering, strip, (const uint8_t *)args->input + place, taps.rows);
        }
        top++;
        place += gathering->row_bytes;
        strip += plan->tap_bytes;
    }
}

/* A column of taps that are no whole words, of which some may lie outside the tile or be widened. */
static __attribute__((noinline)) void fbc_gather_lanes(const fbc_gathering *gathering, int32_t top, int32_t left,
                                                       uint8_t *column) {
    const fbc_conv_args *args = gathering->args;
    const fbc_blocked_plan *plan = gathering->plan;
    const int32_t over = left + args->kernel_width - gathering->input_width;
    const uint32_t before = left < 0 ? (uint32_t)-left : 0u, after = over > 0 ? (uint32_t)over : 0u;
    fbc_zero_words(column, plan->column_words);
    if (before + after >= args->kernel_width) {
        return;
    }
    const uint32_t taps = args->kernel_width - before - after;
    column += before * plan->tap_bytes;
    uint32_t place = (uint32_t)top * gathering->row_bytes + (uint32_t)(left + (int32_t)before) * plan->pixel_bytes;
    for (uint32_t row = args->kernel_height; row > 0u; row--) {
        if ((uint32_t)top < args->input_height) {
            const uint8_t *source = (const uint8_t *)args->input + place;
            if (gathering->copies) {
                fbc_copy_bytes(column, source, taps * plan->tap_bytes);
            } else {
                fbc_widen_taps(args, plan, FBC_WIDTH, column, source, taps);
            }
        }
        top++;
        place += gathering->row_bytes;
        column += args->kernel_width * plan->tap_bytes;
    }
}

#ifdef FBC_XPULPV2
/* Columns of three rows of nine bytes, the three channels of a picture: seven words, of which two are put together from
 * two rows. */
FBC_INLINE void fbc_copy_pictures(uint8_t *target, const uint8_t *source, uint32_t source_step, uint32_t pixel_step,
                                  uint32_t pixels) {
    const uint8_t *second = source + source_step, *third = second + source_step;
    uint32_t a, b, c, d;
    __asm__ volatile(".balign 4\n.option push\n"
                     ".option norvc\n"
                     ".insn i 0x7B, 4, x0, %[pixels], 42\n" /* lp.setup 0, pixels, 21 instructions */
                     "lw %[a], 0(%[source])\n"
                     "lw %[b], 4(%[source])\n"
                     "lw %[c], -1(%[second])\n"
                     "lbu %[d], 8(%[source])\n"
                     ".insn s 0x2B, 2, %[a], 4(%[target])\n"   /* p.sw */
                     ".insn r 0x33, 2, 0x67, %[c], %[d], x0\n" /* p.insert of 8 bits */
                     ".insn s 0x2B, 2, %[b], 4(%[target])\n"
                     "lw %[a], 3(%[second])\n"
                     ".insn s 0x2B, 2, %[c], 4(%[target])\n"
                     "lw %[b], -2(%[third])\n"
                     "lhu %[d], 7(%[second])\n"
                     ".insn s 0x2B, 2, %[a], 4(%[target])\n"
                     ".insn r 0x33, 2, 0x6F, %[b], %[d], x0\n" /* of 16 bits */
                     "lw %[a], 2(%[third])\n"
                     "lw %[c], 6(%[third])\n"
                     ".insn s 0x2B, 2, %[b], 4(%[target])\n"
                     ".insn s 0x2B, 2, %[a], 4(%[target])\n"
                     ".insn s 0x2B, 2, %[c], 4(%[target])\n"
                     "add %[source], %[source], %[step]\n"
                     "add %[second], %[second], %[step]\n"
                     "add %[third], %[third], %[step]\n"
                     ".option pop"
                     : [target] "+r"(target), [source] "+r"(source), [second] "+r"(second), [third] "+r"(third),
                       [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d)
                     : [pixels] "r"(pixels), [step] "r"(pixel_step)
                     : "memory");
}
#endif

/* Copies the rows of pixels that follow each other. */
FBC_INLINE void fbc_copy_columns(const fbc_rows *rows, uint8_t *target, uint32_t column_step, const uint8_t *source,
                                 uint32_t pixel_step, uint32_t pixels) {
#ifdef FBC_XPULPV2
    if (rows->bytes == 9u && rows->rows == 3u && column_step == 28u) {
        fbc_copy_pictures(target, source, rows->source_step, pixel_step, pixels);
        return;
    }
    if (rows->bytes > 8u && rows->bytes <= 12u) { /* the rows in a hardware loop in that of pixels */
        uint32_t a, b, c;
        __asm__ volatile(
            ".balign 4\n.option push\n"
            ".option norvc\n"
            ".insn i 0x7B, 4, x1, %[pixels], 18\n"  /* lp.setup 1, pixels, 9 instructions */
            ".insn i 0x7B, 4, x0, %[rows], 12\n"    /* lp.setup 0, rows, 6 instructions */
            ".insn i 0x0B, 2, %[a], %[source], 4\n" /* p.lw */
            ".insn i 0x0B, 2, %[b], %[source], 4\n"
            ".insn r 0x0B, 7, 0x10, %[c], %[source], %[source_skip]\n"
            ".insn s 0x2B, 2, %[a], 4(%[target])\n" /* p.sw */
            ".insn s 0x2B, 2, %[b], 4(%[target])\n"
            ".insn r 0x2B, 6, 0, %[target_skip], %[target], %[c]\n"
            "add %[source], %[source], %[source_back]\n"
            "add %[target], %[target], %[target_back]\n"
            ".option pop"
            : [target] "+r"(target), [source] "+r"(source), [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c)
            : [pixels] "r"(pixels), [rows] "r"(rows->rows), [source_skip] "r"(rows->source_step - 8u),
              [target_skip] "r"(rows->target_step - 8u), [source_back] "r"(pixel_step - rows->rows * rows->source_step),
              [target_back] "r"(column_step - rows->rows * rows->target_step)
            : "memory");
        return;
    }
#endif
    for (; pixels > 0u; pixels--) {
        fbc_copy_rows(rows, target, source);
        source += pixel_step;
        target += column_step;
    }
}

/* Sets the same bytes of several columns to zero. */
static __attribute__((noinline)) void fbc_zero_rows(uint8_t *column, uint32_t bytes, uint32_t column_step,
                                                    uint32_t pixels) {
    for (; pixels > 0u; pixels--) {
        uint8_t *target = fbc_zero_words(column, bytes >> 2);
        for (uint32_t rest = bytes & 3u; rest > 0u; rest--) {
            *target++ = 0u;
        }
        column += column_step;
    }
}

/* Sets taps of each kernel row of a column to zero. */
static __attribute__((noinline)) void fbc_zero_taps(const fbc_blocked_plan *plan, const fbc_conv_args *args,
                                                    uint8_t *column, uint32_t first, uint32_t taps) {
    const uint32_t row = args->kernel_width * plan->tap_bytes;
    fbc_zero_rows(column + first * plan->tap_bytes, taps * plan->tap_bytes, row, args->kernel_height);
}

/* The columns of pixels that follow each other in a row, of taps that are no whole words. What a column does not fill
 * of its last word is not zeroed: the weights are zero there. */
static __attribute__((noinline)) void fbc_gather_bytes(const fbc_gathering *gathering, int32_t top, int32_t left,
                                                       uint32_t pixels, uint8_t *column) {
    const fbc_conv_args *args = gathering->args;
    const fbc_blocked_plan *plan = gathering->plan;
    const int32_t step = args->stride_width, over = top + args->kernel_height - args->input_height;
    const uint32_t row = args->kernel_width * plan->tap_bytes, stride = plan->column_stride;
    const int32_t last = gathering->input_width - args->kernel_width;
    const uint32_t above = top < 0 ? (uint32_t)-top : 0u, below = over > 0 ? (uint32_t)over : 0u;
    const fbc_rows rows = {row, gathering->row_bytes, row, args->kernel_height - above - below};
    /* Pixels with taps outside are copied and zeroed there if something lies before and behind; those at the end and
     * the beginning are not copied otherwise. */
    const int32_t width = gathering->input_width, last_left = left + (int32_t)(pixels - 1u) * step;
    const uint32_t copied_before = last >= 0 && top + (int32_t)above > 0 && -left <= args->kernel_width;
    const uint32_t copied_after = last >= 0 && over < 0 && last_left <= width;
    uint32_t end = 0u;
    if (!gathering->copies || above + below >= args->kernel_height) {
        end = pixels;
    }
    while (end < pixels && !copied_after && last_left - (int32_t)end * step > last) {
        end++;
    }
    while (pixels > end && left < 0 && !copied_before) {
        fbc_gather_lanes(gathering, top, left, column);
        left += step;
        column += stride;
        pixels--;
    }
    const uint32_t count = pixels - end;
    if (count > 0u) {
        const uint32_t place = ((uint32_t)top + above) * gathering->row_bytes + (uint32_t)left * plan->pixel_bytes;
        const uint8_t *source = (const uint8_t *)args->input + place;
        fbc_copy_columns(&rows, column + above * row, stride, source, (uint32_t)step * plan->pixel_bytes, count);
        if (above > 0u) {
            fbc_zero_rows(column, above * row, stride, count);
        }
        if (below > 0u) {
            fbc_zero_rows(column + (above + rows.rows) * row, below * row, stride, count);
        }
        for (; left < 0 && pixels > end; pixels--) {
            fbc_zero_taps(plan, args, column, 0u, (uint32_t)-left);
            left += step;
            column += stride;
        }
        uint32_t rest = pixels - end;
        left += (int32_t)rest * step;
        column += rest * stride;
        int32_t outside = left - step - last;
        for (uint8_t *right = column; rest > 0u && outside > 0; rest--) {
            right -= stride;
            fbc_zero_taps(plan, args, right, args->kernel_width - (uint32_t)outside, (uint32_t)outside);
            outside -= step;
        }
    }
    for (; end > 0u; end--) {
        fbc_gather_lanes(gathering, top, left, column);
        left += step;
        column += stride;
    }
}

FBC_INLINE fbc_gathering fbc_make_gathering(const fbc_conv_args *args, const fbc_blocked_plan *plan) {
    fbc_gathering gathering = {
        .args = args,
        .plan = plan,
        .copies = args->activation_bits == FBC_WIDTH,
        .output_width = args->output_width,
        .input_width = args->input_width,
        .row_bytes = args->input_width * plan->pixel_bytes,
        .adjoining = args->output_width,
        .column_step = plan->column_stride,
    };
    if (args->kernel_height == 1u && args->kernel_width == 1u && args->stride_width == 1u &&
        args->stride_height == 1u && (args->pad_top | args->pad_left) == 0 &&
        args->output_width == args->input_width) { /* one long row */
        gathering.output_width = gathering.adjoining = plan->pixels;
        gathering.input_width = (int32_t)plan->pixels;
    }
    if (plan->position_bytes > 0u && args->stride_width > args->kernel_width) {
        gathering.adjoining = 1u;
    } else if (plan->position_bytes > 0u) {
        gathering.column_step = args->stride_width * plan->position_bytes;
    }
    return gathering;
}

/* The columns of output pixels that follow each other in a row, the first at (y, x). If they overlap, no more than
 * `adjoining`. */
static __attribute__((noinline)) void fbc_gather_row(const fbc_gathering *gathering, uint32_t y, uint32_t x,
                                                     uint32_t pixels, uint8_t *columns) {
    const fbc_conv_args *args = gathering->args;
    const int32_t top = (int32_t)(y * args->stride_height) - args->pad_top;
    const int32_t left = (int32_t)(x * args->stride_width) - args->pad_left;
    if (gathering->plan->position_bytes > 0u) {
        const uint32_t positions = (pixels - 1u) * args->stride_width + args->kernel_width;
        fbc_gather_strip(gathering, top, left, (int32_t)positions, columns);
    } else {
        fbc_gather_bytes(gathering, top, left, pixels, columns);
    }
}

/* The columns of output pixels that follow each other, the first at (y, x), and the places of the first four. */
static __attribute__((noinline)) void fbc_gather_columns(const fbc_gathering *gathering, uint32_t y, uint32_t x,
                                                         uint32_t pixels, uint8_t *columns, const uint8_t *quad[4]) {
    const fbc_blocked_plan *plan = gathering->plan;
    const uint8_t **const end = quad + 4;
    do {
        uint32_t count = gathering->output_width - x;
        count = count < gathering->adjoining ? count : gathering->adjoining;
        count = count < pixels ? count : pixels;
        fbc_gather_row(gathering, y, x, count, columns);
        for (uint32_t i = 0; i < count && quad < end; i++) {
            *quad++ = columns + i * gathering->column_step;
        }
        columns += (count - 1u) * gathering->column_step + plan->column_stride;
        pixels -= count;
        x += count;
        if (x == gathering->output_width) {
            x = 0u;
            y++;
        }
    } while (pixels > 0u);
}

#endif
