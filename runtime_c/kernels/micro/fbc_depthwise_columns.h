/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* The 5x5 depthwise convolution of one channel, down one column of outputs after the other.
 *
 * It reads the planes of micro/fbc_depthwise_planes.h, borders included. A row of a window is a word, its four left
 * pixels, and a byte. The words of five rows stay in registers; their roles rotate, so the row loop holds five steps.
 * The bytes of four rows make up a word of their own, into which each step shifts its last one; so an output takes five
 * dot products with rows, one with that column, and a multiplication with the corner.
 *
 * Outputs are stored one by one. Of those narrower than 8 bits, the first channel of a byte writes it, and the others
 * insert their lanes into what is there. */
#ifndef FBC_DEPTHWISE_COLUMNS_H
#define FBC_DEPTHWISE_COLUMNS_H

#include "common/fbc_requantize.h"
#include "micro/fbc_xpulp.h"

/* What a requantization needs: clip to [0, high]; or any clamp and bounds. */
typedef enum { FBC_COLUMN_PLAIN, FBC_COLUMN_GENERAL } fbc_column_kind;

/* How an output is stored: as a byte, or as a lane of one. */
typedef enum { FBC_COLUMN_ALONE, FBC_COLUMN_INSERTED } fbc_column_store;

/* A channel. The assembler knows the offsets of the members of both structs. */
typedef struct fbc_column_channel {
    const uint8_t *filter; /* taps, a byte each */
    int32_t multiplier;    /* less one */
    int32_t addend;
    int32_t clamp;
    const uint8_t *plane;            /* first row of the first window */
    uint8_t *output;                 /* first one */
    uint32_t field;                  /* inserted: lane bits - 1 << 5 | position */
    struct fbc_column_channel *next; /* the channel to go on with, or NULL */
} fbc_column_channel;

/* What is the same for all channels. */
typedef struct {
    fbc_column_channel *channel;
    int32_t low;
    int32_t high;
    uint32_t shift;
    uint32_t plane_bytes; /* from row to row of a plane */
    uint32_t row_bytes;   /* from row to row of the output */
    uint32_t columns;     /* at least 1 */
    uint32_t rounds;      /* of five output rows, the first of which may be shorter */
    uint32_t missing;     /* rows of a shorter first round that there are not, 0 to 4 */
    uint32_t plane_next;  /* bytes from behind the last row of a column to the next one */
    uint32_t output_next; /* likewise of the output */
    uint32_t saved[3];    /* registers, by the assembler */
} fbc_columns;

#ifdef FBC_XPULPV2

_Static_assert(sizeof(fbc_column_channel) == 32, "the assembler below has the offsets of members as numbers");
_Static_assert(sizeof(fbc_columns) == 56, "the assembler below has the offsets of members as numbers");

/* Registers: s0-s4 taps of rows, s5 of the column, s6 the corner's; t0-t4 rows, t5 the column, t6 its next byte, then
 * one of the output; a1 sum and value, a2 field, a3 multiplier, a4 addend, a5 shift, a6 clamp, a7 low, s7 high; s8
 * selector that shifts a byte in; s9, s10 bytes from row to row of plane and output, s11 plane, ra output; gp rounds,
 * tp way into the loop, sp plane_next; a0 fbc_columns. gp, tp and sp are put back at the end; only a trap could miss
 * them. The loop has at most 105 instructions, so that it fits a core's instruction buffer. */
#define FBC_COLUMN_NEXT(word) ".insn r 0x0B, 7, 0x10, " word ", s11, s9\n"    /* p.lw */
#define FBC_COLUMN_BYTE(word) ".insn i 0x03, %[byte], " word ", 4(s11)\n"     /* lb or lbu */
#define FBC_COLUMN_SHIFT_IN(byte) ".insn r 0x57, 1, 0x64, t5, " byte ", s8\n" /* pv.shuffle2.b */
#define FBC_COLUMN_DOT(code, word, taps) ".insn r 0x57, 1, %[" code "], a1, " word ", " taps "\n"
#define FBC_COLUMN_CORNER ".insn r 0x33, 0, 0x21, a1, t6, s6\n"    /* p.mac */
#define FBC_COLUMN_MULTIPLY ".insn r 0x33, 0, 0x21, a1, a1, a3\n"  /* p.mac in place: one cycle, mul two */
#define FBC_COLUMN_ADD_SHIFT ".insn r 0x5B, 2, 0x20, a1, a4, a5\n" /* p.addNr */
#define FBC_COLUMN_TAKE_1(d, e) FBC_COLUMN_BYTE("t6") FBC_COLUMN_NEXT(e)
#define FBC_COLUMN_TAKE_2(d, e) \
    FBC_COLUMN_BYTE("a1") FBC_COLUMN_NEXT(d) FBC_COLUMN_BYTE("t6") FBC_COLUMN_NEXT(e) FBC_COLUMN_SHIFT_IN("a1")
#define FBC_COLUMN_CLAMP_PLAIN ""
#define FBC_COLUMN_CLAMP_GENERAL ".insn r 0x33, 5, 0x0A, a1, a1, a6\n" /* p.clip */
#define FBC_COLUMN_CLIP_PLAIN ".insn r 0x33, 6, 0x0A, a1, a1, s7\n"    /* p.clipu */
#define FBC_COLUMN_CLIP_GENERAL \
    ".insn r 0x33, 6, 0x02, a1, a1, a7\n .insn r 0x33, 4, 0x02, a1, a1, s7\n" /* p.max, p.min */
#define FBC_COLUMN_FETCH_ALONE ""
#define FBC_COLUMN_FETCH_INSERTED "lbu t6, 0(ra)\n"
#define FBC_COLUMN_STORE_ALONE ".insn r 0x2B, 4, 0, s10, ra, a1\n" /* p.sb */
#define FBC_COLUMN_STORE_INSERTED \
    ".insn r 0x33, 2, 0x40, t6, a1, a2\n .insn r 0x2B, 4, 0, s10, ra, t6\n" /* p.insert, p.sb */

/* One output: a to e the rows of its window. The byte is shifted in behind the multiplication, which takes a cycle more
 * if its result is used at once. */
#define FBC_COLUMN_STEP(stride, kind, store, a, b, c, d, e) \
    FBC_COLUMN_TAKE_##stride(d, e) FBC_COLUMN_DOT("first", a, "s0") FBC_COLUMN_DOT("more", b, "s1") \
        FBC_COLUMN_DOT("more", c, "s2") FBC_COLUMN_DOT("more", d, "s3") FBC_COLUMN_DOT("more", e, "s4") \
            FBC_COLUMN_DOT("more", "t5", "s5") \
                FBC_COLUMN_CORNER FBC_COLUMN_CLAMP_##kind FBC_COLUMN_MULTIPLY FBC_COLUMN_SHIFT_IN("t6") \
                    FBC_COLUMN_FETCH_##store FBC_COLUMN_ADD_SHIFT FBC_COLUMN_CLIP_##kind FBC_COLUMN_STORE_##store
/* Instructions of a step. */
#define FBC_COLUMN_TAKEN_1 2
#define FBC_COLUMN_TAKEN_2 5
#define FBC_COLUMN_COMPUTED_PLAIN 11
#define FBC_COLUMN_COMPUTED_GENERAL 13
#define FBC_COLUMN_STORED_ALONE 1
#define FBC_COLUMN_STORED_INSERTED 3

/* Two bytes each into the lower and the upper half: pv.packlo.b, pv.packhi.b. */
#define FBC_COLUMN_PACK(word, b0, b1, b2, b3) \
    ".insn r 0x57, 1, 0x70, " word ", " b1 ", " b0 "\n .insn r 0x57, 1, 0x6C, " word ", " b3 ", " b2 "\n"
/* The first bytes of the column: the last of these is that of the row in front of the first new one. */
#define FBC_COLUMN_NEXT_BYTE(word) ".insn r 0x0B, 7, %[bytes], " word ", t5, s9\n" /* p.lb or p.lbu */
#define FBC_COLUMN_THREE_BYTES FBC_COLUMN_NEXT_BYTE("t0") FBC_COLUMN_NEXT_BYTE("t1") FBC_COLUMN_NEXT_BYTE("t2")
#define FBC_COLUMN_BYTES_1 FBC_COLUMN_THREE_BYTES FBC_COLUMN_NEXT_BYTE("t3")
#define FBC_COLUMN_BYTES_2 FBC_COLUMN_THREE_BYTES
#define FBC_COLUMN_PACK_1 FBC_COLUMN_PACK("t5", "t0", "t1", "t2", "t3")
#define FBC_COLUMN_PACK_2 FBC_COLUMN_PACK("t5", "t0", "t0", "t1", "t2")
/* A way into the loop: the rows of the first window but the new ones, in the registers of that step. */
#define FBC_COLUMN_ENTER_1(a, b, c, d, then) \
    FBC_COLUMN_NEXT(a) FBC_COLUMN_NEXT(b) FBC_COLUMN_NEXT(c) FBC_COLUMN_NEXT(d) then
#define FBC_COLUMN_ENTER_2(a, b, c, d, then) FBC_COLUMN_NEXT(a) FBC_COLUMN_NEXT(b) FBC_COLUMN_NEXT(c) then
#define FBC_COLUMN_ENTRIES_1 \
    FBC_COLUMN_ENTER_1("t4", "t0", "t1", "t2", "j 84f\n") \
    FBC_COLUMN_ENTER_1("t3", "t4", "t0", "t1", "j 83f\n") \
    FBC_COLUMN_ENTER_1("t2", "t3", "t4", "t0", "j 82f\n") \
    FBC_COLUMN_ENTER_1("t1", "t2", "t3", "t4", "j 81f\n") \
    FBC_COLUMN_ENTER_1("t0", "t1", "t2", "t3", "")
#define FBC_COLUMN_ENTRIES_2 \
    FBC_COLUMN_ENTER_2("t3", "t4", "t0", "t1", "j 84f\n") \
    FBC_COLUMN_ENTER_2("t1", "t2", "t3", "t4", "j 83f\n") \
    FBC_COLUMN_ENTER_2("t4", "t0", "t1", "t2", "j 82f\n") \
    FBC_COLUMN_ENTER_2("t2", "t3", "t4", "t0", "j 81f\n") \
    FBC_COLUMN_ENTER_2("t0", "t1", "t2", "t3", "")
#define FBC_COLUMN_LOOP_1(kind, store) \
    FBC_COLUMN_STEP(1, kind, store, "t0", "t1", "t2", "t3", "t4") \
    "81:\n" FBC_COLUMN_STEP(1, kind, store, "t1", "t2", "t3", "t4", "t0") "82:\n" FBC_COLUMN_STEP( \
        1, kind, store, "t2", "t3", "t4", "t0", \
        "t1") "83:\n" FBC_COLUMN_STEP(1, kind, store, "t3", "t4", "t0", "t1", \
                                      "t2") "84:\n" FBC_COLUMN_STEP(1, kind, store, "t4", "t0", "t1", "t2", "t3")
#define FBC_COLUMN_LOOP_2(kind, store) \
    FBC_COLUMN_STEP(2, kind, store, "t0", "t1", "t2", "t3", "t4") \
    "81:\n" FBC_COLUMN_STEP(2, kind, store, "t2", "t3", "t4", "t0", "t1") "82:\n" FBC_COLUMN_STEP( \
        2, kind, store, "t4", "t0", "t1", "t2", \
        "t3") "83:\n" FBC_COLUMN_STEP(2, kind, store, "t1", "t2", "t3", "t4", \
                                      "t0") "84:\n" FBC_COLUMN_STEP(2, kind, store, "t3", "t4", "t0", "t1", "t2")
/* Instructions from lp.starti 0 to a column, of the column in front of the loop, of a way into it, behind the loop. */
#define FBC_COLUMN_HEAD 26
#define FBC_COLUMN_BEGIN_1 33
#define FBC_COLUMN_BEGIN_2 27
#define FBC_COLUMN_ENTRY_1 5
#define FBC_COLUMN_ENTRY_2 4
#define FBC_COLUMN_TAIL 3
#define FBC_COLUMN_ROUND(stride, kind, store) \
    (5 * (FBC_COLUMN_TAKEN_##stride + FBC_COLUMN_COMPUTED_##kind + FBC_COLUMN_STORED_##store))

#define FBC_COLUMN_SHARED \
    "sw gp, 44(a0)\n sw tp, 48(a0)\n sw sp, 52(a0)\n" \
    "lw a7, 4(a0)\n lw s7, 8(a0)\n lw a5, 12(a0)\n lw s9, 16(a0)\n lw s10, 20(a0)\n lw gp, 28(a0)\n" \
    "lw t6, 32(a0)\n lw sp, 36(a0)\n li s8, 0x04030201\n"
/* The ways into the loop lie one behind the other, for four missing rows first. */
#define FBC_COLUMN_CHOOSE_ENTRY \
    "lla tp, 6f\n li t5, 4\n sub t5, t5, t6\n li t6, %[entry]\n mul t5, t5, t6\n add tp, tp, t5\n"
#define FBC_COLUMN_CHANNEL \
    "lw a1, 0(a0)\n lw t6, 24(a0)\n lw t0, 0(a1)\n lw a3, 4(a1)\n lw a4, 8(a1)\n lw a6, 12(a1)\n" \
    "lw s11, 16(a1)\n lw ra, 20(a1)\n lw a2, 24(a1)\n" \
    "lw s0, 0(t0)\n lw s1, 5(t0)\n lw s2, 10(t0)\n lw s3, 15(t0)\n lw s4, 20(t0)\n lb s6, 24(t0)\n" \
    "lbu t1, 4(t0)\n lbu t2, 9(t0)\n lbu t3, 14(t0)\n lbu t4, 19(t0)\n" FBC_COLUMN_PACK("s5", "t1", "t2", "t3", "t4")
#define FBC_COLUMN_ASM(is_signed, stride, kind, store) \
    __asm__ volatile( \
        ".balign 4\n .option push\n .option norvc\n .option norelax\n" FBC_COLUMN_SHARED FBC_COLUMN_CHOOSE_ENTRY \
        ".insn i 0x7B, 0, x0, x0, %[start]\n"                                        /* lp.starti 0 */ \
        ".insn i 0x7B, 1, x0, x0, %[end]\n"                                          /* lp.endi 0 */ \
        ".insn i 0x7B, 0, x1, x0, %[column_start]\n"                                 /* lp.starti 1 */ \
        ".insn i 0x7B, 1, x1, x0, %[column_end]\n"                                   /* lp.endi 1 */ \
        "7:\n" FBC_COLUMN_CHANNEL ".insn i 0x7B, 2, x1, t6, 0\n"                     /* lp.count 1 */ \
        "addi t5, s11, 4\n" FBC_COLUMN_BYTES_##stride ".insn i 0x7B, 2, x0, gp, 0\n" /* lp.count 0 */ \
        FBC_COLUMN_PACK_##stride "jr tp\n" \
                                 "6:\n" FBC_COLUMN_ENTRIES_##stride FBC_COLUMN_LOOP_##stride( \
                                     kind, store) "lw t5, 40(a0)\n add s11, s11, sp\n add ra, ra, t5\n" \
                                                  "lw a1, 0(a0)\n lw a1, 28(a1)\n sw a1, 0(a0)\n bnez a1, 7b\n" \
                                                  "lw gp, 44(a0)\n lw tp, 48(a0)\n lw sp, 52(a0)\n" \
                                                  ".option pop" \
        : "+r"(shared) \
        : [first] "i"((is_signed) ? 0x4C : 0x44), [more] "i"((is_signed) ? 0x5C : 0x54), \
          [byte] "i"((is_signed) ? 0 : 4), [bytes] "i"((is_signed) ? 0 : 0x20), \
          [entry] "i"(4 * FBC_COLUMN_ENTRY_##stride), [start] "i"(2 * (FBC_COLUMN_HEAD + FBC_COLUMN_BEGIN_##stride)), \
          [end] "i"(2 * (FBC_COLUMN_HEAD + FBC_COLUMN_BEGIN_##stride + FBC_COLUMN_ROUND(stride, kind, store) - 2)), \
          [column_start] "i"(2 * (FBC_COLUMN_HEAD - 2)), \
          [column_end] "i"(2 * (FBC_COLUMN_HEAD + FBC_COLUMN_BEGIN_##stride + FBC_COLUMN_ROUND(stride, kind, store) + \
                                FBC_COLUMN_TAIL - 4)) \
        : "ra", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", \
          "s10", "s11", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "memory")

/* All columns of the channels. */
#define FBC_DEFINE_COLUMNS(is_signed, stride, kind, store) \
    static void fbc_columns_##is_signed##_##stride##_##kind##_##store(fbc_columns *columns) { \
        register fbc_columns *shared __asm__("a0") = columns; \
        FBC_COLUMN_ASM(is_signed, stride, kind, store); \
    }

#else

/* The output whose window begins at `plane`. */
FBC_INLINE int32_t fbc_column_output(const fbc_columns *shared, const fbc_column_channel *channel, const uint8_t *plane,
                                     uint32_t is_signed, fbc_column_kind kind) {
    int32_t sum = 0;
    for (uint32_t row = 0; row < 5u; row++, plane += shared->plane_bytes) {
        for (uint32_t tap = 0; tap < 5u; tap++) {
            sum += fbc_read_lane(plane, tap, 8u, is_signed) * fbc_read_lane(channel->filter, 5u * row + tap, 8u, 1u);
        }
    }
    if (kind == FBC_COLUMN_GENERAL) {
        sum = fbc_clamp(sum, -channel->clamp - 1, channel->clamp);
    }
    const int32_t value = (fbc_multiply_less_one(sum, channel->multiplier) + channel->addend) >> shared->shift;
    return fbc_clamp(value, kind == FBC_COLUMN_GENERAL ? shared->low : 0, shared->high);
}

FBC_INLINE void fbc_columns_of_channel(const fbc_columns *shared, const fbc_column_channel *channel, uint32_t is_signed,
                                       uint32_t stride, fbc_column_kind kind, fbc_column_store store) {
    const uint32_t rows = 5u * shared->rounds - shared->missing;
    const uint32_t pixel_bytes = shared->output_next + rows * shared->row_bytes;
    const uint32_t position = channel->field & 31u, mask = (2u << (channel->field >> 5)) - 1u;
    for (uint32_t i = 0; i < rows * shared->columns; i++) {
        const uint32_t row = i % rows, column = i / rows;
        const uint8_t *plane = channel->plane + row * stride * shared->plane_bytes + column * stride;
        uint8_t *output = channel->output + row * shared->row_bytes + column * pixel_bytes;
        const uint32_t value = (uint32_t)fbc_column_output(shared, channel, plane, is_signed, kind);
        *output =
            (uint8_t)(store == FBC_COLUMN_ALONE ? value : (*output & ~(mask << position)) | (value & mask) << position);
    }
}

#define FBC_DEFINE_COLUMNS(is_signed, stride, kind, store) \
    static void fbc_columns_##is_signed##_##stride##_##kind##_##store(fbc_columns *columns) { \
        for (; columns->channel != NULL; columns->channel = columns->channel->next) { \
            fbc_columns_of_channel(columns, columns->channel, is_signed, stride, FBC_COLUMN_##kind, \
                                   FBC_COLUMN_##store); \
        } \
    }

#endif

#endif
