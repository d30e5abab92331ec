# Host: what a Makefile needs to compile the runtime for the machine it runs on. RUNTIME is the folder of this runtime.
PLATFORM_SOURCES := $(RUNTIME)/platform/host/fbc_platform_host.c
PLATFORM_CFLAGS := -std=c11 -O2 -Wall -Wextra -I$(RUNTIME)/include -I$(RUNTIME)/kernels
PLATFORM_LDFLAGS :=
