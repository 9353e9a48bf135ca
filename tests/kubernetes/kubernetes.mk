# SPDX-License-Identifier: Apache-2.0
# A real cluster. Not a part of `make check`: the first run builds Kubernetes.

.PHONY: check-kubernetes kubernetes-deps
kubernetes-deps:
	@deploy/deps.sh check kubernetes
check-kubernetes: kubernetes-deps ## three nodes with a real kubelet, kube-proxy and control plane
	@tests/clients/get image containerd-1.7 buildah-1.28 debian-base >/dev/null
	@tests/kubernetes/get >/dev/null
	@$(MAKE) --no-print-directory all
	@$(MAKE) --no-print-directory tests
	@# A second version, to upgrade to.
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/tests/netns/other/build VERSION=0.9.9-other \
		BPF_EXTRA="-include tests/netns/other_build.h" \
		$(patsubst %,$(BUILD)/tests/netns/other/build/%,podwire podwired podwirectl)
	@BUILD=$(BUILD) V=$(V) tests/run kubernetes
