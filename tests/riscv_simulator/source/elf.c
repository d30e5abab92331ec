/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Loader for statically linked 32-bit little-endian RISC-V ELF files. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"

enum { HEADER_BYTES = 52, SEGMENT_BYTES = 32, MACHINE_RISCV = 243, TYPE_LOAD = 1 };

static uint32_t field(const uint8_t *data, size_t offset, size_t bytes) {
    uint32_t value = 0;
    memcpy(&value, data + offset, bytes);
    return value;
}

static uint8_t *read_file(const char *path, size_t *bytes) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fault(NULL, "cannot open '%s'", path);
    }
    fseek(file, 0, SEEK_END);
    const long end = ftell(file);
    rewind(file);
    *bytes = end < 0 ? 0u : (size_t)end;
    uint8_t *data = malloc(*bytes + 1u);
    if (data == NULL || fread(data, 1, *bytes, file) != *bytes) {
        fault(NULL, "cannot read '%s'", path);
    }
    fclose(file);
    return data;
}

static void load_segment(Machine *machine, const uint8_t *data, size_t bytes, const uint8_t *segment) {
    const uint32_t offset = field(segment, 4, 4);
    const uint32_t address = field(segment, 12, 4);
    const uint32_t file_bytes = field(segment, 16, 4);
    if (file_bytes == 0u) {
        return;
    }
    if (offset > bytes || file_bytes > bytes - offset) {
        fault(NULL, "the ELF file is cut off inside the segment for 0x%08x", address);
    }
    if (file_bytes > L2_BYTES || address - L2_BASE > L2_BYTES - file_bytes) {
        fault(NULL, "the ELF segment of %u bytes for 0x%08x is not inside L2", file_bytes, address);
    }
    memcpy(machine->l2 + (address - L2_BASE), data + offset, file_bytes);
}

uint32_t elf_load(Machine *machine, const char *path) {
    size_t bytes;
    uint8_t *data = read_file(path, &bytes);
    if (bytes < HEADER_BYTES || memcmp(data, "\177ELF\001\001", 6) != 0 || field(data, 18, 2) != MACHINE_RISCV) {
        fault(NULL, "'%s' is not a 32-bit little-endian RISC-V ELF file", path);
    }
    const uint32_t table = field(data, 28, 4);
    const uint32_t count = field(data, 44, 2);
    if (field(data, 42, 2) != SEGMENT_BYTES || table > bytes || count * SEGMENT_BYTES > bytes - table) {
        fault(NULL, "'%s' has a broken program header table", path);
    }
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *segment = data + table + i * SEGMENT_BYTES;
        if (field(segment, 0, 4) == TYPE_LOAD) {
            load_segment(machine, data, bytes, segment);
        }
    }
    const uint32_t entry = field(data, 24, 4);
    free(data);
    return entry;
}
