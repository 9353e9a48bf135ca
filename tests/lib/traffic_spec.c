/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/traffic.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool parse_pair(struct tr_spec *s, const char *key, const char *value, unsigned port[4])
{
    struct {
        const char *key;
        union nsx_addr *addr;
    } addrs[] = {{"dst", &s->dst}, {"at", &s->at}, {"src", &s->src}, {"peer", &s->peer}};
    unsigned long long nr = strtoull(value, NULL, 0);

    for (unsigned i = 0; i < 4; i++)
        if (strcmp(key, addrs[i].key) == 0)
            return nsx_parse(addrs[i].addr, value, 0);
    if (strcmp(key, "from") == 0)
        return snprintf(s->from, sizeof(s->from), "%s", value) < (int)sizeof(s->from);
    if (strcmp(key, "to") == 0)
        return snprintf(s->to, sizeof(s->to), "%s", value) < (int)sizeof(s->to);
    if (strcmp(key, "port") == 0)
        port[0] = (unsigned)nr;
    else if (strcmp(key, "atport") == 0)
        port[1] = (unsigned)nr;
    else if (strcmp(key, "sport") == 0)
        port[2] = (unsigned)nr;
    else if (strcmp(key, "ttl") == 0)
        s->ttl = (unsigned)nr;
    else if (strcmp(key, "size") == 0)
        s->size = (unsigned)nr;
    else if (strcmp(key, "df") == 0)
        s->df = (unsigned)nr;
    else if (strcmp(key, "amount") == 0)
        s->amount = nr;
    else if (strcmp(key, "fails") == 0)
        s->fails = nr;
    else
        return false;
    return true;
}

bool tr_parse(struct tr_spec *out, const char *line, char *why)
{
    struct tr_spec s = {.size = 1000};
    unsigned port[4] = {0};
    char copy[512], *save = NULL, *word;
    const char *any;

    snprintf(copy, sizeof(copy), "%s", line);
    word = strtok_r(copy, " \t\n", &save);
    if (!word ||
        (strcmp(word, "tcp") != 0 && strcmp(word, "udp") != 0 && strcmp(word, "icmp") != 0)) {
        snprintf(why, 128, "a flow is tcp, udp or icmp, not '%.40s'", word ? word : "");
        return false;
    }
    s.proto = *word == 't' ? TR_TCP : *word == 'u' ? TR_UDP : TR_ICMP;
    s.amount = s.proto == TR_TCP ? 256 * 1024 : 16;
    save += strspn(save, " \t");
    word = *save == '"' ? strtok_r(save + 1, "\"\n", &save) : strtok_r(NULL, " \t\n", &save);
    snprintf(s.name, sizeof(s.name), "%s", word ? word : "?");
    while ((word = strtok_r(NULL, " \t\n", &save))) {
        char *eq = strchr(word, '=');
        if (eq)
            *eq = '\0';
        if (!eq || !parse_pair(&s, word, eq + 1, port)) {
            snprintf(why, 128, "%.40s: cannot read '%.40s'", s.name, word);
            return false;
        }
    }
    if (!s.dst.sa.sa_family || !s.from[0]) {
        snprintf(why, 128, "%.40s: from= and dst= are needed", s.name);
        return false;
    }
    any = s.dst.sa.sa_family == AF_INET6 ? "::" : "0.0.0.0";
    s.dst.v4.sin_port = htons((uint16_t)port[0]);
    if (s.at.sa.sa_family || port[1]) {
        if (!s.at.sa.sa_family)
            nsx_parse(&s.at, any, 0);
        s.at.v4.sin_port = htons((uint16_t)(port[1] ? port[1] : port[0]));
    }
    if (s.src.sa.sa_family || port[2]) {
        if (!s.src.sa.sa_family)
            nsx_parse(&s.src, any, 0);
        s.src.v4.sin_port = htons((uint16_t)port[2]);
    }
    *out = s;
    return true;
}
