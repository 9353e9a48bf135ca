# SPDX-License-Identifier: Apache-2.0
# Tests. tests/GROUP/t_NAME.c is built to build/tests/GROUP/t_NAME; tests/GROUP/p_NAME.c is a
# program that tests use, built to build/tests/GROUP/NAME; other C files of the group and of
# tests/lib are linked where something of theirs is used. All are static, so that they also run in
# the guests of the vm group. tests/GROUP/NAME.bpf.c is built to build/tests/GROUP/NAME.bpf.o, with
# a skeleton NAME.skel.h beside it (functions pw_test_NAME__open ...).
# A group with other needs has a .mk of its own (tests/GROUP/*.mk).

TEST_C    := $(wildcard tests/*/t_*.c)
TEST_P    := $(wildcard tests/*/p_*.c)
TEST_BPF  := $(wildcard tests/*/*.bpf.c)
TEST_BINS := $(TEST_C:%.c=$(BUILD)/%) $(foreach p,$(TEST_P),$(BUILD)/$(dir $(p))$(patsubst p_%.c,%,$(notdir $(p))))
TEST_SKEL := $(TEST_BPF:%.bpf.c=$(BUILD)/%.skel.h)
# What tests link: the folders' libraries as far as they exist, the highest first.
TEST_LIBS  = $(AGENT_LIB) $(CNI_LIB) $(BENCH_LIB) $(CTL_LIB) $(VMMNET_LIB) $(LOADER_LIB)

# $(call test_group,GROUP): the group's own helpers and rules for its tests and programs.
define test_group
$(BUILD)/tests/$(1)/helpers.a: $(patsubst %.c,$(BUILD)/%.o,$(filter-out %.bpf.c tests/$(1)/t_% tests/$(1)/p_%,$(wildcard tests/lib/*.c tests/$(1)/*.c)))
	@mkdir -p $$(@D)
	@rm -f $$@
	$$(Q)$$(AR) rcs $$@ $$^

$(BUILD)/tests/$(1)/t_%: $(BUILD)/tests/$(1)/t_%.o $(BUILD)/tests/$(1)/helpers.a $$(TEST_LIBS)
	$$(test_link)

$(BUILD)/tests/$(1)/%: $(BUILD)/tests/$(1)/p_%.o $(BUILD)/tests/$(1)/helpers.a $$(TEST_LIBS)
	$$(test_link)
endef
define test_link
	$(call say,LD,$@)
	$(Q)$(CC) $(STATIC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS_BPF) $(LIBS_JSON) $(TEST_LDLIBS) -lm
endef
$(foreach g,$(sort $(patsubst tests/%/,%,$(dir $(TEST_C) $(TEST_P)))),$(eval $(call test_group,$(g))))

$(BUILD)/tests/%.bpf.o: tests/%.bpf.c
	$(call say,BPF,$<)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -MF $(@:.o=.d) -MT $@ -c -o $@.tmp $<
	$(Q)$(BPFTOOL) gen object $@ $@.tmp
	@rm -f $@.tmp

$(BUILD)/tests/%.skel.h: $(BUILD)/tests/%.bpf.o
	$(Q)$(BPFTOOL) gen skeleton $< name pw_test_$(notdir $*) > $@

$(patsubst %.c,$(BUILD)/%.o,$(filter-out %.bpf.c,$(wildcard tests/*/*.c))): | $(TEST_SKEL)

# Kept: objects that only a skeleton is made from.
.SECONDARY: $(TEST_BPF:%.bpf.c=$(BUILD)/%.bpf.o)

include $(wildcard tests/*/*.mk)

.PHONY: tests check check-deps
tests: $(TEST_BINS) $(TEST_SKEL) ## build the test programs
# make exports a variable given on its command line, and GROUPS means something else to bash.
unexport GROUPS
check-deps:
	@deploy/deps.sh check
check: check-deps ## build and run the tests: make check GROUPS="unit netns" V=1 REQUIRE=all
	@$(MAKE) --no-print-directory all
	@$(MAKE) --no-print-directory tests
	@BUILD=$(BUILD) V=$(V) tests/run $(GROUPS)
lint: check-deps ## formatting, static analysis, house rules
	@$(MAKE) --no-print-directory all
	@BUILD=$(BUILD) V=$(V) tests/run lint
.PHONY: lint
