#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# podman 4.3, the last one of Debian that can speak CNI, runs containers on our network: with an
# address and a MAC of the user's choice, and on two networks at once.
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=lib.sh
. "$TOP/tests/clients/lib.sh"
need ip jq

client podman-4.3
plugin_dir
. "$TOP/tests/clients/podman.sh"
cleanup remove_cgroups
must ok "podman loads the image" podman_load
conflist '"cniVersion":"1.0.0"' podnet "$PORTMAP" | put_conf "$P/net.d/10-podnet.conflist"
conflist '"cniVersion":"0.4.0"' more | other_subnets |
    put_conf "$P/net.d/20-more.conflist"

run() { # NAME OPTION...
    local name=$1
    shift
    podman run -d --name "$name" --cgroup-parent "$CGROUP" "$@" "$IMAGE" tail -f /dev/null
}
must ok "a first container" run first --network podnet --network more -p 18079:1
footprint >"$TMP/before"

i=$(($(calls) + 1))
must ok "a container with an address and a MAC of its own" \
    run c1 --network podnet --ip "$NET4.77" --mac-address 02:00:00:00:00:4d -p 18080:8080
# podman asks for the plugin's versions with "dummy" for what is not there yet.
is "VERSION comes first" "$(verbs 1 | cut -d' ' -f1)" VERSION
is "VERSION names dummies and no container" \
    "$(call_env 1 IFNAME) $(call_env 1 NETNS) $(call_env 1 PATH) id='$(call_env 1 CONTAINERID)'" "dummy dummy dummy id=''"
is "VERSION is answered" "$(call_rc 1)" 0
add=$(calls)
is "ADD is asked for" "$(call_env "$add" COMMAND)" ADD
like "ADD: the address is in CNI_ARGS" "$(call_env "$add" ARGS)" "IP=$NET4.77"
like "ADD: the namespace" "$(call_env "$add" NETNS)" "^/run/(user/[0-9]+/)?netns/"
is "the container has the address" "$(podman inspect c1 | jq -r '.[0].NetworkSettings.Networks.podnet.IPAddress')" "$NET4.77"
like "and the MAC" "$(podman exec c1 cat /sys/class/net/eth0/address)" "02:00:00:00:00:4d"
ok "the host reaches it" ping -c1 -W10 "$NET4.77"
ok "so does the first container" podman exec first ping -c1 -W10 "$NET4.77"

must ok "a container on two networks" run c2 --network podnet --network more
is "two interfaces" "$(podman exec c2 ip -o link | grep -c 'eth[01]')" 2
two=$(podman inspect c2 | jq -r '.[0].NetworkSettings.Networks.more.IPAddress')
like "the second has an address of its network" "$two" "^$OTHER4\."
# Not from the host: answers to addresses outside the second network leave by the first interface,
# where they are not the endpoint's own, unless sbr comes after us.
ok "the first container reaches the second interface by its own second" podman exec first ping -c1 -W10 "$two"

i=$(($(calls) + 1))
ok "containers are removed" podman rm -f -t 0 c1 c2
is "DEL for each interface" "$(verbs "$i" | sed 's/VERSION *//g')" "DEL DEL DEL"
unchanged "nothing is left of them" "$TMP/before"
podman rm -f -t 0 first >"$TMP/rm" 2>&1 || diag "$(cat "$TMP/rm")"
