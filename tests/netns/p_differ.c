/* SPDX-License-Identifier: Apache-2.0 */
/*
 * differ: the same packets (odd.h) sent several times, the node switched in between; every time
 * the same must come of them, wherever that shows: what arrives where, with which headers and
 * bytes, and which errors and answers come back. usage: differ watch=NS:IF... pass=COMMAND...
 * [between=COMMAND]... [quiet=MS] < FLOWS FLOWS   "NAME from=NS:IF smac=MAC dmac=MAC src=ADDR
 * dst=ADDR [mtu=N] [at=NS:IF]", one a line; where `at` is given, the sound ones must arrive there
 *   pass    shell command before a pass over all packets; "between:" in front: the commands given
 *           by between= are run in turn between the batches of that pass
 * Prints "ok NAME: N packets ..." or "FAIL NAME: ..." a flow and "# ..." lines on what differs.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader/base/hash.h"
#include "tests/lib/nsx.h"
#include "tests/netns/odd.h"

#define MAX_FLOWS 64
#define MAX_CASES 16000
#define MAX_WATCH 8
#define MAX_PASS 8
#define BATCH 64
#define OUTCOME 48 /* packets that come of one packet, at most: it may go round in a loop */

struct flow {
    char name[48], from[48], at[48], smac[20], dmac[20], src[48], dst[48];
    unsigned mtu;
    struct odd_flow odd;
    uint8_t dst4[4];
    int fd, at_watch;
    unsigned first, n;
};

struct seen {
    char text[256];
};

struct outcome {
    struct seen *seen;
    unsigned n;
    int error; /* errno of the sending, 0 */
    bool here; /* it arrived where it must */
};

struct item {
    const char *kind;
    unsigned flow, nr_kind;
    bool sound;
    struct outcome pass[MAX_PASS];
};

static struct flow flows[MAX_FLOWS];
static struct item items[MAX_CASES];
static struct {
    char place[48];
    int fd;
} watch[MAX_WATCH];
static const char *pass[MAX_PASS], *between[MAX_PASS];
static unsigned n_flows, n_items, n_watch, n_pass, n_between, quiet_ms = 25, strays;

__attribute__((noreturn)) static void die(const char *what, const char *which)
{
    fprintf(stderr, "differ: %s: %s: %s\n", what, which, strerror(errno));
    exit(2);
}

/* A packet socket in "NS:IF". Capturing: what comes in, outgoing packets left out. */
static int open_packet(const char *place, bool capture)
{
    struct sockaddr_ll at = {.sll_family = AF_PACKET};
    char ns[48];
    const char *dev = strchr(place, ':');
    int fd = -1, one = 1, size = 64 << 20;

    if (!dev)
        die("not NS:IF", place);
    snprintf(ns, sizeof(ns), "%.*s", (int)(dev - place), place);
    fd = nsx_socket(ns, AF_PACKET, SOCK_RAW, 0);
    if (fd < 0)
        die("socket", place);
    nsx_enter(ns);
    at.sll_ifindex = (int)if_nametoindex(dev + 1);
    nsx_enter("-");
    at.sll_protocol = htons(capture ? ETH_P_ALL : 0);
    if (setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) < 0)
        die("PACKET_VNET_HDR", place);
    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one));
    setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &one, sizeof(one));
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
    if (at.sll_ifindex == 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
        die("bind", place);
    return fd;
}

/* Forget all connections: a pass must not meet what the one before left. */
static void flush_conntrack(void)
{
    struct {
        struct nlmsghdr h;
        struct nfgenmsg g;
    } m = {.h = {.nlmsg_len = sizeof(m),
                 .nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE,
                 .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
           .g = {.nfgen_family = AF_UNSPEC}};
    struct {
        struct nlmsghdr h;
        struct nlmsgerr e;
        char rest[64];
    } r = {0};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);

    if (fd < 0 || send(fd, &m, sizeof(m), 0) < 0 || recv(fd, &r, sizeof(r), 0) < 0 || r.e.error)
        die("flush of conntrack", strerror(-r.e.error));
    close(fd);
}

/* What is right or wrong with a checksum over n bytes, given the sum of the pseudo header. */
static const char *judge(const uint8_t *l4, size_t n, uint32_t pseudo, bool partial, bool none)
{
    if (partial)
        return "partial";
    if (none)
        return "none";
    return pkt_csum(l4, n, pseudo) == 0 ? "right" : "wrong";
}

/* Blank what kernels choose at random in a quoted packet: identification, and with it the sum. */
static void blank_quote(uint8_t *ip, size_t n)
{
    if (n >= 20 && ip[0] >> 4 == 4)
        ip[4] = ip[5] = ip[10] = ip[11] = 0;
    else if (n >= 48 && ip[0] >> 4 == 6 && ip[6] == IPPROTO_FRAGMENT)
        memset(ip + 44, 0, 4);
}

/* Describe layers 3 and 4; false when it shall not count. */
static bool describe(char *out, size_t size, uint8_t *ip, size_t len,
                     const struct virtio_net_hdr *vh, int number)
{
    const struct flow *f = &flows[items[number].flow];
    bool v6 = ip[0] >> 4 == 6, error, fragment;
    size_t head = v6 ? 40 : (ip[0] & 15U) * 4U, total, field = 0;
    uint8_t proto, *l4;
    const char *sum = "-";
    uint64_t h;

    if (len < head || head < 20)
        return false;
    total = v6 ? 40U + (unsigned)(ip[4] << 8 | ip[5]) : (unsigned)(ip[2] << 8 | ip[3]);
    if (total > head && total < len)
        len = total; /* what the link padded */
    proto = ip[v6 ? 6 : 9];
    fragment = !v6 && ((ip[6] & 0x3f) || ip[7]);
    l4 = ip + head;
    error = len >= head + 8 &&
            ((proto == IPPROTO_ICMP && (*l4 == 3 || *l4 == 11 || *l4 == 12 || *l4 == 5)) ||
             (proto == IPPROTO_ICMPV6 && *l4 < 128));
    /* Fragments that wait in vain are complained about after half a minute: in no pass of ours. */
    if (error && ((proto == IPPROTO_ICMP && *l4 == 11) || (proto == IPPROTO_ICMPV6 && *l4 == 3)) &&
        l4[1] == 1)
        return false;
    /* Redirects are sent to a host as often as the kernel likes. */
    if (len > head &&
        ((proto == IPPROTO_ICMP && *l4 == 5) || (proto == IPPROTO_ICMPV6 && *l4 == 137)))
        return false;
    if (proto == IPPROTO_UDP)
        field = 6;
    else if (proto == IPPROTO_TCP)
        field = 16;
    else if (proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6)
        field = 2;
    if (field && len >= head + field + 2 && !fragment) {
        sum = judge(l4, len - head, proto == IPPROTO_ICMP ? 0 : pkt_pseudo(ip, proto, len - head),
                    vh->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM,
                    proto == IPPROTO_UDP && !l4[6] && !l4[7]);
        l4[field] = l4[field + 1] = 0;
    }
    if (error)
        blank_quote(l4 + 8, len - head - 8);
    if (proto == IPPROTO_ICMP && *l4 == 14 && len >= head + 20)
        memset(l4 + 12, 0, 8); /* the times in a time stamp's answer */
    if (v6 && proto == IPPROTO_FRAGMENT && len >= head + 8)
        l4[4] = 0; /* the round */
    h = pw_hash(PW_HASH_START, l4, len - head);
    if (v6)
        snprintf(out, size, "v6 class=%x%x hop=%u proto=%u len=%zu sum=%s l4=%016llx gso=%u/%u",
                 ip[0] & 15U, ip[1] >> 4U, ip[7], proto, len, sum, (unsigned long long)h,
                 vh->gso_type & ~VIRTIO_NET_HDR_GSO_ECN, vh->gso_size);
    else
        snprintf(out, size,
                 "v4 tos=%x ttl=%u proto=%u len=%zu frag=%02x%02x id=%s head=%s sum=%s l4=%016llx "
                 "gso=%u/%u",
                 ip[1], ip[8], proto, len, ip[6], ip[7],
                 /* What answers and complains has an identification of a kernel's choice. */
                 memcmp(ip + 16, f->dst4, 4) != 0                     ? "any"
                 : ((ip[4] << 8 | ip[5]) & 0xfff) == (number & 0xfff) ? "own"
                                                                      : "other",
                 pkt_csum(ip, head, 0) == 0 ? "right" : "wrong", sum, (unsigned long long)h,
                 vh->gso_type & ~VIRTIO_NET_HDR_GSO_ECN, vh->gso_size);
    return true;
}

static void note(unsigned nr_pass, unsigned w, uint8_t *frame, size_t len, unsigned pkttype)
{
    const struct virtio_net_hdr *vh = (const struct virtio_net_hdr *)frame;
    uint8_t *eth = frame + sizeof(*vh), *ip = eth + ETH_HLEN;
    unsigned type;
    char text[192];
    struct outcome *o;
    int number;

    if (len < sizeof(*vh) + ETH_HLEN + 20)
        return;
    len -= sizeof(*vh) + ETH_HLEN;
    type = (unsigned)(eth[12] << 8 | eth[13]);
    number = odd_number(ip, len);
    if (number < 0 || (unsigned)number >= n_items) {
        strays++;
        return;
    }
    if (!describe(text, sizeof(text), ip, len, vh, number))
        snprintf(text, sizeof(text), "no IP packet of %zu bytes", len);
    if (strncmp(text, "no", 2) == 0 && (type == ETH_P_IP || type == ETH_P_IPV6))
        return;
    o = &items[number].pass[nr_pass];
    if ((int)w == flows[items[number].flow].at_watch && pkttype == PACKET_HOST)
        o->here = true;
    if (!o->seen && !(o->seen = calloc(OUTCOME, sizeof(*o->seen))))
        abort();
    if (o->n < OUTCOME)
        snprintf(o->seen[o->n++].text, sizeof(o->seen->text), "%.40s %s%s", watch[w].place,
                 pkttype == PACKET_HOST ? "" : "for-another ", text);
}

/* Take in what arrives until nothing has for quiet_ms. */
static void drain(unsigned nr_pass, unsigned ms)
{
    static uint8_t frame[80000];
    struct pollfd p[MAX_WATCH];

    for (unsigned i = 0; i < n_watch; i++)
        p[i] = (struct pollfd){.fd = watch[i].fd, .events = POLLIN};
    while (poll(p, n_watch, (int)ms) > 0) {
        for (unsigned i = 0; i < n_watch; i++) {
            struct sockaddr_ll from;
            socklen_t len = sizeof(from);
            ssize_t n;
            if (!p[i].revents)
                continue;
            n = recvfrom(watch[i].fd, frame, sizeof(frame), 0, (struct sockaddr *)&from, &len);
            if (n > 0)
                note(nr_pass, i, frame, (size_t)n, from.sll_pkttype);
        }
    }
}

static void send_item(unsigned nr, unsigned nr_pass)
{
    static struct {
        struct virtio_net_hdr vh;
        uint8_t frame[PKT_MAX];
    } __attribute__((packed)) out;
    static struct pkt p;
    struct item *it = &items[nr];
    struct flow *f = &flows[it->flow];
    struct odd_offload off;

    it->kind =
        odd_make(&p, &off, &it->sound, it->nr_kind, &f->odd, (uint16_t)nr, (uint16_t)nr_pass);
    memset(&out.vh, 0, sizeof(out.vh));
    if (off.csum) {
        out.vh.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
        out.vh.csum_start = (uint16_t)p.l4;
        out.vh.csum_offset = p.proto == IPPROTO_UDP ? 6 : 16;
        out.vh.gso_type = off.gso_type;
        out.vh.gso_size = off.gso_size;
        out.vh.hdr_len = (uint16_t)p.payload;
    }
    memcpy(out.frame, p.data, p.len);
    /* netkit tells the sender of a drop; what came of the packet is seen elsewhere. */
    if (send(f->fd, &out, sizeof(out.vh) + p.len, 0) < 0 && errno != ENOBUFS)
        it->pass[nr_pass].error = errno;
}

static void command(const char *text)
{
    char line[512];

    snprintf(line, sizeof(line), "( %s ) >&2", text);
    if (system(line) != 0) /* NOLINT(cert-env33-c): the test script's own words */
        die("command failed", text);
}

static void run_pass(unsigned nr)
{
    bool switching = strncmp(pass[nr], "between:", 8) == 0;
    unsigned turn = 0;

    command(switching ? pass[nr] + 8 : pass[nr]);
    flush_conntrack();
    drain(nr, quiet_ms);
    for (unsigned i = 0; i < n_items; i++) {
        send_item(i, nr);
        if (i % BATCH == BATCH - 1) {
            drain(nr, quiet_ms);
            if (switching && n_between)
                command(between[turn++ % n_between]);
        }
    }
    drain(nr, 20 * quiet_ms);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(((const struct seen *)a)->text, ((const struct seen *)b)->text);
}

static bool same(struct outcome *a, struct outcome *b)
{
    if (a->n != b->n || a->error != b->error)
        return false;
    for (unsigned i = 0; i < a->n; i++)
        if (strcmp(a->seen[i].text, b->seen[i].text) != 0)
            return false;
    return true;
}

static void tell(const struct item *it, unsigned nr_pass)
{
    const struct outcome *o = &it->pass[nr_pass];

    printf("#   %s, pass %u (%s): %s%s\n", it->kind, nr_pass + 1, pass[nr_pass],
           o->n ? "" : "nothing arrives", o->error ? strerror(o->error) : "");
    for (unsigned i = 0; i < o->n && i < 4; i++)
        printf("#     %s\n", o->seen[i].text);
}

static bool report(struct flow *f)
{
    unsigned differ = 0, lost = 0, arrived = 0, unsent = 0, shown = 0;

    for (unsigned i = f->first; i < f->first + f->n; i++)
        for (unsigned j = 0; j < n_pass; j++)
            if (items[i].pass[j].n)
                qsort(items[i].pass[j].seen, items[i].pass[j].n, sizeof(struct seen), by_text);
    for (unsigned i = f->first; i < f->first + f->n; i++) {
        struct item *it = &items[i];
        bool bad = false;
        arrived += it->pass[0].n > 0;
        unsent += it->pass[0].error != 0;
        for (unsigned j = 0; j < n_pass; j++)
            bad = bad || !same(&it->pass[0], &it->pass[j]);
        differ += bad;
        if (f->at_watch >= 0 && it->sound)
            for (unsigned j = 0; j < n_pass; j++)
                if (!it->pass[j].here && !bad) {
                    lost++;
                    bad = true;
                }
        for (unsigned j = 0; bad && j < n_pass && shown < 24; j++, shown++)
            tell(it, j);
    }
    printf("%s %s: %u packets, %u of which show somewhere, %u cannot be sent; %u differ, %u sound "
           "ones lost\n",
           differ || lost ? "FAIL" : "ok", f->name, f->n, arrived, unsent, differ, lost);
    return !differ && !lost;
}

static void add_flow(char *line)
{
    struct flow *f = &flows[n_flows++];
    char *save = NULL, *word = strtok_r(line, " \t\n", &save);

    *f = (struct flow){.mtu = 1500, .at_watch = -1, .first = n_items};
    snprintf(f->name, sizeof(f->name), "%s", word);
    while ((word = strtok_r(NULL, " \t\n", &save))) {
        char *v = strchr(word, '=');
        if (!v)
            die("not key=value", word);
        *v++ = '\0';
        if (strcmp(word, "mtu") == 0)
            f->mtu = (unsigned)nsx_number(v);
        else if (strcmp(word, "from") == 0)
            snprintf(f->from, sizeof(f->from), "%s", v);
        else if (strcmp(word, "at") == 0)
            snprintf(f->at, sizeof(f->at), "%s", v);
        else if (strcmp(word, "smac") == 0)
            snprintf(f->smac, sizeof(f->smac), "%s", v);
        else if (strcmp(word, "dmac") == 0)
            snprintf(f->dmac, sizeof(f->dmac), "%s", v);
        else if (strcmp(word, "src") == 0)
            snprintf(f->src, sizeof(f->src), "%s", v);
        else if (strcmp(word, "dst") == 0)
            snprintf(f->dst, sizeof(f->dst), "%s", v);
        else
            die("unknown key", word);
    }
    f->odd = (struct odd_flow){.src_mac = f->smac,
                               .dst_mac = f->dmac,
                               .src = f->src,
                               .dst = f->dst,
                               .v6 = strchr(f->dst, ':') != NULL,
                               .mtu = (uint16_t)f->mtu};
    if (!f->odd.v6)
        inet_pton(AF_INET, f->dst, f->dst4);
    f->fd = open_packet(f->from, false);
    for (unsigned i = 0; f->at[0] && i < n_watch; i++)
        if (strcmp(watch[i].place, f->at) == 0)
            f->at_watch = (int)i;
    if (f->at[0] && f->at_watch < 0)
        die("nobody watches there", f->at);
    f->n = odd_count(f->odd.v6);
    for (unsigned k = 0; k < f->n; k++)
        items[n_items++] = (struct item){.flow = n_flows - 1, .nr_kind = k};
}

int main(int argc, char **argv)
{
    char line[512];
    bool good = true;

    nsx_enter("-");
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "watch=", 6) == 0 && n_watch < MAX_WATCH) {
            snprintf(watch[n_watch].place, sizeof(watch[0].place), "%s", argv[i] + 6);
            watch[n_watch].fd = open_packet(watch[n_watch].place, true);
            n_watch++;
        } else if (strncmp(argv[i], "pass=", 5) == 0 && n_pass < MAX_PASS) {
            pass[n_pass++] = argv[i] + 5;
        } else if (strncmp(argv[i], "between=", 8) == 0 && n_between < MAX_PASS) {
            between[n_between++] = argv[i] + 8;
        } else if (strncmp(argv[i], "quiet=", 6) == 0) {
            quiet_ms = (unsigned)nsx_number(argv[i] + 6);
        } else {
            fprintf(stderr, "differ: unknown argument %s\n", argv[i]);
            return 2;
        }
    }
    while (fgets(line, sizeof(line), stdin))
        if (line[strspn(line, " \t\n")] && n_flows < MAX_FLOWS &&
            n_items + odd_count(false) < MAX_CASES)
            add_flow(line);
    if (!n_flows || !n_watch || n_pass < 2)
        die("flows, watches and two passes are needed", "usage");
    for (unsigned i = 0; i < n_pass; i++)
        run_pass(i);
    for (unsigned i = 0; i < n_flows; i++)
        good = report(&flows[i]) && good;
    printf("# %u packets, %u passes, %u other frames seen\n", n_items, n_pass, strays);
    return good ? 0 : 1;
}
