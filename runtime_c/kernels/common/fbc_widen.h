/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Widening of packed lanes, a word at a time, without SIMD instructions. */
#ifndef FBC_WIDEN_H
#define FBC_WIDEN_H

#include "common/fbc_lanes.h"

/* `value` in every lane of `bits` of a word. */
FBC_INLINE uint32_t fbc_in_every_lane(uint32_t value, uint32_t bits) {
    return bits == 8u ? value * 0x01010101u : bits == 4u ? value * 0x11111111u : value * 0x55555555u;
}

/* Takes bits [part * from, (part + 1) * from) of every `to`-bit lane of `word` and widens them to the whole lane. */
FBC_INLINE uint32_t fbc_widen_lanes(uint32_t word, uint32_t part, uint32_t from, uint32_t to, uint32_t is_signed) {
    const uint32_t narrow = (word >> (part * from)) & fbc_in_every_lane((1u << from) - 1u, to);
    if (!is_signed) {
        return narrow;
    }
    /* sign * (2^to - 2^from) / 2^(from - 1) fills the bits above a set sign; no lane reaches into the next. */
    const uint32_t sign = narrow & fbc_in_every_lane(1u << (from - 1u), to);
    return narrow | ((sign << (to - from + 1u)) - (sign << 1));
}

#endif
