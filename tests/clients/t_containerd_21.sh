#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# containerd 2.1 starts and stops pods with our plugin, through its CRI and by ctr.
# pw-test: timeout=180
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=lib.sh
. "$TOP/tests/clients/lib.sh"
export CTD_VERSION=2.1
# shellcheck source=containerd.sh
. "$CLIENTS/containerd.sh"
