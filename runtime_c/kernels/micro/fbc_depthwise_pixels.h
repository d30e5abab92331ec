/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Pixels of four channels as four planes without borders, for the loops that read planes in place.
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
    const uint32_t kernel = costs->kernel, plane_row = width * args->activation_bits >> 3;
    const uint32_t row_bytes = FBC_DEPTHWISE_CHANNELS * plane_row;
    fbc_pixels_plan plan = {.groups = args->output_channels / FBC_DEPTHWISE_CHANNELS, .band_rows = height};
    if (row_bytes * ((height - 1u) * stride + kernel) > FBC_DEPTHWISE_PLANES_BYTES || !fbc_cores_divide(plan.groups)) {
        const uint32_t input_rows = FBC_DEPTHWISE_PLANES_BYTES / row_bytes;
        const uint32_t most_rows = input_rows < kernel ? 1u : (input_rows - kernel) / stride + 1u;
        const uint32_t fewest = (height + most_rows - 1u) / most_rows;
        plan.band_rows = fbc_balance_bands(costs, plan.groups, fewest, args->output_width, height);
    }
    const uint32_t read = (plan.band_rows - 1u) * stride + kernel;
    plan.plane_bytes = (plane_row * (read < args->input_height ? read : args->input_height) + 7u) & ~3u;
    plan.core_bytes = FBC_DEPTHWISE_CHANNELS * plan.plane_bytes + 4u; /* as much in front of the first plane */
    return plan;
}

#ifdef FBC_XPULPV2

/* Of 8 bits: `blocks` of four pixels. */
FBC_INLINE void fbc_transpose_bytes(const uint8_t *input, uint32_t pixel_bytes, uint32_t blocks, uint8_t *planes,
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

#define FBC_PIXELS_HALF(word) ".insn r 0x0B, 7, 0x28, %[" word "], %[input], %[pixel]\n" /* p.lhu, post-increment */
#define FBC_PIXELS_STORE(word, step) ".insn r 0x2B, 6, 0, %[" step "], %[planes], %[" word "]\n" /* p.sw, likewise */
/* Of elements of one channel in the lower halves of bytes, and of another one in the upper halves: those of even pixels
 * in x, of odd ones in y. x becomes the former channel, y the latter. */
#define FBC_PIXELS_UNZIP(x, y) \
    "srli %[t], %[" x "], 4\n xor %[t], %[t], %[" y "]\n and %[t], %[t], %[mask]\n" \
    "xor %[" y "], %[" y "], %[t]\n slli %[t], %[t], 4\n xor %[" x "], %[" x "], %[t]\n"

/* Of 4 bits: `blocks` of eight pixels. */
FBC_INLINE void fbc_transpose_nibbles(const uint8_t *input, uint32_t pixel_bytes, uint32_t blocks, uint8_t *planes,
                                      uint32_t plane_bytes) {
    uint32_t a, b, c, d, e, f, g, h, t;
    __asm__ volatile(
        ".balign 4\n.option push\n"
        ".option norvc\n"
        ".insn i 0x7B, 4, x0, %[blocks], 2 * 34\n" /* lp.setup 0 */
        FBC_PIXELS_HALF("a") FBC_PIXELS_HALF("b") FBC_PIXELS_HALF("c") FBC_PIXELS_HALF("d") FBC_PIXELS_HALF("e")
            FBC_PIXELS_HALF("f") FBC_PIXELS_HALF("g") FBC_PIXELS_HALF("h") FBC_PLANES_PACK("%[a]", "%[c]", "%[a]")
                FBC_PLANES_PACK("%[e]", "%[g]", "%[e]") FBC_PLANES_PACK("%[b]", "%[d]", "%[b]")
                    FBC_PLANES_PACK("%[f]", "%[h]", "%[f]") "mv %[c], %[a]\n mv %[d], %[b]\n" FBC_PLANES_SHUFFLE(
                        "%[a]", "%[e]", "%[even]") FBC_PLANES_SHUFFLE("%[c]", "%[e]", "%[odd]")
                        FBC_PLANES_SHUFFLE("%[b]", "%[f]", "%[even]") FBC_PLANES_SHUFFLE("%[d]", "%[f]", "%[odd]")
                            FBC_PIXELS_UNZIP("a", "b") FBC_PIXELS_UNZIP("c", "d") FBC_PIXELS_STORE("a", "plane")
                                FBC_PIXELS_STORE("b", "plane") FBC_PIXELS_STORE("c", "plane")
                                    FBC_PIXELS_STORE("d", "next") ".option pop"
        : [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d), [e] "=&r"(e), [f] "=&r"(f), [g] "=&r"(g),
          [h] "=&r"(h), [t] "=&r"(t), [input] "+&r"(input), [planes] "+&r"(planes)
        : [blocks] "r"(blocks), [pixel] "r"(pixel_bytes), [plane] "r"(plane_bytes), [next] "r"(4u - 3u * plane_bytes),
          [even] "r"(0x06040200u), [odd] "r"(0x07050301u), [mask] "r"(0x0F0F0F0Fu)
        : "memory");
}

/* Blocks of pixels that are a word of each plane. */
FBC_INLINE void fbc_transpose_blocks(const uint8_t *input, uint32_t pixel_bytes, uint32_t bits, uint32_t blocks,
                                     uint8_t *planes, uint32_t plane_bytes) {
    if (bits == 8u) {
        fbc_transpose_bytes(input, pixel_bytes, blocks, planes, plane_bytes);
    } else {
        fbc_transpose_nibbles(input, pixel_bytes, blocks, planes, plane_bytes);
    }
}

#else

FBC_INLINE void fbc_transpose_blocks(const uint8_t *input, uint32_t pixel_bytes, uint32_t bits, uint32_t blocks,
                                     uint8_t *planes, uint32_t plane_bytes) {
    for (uint32_t pixel = 0; pixel < 32u * blocks / bits; pixel++) {
        for (uint32_t channel = 0; channel < FBC_DEPTHWISE_CHANNELS; channel++) {
            const int32_t element = fbc_read_lane(input + pixel * pixel_bytes, channel, bits, 0u);
            fbc_write_lane(planes + channel * plane_bytes, pixel, bits, element);
        }
    }
}

#endif

/* The pixels of a band, whole bytes of a plane and a block of them at least, that become planes of a group. */
typedef struct {
    const uint8_t *input; /* of the first group */
    uint32_t pixel_bytes;
    uint32_t pixels;
    uint8_t *planes;
    uint32_t plane_bytes;
} fbc_pixels_band;

FBC_INLINE fbc_pixels_band fbc_pixels_of_band(const fbc_conv_args *args, const fbc_pixels_plan *plan,
                                              const fbc_plane_band *band, uint8_t *planes) {
    const uint32_t width = args->input_width, pixel_bytes = fbc_lane_bytes(args->input_channels, args->activation_bits);
    const fbc_pixels_band pixels = {(const uint8_t *)args->input + band->first * width * pixel_bytes, pixel_bytes,
                                    band->read * width, planes, plan->plane_bytes};
    return pixels;
}

/* The last block may begin inside the one before. */
FBC_INLINE void fbc_transpose_group(const fbc_pixels_band *band, uint32_t group, uint32_t bits) {
    const uint32_t in_block = 32u / bits, pixel_bytes = band->pixel_bytes, pixels = band->pixels;
    const uint8_t *input = band->input + FBC_DEPTHWISE_CHANNELS * bits / 8u * group;
    fbc_transpose_blocks(input, pixel_bytes, bits, pixels / in_block, band->planes, band->plane_bytes);
    if (!FBC_USUALLY(pixels % in_block == 0u)) {
        fbc_transpose_blocks(input + (pixels - in_block) * pixel_bytes, pixel_bytes, bits, 1u,
                             band->planes + pixels * bits / 8u - 4u, band->plane_bytes);
    }
}

FBC_INLINE uint8_t *fbc_planes_of_core(const fbc_conv_args *args, const fbc_pixels_plan *plan) {
    return (uint8_t *)args->scratch + fbc_core_id() * plan->core_bytes + 4;
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
