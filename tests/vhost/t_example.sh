#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The example of an embedding VMM: its guest's ARP request over a tap is answered by the host.
. "$(dirname "$0")/../lib/tap.sh"
need ip

ip tuntap add t0 mode tap vnet_hdr
ip addr add 10.7.0.1/24 dev t0
ip link set t0 address 02:00:00:00:77:01 up
is "the guest's request is answered" "$("$BUILD/vmmnet-example" t0 10.7.0.2 10.7.0.1)" \
    "10.7.0.1 is at 02:00:00:00:77:01"
nok "nobody there: says so" "$BUILD/vmmnet-example" t0 10.7.0.2 10.7.0.9
