# SPDX-License-Identifier: Apache-2.0
# podwired, the node agent. Everything but main.c is a library, so that tests and fuzzers link it.
# It runs in a container of its own, so what Debian has no static library for is shared.

AGENT_SRC := $(filter-out agent/main.c,$(wildcard agent/*.c))
AGENT_LIB := $(BUILD)/libpodwired.a
LIBS_AGENT = -Wl,-Bstatic $(LIBS_BPF) $(LIBS_JSON) -lyaml -Wl,-Bdynamic -lcurl -lmicrohttpd

$(AGENT_LIB): $(AGENT_SRC:%.c=$(BUILD)/%.o)
	$(call say,AR,$@)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

$(BUILD)/podwired: $(BUILD)/agent/main.o $(AGENT_LIB) $(CTL_LIB) $(LOADER_LIB)
	$(call say,LD,$@)
	$(Q)$(CC) -pie $(ALL_LDFLAGS) -o $@ $^ $(LIBS_AGENT)

PROGS += $(BUILD)/podwired
