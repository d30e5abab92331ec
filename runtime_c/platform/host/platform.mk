# Host: what a Makefile needs to compile the runtime for the machine it runs on. RUNTIME is the folder of this runtime.
# THREADS=1: logical cores run at once.
THREADS ?= 0
HOST_THREADS_1 := -pthread -DFBC_HOST_THREADS=1
PLATFORM_SOURCES := $(RUNTIME)/platform/host/fbc_platform_host.c
PLATFORM_CFLAGS := -std=c11 -O2 -Wall -Wextra -I$(RUNTIME)/include -I$(RUNTIME)/kernels $(HOST_THREADS_$(THREADS))
PLATFORM_LDFLAGS := $(filter -pthread,$(HOST_THREADS_$(THREADS)))
