/* SPDX-License-Identifier: Apache-2.0 */
/* ICMP errors are judged by the flow of the packet inside, whoever sends them. */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "tests/bpf/flows.h"

static struct pkt p, in;

static const char *const far[2] = {"10.2.0.9", "fd00:2::9"};
static const char *const router[2] = {"172.16.0.1", "2001:db8::1"}; /* not native */
static const char *const pod_a[2] = {"10.1.0.2", "fd00:1::2"};
static const char *const pod_b[2] = {"10.1.0.3", "fd00:1::3"};
static const char *const vip[2] = {"10.96.0.1", "fd00:96::1"};

/* The first bytes of `in`, from its IP header, behind an error from `src` to `dst`. */
static void error(int ep, const char *src, const char *dst, size_t quoted)
{
    bool v6 = strchr(src, ':');
    dp_eth(&p, ep);
    pkt_ip(&p, src, dst);
    pkt_icmp(&p, v6 ? 2 : 3, v6 ? 0 : 4, 1300);
    pkt_pay(&p, in.data + ETH_HLEN, quoted);
    pkt_done(&p);
}

static void inner(uint8_t proto, const char *src, uint16_t sport, const char *dst, uint16_t dport)
{
    flow_packet(&in, DP_A, proto, src, sport, dst, dport, "A");
}

static void families(bool v6)
{
    int v = v6 ? 6 : 4;
    size_t q = v6 ? 88 : 28;

    for (int tcp = 0; tcp < 2; tcp++) {
        uint8_t proto = tcp ? IPPROTO_TCP : IPPROTO_UDP;
        const char *l4 = tcp ? "TCP" : "UDP";

        inner(proto, pod_a[v6], 4000, far[v6], 5001);
        error(-1, router[v6], pod_a[v6], q);
        dp_check(-1, &p, DP_PEER(DP_A), "v%d %s: from a router outside", v, l4);
        error(-1, far[v6], pod_a[v6], q);
        dp_check(-1, &p, DP_PEER(DP_A), "v%d %s: from the far end", v, l4);
        flow_make(proto, (uint16_t)(4010 + tcp), vip[v6], 5000);
        inner(proto, pod_a[v6], (uint16_t)(4010 + tcp), far[v6], 5000);
        error(-1, router[v6], pod_a[v6], q);
        dp_check(-1, &p, DP_STACK(ICMP_ERROR), "v%d %s: about a translated flow", v, l4);
        error(-1, far[v6], pod_a[v6], q);
        dp_check(-1, &p, DP_STACK(ICMP_ERROR), "v%d %s: the same from the far end", v, l4);

        /* Sent by the pod, about what it got: source and destination inside are the other way. */
        inner(proto, far[v6], 5001, pod_a[v6], 4000);
        error(DP_A, pod_a[v6], far[v6], q);
        dp_check(DP_A, &p, DP_REDIRECT(dp.uplink), "v%d %s: from a pod to the wire", v, l4);
        inner(proto, far[v6], 5000, pod_a[v6], (uint16_t)(4010 + tcp));
        error(DP_A, pod_a[v6], far[v6], q);
        dp_check(DP_A, &p, DP_STACK(ICMP_ERROR), "v%d %s: from a pod, translated", v, l4);
        inner(proto, pod_b[v6], 5001, pod_a[v6], 4000);
        error(DP_A, pod_a[v6], pod_b[v6], q);
        dp_check(DP_A, &p, DP_PEER(DP_B), "v%d %s: from a pod to a pod", v, l4);
    }

    inner(IPPROTO_UDP, pod_a[v6], 4000, v6 ? "2001:db8::9" : "8.8.8.8", 53);
    error(-1, router[v6], pod_a[v6], q);
    dp_check(-1, &p, DP_STACK(ICMP_UNRELATED), "v%d: about a flow to outside", v);
    error(-1, v6 ? "2001:db8::9" : "8.8.8.8", pod_a[v6], q);
    dp_check(-1, &p, DP_STACK(OUTSIDE), "v%d: the same from its end", v);
    inner(IPPROTO_UDP, pod_b[v6], 4000, far[v6], 5000);
    error(-1, router[v6], pod_a[v6], q);
    dp_check(-1, &p, DP_STACK(ICMP_UNRELATED), "v%d: about another pod's packet", v);
    inner(IPPROTO_UDP, pod_a[v6], 4000, pod_b[v6], 5000);
    error(-1, router[v6], pod_a[v6], q);
    dp_check(-1, &p, DP_STACK(ICMP_UNRELATED), "v%d: from the wire about a flow on the node", v);
    inner(IPPROTO_UDP, far[v6], 4000, v6 ? "fd00:2::77" : "10.2.0.77", 5000);
    error(DP_A, pod_a[v6], far[v6], q);
    dp_check(DP_A, &p, DP_STACK(ICMP_UNRELATED), "v%d: a pod about others' flow", v);
    inner(IPPROTO_UDP, pod_a[v6], 4000, far[v6], 5001);
    error(-1, router[v6], pod_a[v6], v6 ? 39 : 19);
    dp_check(-1, &p, DP_STACK(ICMP_UNRELATED), "v%d: packet inside cut short", v);
    error(-1, router[v6], pod_a[v6], v6 ? 42 : 22);
    dp_check(-1, &p, DP_STACK(ICMP_UNRELATED), "v%d: ports inside cut short", v);
    error(-1, router[v6], pod_a[v6], q);
    p.data[p.payload] = v6 ? 0x40 : 0x65;
    pkt_sums(&p);
    dp_check(-1, &p, DP_STACK(ICMP_UNRELATED), "v%d: version inside", v);

    dp_eth(&in, DP_A), pkt_ip(&in, pod_a[v6], far[v6]);
    pkt_icmp(&in, v6 ? 128 : 8, 0, 9), pkt_fill(&in, 1, 20), pkt_done(&in);
    error(-1, router[v6], pod_a[v6], q);
    dp_check(-1, &p, DP_STACK(ICMP_UNRELATED), "v%d: about an echo request (tracked)", v);
    dp_flags(PW_CONF_WIRE | PW_CONF_REDIRECT);
    dp_check(-1, &p, DP_PEER(DP_A), "v%d: about an echo request, conntrack not asked", v);
    inner(IPPROTO_UDP, pod_a[v6], 4000, far[v6], 5001);
    error(-1, router[v6], pod_a[v6], q);
    dp_check(-1, &p, DP_PEER(DP_A), "v%d: UDP, conntrack not asked", v);
    dp_flags(PW_CONF_ASK_CT | PW_CONF_WIRE);
    dp_check(-1, &p, DP_MARKED(REDIRECT_OFF), "v%d: redirection off: marked as its flow is", v);
    dp_flags(PW_CONF_ASK_CT | PW_CONF_REDIRECT);
    dp_check(-1, &p, DP_STACK(ICMP_UNRELATED), "v%d: policy routing: unmarked as its flow is", v);
    dp_flags(PW_CONF_ASK_CT | PW_CONF_WIRE | PW_CONF_REDIRECT);
}

int main(void)
{
    dp_open();
    flows_open();
    dp_flags(PW_CONF_WIRE | PW_CONF_REDIRECT | PW_CONF_ASK_CT);
    flow_packet(&p, DP_A, IPPROTO_UDP, pod_a[0], 1, pod_b[0], 2, NULL);
    if (dp_explain(DP_A, &p)->cb[PW_CB_REASON] == PW_CT_UNAVAILABLE)
        skip_all("kernel without bpf_skb_ct_lookup");
    families(false);
    families(true);

    /* What fragments: the packet inside has a fragment header. */
    dp_eth(&in, DP_A), pkt_ip(&in, pod_a[1], far[1]);
    pkt_opts(&in, 44, "\0\0\0\1\0\0\0\7", 8);
    pkt_udp(&in, 4000, 5001), pkt_fill(&in, 1, 40), pkt_done(&in);
    error(-1, router[1], pod_a[1], 96);
    dp_check(-1, &p, DP_PEER(DP_A), "v6: about a first fragment");
    in.data[ETH_HLEN + 40 + 2] = 1;
    error(-1, router[1], pod_a[1], 96);
    dp_check(-1, &p, DP_STACK(ICMP_UNRELATED), "v6: about a later fragment");
    inner(IPPROTO_UDP, pod_a[0], 4000, far[0], 5001);
    pkt_ip4(&in)->frag_off = htons(0x0010), pkt_sums(&in);
    error(-1, router[0], pod_a[0], 28);
    dp_check(-1, &p, DP_STACK(ICMP_UNRELATED), "v4: about a later fragment");
    return tap_done();
}
