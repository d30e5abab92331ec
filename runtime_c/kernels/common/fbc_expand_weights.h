/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Widens blocked weights into scratch, once per tile: the inner loops only multiply equal widths. */
#ifndef FBC_EXPAND_WEIGHTS_H
#define FBC_EXPAND_WEIGHTS_H

#include "common/fbc_blocked_plan.h"
#include "common/fbc_share.h"
#include "common/fbc_widen.h"

FBC_INLINE void fbc_expand_weights(const fbc_conv_args *args, uint32_t bits, uint32_t weight_bits) {
    const fbc_blocked_plan plan = fbc_make_blocked_plan(args, bits);
    const uint32_t ratio = bits / weight_bits;
    const fbc_range blocks = fbc_core_range(plan.weight_bytes / (16u * ratio));
    const uint32_t *source = (const uint32_t *)args->weights + 4u * blocks.begin;
    uint32_t *target = (uint32_t *)args->scratch + 4u * ratio * blocks.begin;
    for (uint32_t block = blocks.begin; block < blocks.end; block++) {
        for (uint32_t channel = 0; channel < 4u; channel++) {
            for (uint32_t part = 0; part < ratio; part++) {
                target[4u * part + channel] = fbc_widen_lanes(source[channel], part, weight_bits, bits, 1u);
            }
        }
        source += 4;
        target += 4u * ratio;
    }
}

#endif
