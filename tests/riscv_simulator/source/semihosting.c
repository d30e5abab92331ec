/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Semihosting: files of the host, relative to the working directory, text, and exit. Call number in a0, argument in a1.
 */
#include <stdio.h>

#include "memory.h"

enum { OPEN = 0x01, CLOSE = 0x02, WRITE_TEXT = 0x04, WRITE = 0x05, READ = 0x06, EXIT = 0x18 };
enum { REGISTER_A0 = 10, REGISTER_A1 = 11, FILES = 16, FIRST_HANDLE = 3, APPLICATION_EXIT = 0x20026 };

static FILE *files[FILES];

static uint32_t argument(Core *core, uint32_t number) {
    return load_word(core, core->x[REGISTER_A1] + 4u * number);
}

static FILE *file_of(Core *core, uint32_t handle) {
    if (handle - FIRST_HANDLE >= FILES || files[handle - FIRST_HANDLE] == NULL) {
        fault(core, "semihosting: %u is no open file", handle);
    }
    return files[handle - FIRST_HANDLE];
}

static uint32_t open_file(Core *core) {
    static const char *const modes[] = {"r", "rb", "r+", "r+b", "w", "wb", "w+", "w+b", "a", "ab", "a+", "a+b"};
    char path[256];
    const uint32_t mode = argument(core, 1);
    const uint32_t length = argument(core, 2);
    if (mode >= sizeof modes / sizeof modes[0] || length >= sizeof path) {
        fault(core, "semihosting: open with mode %u and a path of %u characters", mode, length);
    }
    memcpy(path, memory_range(core, argument(core, 0), length, "path of a file"), length);
    path[length] = '\0';
    for (uint32_t i = 0; i < FILES; i++) {
        if (files[i] == NULL) {
            files[i] = fopen(path, modes[mode]);
            return files[i] == NULL ? UINT32_MAX : i + FIRST_HANDLE;
        }
    }
    fault(core, "semihosting: more than %d open files", FILES);
}

/* GVSOC takes the handle itself, where the specification says the address of a block with the handle. */
static uint32_t close_file(Core *core) {
    const uint32_t handle = core->x[REGISTER_A1];
    const int status = fclose(file_of(core, handle));
    files[handle - FIRST_HANDLE] = NULL;
    return status == 0 ? 0u : UINT32_MAX;
}

/* Both give the number of bytes that were not transferred. */
static uint32_t write_file(Core *core) {
    const uint32_t bytes = argument(core, 2);
    const uint8_t *data = memory_range(core, argument(core, 1), bytes, "data to write to a file");
    return bytes - (uint32_t)fwrite(data, 1, bytes, file_of(core, argument(core, 0)));
}

static uint32_t read_file(Core *core) {
    const uint32_t bytes = argument(core, 2);
    uint8_t *data = memory_writable_range(core, argument(core, 1), bytes, "buffer for data of a file");
    return bytes - (uint32_t)fread(data, 1, bytes, file_of(core, argument(core, 0)));
}

static void write_text(Core *core) {
    for (uint32_t address = core->x[REGISTER_A1];; address++) {
        const uint8_t character = *memory_range(core, address, 1, "text to print");
        if (character == 0u) {
            return;
        }
        putchar(character);
    }
}

void semihosting_call(Core *core) {
    uint32_t *result = &core->x[REGISTER_A0];
    switch (*result) {
    case OPEN:
        *result = open_file(core);
        break;
    case CLOSE:
        *result = close_file(core);
        break;
    case WRITE:
        *result = write_file(core);
        break;
    case READ:
        *result = read_file(core);
        break;
    case WRITE_TEXT:
        write_text(core);
        break;
    case EXIT:
        machine_end(core, core->x[REGISTER_A1] == APPLICATION_EXIT ? 0 : 1);
        break;
    default:
        fault(core, "semihosting call 0x%02x, which this simulator does not have", *result);
    }
}
