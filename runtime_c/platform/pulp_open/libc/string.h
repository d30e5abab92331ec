/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* The part of <string.h> that the runtime uses; bare-metal toolchains ship without a C library. */
#ifndef FBC_LIBC_STRING_H
#define FBC_LIBC_STRING_H

#include <stddef.h>

void *memcpy(void *restrict target, const void *restrict source, size_t bytes);
void *memset(void *target, int value, size_t bytes);
size_t strlen(const char *text);

#endif
