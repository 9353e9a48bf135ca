/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bpf/flows.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

void flows_open(void)
{
    dp_sh("nft -f - <<'END'\n"
          "table inet t {\n"
          "  chain o { type nat hook output priority -100;\n"
          "    ip daddr 10.96.0.1 dnat ip to 10.2.0.9\n"
          "    ip daddr 10.96.0.2 dnat ip to 10.1.0.3\n"
          "    ip6 daddr fd00:96::1 dnat ip6 to fd00:2::9\n"
          "    ip6 daddr fd00:96::2 dnat ip6 to fd00:1::3\n"
          "  }\n"
          "  chain p { type nat hook postrouting priority 100;\n"
          "    ip protocol { tcp, udp } th sport 4100 snat ip to 192.168.9.1\n"
          "    ip6 nexthdr { tcp, udp } th sport 4100 snat ip6 to fd00:9::1\n"
          "  }\n"
          "}\n"
          "END");
    dp_sh("ip addr add 10.1.0.2/32 dev lo && ip addr add fd00:1::2/128 dev lo nodad && "
          "ip route add 10.96.0.0/24 via 192.168.9.2 && ip route add fd00:96::/64 via fd00:9::2 && "
          "ip route add 10.1.0.3/32 via 192.168.9.2 && ip route add fd00:1::3/128 via fd00:9::2");
}

static socklen_t address(struct sockaddr_storage *ss, const char *text, uint16_t port)
{
    struct sockaddr_in *v4 = (void *)ss;
    struct sockaddr_in6 *v6 = (void *)ss;
    memset(ss, 0, sizeof(*ss));
    if (strchr(text, ':')) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        inet_pton(AF_INET6, text, &v6->sin6_addr);
        return sizeof(*v6);
    }
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    inet_pton(AF_INET, text, &v4->sin_addr);
    return sizeof(*v4);
}

int flow_socket(uint8_t proto, bool v6, uint16_t sport)
{
    struct sockaddr_storage ss;
    socklen_t n = address(&ss, v6 ? "fd00:1::2" : "10.1.0.2", sport);
    int one = 1;
    int fd =
        socket(v6 ? AF_INET6 : AF_INET,
               (proto == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
        bind(fd, (struct sockaddr *)&ss, n))
        bail("socket: %s", strerror(errno));
    return fd;
}

void flow_send(int fd, const char *dst, uint16_t dport)
{
    struct sockaddr_storage ss;
    socklen_t n = address(&ss, dst, dport);
    int type = 0;
    socklen_t len = sizeof(type);
    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len);
    if (type == SOCK_STREAM ? connect(fd, (struct sockaddr *)&ss, n) && errno != EINPROGRESS
                            : sendto(fd, "x", 1, 0, (struct sockaddr *)&ss, n) != 1)
        bail("send to %s: %s", dst, strerror(errno));
}

void flow_make(uint8_t proto, uint16_t sport, const char *dst, uint16_t dport)
{
    flow_send(flow_socket(proto, strchr(dst, ':'), sport), dst, dport);
}

void flow_packet(struct pkt *p, int ep, uint8_t proto, const char *src, uint16_t sport,
                 const char *dst, uint16_t dport, const char *flags)
{
    dp_eth(p, ep);
    pkt_ip(p, src, dst);
    if (proto == IPPROTO_TCP)
        pkt_tcp(p, sport, dport, flags);
    else
        pkt_udp(p, sport, dport);
    pkt_fill(p, 5, 60);
    pkt_done(p);
}
