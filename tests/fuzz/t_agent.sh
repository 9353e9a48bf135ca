#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The agent's targets: what the API server sends, kubeconfig, its own configuration.
# pw-test: timeout=240
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/fuzz/lib.sh"

for name in watch kubeconfig agent; do fuzz $name; done
