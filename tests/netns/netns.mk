# SPDX-License-Identifier: Apache-2.0
# A second version of the datapath, for upgrades: the same sources, another build id.
OTHER_CTL := $(BUILD)/tests/netns/other/podwirectl

$(OTHER_CTL): tests/netns/other_build.h $(BUILD)/podwirectl
	$(call say,OTHER,$@)
	@mkdir -p $(@D)
	$(Q)$(MAKE) --no-print-directory BUILD=$(@D)/build BPF_EXTRA="-include tests/netns/other_build.h" \
		VERSION=0.9.9-other $(@D)/build/podwirectl
	$(Q)cp $(@D)/build/podwirectl $@

TEST_BINS += $(OTHER_CTL)
