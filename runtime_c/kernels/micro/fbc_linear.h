/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Linear layers: one output pixel. Every weight is used once, so the limit is loading them. A core computes two groups
 * of four output channels at a time, so that the activations are loaded once for eight channels. Weights "blocked4" in
 * order; they and the activation are read up to 16 bytes beyond their end. */
#ifndef FBC_LINEAR_H
#define FBC_LINEAR_H

#include "common/fbc_share.h"
#include "micro/fbc_dot_4x1.h"
#include "micro/fbc_store_block.h"
#include "micro/fbc_widen_taps.h"

#ifdef FBC_XPULPV2

#define FBC_LINEAR_MLDOT(sum, pointer, immediate) \
    ".insn r 0x77, %[width], %[sign], " sum ", " pointer ", x" #immediate "\n"
#define FBC_LINEAR_LOAD(word, pointer) ".insn i 0x0B, 2, " word ", " pointer ", 4\n"
#define FBC_LINEAR_DOT(sum, weight) ".insn r 0x57, 1, %[dot], " sum ", t0, " weight "\n"
#define FBC_LINEAR_FOUR(s0, s1, s2, s3, pointer) \
    FBC_LINEAR_LOAD("t1", pointer) \
    FBC_LINEAR_LOAD("t2", pointer) \
    FBC_LINEAR_DOT(s0, "t1") \
    FBC_LINEAR_LOAD("t1", pointer) \
    FBC_LINEAR_DOT(s1, "t2") FBC_LINEAR_LOAD("t2", pointer) FBC_LINEAR_DOT(s2, "t1") FBC_LINEAR_DOT(s3, "t2")

/* Two groups: mac&load 9 instructions a word, with its weights one group ahead; else 17. */
FBC_INLINE void fbc_dot_8x1(uint32_t bits, uint32_t is_signed, uint32_t macload, const uint8_t *weights,
                            uint32_t group_bytes, const uint8_t *pixel, uint32_t words, int32_t sums[8]) {
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s6 = 0, s7 = 0;
    const uint8_t *second = weights + group_bytes;
    if (macload) {
        __asm__ volatile(
            ".balign 4\n.option push\n"
            ".option norvc\n" FBC_LINEAR_MLDOT("x0", "%[w]", 16) FBC_LINEAR_MLDOT("x0", "%[w]", 18)
                FBC_LINEAR_MLDOT("x0", "%[w]", 20) FBC_LINEAR_MLDOT("x0", "%[w]", 22) FBC_LINEAR_MLDOT(
                    "x0", "%[p]", 8) ".insn i 0x7B, 4, x0, %[words], 18\n" /* lp.setup 0, words, 9 instructions */
            FBC_LINEAR_MLDOT("%[s0]", "%[v]", 16) FBC_LINEAR_MLDOT("%[s1]", "%[v]", 18)
                FBC_LINEAR_MLDOT("%[s2]", "%[v]", 20) FBC_LINEAR_MLDOT("%[s3]", "%[v]", 22)
                    FBC_LINEAR_MLDOT("%[s4]", "%[w]", 16) FBC_LINEAR_MLDOT("%[s5]", "%[w]", 18)
                        FBC_LINEAR_MLDOT("%[s6]", "%[w]", 20) FBC_LINEAR_MLDOT("%[s7]", "%[w]", 22)
                            FBC_LINEAR_MLDOT("x0", "%[p]", 8) ".option pop"
            : [s0] "+r"(s0), [s1] "+r"(s1), [s2] "+r"(s2), [s3] "+r"(s3), [s4] "+r"(s4), [s5] "+r"(s5), [s6] "+r"(s6),
              [s7] "+r"(s7), [w] "+r"(weights), [v] "+r"(second), [p] "+r"(pixel)
            : [words] "r"(words),
              [width] "i"(bits == 8u   ? 1
                          : bits == 4u ? 2
                                       : 3),
              [sign] "i"(is_signed ? 0x7C : 0x6C)
            : "memory");
    } else {
        __asm__ volatile(".balign 4\n.option push\n"
                         ".option norvc\n"
                         ".insn i 0x7B, 4, x0, %[words], 34\n" /* lp.setup 0, words, 17 instructions */
                         FBC_LINEAR_LOAD("t0", "%[p]") FBC_LINEAR_FOUR("%[s0]", "%[s1]", "%[s2]", "%[s3]", "%[w]")
                             FBC_LINEAR_FOUR("%[s4]", "%[s5]", "%[s6]", "%[s7]", "%[v]") ".option pop"
                         : [s0] "+r"(s0), [s1] "+r"(s1), [s2] "+r"(s2), [s3] "+r"(s3), [s4] "+r"(s4), [s5] "+r"(s5),
                           [s6] "+r"(s6), [s7] "+r"(s7), [w] "+r"(weights), [v] "+r"(second), [p] "+r"(pixel)
                         : [words] "r"(words), [dot] "i"(is_signed ? 0x5C : 0x54)
                         : "memory", "t0", "t1", "t2");
    }
    sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3, sums[4] = s4, sums[5] = s5, sums[6] = s6, sums[7] = s7;
}

/* One group: 5 instructions a word; else 9. */
FBC_INLINE void fbc_dot_one_group(uint32_t bits, uint32_t is_signed, uint32_t macload, const uint8_t *weights,
                                  const uint8_t *pixel, uint32_t words, int32_t sums[4]) {
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    if (macload) {
        __asm__ volatile(
            ".balign 4\n.option push\n"
            ".option norvc\n" FBC_LINEAR_MLDOT("x0", "%[w]", 16) FBC_LINEAR_MLDOT("x0", "%[w]", 18)
                FBC_LINEAR_MLDOT("x0", "%[w]", 20) FBC_LINEAR_MLDOT("x0", "%[w]", 22) FBC_LINEAR_MLDOT(
                    "x0", "%[p]", 8) ".insn i 0x7B, 4, x0, %[words], 10\n" /* lp.setup 0, words, 5 instructions */
            FBC_LINEAR_MLDOT("%[s0]", "%[w]", 16) FBC_LINEAR_MLDOT("%[s1]", "%[w]", 18)
                FBC_LINEAR_MLDOT("%[s2]", "%[w]", 20) FBC_LINEAR_MLDOT("%[s3]", "%[w]", 22)
                    FBC_LINEAR_MLDOT("x0", "%[p]", 8) ".option pop"
            : [s0] "+r"(s0), [s1] "+r"(s1), [s2] "+r"(s2), [s3] "+r"(s3), [w] "+r"(weights), [p] "+r"(pixel)
            : [words] "r"(words),
              [width] "i"(bits == 8u   ? 1
                          : bits == 4u ? 2
                                       : 3),
              [sign] "i"(is_signed ? 0x7C : 0x6C)
            : "memory");
    } else {
        __asm__ volatile(
            ".balign 4\n.option push\n"
            ".option norvc\n"
            ".insn i 0x7B, 4, x0, %[words], 18\n" /* lp.setup 0, words, 9 instructions */
            FBC_LINEAR_LOAD("t0", "%[p]") FBC_LINEAR_FOUR("%[s0]", "%[s1]", "%[s2]", "%[s3]", "%[w]") ".option pop"
            : [s0] "+r"(s0), [s1] "+r"(s1), [s2] "+r"(s2), [s3] "+r"(s3), [w] "+r"(weights), [p] "+r"(pixel)
            : [words] "r"(words), [dot] "i"(is_signed ? 0x5C : 0x54)
            : "memory", "t0", "t1", "t2");
    }
    sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3;
}

#else

FBC_INLINE void fbc_dot_8x1(uint32_t bits, uint32_t is_signed, uint32_t macload, const uint8_t *weights,
                            uint32_t group_bytes, const uint8_t *pixel, uint32_t words, int32_t sums[8]) {
    (void)macload;
    fbc_dot_4x1(bits, is_signed, 0u, weights, pixel, words, sums);
    fbc_dot_4x1(bits, is_signed, 0u, weights + group_bytes, pixel, words, sums + 4);
}

FBC_INLINE void fbc_dot_one_group(uint32_t bits, uint32_t is_signed, uint32_t macload, const uint8_t *weights,
                                  const uint8_t *pixel, uint32_t words, int32_t sums[4]) {
    (void)macload;
    fbc_dot_4x1(bits, is_signed, 0u, weights, pixel, words, sums);
}

#endif

/* What is not in 32 bits. */
static __attribute__((noinline)) void fbc_linear_store_lanes(const fbc_conv_args *args, const int32_t *sums,
                                                             uint32_t channel, uint32_t end) {
    for (; channel < end; channel++) {
        fbc_write_lane(args->output, channel, args->output_bits,
                       fbc_requantize(&args->requantization, channel, *sums++));
    }
}

/* In place: the sums of `count` channels, at least 1, in the form "less one". A loop, because most of the time goes
 * into fetching code that runs once. */
FBC_INLINE void fbc_requantize_channels(const fbc_requantization *parameters, uint32_t channel, uint32_t count,
                                        int32_t *sums) {
    const fbc_scale *scale = parameters->scale + channel;
    const int32_t *addend = (const int32_t *)parameters->addend + channel;
#ifdef FBC_XPULPV2
    int32_t sum, multiplier, clamp, added;
    __asm__ volatile(
        ".balign 4\n.option push\n"
        ".option norvc\n"
        ".insn i 0x7B, 4, x0, %[count], 20\n" /* lp.setup 0, 10 instructions */
        "lw %[sum], 0(%[sums])\n"
        ".insn i 0x0B, 2, %[multiplier], %[scale], 4\n"          /* p.lw */
        ".insn i 0x0B, 2, %[clamp], %[scale], 4\n"               /* p.lw */
        ".insn i 0x0B, 2, %[added], %[addend], 4\n"              /* p.lw */
        ".insn r 0x33, 5, 0x0A, %[sum], %[sum], %[clamp]\n"      /* p.clip */
        ".insn r 0x33, 0, 0x21, %[sum], %[sum], %[multiplier]\n" /* p.mac */
        ".insn r 0x5B, 2, 0x20, %[sum], %[added], %[shift]\n"    /* p.addNr */
        ".insn r 0x33, 6, 0x02, %[sum], %[sum], %[low]\n"        /* p.max */
        ".insn r 0x33, 4, 0x02, %[sum], %[sum], %[high]\n"       /* p.min */
        ".insn s 0x2B, 2, %[sum], 4(%[sums])\n"                  /* p.sw */
        ".option pop"
        : [sum] "=&r"(sum), [multiplier] "=&r"(multiplier), [clamp] "=&r"(clamp), [added] "=&r"(added),
          [sums] "+&r"(sums), [scale] "+&r"(scale), [addend] "+&r"(addend)
        : [count] "r"(count), [shift] "r"(parameters->shift), [low] "r"(parameters->low), [high] "r"(parameters->high)
        : "memory");
#else
    for (uint32_t i = 0; i < count; i++) {
        const int32_t factor = fbc_clamp(sums[i], -scale[i].clamp - 1, scale[i].clamp);
        const int32_t product = fbc_multiply_less_one(factor, scale[i].multiplier);
        sums[i] = fbc_clamp((product + addend[i]) >> parameters->shift, parameters->low, parameters->high);
    }
#endif
}

FBC_INLINE void fbc_linear_store(const fbc_conv_args *args, int32_t *sums, uint32_t channel, uint32_t end) {
    const uint32_t bits = args->output_bits;
    if (args->requantization.wide) {
        fbc_linear_store_lanes(args, sums, channel, end);
        return;
    }
    fbc_requantize_channels(&args->requantization, channel, end - channel, sums);
    if (bits == 32u) {
        for (int32_t *output = args->output; channel < end; channel++) {
            output[channel] = *sums++;
        }
        return;
    }
    uint8_t *output = (uint8_t *)args->output + (channel * bits >> 3);
    for (; channel + 4u <= end; channel += 4u, sums += 4) {
        output = fbc_store_four(output, bits, bits >> 1, sums);
    }
    for (; channel < end; channel++) {
        fbc_write_lane(args->output, channel, bits, *sums++);
    }
}

/* The activation as the dot products read it, where weights are, and how many. */
typedef struct {
    const uint8_t *pixel;
    const uint8_t *weights;
    uint32_t words;
    uint32_t group_bytes;
} fbc_linear_operands;

static __attribute__((noinline)) fbc_linear_operands fbc_widen_linear(const fbc_conv_args *args, uint32_t bits) {
    const fbc_blocked_plan plan = fbc_make_blocked_plan(args, bits, 0u);
    fbc_linear_operands operands = {args->input, plan.weight_bytes > 0u ? args->scratch : args->weights,
                                    plan.column_words, plan.group_bytes};
    if (!plan.direct) {
        uint8_t *column = (uint8_t *)args->scratch + plan.weight_bytes + fbc_core_id() * plan.core_bytes;
        const uint32_t taps = (uint32_t)args->kernel_height * args->kernel_width;
        if (args->activation_bits == bits) {
            fbc_copy_bytes(column, args->input, taps * plan.tap_bytes);
        } else {
            fbc_widen_taps(args, &plan, bits, column, args->input, taps);
        }
        operands.pixel = column;
    }
    return operands;
}

FBC_INLINE void fbc_linear(const fbc_conv_args *args, uint32_t bits, uint32_t macload) {
    const uint32_t channels = args->output_channels, is_signed = args->activation_signed;
    const uint32_t pixel_bytes = fbc_lane_bytes(args->input_channels, bits);
    const fbc_range groups = fbc_core_range((channels + 3u) >> 2);
    fbc_linear_operands operands;
    if (args->activation_bits == bits && args->weight_bits == bits && (pixel_bytes & 3u) == 0u) {
        operands.pixel = args->input;
        operands.weights = args->weights;
        operands.words = args->kernel_height * args->kernel_width * pixel_bytes >> 2;
        operands.group_bytes = operands.words < 2u ? 32u : 16u * operands.words;
    } else {
        operands = fbc_widen_linear(args, bits);
    }
    const uint8_t *weights = operands.weights + groups.begin * operands.group_bytes;
    uint32_t group = groups.begin;
    while (group < groups.end) {
        int32_t sums[8];
        const uint32_t next = groups.end - group >= 2u ? group + 2u : group + 1u;
        if (next == group + 1u) {
            if (is_signed) {
                fbc_dot_one_group(bits, 1u, macload, weights, operands.pixel, operands.words, sums);
            } else {
                fbc_dot_one_group(bits, 0u, macload, weights, operands.pixel, operands.words, sums);
            }
        } else if (is_signed) {
            fbc_dot_8x1(bits, 1u, macload, weights, operands.group_bytes, operands.pixel, operands.words, sums);
        } else {
            fbc_dot_8x1(bits, 0u, macload, weights, operands.group_bytes, operands.pixel, operands.words, sums);
        }
        fbc_linear_store(args, sums, 4u * group, 4u * next < channels ? 4u * next : channels);
        weights += (next - group) * operands.group_bytes;
        group = next;
    }
}

#endif
