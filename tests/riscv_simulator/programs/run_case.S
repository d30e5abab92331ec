/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* void run_case(void (*code)(void), uint32_t registers[4]): a0 to a3 from the array, the code, and back. */
    .text
    .globl run_case
run_case:
    addi sp, sp, -16
    sw ra, 12(sp)
    sw s0, 8(sp)
    mv s0, a1
    mv t0, a0
    lw a0, 0(s0)
    lw a1, 4(s0)
    lw a2, 8(s0)
    lw a3, 12(s0)
    jalr t0
    sw a0, 0(s0)
    sw a1, 4(s0)
    sw a2, 8(s0)
    sw a3, 12(s0)
    lw ra, 12(sp)
    lw s0, 8(sp)
    addi sp, sp, 16
    ret
