/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution 3x3 with 8-bit outputs. */
#include "micro/fbc_depthwise_3x3.h"

FBC_DEPTHWISE_ALL_STRIPS(FOLDED, 8)
FBC_DEFINE_DEPTHWISE(fbc_depthwise_3x3_to_8, FOLDED, 8, 8)
