/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Programs that behave well or badly, chosen by the number in scenario.bin. */
#include "fbc_platform.h"
#include "fbc_pulp_open.h"

#include <string.h>

enum { BYTES = 256, ROUNDS = 200, EVENT = 3, CODE_WORDS = 16, UNTOUCHED = 0x5A };

#define EVENT_BUFFER FBC_REGISTER(FBC_EVENT_UNIT_BASE + 0x1Cu)
#define SEND_EVENT FBC_REGISTER(FBC_EVENT_UNIT_BASE + 0x100u + 4u * EVENT)

static uint8_t l2_data[BYTES] __attribute__((aligned(4)));
static uint8_t l1_data[BYTES] __attribute__((section(".l1_data"), aligned(16)));
static volatile uint32_t shared_count __attribute__((section(".l1_data")));
static volatile uint32_t own_counts[FBC_CORES] __attribute__((section(".l1_data")));
static uint32_t code[CODE_WORDS];

static void fill(uint8_t *data, uint32_t start) {
    for (uint32_t i = 0; i < BYTES; i++) {
        data[i] = (uint8_t)(start + 7u * i);
    }
}

static int is_filled(const uint8_t *data, uint32_t start) {
    for (uint32_t i = 0; i < BYTES; i++) {
        if (data[i] != (uint8_t)(start + 7u * i)) {
            return 0;
        }
    }
    return 1;
}

static const fbc_dma_copy whole = {l1_data, l2_data, BYTES, 1, BYTES};

/* The status has bit 0 set if the data came after the wait, bit 1 if it was there before. */
static int copy_in(void) {
    fill(l2_data, 1);
    memset(l1_data, UNTOUCHED, BYTES);
    fbc_dma_in(&whole);
    const int early = is_filled(l1_data, 1);
    fbc_dma_wait();
    return is_filled(l1_data, 1) | early << 1;
}

/* Bit 0: the copy has what was there when it started; the source changes before the wait. */
static int copy_out_of_changing_source(void) {
    fill(l1_data, 2);
    memset(l2_data, UNTOUCHED, BYTES);
    fbc_dma_out(&whole);
    memset(l1_data, 0, BYTES);
    fbc_dma_wait();
    return is_filled(l2_data, 2);
}

/* Bit 0: the lines arrived, bit 1: the gaps between them are as they were. */
static int copy_lines(void) {
    const fbc_dma_copy lines = {l1_data, l2_data, 5, 20, 12};
    fill(l1_data, 3);
    memset(l2_data, UNTOUCHED, BYTES);
    fbc_dma_out(&lines);
    fbc_dma_wait();
    int arrived = 1;
    int kept = 1;
    for (uint32_t i = 0; i < BYTES; i++) {
        const int inside = i / 12u < 20u && i % 12u < 5u;
        const uint8_t expected = inside ? l1_data[i / 12u * 5u + i % 12u] : UNTOUCHED;
        arrived &= !inside || l2_data[i] == expected;
        kept &= inside || l2_data[i] == expected;
    }
    return arrived | kept << 1;
}

static int end_during_copy(void) {
    fbc_dma_in(&whole);
    return 0;
}

static int external_memory(void) {
    fill(l2_data, 4);
    const int file = fbc_file_open("external.bin", 1);
    if (file < 0 || fbc_file_write(file, l2_data, BYTES) != 0) {
        return 64;
    }
    fbc_file_close(file);
    if (fbc_l3_load_file("external.bin", BYTES) != 0) {
        return 65;
    }
    static const fbc_l3_transfer read = {0u, 0u, BYTES, 0u};
    memset(fbc_l2_arena, UNTOUCHED, BYTES);
    fbc_l3_begin(&read);
    fbc_l3_allow(1u);
    for (volatile int i = 0; i < 30; i++) { /* long enough for the start of the transfer, too short for it */
    }
    const int early = is_filled(fbc_l2_arena, 4);
    fbc_l3_wait(1u);
    return is_filled(fbc_l2_arena, 4) | early << 1;
}

static void count_in_turn(void *unused) {
    (void)unused;
    for (int i = 0; i < ROUNDS; i++) {
        shared_count = shared_count + 1u;
    }
}

static void count_alone(void *unused) {
    (void)unused;
    for (int i = 0; i < ROUNDS; i++) {
        own_counts[fbc_core_id()] = own_counts[fbc_core_id()] + 1u;
    }
}

static int race(void) {
    shared_count = 0;
    fbc_parallel(count_in_turn, NULL);
    return shared_count == FBC_CORES * ROUNDS;
}

static int no_race(void) {
    memset((void *)(uintptr_t)own_counts, 0, sizeof own_counts);
    fbc_parallel(count_alone, NULL);
    uint32_t sum = 0;
    for (uint32_t i = 0; i < FBC_CORES; i++) {
        sum += own_counts[i];
    }
    return sum == FBC_CORES * ROUNDS;
}

static void wait_for_event(void) {
    uint32_t unspecified;
    __asm__ volatile(".insn i 0x03, 6, %0, 0x3C(%1)" : "=r"(unspecified) : "r"(FBC_EVENT_UNIT_BASE) : "memory");
}

/* The others sleep until core 0 has sent them an event, which must be gone from their buffer then. */
static void relay(void *unused) {
    (void)unused;
    if (fbc_core_id() == 0u) {
        SEND_EVENT = (1u << FBC_CORES) - 2u;
    } else {
        FBC_EVENT_MASK = 1u << EVENT;
        wait_for_event();
        FBC_EVENT_MASK = FBC_EVENT_BARRIER;
        if ((EVENT_BUFFER & 1u << EVENT) == 0u) {
            own_counts[fbc_core_id()] = own_counts[fbc_core_id()] + 1u;
        }
    }
}

static int software_events(void) {
    memset((void *)(uintptr_t)own_counts, 0, sizeof own_counts);
    fbc_parallel(relay, NULL);
    fbc_parallel(relay, NULL); /* the events of the first time must be gone, so that they come again */
    int complete = 1;
    for (uint32_t i = 1; i < FBC_CORES; i++) {
        complete &= own_counts[i] == 2u;
    }
    return complete;
}

static int wait_for_nothing(void) {
    FBC_EVENT_MASK = 1u << EVENT;
    wait_for_event();
    return 0;
}

static int never_end(void) {
    volatile int goes_on = 1;
    while (goes_on) {
    }
    return 0;
}

static int files(void) {
    char text[8] = "";
    fbc_print("text of the program\n");
    int file = fbc_file_open("written.bin", 1);
    if (file < 0 || fbc_file_write(file, "abcdef", 6) != 0) {
        return 65;
    }
    fbc_file_close(file);
    file = fbc_file_open("written.bin", 0);
    const int complete = fbc_file_read(file, text, 6) == 0 && text[0] == 'a' && text[5] == 'f';
    const int beyond = fbc_file_read(file, text, 1);
    fbc_file_close(file);
    return complete && beyond == -1 ? 42 : 66;
}

static int missing_file(void) {
    return fbc_file_open("there is no such file", 0) == -1 ? 43 : 64;
}

/* Runs words.bin as code, with a0 = L1 data and a1 = L2 data. */
static int run_words(void) {
    const int file = fbc_file_open("words.bin", 0);
    if (file < 0 || fbc_file_read(file, code, sizeof code) != 0) {
        return 64;
    }
    fbc_file_close(file);
    __asm__ volatile("fence" ::: "memory");
    return (int)((uintptr_t (*)(void *, void *))(uintptr_t)code)(l1_data, l2_data);
}

int fbc_main(void) {
    static int (*const scenarios[])(void) = {copy_in,
                                             copy_out_of_changing_source,
                                             copy_lines,
                                             end_during_copy,
                                             external_memory,
                                             race,
                                             no_race,
                                             software_events,
                                             wait_for_nothing,
                                             never_end,
                                             files,
                                             run_words,
                                             missing_file};
    uint32_t number = 0;
    const int file = fbc_file_open("scenario.bin", 0);
    if (file < 0 || fbc_file_read(file, &number, sizeof number) != 0) {
        return 99;
    }
    fbc_file_close(file);
    return scenarios[number]();
}
