/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Uses everything of fbc_platform.h once and returns the number of the first thing that went wrong, or 0. The test puts
 * l3.bin (L3_BYTES of a known pattern) into the working directory and reads copy.bin afterwards. */
#include "fbc_platform.h"

enum { L3_BYTES = 700001, BLOCK = 40000, LINE = 37, LINES = 50, STRIDE = 101 };

static uint8_t pattern(uint32_t i) {
    return (uint8_t)(i * 31u + (i >> 8) * 7u);
}

static void mark(void *args) {
    ((uint8_t *)args)[fbc_core_id()]++;
}

static int check_cores(void) {
    uint8_t *marks = fbc_l1_arena;
    for (uint32_t i = 0; i < 32u; i++) {
        marks[i] = 0u;
    }
    for (uint32_t run = 0; run < 100u; run++) {
        fbc_parallel(mark, marks);
    }
    for (uint32_t i = 0; i < 32u; i++) {
        if (marks[i] != (i < FBC_CORES ? 100u : 0u)) {
            return 1;
        }
    }
    return fbc_core_count() == FBC_CORES && fbc_core_id() == 0u ? 0 : 2;
}

static int check_dense_copies(void) {
    uint8_t *back = fbc_l2_arena + BLOCK;
    for (uint32_t i = 0; i < BLOCK; i++) {
        fbc_l2_arena[i] = pattern(i);
        back[i] = 0u;
    }
    /* Seventeen copies at once: more than the DMA has counters. */
    for (uint32_t part = 0; part < 17u; part++) {
        const uint32_t begin = part * BLOCK / 17u, end = (part + 1u) * BLOCK / 17u;
        const fbc_dma_copy in = {fbc_l1_arena + begin, fbc_l2_arena + begin, end - begin, 1u, 0u};
        fbc_dma_in(&in);
    }
    fbc_dma_wait();
    const fbc_dma_copy out = {fbc_l1_arena, back, BLOCK / 8u, 8u, BLOCK / 8u};
    fbc_dma_out(&out);
    fbc_dma_wait();
    for (uint32_t i = 0; i < BLOCK; i++) {
        if (back[i] != pattern(i)) {
            return 3;
        }
    }
    return 0;
}

static int check_strided_copies(void) {
    uint8_t *back = fbc_l2_arena + LINES * STRIDE;
    for (uint32_t i = 0; i < LINES * STRIDE; i++) {
        fbc_l2_arena[i] = pattern(i);
        back[i] = 0xEEu;
    }
    const fbc_dma_copy in = {fbc_l1_arena, fbc_l2_arena, LINE, LINES, STRIDE};
    const fbc_dma_copy out = {fbc_l1_arena, back, LINE, LINES, STRIDE};
    const fbc_dma_copy nothing = {fbc_l1_arena, fbc_l2_arena, 0u, LINES, STRIDE};
    fbc_dma_in(&nothing);
    fbc_dma_in(&in);
    fbc_dma_wait();
    fbc_dma_out(&out);
    fbc_dma_wait();
    fbc_dma_wait();
    for (uint32_t i = 0; i < LINES * STRIDE; i++) {
        if (back[i] != (i % STRIDE < LINE ? pattern(i) : 0xEEu)) {
            return 4;
        }
    }
    return 0;
}

static int check_external_memory(void) {
#ifdef FBC_DRIVER_HOSTED /* GVSOC itself ends the run with status 1 when a file is missing */
    if (fbc_l3_load_file("missing.bin", 4u) != -1) {
        return 5;
    }
#endif
    if (fbc_l3_load_file("l3.bin", L3_BYTES) != 0) {
        return 6;
    }
    for (uint32_t i = 0; i < L3_BYTES; i++) {
        fbc_l2_arena[i] = 0u;
    }
    static const fbc_l3_transfer reads[] = {
        {1024u, 1024u, L3_BYTES - 1024u, 0u}, {0u, 0u, 1024u, 0u}, {2048u, 0u, 1024u, 1u}, {200000u, 0u, 1024u, 0u}};
    fbc_l3_begin(reads);
    fbc_l3_allow(1u);
    fbc_l3_wait(1u);
    fbc_l3_allow(2u);
    fbc_l3_wait(2u);
    for (uint32_t i = 0; i < L3_BYTES; i++) {
        if (fbc_l2_arena[i] != pattern(i)) {
            return 7;
        }
    }
    fbc_l3_allow(4u);
    fbc_l3_wait(4u);
    for (uint32_t i = 0; i < 1024u; i++) {
        if (fbc_l2_arena[200000u + i] != pattern(i + 2048u)) {
            return 10;
        }
    }
    fbc_l3_begin(NULL);
    return 0;
}

static int write_file(void) {
    const int file = fbc_file_open("copy.bin", 1);
    if (file < 0 || fbc_file_write(file, fbc_l2_arena, 100000u) != 0 || fbc_file_write(file, "end", 3u) != 0) {
        return 8;
    }
    fbc_file_close(file);
    const int again = fbc_file_open("copy.bin", 0);
    const int too_much = fbc_file_read(again, fbc_l2_arena, 100004u);
    fbc_file_close(again);
    return too_much == -1 ? 0 : 9;
}

int fbc_main(void) {
    int (*const checks[])(void) = {check_cores, check_dense_copies, check_strided_copies, check_external_memory,
                                   write_file};
    for (uint32_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        const int status = checks[i]();
        if (status != 0) {
            return status;
        }
    }
    fbc_print("platform checked\n");
    return 0;
}
