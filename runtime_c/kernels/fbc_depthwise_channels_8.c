/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution 3x3, stride 1 or 2, of channel-first activations of 8 bits to outputs of 8 bits, clipped to all
 * of them: each channel is read in place, without scratch.
 *
 * The work is cut into units: a band of output rows of one channel. Each core takes a run of units. */
#include "micro/fbc_depthwise_channels_1.h"
#include "micro/fbc_depthwise_channels_2.h"

/* A unit costs about eight cycles per output, fourteen per strip of two columns, and what it costs by itself. */
static const fbc_band_costs band_costs = {.kernel = 3, .pixel = 8, .column = 7, .unit = 100};

void fbc_depthwise_channels_8(void *arguments) {
    const fbc_conv_args *args = arguments;
    if (args->stride_height == 1u) {
        fbc_depthwise_channels_1(args, &band_costs);
    } else {
        fbc_depthwise_channels_2(args, &band_costs);
    }
}
