/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Pixels of four channels as four planes without borders, a byte an element, for the loops that read planes in place.
 *
 * Neither tile nor planes have gaps between rows, so that a band is one row of pixels. The planes begin in different
 * banks of L1, and so do those of the cores. */
#ifndef FBC_DEPTHWISE_PIXELS_H
#define FBC_DEPTHWISE_PIXELS_H

#include "micro/fbc_depthwise_in_place.h"
#include "micro/fbc_widen_filter_rows.h"

typedef struct {
    uint32_t groups;      /* of four channels */
    uint32_t band_rows;   /* output rows of a band; the last may have fewer */
    uint32_t plane_bytes; /* from plane to plane */
    uint32_t core_bytes;  /* of scratch */
} fbc_pixels_plan;

/* The compiler's side is PixelKernel in fbcompile/lowering/kernels/depthwise_pixels.py; a test compares the two. */
FBC_INLINE fbc_pixels_plan fbc_make_pixels_plan(const fbc_conv_args *args, const fbc_band_costs *costs) {
    const uint32_t width = args->input_width, height = args->output_height, stride = args->stride_height;
    const uint32_t kernel = costs->kernel, row_bytes = FBC_DEPTHWISE_CHANNELS * width;
    fbc_pixels_plan plan = {.groups = args->output_channels / FBC_DEPTHWISE_CHANNELS, .band_rows = height};
    if (row_bytes * ((height - 1u) * stride + kernel) > FBC_DEPTHWISE_PLANES_BYTES || !fbc_cores_divide(plan.groups)) {
        const uint32_t input_rows = FBC_DEPTHWISE_PLANES_BYTES / row_bytes;
        const uint32_t most_rows = input_rows < kernel ? 1u : (input_rows - kernel) / stride + 1u;
        const uint32_t fewest = (height + most_rows - 1u) / most_rows;
        plan.band_rows = fbc_balance_bands(costs, plan.groups, fewest, args->output_width, height);
    }
    const uint32_t read = (plan.band_rows - 1u) * stride + kernel;
    const uint32_t pixels = width * (read < args->input_height ? read : args->input_height);
    plan.plane_bytes = (pixels + 7u) & ~3u;
    plan.core_bytes = FBC_DEPTHWISE_CHANNELS * plan.plane_bytes + 4u; /* as much in front of the first plane */
    return plan;
}

#ifdef FBC_XPULPV2

/* `blocks` of four pixels. */
FBC_INLINE void fbc_transpose_blocks(const uint8_t *input, uint32_t pixel_bytes, uint32_t blocks, uint8_t *planes,
                                     uint32_t plane_bytes) {
    uint32_t a, b, c, d, e, f;
    __asm__ volatile(
        ".balign 4\n.option push\n"
        ".option norvc\n"
        ".insn i 0x7B, 4, x0, %[blocks], 2 * 18\n" /* lp.setup 0 */
        ".insn r 0x0B, 7, 0x10, %[a], %[input], %[pixel]\n"
        ".insn r 0x0B, 7, 0x10, %[b], %[input], %[pixel]\n"
        ".insn r 0x0B, 7, 0x10, %[c], %[input], %[pixel]\n"
        ".insn r 0x0B, 7, 0x10, %[d], %[input], %[pixel]\n" FBC_PLANES_PACK("%[e]", "%[b]", "%[a]")
            FBC_PLANES_PACK("%[f]", "%[d]", "%[c]") FBC_PLANES_SHUFFLE("%[a]", "%[b]", "%[upper]") FBC_PLANES_SHUFFLE(
                "%[c]", "%[d]", "%[upper]") "mv %[b], %[e]\n" FBC_PLANES_SHUFFLE("%[b]", "%[f]", "%[even]")
                FBC_PLANES_SHUFFLE("%[e]", "%[f]", "%[odd]") "mv %[d], %[a]\n" FBC_PLANES_SHUFFLE("%[d]", "%[c]",
                                                                                                  "%[even]")
                    FBC_PLANES_SHUFFLE("%[a]", "%[c]", "%[odd]") ".insn r 0x2B, 6, 0, %[plane], %[planes], %[b]\n"
                                                                 ".insn r 0x2B, 6, 0, %[plane], %[planes], %[e]\n"
                                                                 ".insn r 0x2B, 6, 0, %[plane], %[planes], %[d]\n"
                                                                 ".insn r 0x2B, 6, 0, %[next], %[planes], %[a]\n"
                                                                 ".option pop"
        : [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d), [e] "=&r"(e), [f] "=&r"(f), [input] "+&r"(input),
          [planes] "+&r"(planes)
        : [blocks] "r"(blocks), [pixel] "r"(pixel_bytes), [plane] "r"(plane_bytes), [next] "r"(4u - 3u * plane_bytes),
          [upper] "r"(0x07060302u), [even] "r"(0x06040200u), [odd] "r"(0x07050301u)
        : "memory");
}

#else

FBC_INLINE void fbc_transpose_blocks(const uint8_t *input, uint32_t pixel_bytes, uint32_t blocks, uint8_t *planes,
                                     uint32_t plane_bytes) {
    for (uint32_t pixel = 0; pixel < 4u * blocks; pixel++) {
        for (uint32_t channel = 0; channel < FBC_DEPTHWISE_CHANNELS; channel++) {
            planes[channel * plane_bytes + pixel] = input[pixel * pixel_bytes + channel];
        }
    }
}

#endif

/* At least four of them; the last block may begin inside the one before. */
FBC_INLINE void fbc_transpose_pixels(const uint8_t *input, uint32_t pixel_bytes, uint32_t pixels, uint8_t *planes,
                                     uint32_t plane_bytes) {
    fbc_transpose_blocks(input, pixel_bytes, pixels >> 2, planes, plane_bytes);
    if (!FBC_USUALLY((pixels & 3u) == 0u)) {
        fbc_transpose_blocks(input + (pixels - 4u) * pixel_bytes, pixel_bytes, 1u, planes + pixels - 4u, plane_bytes);
    }
}

/* The filters of a group; narrow weights are widened. */
FBC_INLINE const uint32_t *fbc_filters_of_group(const fbc_conv_args *args, uint32_t group, uint32_t *widened) {
    const uint32_t *rows = (const uint32_t *)args->weights, bits = args->weight_bits;
    if (FBC_USUALLY(bits == 8u)) {
        return rows + FBC_FILTER_ROWS * group;
    }
    fbc_widen_filters(rows + FBC_FILTER_ROWS * group * bits / 8u, bits, 1u, widened);
    return widened;
}

#endif
