/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Requantization of one accumulator, exactly as fbc_kernels.h defines it. */
#ifndef FBC_REQUANTIZE_H
#define FBC_REQUANTIZE_H

#include "fbc_kernels.h"
#include "fbc_lanes.h"

FBC_INLINE int32_t fbc_clamp(int32_t value, int32_t low, int32_t high) {
    const int32_t raised = value < low ? low : value;
    return raised > high ? high : raised;
}

/* In the form "less one"; modulo 2^32. */
FBC_INLINE int32_t fbc_multiply_less_one(int32_t sum, int32_t less_one) {
    return (int32_t)((uint32_t)sum + (uint32_t)sum * (uint32_t)less_one);
}

/* In the layer's own form or less one. */
FBC_INLINE int32_t fbc_requantize(const fbc_requantization *parameters, uint32_t channel, int32_t accumulator) {
    const int32_t multiplier = parameters->scale[channel].multiplier + (parameters->form == FBC_FORM_LESS_ONE);
    if (parameters->wide) {
        /* The weights file aligns to four bytes only, so the 64-bit addends are copied, not dereferenced. */
        int64_t addend;
        memcpy(&addend, (const uint8_t *)parameters->addend + 8u * (size_t)channel, sizeof addend);
        const int64_t value = ((int64_t)accumulator * multiplier + addend) >> parameters->shift;
        const int64_t raised = value < parameters->low ? parameters->low : value;
        return (int32_t)(raised > parameters->high ? parameters->high : raised);
    }
    const int32_t clamp = parameters->scale[channel].clamp;
    const int32_t clamped = parameters->clamped ? fbc_clamp(accumulator, -clamp - 1, clamp) : accumulator;
    const int32_t addend = ((const int32_t *)parameters->addend)[channel];
    return fbc_clamp((clamped * multiplier + addend) >> parameters->shift, parameters->low, parameters->high);
}

#endif
