/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Entry points of the fabric controller (reset) and of the cluster cores (started by the fabric controller). */
    .option norelax

    .section .vectors, "ax"
    .balign 256
vectors:
    .rept 32
    .option push
    .option norvc
    j trap
    .option pop
    .endr

    .section .text.start, "ax"
    .globl _start
_start:
    la t0, vectors
    csrw mtvec, t0
    la sp, _fabric_stack_top
    la t0, _bss_start
    la t1, _bss_end
clear_bss:
    bgeu t0, t1, start_fabric
    sw zero, 0(t0)
    addi t0, t0, 4
    j clear_bss
start_fabric:
    call fbc_fabric_main
halt:
    wfi
    j halt

/* Core 0 has the top of L1 for its stack, the others a smaller stack each below it. */
    .balign 256
    .globl _cluster_start
_cluster_start:
    la t0, vectors
    csrw mtvec, t0
    csrr a0, mhartid
    andi a0, a0, 31
    la sp, _cluster_stack_top
    beqz a0, start_cluster
    la sp, _worker_stacks_top
    la t0, _worker_stack_bytes
    addi t1, a0, -1
    mul t0, t0, t1
    sub sp, sp, t0
start_cluster:
    call fbc_cluster_main
    j halt

trap:
    csrr a0, mcause
    csrr a1, mepc
    csrr a2, mhartid
    call fbc_trap
    j halt
