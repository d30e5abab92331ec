/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* How a depthwise convolution is cut into units, a band of output rows of four channels, and how the planes of a unit
 * are set up. */
#ifndef FBC_DEPTHWISE_BANDS_H
#define FBC_DEPTHWISE_BANDS_H

#include "common/fbc_share.h"
#include "micro/fbc_depthwise_planes.h"

enum { FBC_DEPTHWISE_CHANNELS = 4, FBC_DEPTHWISE_PLANES_BYTES = 3072, FBC_DEPTHWISE_TOGETHER_BYTES = 2048 };

typedef struct {
    uint32_t groups;     /* of four channels */
    uint32_t bands;      /* of output rows */
    uint32_t band_rows;  /* output rows of a band; the last may have fewer */
    uint32_t quads;      /* words of a row of a plane, its border included */
    uint32_t at_once;    /* groups whose planes lie in a core's scratch, at most */
    uint32_t pair_bytes; /* of two planes */
    uint32_t core_bytes; /* of scratch */
} fbc_depthwise_plan;

/* A square kernel, how many groups it computes at once, at most, and what a band costs it in any unit: per output
 * pixel, column of outputs, band. */
typedef struct {
    uint32_t kernel;
    uint32_t at_once;
    uint32_t pixel;
    uint32_t column;
    uint32_t unit;
} fbc_band_costs;

/* More bands than the planes need, up to seven, if that lets the cores end together. Returns the rows of a band. */
static __attribute__((noinline)) uint32_t fbc_balance_bands(const fbc_band_costs *costs, uint32_t groups,
                                                            uint32_t fewest, uint32_t width, uint32_t height) {
    const uint32_t cores = fbc_core_count();
    uint32_t least = UINT32_MAX, best = 0;
    for (uint32_t bands = fewest; bands < fewest + 8u && bands <= height; bands++) {
        const uint32_t rows = (height + bands - 1u) / bands;
        const uint32_t units = (groups * bands + cores - 1u) / cores; /* of a core */
        const uint32_t cost = units * ((costs->pixel * rows + costs->column) * width + costs->unit);
        if (cost < least) {
            least = cost;
            best = rows;
        }
        if (units * cores == groups * bands) {
            break;
        }
    }
    return best;
}

/* The compiler's side is Bands in fbcompile/lowering/kernels/depthwise.py; a test compares the two. */
FBC_INLINE fbc_depthwise_plan fbc_make_depthwise_plan(const fbc_conv_args *args, const fbc_band_costs *costs) {
    const uint32_t width = args->output_width, height = args->output_height, stride = args->stride_height;
    const uint32_t kernel = costs->kernel;
    fbc_depthwise_plan plan = {.groups = args->output_channels / FBC_DEPTHWISE_CHANNELS,
                               .quads = (args->input_width + 7u) >> 2};
    const uint32_t all_rows = (height - 1u) * stride + kernel;
    plan.bands = 1;
    plan.band_rows = height;
    if (__builtin_expect(16u * plan.quads * all_rows > FBC_DEPTHWISE_PLANES_BYTES || !fbc_cores_divide(plan.groups),
                         0)) {
        const uint32_t input_rows = FBC_DEPTHWISE_PLANES_BYTES / (16u * plan.quads);
        const uint32_t most_rows = input_rows < kernel ? 1u : (input_rows - kernel) / stride + 1u;
        plan.band_rows = fbc_balance_bands(costs, plan.groups, (height + most_rows - 1u) / most_rows, width, height);
        plan.bands = (height + plan.band_rows - 1u) / plan.band_rows;
    }
    plan.pair_bytes = 8u * plan.quads * ((plan.band_rows - 1u) * stride + kernel);
    const uint32_t most = fbc_core_most(plan.groups * plan.bands), together = 2u * plan.pair_bytes;
    for (plan.at_once = 1; plan.at_once < most && plan.at_once < costs->at_once &&
                           (plan.at_once + 1u) * together <= FBC_DEPTHWISE_TOGETHER_BYTES;) {
        plan.at_once++;
    }
    plan.core_bytes =
        2u * plan.pair_bytes * plan.at_once + 4u; /* the last border, and the cores begin in different banks */
    return plan;
}

/* The calling core's units, band after band. */
typedef struct {
    uint32_t band;
    uint32_t group; /* of the band */
    uint32_t left;  /* groups of all its bands */
} fbc_group_walk;

FBC_INLINE fbc_group_walk fbc_begin_walk(const fbc_depthwise_plan *plan) {
    const fbc_range units = fbc_core_range(plan->groups * plan->bands);
    fbc_group_walk walk = {0, units.begin, units.end - units.begin};
    for (; walk.group >= plan->groups && walk.left > 0u; walk.band++) {
        walk.group -= plan->groups;
    }
    return walk;
}

/* Groups of the band that are computed next, at once; 0 behind its last one. */
FBC_INLINE uint32_t fbc_next_groups(const fbc_depthwise_plan *plan, const fbc_group_walk *walk) {
    const uint32_t rest = plan->groups - walk->group, groups = walk->left < plan->at_once ? walk->left : plan->at_once;
    return rest < groups ? rest : groups;
}

FBC_INLINE void fbc_walk_past(fbc_group_walk *walk, uint32_t groups) {
    walk->left -= groups;
    walk->group += groups;
}

FBC_INLINE uint32_t fbc_depthwise_scratch_bytes(const fbc_conv_args *args, const fbc_band_costs *costs) {
    return fbc_core_count() * fbc_make_depthwise_plan(args, costs).core_bytes;
}

typedef void (*fbc_fill_function)(const fbc_planes *planes);

FBC_INLINE fbc_fill_function fbc_choose_fill(const fbc_conv_args *args) {
    if (__builtin_expect(args->input_channel_first, 0) && (args->input_width & 31u) == 0u) {
        return fbc_fill_planes_in_turn; /* the rows of all channels begin at one bank, or two */
    }
    if (__builtin_expect(args->input_channel_first, 0)) {
        return fbc_fill_planes_first;
    }
    if (args->activation_bits == 8u) {
        return fbc_fill_planes_8;
    }
    if (args->activation_bits == 4u) {
        return args->activation_signed ? fbc_fill_planes_4_1 : fbc_fill_planes_4_0;
    }
    return args->activation_signed ? fbc_fill_planes_2_1 : fbc_fill_planes_2_0;
}

/* A division takes more than thirty cycles; exact below 2^16. */
FBC_INLINE uint32_t fbc_third(uint32_t value) {
    return value * 43691u >> 17;
}

/* What of the planes does not depend on channels and bands. */
FBC_INLINE void fbc_prepare_planes(const fbc_conv_args *args, const fbc_depthwise_plan *plan, fbc_planes *planes) {
    const uint32_t channel_first = args->input_channel_first;
    planes->plane_bytes = 4u * plan->quads;
    planes->column_bytes = channel_first ? 1u : fbc_lane_bytes(args->input_channels, args->activation_bits);
    planes->row_bytes = args->input_width * planes->column_bytes;
    planes->spread = channel_first ? args->input_height * planes->row_bytes : planes->column_bytes;
    fbc_cut_rows(planes, args->input_width, channel_first);
    planes->groups = 1;
    planes->group_bytes = channel_first ? 4u * planes->spread : args->activation_bits >> 1;
    planes->group_planes = 2u * plan->pair_bytes;
    planes->turn = fbc_core_id() & 7u; /* used for widths of 32 and more: they have eight quads */
}

/* The `all` rows that the band at output row `row` reads. Borders stay zero from group to group of a band. Returns the
 * first row of the tile that the planes hold. */
FBC_INLINE uint32_t fbc_begin_planes(const fbc_conv_args *args, const fbc_depthwise_plan *plan, uint32_t row,
                                     uint32_t all, uint8_t *scratch, fbc_planes *planes) {
    const uint32_t row_bytes = 8u * plan->quads; /* of a pair */
    const int32_t top = (int32_t)(row * args->stride_height) - args->pad_top;
    const uint32_t above = top < 0 ? (uint32_t)-top : 0u; /* of `all` rows, beside the tile */
    const uint32_t first = (uint32_t)top + above, left = args->input_height - first;
    const uint32_t inside = left < all - above ? left : all - above;
    planes->rows = inside;
    planes->to[0] = scratch + above * row_bytes + 4;
    planes->to[1] = planes->to[0] + plan->pair_bytes;
    for (uint32_t i = 0; i < 2u * plan->at_once; i++) {
        uint8_t *outer = scratch + i * plan->pair_bytes, *inner = outer + above * row_bytes;
        fbc_clear_words(outer, above * row_bytes >> 2, 4u);
        fbc_clear_words(inner + inside * row_bytes, (all - above - inside) * row_bytes >> 2, 4u);
    }
    return first;
}

#endif
