/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Elementwise kernels see a tensor as rows of elements and work on four elements at a time: four lanes of any width are
 * whole bytes, so no two cores write one byte. A tensor without left-over bits between its pixels is one row. */
#ifndef FBC_FOURS_H
#define FBC_FOURS_H

#include "common/fbc_share.h"

typedef struct {
    uint32_t row;
    uint32_t first; /* element of the row, a multiple of four */
    uint32_t fours; /* whole ones */
    uint32_t rest;  /* 1 to 3 elements behind them, or 0 */
} fbc_four_run;

/* What is left for the core. */
typedef struct {
    uint32_t elements; /* of a row */
    uint32_t per_row;  /* fours of a row, the last one may be shorter */
    uint32_t row;
    uint32_t begin; /* four of the row */
    uint32_t count; /* fours of all rows */
} fbc_four_share;

FBC_INLINE fbc_four_share fbc_core_fours(uint32_t rows, uint32_t elements) {
    const uint32_t per_row = (elements + 3u) >> 2;
    const fbc_range fours = fbc_core_range(rows * per_row);
    const uint32_t row = rows == 1u ? 0u : fours.begin / per_row;
    const fbc_four_share share = {elements, per_row, row, fours.begin - row * per_row, fours.end - fours.begin};
    return share;
}

/* The next fours of one row; advances the share, which must not be empty. */
FBC_INLINE fbc_four_run fbc_next_fours(fbc_four_share *share) {
    const uint32_t begin = share->begin, left = share->per_row - begin;
    const uint32_t count = share->count < left ? share->count : left;
    const uint32_t ends_short = count == left && (share->elements & 3u) != 0u;
    const fbc_four_run run = {share->row, begin << 2, count - ends_short, ends_short ? share->elements & 3u : 0u};
    share->row++;
    share->begin = 0u;
    share->count -= count;
    return run;
}

#endif
