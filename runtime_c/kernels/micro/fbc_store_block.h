/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Requantizes the sums of four channels of a pixel and writes them. */
#ifndef FBC_STORE_BLOCK_H
#define FBC_STORE_BLOCK_H

#include "common/fbc_requantize.h"
#include "micro/fbc_xpulp.h"

/* What the blocked convolution has inner code for; constant in each copy of it. */
typedef enum {
    FBC_SHORT_BYTES,      /* outputs of less than 8 bits, in the form of that name */
    FBC_SHORT_UNSIGNED,   /* outputs of less than 8 bits, short, low is 0 */
    FBC_SHORT_SIGNED,     /* outputs of less than 8 bits, short, low is -high - 1 */
    FBC_UNSIGNED,         /* no clamp, low is 0 */
    FBC_SIGNED,           /* no clamp, low is -high - 1 */
    FBC_CLAMPED_UNSIGNED, /* low is 0 */
    FBC_CLAMPED_SIGNED,   /* low is -high - 1 */
    FBC_RARE,             /* all others: the sums only */
} fbc_requantization_kind;

enum { FBC_SHORT_SHIFT = 15 };

FBC_INLINE fbc_requantization_kind fbc_kind_of(const fbc_requantization *parameters, uint32_t output_bits) {
    const int32_t low = parameters->low;
    const uint32_t is_signed = low != 0; /* the signed kind follows the unsigned one */
    if (!FBC_USUALLY(parameters->form < FBC_FORM_SHORT)) {
        const uint32_t bytes = parameters->form == FBC_FORM_SHORT_BYTES;
        return bytes ? FBC_SHORT_BYTES : (fbc_requantization_kind)(FBC_SHORT_UNSIGNED + is_signed);
    }
    if (!FBC_USUALLY(!parameters->wide && output_bits != 32u && (!is_signed || low == -parameters->high - 1))) {
        return FBC_RARE;
    }
    return (fbc_requantization_kind)((parameters->clamped ? FBC_CLAMPED_UNSIGNED : FBC_UNSIGNED) + is_signed);
}

/* A layer's parameters in variables of their own, so that stores to memory do not force the compiler to read them
 * again. */
typedef struct {
    const fbc_scale *scales; /* of the next group */
    const int32_t *addends;
    int32_t low;
    int32_t high;
    uint32_t shift;
    int32_t less; /* 0 if multipliers are stored less one, else 1 */
} fbc_block_parameters;

FBC_INLINE fbc_block_parameters fbc_get_block_parameters(const fbc_requantization *parameters, uint32_t channel) {
    const fbc_block_parameters block = {
        parameters->scale + channel, (const int32_t *)parameters->addend + channel, parameters->low, parameters->high,
        parameters->shift,           parameters->form != FBC_FORM_LESS_ONE};
    return block;
}

FBC_INLINE int32_t fbc_requantize_sum(const fbc_block_parameters *block, uint32_t clamped, int32_t sum, fbc_scale scale,
                                      int32_t addend) {
    const int32_t multiplier = scale.multiplier - block->less;
#ifdef FBC_XPULPV2
    if (clamped) {
        __asm__(".insn r 0x33, 5, 0x0A, %0, %0, %1" : "+r"(sum) : "r"(scale.clamp));
    }
    __asm__(".insn r 0x33, 0, 0x21, %0, %0, %1\n .insn r 0x5B, 2, 0x20, %0, %2, %3\n" /* p.mac, p.addNr */
            ".insn r 0x33, 6, 0x02, %0, %0, %4\n .insn r 0x33, 4, 0x02, %0, %0, %5"   /* p.max, p.min */
            : "+&r"(sum)
            : "r"(multiplier), "r"(addend), "r"(block->shift), "r"(block->low), "r"(block->high));
    return sum;
#else
    const int32_t factor = clamped ? fbc_clamp(sum, -scale.clamp - 1, scale.clamp) : sum;
    const int32_t product = fbc_multiply_less_one(factor, multiplier);
    return fbc_clamp((product + addend) >> block->shift, block->low, block->high);
#endif
}

/* In place: the sums of four channels of one pixel. */
FBC_INLINE void fbc_requantize_pixel(const fbc_block_parameters *block, uint32_t clamped, int32_t *sums) {
    sums[0] = fbc_requantize_sum(block, clamped, sums[0], block->scales[0], block->addends[0]);
    sums[1] = fbc_requantize_sum(block, clamped, sums[1], block->scales[1], block->addends[1]);
    sums[2] = fbc_requantize_sum(block, clamped, sums[2], block->scales[2], block->addends[2]);
    sums[3] = fbc_requantize_sum(block, clamped, sums[3], block->scales[3], block->addends[3]);
}

/* Four values that lie side by side; returns output + step. */
FBC_INLINE uint8_t *fbc_store_four(uint8_t *output, uint32_t output_bits, uint32_t step, const int32_t *values) {
    if (output_bits == 8u) {
        return fbc_store_word(output, step, fbc_pack_bytes(values[0], values[1], values[2], values[3]));
    }
    if (output_bits == 4u) {
        return fbc_store_half(output, step, fbc_pack_lanes(4u, values[0], values[1], values[2], values[3]));
    }
    return fbc_store_byte(output, step, fbc_pack_lanes(2u, values[0], values[1], values[2], values[3]));
}

#endif
