# PULP-open, bare metal, upstream riscv gcc. RUNTIME is the folder of this runtime; MARCH and ISA come from the target.
RISCV_CC ?= riscv64-unknown-elf-gcc
PULP_ARCH := -march=$(MARCH) -mabi=ilp32
PULP_ISA_xpulpv2 := -DFBC_XPULPV2
PULP_ISA_xpulpnn := -DFBC_XPULPV2 -DFBC_XPULPNN
# Scheduling before register allocation only makes the blocked kernels spill.
# With _zicsr in the architecture's name gcc finds no rv32 multilib, so libgcc is looked up by the nearest name it knows.
PULP_LIBGCC = $(shell $(RISCV_CC) -march=$(firstword $(subst _, ,$(MARCH))) -mabi=ilp32 -print-libgcc-file-name)
PLATFORM_SOURCES := $(RUNTIME)/platform/pulp_open/crt0.S $(RUNTIME)/platform/pulp_open/fbc_platform_pulp_open.c \
  $(RUNTIME)/platform/pulp_open/fbc_semihosting.c $(RUNTIME)/platform/pulp_open/libc/string.c
PLATFORM_CFLAGS := -std=gnu11 -O2 -Wall -Wextra -ffreestanding -fbuiltin -fno-tree-loop-distribute-patterns -fno-schedule-insns -falign-functions=16 \
  -ffunction-sections -fdata-sections $(PULP_ARCH) $(PULP_ISA_$(ISA)) -DFBC_INLINE_CORES -I$(RUNTIME)/include -I$(RUNTIME)/kernels \
  -I$(RUNTIME)/platform/pulp_open -I$(RUNTIME)/platform/pulp_open/libc
# Layer functions only start transfers and kernels: small code matters more there than fast code.
PLATFORM_LAYER_CFLAGS := -Os
PLATFORM_LDFLAGS = $(PULP_ARCH) -nostdlib -static -Wl,--gc-sections -Wl,--no-warn-rwx-segments -T $(RUNTIME)/platform/pulp_open/link.ld $(PULP_LIBGCC)
