/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the loader and podwirectl read from outside, from the same files: the first byte chooses
 * (0: an answer of nftables, 1, 2: a table of legacy iptables, 3: a packet's first bytes, 4: a
 * pin's name, 5: what a guest is told), the rest is what was read.
 */
#include <linux/netfilter/nfnetlink.h>

#include "loader/attach.h"
#include "loader/autoconf.h"
#include "loader/ctl/packet.h"
#include "loader/nl/nft.h"
#include "loader/xtables.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void nft(const uint8_t *data, size_t size)
{
    struct pw_nft_rule_info info;
    /* As many bytes as there are, so that one read too many is seen. */
    const struct pw_nlmsg msg = {
        .type = (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_NEWRULE, .data = data, .len = size};

    if (pw_nft_rule_read(&msg, &info) &&
        (strnlen(info.comment, sizeof(info.comment)) == sizeof(info.comment) ||
         strnlen(info.iif, sizeof(info.iif)) == sizeof(info.iif)))
        abort();
}

static void xtables(uint8_t family, const uint8_t *data, size_t size)
{
    struct pw_xtables_forward f;
    uint16_t at[2];

    if (size < sizeof(at))
        return;
    memcpy(at, data, sizeof(at));
    pw_xtables_read(family, data + 8, size > 8 ? size - 8 : 0, at[0] & ~7U, at[1] & ~7U, "pw-", &f);
}

/* A domain and a search name, lines of text; before them routes and name servers, six bytes each.
 */
static void autoconf(const uint8_t *data, size_t size)
{
    struct pw_autoconf c = {.ip4 = {.family = 4, .prefix = 24}, .ip6 = {.family = 6, .prefix = 64}};
    struct pw_guest g;
    char text[300], *second;

    for (; size > 6 && data[0] < 8 && c.n_routes < PW_AUTOCONF_ROUTES; data += 6, size -= 6) {
        struct pw_addr a = {.family = data[0] & 1 ? 4 : 6};
        a.prefix = data[1] % (a.family == 4 ? 33 : 129);
        memcpy(a.b, data + 2, 4);
        if (data[0] & 2 && c.n_dns < PW_AUTOCONF_DNS)
            c.dns[c.n_dns++] = a;
        else
            c.routes[c.n_routes++] = (typeof(c.routes[0])){a, data[0] & 4};
    }
    memset(text, 0, sizeof(text));
    memcpy(text, data, size < sizeof(text) ? size : sizeof(text) - 1);
    if ((second = strchr(text, '\n'))) {
        *second++ = '\0';
        c.search[c.n_search++] = second;
    }
    c.domain = *text ? text : NULL;
    if (pw_autoconf_make(&c, &g, NULL) == 0 &&
        (g.ra_len > sizeof(g.ra) || g.ra_len % 8 || g.opts6_len > sizeof(g.opts6)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[80], device[32], name[64];
    enum pw_hook hook;

    if (size < 1)
        return 0;
    /* A copy of its own: aligned, and ending where the input ends. */
    size_t n = size - 1;
    uint8_t *copy = malloc(n ? n : 1);
    memcpy(copy, data + 1, n);
    switch (data[0] % 6) {
    case 0:
        nft(copy, n);
        break;
    case 1:
        xtables(NFPROTO_IPV4, copy, n);
        break;
    case 2:
        xtables(NFPROTO_IPV6, copy, n);
        break;
    case 3:
        ctl_packet_text(copy, n, text, sizeof(text));
        break;
    case 5:
        autoconf(copy, n);
        break;
    default:
        memset(name, 0, sizeof(name));
        memcpy(name, copy, n < sizeof(name) ? n : sizeof(name) - 1);
        pw_hook_of_pin(name, device, &hook);
        break;
    }
    free(copy);
    return 0;
}
