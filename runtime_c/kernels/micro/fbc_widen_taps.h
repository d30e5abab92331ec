/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Widens narrower activations on their way into a column (see fbc_blocked_plan.h). */
#ifndef FBC_WIDEN_TAPS_H
#define FBC_WIDEN_TAPS_H

#include "common/fbc_blocked_plan.h"
#include "common/fbc_widen.h"

/* Taps that follow each other in the input and in the column. */
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

#endif
