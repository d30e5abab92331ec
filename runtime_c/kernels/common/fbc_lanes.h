/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Lanes of packed integers: the only place of the portable kernels that knows how sub-byte elements lie in memory. */
#ifndef FBC_LANES_H
#define FBC_LANES_H

#include <stdint.h>
#include <string.h>

/* Forced, because the kernels rely on constant widths being propagated into these bodies; but not under the sanitizers,
 * where compiling all the copies takes many times longer. */
#ifdef __SANITIZE_ADDRESS__
#define FBC_INLINE static inline
#else
#define FBC_INLINE static inline __attribute__((always_inline))
#endif

/* The branch that is not taken, which costs less, goes to the usual case. */
#define FBC_USUALLY(condition) __builtin_expect((condition), 1)

/* Bytes of `count` lanes, whole bytes. */
FBC_INLINE uint32_t fbc_lane_bytes(uint32_t count, uint32_t bits) {
    return (count * bits + 7u) >> 3;
}

/* Lane `index` of `data`; bits is 8, 4 or 2. */
FBC_INLINE int32_t fbc_read_lane(const uint8_t *data, uint32_t index, uint32_t bits, uint32_t is_signed) {
    if (bits == 8u) {
        return is_signed ? (int32_t)(int8_t)data[index] : (int32_t)data[index];
    }
    const uint32_t position = index * bits;
    const uint32_t lane = ((uint32_t)data[position >> 3] >> (position & 7u)) & ((1u << bits) - 1u);
    const uint32_t sign = is_signed ? 1u << (bits - 1u) : 0u;
    return (int32_t)(lane ^ sign) - (int32_t)sign;
}

/* Writes lane `index`; bits is 8, 4, 2 or 32. The first lane of a byte clears the rest of the byte, so lanes must be
 * written in ascending order; then the left-over bits of a pixel end up 0. */
FBC_INLINE void fbc_write_lane(uint8_t *data, uint32_t index, uint32_t bits, int32_t value) {
    if (bits == 32u) {
        memcpy(data + 4u * (size_t)index, &value, sizeof value);
    } else if (bits == 8u) {
        data[index] = (uint8_t)value;
    } else {
        const uint32_t position = index * bits;
        const uint32_t shift = position & 7u;
        const uint32_t lane = ((uint32_t)value & ((1u << bits) - 1u)) << shift;
        const uint32_t before = shift == 0u ? 0u : (uint32_t)data[position >> 3];
        data[position >> 3] = (uint8_t)(before | lane);
    }
}

#endif
