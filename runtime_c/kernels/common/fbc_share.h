/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* How a kernel splits its output over the cores. */
#ifndef FBC_SHARE_H
#define FBC_SHARE_H

#include "fbc_lanes.h"
#include "fbc_platform.h"

typedef struct {
    uint32_t begin;
    uint32_t end;
} fbc_range;

/* The calling core's contiguous part of `total` items; parts differ by one item at most. */
FBC_INLINE fbc_range fbc_core_range(uint32_t total) {
    const uint32_t core = fbc_core_id();
    const uint32_t cores = fbc_core_count();
    const uint32_t begin = total * core, end = begin + total;
    if (__builtin_expect(cores == 8u, 1)) { /* a division takes more than thirty cycles */
        const fbc_range eighths = {begin >> 3, end >> 3};
        return eighths;
    }
    const fbc_range range = {begin / cores, end / cores};
    return range;
}

/* Whether `total` items can be split evenly. */
FBC_INLINE uint32_t fbc_cores_divide(uint32_t total) {
    const uint32_t cores = fbc_core_count();
    return __builtin_expect(cores == 8u, 1) ? (total & 7u) == 0u : total % cores == 0u;
}

/* How many of `total` items the core has that has most of them. */
FBC_INLINE uint32_t fbc_core_most(uint32_t total) {
    const uint32_t cores = fbc_core_count();
    return __builtin_expect(cores == 8u, 1) ? (total + 7u) >> 3 : (total + cores - 1u) / cores;
}

typedef struct {
    fbc_range pixels;
    fbc_range channels;
} fbc_share;

/* Pixels are split if there are enough of them, else channels, in fours, so that no two cores write one byte. */
FBC_INLINE fbc_share fbc_core_share(uint32_t pixels, uint32_t channels) {
    fbc_share share = {{0u, pixels}, {0u, channels}};
    if (pixels >= fbc_core_count()) {
        share.pixels = fbc_core_range(pixels);
    } else {
        const fbc_range fours = fbc_core_range((channels + 3u) >> 2);
        share.channels.begin = fours.begin << 2;
        share.channels.end = fours.end << 2 < channels ? fours.end << 2 : channels;
    }
    return share;
}

#endif
