# SPDX-License-Identifier: Apache-2.0
# The back-end's fuzz target: the library's files with libFuzzer, AddressSanitizer and UBSan.

FUZZ_VHOST_SAN := -Wno-format-nonliteral -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
FUZZ_VHOST_OBJ := $(addprefix $(BUILD)/fuzzer/,$(VMMNET_SRC:%.c=%.o) loader/base/err.o \
    loader/base/addr.o loader/base/fs.o tests/fuzz/fuzz_vhost.o)

$(FUZZ_VHOST_OBJ): $(BUILD)/fuzzer/%.o: %.c
	$(call say,CC,$< (fuzzer))
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(ALL_CFLAGS) -U_FORTIFY_SOURCE $(FUZZ_VHOST_SAN) -MMD -MP -c -o $@ $<

$(BUILD)/tests/fuzz/fuzz_vhost: $(FUZZ_VHOST_OBJ)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) -fsanitize=fuzzer,address,undefined -Wl,--wrap=ioctl -pthread -o $@ $^
TEST_BINS += $(BUILD)/tests/fuzz/fuzz_vhost
