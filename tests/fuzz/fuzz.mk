# SPDX-License-Identifier: Apache-2.0
# Fuzz targets: tests/fuzz/fuzz_NAME.c with the corpus tests/fuzz/corpus/NAME. This file builds those
# of the plugin and of netlink, from the same sources, with libFuzzer and the sanitizers; others have
# a .mk of their own and add to FUZZ_BINS. `make check` gives each some seconds (t_fuzz.sh),
# `make fuzz FUZZ_TIME=600` as long as wanted.

FUZZ_CNI  := conf env prevresult nlmsg state
FUZZ_TIME ?= 60
FUZZ_SAN   = -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -U_FORTIFY_SOURCE
FUZZ_OUT  := $(BUILD)/fuzz-cni
FUZZ_BINS := $(FUZZ_CNI:%=$(BUILD)/tests/fuzz/fuzz_%)

$(FUZZ_OUT)/%.o: %.c | $(GENERATED)
	$(call say,CC,$< (fuzz))
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(ALL_CFLAGS) -Wno-format-nonliteral $(FUZZ_SAN) -MMD -MP -c -o $@ $<

$(FUZZ_OUT)/product.a: $(CNI_SRC:%.c=$(FUZZ_OUT)/%.o) $(LOADER_SRC:%.c=$(FUZZ_OUT)/%.o)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

$(FUZZ_BINS): $(BUILD)/tests/fuzz/%: $(FUZZ_OUT)/tests/fuzz/%.o $(FUZZ_OUT)/product.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) -fsanitize=fuzzer,address,undefined $(if $(findstring nlmsg,$@),-Wl$(comma)--wrap=recvfrom$(comma)--wrap=sendto) \
		-o $@ $^ $(LIBS_BPF) $(LIBS_JSON)
comma := ,

TEST_BINS += $(FUZZ_BINS)

.PHONY: fuzz
fuzz: check-deps ## fuzz each target for FUZZ_TIME seconds; findings go to build/fuzz-found
	@$(MAKE) --no-print-directory tests
	@mkdir -p $(BUILD)/fuzz-found
	$(Q)for t in $(BUILD)/tests/fuzz/fuzz_*; do \
		n=$${t##*/fuzz_}; mkdir -p $(BUILD)/fuzz-corpus/$$n; echo "== $$n"; \
		$$t -max_total_time=$(FUZZ_TIME) -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
			-artifact_prefix=$(BUILD)/fuzz-found/$$n- $(BUILD)/fuzz-corpus/$$n \
			tests/fuzz/corpus/$$n || exit 1; done
