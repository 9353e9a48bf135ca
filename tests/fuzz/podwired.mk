# SPDX-License-Identifier: Apache-2.0
# The agent's fuzz targets: what the API server sends, kubeconfig, its own configuration.

FUZZ_AGENT     := $(addprefix $(BUILD)/tests/fuzz/fuzz_,watch kubeconfig agent)
FUZZ_AGENT_OBJ := $(addprefix $(FUZZ_OUT)/agent/,pick.o cluster.o pods.o kube.o kubeconfig.o conf.o keys.o conflist.o log.o)

$(FUZZ_AGENT): $(BUILD)/tests/fuzz/%: $(FUZZ_OUT)/tests/fuzz/%.o $(FUZZ_AGENT_OBJ) $(FUZZ_OUT)/product.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) -fsanitize=fuzzer,address,undefined -o $@ $^ $(LIBS_BPF) $(LIBS_JSON) -lyaml
TEST_BINS += $(FUZZ_AGENT)
