#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# pw-test: host timeout=120
# The loader's target.
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/fuzz/lib.sh"

fuzz loader
