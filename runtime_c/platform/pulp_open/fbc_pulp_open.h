/* Copyright: The fbcompile authors. SPDX-License-Identifier: Apache-2.0 */
/* Registers of PULP-open that the runtime uses (addresses and meanings were checked on GVSOC). */
#ifndef FBC_PULP_OPEN_H
#define FBC_PULP_OPEN_H

#include <stdint.h>

#define FBC_REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))

#define FBC_SOC_STATUS FBC_REGISTER(0x1A1040A0u) /* a write with bit 31 set ends the simulation */
#define FBC_FABRIC_ICACHE_ENABLE FBC_REGISTER(0x1A108800u)

#define FBC_CLUSTER_FETCH_ENABLE FBC_REGISTER(0x10200008u)
#define FBC_CLUSTER_BOOT_ADDRESS(core) FBC_REGISTER(0x10200040u + 4u * (core))
#define FBC_CLUSTER_ICACHE_ENABLE FBC_REGISTER(0x10201400u)

/* Event unit, as each core sees its own part. */
#define FBC_EVENT_MASK FBC_REGISTER(0x10204000u)
#define FBC_EVENT_BARRIER (1u << 16)
#define FBC_BARRIER_TRIGGER_MASK FBC_REGISTER(0x10204200u)
#define FBC_BARRIER_TARGET_MASK FBC_REGISTER(0x1020420Cu)
#define FBC_EVENT_UNIT_BASE 0x10204000u
#define FBC_BARRIER_WAIT_OFFSET 0x21C /* load with p.elw: triggers barrier 0, sleeps, clears */

/* DMA (mchan). */
#define FBC_DMA_COMMAND FBC_REGISTER(0x10204400u) /* read: allocates a counter; write: command words */
#define FBC_DMA_STATUS FBC_REGISTER(0x10204404u)  /* read: bit n = counter n busy; write: frees counters */
#define FBC_DMA_TO_L1 (1u << 17)
#define FBC_DMA_INCREMENT (1u << 18)
#define FBC_DMA_TWO_D (1u << 19)

/* uDMA, HyperRAM channel, transaction 0. */
#define FBC_UDMA_CLOCK_ENABLE FBC_REGISTER(0x1A102000u)
#define FBC_HYPER_READ_ADDRESS FBC_REGISTER(0x1A102480u)
#define FBC_HYPER_READ_BYTES FBC_REGISTER(0x1A102484u)
#define FBC_HYPER_READ_START FBC_REGISTER(0x1A102488u)
#define FBC_HYPER_WRITE_ADDRESS FBC_REGISTER(0x1A10248Cu)
#define FBC_HYPER_WRITE_BYTES FBC_REGISTER(0x1A102490u)
#define FBC_HYPER_WRITE_START FBC_REGISTER(0x1A102494u)
#define FBC_HYPER_COMMAND FBC_REGISTER(0x1A102498u)
#define FBC_HYPER_EXTERNAL_ADDRESS FBC_REGISTER(0x1A10249Cu)
#define FBC_HYPER_STATUS FBC_REGISTER(0x1A1024A4u)
#define FBC_HYPER_DEVICE FBC_REGISTER(0x1A1028A0u)
#define FBC_HYPER_COMMAND_WRITE 1u
#define FBC_HYPER_COMMAND_READ 5u
#define FBC_HYPER_START 0x14u

#endif
