#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# gVisor's runsc on our network, under podman's CNI backend. runsc takes the addresses and routes off the pod's
# device and gives them to a network stack of its own, which reads and writes frames by a packet socket: what
# arrives there must be whole frames for the right MAC, and ARP and ND must be answered as a guest needs it.
# pw-test: timeout=200
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=lib.sh
. "$TOP/tests/clients/lib.sh"
need ip jq

RUNSC=$("$CLIENTS/get" -c runsc 2>"$TMP/get") || skip_all "runsc: $(cat "$TMP/get")"
client podman-4.3
plugin_dir
export PODMAN_RUNTIME=runsc
. "$TOP/tests/clients/podman.sh"
# runsc takes /proc/sys/net/core/rmem_default for a sign of the machine's own network; newer kernels show it in
# every namespace.
cat >"$P/runsc" <<X
#!/bin/sh
exec unshare -m --propagation slave sh -c 'mount -t tmpfs tmpfs /proc/sys/net && exec "\$0" "\$@"' \\
    $RUNSC/usr/bin/runsc --ignore-cgroups --platform=systrap --debug-log=$P/log/ --debug "\$@"
X
chmod +x "$P/runsc"
cleanup remove_cgroups
must ok "podman loads the image" podman_load
conflist '"cniVersion":"1.0.0"' podnet "$PORTMAP" | put_conf "$P/net.d/10-podnet.conflist"

run() { # NAME OPTION... -- COMMAND...
    local name=$1
    shift
    podman run -d --name "$name" --cgroup-parent "$CGROUP" --network podnet "$@"
}
must ok "a first container" run first -p 18079:1 "$IMAGE" tail -f /dev/null
footprint >"$TMP/before"
must ok "a container with a server" run web -p 18080:8080 "$IMAGE" httpd -f -p 8080 -h /www
must ok "another" run cli "$IMAGE" tail -f /dev/null
addr() { podman inspect "$1" | jq -r ".[0].NetworkSettings.Networks.podnet.$2"; }
web4=$(addr web IPAddress) web6=$(addr web GlobalIPv6Address)
like "IPv4 address" "$web4" "^$NET4\."
like "IPv6 address" "$web6" "^$NET6:"
like "it is gVisor" "$(podman exec cli dmesg 2>&1)" "gVisor"
# The stack of gVisor comes up with the container, a moment after its start.
get() { curl -sS -m5 "http://$1/"; }
ok "the node reaches it over IPv4" wait_for 15 get "$web4:8080"
is "HTTP, IPv4" "$(get "$web4:8080")" "hello from a pod"
is "HTTP, IPv6" "$(get "[$web6]:8080")" "hello from a pod"
is "by its hostPort" "$(get "192.0.2.1:18080")" "hello from a pod"
fetch() { podman exec cli sh -c "(echo GET /index.html HTTP/1.0; echo) | nc -w3 $1 8080"; }
like "from another gVisor pod, IPv4" "$(fetch "$web4")" "hello from a pod"
like "and IPv6" "$(fetch "$web6")" "hello from a pod"
# A pod of runc beside it.
must ok "a container of runc" podman --runtime runc run -d --name plain --cgroup-parent "$CGROUP" --network podnet \
    "$IMAGE" httpd -f -p 8080 -h /www
like "a runc pod from a gVisor pod" "$(fetch "$(addr plain IPAddress)")" "hello from a pod"
like "and back" "$(podman exec plain sh -c "(echo GET /index.html HTTP/1.0; echo) | nc -w3 $web4 8080")" "hello from a pod"
ok "a megabyte" podman exec cli sh -c "head -c 1000000 /dev/zero | nc -w3 $web4 8080 >/dev/null"
ok "containers are removed" podman rm -f -t 0 web cli plain
unchanged "nothing is left of them" "$TMP/before"
podman rm -f -t 0 first >"$TMP/rm" 2>&1 || diag "$(cat "$TMP/rm")"
