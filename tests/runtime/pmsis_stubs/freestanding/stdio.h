/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* For compilers without a C library: what an SDK's stdio.h declares of what the platform calls. */
#ifndef STDIO_H
#define STDIO_H

#include <stddef.h>

int printf(const char *format, ...);
int snprintf(char *text, size_t bytes, const char *format, ...);

#endif
