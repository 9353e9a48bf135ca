# SPDX-License-Identifier: Apache-2.0
# The loader's fuzz target: its readers with libFuzzer, AddressSanitizer and UBSan.

FUZZ_LOADER_OBJ := $(addprefix $(BUILD)/fuzz-loader/,$(patsubst %.c,%.o,$(wildcard loader/base/*.c) \
    loader/nl/nlmsg.c loader/nl/nlsock.c loader/nl/nft.c loader/nl/nft_read.c loader/nl/link.c loader/attach.c \
    loader/xtables.c loader/autoconf.c loader/ctl/packet.c tests/fuzz/fuzz_loader.c))

$(FUZZ_LOADER_OBJ): $(BUILD)/fuzz-loader/%.o: %.c | $(GENERATED)
	$(call say,CC,$< (fuzzer))
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(ALL_CFLAGS) -U_FORTIFY_SOURCE -Wno-format-nonliteral \
		-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -MMD -MP -c -o $@ $<

$(BUILD)/tests/fuzz/fuzz_loader: $(FUZZ_LOADER_OBJ)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) -fsanitize=fuzzer,address,undefined -o $@ $^ -lbpf -lelf -lz
TEST_BINS += $(BUILD)/tests/fuzz/fuzz_loader
