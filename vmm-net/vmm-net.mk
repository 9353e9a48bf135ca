# SPDX-License-Identifier: Apache-2.0
# libvmmnet, the vhost-user back-end over it, and the example of a VMM that embeds it.

VHOST_SRC := $(addprefix vmm-net/,podwire-vhost.c options.c serve.c sandbox.c supervisor.c)
VMMNET_SRC := $(filter-out $(VHOST_SRC) vmm-net/example.c,$(wildcard vmm-net/*.c))
VMMNET_LIB := $(BUILD)/libvmmnet.a
VMMNET_BASE := $(BUILD)/loader/base/err.o $(BUILD)/loader/base/addr.o $(BUILD)/loader/base/fs.o

# With the base files it needs, so that a VMM links one archive.
$(VMMNET_LIB): $(VMMNET_SRC:%.c=$(BUILD)/%.o) $(VMMNET_BASE)
	$(call say,AR,$@)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

PROGS += $(VMMNET_LIB)

PROGS += $(BUILD)/podwire-vhost
$(BUILD)/podwire-vhost: $(VHOST_SRC:%.c=$(BUILD)/%.o) $(VMMNET_LIB)
	$(call say,LD,$@)
	$(Q)$(CC) $(STATIC) $(ALL_LDFLAGS) -pthread -o $@ $^

PROGS += $(BUILD)/vmmnet-example
$(BUILD)/vmmnet-example: $(BUILD)/vmm-net/example.o $(VMMNET_LIB)
	$(call say,LD,$@)
	$(Q)$(CC) $(STATIC) $(ALL_LDFLAGS) -pthread -o $@ $^
