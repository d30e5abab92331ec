/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Runs the programs of FBC_PROGRAMS one after the other. Program n finds and leaves its files in folder n, and starts
 * with cold instruction caches, as if it ran alone. Exit status: 0; 1 if one failed, whose folder is printed. */
#include "fbc_platform.h"
#include "fbc_pulp_open.h"

#define FBC_CLUSTER_ICACHE_FLUSH FBC_REGISTER(0x10201404u)

#define PROGRAM(number) int fbc_main_##number(void);
FBC_PROGRAMS
#undef PROGRAM

#define PROGRAM(number) {#number "/", fbc_main_##number},
static const struct {
    const char *folder;
    int (*run)(void);
} programs[] = {FBC_PROGRAMS};

enum { PROGRAMS = sizeof programs / sizeof programs[0], PATH_BYTES = 64 };

static const char *folder;

int __real_fbc_file_open(const char *path, int writable);
int __wrap_fbc_file_open(const char *path, int writable);

static uint32_t append(char *path, uint32_t length, const char *text) {
    while (*text != '\0' && length < PATH_BYTES - 1u) {
        path[length++] = *text++;
    }
    path[length] = '\0';
    return length;
}

/* The linker puts it before fbc_file_open. */
int __wrap_fbc_file_open(const char *path, int writable) {
    static char inside[PATH_BYTES];
    append(inside, append(inside, 0u, folder), path);
    return __real_fbc_file_open(inside, writable);
}

int fbc_main(void) {
    int failed = 0;
    for (uint32_t i = 0u; i < PROGRAMS; i++) {
        folder = programs[i].folder;
        FBC_CLUSTER_ICACHE_FLUSH = 1u;
        if (programs[i].run() != 0) {
            fbc_print(folder);
            fbc_print(" failed\n");
            failed = 1;
        }
    }
    return failed;
}
