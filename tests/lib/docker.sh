# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Docker's rules, written from its documentation of them: its chains, the policy that it sets where it switched
# forwarding on itself, its default bridge, and a container with a published port. Source it after tap.sh.
#
#   docker_bridge            docker0, 172.17.0.1/16
#   docker_rules 27|28       what an engine of that version makes at its start. Called again: a restart
#   docker_container NAME 27|28   namespace NAME, 172.17.0.2, its TCP port 8080 published as the node's 18080
#   docker_gone
docker_bridge() {
    ip link add docker0 type bridge
    ip addr add 172.17.0.1/16 dev docker0
    ip link set docker0 up
}

docker_rules() { # VERSION
    local t
    for t in iptables-nft ip6tables-nft; do
        docker_chains $t "$1" | while read -r table rule; do
            # shellcheck disable=SC2086 # a rule is words
            $t -w -t $table $rule
        done
    done
    docker_nat
}

# It removes the jumps and its chains, and puts them at the head of FORWARD again. DOCKER-USER is the operator's.
docker_chains() { # IPTABLES VERSION: lines "TABLE RULE"
    local c chains="DOCKER DOCKER-ISOLATION-STAGE-1 DOCKER-ISOLATION-STAGE-2"
    [ "$2" = 27 ] || chains="DOCKER DOCKER-FORWARD DOCKER-BRIDGE DOCKER-CT DOCKER-INTERNAL"
    "$1" -w -S FORWARD | sed -n '/DOCKER\|docker0/s/^-A/filter -D/p'
    echo "filter -P FORWARD DROP"
    for c in $chains; do "$1" -w -n -L "$c" >/dev/null 2>&1 && echo "filter -F $c" || echo "filter -N $c"; done
    "$1" -w -n -L DOCKER-USER >/dev/null 2>&1 || printf '%s\n' "filter -N DOCKER-USER" "filter -A DOCKER-USER -j RETURN"
    if [ "$2" = 27 ]; then
        cat <<'X'
filter -I FORWARD -i docker0 -o docker0 -j ACCEPT
filter -I FORWARD -i docker0 ! -o docker0 -j ACCEPT
filter -I FORWARD -o docker0 -j DOCKER
filter -I FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
filter -I FORWARD -j DOCKER-ISOLATION-STAGE-1
filter -A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
filter -A DOCKER-ISOLATION-STAGE-1 -j RETURN
filter -A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
filter -A DOCKER-ISOLATION-STAGE-2 -j RETURN
X
    else
        cat <<'X'
filter -I FORWARD -j DOCKER-FORWARD
filter -A DOCKER-FORWARD -j DOCKER-CT
filter -A DOCKER-FORWARD -j DOCKER-INTERNAL
filter -A DOCKER-FORWARD -j DOCKER-BRIDGE
filter -A DOCKER-FORWARD -i docker0 -j ACCEPT
filter -A DOCKER-CT -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
filter -A DOCKER-BRIDGE -o docker0 -j DOCKER
filter -A DOCKER ! -i docker0 -o docker0 -j DROP
X
    fi
    echo "filter -I FORWARD -j DOCKER-USER"
}

docker_nat() {
    iptables-nft -w -t nat -n -L DOCKER >/dev/null 2>&1 && return
    iptables-nft -w -t nat -N DOCKER
    iptables-nft -w -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
    iptables-nft -w -t nat -A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
    iptables-nft -w -t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
}

docker_container() { # NAME VERSION
    [ -e "/run/netns/$1" ] || {
        ip netns add "$1"
        ip link add vdocker type veth peer name eth0 netns "$1"
        ip link set vdocker master docker0 up
        ip -n "$1" addr add 172.17.0.2/16 dev eth0
        ip -n "$1" link set lo up
        ip -n "$1" link set eth0 up
        ip -n "$1" route add default via 172.17.0.1
    }
    iptables-nft -w -I DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 8080 -j ACCEPT
    iptables-nft -w -t nat -F DOCKER
    iptables-nft -w -t nat -A DOCKER ! -i docker0 -p tcp -m tcp --dport 18080 -j DNAT --to-destination 172.17.0.2:8080
    # Since 28 nobody comes to a container but by its published ports.
    [ "$2" = 27 ] || iptables-nft -w -t raw -A PREROUTING -d 172.17.0.2/32 ! -i docker0 -j DROP
}

docker_gone() {
    local t
    for t in iptables-nft ip6tables-nft; do
        $t -w -P FORWARD ACCEPT
        $t -w -F
        $t -w -X
        $t -w -t nat -F
        $t -w -t nat -X
        $t -w -t raw -F
    done
}
