/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/xtables.h"

#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/netfilter.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>

#include "loader/base/cleanup.h"
#include "loader/base/fs.h"
#include "loader/base/run.h"

/* What FORWARD needs of an entry of either family. */
struct entry {
    const char *iif, *oif;
    const uint8_t *iif_mask, *oif_mask;
    bool plain; /* no condition but the devices */
    size_t target, next;
};

static bool zero(const void *p, size_t n)
{
    const uint8_t *b = p;
    while (n > 0 && *b == 0) {
        b++;
        n--;
    }
    return n == 0;
}

static bool entry4(const uint8_t *p, size_t len, struct entry *out)
{
    const struct ipt_entry *e = (const struct ipt_entry *)p;

    if (len < sizeof(*e))
        return false;
    *out = (struct entry){.iif = e->ip.iniface,
                          .oif = e->ip.outiface,
                          .iif_mask = e->ip.iniface_mask,
                          .oif_mask = e->ip.outiface_mask,
                          .plain = !e->ip.smsk.s_addr && !e->ip.dmsk.s_addr && !e->ip.proto &&
                                   !e->ip.flags && !e->ip.invflags,
                          .target = e->target_offset,
                          .next = e->next_offset};
    return true;
}

static bool entry6(const uint8_t *p, size_t len, struct entry *out)
{
    const struct ip6t_entry *e = (const struct ip6t_entry *)p;

    if (len < sizeof(*e))
        return false;
    *out = (struct entry){.iif = e->ipv6.iniface,
                          .oif = e->ipv6.outiface,
                          .iif_mask = e->ipv6.iniface_mask,
                          .oif_mask = e->ipv6.outiface_mask,
                          .plain = zero(&e->ipv6.smsk, 16) && zero(&e->ipv6.dmsk, 16) &&
                                   !e->ipv6.proto && !e->ipv6.invflags,
                          .target = e->target_offset,
                          .next = e->next_offset};
    return true;
}

/* Verdict of a standard target: "-1 - NF_..." for the final ones. */
static bool verdict_of(const uint8_t *p, size_t len, int *verdict)
{
    struct xt_standard_target t;

    if (len < sizeof(t))
        return false;
    memcpy(&t, p, sizeof(t));
    if (t.target.u.user.name[0] != '\0')
        return false;
    *verdict = t.verdict;
    return true;
}

static bool names_pods(const char *name, const uint8_t *mask, const char *prefix)
{
    size_t n = 0;

    while (n < IFNAMSIZ && mask[n])
        n++;
    return n > 0 && n <= strlen(prefix) && memcmp(name, prefix, n) == 0;
}

void pw_xtables_read(uint8_t family, const uint8_t *entries, size_t len, size_t hook,
                     size_t underflow, const char *prefix, struct pw_xtables_forward *out)
{
    struct entry e;
    int verdict;

    *out = (struct pw_xtables_forward){0};
    for (size_t at = hook; at < len && at <= underflow; at += e.next) {
        bool known = family == NFPROTO_IPV4 ? entry4(entries + at, len - at, &e)
                                            : entry6(entries + at, len - at, &e);
        if (!known || e.next == 0 || e.next % 8 || e.next > len - at || e.target > e.next)
            return;
        bool standard = verdict_of(entries + at + e.target, e.next - e.target, &verdict);
        /* A rule that is not for another device alone may accept what we do not see. */
        out->others |= at != underflow &&
                       (zero(e.iif_mask, IFNAMSIZ) || names_pods(e.iif, e.iif_mask, prefix));
        if (!standard)
            continue;
        if (at == underflow) {
            out->policy_drop = verdict == -NF_DROP - 1;
            return;
        }
        /* Matches other than a comment would be a condition more; all lie before the target. */
        if (verdict != -NF_ACCEPT - 1 || !e.plain)
            continue;
        bool any_iif = zero(e.iif_mask, IFNAMSIZ), any_oif = zero(e.oif_mask, IFNAMSIZ);
        if (any_oif && names_pods(e.iif, e.iif_mask, prefix))
            out->accepts_from = true;
        if (any_iif && names_pods(e.oif, e.oif_mask, prefix))
            out->accepts_to = true;
    }
}

static bool in_use(uint8_t family)
{
    char names[512];
    const char *path =
        family == NFPROTO_IPV4 ? "/proc/net/ip_tables_names" : "/proc/net/ip6_tables_names";

    return pw_file_read_text(path, names, sizeof(names), NULL) > 0 && strstr(names, "filter");
}

/* Both families have the same layout of these two. */
_Static_assert(sizeof(struct ipt_getinfo) == sizeof(struct ip6t_getinfo), "getinfo");
_Static_assert(sizeof(struct ipt_get_entries) == sizeof(struct ip6t_get_entries), "get_entries");

static bool read_forward(uint8_t family, const char *prefix, struct pw_xtables_forward *out)
{
    bool v4 = family == NFPROTO_IPV4;
    struct ipt_getinfo info = {.name = "filter"};
    socklen_t len = sizeof(info);
    int level = v4 ? IPPROTO_IP : IPPROTO_IPV6;

    if (!in_use(family))
        return false;
    pw_fd fd = socket(v4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
    if (fd < 0 || getsockopt(fd, level, v4 ? IPT_SO_GET_INFO : IP6T_SO_GET_INFO, &info, &len) < 0)
        return false;
    size_t size = sizeof(struct ipt_get_entries) + info.size;
    pw_free struct ipt_get_entries *e = calloc(1, size);
    if (!e)
        return false;
    memcpy(e->name, info.name, sizeof(e->name));
    e->size = info.size;
    len = (socklen_t)size;
    if (getsockopt(fd, level, v4 ? IPT_SO_GET_ENTRIES : IP6T_SO_GET_ENTRIES, e, &len) < 0)
        return false;
    pw_xtables_read(family, (const uint8_t *)e->entrytable, info.size,
                    info.hook_entry[NF_INET_FORWARD], info.underflow[NF_INET_FORWARD], prefix, out);
    return true;
}

bool pw_xtables_forward_drops(uint8_t family, const char *prefix, bool *sure)
{
    struct pw_xtables_forward f;

    if (!read_forward(family, prefix, &f) || !f.policy_drop || (f.accepts_from && f.accepts_to))
        return false;
    *sure = !f.others;
    return true;
}

bool pw_xtables_forward_has(uint8_t family, const char *prefix)
{
    struct pw_xtables_forward f;

    return read_forward(family, prefix, &f) && (f.accepts_from || f.accepts_to);
}

bool pw_xtables_run(uint8_t family, const char *const *args)
{
    const char *argv[24] = {family == NFPROTO_IPV4 ? "/usr/sbin/iptables-legacy"
                                                   : "/usr/sbin/ip6tables-legacy"};

    for (size_t i = 0; args[i] && i + 2 < PW_ARRAY_SIZE(argv); i++)
        argv[i + 1] = args[i];
    return pw_run_quiet(argv);
}
