#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Another version of the programs put in place of the running one and back again, under traffic:
# no flow stalls, no datagram is lost, conntrack calls nothing invalid, and no device is ever
# without a program. Also when the upgrade is killed at any moment.
# Seen to fail: with detach, 2 ms, and attach in place of the update of a link, spoofed packets arrive.
# pw-test: timeout=600
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/lib/topo.sh"
. "$TOP/tests/netns/places.sh"

OTHER=$BUILD/tests/netns/other/podwirectl
[ -x "$OTHER" ] || bail "$OTHER is not built (make tests)"
[ -x "$BUILD/podwire" ] || bail "$BUILD/podwire is not built"

loaded() { ctl status --json | jq -r .loaded.build; }
mine=$(ctl version --json | jq -r .build)
theirs=$("$OTHER" version --json | jq -r .build)
isnt "two builds" "$mine" "$theirs"
stale() { ctl status --json | jq .loaded.staleLinks; }

topo_up
for DEVICE in $(test_devices); do
    pod_add pod1
    pod_add pod2
    places >"$TMP/specs"
    before=$(ct_invalid)
    is "$DEVICE: this build is loaded" "$(loaded)" "$mine"
    flows "$DEVICE, upgraded and back: " -n 1 -s "$OTHER upgrade" -s "$BUILD/podwirectl upgrade" <"$TMP/specs"
    is "$DEVICE: nothing was dropped as INVALID" "$(invalid)" 0
    is "$DEVICE: conntrack calls nothing invalid" "$(($(ct_invalid) - before))" 0
    is "$DEVICE: back at this build" "$(loaded)" "$mine"
    is "$DEVICE: nothing of the other is left" "$(ls /sys/fs/bpf/podwire/progs)" "$mine"

    # A pod that sends with another's address all the while: not one packet may arrive.
    in_ns pod1 ip addr add 10.1.0.222/32 dev eth0
    in_ns pod2 sh -c "nft add table ip watch; nft add chain ip watch in '{ type filter hook input priority 0; }'; \
        nft add rule ip watch in ip saddr 10.1.0.222 counter"
    in_ns pod1 ping -q -f -W1 -I 10.1.0.222 "${IP4[pod2]}" >/dev/null 2>&1 &
    ping=$!
    for _ in 1 2 3 4; do
        "$OTHER" upgrade >/dev/null
        ctl upgrade >/dev/null
    done
    kill $ping
    wait $ping 2>/dev/null || true
    is "$DEVICE: no spoofed packet passed at any moment" \
        "$(in_ns pod2 nft -j list chain ip watch in | jq '[.. | .counter? // empty | .packets] | add')" 0
    in_ns pod1 ip addr del 10.1.0.222/32 dev eth0

    pod_del pod1
    pod_del pod2
done

# --- what an upgrade keeps, and what it finds ---
DEVICE=$(test_devices | awk '{print $1}')
pod_add pod1
pod_add pod2
in_ns pod1 ping -c3 -i0.1 -W2 "${IP4[pod2]}" >/dev/null
sum() { "$1" endpoints --json | jq '[.[].stack.packets, .[].fromPod.packets] | add'; }
count=$(sum "$BUILD/podwirectl")
ctl redirect off >/dev/null
is "upgrade says what it did" "$("$OTHER" upgrade --json | jq -c '[.changed, .from, .to, .links > 2]')" \
    "[true,\"$mine\",\"$theirs\",true]"
ok "counters stay" test "$(sum "$OTHER")" -ge "$count"
is "redirection stays off" "$("$OTHER" redirect --json | jq .redirect)" false
is "a second time there is nothing to do" "$("$OTHER" upgrade --json | jq -c '[.changed, .links]')" "[false,0]"
like "this version sees the other one" "$(ctl status --json | jq -r '.problems[].text')" "loaded is build $theirs"
pod_add pod3
is "a pod added now gets the loaded programs" "$(stale)" 0
ok "and reaches the others" in_ns pod3 ping -c1 -W10 "${IP4[pod2]}"
ctl redirect on >/dev/null
pod_del pod3
ctl upgrade >/dev/null

# --- killed ---
begin=$(date +%s%N)
"$OTHER" upgrade >/dev/null
took=$((($(date +%s%N) - begin) / 1000000 + 1))
killed=0
for i in $(seq 10); do
    [ $((i % 2)) = 0 ] && next=$OTHER || next=$BUILD/podwirectl
    "$next" upgrade >/dev/null 2>&1 &
    p=$!
    ms=$((RANDOM % (took + took / 10 + 2)))
    sleep "$((ms / 1000)).$(printf '%03d' $((ms % 1000)))"
    kill -9 $p 2>/dev/null && killed=$((killed + 1))
    wait $p 2>/dev/null || true
    in_ns pod1 ping -c1 -W2 "${IP4[pod2]}" >/dev/null 2>&1 ||
        tap_result 1 "after kill $i the pods reach each other"
done
diag "$killed of 10 were killed before their end"
ok "after the kills an upgrade" ctl upgrade
is "has this build in place" "$(loaded)" "$mine"
is "on every device" "$(stale)" 0
is "and nothing of the other" "$(ls /sys/fs/bpf/podwire/progs)" "$mine"

# The uplink is moved too.
runs() { { bpftool link show pinned /sys/fs/bpf/podwire/links/uplink-* || true; } | sed -n 's/.* prog \([0-9]*\).*/\1/p'; }
"$OTHER" upgrade >/dev/null
old=$(runs)
ok "upgrade" ctl upgrade
isnt "the uplink runs another program" "$(runs)" "$old"
pod_del pod1
pod_del pod2
ok "unload" ctl unload
is "leaves no pin" "$(find /sys/fs/bpf -mindepth 1 -name '*podwire*')" ""
nok "upgrade with nothing loaded fails" ctl upgrade
like "and says so" "$(ctl upgrade 2>&1)" 'no datapath is loaded'
