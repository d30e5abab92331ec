/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Linear layers: one output pixel. Every weight is used once, so the limit is loading them. A core computes two groups
 * of four output channels at a time, so that the activations are loaded once for eight channels. Weights "blocked4" in
 * order; they and the activation are read up to 16 bytes beyond their end. So are scales and addends, up to 24: a last
 * group is computed as a whole one. */
#ifndef FBC_LINEAR_H
#define FBC_LINEAR_H

#include "common/fbc_share.h"
#include "micro/fbc_dot_4x1.h"
#include "micro/fbc_store_block.h"
#include "micro/fbc_widen_taps.h"

/* The activation as the dot products read it, the weights of the next groups, and how many. */
typedef struct {
    const uint8_t *pixel;
    const uint8_t *weights;
    uint32_t words;
    uint32_t group_bytes;
} fbc_linear_operands;

/* Sums, then values of the four channels of a group. */
typedef struct {
    int32_t s0, s1, s2, s3;
} fbc_linear_group;

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
FBC_INLINE void fbc_dot_8(uint32_t bits, uint32_t is_signed, uint32_t macload, fbc_linear_operands *operands,
                          fbc_linear_group *first, fbc_linear_group *other) {
    const uint8_t *weights = operands->weights, *second = weights + operands->group_bytes;
    const uint32_t words = operands->words, gap = operands->group_bytes - 16u * words;
    const uint8_t *pixel = operands->pixel;
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
            : [s0] "+r"(first->s0), [s1] "+r"(first->s1), [s2] "+r"(first->s2), [s3] "+r"(first->s3),
              [s4] "+r"(other->s0), [s5] "+r"(other->s1), [s6] "+r"(other->s2), [s7] "+r"(other->s3), [w] "+r"(weights),
              [v] "+r"(second), [p] "+r"(pixel)
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
                         : [s0] "+r"(first->s0), [s1] "+r"(first->s1), [s2] "+r"(first->s2), [s3] "+r"(first->s3),
                           [s4] "+r"(other->s0), [s5] "+r"(other->s1), [s6] "+r"(other->s2), [s7] "+r"(other->s3),
                           [w] "+r"(weights), [v] "+r"(second), [p] "+r"(pixel)
                         : [words] "r"(words), [dot] "i"(is_signed ? 0x5C : 0x54)
                         : "memory", "t0", "t1", "t2");
    }
    operands->weights = second + gap;
}

/* One group: 5 instructions a word; else 9. */
FBC_INLINE void fbc_dot_4(uint32_t bits, uint32_t is_signed, uint32_t macload, fbc_linear_operands *operands,
                          fbc_linear_group *group) {
    const uint8_t *weights = operands->weights, *pixel = operands->pixel;
    if (macload) {
        __asm__ volatile(
            ".balign 4\n.option push\n"
            ".option norvc\n" FBC_LINEAR_MLDOT("x0", "%[w]", 16) FBC_LINEAR_MLDOT("x0", "%[w]", 18)
                FBC_LINEAR_MLDOT("x0", "%[w]", 20) FBC_LINEAR_MLDOT("x0", "%[w]", 22) FBC_LINEAR_MLDOT(
                    "x0", "%[p]", 8) ".insn i 0x7B, 4, x0, %[words], 10\n" /* lp.setup 0, words, 5 instructions */
            FBC_LINEAR_MLDOT("%[s0]", "%[w]", 16) FBC_LINEAR_MLDOT("%[s1]", "%[w]", 18)
                FBC_LINEAR_MLDOT("%[s2]", "%[w]", 20) FBC_LINEAR_MLDOT("%[s3]", "%[w]", 22)
                    FBC_LINEAR_MLDOT("x0", "%[p]", 8) ".option pop"
            : [s0] "+r"(group->s0), [s1] "+r"(group->s1), [s2] "+r"(group->s2), [s3] "+r"(group->s3), [w] "+r"(weights),
              [p] "+r"(pixel)
            : [words] "r"(operands->words),
              [width] "i"(bits == 8u   ? 1
                          : bits == 4u ? 2
                                       : 3),
              [sign] "i"(is_signed ? 0x7C : 0x6C)
            : "memory");
    } else {
        __asm__ volatile(".balign 4\n.option push\n"
                         ".option norvc\n"
                         ".insn i 0x7B, 4, x0, %[words], 18\n" /* lp.setup 0, words, 9 instructions */
                         FBC_LINEAR_LOAD("t0", "%[p]")
                             FBC_LINEAR_FOUR("%[s0]", "%[s1]", "%[s2]", "%[s3]", "%[w]") ".option pop"
                         : [s0] "+r"(group->s0), [s1] "+r"(group->s1), [s2] "+r"(group->s2), [s3] "+r"(group->s3),
                           [w] "+r"(weights), [p] "+r"(pixel)
                         : [words] "r"(operands->words), [dot] "i"(is_signed ? 0x5C : 0x54)
                         : "memory", "t0", "t1", "t2");
    }
    operands->weights = weights + operands->group_bytes - 16u * (operands->words + macload);
}

#else

FBC_INLINE void fbc_dot_4(uint32_t bits, uint32_t is_signed, uint32_t macload, fbc_linear_operands *operands,
                          fbc_linear_group *group) {
    int32_t sums[4];
    (void)macload;
    fbc_dot_4x1(bits, is_signed, 0u, operands->weights, operands->pixel, operands->words, sums);
    group->s0 = sums[0], group->s1 = sums[1], group->s2 = sums[2], group->s3 = sums[3];
    operands->weights += operands->group_bytes;
}

FBC_INLINE void fbc_dot_8(uint32_t bits, uint32_t is_signed, uint32_t macload, fbc_linear_operands *operands,
                          fbc_linear_group *first, fbc_linear_group *other) {
    fbc_dot_4(bits, is_signed, macload, operands, first);
    fbc_dot_4(bits, is_signed, macload, operands, other);
}

#endif

/* Sums of a group, in the form "less one", become values; the pointers go on to the next group. Plain: no sum needs its
 * clamp, and low is 0. `channels` are left, so a last group may have fewer than four; the assembler computes four. */
#ifdef FBC_XPULPV2

#define FBC_LINEAR_PLAIN(sum) \
    ".insn i 0x0B, 2, %[multiplier], %[scales], 8\n"           /* p.lw */ \
    ".insn i 0x0B, 2, %[addend], %[addends], 4\n"              /* p.lw */ \
    ".insn r 0x33, 0, 0x21, " sum ", " sum ", %[multiplier]\n" /* p.mac */ \
    ".insn r 0x5B, 2, 0x20, " sum ", %[addend], %[shift]\n"    /* p.addNr */ \
    ".insn r 0x33, 6, 0x0A, " sum ", " sum ", %[high]\n"       /* p.clipu */
#define FBC_LINEAR_CLAMPED(sum) \
    ".insn i 0x0B, 2, %[multiplier], %[scales], 4\n" \
    ".insn i 0x0B, 2, %[clamp], %[scales], 4\n" \
    ".insn i 0x0B, 2, %[addend], %[addends], 4\n" \
    ".insn r 0x33, 5, 0x0A, " sum ", " sum ", %[clamp]\n" /* p.clip */ \
    ".insn r 0x33, 0, 0x21, " sum ", " sum ", %[multiplier]\n" \
    ".insn r 0x5B, 2, 0x20, " sum ", %[addend], %[shift]\n" \
    ".insn r 0x33, 6, 0x02, " sum ", " sum ", %[low]\n"  /* p.max */ \
    ".insn r 0x33, 4, 0x02, " sum ", " sum ", %[high]\n" /* p.min */

FBC_INLINE void fbc_requantize_plain(const fbc_scale **scales, const int32_t **addends, uint32_t shift, int32_t high,
                                     uint32_t channels, fbc_linear_group *group) {
    int32_t multiplier, addend;
    (void)channels;
    __asm__ volatile(
        FBC_LINEAR_PLAIN("%[s0]") FBC_LINEAR_PLAIN("%[s1]") FBC_LINEAR_PLAIN("%[s2]") FBC_LINEAR_PLAIN("%[s3]")
        : [s0] "+&r"(group->s0), [s1] "+&r"(group->s1), [s2] "+&r"(group->s2), [s3] "+&r"(group->s3),
          [scales] "+&r"(*scales), [addends] "+&r"(*addends), [multiplier] "=&r"(multiplier), [addend] "=&r"(addend)
        : [shift] "r"(shift), [high] "r"(high));
}

FBC_INLINE void fbc_requantize_clamped(const fbc_scale **scales, const int32_t **addends, uint32_t shift, int32_t low,
                                       int32_t high, uint32_t channels, fbc_linear_group *group) {
    int32_t multiplier, clamp, addend;
    (void)channels;
    __asm__ volatile(FBC_LINEAR_CLAMPED("%[s0]") FBC_LINEAR_CLAMPED("%[s1]") FBC_LINEAR_CLAMPED("%[s2]")
                         FBC_LINEAR_CLAMPED("%[s3]")
                     : [s0] "+&r"(group->s0), [s1] "+&r"(group->s1), [s2] "+&r"(group->s2), [s3] "+&r"(group->s3),
                       [scales] "+&r"(*scales), [addends] "+&r"(*addends), [multiplier] "=&r"(multiplier),
                       [clamp] "=&r"(clamp), [addend] "=&r"(addend)
                     : [shift] "r"(shift), [low] "r"(low), [high] "r"(high));
}

#else

FBC_INLINE void fbc_requantize_clamped(const fbc_scale **scales, const int32_t **addends, uint32_t shift, int32_t low,
                                       int32_t high, uint32_t channels, fbc_linear_group *group) {
    const fbc_block_parameters block = {*scales, *addends, low, high, shift, 0};
    int32_t *const sums[4] = {&group->s0, &group->s1, &group->s2, &group->s3};
    for (uint32_t i = 0; i < 4u && i < channels; i++) {
        *sums[i] = fbc_requantize_sum(&block, 1u, *sums[i], block.scales[i], block.addends[i]);
    }
    *scales += 4;
    *addends += 4;
}

FBC_INLINE void fbc_requantize_plain(const fbc_scale **scales, const int32_t **addends, uint32_t shift, int32_t high,
                                     uint32_t channels, fbc_linear_group *group) {
    fbc_requantize_clamped(scales, addends, shift, 0, high, channels, group);
}

#endif

/* Values of a whole group, most often of the dot products' width; returns where the next one's are. */
FBC_INLINE uint8_t *fbc_linear_store(uint8_t *output, uint32_t bits, uint32_t usual_bits,
                                     const fbc_linear_group *group) {
    const int32_t values[4] = {group->s0, group->s1, group->s2, group->s3};
    if (__builtin_expect((bits & usual_bits) != 0u, 1)) {
        return fbc_store_four(output, usual_bits, usual_bits >> 1, values);
    }
    if (bits & 8u) {
        return fbc_store_four(output, 8u, 4u, values);
    }
    if (bits & 4u) {
        return fbc_store_four(output, 4u, 2u, values);
    }
    if (bits & 2u) {
        return fbc_store_four(output, 2u, 1u, values);
    }
    int32_t *words = (int32_t *)(void *)output;
    words[0] = values[0], words[1] = values[1], words[2] = values[2], words[3] = values[3];
    return output + 16;
}

/* Of a last group of fewer than four channels. */
static __attribute__((noinline)) void fbc_linear_store_rest(uint8_t *output, uint32_t bits, uint32_t channels,
                                                            int32_t v0, int32_t v1, int32_t v2) {
    if (bits == 32u) {
        int32_t *words = (int32_t *)(void *)output;
        words[0] = v0;
        if (channels > 1u) {
            words[1] = v1;
        }
        if (channels > 2u) {
            words[2] = v2;
        }
        return;
    }
    const int32_t values[3] = {v0, v1, v2};
    for (uint32_t i = 0; i < channels; i++) {
        fbc_write_lane(output, i, bits, values[i]);
    }
}

/* The dot products of one group, or of two. */
FBC_INLINE void fbc_dot_group(const fbc_conv_args *args, uint32_t bits, uint32_t macload, fbc_linear_operands *operands,
                              fbc_linear_group *group) {
    if (args->activation_signed) {
        fbc_dot_4(bits, 1u, macload, operands, group);
    } else {
        fbc_dot_4(bits, 0u, macload, operands, group);
    }
}

FBC_INLINE void fbc_dot_groups(const fbc_conv_args *args, uint32_t bits, uint32_t macload,
                               fbc_linear_operands *operands, fbc_linear_group *first, fbc_linear_group *second) {
    if (args->activation_signed) {
        fbc_dot_8(bits, 1u, macload, operands, first, second);
    } else {
        fbc_dot_8(bits, 0u, macload, operands, first, second);
    }
}

/* The calling core's groups, an odd one first. It calls nothing that returns, and so has few registers to save. */
FBC_INLINE void fbc_linear_groups(const fbc_conv_args *args, uint32_t bits, uint32_t macload,
                                  fbc_linear_operands operands) {
    const fbc_requantization *parameters = &args->requantization;
    const fbc_range groups = fbc_core_range((args->output_channels + 3u) >> 2);
    const fbc_scale *scales = parameters->scale + 4u * groups.begin;
    const int32_t *addends = (const int32_t *)parameters->addend + 4u * groups.begin;
    const int32_t *end = (const int32_t *)parameters->addend + 4u * groups.end;
    uint8_t *output = (uint8_t *)args->output + (groups.begin * args->output_bits >> 1);
    operands.weights += groups.begin * operands.group_bytes;
    const int32_t *behind = (const int32_t *)parameters->addend + args->output_channels;
    while (addends != end) {
        fbc_linear_group group = {0, 0, 0, 0}, second = {0, 0, 0, 0};
        if (__builtin_expect(((uintptr_t)end - (uintptr_t)addends) & 16u, 0)) {
            fbc_dot_group(args, bits, macload, &operands, &group);
        } else {
            fbc_dot_groups(args, bits, macload, &operands, &group, &second);
        }
        const int plain = (parameters->low | parameters->clamped) == 0;
        const uint32_t shift = parameters->shift;
        const int32_t high = parameters->high;
        for (;;) {
            if (__builtin_expect(plain, 1)) {
                fbc_requantize_plain(&scales, &addends, shift, high, (uint32_t)(behind - addends), &group);
            } else {
                fbc_requantize_clamped(&scales, &addends, shift, parameters->low, high, (uint32_t)(behind - addends),
                                       &group);
            }
            if (__builtin_expect(addends > behind, 0)) {
                fbc_linear_store_rest(output, args->output_bits, args->output_channels & 3u, group.s0, group.s1,
                                      group.s2);
                return;
            }
            output = fbc_linear_store(output, args->output_bits, bits, &group);
            if ((((uintptr_t)end - (uintptr_t)addends) & 16u) == 0u) {
                break;
            }
            group = second;
        }
    }
}

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

/* Requantization that is not in 32 bits. */
static __attribute__((noinline)) void fbc_linear_wide(const fbc_conv_args *args, uint32_t bits, uint32_t macload,
                                                      const uint8_t *pixel, const uint8_t *weights, uint32_t words,
                                                      uint32_t group_bytes) {
    const fbc_range groups = fbc_core_range((args->output_channels + 3u) >> 2);
    const uint32_t end = 4u * groups.end < args->output_channels ? 4u * groups.end : args->output_channels;
    fbc_linear_operands operands = {pixel, weights + groups.begin * group_bytes, words, group_bytes};
    for (uint32_t channel = 4u * groups.begin; channel < end;) {
        fbc_linear_group group = {0, 0, 0, 0};
        fbc_dot_group(args, bits, macload, &operands, &group);
        const int32_t sums[4] = {group.s0, group.s1, group.s2, group.s3};
        for (uint32_t i = 0; i < 4u && channel < end; i++, channel++) {
            const int32_t value = fbc_requantize(&args->requantization, channel, sums[i]);
            fbc_write_lane(args->output, channel, args->output_bits, value);
        }
    }
}

/* Operands that are gathered or widened, or otherwise rare. */
static __attribute__((noinline)) void fbc_linear_rare(const fbc_conv_args *args, uint32_t bits, uint32_t macload) {
    const fbc_linear_operands operands = fbc_widen_linear(args, bits);
    if (args->requantization.wide) {
        fbc_linear_wide(args, bits, macload, operands.pixel, operands.weights, operands.words, operands.group_bytes);
    } else {
        fbc_linear_groups(args, bits, macload, operands);
    }
}

FBC_INLINE void fbc_linear(const fbc_conv_args *args, uint32_t bits, uint32_t macload) {
    const uint32_t pixel_bytes = fbc_lane_bytes(args->input_channels, bits);
    const uint32_t words = args->kernel_height * args->kernel_width * (pixel_bytes >> 2);
    const fbc_linear_operands operands = {args->input, args->weights, words, 16u * words};
    if (__builtin_expect(
            args->activation_bits != bits || args->weight_bits != bits || (pixel_bytes & 3u) != 0u || words < 2u, 0)) {
        fbc_linear_rare(args, bits, macload);
    } else if (__builtin_expect(args->requantization.wide, 0)) {
        fbc_linear_wide(args, bits, macload, operands.pixel, operands.weights, operands.words, operands.group_bytes);
    } else {
        fbc_linear_groups(args, bits, macload, operands);
    }
}

#endif
