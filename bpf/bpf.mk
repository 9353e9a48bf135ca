# SPDX-License-Identifier: Apache-2.0
# BPF: one object from datapath.bpf.c, embedded through a skeleton header.

# The compilation folder has no name in the object: the same sources are the same build everywhere.
BPF_CFLAGS = -target bpf -mcpu=v3 -O2 -g -fdebug-compilation-dir=. -std=gnu11 -Wall -Wextra -Werror -I. \
             -I/usr/include/$(shell gcc -print-multiarch 2>/dev/null || echo x86_64-linux-gnu) $(BPF_EXTRA)

BPF_OBJ  := $(BUILD)/bpf/datapath.bpf.o
BPF_SKEL := $(BUILD)/bpf/datapath.skel.h
GENERATED += $(BPF_SKEL)

$(BUILD)/bpf/%.bpf.o: bpf/%.bpf.c | deps-build
	$(call say,BPF,$<)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -MF $(@:.o=.d) -MT $@ -c -o $@.tmp $<
	$(Q)$(BPFTOOL) gen object $@ $@.tmp
	@rm -f $@.tmp

$(BPF_SKEL): $(BPF_OBJ)
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name pw_datapath > $@
