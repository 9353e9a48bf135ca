#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The targets of the plugin and of netlink (`make fuzz FUZZ_TIME=600` for long runs).
# pw-test: timeout=300
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/fuzz/lib.sh"

for name in conf env prevresult nlmsg state; do fuzz $name; done
