/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Widens blocked weights into scratch, once per tile: the inner loops only multiply equal widths. */
#ifndef FBC_EXPAND_WEIGHTS_H
#define FBC_EXPAND_WEIGHTS_H

#include "common/fbc_blocked_plan.h"
#include "common/fbc_share.h"
#include "common/fbc_widen.h"

FBC_INLINE void fbc_expand_weights(const fbc_conv_args *args, uint32_t bits, uint32_t weight_bits) {
    const fbc_blocked_plan plan = fbc_make_blocked_plan(args, bits, 1u);
    const uint32_t ratio = bits / weight_bits;
    const fbc_range blocks = fbc_core_range(plan.weight_bytes / (16u * ratio));
    const uint32_t *source = (const uint32_t *)args->weights + 4u * blocks.begin;
    uint32_t *target = (uint32_t *)args->scratch + 4u * ratio * blocks.begin;
    fbc_widen_blocks(target, source, blocks.end - blocks.begin, weight_bits, bits);
}

#endif
