/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* The program around a generated network, the same on the host and on GVSOC.
 *
 * In its working directory it reads
 *   input.bin    any number n >= 1 of packed inputs of NETWORK_INPUT_BYTES each; it is read until its end, an
 * incomplete input at the end is left out weights.bin  the L3 image, NETWORK_WEIGHT_BYTES (not read if no layer has
 * weights) and writes trace.bin    for each input the packed output of every layer, in layer order profile.bin  for
 * each input and layer four uint32, little-endian: total, compute, dma_wait and l3_wait cycles
 *
 * Exit status: 0; 2 no complete input; 3 weights.bin; 4 trace.bin; 5 profile.bin cannot be read or written; with guard
 * zones compiled in, 16 + n % 100 if layer n wrote outside of its L1 buffers, 116 + n % 100 if the arguments of
 * a kernel of layer n broke a rule of kernels/common/fbc_check.h; name and rule are printed.
 */
#include "fbc_platform.h"
#include "common/fbc_check.h"
#include "network.h"

enum {
    STATUS_INPUT = 2,
    STATUS_WEIGHTS = 3,
    STATUS_TRACE = 4,
    STATUS_PROFILE = 5,
    STATUS_GUARD = 16,
    STATUS_ARGUMENTS = 116
};

/* What the observer returns; apart from the layer numbers that network_run_observed returns. */
enum { TRACE_FAILED = -1 };

typedef struct {
    int input;
    int trace;
    int profile;
} files;

static int write_trace(void *context, uint32_t layer, const void *output, uint32_t bytes) {
    const files *open = context;
    (void)layer;
    return fbc_file_write(open->trace, output, bytes) == 0 ? 0 : TRACE_FAILED;
}

/* Says what network_run_observed found wrong with a layer; returns the exit status. */
static int report_layer(int result) {
    const int refused = result > NETWORK_LAYERS;
    const int layer = result - 1 - (refused ? NETWORK_LAYERS : 0);
    fbc_print(network_layers[layer].name);
    fbc_print(refused ? ": arguments of a kernel: " : ": wrote outside of its L1 buffers");
    fbc_print(refused ? fbc_rule_text((fbc_rule)network_broken_rule) : "");
    fbc_print("\n");
    return (refused ? STATUS_ARGUMENTS : STATUS_GUARD) + layer % 100;
}

static int run_all(const files *open) {
    uint8_t *const input = fbc_l2_arena + NETWORK_INPUT_OFFSET;
    uint32_t runs = 0u;
    while (fbc_file_read(open->input, input, NETWORK_INPUT_BYTES) == 0) {
        files context = *open;
        const int result = network_run_observed(input, NULL, write_trace, &context);
        if (result == TRACE_FAILED) {
            return STATUS_TRACE;
        }
        if (result != 0) {
            return report_layer(result);
        }
        if (fbc_file_write(open->profile, network_profile, (uint32_t)sizeof network_profile) != 0) {
            return STATUS_PROFILE;
        }
        runs++;
    }
    return runs == 0u ? STATUS_INPUT : 0;
}

static int run_with_outputs(files *open) {
    open->trace = fbc_file_open("trace.bin", 1);
    if (open->trace < 0) {
        return STATUS_TRACE;
    }
    int status = STATUS_PROFILE;
    open->profile = fbc_file_open("profile.bin", 1);
    if (open->profile >= 0) {
        status = run_all(open);
        fbc_file_close(open->profile);
    }
    fbc_file_close(open->trace);
    return status;
}

int fbc_main(void) {
    if (network_init() != 0) {
        return STATUS_WEIGHTS;
    }
    files open = {.input = fbc_file_open("input.bin", 0), .trace = -1, .profile = -1};
    if (open.input < 0) {
        return STATUS_INPUT;
    }
    const int status = run_with_outputs(&open);
    fbc_file_close(open.input);
    return status;
}
