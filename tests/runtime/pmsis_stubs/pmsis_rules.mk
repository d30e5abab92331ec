# Stands in for an SDK's rules: builds the app for this computer, over the PMSIS calls of pmsis_host.c. Its variables are
# those that pulp-sdk's and gap_sdk's rules read.
STUBS := $(dir $(lastword $(MAKEFILE_LIST)))
BUILDDIR := BUILD/HOST/CC
CHECKS := -g -Wall -Wextra -fsanitize=address,undefined -fno-sanitize-recover=all
# Fields of DMA commands have 32 bits, so the program is linked into the lowest 4 GiB.
ADDRESSES := -fno-pie -no-pie

all:: $(BUILDDIR)/$(APP)

$(BUILDDIR)/$(APP): $(APP_SRCS) $(STUBS)/pmsis_host.c
	@mkdir -p $(@D)
	$(CC) $(APP_CFLAGS) -O1 $(CHECKS) $(ADDRESSES) -I$(STUBS) $^ -pthread -o $@

run: all
	cd $(BUILDDIR) && ./$(APP)
