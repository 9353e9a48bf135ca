# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2034 # what is set here is read by the tests
# Shared by the group's shell tests: back-ends, DPDK's testpmd as a front-end, counters.
#   backend_start NAME ARG...    start podwire-vhost with counters in $TMP/NAME.stats; pid in $backend
#   backend_end                  SIGTERM, exit code in $backend_rc
#   stat_of NAME JQ              one value of a back-end's counters
#   guest_image                  what a real guest boots with: sets kernel and root, makes $TMP/initrd
#   put ADDRESS FILE             to a guest's server: the sum that it saw
#   get ADDRESS BYTES            from it: "same" when both sums are
#   testpmd_start NAME VDEV ARG...   a front-end; pid in $testpmd, output in $TMP/NAME.out
#   testpmd_sends NAME VDEV BURSTS ARG...   a front-end that offers BURSTS x 32 frames to each queue,
#                                waits until all is quiet, and ends
#   testpmd_end                  SIGINT and wait: totals are in its output
#   testpmd_total NAME FIELD     RX-packets or TX-packets over all ports and queues

VHOST=$BUILD/podwire-vhost
backend='' backend_rc='' testpmd=''

# Router solicitations of the kernel's own would be counted too.
quiet_net() { sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1; }

backend_start() {
    local name=$1
    shift
    "$VHOST" --stats="$TMP/$name.stats" "$@" >"$TMP/$name.log" 2>&1 &
    backend=$!
    wait_for 10 test -s "$TMP/$name.stats"
}

backend_end() {
    kill -TERM "$backend" 2>/dev/null || true
    backend_rc=0
    wait "$backend" || backend_rc=$?
    backend=''
}

stat_of() { "$VHOST" --show-stats="$TMP/$1.stats" | jq -r "$2"; }

# The guest's own first process on top of what the vm group boots with.
guest_image() {
    [ -e "$TOP/tests/vm/image.sh" ] || skip_all "no guest images in this tree"
    . "$TOP/tests/vm/image.sh"
    kernel=$(vm_kernel 6.12 2>"$TMP/why") || skip_all "no kernel: $(tail -n1 "$TMP/why")"
    root=$(vm_root 2>"$TMP/why") || skip_all "no root file system: $(tail -n1 "$TMP/why")"
    mkdir "$TMP/cpio"
    cp "$TOP/tests/vhost/guest_init.sh" "$TMP/cpio/init"
    cp "$TOP/tests/vhost/guest_server.py" "$TMP/cpio/"
    chmod 755 "$TMP/cpio/init"
    (cd "$TMP/cpio" && printf '%s\n' init guest_server.py | cpio -o -H newc --quiet | gzip -1) >"$TMP/extra"
    cat "$kernel/initrd" "$TMP/extra" >"$TMP/initrd"
}

testpmd_start() {
    local name=$1 vdev=$2
    shift 2
    dpdk-testpmd --lcores '0@0,1@1' --no-huge -m 256 --no-pci --no-telemetry --no-shconf \
        --file-prefix="pw$$" --vdev "$vdev" -- --auto-start --no-mlockall \
        --total-num-mbufs=8192 --stats-period 1 "$@" >"$TMP/$name.out" 2>&1 </dev/null &
    testpmd=$!
}

testpmd_sends() {
    local name=$1 vdev=$2 bursts=$3
    shift 3
    { echo "start tx_first $bursts"; sleep 2; echo stop; echo quit; } |
        dpdk-testpmd --lcores '0@0,1@1' --no-huge -m 256 --no-pci --no-telemetry --no-shconf \
            --file-prefix="pw$$" --vdev "$vdev" -- -i --forward-mode=rxonly --no-mlockall \
            --total-num-mbufs=8192 "$@" >"$TMP/$name.out" 2>&1
}

testpmd_end() {
    kill -INT "$testpmd" 2>/dev/null || true
    wait "$testpmd" || true
    testpmd=''
}

testpmd_total() { # the accumulated figures are the last ones
    grep -a "$2:" "$TMP/$1.out" | tail -n1 | sed -E "s/.*$2: *([0-9]+).*/\1/"
}

rx_packets() { cat "/sys/class/net/$1/statistics/rx_packets"; }
more_than() { [ "$("${@:2}")" -gt "$1" ]; }

put() {
    local sum
    exec 3<>"/dev/tcp/$1/7000"
    echo "put $(stat -c %s "$2")" >&3
    cat "$2" >&3
    read -r sum <&3
    exec 3>&-
    echo "$sum"
}
get() {
    local ours theirs
    exec 3<>"/dev/tcp/$1/7000"
    echo "get $2" >&3
    ours=$(head -c "$2" <&3 | sha256sum | cut -d' ' -f1)
    read -r theirs <&3
    exec 3>&-
    [ "$ours" = "$theirs" ] && echo same || echo "ours $ours theirs $theirs"
}
