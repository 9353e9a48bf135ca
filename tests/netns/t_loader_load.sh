#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Loading, registering, sweeping, unloading: once, by many at a time, and with processes killed at
# any moment; unload leaves nothing.
# Seen to fail: with the second look under the lock taken out of load_first, concurrent first loads
# load more than once.
# pw-test: timeout=600
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/lib/node_net.sh"

everything() { # what podwire could leave on a node
    { find /sys/fs/bpf /run/podwire 2>/dev/null || true; } | sort
    nft list ruleset
    ip -o link | sed 's/^[0-9]*: //'
}

uplink_up up0
dev_add pw-1
everything >"$TMP/before"

# --- once ---
nok "nothing is loaded at first" ctl endpoints
ok "a first call loads" dp load
is "and pins every program" "$(pins | grep -c "^./progs/")" "$(grep -c "^SEC(" "$TOP/bpf/datapath.bpf.c")"
is "every map of the object has a pin" "$(pins | grep -c '^./maps-1/pw_')" \
    "$(bpftool btf dump file "$BUILD/bpf/datapath.bpf.o" | grep -cE "^\[[0-9]+\] VAR 'pw_[a-z0-9_]+'")"
is "current names the build" "$(readlink /sys/fs/bpf/podwire/current)" "progs/$(of .build)"
is "the uplink carries the program" "$(pins | grep links)" "./links/uplink-$(cat /sys/class/net/up0/ifindex):from_uplink"
inode=$(stat -c %i /sys/fs/bpf/podwire/current)
ok "a second call loads nothing" dp load
is "the same pins" "$(stat -c %i /sys/fs/bpf/podwire/current)" "$inode"
ok "unload" ctl unload
is "unload leaves nothing" "$(everything)" "$(cat "$TMP/before")"
ok "unloading nothing is no failure" ctl unload

# --- many at once ---
for i in $(seq 12); do ctl load --json >"$TMP/load.$i" & done
wait
is "of twelve first calls at a time one loads" \
    "$(cat "$TMP"/load.* | jq -s -c 'map(.changed) | group_by(.) | map(length)')" "[11,1]"
is "one folder of programs" "$(find /sys/fs/bpf/podwire/progs -mindepth 1 -type d | wc -l)" 1
bpftool -f prog show pinned "/sys/fs/bpf/podwire/current/pw_from_uplink" >"$TMP/prog"
id=$(sed -n 's/^\([0-9]*\):.*/\1/p' "$TMP/prog")
is "the uplink runs the pinned program" \
    "$(bpftool link show pinned /sys/fs/bpf/podwire/links/uplink-* | sed -n "s/.* prog \([0-9]*\).*/\1/p")" "$id"
ctl unload >/dev/null

# --- killed at any moment ---
# From before it starts to after it ends, however long a load takes on this machine.
begin=$(date +%s%N)
dp load
took=$((($(date +%s%N) - begin) / 1000000 + 1))
ctl unload >/dev/null
killed=0
for i in $(seq 20); do
    "$DPTOOL" -N pods -n 10.0.0.0/8 add pw-1 veth 10.1.0.2 fd00:1::2 2>/dev/null &
    p=$!
    ms=$((RANDOM % (took + took / 10 + 2)))
    sleep "$((ms / 1000)).$(printf '%03d' $((ms % 1000)))"
    kill -9 $p 2>/dev/null && killed=$((killed + 1))
    wait $p 2>/dev/null || true
    if [ $((i % 3)) = 0 ]; then
        if ! { dp add pw-1 veth 10.1.0.2 fd00:1::2 && dp check pw-1 veth 10.1.0.2 fd00:1::2; }; then
            tap_result 1 "after kill $i the next call finishes"
            break
        fi
        dp del pw-1 10.1.0.2 fd00:1::2
    fi
    [ $((i % 2)) = 0 ] || ctl unload --force >/dev/null
done
diag "$killed of 20 were killed before their end"
isnt "some were killed in the middle" "$killed" 0
# As if killed between writing a file and putting it in its place.
install -D -m 600 /dev/null /run/podwire/node.4711
install -D -m 600 /dev/null /run/podwire/features.json.4711
ok "after all the kills a call does its work" dp add pw-1 veth 10.1.0.2 fd00:1::2
ok "and all is as it should be" dp check pw-1 veth 10.1.0.2 fd00:1::2
ok "it goes" dp del pw-1 10.1.0.2 fd00:1::2
is "no endpoint is left" "$(of length endpoints)" 0
ctl unload >/dev/null
is "and unload leaves nothing" "$(everything)" "$(cat "$TMP/before")"

# --- endpoints ---
dp add pw-1 veth 10.1.0.2 fd00:1::2
dev_add pw-2
nok "an address that is another's is refused" dp add pw-2 veth 10.1.0.2 10.1.0.3
is "and nothing of the attempt is left" "$(of '[.[].device] | join(" ")' endpoints)" pw-1
is "nor a pin" "$(pins | grep -c 'links/pw-2' || true)" 0
ok "registering again with other addresses" dp add pw-1 veth 10.1.0.9
ok "has these" dp check pw-1 veth 10.1.0.9
nok "and no longer those" dp check pw-1 veth 10.1.0.2
ok "the freed address can be another's" dp add pw-2 veth 10.1.0.2
nok "unload is refused while they exist" ctl unload
like "and says why" "$(ctl unload 2>&1)" 'endpoints exist .*--force'
ip link del pw-2
ok "a gone device's address can be taken over" dp add pw-1 veth 10.1.0.9 10.1.0.2
is "sweep finds what a gone device left" "$(of '.removed > 0' sweep)" true
is "and nothing the second time" "$(of .removed sweep)" 0
is "the living one stays" "$(of '[.[].device] | join(" ")' endpoints)" pw-1
ip link del pw-1
ok "an endpoint whose device is gone goes by its addresses" dp del pw-1 10.1.0.9 10.1.0.2
is "nothing is left of it" "$(of length endpoints) $(of .removed sweep)" "0 0"
dev_add pw-1
dp add pw-1 veth 10.1.0.2 fd00:1::2
ip link set pw-1 up
ok "unload --force" ctl unload --force
unlike "sets the devices down first: nothing passes unchecked" "$(ip -o link show pw-1)" '[<,]UP[,>]'
is "and leaves nothing" "$(everything | grep -v pw-1)" "$(grep -v pw-1 "$TMP/before")"

# --- what others left ---
mkdir -p /sys/fs/bpf/podwire
ln -s /etc/passwd /sys/fs/bpf/podwire/current
nok "a foreign 'current' is refused" dp load
like "and named" "$(dp load 2>&1)" 'not made by podwire'
rm /sys/fs/bpf/podwire/current
mkdir -p /sys/fs/bpf/podwire/maps-1
bpftool map create /sys/fs/bpf/podwire/maps-1/pw_ip4 type hash key 4 value 4 entries 8 name alien
nok "a foreign map under our name is refused" dp load
like "and named" "$(dp load 2>&1)" 'maps-1/pw_ip4 is another kind of map'
is "nothing came into use" "$(readlink /sys/fs/bpf/podwire/current || echo none)" none
ok "unload clears that away" ctl unload
dp add pw-1 veth 10.1.0.2
rm /sys/fs/bpf/podwire/links/pw-1:ingress
bpftool map create /sys/fs/bpf/podwire/links/pw-1:ingress type hash key 4 value 4 entries 8 name alien
nok "a map in place of a link is noticed" dp check pw-1 veth 10.1.0.2
ok "and removed with the endpoint" dp del pw-1 10.1.0.2
ctl unload >/dev/null

# --- another ABI ---
dp load
mv /sys/fs/bpf/podwire/maps-1 /sys/fs/bpf/podwire/maps-2
for c in "dp load" "ctl endpoints" "ctl upgrade" "ctl unload"; do
    like "another ABI: '$c' is refused" "$($c 2>&1)" 'ABI 2, this version has 1'
done
is "another ABI: status says the node cannot take pods" "$(of .ready)" false
ok "another ABI: unload --force" ctl unload --force

# --- features ---
mkdir -p /run/podwire
echo '{"boot": "x", garbage' >/run/podwire/features.json
is "garbage in features.json is found out again" "$(of .features.tcx)" true
jq -c '.tcx=false' /run/podwire/features.json >"$TMP/f"
cat "$TMP/f" >/run/podwire/features.json
is "what was found is kept for the boot" "$(of .features.tcx)" false
jq -c '.boot="another"' "$TMP/f" >/run/podwire/features.json
is "and not for another" "$(of .features.tcx)" true
head -c 100000 /dev/zero >/run/podwire/features.json
is "a file that is too large is none" "$(of .features.tcx)" true
rm /run/podwire/features.json
mkfifo /run/podwire/features.json
is "a FIFO in its place does not hang" "$(timeout 20 "$BUILD/podwirectl" status --json | jq .features.tcx)" true
is "probing leaves no device" "$(ip -o link | grep -c probe || true)" 0
head -c 5000 /dev/urandom >/run/podwire/node
ok "garbage in the node's record is no obstacle" dp sync
