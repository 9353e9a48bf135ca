#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# pw-test: host timeout=120
# The target of the vhost-user backend, whose messages and rings are small.
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/fuzz/lib.sh"

fuzz vhost 2048 10
