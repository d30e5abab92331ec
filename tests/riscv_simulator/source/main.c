/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Command line: runs one program and takes over its exit status. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"

static const char usage[] =
    "usage: riscv_simulator [options] program.elf\n"
    "  --cores N              cluster cores, 1 to 8 (8)\n"
    "  --isa rv32imc|xpulpv2|xpulpnn\n"
    "                         extensions of all cores; p.elw is always there (xpulpnn)\n"
    "  --quantum N|random     instructions of a core before the next one runs (16)\n"
    "  --seed N               of memory contents, random quanta and random copies (1)\n"
    "  --copies delayed|immediate|random\n"
    "                         when DMA and HyperRAM copies happen: when waited for, when started, either (delayed)\n"
    "  --max-instructions N   stop after so many instructions of one core (0: never)\n";

static _Noreturn void wrong_usage(const char *what, const char *value) {
    fprintf(stderr, "riscv_simulator: error: %s '%s'\n%s", what, value, usage);
    exit(STATUS_FAULT);
}

static uint64_t number(const char *option, const char *text, uint64_t low, uint64_t high) {
    char *end;
    const unsigned long long value = strtoull(text, &end, 0);
    if (*text < '0' || *text > '9' || *end != '\0' || value < low || value > high) {
        wrong_usage(option, text);
    }
    return value;
}

static int choice(const char *option, const char *text, const char *const *names, int count) {
    for (int i = 0; i < count; i++) {
        if (strcmp(text, names[i]) == 0) {
            return i;
        }
    }
    wrong_usage(option, text);
}

static void set_option(Options *options, const char *name, const char *value) {
    static const char *const copies[] = {"delayed", "immediate", "random"};
    static const char *const isas[] = {"rv32imc", "xpulpv2", "xpulpnn"};
    if (strcmp(name, "--cores") == 0) {
        options->cores = (uint32_t)number(name, value, 1, MAXIMUM_CLUSTER_CORES);
    } else if (strcmp(name, "--quantum") == 0) {
        options->quantum = strcmp(value, "random") == 0 ? 0u : (uint32_t)number(name, value, 1, 1000000);
    } else if (strcmp(name, "--seed") == 0) {
        options->seed = number(name, value, 0, UINT32_MAX);
    } else if (strcmp(name, "--copies") == 0) {
        options->copies = (CopyMode)choice(name, value, copies, 3);
    } else if (strcmp(name, "--isa") == 0) {
        options->isa = (Isa)choice(name, value, isas, 3);
    } else if (strcmp(name, "--max-instructions") == 0) {
        options->maximum_instructions = number(name, value, 0, UINT64_MAX);
    } else {
        wrong_usage("unknown option", name);
    }
}

int main(int argument_count, char **arguments) {
    static Machine machine;
    Options options = {.cores = MAXIMUM_CLUSTER_CORES, .quantum = 16, .seed = 1, .isa = ISA_XPULPNN};
    int i = 1;
    for (; i + 1 < argument_count && arguments[i][0] == '-'; i += 2) {
        set_option(&options, arguments[i], arguments[i + 1]);
    }
    if (i + 1 != argument_count) {
        wrong_usage("one program is expected, found", i < argument_count ? arguments[i] : "none");
    }
    machine_reset(&machine, &options);
    Core *fabric = &machine.cores[FABRIC];
    fabric->pc = elf_load(&machine, arguments[i]);
    fabric->state = CORE_RUNNING;
    machine_run(&machine);
    fprintf(stderr, "riscv_simulator: status %d after %llu instructions\n", machine.status,
            (unsigned long long)machine_instructions(&machine));
    return machine.status & 0xFF;
}
