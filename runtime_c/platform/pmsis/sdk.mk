# Builds with the rules of a sourced SDK (pulp-sdk, gap_sdk); the project's Makefile calls it as `make pmsis`.
# SOURCES and DEFINES come from there. HostFS names are relative to the SDK's work folder, BUILD/<chip>/<compiler>.
include $(RUNTIME)/platform/pmsis/platform.mk

APP := network
APP_SRCS := $(SOURCES) $(PLATFORM_SOURCES)
APP_CFLAGS += $(PLATFORM_CFLAGS) $(DEFINES) -Iinc -DFBC_HOST_FOLDER='"../../../"'
CONFIG_HYPERRAM := 1
CONFIG_HOSTFS := 1
export USE_HYPERRAM := 1
ifeq ($(PMSIS_FLASH),1)
CONFIG_HYPERFLASH := 1
CONFIG_READFS := 1
export USE_HYPERFLASH := 1
READFS_FILES := $(CURDIR)/input.bin $(CURDIR)/hex/weights.bin
endif

include $(RULES_DIR)/pmsis_rules.mk
