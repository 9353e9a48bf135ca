# SPDX-License-Identifier: Apache-2.0
# A real cluster. Not a part of `make check`: the first run builds Kubernetes.

.PHONY: check-kubernetes kubernetes-deps
kubernetes-deps:
	@deploy/deps.sh check kubernetes
check-kubernetes: kubernetes-deps ## three nodes with a real kubelet, kube-proxy and control plane
	@tests/clients/get image containerd-1.7 >/dev/null
	@tests/kubernetes/get >/dev/null
	@$(MAKE) --no-print-directory all
	@$(MAKE) --no-print-directory tests
	@BUILD=$(BUILD) V=$(V) tests/run kubernetes
