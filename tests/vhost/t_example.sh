#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The example of an embedding VMM: its guest's ARP request over a tap is answered by the host.
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=tests/vhost/lib.sh
. "$(dirname "$0")/lib.sh"
need ip
quiet_net # the example's guest has one buffer, for the answer

ip tuntap add t0 mode tap vnet_hdr
ip addr add 10.7.0.1/24 dev t0
ip link set t0 address 02:00:00:00:77:01 up
is "the guest's request is answered" "$("$BUILD/vmmnet-example" t0 10.7.0.2 10.7.0.1)" \
    "10.7.0.1 is at 02:00:00:00:77:01"
nok "nobody there: says so" "$BUILD/vmmnet-example" t0 10.7.0.2 10.7.0.9
is "in a jail, with a tap that its runtime opened and handed over" \
    "$("$BUILD/vmmnet-example" --jail t0 10.7.0.2 10.7.0.1)" "10.7.0.1 is at 02:00:00:00:77:01"
nok "in a jail, no such tap to be made: the VMM gets none" "$BUILD/vmmnet-example" --jail a-name-that-is-too-long 10.7.0.2 10.7.0.1

# As somebody else builds it: the installed header and library alone.
need make gcc
make -s install BUILD="$BUILD" DESTDIR="$TMP/root" PREFIX=/usr >/dev/null
ok "compiles against what is installed" gcc -D_GNU_SOURCE -Wall -Werror -I"$TMP/root/usr/include/podwire" \
    -o "$TMP/vmm" vmm-net/example.c "$TMP/root/usr/lib/libvmmnet.a" -pthread
is "and works" "$("$TMP/vmm" t0 10.7.0.2 10.7.0.1)" "10.7.0.1 is at 02:00:00:00:77:01"
