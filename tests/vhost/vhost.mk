# SPDX-License-Identifier: Apache-2.0
# The C tests of this group are built with AddressSanitizer and UBSan, the library's files included:
# a hostile guest's case must be clean inside, not only survive.

VHOST_SAN  := -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=all
# Fences order our accesses with the guest, which is another process to the sanitizer.
VHOST_TSAN := -fsanitize=thread -fno-omit-frame-pointer -Wno-tsan
VHOST_T    := $(patsubst tests/vhost/%.c,%,$(wildcard tests/vhost/t_*.c))
VHOST_OBJ  := $(VMMNET_SRC:%.c=%.o) vmm-net/serve.o vmm-net/sandbox.o loader/base/err.o loader/base/addr.o

$(BUILD)/asan/%.o: %.c
	$(call say,CC,$< (asan))
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -U_FORTIFY_SOURCE $(VHOST_SAN) -MMD -MP -c -o $@ $<

$(BUILD)/tsan/%.o: %.c
	$(call say,CC,$< (tsan))
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -U_FORTIFY_SOURCE $(VHOST_TSAN) -MMD -MP -c -o $@ $<

# Those that also run in the guests bring the sanitizers' run-time along.
$(BUILD)/tests/vhost/t_relay: VHOST_SAN += -static-libasan -static-libubsan

$(VHOST_T:%=$(BUILD)/tests/vhost/%): $(BUILD)/tests/vhost/%: $(BUILD)/asan/tests/vhost/%.o \
    $(BUILD)/asan/tests/vhost/fe.o $(BUILD)/asan/tests/vhost/wild.o $(VHOST_OBJ:%=$(BUILD)/asan/%)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -pie $(ALL_LDFLAGS) $(VHOST_SAN) -pthread -o $@ $^

# The same tests under ThreadSanitizer (t_threads.sh runs them): rings and descriptors swapped,
# memory tables replaced and devices reset under load.
VHOST_TSAN_T := t_normal t_hostile_fd t_hostile_conn
$(VHOST_TSAN_T:%=$(BUILD)/tests/vhost/tsan_%): $(BUILD)/tests/vhost/tsan_%: \
    $(BUILD)/tsan/tests/vhost/%.o $(BUILD)/tsan/tests/vhost/fe.o $(VHOST_OBJ:%=$(BUILD)/tsan/%)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -pie $(ALL_LDFLAGS) $(VHOST_TSAN) -pthread -o $@ $^
TEST_BINS += $(VHOST_TSAN_T:%=$(BUILD)/tests/vhost/tsan_%)

# Front-ends as programs, for the shell tests and netbench: static as the other helpers.
$(BUILD)/tests/vhost/wild: $(BUILD)/tests/lib/pkt.o
$(addprefix $(BUILD)/tests/vhost/,frontend ownvhost wild guest): $(BUILD)/tests/vhost/%: $(BUILD)/tests/vhost/p_%.o \
    $(BUILD)/tests/vhost/fe.o $(BUILD)/tests/vhost/wild.o $(VMMNET_LIB)
	$(call say,LD,$@)
	$(Q)$(CC) $(STATIC) $(ALL_LDFLAGS) -pthread -o $@ $^
$(BUILD)/tests/vhost/burst: $(BUILD)/tests/vhost/p_burst.o
	$(call say,LD,$@)
	$(Q)$(CC) $(STATIC) $(ALL_LDFLAGS) -o $@ $^
