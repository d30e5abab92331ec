/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution 3x3 with 2-bit outputs: four channels are a byte, whose halves two strips write. */
#include "micro/fbc_depthwise_3x3.h"

FBC_DEPTHWISE_ALL_STRIPS(SHORT, 2L)
FBC_DEPTHWISE_ALL_STRIPS(SHORT, 2H)
FBC_DEFINE_DEPTHWISE(fbc_depthwise_3x3_to_2, SHORT, 2L, 2H)
