/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Files and text through semihosting: the simulator does the work at no simulated cost beside the instructions.
 * Argument blocks are static, hence in L2, because the simulator reads them through the core's L2 port. */
#include "fbc_platform.h"

#include <string.h>

enum { CALL_OPEN = 1, CALL_CLOSE = 2, CALL_PRINT = 4, CALL_WRITE = 5, CALL_READ = 6 };
enum { MODE_READ_BINARY = 1, MODE_WRITE_BINARY = 5 };

static volatile uint32_t arguments[3];

/* The three instructions, uncompressed and in one line of 16 bytes, are the signal to the simulator. */
static int32_t call(int32_t operation, uintptr_t argument) {
    register int32_t a0 __asm__("a0") = operation;
    register uintptr_t a1 __asm__("a1") = argument;
    __asm__ volatile(".option push\n"
                     ".option norvc\n"
                     ".balign 16\n"
                     "slli x0, x0, 0x1f\n"
                     "ebreak\n"
                     "srai x0, x0, 7\n"
                     ".option pop"
                     : "+r"(a0)
                     : "r"(a1)
                     : "memory");
    return a0;
}

static int32_t call_with(int32_t operation, uint32_t first, uint32_t second, uint32_t third) {
    arguments[0] = first;
    arguments[1] = second;
    arguments[2] = third;
    return call(operation, (uintptr_t)arguments);
}

int fbc_file_open(const char *path, int writable) {
    const uint32_t mode = writable ? MODE_WRITE_BINARY : MODE_READ_BINARY;
    return call_with(CALL_OPEN, (uint32_t)(uintptr_t)path, mode, strlen(path));
}

int fbc_file_read(int file, void *data, uint32_t bytes) {
    return call_with(CALL_READ, (uint32_t)file, (uint32_t)(uintptr_t)data, bytes) == 0 ? 0 : -1;
}

int fbc_file_write(int file, const void *data, uint32_t bytes) {
    return call_with(CALL_WRITE, (uint32_t)file, (uint32_t)(uintptr_t)data, bytes) == 0 ? 0 : -1;
}

void fbc_file_close(int file) {
    /* This simulator takes the handle itself, not the address of a block. */
    call(CALL_CLOSE, (uintptr_t)file);
}

void fbc_print(const char *text) {
    call(CALL_PRINT, (uintptr_t)text);
}
