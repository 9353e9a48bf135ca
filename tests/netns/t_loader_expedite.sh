#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The kernel's knob for expedited grace periods is borrowed, and given back by whoever comes next
# after a kill. The knob is the whole machine's, hence:
# pw-test: serial
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/lib/node_net.sh"

knob() { cat /sys/kernel/rcu_expedited; }
if [ ! -w /sys/kernel/rcu_expedited ] || [ "$(knob)" != 0 ]; then
    skip_all "/sys/kernel/rcu_expedited is not there, read-only, or set"
fi
# Other nodes of this machine borrow it too, for moments.
back() { ok "$1" wait_for 10 eval '[ "$(knob)" = 0 ]'; }
cleanup sh -c 'echo 0 >/sys/kernel/rcu_expedited'
uplink_up up0
dev_add pw-1
must ok "an endpoint" dp add pw-1 veth 10.1.0.2
back "the knob is as before"
is "the record says that it is not ours" "$(cat /run/podwire/expedite)" 0

# As a process leaves it that was killed in between.
printf 1 >/run/podwire/expedite
echo 1 >/sys/kernel/rcu_expedited
ip link del pw-1
dev_add pw-1
ok "the next call" dp add pw-1 veth 10.1.0.2
back "puts it back"

printf 1 >/run/podwire/expedite
echo 1 >/sys/kernel/rcu_expedited
ok "so does unload" ctl unload --force
back "puts it back"

echo 1 >/sys/kernel/rcu_expedited
dp add pw-1 veth 10.1.0.2
is "where the operator set it, it stays" "$(knob)" 1
echo 0 >/sys/kernel/rcu_expedited

for i in $(seq 30); do
    dev_add "pw-x$i"
    dp add "pw-x$i" veth "10.1.1.$i" &
    pids[i]=$!
done
for i in $(seq 0 5 25); do kill -9 "${pids[i + 1]}" 2>/dev/null || true; done
wait
dp add pw-1 veth 10.1.0.2
ip link del pw-1
dev_add pw-1
ok "after many at a time, some killed, a call" dp add pw-1 veth 10.1.0.2
back "leaves the knob as it was"
