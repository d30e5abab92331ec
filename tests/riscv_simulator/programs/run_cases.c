/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Runs every case of cases.S on every operand vector of operands.bin and writes what it left to results.bin. */
#include "fbc_platform.h"

#include <string.h>

enum { MEMORY_WORDS = 8, REGISTERS = 4, VECTOR_WORDS = 3 + MEMORY_WORDS, MAXIMUM_VECTORS = 128 };

typedef void case_code(void);
extern case_code *const register_cases[];
extern case_code *const memory_cases[];
extern const uint32_t register_case_count;
extern const uint32_t memory_case_count;
void run_case(case_code *code, uint32_t registers[REGISTERS]);

static uint32_t vectors[MAXIMUM_VECTORS][VECTOR_WORDS];
static uint32_t results[MAXIMUM_VECTORS * (REGISTERS + MEMORY_WORDS)];
static uint32_t memory[MEMORY_WORDS] __attribute__((section(".l1_data"), aligned(16)));
static uint32_t vector_count;

static int run_register_case(case_code *code, int file) {
    for (uint32_t i = 0; i < vector_count; i++) {
        uint32_t registers[REGISTERS] = {vectors[i][0], vectors[i][1], vectors[i][2], 0};
        run_case(code, registers);
        results[i] = registers[0];
    }
    return fbc_file_write(file, results, vector_count * sizeof results[0]);
}

static int run_memory_case(case_code *code, int file) {
    uint32_t *next = results;
    for (uint32_t i = 0; i < vector_count; i++) {
        uint32_t registers[REGISTERS] = {vectors[i][0], vectors[i][1], vectors[i][2], (uint32_t)(uintptr_t)memory};
        memcpy(memory, &vectors[i][3], sizeof memory);
        run_case(code, registers);
        registers[3] -= (uint32_t)(uintptr_t)memory;
        memcpy(next, registers, sizeof registers);
        memcpy(next + REGISTERS, memory, sizeof memory);
        next += REGISTERS + MEMORY_WORDS;
    }
    return fbc_file_write(file, results, (uint32_t)((uint8_t *)next - (uint8_t *)results));
}

int fbc_main(void) {
    const int operands = fbc_file_open("operands.bin", 0);
    const int file = fbc_file_open("results.bin", 1);
    int status = operands < 0 || file < 0 ? 1 : fbc_file_read(operands, &vector_count, sizeof vector_count);
    if (status != 0 || vector_count > MAXIMUM_VECTORS) {
        return 1;
    }
    status = fbc_file_read(operands, vectors, vector_count * sizeof vectors[0]);
    for (uint32_t i = 0; i < register_case_count && status == 0; i++) {
        status = run_register_case(register_cases[i], file);
    }
    for (uint32_t i = 0; i < memory_case_count && status == 0; i++) {
        status = run_memory_case(memory_cases[i], file);
    }
    fbc_file_close(file);
    fbc_file_close(operands);
    return status == 0 ? 0 : 2;
}
