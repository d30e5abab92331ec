/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution 3x3 with 4-bit outputs. */
#include "micro/fbc_depthwise_3x3.h"

FBC_DEPTHWISE_ALL_STRIPS(SHORT, 4)
FBC_DEFINE_DEPTHWISE(fbc_depthwise_3x3_to_4, SHORT, 4, 4)
