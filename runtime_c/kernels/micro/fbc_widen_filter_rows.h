/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Narrow weights of a 3x3 depthwise convolution as words of bytes. */
#ifndef FBC_WIDEN_FILTER_ROWS_H
#define FBC_WIDEN_FILTER_ROWS_H

#include "micro/fbc_depthwise_bands.h"

enum { FBC_FILTER_ROWS = 3 * FBC_DEPTHWISE_CHANNELS };

/* The upper bits of each byte, 4 or 2, as a signed byte. */
FBC_INLINE uint32_t fbc_signed_lanes(uint32_t word, uint32_t bits) {
#ifdef FBC_XPULPV2
    uint32_t lanes;
    if (bits == 4u) {
        __asm__(FBC_PLANES_RIGHT_SIGNED("%0", "%1", "2") : "=r"(lanes) : "r"(word));
    } else {
        __asm__(FBC_PLANES_RIGHT_SIGNED("%0", "%1", "3") : "=r"(lanes) : "r"(word));
    }
    return lanes;
#else
    const uint32_t lanes = bits == 4u ? word >> 4 & 0x0F0F0F0Fu : word >> 6 & 0x03030303u;
    return bits == 4u ? lanes | (lanes & 0x08080808u) * 30u : lanes | (lanes & 0x02020202u) * 126u;
#endif
}

/* The rows of the filters of `groups` of four channels, a word each: three taps and a zero. */
static __attribute__((noinline)) void fbc_widen_filters(const uint32_t *stored, uint32_t bits, uint32_t groups,
                                                        uint32_t *rows) {
    const uint32_t *const end = rows + groups * FBC_FILTER_ROWS;
    if (bits == 4u) {
        for (; rows < end; rows += 2, stored++) {
            rows[0] = fbc_signed_lanes(*stored << 4, 4u);
            rows[1] = fbc_signed_lanes(*stored, 4u);
        }
        return;
    }
    for (; rows < end; rows += 4, stored++) {
        rows[0] = fbc_signed_lanes(*stored << 6, 2u);
        rows[1] = fbc_signed_lanes(*stored << 4, 2u);
        rows[2] = fbc_signed_lanes(*stored << 2, 2u);
        rows[3] = fbc_signed_lanes(*stored, 2u);
    }
}

#endif
