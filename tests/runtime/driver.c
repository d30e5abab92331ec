/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Runs single kernels on operands from cases.bin and writes what they computed to results.bin; conftest.py describes
 * both files. The same program runs on the host and on the simulated machine. On the host every operand is an
 * allocation of its exact size, so that the address sanitizer sees any access beside it. */
#include "fbc_kernels.h"
#include "fbc_platform.h"

#include <string.h>

#ifdef FBC_DRIVER_HOSTED
#include <stdlib.h>
#endif

enum { OPERANDS = 7, SCALARS = 24, GUARD_BYTES = 16, GUARD = 0xA5 };
enum { INPUT, SECOND_INPUT, WEIGHTS, SCALE, ADDEND, OUTPUT, SCRATCH };
enum { DAMAGED_GUARD = 1, NO_SUCH_KERNEL = 2 };

typedef struct {
    uint32_t kernel;
    uint32_t prepare; /* kernel number + 1 of what runs before, or 0 */
    uint32_t bytes[OPERANDS];
    int32_t scalars[SCALARS];
} case_header;

typedef struct {
    uint32_t status;
    uint32_t scratch_bytes; /* what the C side says that the call needs */
    uint32_t cycles;        /* of a second, warm call */
    uint32_t output_bytes;
} result_header;

typedef struct {
    void (*function)(void *);
    char family; /* c: conv, a: add, p: pool, k: concat */
    uint32_t (*scratch_bytes)(const fbc_conv_args *);
} kernel_entry;

static const kernel_entry kernels[] = {
    {fbc_conv_portable, 'c', NULL},
    {fbc_depthwise_portable, 'c', NULL},
    {fbc_add_portable, 'a', NULL},
    {fbc_max_pool_portable, 'p', NULL},
    {fbc_average_pool_portable, 'p', NULL},
    {fbc_concat_portable, 'k', NULL},
    {fbc_conv_blocked_8, 'c', fbc_conv_blocked_8_scratch_bytes},
    {fbc_conv_blocked_4, 'c', fbc_conv_blocked_4_scratch_bytes},
    {fbc_conv_blocked_2, 'c', fbc_conv_blocked_2_scratch_bytes},
    {fbc_expand_weights_8, 'c', NULL},
    {fbc_expand_weights_4, 'c', NULL},
    {fbc_depthwise_3x3, 'c', fbc_depthwise_3x3_scratch_bytes},
    {fbc_add_fours, 'a', NULL},
    {fbc_max_pool_words, 'p', NULL},
    {fbc_average_pool_words, 'p', NULL},
    {fbc_concat_fours, 'k', NULL},
};

typedef union {
    fbc_conv_args conv;
    fbc_add_args add;
    fbc_pool_args pool;
    fbc_concat_args concat;
} kernel_args;

static uint8_t *operands[OPERANDS];
static case_header header;
static result_header result;

static uint32_t padded(uint32_t bytes) {
    return (bytes + 3u) & ~3u;
}

static fbc_requantization requantization(const int32_t *s) {
    const fbc_requantization parameters = {(const fbc_scale *)(const void *)operands[SCALE],
                                           operands[ADDEND],
                                           s[0],
                                           s[1],
                                           (uint8_t)s[2],
                                           (uint8_t)s[3],
                                           (uint8_t)s[4]};
    return parameters;
}

static void fill_conv(fbc_conv_args *a, const int32_t *s) {
    a->input = operands[INPUT];
    a->weights = operands[WEIGHTS];
    a->output = operands[OUTPUT];
    a->scratch = operands[SCRATCH];
    a->requantization = requantization(s);
    a->input_height = (uint16_t)s[5];
    a->input_width = (uint16_t)s[6];
    a->input_channels = (uint16_t)s[7];
    a->output_height = (uint16_t)s[8];
    a->output_width = (uint16_t)s[9];
    a->output_channels = (uint16_t)s[10];
    a->kernel_height = (uint8_t)s[11];
    a->kernel_width = (uint8_t)s[12];
    a->stride_height = (uint8_t)s[13];
    a->stride_width = (uint8_t)s[14];
    a->pad_top = (uint8_t)s[15];
    a->pad_left = (uint8_t)s[16];
    a->activation_bits = (uint8_t)s[17];
    a->activation_signed = (uint8_t)s[18];
    a->weight_bits = (uint8_t)s[19];
    a->output_bits = (uint8_t)s[20];
}

static void fill_add(fbc_add_args *a, const int32_t *s) {
    const fbc_add_args filled = {operands[INPUT],
                                 operands[SECOND_INPUT],
                                 operands[OUTPUT],
                                 s[0],
                                 s[1],
                                 s[2],
                                 s[3],
                                 s[4],
                                 (uint32_t)s[5],
                                 (uint16_t)s[6],
                                 (uint8_t)s[7],
                                 (uint8_t)s[8],
                                 (uint8_t)s[9],
                                 (uint8_t)s[10],
                                 (uint8_t)s[11],
                                 (uint8_t)s[12]};
    *a = filled;
}

static void fill_pool(fbc_pool_args *a, const int32_t *s) {
    a->input = operands[INPUT];
    a->output = operands[OUTPUT];
    a->requantization = requantization(s);
    a->input_height = (uint16_t)s[5];
    a->input_width = (uint16_t)s[6];
    a->channels = (uint16_t)s[7];
    a->output_height = (uint16_t)s[8];
    a->output_width = (uint16_t)s[9];
    a->kernel_height = (uint8_t)s[11];
    a->kernel_width = (uint8_t)s[12];
    a->stride_height = (uint8_t)s[13];
    a->stride_width = (uint8_t)s[14];
    a->pad_top = (uint8_t)s[15];
    a->pad_left = (uint8_t)s[16];
    a->activation_bits = (uint8_t)s[17];
    a->activation_signed = (uint8_t)s[18];
    a->output_bits = (uint8_t)s[20];
}

static void fill_concat(fbc_concat_args *a, const int32_t *s) {
    a->input = operands[INPUT];
    a->output = operands[OUTPUT];
    a->requantization = requantization(s);
    a->pixels = (uint32_t)s[5];
    a->channels = (uint16_t)s[6];
    a->output_channels = (uint16_t)s[7];
    a->output_offset = (uint16_t)s[8];
    a->activation_bits = (uint8_t)s[9];
    a->activation_signed = (uint8_t)s[10];
    a->output_bits = (uint8_t)s[11];
}

static void fill_arguments(kernel_args *args, char family) {
    switch (family) {
    case 'c':
        fill_conv(&args->conv, header.scalars);
        break;
    case 'a':
        fill_add(&args->add, header.scalars);
        break;
    case 'p':
        fill_pool(&args->pool, header.scalars);
        break;
    default:
        fill_concat(&args->concat, header.scalars);
        break;
    }
}

static int allocate(void) {
    uint8_t *next = fbc_l1_arena;
    for (uint32_t i = 0; i < OPERANDS; i++) {
#ifdef FBC_DRIVER_HOSTED
        operands[i] = malloc(header.bytes[i]);
        (void)next;
#else
        operands[i] = next;
        next += padded(header.bytes[i]) + GUARD_BYTES;
        if (next > fbc_l1_arena + FBC_L1_ARENA_BYTES) {
            return -1;
        }
        memset(operands[i] + header.bytes[i], GUARD, GUARD_BYTES);
#endif
    }
    return 0;
}

static void release(void) {
    for (uint32_t i = 0; i < OPERANDS; i++) {
#ifdef FBC_DRIVER_HOSTED
        free(operands[i]);
#else
        for (uint32_t j = 0; j < GUARD_BYTES; j++) {
            if (operands[i][header.bytes[i] + j] != GUARD) {
                result.status |= DAMAGED_GUARD;
            }
        }
#endif
    }
}

static int read_operands(int file) {
    for (uint32_t i = 0; i < SCRATCH; i++) {
        if (fbc_file_read(file, fbc_l2_arena, padded(header.bytes[i])) != 0) {
            return -1;
        }
        if (header.bytes[i] > 0u) {
            memcpy(operands[i], fbc_l2_arena, header.bytes[i]);
        }
    }
    return 0;
}

static void run_kernels(void) {
    const kernel_entry *entry = &kernels[header.kernel];
    kernel_args args; /* on the stack, which is in L1 as in generated code */
    fill_arguments(&args, entry->family);
    result.scratch_bytes = entry->scratch_bytes != NULL ? entry->scratch_bytes(&args.conv) : 0u;
    for (int run = 0; run < 2; run++) {
        const uint32_t start = fbc_cycles();
        if (header.prepare > 0u) {
            fbc_parallel(kernels[header.prepare - 1u].function, &args);
        }
        fbc_parallel(entry->function, &args);
        result.cycles = fbc_cycles() - start;
    }
}

static int run_case(int cases, int results) {
    if (fbc_file_read(cases, fbc_l2_arena, sizeof header) != 0) {
        return -1;
    }
    memcpy(&header, fbc_l2_arena, sizeof header);
    if (allocate() != 0 || read_operands(cases) != 0) {
        return -1;
    }
    memset(&result, 0, sizeof result);
    result.output_bytes = header.bytes[OUTPUT];
    if (header.kernel < sizeof kernels / sizeof kernels[0]) {
        run_kernels();
    } else {
        result.status |= NO_SUCH_KERNEL;
    }
    memcpy(fbc_l2_arena + sizeof result, operands[OUTPUT], header.bytes[OUTPUT]);
    release();
    memcpy(fbc_l2_arena, &result, sizeof result);
    return fbc_file_write(results, fbc_l2_arena, sizeof result + padded(header.bytes[OUTPUT]));
}

int fbc_main(void) {
    const int cases = fbc_file_open("cases.bin", 0);
    const int results = fbc_file_open("results.bin", 1);
    uint32_t count = 0;
    if (cases < 0 || results < 0 || fbc_file_read(cases, fbc_l2_arena, sizeof count) != 0) {
        return 1;
    }
    memcpy(&count, fbc_l2_arena, sizeof count);
    for (uint32_t i = 0; i < count; i++) {
        if (run_case(cases, results) != 0) {
            return 2;
        }
    }
    fbc_file_close(cases);
    fbc_file_close(results);
    return 0;
}
