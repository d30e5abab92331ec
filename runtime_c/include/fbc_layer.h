/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* What generated layer functions share: their arguments, tile geometry, tile transfers, timing and guard zones. */
#ifndef FBC_LAYER_H
#define FBC_LAYER_H

#include "fbc_platform.h"

/* Arguments of a layer function, and what it reports. */
typedef struct {
    uint8_t *const *inputs;   /* tensors in L2 */
    uint8_t *output;          /* tensor in L2 */
    uint8_t *weights;         /* in L2: weights | multipliers | addends */
    uint8_t *l1;              /* the layer's part of the L1 arena, 16-byte aligned */
    uint32_t compute_cycles;  /* out: inside kernels */
    uint32_t dma_wait_cycles; /* out: waiting for transfers between L2 and L1 */
    uint32_t guard_broken;    /* out: 1 if a guard zone was overwritten (builds with FBC_GUARD only) */
    uint32_t broken_rule;     /* out: fbc_rule that a kernel's arguments broke (builds with FBC_CHECK only) */
} fbc_layer_args;

/* Consecutive rows, columns or channels. pad: zeros before the first one. */
typedef struct {
    uint32_t first;
    uint32_t count;
    uint32_t pad;
} fbc_span;

/* A tensor in L2: rows of `width` pixels of `pixel_bytes` bytes. */
typedef struct {
    uint8_t *data;
    uint32_t width;
    uint32_t pixel_bytes;
} fbc_tensor;

static inline uint32_t fbc_min(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

/* The index-th tile of `size` out of `total`; the last one is what is left. */
static inline fbc_span fbc_tile_span(uint32_t index, uint32_t size, uint32_t total) {
    const fbc_span span = {index * size, fbc_min(size, total - index * size), 0u};
    return span;
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

/* Moves a tile of rows x columns x bytes [byte, byte + bytes) of every pixel; the tile is dense in L1. */
static inline void fbc_move_tile(void (*dma)(const fbc_dma_copy *), const fbc_tensor *tensor, uint8_t *l1,
                                 fbc_span rows, fbc_span columns, uint32_t byte, uint32_t bytes) {
    const uint32_t row_bytes = tensor->width * tensor->pixel_bytes;
    fbc_dma_copy copy = {
        .l1 = l1,
        .l2 = tensor->data + rows.first * row_bytes + columns.first * tensor->pixel_bytes + byte,
        .line_bytes = bytes,
        .lines = rows.count * columns.count,
        .l2_stride = tensor->pixel_bytes,
    };
    if (copy.lines == 0u) {
        return; /* all outside of the tensor */
    }
    if (bytes == tensor->pixel_bytes) {
        /* Whole pixels: a row is one line, whole rows are one line together. */
        copy.line_bytes = columns.count * bytes;
        copy.lines = rows.count;
        copy.l2_stride = row_bytes;
        if (copy.line_bytes == row_bytes) {
            copy.line_bytes *= rows.count;
            copy.lines = 1u;
        }
    } else if (columns.count != tensor->width) {
        /* Slices of pixels of parts of rows: one transfer a row. */
        copy.lines = columns.count;
        for (uint32_t row = 1u; row < rows.count; row++) {
            dma(&copy);
            copy.l1 = (uint8_t *)copy.l1 + columns.count * bytes;
            copy.l2 = (uint8_t *)copy.l2 + row_bytes;
        }
    }
    dma(&copy);
}

/* Moves `bytes` consecutive bytes. */
static inline void fbc_move_bytes(void (*dma)(const fbc_dma_copy *), uint8_t *l1, uint8_t *l2, uint32_t bytes) {
    const fbc_dma_copy copy = {.l1 = l1, .l2 = l2, .line_bytes = bytes, .lines = 1u, .l2_stride = bytes};
    dma(&copy);
}

/* Runs a kernel on all cores. */
static inline void fbc_run_kernel(fbc_layer_args *layer, void (*kernel)(void *), void *args) {
    const uint32_t start = fbc_cycles();
    fbc_parallel(kernel, args);
    layer->compute_cycles += fbc_cycles() - start;
}

/* Waits for all transfers. */
static inline void fbc_wait_tiles(fbc_layer_args *layer) {
    const uint32_t start = fbc_cycles();
    fbc_dma_wait();
    layer->dma_wait_cycles += fbc_cycles() - start;
}

#ifndef FBC_GUARD
#define FBC_GUARD 0 /* 1: fill the zones between L1 buffers and check them after each layer */
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
