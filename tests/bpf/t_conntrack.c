/* SPDX-License-Identifier: Apache-2.0 */
/* pw-test: vm */
/*
 * The conntrack question, with real entries: translated flows are the stack's in both directions
 * and unmarked, all others are the fast path's in both directions.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <unistd.h>

#include "tests/bpf/flows.h"

static struct pkt p;

static const char *const vip[2][2] = {{"10.96.0.1", "10.96.0.2"}, {"fd00:96::1", "fd00:96::2"}};
static const char *const far[2] = {"10.2.0.9", "fd00:2::9"};
static const char *const pod_a[2] = {"10.1.0.2", "fd00:1::2"};
static const char *const pod_b[2] = {"10.1.0.3", "fd00:1::3"};

static void both_ways(uint8_t proto, bool v6, uint16_t sport, uint16_t dport, bool translated,
                      const char *what)
{
    const char *l4 = proto == IPPROTO_TCP ? "TCP" : "UDP";
    int v = v6 ? 6 : 4;
    struct dp_want stack = DP_STACK(TRANSLATED);

    flow_packet(&p, DP_A, proto, pod_a[v6], sport, far[v6], dport, "A");
    dp_check(DP_A, &p, translated ? stack : DP_REDIRECT(dp.uplink), "v%d %s %s: out", v, l4, what);
    flow_packet(&p, -1, proto, far[v6], dport, pod_a[v6], sport, "A");
    dp_check(-1, &p, translated ? stack : DP_PEER(DP_A), "v%d %s %s: in", v, l4, what);
}

static void options(bool v6)
{
    if (v6)
        pkt_opts(&p, 60, "\0\0\1\4\0\0\0\0", 8);
    else
        pkt_opts(&p, 0, "\7\7\4\0\0\0\0\0", 8);
}

static void entries(uint8_t proto, bool v6)
{
    const char *l4 = proto == IPPROTO_TCP ? "TCP" : "UDP";
    int v = v6 ? 6 : 4;

    both_ways(proto, v6, 4000, 5000, false, "no entry");
    flow_make(proto, 4000, vip[v6][0], 5000);
    both_ways(proto, v6, 4000, 5000, true, "destination translated");
    both_ways(proto, v6, 4001, 5000, false, "another client port");
    both_ways(proto, v6, 4000, 5001, false, "another port of the backend");
    flow_make(proto, 4100, far[v6], 5002);
    both_ways(proto, v6, 4100, 5002, true, "source translated");
    flow_make(proto, 4200, far[v6], 5003);
    both_ways(proto, v6, 4200, 5003, false, "entry without translation");

    flow_packet(&p, DP_A, proto, pod_a[v6], 4300, pod_b[v6], 5000, "A");
    dp_check(DP_A, &p, DP_PEER(DP_B), "v%d %s on the node: no entry", v, l4);
    flow_make(proto, 4300, vip[v6][1], 5000);
    dp_check(DP_A, &p, DP_STACK(TRANSLATED), "v%d %s on the node: to the backend directly", v, l4);
    flow_packet(&p, DP_B, proto, pod_b[v6], 5000, pod_a[v6], 4300, "SA");
    dp_check(DP_B, &p, DP_STACK(TRANSLATED), "v%d %s on the node: the backend's answer", v, l4);

    /* Odd packets of a translated flow: never marked. */
    dp_eth(&p, -1);
    pkt_ip(&p, far[v6], pod_a[v6]);
    options(v6);
    if (proto == IPPROTO_TCP)
        pkt_tcp(&p, 5000, 4000, "A");
    else
        pkt_udp(&p, 5000, 4000);
    pkt_done(&p);
    dp_check(-1, &p, DP_STACK(TRANSLATED), "v%d %s translated, with options", v, l4);
    flow_packet(&p, -1, proto, far[v6], 5000, pod_a[v6], 4000, "A");
    if (v6)
        pkt_ip6(&p)->hop_limit = 1;
    else
        pkt_ip4(&p)->ttl = 1, pkt_sums(&p);
    dp_check(-1, &p, DP_STACK(TRANSLATED), "v%d %s translated, TTL 1", v, l4);
    if (!v6) {
        flow_packet(&p, -1, proto, far[v6], 5000, pod_a[v6], 4000, "A");
        pkt_ip4(&p)->frag_off = htons(0x2000), pkt_sums(&p);
        dp_check(-1, &p, DP_STACK(TRANSLATED), "v%d %s translated, first fragment", v, l4);
    }
    dp_flags(PW_CONF_WIRE | PW_CONF_ASK_CT);
    dp_check(-1, &p, DP_STACK(TRANSLATED), "v%d %s translated, redirection off", v, l4);
    flow_packet(&p, -1, proto, far[v6], 5001, pod_a[v6], 4000, "A");
    dp_check(-1, &p, DP_MARKED(REDIRECT_OFF), "v%d %s not translated, redirection off", v, l4);
    flow_packet(&p, DP_A, proto, pod_a[v6], 4000, far[v6], 5001, "A");
    dp_check(DP_A, &p, DP_MARKED(REDIRECT_OFF), "v%d %s the other direction", v, l4);
    dp_flags(PW_CONF_WIRE | PW_CONF_REDIRECT);
    flow_packet(&p, -1, proto, far[v6], 5000, pod_a[v6], 4000, "A");
    dp_check(-1, &p, DP_PEER(DP_A), "v%d %s translated, but the question is off", v, l4);
    dp_flags(PW_CONF_WIRE | PW_CONF_REDIRECT | PW_CONF_ASK_CT);
}

/* What cannot be asked about is the stack's, tracked, in both directions. */
static void unknown(void)
{
    for (int v6 = 0; v6 < 2; v6++)
        for (int in = 0; in < 2; in++) {
            int ep = in ? -1 : DP_A;
            const char *s = in ? far[v6] : pod_a[v6], *d = in ? pod_a[v6] : far[v6];
            dp_eth(&p, ep), pkt_ip(&p, s, d);
            pkt_icmp(&p, v6 ? (in ? 129 : 128) : (in ? 0 : 8), 0, 1), pkt_fill(&p, 1, 9);
            pkt_done(&p);
            dp_check(ep, &p, DP_STACK(CT_UNKNOWN), "v%d echo, %s", v6 ? 6 : 4, in ? "in" : "out");
            dp_eth(&p, ep), pkt_ip(&p, s, d), pkt_l4(&p, 132, "abcdefghijkl", 12), pkt_done(&p);
            dp_check(ep, &p, DP_STACK(PROTOCOL), "v%d SCTP, %s", v6 ? 6 : 4, in ? "in" : "out");
            if (v6)
                continue;
            flow_packet(&p, ep, IPPROTO_UDP, s, 1, d, 2, NULL);
            pkt_ip4(&p)->frag_off = htons(0x2000), pkt_sums(&p);
            dp_check(ep, &p, DP_MARKED(FRAGMENT), "first fragment, %s", in ? "in" : "out");
            /* Conntrack puts fragments together before raw; the first one's mark is what counts. */
            pkt_ip4(&p)->frag_off = htons(0x0010), pkt_sums(&p);
            dp_check(ep, &p, DP_STACK(FRAGMENT), "later fragment, %s", in ? "in" : "out");
        }
}

/*
 * A TCP flow between two ports ends, and the same ports are used through a Service at once: what is
 * remembered of the first must not be applied to the second.
 */
static void reused(bool v6)
{
    unsigned wrong_first = 0, wrong_syn = 0, wrong_after = 0, wrong_other = 0;

    for (uint16_t i = 0; i < 50; i++) {
        uint16_t sport = (uint16_t)(6000 + i);
        int fd = flow_socket(IPPROTO_TCP, v6, sport);
        flow_packet(&p, -1, IPPROTO_TCP, far[v6], 5000, pod_a[v6], sport, "A");
        static struct pkt out;
        flow_packet(&out, DP_A, IPPROTO_TCP, pod_a[v6], sport, far[v6], 5000, "A");
        wrong_first += dp_wire(&p)->verdict != 7; /* remembered now */
        wrong_first += dp_wire(&p)->verdict != 7;
        wrong_first += dp_from(DP_A, &out)->verdict != 7;
        flow_send(fd, vip[v6][0], 5000);
        flow_packet(&p, -1, IPPROTO_TCP, far[v6], 5000, pod_a[v6], sport, "SA");
        wrong_syn += dp_wire(&p)->verdict != TCX_NEXT;
        flow_packet(&p, -1, IPPROTO_TCP, far[v6], 5000, pod_a[v6], sport, "A");
        wrong_after += dp_wire(&p)->verdict != TCX_NEXT;
        wrong_other += dp_from(DP_A, &out)->verdict != TCX_NEXT;
    }
    is_int(wrong_first, 0, "v%d reused ports: redirected at first", v6 ? 6 : 4);
    is_int(wrong_syn, 0, "v%d reused ports: SYN is asked about", v6 ? 6 : 4);
    is_int(wrong_after, 0, "v%d reused ports: and what follows, too", v6 ? 6 : 4);
    is_int(wrong_other, 0, "v%d reused ports: in the other direction as well", v6 ? 6 : 4);
}

static const char *const outside[2] = {"192.0.2.7", "2001:db8::7"};
static const char *const node[2] = {"192.168.9.1", "fd00:9::1"};

static void left_by_pod(bool v6, uint16_t sport, uint16_t dport)
{
    flow_packet(&p, DP_A, IPPROTO_UDP, pod_a[v6], sport, outside[v6], dport, NULL);
    dp_from(DP_A, &p);
}

static void left_by_pod_odd(bool v6, uint16_t sport, uint16_t dport)
{
    dp_eth(&p, DP_A);
    pkt_ip(&p, pod_a[v6], outside[v6]);
    options(v6);
    pkt_udp(&p, sport, dport), pkt_done(&p);
    dp_from(DP_A, &p);
}

static void left_on_wire(bool v6, uint16_t sport, uint16_t dport)
{
    (void)sport;
    flow_packet(&p, -1, IPPROTO_UDP, far[v6], dport, node[v6], 30000, NULL);
    dp_wire(&p);
}

static void left_on_wire_odd(bool v6, uint16_t sport, uint16_t dport)
{
    (void)sport;
    dp_eth(&p, -1);
    pkt_ip(&p, far[v6], node[v6]);
    options(v6);
    pkt_udp(&p, dport, 30000), pkt_done(&p);
    dp_wire(&p);
}

/*
 * The same for UDP, which has no SYN: what is remembered of the first is not applied to the second,
 * since an end of it has left a packet to the stack before. (Not to the Services here, which lie in
 * a native range.)
 */
static void reused_udp(bool v6)
{
    static const struct {
        void (*leave)(bool v6, uint16_t sport, uint16_t dport); /* NULL: nothing is left */
        const char *what;
    } hows[] = {
        {NULL, NULL},
        {left_by_pod, "by the pod"},
        {left_by_pod_odd, "by the pod, with options"},
        {left_on_wire, "from the wire to the node"},
        {left_on_wire_odd, "from the wire to the node, with options"},
    };
    static struct pkt out, in;

    for (size_t h = 0; h < sizeof(hows) / sizeof(hows[0]); h++) {
        unsigned wrong_first = 0, wrong_in = 0, wrong_out = 0;
        uint16_t dport = (uint16_t)(5100 + h); /* an end that has left nothing yet */
        for (uint16_t i = 0; i < 50; i++) {
            uint16_t sport = (uint16_t)(7000 + h * 100 + i);
            int fd = flow_socket(IPPROTO_UDP, v6, sport);
            flow_packet(&in, -1, IPPROTO_UDP, far[v6], dport, pod_a[v6], sport, NULL);
            flow_packet(&out, DP_A, IPPROTO_UDP, pod_a[v6], sport, far[v6], dport, NULL);
            wrong_first += dp_wire(&in)->verdict != 7;
            wrong_first += dp_from(DP_A, &out)->verdict != 7;
            if (hows[h].leave)
                hows[h].leave(v6, sport, dport);
            flow_send(fd, vip[v6][0], dport);
            wrong_in += dp_wire(&in)->verdict != TCX_NEXT;
            wrong_out += dp_from(DP_A, &out)->verdict != TCX_NEXT;
            close(fd);
        }
        is_int(wrong_first, 0, "v%d UDP, ports used again: redirected at first", v6 ? 6 : 4);
        if (!hows[h].leave) {
            ok(wrong_in + wrong_out > 0, "v%d UDP: answers are remembered", v6 ? 6 : 4);
            continue;
        }
        is_int(wrong_in, 0, "v%d UDP, left %s: asked again, in", v6 ? 6 : 4, hows[h].what);
        is_int(wrong_out, 0, "v%d UDP, left %s: asked again, out", v6 ? 6 : 4, hows[h].what);
    }
}

/*
 * Where the namespace has no NAT chain of a family nothing of it is translated, whatever entries
 * there are, and nothing is asked; what entries() left is asked about again as soon as there is a
 * chain.
 */
static void chains(void)
{
    static const struct {
        const char *table, *what;
        bool v4, v6;
    } steps[] = {
        {NULL, "no NAT chain", false, false},
        {"ip", "IPv4's alone", true, false},
        {"ip6", "IPv6's too", true, true},
    };

    dp_sh("nft delete table inet t");
    dp_sh(
        "nft 'add table inet f; add chain inet f p { type filter hook prerouting priority -99; }'");
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        if (steps[i].table)
            dp_nat(steps[i].table);
        for (int v6 = 0; v6 < 2; v6++) {
            both_ways(IPPROTO_UDP, v6, 4000, 5000, v6 ? steps[i].v6 : steps[i].v4, steps[i].what);
            both_ways(IPPROTO_UDP, v6, 4200, 5003, false, steps[i].what);
        }
    }
}

int main(void)
{
    dp_open();
    flows_open();
    dp_flags(PW_CONF_WIRE | PW_CONF_REDIRECT | PW_CONF_ASK_CT);
    flow_packet(&p, DP_A, IPPROTO_UDP, pod_a[0], 1, pod_b[0], 2, NULL);
    if (dp_explain(DP_A, &p)->cb[PW_CB_REASON] == PW_CT_UNAVAILABLE) {
        dp_check(DP_A, &p, DP_STACK(CT_UNAVAILABLE), "conntrack cannot be asked: the stack");
        skip("kernel without bpf_skb_ct_lookup", "conntrack question");
        return tap_done();
    }
    for (int v6 = 0; v6 < 2; v6++) {
        entries(IPPROTO_UDP, v6);
        entries(IPPROTO_TCP, v6);
        reused(v6);
        reused_udp(v6);
    }
    unknown();
    chains();
    return tap_done();
}
