# PMSIS: what a Makefile needs to compile the runtime against an SDK of a PULP chip. RUNTIME is the folder of this
# runtime, ISA comes from the target (portable for an assembler that does not know .insn).
PMSIS_ISA_xpulpv2 := -DFBC_XPULPV2
PMSIS_ISA_xpulpnn := -DFBC_XPULPV2 -DFBC_XPULPNN
PMSIS_FLASH ?= 0
PMSIS_FLASH_1 := -DFBC_PMSIS_FLASH
PLATFORM_SOURCES := $(RUNTIME)/platform/pmsis/fbc_platform_pmsis.c
PLATFORM_CFLAGS := -std=gnu11 -O2 -fno-schedule-insns $(PMSIS_ISA_$(ISA)) $(PMSIS_FLASH_$(PMSIS_FLASH)) \
  -I$(RUNTIME)/include -I$(RUNTIME)/kernels
PLATFORM_LDFLAGS :=
