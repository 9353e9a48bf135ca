# SPDX-License-Identifier: Apache-2.0
# netbench (everything in bench/ but its main is a library, so that tests can link it) and the
# other measurements.

BENCH_SRC := $(filter-out bench/netbench.c bench/icount_plugin.c bench/pod_cost.c bench/vm_%.c,$(wildcard bench/*.c))
BENCH_LIB := $(BUILD)/libnetbench.a

$(BENCH_LIB): $(BENCH_SRC:%.c=$(BUILD)/%.o)
	$(call say,AR,$@)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

PROGS += $(BUILD)/netbench
$(BUILD)/netbench: $(BUILD)/bench/netbench.o $(BENCH_LIB) $(LOADER_LIB)
	$(call say,LD,$@)
	$(Q)$(CC) $(STATIC) $(ALL_LDFLAGS) -o $@ $< $(BENCH_LIB) $(LOADER_LIB) $(LIBS_JSON) -lpthread -lm

PROGS += $(BUILD)/pod-cost
$(BUILD)/pod-cost: $(BUILD)/bench/pod_cost.o $(BENCH_LIB) $(LOADER_LIB)
	$(call say,LD,$@)
	$(Q)$(CC) $(STATIC) $(ALL_LDFLAGS) -o $@ $< $(BENCH_LIB) $(LOADER_LIB) $(LIBS_JSON) -lpthread -lm

PROGS += $(BUILD)/vm-rate
VM_RATE := $(patsubst %.c,$(BUILD)/%.o,$(wildcard bench/vm_*.c))
$(BUILD)/vm-rate: $(VM_RATE) $(BENCH_LIB) $(VMMNET_LIB) $(LOADER_LIB)
	$(call say,LD,$@)
	$(Q)$(CC) $(STATIC) $(ALL_LDFLAGS) -o $@ $(VM_RATE) $(BENCH_LIB) $(VMMNET_LIB) $(LOADER_LIB) $(LIBS_JSON) -lpthread -lm

# The guest behind vhost-user.
PROGS += $(BUILD)/tests/vhost/guest

# The counter for QEMU, for the plugin interface of Debian 12's QEMU (1) and of Debian 13's (4).
PROGS += $(BUILD)/netbench-icount-1.so $(BUILD)/netbench-icount-4.so
$(BUILD)/netbench-icount-%.so: bench/icount_plugin.c
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -O2 $(WARN) -fPIC -shared -fvisibility=hidden -DPLUGIN_API=$* -o $@ $<

.PHONY: bench
# make bench BENCH="--rounds 20 --paths ptp,podwire-veth"
bench: ## measure every way into a pod on this machine; page in build/netbench.html
	@deploy/deps.sh bench
	@$(MAKE) --no-print-directory all
	$(BUILD)/netbench --report $(BUILD)/netbench.html --json $(BUILD)/netbench.json $(BENCH)

.PHONY: bench-pod-cost
bench-pod-cost: ## time and memory of a pod, beside the reference plugins
	@deploy/deps.sh bench
	@$(MAKE) --no-print-directory all
	$(BUILD)/pod-cost --json $(BUILD)/pod-cost.json $(BENCH)

.PHONY: bench-vm
bench-vm: ## frames between a virtual machine and a pod: mirred, taps, vhost, beside DPDK's back-end
	@deploy/deps.sh check bench
	@$(MAKE) --no-print-directory all
	$(BUILD)/vm-rate --json $(BUILD)/vm-rate.json $(BENCH)

.PHONY: bench-bpf
bench-bpf: ## size of the BPF programs against their budget, and time of a packet
	@deploy/deps.sh build
	@$(MAKE) --no-print-directory all $(BUILD)/tests/bpf/budget
	tests/lib/node.sh $(BUILD)/tests/bpf/budget bench/bpf-budget.txt

# The set that is judged: make bench-count KERNEL=newest; COUNT="--update" takes the new counts.
KERNEL ?= 6.12
.PHONY: bench-count
bench-count: ## instructions of every path in an emulated machine, against bench/count-baseline.txt
	@deploy/deps.sh check
	@$(MAKE) --no-print-directory all
	$(BUILD)/netbench count --kernel $(KERNEL) --baseline bench/count-baseline.txt --rounds 5 \
	    --requests 500 --where local,remote-host --workloads tcp-rr,udp-rr,tcp-stream,udp-rate,tap-rate $(COUNT)

.PHONY: bench-nodes
bench-nodes: ## instructions of a request between two nodes, natively and by the tunnel: BENCH="ROUNDS REQUESTS"
	@deploy/deps.sh check
	@$(MAKE) --no-print-directory all tests
	tests/vm/run --kernel $(KERNEL) --icount --timeout 3600 -- tests/lib/node.sh bench/nodes.sh $(BENCH)
