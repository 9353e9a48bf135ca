# SPDX-License-Identifier: Apache-2.0
# The user-space library (everything under loader/ but ctl/) and podwirectl.

LOADER_SRC := $(wildcard loader/*.c loader/base/*.c loader/nl/*.c)
LOADER_LIB := $(BUILD)/libpodwire.a

$(LOADER_LIB): $(LOADER_SRC:%.c=$(BUILD)/%.o)
	$(call say,AR,$@)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

CTL_SRC := $(wildcard loader/ctl/*.c)
ifneq ($(CTL_SRC),)
PROGS += $(BUILD)/podwirectl
$(BUILD)/podwirectl: $(CTL_SRC:%.c=$(BUILD)/%.o) $(LOADER_LIB)
	$(call say,LD,$@)
	$(Q)$(CC) $(STATIC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(LOADER_LIB) $(LIBS_BPF) $(LIBS_JSON)
endif
PROGS += $(LOADER_LIB)
