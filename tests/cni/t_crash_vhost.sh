#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# As t_crash, of a pod with a vhost-user back-end, from where the state record is written on: neither process nor
# socket is left.
# pw-test: timeout=900 serial
[ -c /dev/net/tun ] || { echo "1..0 # SKIP no /dev/net/tun"; exit 0; }
export CRASH_CONF='.device="vhost-user" | .vhostUser.socket="/run/podwire/vhost/{device}/vm.sock"' CRASH_FROM='rename 2'
exec "$(dirname "$0")/t_crash.sh"
