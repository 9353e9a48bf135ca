/* SPDX-License-Identifier: Apache-2.0 */
/* pw-test: vm */
/* From netkit pod to netkit pod: by the pass from the one's program to the other's guard, and
 * nothing else gets by the guard unseen. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>

#include "tests/bpf/dp.h"

#define GUARD dp.skel->progs.pw_netkit_guard

static struct pkt p;
static const uint8_t pass[8] = {0, 0, 0x9e, 0x11, 0x22, 0x33, 0x44, 0x55}, none[12];

static void draw(const uint8_t *value)
{
    uint32_t key = 0;
    if (bpf_map_update_elem(bpf_map__fd(dp.skel->maps.data_pw_pass), &key, value, BPF_ANY))
        bail("write the pass: %s", strerror(errno));
    dp_conf();
}

/* What the guard of B makes of the frame in `p`. */
static struct dp_run *guard(void)
{
    dp_next_prog = GUARD;
    struct dp_run *r = dp_from(DP_B, &p);
    dp_next_prog = NULL;
    return r;
}

static void whole_way(const char *src, const char *dst)
{
    struct dp_want by_pass = {PW_VIA_PASS, 0, dp.ep[DP_B].ifindex, false};
    struct pw_count to = dp_count_to(DP_B);

    dp_udp(&p, DP_C, src, dst);
    dp_check(DP_C, &p, by_pass, "%s to %s: by the pass", src, dst);
    struct dp_run *r = dp_from(DP_C, &p);
    is_int((long)(dp_count_to(DP_B).packets - to.packets) > 0, 1, "and counted by the sender");
    is_mem(r->data, none, 4, "destination MAC of a layer 3 device");
    is_mem(r->data + 4, pass, 8, "and the pass");

    to = dp_count_to(DP_B);
    uint64_t reasons = dp_reasons_total();
    memcpy(p.data, r->data, p.len);
    uint8_t l3[PKT_MAX];
    memcpy(l3, p.data + 12, p.len - 12);
    r = guard();
    is_int(r->verdict, 7, "the guard hands it on");
    is_mem(r->data, none, 12, "without the pass");
    is_mem(r->data + 12, l3, p.len - 12, "and otherwise as it was");
    is_int((long)(dp_count_to(DP_B).packets - to.packets), 0, "not counted again");
    is_int((long)(dp_reasons_total() - reasons), 0, "under no reason either");
}

static void others(void)
{
    dp_udp(&p, DP_A, "10.1.0.2", "10.1.0.3");
    dp_check(DP_A, &p, DP_PEER(DP_B), "from veth: straight into the pod");
    dp_udp(&p, -1, "10.2.0.9", "10.1.0.3");
    dp_check(-1, &p, DP_PEER(DP_B), "from the wire: straight into the pod");
    dp.ep[DP_B].flags |= PW_EP_LIMITED;
    dp_addr(DP_B, "10.1.0.3");
    dp_udp(&p, DP_C, "10.1.0.4", "10.1.0.3");
    dp_check(DP_C, &p, DP_REDIRECT(dp.ep[DP_B].ifindex), "to one with a limit: by its device");
    dp.ep[DP_B].flags &= (uint16_t)~PW_EP_LIMITED;
    dp_addr(DP_B, "10.1.0.3");
    dp_udp(&p, DP_B, "10.1.0.3", "10.1.0.4");
    dp_check(DP_B, &p, DP_REDIRECT(dp.ep[DP_C].ifindex), "to a layer 2 pod: by its device");
    dp_udp(&p, DP_B, "10.1.0.3", "10.1.0.2");
    dp_check(DP_B, &p, DP_REDIRECT(dp.ep[DP_A].ifindex), "to veth: by its device");
    dp_udp(&p, DP_B, "10.1.0.3", "10.1.0.5");
    dp_check(DP_B, &p, DP_REDIRECT(dp.ep[DP_T].ifindex), "to a tap: by its device");
}

static void forged(void)
{
    int through = 0;
    for (int bit = 0; bit < 64; bit++) {
        dp_udp(&p, DP_B, "10.1.0.2", "10.1.0.4");
        memcpy(p.data + 4, pass, 8);
        p.data[4 + bit / 8] ^= (uint8_t)(1 << bit % 8);
        through += guard()->verdict != TCX_DROP;
    }
    is_int(through, 0, "a pass with any bit wrong: judged as the pod's own");
    dp_udp(&p, DP_B, "10.1.0.2", "10.1.0.4");
    memcpy(p.data + 4, pass, 8);
    is_int(guard()->verdict, 7, "(with the right one it would pass)");

    draw(none);
    dp_udp(&p, DP_B, "10.1.0.2", "10.1.0.4");
    memset(p.data, 0, 12);
    is_int(guard()->verdict, TCX_DROP, "no pass drawn: zeros are none");
    dp_udp(&p, DP_C, "10.1.0.4", "10.1.0.3");
    dp_check(DP_C, &p, DP_REDIRECT(dp.ep[DP_B].ifindex), "and pods send by the device");
}

int main(void)
{
    dp_open();
    draw(pass);
    whole_way("10.1.0.4", "10.1.0.3");
    whole_way("fd00:1::4", "fd00:1::3");
    others();
    forged();
    return tap_done();
}
