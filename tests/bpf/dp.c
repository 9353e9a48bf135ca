/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bpf/dp.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <unistd.h>

/* net/if.h and linux/if.h (by way of pkt.h) exclude each other. */
unsigned if_nametoindex(const char *name);

struct dp dp;
struct dp_run dp_next;
struct bpf_program *dp_next_prog;
bool dp_next_quiet;
struct pkt *dp_prime;

void dp_sh(const char *fmt, ...)
{
    char cmd[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(cmd, sizeof(cmd), fmt, ap);
    va_end(ap);
    if (system(cmd) != 0)
        bail("command failed: %s", cmd);
}

void dp_nat(const char *family)
{
    dp_sh("nft 'add table %s nat; add chain %s nat p { type nat hook postrouting priority 100; }'",
          family, family);
}

/* The end of what libbpf says: of a verifier's log the last lines matter. */
static char last_log[3000];
static int on_log(enum libbpf_print_level level, const char *fmt, va_list ap)
{
    static char text[1 << 20];
    if (level != LIBBPF_WARN)
        return 0;
    vsnprintf(text, sizeof(text), fmt, ap);
    size_t old = strlen(last_log), n = strlen(text), max = sizeof(last_log) - 1;
    if (n > max) {
        memmove(text, text + n - max, max);
        n = max;
    }
    if (old + n > max) {
        memmove(last_log, last_log + old + n - max, max - n);
        old = max - n;
    }
    memcpy(last_log + old, text, n);
    last_log[old + n] = 0;
    return 0;
}

static const struct {
    const char *ifname, *mac;
    uint16_t device, flags;
    const char *addrs[4];
} bench[DP_EPS] = {
    [DP_A] = {"pw-a", "02:00:00:00:00:0a", PW_DEV_VETH, PW_EP_L2, {"10.1.0.2", "fd00:1::2"}},
    [DP_B] = {"pw-b", NULL, PW_DEV_NETKIT, 0, {"10.1.0.3", "fd00:1::3"}},
    [DP_C] = {"pw-c",
              "02:00:00:00:00:0c",
              PW_DEV_NETKIT_L2,
              PW_EP_L2,
              {"10.1.0.4", "10.1.0.44", "fd00:1::4"}},
    [DP_T] = {"pw-t", "02:00:00:00:00:0e", PW_DEV_TAP, PW_EP_L2, {"10.1.0.5", "fd00:1::5"}},
};

void dp_conf(void)
{
    uint32_t key = 0;
    dp.conf.generation++;
    if (bpf_map_update_elem(bpf_map__fd(dp.skel->maps.data_pw_conf), &key, &dp.conf, BPF_ANY))
        bail("write the configuration: %s", strerror(errno));
}

void dp_flags(uint32_t flags)
{
    dp.conf.flags = flags;
    dp_conf();
}

void dp_addr(int ep, const char *addr)
{
    bool v6 = strchr(addr, ':');
    int fd = bpf_map__fd(v6 ? dp.skel->maps.pw_ip6 : dp.skel->maps.pw_ip4);
    uint8_t key[16];
    if (inet_pton(v6 ? AF_INET6 : AF_INET, addr, key) != 1)
        bail("bad address %s", addr);
    if (ep >= 0 ? bpf_map_update_elem(fd, key, &dp.ep[ep], BPF_ANY) : bpf_map_delete_elem(fd, key))
        bail("address %s: %s", addr, strerror(errno));
    dp_conf();
}

static void range4(struct pw_range4 *r, const char *addr, const char *mask)
{
    r->addr = inet_addr(addr);
    r->mask = inet_addr(mask);
}

static void range6(struct pw_range6 *r, const char *addr, const char *mask)
{
    if (inet_pton(AF_INET6, addr, r->addr) != 1 || inet_pton(AF_INET6, mask, r->mask) != 1)
        bail("bad range");
}

/* The embedded object, or for mutate.sh the one that PW_TEST_OBJECT names. */
static struct pw_datapath *open_object(void)
{
    const char *path = getenv("PW_TEST_OBJECT");
    if (!path)
        return pw_datapath__open();
    struct pw_datapath *skel = calloc(1, sizeof(*skel));
    FILE *f = fopen(path, "re");
    size_t max = 4 << 20;
    char *bytes = malloc(max);
    if (!skel || !f || !bytes || pw_datapath__create_skeleton(skel))
        bail("open %s: %s", path, strerror(errno));
    skel->skeleton->data_sz = fread(bytes, 1, max, f);
    skel->skeleton->data = bytes;
    fclose(f);
    return bpf_object__open_skeleton(skel->skeleton, NULL) ? NULL : skel;
}

void dp_open(void)
{
    libbpf_set_print(on_log);
    dp.skel = open_object();
    if (!dp.skel || pw_datapath__load(dp.skel))
        bail("load the datapath: %s\n%s", strerror(errno), last_log);

    dp_sh("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
    dp_sh("ip link add up0 address " DP_UP_MAC " type veth peer name wire0 && "
          "ip link set wire0 up && ip link set up0 up && "
          "ip addr add 192.168.9.1/24 dev up0 && ip addr add fd00:9::1/64 dev up0 nodad && "
          "ip neigh add 192.168.9.2 lladdr " DP_PEER_MAC " dev up0 nud permanent && "
          "ip neigh add fd00:9::2 lladdr " DP_PEER_MAC " dev up0 nud permanent && "
          "ip route add 10.2.0.0/16 via 192.168.9.2 && ip route add fd00:2::/64 via fd00:9::2");
    dp.uplink = if_nametoindex("up0");

    uint8_t host_mac[6];
    pkt_mac(host_mac, DP_HOST_MAC);
    for (int i = 0; i < DP_EPS; i++) {
        struct pw_ep *ep = &dp.ep[i];
        dp_sh("ip link add %s address " DP_HOST_MAC " type veth peer name pod-%c && "
              "ip link set %s up && ip link set pod-%c up",
              bench[i].ifname, bench[i].ifname[3], bench[i].ifname, bench[i].ifname[3]);
        ep->ifindex = if_nametoindex(bench[i].ifname);
        ep->slot = 7 + (uint32_t)i;
        ep->mtu = 1500;
        ep->device = bench[i].device;
        ep->flags = bench[i].flags;
        if (bench[i].mac) {
            pkt_mac(ep->mac, bench[i].mac);
            memcpy(ep->host_mac, host_mac, 6);
        }
        if (bpf_map_update_elem(bpf_map__fd(dp.skel->maps.pw_endpoints), &ep->ifindex, ep, BPF_ANY))
            bail("endpoint: %s", strerror(errno));
        for (int j = 0; j < 4 && bench[i].addrs[j]; j++)
            dp_addr(i, bench[i].addrs[j]);
    }

    dp.conf.mark = DP_MARK;
    dp.conf.n_uplinks = 1;
    dp.conf.uplinks[0] = dp.uplink;
    dp.conf.n_native4 = dp.conf.n_native6 = 1;
    range4(&dp.conf.native4[0], "10.0.0.0", "255.0.0.0");
    range6(&dp.conf.native6[0], "fd00::", "ffff::");
    dp_flags(PW_CONF_REDIRECT | PW_CONF_WIRE);
}

void dp_prog(struct bpf_program *prog, struct pkt *p, struct dp_run *r, unsigned repeat)
{
    struct __sk_buff ctx = {.ifindex = r->ifindex, .mark = r->mark, .gso_size = r->gso_size};
    struct __sk_buff out = {};
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = p->data, .data_size_in = (uint32_t)p->len,
                .data_out = r->data, .data_size_out = sizeof(r->data), .ctx_in = &ctx,
                .ctx_size_in = sizeof(ctx), .ctx_out = &out, .ctx_size_out = sizeof(out),
                .repeat = (int)repeat);
    if (r->gso_size)
        ctx.gso_segs = (uint32_t)(p->len / r->gso_size) + 1;
    ctx.data_end = r->linear;
    int rc = bpf_prog_test_run_opts(bpf_program__fd(prog), &opts);
    r->refused = rc == -EINVAL && r->linear;
    if (rc && !r->refused)
        bail("run %s: %s", bpf_program__name(prog), strerror(errno));
    r->verdict = (int)opts.retval;
    r->out_mark = out.mark;
    r->tstamp = out.tstamp;
    memcpy(r->cb, out.cb, sizeof(r->cb));
    r->ns = opts.duration;
    r->len = opts.data_size_out;
}

static struct dp_run run, told; /* results of the last run and the last explanation */

static struct bpf_program *prog_of(int ep)
{
    if (dp_next_prog)
        return dp_next_prog;
    if (ep < 0)
        return dp.skel->progs.pw_from_uplink;
    if (bench[ep].device == PW_DEV_NETKIT || bench[ep].device == PW_DEV_NETKIT_L2)
        return dp.skel->progs.pw_netkit_from_pod;
    return dp.skel->progs.pw_veth_from_pod;
}

static struct dp_run *run_as(struct dp_run *r, struct bpf_program *prog, int ep, struct pkt *p)
{
    *r = dp_next;
    if (!r->ifindex)
        r->ifindex = ep < 0 ? dp.uplink : dp.ep[ep].ifindex;
    dp_prog(prog, p, r, 1);
    return r;
}

struct dp_run *dp_from(enum dp_ep_name ep, struct pkt *p)
{
    return run_as(&run, prog_of((int)ep), (int)ep, p);
}

struct dp_run *dp_wire(struct pkt *p)
{
    return run_as(&run, prog_of(-1), -1, p);
}

struct dp_run *dp_explain(int ep, struct pkt *p)
{
    return run_as(
        &told, ep < 0 ? dp.skel->progs.pw_explain_from_uplink : dp.skel->progs.pw_explain_from_pod,
        ep, p);
}

static struct pw_count sum(int fd, const void *key, size_t off, size_t size)
{
    static uint8_t values[1024 * sizeof(struct pw_counters)];
    struct pw_count total = {};
    int n = libbpf_num_possible_cpus();
    if (n < 1 || (size_t)n * size > sizeof(values))
        bail("too many CPUs");
    if (bpf_map_lookup_elem(fd, key, values))
        return total;
    for (int i = 0; i < n; i++) {
        struct pw_count c;
        memcpy(&c, values + (size_t)i * size + off, sizeof(c));
        total.packets += c.packets;
        total.bytes += c.bytes;
    }
    return total;
}

struct pw_count dp_count_from(enum dp_ep_name ep)
{
    return sum(bpf_map__fd(dp.skel->maps.pw_counters), &dp.ep[ep].slot,
               offsetof(struct pw_counters, from_pod), sizeof(struct pw_counters));
}

struct pw_count dp_count_to(enum dp_ep_name ep)
{
    return sum(bpf_map__fd(dp.skel->maps.pw_counters), &dp.ep[ep].slot,
               offsetof(struct pw_counters, to_pod), sizeof(struct pw_counters));
}

struct pw_count dp_reason(uint32_t slot, enum pw_reason reason, enum pw_direction dir)
{
    struct pw_reason_key key = {.slot = slot, .reason = (uint16_t)reason, .dir = (uint16_t)dir};
    return sum(bpf_map__fd(dp.skel->maps.pw_reasons), &key, 0, sizeof(struct pw_count));
}

uint64_t dp_reasons_total(void)
{
    int fd = bpf_map__fd(dp.skel->maps.pw_reasons);
    struct pw_reason_key key, *prev = NULL;
    uint64_t total = 0;
    while (bpf_map_get_next_key(fd, prev, &key) == 0) {
        total += sum(fd, &key, 0, sizeof(struct pw_count)).packets;
        prev = &key;
    }
    return total;
}

static uint64_t redirected_total(void)
{
    uint64_t n = 0;
    for (int i = 0; i < DP_EPS; i++)
        n += dp_count_from((enum dp_ep_name)i).packets + dp_count_to((enum dp_ep_name)i).packets;
    return n;
}

/* Once through the real program: NULL, or what is wrong. */
static const char *try_real(int ep, struct pkt *p, struct dp_want want)
{
    static char why[256];
    enum pw_direction dir = ep < 0 ? PW_TO_POD : PW_FROM_POD;
    uint64_t reasons = dp_reasons_total(), redirected = redirected_total(), moved = 0;
    uint64_t old[DP_EPS + 1];
    uint32_t slots[DP_EPS + 1];
    for (int i = 0; i <= DP_EPS; i++) {
        slots[i] = i == DP_EPS ? PW_SLOT_NONE : dp.ep[i].slot;
        old[i] = dp_reason(slots[i], want.reason, dir).packets;
    }
    struct dp_run *r = ep < 0 ? dp_wire(p) : dp_from((enum dp_ep_name)ep, p);
    for (int i = 0; i <= DP_EPS; i++)
        moved += dp_reason(slots[i], want.reason, dir).packets - old[i];
    reasons = dp_reasons_total() - reasons;
    redirected = redirected_total() - redirected;

    bool counted = want.reason != 0 && !dp_next_quiet;
    bool redirects = want.via >= PW_VIA_PEER && want.via != PW_VIA_REPLY;
    int verdict = want.via == PW_VIA_STACK ? TCX_NEXT : want.via == PW_VIA_DROP ? TCX_DROP : 7;
    uint32_t mark = want.marked ? DP_MARK : 0;

    why[0] = 0;
    if (r->verdict != verdict)
        snprintf(why, sizeof(why), "verdict %d, want %d", r->verdict, verdict);
    else if (r->verdict != TCX_DROP && r->out_mark != mark)
        snprintf(why, sizeof(why), "mark %#x, want %#x", r->out_mark, mark);
    else if (reasons != counted || (counted && moved != 1))
        snprintf(why, sizeof(why), "reason counted %llu times, all reasons %llu",
                 (unsigned long long)moved, (unsigned long long)reasons);
    else if ((redirected != 0) != redirects)
        snprintf(why, sizeof(why), "counted as redirected: %llu", (unsigned long long)redirected);
    return why[0] ? why : NULL;
}

const char *dp_try(int ep, struct pkt *p, struct dp_want want)
{
    static char why[512];
    static uint8_t first[PKT_MAX];
    const char *bad;

    why[0] = 0;
    dp_conf();
    if ((bad = try_real(ep, p, want))) {
        snprintf(why, sizeof(why), "unknown path: %s", bad);
    } else {
        uint32_t len = run.len;
        memcpy(first, run.data, len);
        if (dp_prime) {
            static struct dp_run sound;
            memset(&sound, 0, offsetof(struct dp_run, data));
            sound.ifindex = ep < 0 ? dp.uplink : dp.ep[ep].ifindex;
            dp_prog(prog_of(ep), dp_prime, &sound, 1);
        }
        if ((bad = try_real(ep, p, want)))
            snprintf(why, sizeof(why), "known path: %s", bad);
        else if (run.len != len || memcmp(first, run.data, len) != 0)
            snprintf(why, sizeof(why), "the known path leaves other bytes");
    }
    uint64_t reasons = dp_reasons_total(), redirected = redirected_total();
    dp_explain(ep, p);
    size_t n = strlen(why);
    if (dp_reasons_total() != reasons || redirected_total() != redirected)
        snprintf(why + n, sizeof(why) - n, "; explaining has counted");
    else if (told.cb[PW_CB_VIA] != want.via || told.cb[PW_CB_REASON] != want.reason ||
             told.cb[PW_CB_MARKED] != want.marked)
        snprintf(why + n, sizeof(why) - n, "; told via %u reason %u marked %u, want %u %u %u",
                 told.cb[PW_CB_VIA], told.cb[PW_CB_REASON], told.cb[PW_CB_MARKED], want.via,
                 want.reason, want.marked);
    else if (want.ifindex && told.cb[PW_CB_IFINDEX] != want.ifindex)
        snprintf(why + n, sizeof(why) - n, "; told device %u, want %u", told.cb[PW_CB_IFINDEX],
                 want.ifindex);
    memset(&dp_next, 0, offsetof(struct dp_run, data));
    dp_next_prog = NULL;
    dp_next_quiet = false;
    return why[0] ? why : NULL;
}

struct dp_run *dp_last(void)
{
    return &run;
}

void dp_eth(struct pkt *p, int ep)
{
    uint8_t zero[6] = {};
    pkt_start(p);
    pkt_eth(p, ep < 0 ? DP_UP_MAC : DP_HOST_MAC, ep < 0 ? DP_PEER_MAC : DP_HOST_MAC, 0);
    if (ep >= 0)
        memcpy(pkt_ethhdr(p)->h_source, bench[ep].mac ? dp.ep[ep].mac : zero, 6);
}

void dp_udp(struct pkt *p, int ep, const char *src, const char *dst)
{
    dp_eth(p, ep);
    pkt_ip(p, src, dst);
    pkt_udp(p, 4000, 5000);
    pkt_fill(p, 1, 32);
    pkt_done(p);
}

void dp_tcp(struct pkt *p, int ep, const char *src, const char *dst, const char *flags, size_t n)
{
    dp_eth(p, ep);
    pkt_ip(p, src, dst);
    pkt_tcp(p, 4000, 5000, flags);
    pkt_fill(p, 1, n);
    pkt_done(p);
}

const char *dp_addr_of(int ep, bool v6)
{
    for (int j = 0; j < 4 && bench[ep].addrs[j]; j++)
        if (!!strchr(bench[ep].addrs[j], ':') == v6)
            return bench[ep].addrs[j];
    return NULL;
}
