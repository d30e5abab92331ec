/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include <stdint.h>

void *memcpy(void *restrict target, const void *restrict source, size_t bytes) {
    uint8_t *to = target;
    const uint8_t *from = source;
    if ((((uintptr_t)to | (uintptr_t)from) & 3u) == 0u) {
        for (; bytes >= 4u; bytes -= 4u, to += 4, from += 4) {
            *(uint32_t *)(void *)to = *(const uint32_t *)(const void *)from;
        }
    }
    for (; bytes > 0u; bytes--) {
        *to++ = *from++;
    }
    return target;
}

void *memset(void *target, int value, size_t bytes) {
    uint8_t *to = target;
    if (((uintptr_t)to & 3u) == 0u) {
        for (; bytes >= 4u; bytes -= 4u, to += 4) {
            *(uint32_t *)(void *)to = (uint8_t)value * 0x01010101u;
        }
    }
    for (; bytes > 0u; bytes--) {
        *to++ = (uint8_t)value;
    }
    return target;
}

size_t strlen(const char *text) {
    size_t length = 0;
    while (text[length] != '\0') {
        length++;
    }
    return length;
}
