/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* FBC_FOR_EACH_OPERAND(X) calls X(activation_bits, activation_signed, weight_bits) for every combination of operands,
 * so that a kernel can instantiate a body with constant widths for each and select one at run time. */
#ifndef FBC_INSTANCES_H
#define FBC_INSTANCES_H

#define FBC_FOR_EACH_WEIGHT(X, activation_bits, activation_signed) \
    X(activation_bits, activation_signed, 8) \
    X(activation_bits, activation_signed, 4) \
    X(activation_bits, activation_signed, 2)

#define FBC_FOR_EACH_OPERAND(X) \
    FBC_FOR_EACH_WEIGHT(X, 8, 0) \
    FBC_FOR_EACH_WEIGHT(X, 8, 1) \
    FBC_FOR_EACH_WEIGHT(X, 4, 0) \
    FBC_FOR_EACH_WEIGHT(X, 4, 1) \
    FBC_FOR_EACH_WEIGHT(X, 2, 0) \
    FBC_FOR_EACH_WEIGHT(X, 2, 1)

/* Position of a combination in a table that FBC_FOR_EACH_OPERAND filled. */
#define FBC_OPERAND_INDEX(activation_bits, activation_signed, weight_bits) \
    (FBC_WIDTH_INDEX(activation_bits) * 6u + ((activation_signed) ? 3u : 0u) + FBC_WIDTH_INDEX(weight_bits))
#define FBC_WIDTH_INDEX(bits) ((bits) == 8u ? 0u : (bits) == 4u ? 1u : 2u)

#endif
