# SPDX-License-Identifier: Apache-2.0
# The CNI plugin. Everything but main.c is a library, so that tests and fuzzers link it.

CNI_SRC := $(filter-out cni/main.c,$(wildcard cni/*.c))
CNI_LIB := $(BUILD)/libpodwire-cni.a

$(CNI_LIB): $(CNI_SRC:%.c=$(BUILD)/%.o)
	$(call say,AR,$@)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

$(BUILD)/podwire: $(BUILD)/cni/main.o $(CNI_LIB) $(LOADER_LIB)
	$(call say,LD,$@)
	$(Q)$(CC) $(STATIC) $(ALL_LDFLAGS) -o $@ $(BUILD)/cni/main.o $(CNI_LIB) $(LOADER_LIB) $(LIBS_BPF) $(LIBS_JSON)

PROGS += $(BUILD)/podwire
