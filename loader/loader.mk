# SPDX-License-Identifier: Apache-2.0
# The user-space library (everything under loader/ but ctl/) and podwirectl.

LOADER_SRC := $(wildcard loader/*.c loader/base/*.c loader/nl/*.c)
LOADER_LIB := $(BUILD)/libpodwire.a

$(LOADER_LIB): $(LOADER_SRC:%.c=$(BUILD)/%.o)
	$(call say,AR,$@)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

# podwirectl: main.c, and the rest as a library so that tests can link it.
CTL_SRC := $(wildcard loader/ctl/*.c)
CTL_LIB := $(BUILD)/libpodwirectl.a
$(CTL_LIB): $(patsubst %.c,$(BUILD)/%.o,$(filter-out %/main.c,$(CTL_SRC)))
	$(call say,AR,$@)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

PROGS += $(LOADER_LIB) $(BUILD)/podwirectl
$(BUILD)/podwirectl: $(BUILD)/loader/ctl/main.o $(CTL_LIB) $(LOADER_LIB) $(BUILD)/vmm-net/stats.o
	$(call say,LD,$@)
	$(Q)$(CC) $(STATIC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS_BPF) $(LIBS_JSON)
