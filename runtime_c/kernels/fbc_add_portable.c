/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Residual add in portable C. */
#include "common/fbc_requantize.h"
#include "common/fbc_share.h"

FBC_INLINE void add_lanes(const fbc_add_args *args, const fbc_share *share, uint32_t bits_a, uint32_t bits_b,
                          uint32_t output_bits) {
    const uint32_t bytes_a = fbc_lane_bytes(args->channels, bits_a);
    const uint32_t bytes_b = fbc_lane_bytes(args->channels, bits_b);
    const uint32_t output_bytes = fbc_lane_bytes(args->channels, output_bits);
    for (uint32_t pixel = share->pixels.begin; pixel < share->pixels.end; pixel++) {
        const uint8_t *input_a = (const uint8_t *)args->input_a + pixel * bytes_a;
        const uint8_t *input_b = (const uint8_t *)args->input_b + pixel * bytes_b;
        uint8_t *output = (uint8_t *)args->output + pixel * output_bytes;
        for (uint32_t channel = share->channels.begin; channel < share->channels.end; channel++) {
            const int32_t sum = fbc_read_lane(input_a, channel, bits_a, args->signed_a) * args->multiplier_a +
                                fbc_read_lane(input_b, channel, bits_b, args->signed_b) * args->multiplier_b +
                                args->addend;
            fbc_write_lane(output, channel, output_bits, fbc_clamp(sum >> args->shift, args->low, args->high));
        }
    }
}

void fbc_add_portable(void *arguments) {
    const fbc_add_args *args = arguments;
    const fbc_share share = fbc_core_share(args->pixels, args->channels);
    if (args->bits_a == 8u && args->bits_b == 8u && args->output_bits == 8u) {
        add_lanes(args, &share, 8u, 8u, 8u);
    } else {
        add_lanes(args, &share, args->bits_a, args->bits_b, args->output_bits);
    }
}
