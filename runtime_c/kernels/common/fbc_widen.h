/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Widening of packed lanes, a word at a time: to 8 bit with XpulpV2, to 4 bit with XpulpNN, portable elsewhere. */
#ifndef FBC_WIDEN_H
#define FBC_WIDEN_H

#include "common/fbc_lanes.h"

/* `value` in every lane of `bits` of a word. */
FBC_INLINE uint32_t fbc_in_every_lane(uint32_t value, uint32_t bits) {
    return bits == 8u ? value * 0x01010101u : bits == 4u ? value * 0x11111111u : value * 0x55555555u;
}

/* Takes bits [part * from, (part + 1) * from) of every `to`-bit lane of `word` and widens them to the whole lane. */
FBC_INLINE uint32_t fbc_widen_lanes(uint32_t word, uint32_t part, uint32_t from, uint32_t to, uint32_t is_signed) {
    const uint32_t narrow = (word >> (part * from)) & fbc_in_every_lane((1u << from) - 1u, to);
    if (!is_signed) {
        return narrow;
    }
    /* sign * (2^to - 2^from) / 2^(from - 1) fills the bits above a set sign; no lane reaches into the next. */
    const uint32_t sign = narrow & fbc_in_every_lane(1u << (from - 1u), to);
    return narrow | ((sign << (to - from + 1u)) - (sign << 1));
}

#ifdef FBC_XPULPV2

/* Shifts of lanes: .sci.b has half of an even count in a register's place, .sc.n a register. */
#define FBC_WIDEN_B(code, d, s, half) ".insn r 0x57, 7, " code ", " d ", " s ", x" #half "\n"
#define FBC_WIDEN_N(code, d, s) ".insn r 0x57, 3, " code ", " d ", " s ", %[two]\n"
#define FBC_WIDEN_LOAD(word) ".insn i 0x0B, 2, " word ", %[source], 4\n"  /* p.lw */
#define FBC_WIDEN_STORE(word) ".insn s 0x2B, 2, " word ", 4(%[target])\n" /* p.sw */
#define FBC_SLL "0x28"
#define FBC_SRA "0x24"
#define FBC_SRL "0x20"
#define FBC_WIDEN_LOOP(bytes, body) \
    __asm__ volatile(".balign 4\n.option push\n" \
                     ".option norvc\n" FBC_WIDEN_LOAD("t0") ".insn i 0x7B, 4, x0, %[words], " bytes \
                                                            "\n" /* lp.setup 0, words, bytes / 2 instructions */ \
                     body ".option pop" \
                     : [target] "+r"(target), [source] "+r"(source) \
                     : [words] "r"(words), [two] "r"(2) \
                     : "memory", "t0", "t1", "t2", "t3", "t4")

/* Each source word gives to / from words; reads a word more. `right` shifts unsigned or signed lanes. */
#define FBC_WIDEN_4_8(right) \
    FBC_WIDEN_LOOP("12", FBC_WIDEN_B(FBC_SLL, "t1", "t0", 2) FBC_WIDEN_B(right, "t2", "t0", 2) FBC_WIDEN_LOAD("t0") \
                             FBC_WIDEN_B(right, "t1", "t1", 2) FBC_WIDEN_STORE("t1") FBC_WIDEN_STORE("t2"))
#define FBC_WIDEN_2_8(right) \
    FBC_WIDEN_LOOP("24", \
                   FBC_WIDEN_B(FBC_SLL, "t1", "t0", 3) FBC_WIDEN_B(FBC_SLL, "t2", "t0", 2) \
                       FBC_WIDEN_B(FBC_SLL, "t3", "t0", 1) FBC_WIDEN_B(right, "t4", "t0", 3) FBC_WIDEN_LOAD("t0") \
                           FBC_WIDEN_B(right, "t1", "t1", 3) FBC_WIDEN_B(right, "t2", "t2", 3) \
                               FBC_WIDEN_B(right, "t3", "t3", 3) FBC_WIDEN_STORE("t1") FBC_WIDEN_STORE("t2") \
                                   FBC_WIDEN_STORE("t3") FBC_WIDEN_STORE("t4"))
#define FBC_WIDEN_2_4(right) \
    FBC_WIDEN_LOOP("12", FBC_WIDEN_N(FBC_SLL, "t1", "t0") FBC_WIDEN_N(right, "t2", "t0") FBC_WIDEN_LOAD("t0") \
                             FBC_WIDEN_N(right, "t1", "t1") FBC_WIDEN_STORE("t1") FBC_WIDEN_STORE("t2"))

/* A block of weights: a word of four channels gives to / from words of four channels. */
#define FBC_WIDEN_FOUR_LOADS FBC_WIDEN_LOAD("t1") FBC_WIDEN_LOAD("t2") FBC_WIDEN_LOAD("t3")
#define FBC_WIDEN_TWO(shift_left, shift_right, word, channel) \
    shift_left("t4", word) shift_right("t4", "t4") \
        shift_right(word, word) "sw t4, " #channel "*4(%[target])\n sw " word ", 16+" #channel "*4(%[target])\n"
#define FBC_WIDEN_LEFT_B(d, s) FBC_WIDEN_B(FBC_SLL, d, s, 2)
#define FBC_WIDEN_RIGHT_B(d, s) FBC_WIDEN_B(FBC_SRA, d, s, 2)
#define FBC_WIDEN_LEFT_N(d, s) FBC_WIDEN_N(FBC_SLL, d, s)
#define FBC_WIDEN_RIGHT_N(d, s) FBC_WIDEN_N(FBC_SRA, d, s)
/* The first word of the next block is loaded ahead. */
#define FBC_WIDEN_BLOCK_BY_2(left, right) \
    FBC_WIDEN_LOOP("50", FBC_WIDEN_FOUR_LOADS FBC_WIDEN_TWO(left, right, "t0", 0) FBC_WIDEN_TWO(left, right, "t1", 1) \
                             FBC_WIDEN_TWO(left, right, "t2", 2) FBC_WIDEN_TWO(left, right, "t3", 3) \
                                 FBC_WIDEN_LOAD("t0") "addi %[target], %[target], 32\n")
#define FBC_WIDEN_QUARTER(left, word, part, channel) \
    left FBC_WIDEN_B(FBC_SRA, "t4", "t4", 3) "sw t4, " #part "*16+" #channel "*4(%[target])\n"
#define FBC_WIDEN_QUARTERS(word, channel) \
    FBC_WIDEN_QUARTER(FBC_WIDEN_B(FBC_SLL, "t4", word, 3), word, 0, channel) \
    FBC_WIDEN_QUARTER(FBC_WIDEN_B(FBC_SLL, "t4", word, 2), word, 1, channel) \
    FBC_WIDEN_QUARTER(FBC_WIDEN_B(FBC_SLL, "t4", word, 1), word, 2, channel) \
    FBC_WIDEN_B(FBC_SRA, word, word, 3) \
    "sw " word ", 48+" #channel "*4(%[target])\n"
#define FBC_WIDEN_BLOCK_BY_4 \
    FBC_WIDEN_LOOP("98", FBC_WIDEN_FOUR_LOADS FBC_WIDEN_QUARTERS("t0", 0) FBC_WIDEN_QUARTERS("t1", 1) \
                             FBC_WIDEN_QUARTERS("t2", 2) FBC_WIDEN_QUARTERS("t3", 3) \
                                 FBC_WIDEN_LOAD("t0") "addi %[target], %[target], 64\n")
#endif

#if defined FBC_XPULPNN
#define FBC_WIDENS_TO(to) ((to) >= 4u)
#elif defined FBC_XPULPV2
#define FBC_WIDENS_TO(to) ((to) == 8u)
#endif

/* Words of activations: source word k gives `to / from` words, the h-th with the lanes h, h + to / from, ... */
FBC_INLINE void fbc_widen_words(uint32_t *target, const uint32_t *source, uint32_t words, uint32_t from, uint32_t to,
                                uint32_t is_signed) {
#ifdef FBC_XPULPV2
    if (FBC_WIDENS_TO(to) && words > 0u) {
        if (to == 4u && is_signed) {
            FBC_WIDEN_2_4(FBC_SRA);
        } else if (to == 4u) {
            FBC_WIDEN_2_4(FBC_SRL);
        } else if (from == 4u && is_signed) {
            FBC_WIDEN_4_8(FBC_SRA);
        } else if (from == 4u) {
            FBC_WIDEN_4_8(FBC_SRL);
        } else if (is_signed) {
            FBC_WIDEN_2_8(FBC_SRA);
        } else {
            FBC_WIDEN_2_8(FBC_SRL);
        }
        return;
    }
#endif
    for (uint32_t i = 0; i < words; i++) {
        for (uint32_t part = 0; part < to / from; part++) {
            *target++ = fbc_widen_lanes(source[i], part, from, to, is_signed);
        }
    }
}

/* Blocks of four words of weights, one of each channel. */
FBC_INLINE void fbc_widen_blocks(uint32_t *target, const uint32_t *source, uint32_t words, uint32_t from, uint32_t to) {
#ifdef FBC_XPULPV2
    if (FBC_WIDENS_TO(to) && words > 0u) {
        if (to == 4u) {
            FBC_WIDEN_BLOCK_BY_2(FBC_WIDEN_LEFT_N, FBC_WIDEN_RIGHT_N);
        } else if (from == 4u) {
            FBC_WIDEN_BLOCK_BY_2(FBC_WIDEN_LEFT_B, FBC_WIDEN_RIGHT_B);
        } else {
            FBC_WIDEN_BLOCK_BY_4;
        }
        return;
    }
#endif
    for (uint32_t word = 0; word < words; word++) {
        for (uint32_t channel = 0; channel < 4u; channel++) {
            for (uint32_t part = 0; part < to / from; part++) {
                target[4u * part + channel] = fbc_widen_lanes(source[channel], part, from, to, 1u);
            }
        }
        source += 4;
        target += 4u * (to / from);
    }
}

#endif
