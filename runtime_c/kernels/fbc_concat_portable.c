/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* One input of a concat, requantized to the output's scale, in portable C. */
#include "common/fbc_requantize.h"
#include "common/fbc_share.h"

/* Where an input does not begin at a byte, its first lanes join the byte that the input before it began: the inputs of
 * one output tile must be written in the order of their offsets. */
void fbc_concat_portable(void *arguments) {
    const fbc_concat_args *args = arguments;
    const uint32_t input_bytes = fbc_lane_bytes(args->channels, args->activation_bits);
    const uint32_t output_bytes = fbc_lane_bytes(args->output_channels, args->output_bits);
    fbc_share share = fbc_core_share(args->pixels, args->channels);
    if (((uint32_t)args->output_offset * args->output_bits & 7u) != 0u) {
        /* Fours of channels would share output bytes. */
        share.channels.begin = 0u;
        share.channels.end = args->channels;
        share.pixels = fbc_core_range(args->pixels);
    }
    for (uint32_t pixel = share.pixels.begin; pixel < share.pixels.end; pixel++) {
        const uint8_t *input = (const uint8_t *)args->input + pixel * input_bytes;
        uint8_t *output = (uint8_t *)args->output + pixel * output_bytes;
        for (uint32_t channel = share.channels.begin; channel < share.channels.end; channel++) {
            const int32_t value = fbc_read_lane(input, channel, args->activation_bits, args->activation_signed);
            fbc_write_lane(output, args->output_offset + channel, args->output_bits,
                           fbc_requantize(&args->requantization, 0u, value));
        }
    }
}
