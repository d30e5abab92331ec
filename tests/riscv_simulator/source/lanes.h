/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Lanes of a register. Widths are 16, 8, 4, 2 bits; lane 0 has the least significant bits. */
#ifndef LANES_H
#define LANES_H

#include "execute.h"

enum { WIDTHS = 4 }; /* order of tables: half word, byte, nibble, crumb */

static inline int32_t lane_signed(uint32_t value, unsigned width, unsigned lane) {
    return (int32_t)(value << (32u - width * (lane + 1u))) >> (32u - width);
}

static inline int32_t lane_unsigned(uint32_t value, unsigned width, unsigned lane) {
    return (int32_t)(value >> width * lane & ((1u << width) - 1u));
}

/* Lane 0 of value in all lanes. */
static inline uint32_t replicate(uint32_t value, unsigned width) {
    uint32_t result = value & ((1u << width) - 1u);
    for (unsigned filled = width; filled < 32u; filled *= 2u) {
        result |= result << filled;
    }
    return result;
}

/* The second operand of .sci: a 6-bit immediate, signed or not, in all lanes. */
static inline uint32_t simd_immediate(uint32_t word, bool is_signed, unsigned width) {
    const uint32_t value = bits(word, 20, 5) << 1 | bits(word, 25, 1);
    return replicate(is_signed ? (uint32_t)sign_extend(value, 6) : value, width);
}

typedef enum { FORM_VECTOR, FORM_SCALAR, FORM_IMMEDIATE, FORMS } SimdForm;

/* Which width (index into tables) and form funct3 and, below a byte, funct7 bit 0 mean. False if there is no such form.
 */
static inline bool simd_form(const Core *core, uint32_t word, unsigned *width, SimdForm *form) {
    static const int8_t widths[8] = {0, 1, 2, 2, 0, 1, 0, 1};
    static const SimdForm forms[8] = {FORM_VECTOR, FORM_VECTOR, FORM_VECTOR,    FORM_SCALAR,
                                      FORM_SCALAR, FORM_SCALAR, FORM_IMMEDIATE, FORM_IMMEDIATE};
    const uint32_t funct3 = bits(word, 12, 3);
    *width = (unsigned)widths[funct3];
    *form = forms[funct3];
    if (*width == 2u) {
        *width += bits(word, 25, 1);
        return core->machine->options.isa >= ISA_XPULPNN;
    }
    return *form == FORM_IMMEDIATE || bits(word, 25, 1) == 0u;
}

#endif
