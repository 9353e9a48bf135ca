#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Docker on the node, as its versions 27 and 28 leave the firewall: pods' redirected flows work on, what the stack
# forwards is lost until forwardAccept or the operator's rule in DOCKER-USER, and both say so; Docker's containers
# and published ports work on beside ours, also after its restart.
# Seen to fail: with the accept rule of one direction left out (loader/forward.c).
# pw-test: timeout=240
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/lib/topo.sh"
. "$TOP/tests/lib/docker.sh"
need iptables-nft ip6tables-nft
[ -x "$BUILD/podwire" ] || skip_all "the plugin is not built"

redirected() {
    local f
    for f in 4 6; do
        local -n ip=IP$f n2=N2_$f
        echo "tcp \"pod to pod, IPv$f\" from=pod1 to=pod2 dst=${ip[pod2]} port=90 peer=${ip[pod1]}"
        echo "tcp \"pod to another node's pod, IPv$f\" from=pod1 to=n2 dst=$n2 port=92 peer=${ip[pod1]}"
        echo "udp \"another node's pod to pod, IPv$f\" from=n2 to=pod2 dst=${ip[pod2]} port=93 peer=$n2"
    done
}
forwarded() { # [more]
    echo "tcp \"pod to outside\" from=pod1 to=out dst=$OUT4 port=94 peer=$NODE4 $*"
    echo "udp \"pod to outside, IPv6\" from=pod1 to=out dst=$OUT6 port=95 peer=$NODE6 $*"
}
of_docker() {
    echo "tcp \"container to outside, masqueraded\" from=box to=out dst=$OUT4 port=96 peer=$NODE4"
    echo "tcp \"published port from outside\" from=out to=box dst=$NODE4 port=18080 atport=8080 peer=$OUT4"
}
# Both at once: Docker's translation is a Service like any other.
between() {
    # 172.17.0.0/16 is no native range.
    echo "tcp \"pod to a published port of its node, masqueraded\" from=pod1 to=box dst=$NODE4 port=18080 atport=8080 peer=172.17.0.1"
    echo "tcp \"container to pod, masqueraded\" from=box to=pod2 dst=${IP4[pod2]} port=97"
}
said() { # PREFIX
    ctl status --json >"$TMP/status" 2>&1 || true
    like "$1: status says so, with the remedy" "$(jq -c '[.problems[] | select(.fatal) | .text + " " + .remedy]' "$TMP/status")" \
        'nftables ip filter, chain FORWARD, drops.*forwardAccept'
    like "$1: of IPv6 too" "$(jq -c '[.problems[] | select(.fatal) | .text]' "$TMP/status")" 'nftables ip6 filter'
}
silent() { # PREFIX
    is "$1: status has nothing to say" "$(ctl status --json | jq -c '[.problems[].text]')" "[]"
}

need jq
topo_up
DEVICE=$(test_devices)
DEVICE=${DEVICE%% *}
docker_bridge
for v in 27 28; do
    pod_add pod1
    pod_add pod2
    docker_rules $v
    docker_container box $v
    flows "$v: " < <(redirected)
    PWT_STALL=$((${PWT_STALL:-4000} / 4)) flows "$v, lost: " < <(forwarded fails=1)
    said "$v"

    # As the operator sets it, the next pod brings it about.
    pod_add pod3 '.plugins[0].forwardAccept = true'
    silent "$v, forwardAccept"
    for when in "" ", docker restarted"; do
        [ -z "$when" ] || { docker_rules $v; iptables-nft -w -t raw -F; docker_container box $v; }
        flows "$v, forwardAccept$when: " < <(redirected; forwarded; of_docker)
        flows "$v, forwardAccept$when: " < <(between)
    done
    pod_del pod3

    # By hand, where Docker wants it; ours are taken out again.
    pod_add pod3 '.plugins[0].forwardAccept = false'
    said "$v, without it again"
    for t in iptables-nft ip6tables-nft; do
        $t -w -I DOCKER-USER -o pw-+ -j ACCEPT
        $t -w -I DOCKER-USER -i pw-+ -j ACCEPT
    done
    flows "$v, DOCKER-USER: " < <(redirected; forwarded; of_docker)
    flows "$v, DOCKER-USER: " < <(between)
    is "$v, DOCKER-USER: nothing keeps the node from taking pods" "$(ctl status --json | jq -c '[.problems[] | select(.fatal)]')" "[]"
    redirect off
    flows "$v, DOCKER-USER, redirection off: " < <(redirected; forwarded; of_docker)
    redirect on
    for p in pod1 pod2 pod3; do pod_del $p; done
    docker_gone
done
