/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Argument structs and prototypes of all kernels.
 *
 * Layouts. Activations are HWC: a pixel is ceil(C * bits / 8) bytes, channels packed from the least significant bit,
 * two's complement if signed, left-over bits of a pixel 0. Weights are two's complement in the layout of the kernel
 * variant (see fbcompile/lowering/packing.py). Taps outside the input tile read 0. Channel-first: one plane after the
 * other, a plane is ceil(H * W * bits / 8) bytes, its elements in row order packed from the least significant bit; only
 * kernels that say so take or write it.
 *
 * Arithmetic. acc is int32; y = clip((clamp(acc) * multiplier[c] + addend[c]) >> shift, low, high), arithmetic shift,
 * where clamp(acc) is acc within [-clamp[c] - 1, clamp[c]]. Not wide: product and sum fit int32 (proved by the
 * integerize pass), addend is int32[]. Wide: 64 bits, addend is int64[].
 *
 * That is the layer's own form. Kernels that say so take one that they compute faster:
 *
 * Less one: the same numbers, not wide, but the multiplier is stored less 1, because acc + acc * (multiplier - 1) is
 * one instruction in place. Modulo 2^32 it is the same product.
 *
 * Folded: the compiler has rewritten it (fbcompile/lowering/requantization_form.py) as y =
 * (clip(acc + offset[c], 0, bound[c]) * multiplier[c] + addend[c]) >> shift, in unsigned 32 bits and without a clip
 * behind it. `clamp` is the bound; addend is int32[][2], offset and addend. Outputs of 8 bits: shift is 24. Narrower
 * ones: shift is 18, bound and multiplier are below 2^16, and the addend is 0.
 *
 * Thresholds: less one, outputs of 2 bits, acc within int8. The clamps of the first three of four channels hold what
 * acc must exceed for an output of at least 1, 2 and 3: a byte per channel.
 *
 * Short: the same numbers, but acc and multiplier are within int16, shift is 15, not wide, no clamp. Short to bytes:
 * and low is 0, and what is clipped is within int8.
 *
 * Every kernel is called once per core through fbc_parallel with the same arguments, computes its share
 * (fbc_core_id() of fbc_core_count()), holds no barrier, allocates nothing and prints nothing.
 */
#ifndef FBC_KERNELS_H
#define FBC_KERNELS_H

#include <stdint.h>

typedef enum {
    FBC_FORM_OWN,
    FBC_FORM_LESS_ONE,
    FBC_FORM_FOLDED,
    FBC_FORM_SHORT,
    FBC_FORM_SHORT_BYTES,
    FBC_FORM_THRESHOLDS
} fbc_requantization_form;

/* Of one output channel. The clamp changes no output, but keeps the product in int32; unused if wide or not clamped.
 * Folded: the bound. */
typedef struct {
    int32_t multiplier;
    int32_t clamp;
} fbc_scale;

typedef struct {
    const fbc_scale *scale; /* one per output channel of the tile (one in all for pools and concat) */
    const void *addend;     /* int32_t[], or int64_t[] if wide, or int32_t[][2] if folded; as many as scales */
    int32_t low;
    int32_t high;
    uint8_t shift;
    uint8_t wide;
    uint8_t clamped; /* 0: no sum of any channel needs its clamp */
    uint8_t form;    /* fbc_requantization_form */
} fbc_requantization;

/* Convolution of any kind: dense, pointwise, depthwise; linear is 1x1 on one pixel. */
typedef struct {
    const void *input;   /* tile, HWC */
    const void *weights; /* of the tile's output channels, in the kernel's layout */
    void *output;        /* tile, HWC, dense with the tile's own channels */
    void *scratch;       /* Kernel.scratch_bytes() */
    fbc_requantization requantization;
    uint16_t input_height;
    uint16_t input_width;
    uint16_t output_height;
    uint16_t output_width;
    uint16_t input_channels;
    uint16_t output_channels;
    uint16_t kernel_height;
    uint16_t kernel_width;
    uint8_t stride_height;
    uint8_t stride_width;
    uint8_t pad_top;  /* rows of zeros above the tile: 0 for tiles that do not touch the border */
    uint8_t pad_left; /* likewise; below and on the right the tile simply ends */
    uint8_t activation_bits;
    uint8_t activation_signed;
    uint8_t weight_bits;
    uint8_t output_bits; /* 8, 4, 2 or 32 */
    uint8_t input_channel_first;
    uint8_t output_channel_first;
} fbc_conv_args;

/* Residual add: clip((a * multiplier_a + b * multiplier_b + addend) >> shift, low, high), in int32. */
typedef struct {
    const void *input_a;
    const void *input_b;
    void *output;
    int32_t multiplier_a;
    int32_t multiplier_b;
    int32_t addend;
    int32_t low;
    int32_t high;
    uint32_t pixels;
    uint16_t channels;
    uint8_t shift;
    uint8_t bits_a;
    uint8_t signed_a;
    uint8_t bits_b;
    uint8_t signed_b;
    uint8_t output_bits;
} fbc_add_args;

/* Max pooling (input and output of one precision; taps outside the tile are ignored) and global average pooling
 * (output is one pixel; requantization has one multiplier and addend). */
typedef struct {
    const void *input;
    void *output;
    fbc_requantization requantization; /* average only */
    uint16_t input_height;
    uint16_t input_width;
    uint16_t channels;
    uint16_t output_height;
    uint16_t output_width;
    uint16_t kernel_height;
    uint16_t kernel_width;
    uint8_t stride_height;
    uint8_t stride_width;
    uint8_t pad_top;
    uint8_t pad_left;
    uint8_t activation_bits;
    uint8_t activation_signed;
    uint8_t output_bits;
} fbc_pool_args;

/* Requantize a tile and write it into channels [output_offset, output_offset + channels) of a wider output (concat). */
typedef struct {
    const void *input;
    void *output;
    fbc_requantization requantization; /* one multiplier and addend */
    uint32_t pixels;
    uint16_t channels;
    uint16_t output_channels;
    uint16_t output_offset;
    uint8_t activation_bits;
    uint8_t activation_signed;
    uint8_t output_bits;
} fbc_concat_args;

/* Portable C11: the oracle of every other variant, and what plain RISC-V runs. All take a pointer to their struct. */
void fbc_conv_portable(void *args);         /* fbc_conv_args, weights "dense": [Cout][Kh][Kw][ceil(Cin*w/8) bytes] */
void fbc_depthwise_portable(void *args);    /* fbc_conv_args, weights "depthwise": [C][ceil(Kh*Kw*w/8) bytes] */
void fbc_add_portable(void *args);          /* fbc_add_args */
void fbc_max_pool_portable(void *args);     /* fbc_pool_args */
void fbc_average_pool_portable(void *args); /* fbc_pool_args */
void fbc_concat_portable(void *args);       /* fbc_concat_args */

/* Blocks of 4 pixels x 4 channels: blocked with XpulpV2 (8-bit dot products), macload with XpulpNN; portable twins
 * elsewhere. All take fbc_conv_args and write HWC or channel-first; activations and weights may be narrower than the
 * kernel, not wider. Weights "blocked4": groups of four output channels; in a group word k of channels 0..3, then word
 * k + 1 of channels 0..3, ...; macload: word 1 before word 0; see kernels/common/fbc_blocked_plan.h. If weights are
 * narrower, fbc_expand_weights_* must run before on the same arguments, in a fbc_parallel of its own. Requantization:
 * less one, its own if wide, or short where outputs have less than 8 bits. scratch: at least *_scratch_bytes(args).
 * Reads up to 16 bytes behind the operands, and does not use them. */
void fbc_conv_blocked_8(void *args);
void fbc_conv_macload_8(void *args);
void fbc_conv_macload_4(void *args);
void fbc_conv_macload_2(void *args);
void fbc_expand_weights_8(void *args); /* 4 or 2 bit to 8 bit, into scratch */
void fbc_expand_weights_4(void *args); /* 2 bit to 4 bit */
uint32_t fbc_conv_blocked_8_scratch_bytes(const fbc_conv_args *args);
uint32_t fbc_conv_macload_8_scratch_bytes(const fbc_conv_args *args);
uint32_t fbc_conv_macload_4_scratch_bytes(const fbc_conv_args *args);
uint32_t fbc_conv_macload_2_scratch_bytes(const fbc_conv_args *args);

/* Linear layers: one output pixel, no padding, the kernel covers the input. As above, weights "blocked4" with the words
 * in order, any output; less one, or its own if wide. Reads up to 24 bytes behind scales and addends, too. */
void fbc_linear_blocked_8(void *args);
void fbc_linear_macload_8(void *args);
void fbc_linear_macload_4(void *args);
void fbc_linear_macload_2(void *args);
uint32_t fbc_linear_blocked_8_scratch_bytes(const fbc_conv_args *args);
uint32_t fbc_linear_macload_8_scratch_bytes(const fbc_conv_args *args);
uint32_t fbc_linear_macload_4_scratch_bytes(const fbc_conv_args *args);
uint32_t fbc_linear_macload_2_scratch_bytes(const fbc_conv_args *args);

/* Depthwise 3x3, channels a multiple of 4, padding below 3, stride 1 or 2 in both directions, not wide; weights
 * "filter_rows" of any width, outputs of the width that the name says, folded or less one. Input HWC of any width, or
 * channel-first with 8 bits. Fast with XpulpV2, portable twins elsewhere. Input and weights are aligned to 4 bytes; of
 * a channel-first input up to 3 bytes behind are read and not used. scratch: at least *_scratch_bytes(args), the
 * bordered input planes of a band of four channels per core.
 *
 * "filter_rows": a row of a filter is a word, three taps and a zero. Groups of four channels, [4][3] such rows; of
 * narrower weights a stored word holds two (4 bits) or four (2 bits) rows that follow each other, the first one in the
 * lowest bits of each byte. */
void fbc_depthwise_3x3_to_8(void *args); /* fbc_conv_args */
void fbc_depthwise_3x3_to_4(void *args);
void fbc_depthwise_3x3_to_2(void *args);
uint32_t fbc_depthwise_3x3_to_8_scratch_bytes(const fbc_conv_args *args);
uint32_t fbc_depthwise_3x3_to_4_scratch_bytes(const fbc_conv_args *args);
uint32_t fbc_depthwise_3x3_to_2_scratch_bytes(const fbc_conv_args *args);

/* Depthwise 3x3 as above, of activations, weights and outputs of 4, or 2, bits, HWC, at most one row of padding above
 * and below: less one, clipped to all unsigned outputs, without a clamp. Weights "stacked_rows": a filter is a word (4
 * bits: two), whose bytes are its columns, of each all rows (the first two, then the last one) and a zero, and a column
 * of zeros. Fast with XpulpNN. scratch as above. */
void fbc_depthwise_stacked_4(void *args); /* fbc_conv_args */
void fbc_depthwise_stacked_2(void *args);
uint32_t fbc_depthwise_stacked_4_scratch_bytes(const fbc_conv_args *args);
uint32_t fbc_depthwise_stacked_2_scratch_bytes(const fbc_conv_args *args);

/* Depthwise 3x3 as above, of channel-first activations that are read in place, without scratch: rows are whole bytes
 * and those of the layer, at most one column of padding on each side and at least one of them (stride 2: or the other),
 * at most one row above and below (common/fbc_in_place.h). Up to 4 bytes in front of the input and 4 behind it are read
 * and not used.
 *
 * Less one (2 bits: thresholds), clipped to all unsigned outputs. fbc_depthwise_channels_8: activations and outputs of
 * 8 bits. The others: activations, weights and outputs of 4, or 2, bits, shift 16 and no clamp; weights "plane_rows":
 * rows of three taps and a zero one after the other. */
void fbc_depthwise_channels_8(void *args); /* fbc_conv_args */
void fbc_depthwise_pairs_4(void *args);
void fbc_depthwise_pairs_2(void *args);

/* Depthwise 3x3 as fbc_depthwise_channels_8, and with stride 1 as fbc_depthwise_pairs_4 (two rows at least), but of HWC
 * activations. scratch: at least *_scratch_bytes(args), the planes of a band of four channels per core. */
void fbc_depthwise_pixels_8(void *args); /* fbc_conv_args */
void fbc_depthwise_pixels_4(void *args);
uint32_t fbc_depthwise_pixels_8_scratch_bytes(const fbc_conv_args *args);
uint32_t fbc_depthwise_pixels_4_scratch_bytes(const fbc_conv_args *args);

/* Depthwise 5x5: as fbc_depthwise_3x3_to_*, but weights "depthwise", padding below 5, outputs of 8, 4 or 2 bits,
 * less one. */
void fbc_depthwise_5x5(void *args); /* fbc_conv_args */
uint32_t fbc_depthwise_5x5_scratch_bytes(const fbc_conv_args *args);

/* Layers without weights, any channels: fast with XpulpV2, portable twins elsewhere. Add and concat write at most 8
 * bits, clipped to [0, high] or [-high - 1, high]; concat is not wide and has no clamp. Add reads up to 4 bytes behind
 * its inputs, and does not use them. */
void fbc_add_fours(void *args);          /* fbc_add_args */
void fbc_max_pool_words(void *args);     /* fbc_pool_args */
void fbc_average_pool_words(void *args); /* fbc_pool_args */
void fbc_concat_fours(void *args);       /* fbc_concat_args */

#endif
