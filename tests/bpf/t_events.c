/* SPDX-License-Identifier: Apache-2.0 */
/* Drop events: written only while someone follows, with the packet's first bytes. */
#include <arpa/inet.h>
#include <bpf/libbpf.h>

#include "tests/bpf/dp.h"

static struct pkt p;
static struct pw_event last;
static unsigned seen;

static int on_event(void *ctx, void *data, size_t n)
{
    (void)ctx;
    if (n == sizeof(last)) {
        memcpy(&last, data, n);
        seen++;
    }
    return 0;
}

int main(void)
{
    dp_open();
    struct ring_buffer *ring =
        ring_buffer__new(bpf_map__fd(dp.skel->maps.pw_events), on_event, NULL, NULL);
    if (!ring)
        bail("ring buffer");

    dp_udp(&p, DP_A, "10.1.0.99", "10.1.0.3");
    dp_from(DP_A, &p);
    ring_buffer__consume(ring);
    is_int(seen, 0, "nobody follows: nothing is written");

    dp.conf.trace_until = UINT64_MAX;
    dp_conf();
    dp_from(DP_A, &p);
    ring_buffer__consume(ring);
    is_int(seen, 1, "one drop, one event");
    is_int(last.reason, PW_SPOOF_IP4, "reason");
    is_int(last.ifindex, dp.ep[DP_A].ifindex, "device");
    is_int(last.slot, dp.ep[DP_A].slot, "endpoint");
    is_int(last.dir, PW_FROM_POD, "direction");
    is_int(last.len, p.len, "length");
    is_int(last.copied, p.len < PW_EVENT_BYTES ? p.len : PW_EVENT_BYTES, "bytes copied");
    is_mem(last.head, p.data, last.copied, "the bytes");
    ok(last.ktime > 0, "time");

    pkt_fill(&p, 1, 500), pkt_done(&p);
    dp_from(DP_A, &p);
    ring_buffer__consume(ring);
    is_int(last.copied, PW_EVENT_BYTES, "a large packet: the first bytes");
    is_mem(last.head, p.data, PW_EVENT_BYTES, "a large packet: the bytes");
    is_int(last.len, p.len, "a large packet: its length");
    dp_udp(&p, -1, "10.2.0.9", "10.1.0.2"), pkt_ip4(&p)->check ^= 1;
    dp_wire(&p);
    ring_buffer__consume(ring);
    is_int(last.dir, PW_TO_POD, "from the wire: direction");
    is_int(last.slot, PW_SLOT_NONE, "from the wire: no endpoint is known yet");

    seen = 0;
    dp_udp(&p, DP_A, "10.1.0.2", "8.8.8.8");
    dp_from(DP_A, &p);
    dp_udp(&p, DP_A, "10.1.0.2", "10.1.0.3");
    dp_from(DP_A, &p);
    dp_udp(&p, DP_A, "10.1.0.99", "10.1.0.3");
    dp_explain(DP_A, &p);
    ring_buffer__consume(ring);
    is_int(seen, 0, "what is not dropped makes none, nor does explaining");
    dp.conf.trace_until = 1;
    dp_conf();
    dp_from(DP_A, &p);
    ring_buffer__consume(ring);
    is_int(seen, 0, "nobody follows any more");
    ring_buffer__free(ring);
    return tap_done();
}
