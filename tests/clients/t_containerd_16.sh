#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# containerd 1.6 starts and stops pods with our plugin, through its CRI and by ctr.
# pw-test: timeout=180
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=lib.sh
. "$TOP/tests/clients/lib.sh"
export CTD_VERSION=1.6
# shellcheck source=containerd.sh
. "$CLIENTS/containerd.sh"
