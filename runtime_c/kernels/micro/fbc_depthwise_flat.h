/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution 3x3 of stride 1, of channel-first activations of 4 or 2 bits to outputs of as many, without
 * scratch and with a column of padding on each side.
 *
 * Channels whose outputs are a byte, two or four, are computed at once, down strips of two output columns whose
 * windows, four pixels, begin at even columns. What a window's row reads, F(y), are 16 or 8 bits. The strip at the
 * edges is like the others: its window begins two pixels before the end of a row and goes on in the next one. With w0,
 * w1, w2 a row of a filter, the last output of row y is the sum over F(y - 1), F(y), F(y + 1) times w0 w1 0 0, and the
 * first one over F(y - 2), F(y - 1), F(y) times 0 0 w1 w2. It reads a byte in front of and behind what lies in the
 * plane, where it meets zeros.
 *
 * The work is cut into units: a band of output rows of four channels. Each core takes a run of units. */
#ifndef FBC_DEPTHWISE_FLAT_H
#define FBC_DEPTHWISE_FLAT_H

#include "common/fbc_requantize.h"
#include "micro/fbc_depthwise_in_place.h"
#include "micro/fbc_xpulp.h"

/* The channels that are computed at once. Assemblers have the offsets of the members as numbers. */
typedef struct {
    const uint8_t *filters;  /* 0: rows of three taps and a zero */
    const uint8_t *plane;    /* 4: of the first channel, the first row that is read */
    uint8_t *output;         /* 8: of the first pixel */
    const fbc_scale *scales; /* 12: less one */
    const int32_t *addends;  /* 16 */
    uint32_t plane_bytes;    /* 20: from channel to channel */
    uint32_t next_row;       /* 24: bytes from a row of the last channel to the first channel's next one */
    uint32_t pixel_bytes;    /* 28: of the output */
    uint32_t row_rest;       /* 32: of the output, from the first pixel of a row to its last one */
    uint32_t first_rows;     /* 36: that are read before the first output of a strip inside */
    uint32_t above;          /* 40: the first window's first row is above the plane */
    uint32_t rows;           /* 44: of outputs, whose windows are not below */
    uint32_t below;          /* 48: the last window's last row is below the plane */
    uint32_t input_next;     /* 52: bytes from behind the last row of a strip to the next strip */
    uint32_t output_next;    /* 56: likewise of the output */
    uint32_t strips;         /* 60: inside; of 2 bits: that begin at a byte */
    uint32_t phase;          /* 64: by the assembler */
} fbc_flat_run;

#ifdef FBC_XPULPNN

_Static_assert(offsetof(fbc_flat_run, phase) == 64, "the assemblers have the offsets of members as numbers");

/* Computes `count` times as many channels as are computed at once. */
typedef void (*fbc_flat_function)(fbc_flat_run *run, uint32_t count);

/* What the assemblers share. Registers: a0 the run; a2 the next row that is read, a3 from channel to channel, a4 to the
 * next row; a5 the output, a6 and a7 to the next one of a row and from there to the next row; ra a selector. */
#define FBC_FLAT_LOAD(code, word, step) ".insn r 0x0B, 7, " code ", " word ", a2, " step "\n"       /* p.lbu, p.lhu */
#define FBC_FLAT_SHUFFLE(width, word, new) ".insn r 0x57, " width ", 0x64, " word ", " new ", ra\n" /* pv.shuffle2 */
#define FBC_FLAT_STORE(byte, step) ".insn r 0x2B, 4, 0, " step ", a5, " byte "\n"                   /* p.sb */
#define FBC_FLAT_DOT(code, sum, row, taps) ".insn r 0x57, 2, %[" code "], " sum ", " row ", " taps "\n"
/* lp.setup: the next `instructions` instructions `count` times. */
#define FBC_FLAT_LOOP(count, instructions) ".insn i 0x7B, 4, x0, " count ", 2 * (" instructions ")\n"
/* Of the outer loop: lp.endi, it ends with the instruction before `end`; lp.count; lp.starti, it begins here. */
#define FBC_FLAT_OUTER_END(end) ".word 0x000010FB + ((" end " - 4 - .) << 19)\n"
#define FBC_FLAT_OUTER_COUNT(count) ".insn i 0x7B, 2, x1, " count ", 0\n"
#define FBC_FLAT_OUTER_START ".insn i 0x7B, 0, x1, x0, 2\n"
#define FBC_FLAT_CLEAR(word, length_code, position) \
    ".insn r 0x33, 3, " length_code ", " word ", " word ", " position "\n" /* p.bclr */

#define FBC_FLAT_ASM_BEGIN ".balign 4\n .option push\n .option norvc\n .option norelax\n"
#define FBC_FLAT_ASM_END ".option pop"
#define FBC_FLAT_CLOBBERS \
    "ra", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", \
        "s11", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "memory"

/* What does not depend on channels and bands; planes lie `plane_bytes` apart. */
FBC_INLINE void fbc_prepare_flat_run(const fbc_conv_args *args, uint32_t bits, uint32_t plane_bytes,
                                     fbc_flat_run *run) {
    const uint32_t width = args->input_width, row_bytes = width * bits >> 3, channels = 8u / bits;
    run->plane_bytes = plane_bytes;
    run->next_row = row_bytes - (channels - 1u) * run->plane_bytes;
    run->pixel_bytes = args->output_channels * bits >> 3;
    run->row_rest = (width - 1u) * run->pixel_bytes;
    run->strips = bits == 4u ? (width >> 1) - 1u : width >> 2;
}

/* What does not depend on channels. */
FBC_INLINE void fbc_begin_flat_band(const fbc_conv_args *args, uint32_t bits, const fbc_plane_band *band,
                                    fbc_flat_run *run) {
    const uint32_t row_bytes = args->input_width * bits >> 3, output_row_bytes = run->row_rest + run->pixel_bytes;
    run->first_rows = 2u - band->above;
    run->above = band->above;
    run->rows = band->rows - band->below;
    run->below = band->below;
    run->input_next = 1u - band->read * row_bytes;
    run->output_next = (8u / bits) * run->pixel_bytes - band->rows * output_row_bytes;
}

/* From `channel` on; `plane` is what the band reads first of that one, `row` its first row of outputs. */
FBC_INLINE void fbc_point_flat_run(const fbc_conv_args *args, uint32_t bits, uint32_t channel, uint32_t row,
                                   const uint8_t *plane, fbc_flat_run *run) {
    run->filters = (const uint8_t *)args->weights + 3u * channel * bits / 2u;
    run->scales = args->requantization.scale + channel;
    run->addends = (const int32_t *)args->requantization.addend + channel;
    run->plane = plane;
    run->output = (uint8_t *)args->output + row * (run->row_rest + run->pixel_bytes) + (channel * bits >> 3);
}

/* To the next channels. */
FBC_INLINE void fbc_next_flat_channels(fbc_flat_run *run, uint32_t channels) {
    run->filters += 12; /* two filters of 4 bits, or four of 2 bits */
    run->scales += channels;
    run->addends += channels;
    run->plane += channels * run->plane_bytes;
    run->output++;
}

FBC_INLINE void fbc_depthwise_flat(const fbc_conv_args *args, uint32_t bits, const fbc_band_costs *costs,
                                   fbc_flat_function compute) {
    fbc_band_units units = fbc_cut_units(args, costs, args->output_channels >> 2);
    /* The cores' stacks lie in the same banks, but all of them read this all the time. */
    struct {
        fbc_flat_run first;
        uint32_t more[14];
    } room;
    fbc_flat_run *run = (fbc_flat_run *)(void *)((uint8_t *)&room + 8u * (fbc_core_id() & 7u));
    const uint32_t row_bytes = args->input_width * bits >> 3, plane_bytes = args->input_height * row_bytes;
    fbc_prepare_flat_run(args, bits, plane_bytes, run);
    while (units.units.begin < units.units.end) {
        const fbc_unit_run part = fbc_take_units(args, &units);
        const uint32_t channel = 4u * part.channel, first = part.band.first * row_bytes;
        fbc_begin_flat_band(args, bits, &part.band, run);
        fbc_point_flat_run(args, bits, channel, part.row, (const uint8_t *)args->input + channel * plane_bytes + first,
                           run);
        compute(run, bits == 4u ? 2u * part.count : part.count);
    }
}

#else

/* The output of a channel at `row` and `column`. */
FBC_INLINE int32_t fbc_flat_output(const fbc_conv_args *args, uint32_t channel, uint32_t row, uint32_t column,
                                   uint32_t bits, uint32_t is_signed) {
    const uint32_t height = args->input_height, width = args->input_width;
    const uint32_t planes = args->input_channel_first, channels = args->input_channels;
    const uint32_t first = planes ? channel * height * width : channel, step = planes ? 1u : channels;
    const uint8_t *filter = (const uint8_t *)args->weights + 3u * channel * bits / 2u;
    int32_t sum = 0;
    for (uint32_t tap = 0; tap < 12u; tap++) { /* the fourth of a row is zero */
        const uint32_t y = row + (tap >> 2) - args->pad_top, x = column + (tap & 3u) - 1u; /* of 2^32 if outside */
        if ((tap & 3u) < 3u && y < height && x < width) {
            sum += fbc_read_lane(filter, tap, bits, 1u) *
                   fbc_read_lane(args->input, first + (y * width + x) * step, bits, is_signed);
        }
    }
    const int32_t product = fbc_multiply_less_one(sum, args->requantization.scale[channel].multiplier);
    const int32_t addend = ((const int32_t *)args->requantization.addend)[channel];
    return fbc_clamp((product + addend) >> FBC_PLANE_SHIFT, 0, (int32_t)(1u << bits) - 1);
}

FBC_INLINE void fbc_depthwise_flat(const fbc_conv_args *args, uint32_t bits, const fbc_band_costs *costs) {
    const uint32_t width = args->output_width, pixel_bytes = args->output_channels * bits >> 3;
    const uint32_t is_signed = args->activation_signed;
    fbc_band_units units = fbc_cut_units(args, costs, args->output_channels >> 2);
    while (units.units.begin < units.units.end) {
        const fbc_unit_run part = fbc_take_units(args, &units);
        const uint32_t first = part.row * width, channels = 4u * part.count;
        for (uint32_t pixel = first; pixel < first + part.band.rows * width; pixel++) {
            const uint32_t row = pixel / width, column = pixel - row * width;
            uint8_t *output = (uint8_t *)args->output + pixel * pixel_bytes;
            for (uint32_t channel = 4u * part.channel; channel < 4u * part.channel + channels; channel++) {
                const int32_t value = fbc_flat_output(args, channel, row, column, bits, is_signed);
                fbc_write_lane(output, channel, bits, value);
            }
        }
    }
}

#endif

#endif
