/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Global average pooling in portable C: sum over the plane, then requantize. */
#include "common/fbc_requantize.h"
#include "common/fbc_share.h"

void fbc_average_pool_portable(void *arguments) {
    const fbc_pool_args *args = arguments;
    const uint32_t pixels = (uint32_t)args->input_height * args->input_width;
    const uint32_t pixel_bytes = fbc_lane_bytes(args->channels, args->activation_bits);
    const fbc_range channels = fbc_core_share(0u, args->channels).channels;
    for (uint32_t channel = channels.begin; channel < channels.end; channel++) {
        const uint8_t *input = args->input;
        int32_t sum = 0;
        for (uint32_t pixel = 0; pixel < pixels; pixel++) {
            sum += fbc_read_lane(input, channel, args->activation_bits, args->activation_signed);
            input += pixel_bytes;
        }
        fbc_write_lane(args->output, channel, args->output_bits, fbc_requantize(&args->requantization, 0u, sum));
    }
}
