/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* What generated layer functions share: their arguments, tile geometry, tile transfers, timing and guard zones. */
#ifndef FBC_LAYER_H
#define FBC_LAYER_H

#include "fbc_platform.h"

/* A slice of weights, and what external memory may do from the moment on in which its use begins: the memory of the
 * slice before is free then. Layers without weights have one of these too, without a slice. */
typedef struct {
    uint32_t weights; /* offset of the slice in the L2 arena */
    uint32_t allowed; /* transfers that may happen now, see fbc_l3_allow */
    uint32_t needed;  /* transfers that must have happened */
} fbc_slice;

/* What a layer leaves to the next one. */
typedef struct {
    uint32_t loaded;  /* 1: its first weights are in L1 */
    uint32_t storing; /* group of the copies to L2 of what it reads in L1, which may not have ended; 0: none */
} fbc_handover;

/* Arguments of a layer function, and what it reports. */
typedef struct {
    uint8_t *const *inputs;   /* tensors in L2 */
    uint8_t *output;          /* tensor in L2 */
    uint8_t *weights;         /* present slice in L2: blocks of channel tiles, each weights | scales | addends */
    const fbc_slice *slices;  /* the following ones */
    uint8_t *l1;              /* the layer's part of the L1 arena, 16-byte aligned */
    fbc_handover before;      /* from the layer before */
    fbc_handover after;       /* out: to the next one */
    uint32_t loading;         /* group of the copies of the next layer's first weights; 0: none */
    uint32_t compute_cycles;  /* out: inside kernels */
    uint32_t dma_wait_cycles; /* out: waiting for transfers between L2 and L1 */
    uint32_t l3_wait_cycles;  /* out: waiting for weights from L3 */
    uint8_t *middle;          /* in L2: the tensor within a fused layer (builds with FBC_TRACE only) */
    uint32_t guard_broken;    /* out: 1 if a guard zone was overwritten (builds with FBC_GUARD only) */
    uint32_t broken_rule;     /* out: fbc_rule that a kernel's arguments broke (builds with FBC_CHECK only) */
} fbc_layer_args;

/* Consecutive rows, columns or channels. pad: zeros before the first one. */
typedef struct {
    uint32_t first;
    uint32_t count;
    uint32_t pad;
} fbc_span;

static inline uint32_t fbc_min(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

/* Goes on to the next tile of `size` out of `total`, the last one with what is left. After the last it starts again and
 * returns 0. */
static inline int fbc_next_span(fbc_span *span, uint32_t size, uint32_t total) {
    const uint32_t first = span->first + size;
    const int more = first < total;
    span->first = more ? first : 0u;
    span->count = fbc_min(size, total - span->first);
    return more;
}

/* The inputs that outputs `output` read, clipped to the tensor of `size` rows (or columns). */
static inline fbc_span fbc_input_span(fbc_span output, uint32_t kernel, uint32_t stride, uint32_t pad, uint32_t size) {
    const uint32_t start = output.first * stride; /* `pad` more than the index of the first input */
    const uint32_t end = start + (output.count - 1u) * stride + kernel;
    const uint32_t first = fbc_min(start > pad ? start - pad : 0u, size);
    const uint32_t last = fbc_min(end > pad ? end - pad : 0u, size);
    const fbc_span span = {first, last > first ? last - first : 0u, pad > start ? pad - start : 0u};
    return span;
}

/* `bytes` consecutive bytes. */
static inline fbc_dma_copy fbc_bytes(uint8_t *l1, uint8_t *l2, uint32_t bytes) {
    const fbc_dma_copy copy = {.l1 = l1, .l2 = l2, .line_bytes = bytes, .lines = 1u, .l2_stride = bytes};
    return copy;
}

/* `lines` lines of `line_bytes`, `l2_stride` apart in L2. */
static inline fbc_dma_copy fbc_lines(uint8_t *l1, uint8_t *l2, uint32_t line_bytes, uint32_t lines,
                                     uint32_t l2_stride) {
    const fbc_dma_copy copy = {.l1 = l1, .l2 = l2, .line_bytes = line_bytes, .lines = lines, .l2_stride = l2_stride};
    return copy;
}

/* The copy of one row of slices of pixels, for each of `rows` rows that are `row_bytes` apart in L2. */
static inline void fbc_copy_rows(void (*dma)(const fbc_dma_copy *), fbc_dma_copy copy, uint32_t rows,
                                 uint32_t row_bytes) {
    for (; rows != 0u; rows--) {
        dma(&copy);
        copy.l1 = (uint8_t *)copy.l1 + copy.lines * copy.line_bytes;
        copy.l2 = (uint8_t *)copy.l2 + row_bytes;
    }
}

/* Begins with the next slice of weights: waits until it is in L2, and lets external memory fill what was freed. */
static inline void fbc_next_slice(fbc_layer_args *layer) {
    const fbc_slice *now = layer->slices++;
    fbc_l3_allow(now->allowed);
    layer->l3_wait_cycles += fbc_l3_wait(now->needed);
    layer->weights = fbc_l2_arena + now->weights;
}

/* Runs a kernel on all cores. */
static inline void fbc_run_kernel(fbc_layer_args *layer, void (*kernel)(void *), void *args) {
    layer->compute_cycles += fbc_parallel(kernel, args);
}

/* Waits for a group of copies. */
static inline void fbc_wait_copies(fbc_layer_args *layer, uint32_t group) {
    layer->dma_wait_cycles += fbc_dma_wait_group(group);
}

#ifndef FBC_GUARD
#define FBC_GUARD 0 /* 1: fill the zones between L1 buffers and check them after each layer */
#endif

#ifndef FBC_TRACE
#define FBC_TRACE 0 /* 1: fused layers also write the tensor in their middle to L2 */
#endif

#ifndef FBC_CHECK
#define FBC_CHECK FBC_GUARD /* 1: check the arguments of every kernel before it runs (common/fbc_check.h) */
#endif

/* True if a kernel must not run; notes the first rule that was broken. */
static inline int fbc_is_refused(fbc_layer_args *layer, uint32_t rule) {
    if (layer->broken_rule == 0u) {
        layer->broken_rule = rule;
    }
    return rule != 0u;
}

enum { FBC_GUARD_BYTES = 16, FBC_GUARD_VALUE = 0xA5 };

/* The guard zone behind each of `copies` copies of an L1 buffer of `bytes` bytes at `offset`. */
static inline void fbc_guard_fill(const fbc_layer_args *layer, uint32_t offset, uint32_t bytes, uint32_t copies) {
    for (uint32_t i = 0; FBC_GUARD && i < copies * FBC_GUARD_BYTES; i++) {
        const uint32_t end = offset + (i / FBC_GUARD_BYTES) * (bytes + FBC_GUARD_BYTES) + bytes;
        layer->l1[end + i % FBC_GUARD_BYTES] = FBC_GUARD_VALUE;
    }
}

static inline void fbc_guard_check(fbc_layer_args *layer, uint32_t offset, uint32_t bytes, uint32_t copies) {
    for (uint32_t i = 0; FBC_GUARD && i < copies * FBC_GUARD_BYTES; i++) {
        const uint32_t end = offset + (i / FBC_GUARD_BYTES) * (bytes + FBC_GUARD_BYTES) + bytes;
        if (layer->l1[end + i % FBC_GUARD_BYTES] != FBC_GUARD_VALUE) {
            layer->guard_broken = 1u;
        }
    }
}

#endif
