/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/rules.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "loader/base/cleanup.h"

/* What differs between the IP versions. Service and endpoint addresses lie outside what the bench
 * itself uses. */
struct family {
    const char *ip, *type, *pods, *svc, *ep, *restore, *save;
    int host_bits;
};
static const struct family v4 = {"ip",           "ipv4_addr",        "10.244.0.0/16", "10.96.%u.%u",
                                 "10.245.%u.%u", "iptables-restore", "iptables-save", 32};
static const struct family v6 = {"ip6",
                                 "ipv6_addr",
                                 "fd00:244::/32",
                                 "fd00:96::%x:%x",
                                 "fd00:245::%x:%x",
                                 "ip6tables-restore",
                                 "ip6tables-save",
                                 128};

static void service_addr(const struct family *f, unsigned i, char svc[40], char ep[40])
{
    /* Formats of the constant tables above. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(svc, 40, f->svc, (i >> 8) & 255, i & 255);
    snprintf(ep, 40, f->ep, (i >> 8) & 255, i & 255);
#pragma GCC diagnostic pop
}

/* Shape of kube-proxy's nftables mode: one verdict map for all Services, a chain for each Service
 * and each endpoint, conntrack state asked in filter chains. */
static void write_nft(FILE *f, const struct family *v, unsigned n)
{
    char svc[40], ep[40];
    const char *ip = v->ip, *type = v->type;
    fprintf(f,
            "table %s kube-proxy {\n"
            " chain mark-for-masquerade { meta mark set mark or 0x4000; }\n",
            ip);
    for (unsigned i = 0; i < n; i++) {
        service_addr(v, i, svc, ep);
        fprintf(
            f,
            " chain endpoint-%u { %s saddr %s jump mark-for-masquerade; meta l4proto tcp dnat to ",
            i, ip, ep);
        fprintf(f, v == &v4 ? "%s:8080; }\n" : "[%s]:8080; }\n", ep);
        fprintf(f,
                " chain service-%u { %s daddr %s tcp dport 80 %s saddr != %s jump "
                "mark-for-masquerade; numgen random mod 1 vmap { 0 : goto endpoint-%u }; }\n",
                i, ip, svc, ip, v->pods, i);
    }
    fprintf(f, " map service-ips { type %s . inet_proto . inet_service : verdict; elements = {\n",
            type);
    for (unsigned i = 0; i < n; i++) {
        service_addr(v, i, svc, ep);
        fprintf(f, "  %s . tcp . 80 : goto service-%u,\n", svc, i);
    }
    fprintf(f,
            " }; }\n map service-nodeports { type inet_proto . inet_service : verdict; }\n"
            " map no-endpoint-services { type %s . inet_proto . inet_service : verdict; }\n"
            " set cluster-ips { type %s; elements = {\n",
            type, type);
    for (unsigned i = 0; i < n; i++) {
        service_addr(v, i, svc, ep);
        fprintf(f, "  %s,\n", svc);
    }
    fprintf(f,
            " }; }\n"
            " chain services { %s daddr . meta l4proto . th dport vmap @service-ips;\n"
            "  fib daddr type local meta l4proto . th dport vmap @service-nodeports; }\n"
            " chain service-endpoints-check { %s daddr . meta l4proto . th dport vmap "
            "@no-endpoint-services; }\n"
            " chain cluster-ips-check { %s daddr @cluster-ips reject; }\n",
            ip, ip, ip);
    fputs(
        " chain filter-input { type filter hook input priority -110; ct state new jump "
        "service-endpoints-check; }\n"
        " chain filter-forward { type filter hook forward priority -110; ct state invalid drop;\n"
        "  ct state new jump service-endpoints-check; ct state new jump cluster-ips-check; }\n"
        " chain filter-output { type filter hook output priority -110; ct state new jump "
        "service-endpoints-check; }\n"
        " chain filter-output-post { type filter hook output priority -90; ct state new jump "
        "cluster-ips-check; }\n"
        " chain nat-prerouting { type nat hook prerouting priority dstnat; jump services; }\n"
        " chain nat-output { type nat hook output priority -100; jump services; }\n"
        " chain masquerading { mark and 0x4000 == 0 return;\n"
        "  meta mark set mark xor 0x4000; masquerade fully-random; }\n"
        " chain nat-postrouting { type nat hook postrouting priority srcnat; jump masquerading; }\n"
        "}\n",
        f);
}

/* Shape of kube-proxy's iptables mode: one rule for each Service in a list. */
static void write_iptables(FILE *f, const struct family *v, unsigned n)
{
    char svc[40], ep[40];
    fputs("*nat\n:KUBE-SERVICES - [0:0]\n:KUBE-POSTROUTING - [0:0]\n:KUBE-MARK-MASQ - [0:0]\n", f);
    for (unsigned i = 0; i < n; i++)
        fprintf(f, ":KUBE-SVC-%08u - [0:0]\n:KUBE-SEP-%08u - [0:0]\n", i, i);
    fputs("-A PREROUTING -j KUBE-SERVICES\n-A OUTPUT -j KUBE-SERVICES\n"
          "-A POSTROUTING -j KUBE-POSTROUTING\n"
          "-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000\n"
          "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN\n"
          "-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000\n"
          "-A KUBE-POSTROUTING -j MASQUERADE --random-fully\n",
          f);
    for (unsigned i = 0; i < n; i++) {
        service_addr(v, i, svc, ep);
        fprintf(f,
                "-A KUBE-SERVICES -d %s/%d -p tcp -m tcp --dport 80 -j KUBE-SVC-%08u\n"
                "-A KUBE-SVC-%08u ! -s %s -d %s/%d -p tcp -m tcp --dport 80 -j KUBE-MARK-MASQ\n"
                "-A KUBE-SVC-%08u -j KUBE-SEP-%08u\n"
                "-A KUBE-SEP-%08u -s %s/%d -j KUBE-MARK-MASQ\n"
                "-A KUBE-SEP-%08u -p tcp -m tcp -j DNAT --to-destination ",
                svc, v->host_bits, i, i, v->pods, svc, v->host_bits, i, i, i, ep, v->host_bits, i);
        fprintf(f, v == &v4 ? "%s:8080\n" : "[%s]:8080\n", ep);
    }
    fputs("COMMIT\n*filter\n:KUBE-FORWARD - [0:0]\n:KUBE-SERVICES - [0:0]\n:KUBE-FIREWALL - [0:0]\n"
          "-A INPUT -m conntrack --ctstate NEW -j KUBE-SERVICES\n-A INPUT -j KUBE-FIREWALL\n"
          "-A FORWARD -j KUBE-FORWARD\n-A FORWARD -m conntrack --ctstate NEW -j KUBE-SERVICES\n"
          "-A OUTPUT -m conntrack --ctstate NEW -j KUBE-SERVICES\n-A OUTPUT -j KUBE-FIREWALL\n"
          "-A KUBE-FIREWALL -m mark --mark 0x8000/0x8000 -j DROP\n"
          "-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP\n"
          "-A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT\n"
          "-A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\nCOMMIT\n",
          f);
}

int nb_rules_held(const struct nb_spot *at, enum nb_rules kind, int family, struct pw_err *err)
{
    const struct family *v = family == 4 ? &v4 : &v6;
    const char *nft[] = {"nft", "list", "map", v->ip, "kube-proxy", "service-ips", NULL};
    const char *ipt[] = {v->save, "-t", "nat", NULL};
    const char *mark = kind == NB_RULES_NFT ? "goto service-" : "-A KUBE-SERVICES -d ";
    pw_cleanup(nb_out_free) struct nb_out o = {0};
    int n = 0, rc = nb_exec(at, kind == NB_RULES_NFT ? nft : ipt, NULL, NULL, &o, err);
    if (rc < 0)
        return pw_err_wrap(err, "rules of a node");
    for (const char *p = o.text; p && (p = strstr(p, mark)); p += strlen(mark))
        n++;
    return n;
}

int nb_rules_load(const struct nb_spot *at, enum nb_rules kind, int family, unsigned n,
                  struct pw_err *err)
{
    const struct family *v = family == 4 ? &v4 : &v6;
    pw_free char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    if (!f)
        return pw_err_errno(err, -errno, "rules");
    if (kind == NB_RULES_NFT)
        write_nft(f, v, n);
    else
        write_iptables(f, v, n);
    if (fclose(f) != 0)
        return pw_err_errno(err, -errno, "rules");
    const char *nft[] = {"nft", "-f", "-", NULL};
    const char *ipt[] = {v->restore, NULL};
    int rc = nb_exec(at, kind == NB_RULES_NFT ? nft : ipt, NULL, text, NULL, err);
    return rc < 0 ? pw_err_wrap(err, "rules of %u Services", n) : 0;
}

/* ---- ethtool ---- */

struct gro_arg {
    const char *dev;
    int set; /* -1: only read */
};

/* Exit status: 10 + value, or 1. */
static int gro_child(void *p)
{
    struct gro_arg *a = p;
    struct ethtool_value v = {.cmd = ETHTOOL_GGRO};
    struct ifreq ifr = {0};
    pw_fd fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", a->dev);
    ifr.ifr_data = (void *)&v;
    if (fd < 0)
        return 1;
    if (a->set >= 0) {
        v = (struct ethtool_value){ETHTOOL_SGRO, (unsigned)a->set};
        if (ioctl(fd, SIOCETHTOOL, &ifr) < 0)
            return 1;
        v.cmd = ETHTOOL_GGRO;
    }
    return ioctl(fd, SIOCETHTOOL, &ifr) < 0 ? 1 : 10 + (v.data != 0);
}

static int gro(const struct nb_spot *at, const char *dev, int set)
{
    struct gro_arg a = {dev, set};
    struct pw_err err = PW_ERR_INIT;
    pid_t pid = nb_spawn(at, gro_child, &a, &err);
    int st = pid < 0 ? 1 : nb_wait(pid);
    return st == 10 || st == 11 ? st - 10 : -1;
}

void nb_set_gro(const struct nb_spot *at, const char *dev, bool on)
{
    gro(at, dev, on);
}

int nb_get_gro(const struct nb_spot *at, const char *dev)
{
    return gro(at, dev, -1);
}
