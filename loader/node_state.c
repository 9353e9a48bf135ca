/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/fs.h"
#include "loader/base/hash.h"
#include "loader/node.h"

#define STATE_NAME "node"
#define STATE_FILE PW_RUN_DIR "/" STATE_NAME

/* Written and read by the same machine and boot, so it is the struct as it is, between a number
 * that changes with its layout and a checksum. */
struct file {
    uint64_t magic;
    struct pw_node_state state;
    uint64_t sum;
};
#define MAGIC (0x7077206e6f646500U + sizeof(struct file))

/* As pw_hash, by words: the file is long, and read in every ADD. */
static uint64_t checksum(const struct pw_node_state *s)
{
    const uint8_t *p = (const uint8_t *)s;
    uint64_t h = PW_HASH_START, v;

    for (size_t i = 0; i + sizeof(v) <= sizeof(*s); i += sizeof(v)) {
        memcpy(&v, p + i, sizeof(v));
        h = (h ^ v) * PW_HASH_PRIME;
        h ^= h >> 29;
    }
    return h;
}

bool pw_node_state_read(struct pw_node_state *out)
{
    struct file f;

    memset(out, 0, sizeof(*out));
    if (pw_file_read(STATE_FILE, &f, sizeof(f), NULL) != sizeof(f) || f.magic != MAGIC ||
        f.sum != checksum(&f.state) || f.state.n > PW_MAX_NETWORKS)
        return false;
    *out = f.state;
    return true;
}

/* What a writer left that was killed before it could rename. Whoever writes holds the lock. */
static void remove_unfinished(void)
{
    pw_dir *d = opendir(PW_RUN_DIR);
    struct dirent *e;

    while (d && (e = readdir(d)))
        if (strncmp(e->d_name, STATE_NAME ".", strlen(STATE_NAME ".")) == 0)
            unlinkat(dirfd(d), e->d_name, 0);
}

int pw_node_state_write(const struct pw_node_state *state, struct pw_err *err)
{
    struct file f = {.magic = MAGIC, .state = *state, .sum = checksum(state)};

    remove_unfinished();
    return pw_file_replace(STATE_FILE, &f, sizeof(f), err);
}

static int copy_ranges(struct pw_addr *to, size_t *to_n, const struct pw_addr *from, size_t n,
                       const char *what, struct pw_err *err)
{
    if (n > 2 * (size_t)PW_MAX_RANGES)
        return pw_err_set(err, -EINVAL, "%s: more than %d ranges", what, 2 * PW_MAX_RANGES);
    *to_n = 0;
    for (size_t i = 0; i < n; i++) {
        struct pw_addr net = pw_addr_network(from[i]);
        struct pw_addr *slot = &to[*to_n];
        if (net.family != 4 && net.family != 6)
            return pw_err_set(err, -EINVAL, "%s: an entry is no address range", what);
        /* Field by field into zeroed memory: what pads the struct is compared too. */
        slot->family = net.family;
        slot->prefix = net.prefix;
        memcpy(slot->b, net.b, sizeof(slot->b));
        ++*to_n;
    }
    return 0;
}

/* The same words in the same bytes, whatever was in the caller's padding. */
static int normalize(const struct pw_node_conf *in, struct pw_node_conf *out, struct pw_err *err)
{
    memset(out, 0, sizeof(*out));
    snprintf(out->network, sizeof(out->network), "%.131s", in->network);
    for (size_t i = 0; i < PW_MAX_UPLINKS; i++)
        snprintf(out->uplinks[i], sizeof(out->uplinks[i]), "%.15s", in->uplinks[i]);
    out->masquerade = in->masquerade;
    out->ask_conntrack = in->ask_conntrack;
    out->forward_accept = in->forward_accept;
    out->mark = in->mark;
    if (in->mark == 0)
        return pw_err_set(err, -EINVAL, "mark: must not be 0");
    if (in->mark & PW_MARK_KUBE_PROXY)
        return pw_err_set(err, -EINVAL,
                          "mark 0x%x: bits 0x4000 and 0x8000 are kube-proxy's, choose others",
                          in->mark);
    int rc =
        copy_ranges(out->native, &out->n_native, in->native, in->n_native, "native ranges", err);
    if (!rc)
        rc = copy_ranges(out->pods, &out->n_pods, in->pods, in->n_pods, "pod ranges", err);
    if (!rc)
        rc = copy_ranges(out->services, &out->n_services, in->services, in->n_services,
                         "service ranges", err);
    return rc;
}

/* normalize() has written every byte. */
static bool same_bytes(const void *a, const void *b, size_t n)
{
    return memcmp(a, b, n) == 0;
}

/* Its place, or state->n. */
static uint32_t place_of(const struct pw_node_state *state, const char *network)
{
    uint32_t i = 0;

    while (i < state->n &&
           strncmp(state->conf[i].network, network, sizeof(state->conf[i].network)) != 0)
        i++;
    return i;
}

bool pw_node_state_knows(const struct pw_node_state *state, const char *network)
{
    return place_of(state, network) < state->n;
}

int pw_node_state_put(struct pw_node_state *state, const struct pw_node_conf *conf, bool *changed,
                      struct pw_err *err)
{
    pw_free struct pw_node_conf *c = malloc(sizeof(*c));
    if (!c)
        return pw_err_set(err, -ENOMEM, "node configuration: out of memory");
    int rc = normalize(conf, c, err);
    if (rc)
        return rc;
    uint32_t i = place_of(state, c->network);
    if (i == PW_MAX_NETWORKS)
        return pw_err_set(err, -ENOSPC, "network %s: the node has %d networks already", c->network,
                          PW_MAX_NETWORKS);
    *changed = i == state->n || !same_bytes(&state->conf[i], c, sizeof(*c));
    if (*changed) {
        state->conf[i] = *c;
        if (i == state->n)
            state->n++;
    }
    return 0;
}

static int join_ranges(struct pw_addr *to, size_t *n, const struct pw_addr *from, size_t from_n,
                       const char *what, struct pw_err *err)
{
    for (size_t i = 0; i < from_n; i++) {
        bool covered = false;
        size_t of_family = 0;
        for (size_t j = 0; j < *n; j++) {
            of_family += to[j].family == from[i].family;
            covered |= from[i].prefix >= to[j].prefix && pw_addr_in(&from[i], &to[j]);
        }
        if (covered)
            continue;
        if (of_family == PW_MAX_RANGES)
            return pw_err_set(err, -EDOM, "more than %d %s of IPv%d on the node", PW_MAX_RANGES,
                              what, from[i].family);
        to[(*n)++] = from[i];
    }
    return 0;
}

static int join_uplinks(struct pw_node_conf *to, const struct pw_node_conf *from,
                        struct pw_err *err)
{
    for (size_t i = 0; i < PW_MAX_UPLINKS; i++) {
        size_t j = 0;
        if (!from->uplinks[i][0])
            continue;
        while (j < PW_MAX_UPLINKS && to->uplinks[j][0] &&
               strcmp(to->uplinks[j], from->uplinks[i]) != 0)
            j++;
        if (j == PW_MAX_UPLINKS)
            return pw_err_set(err, -EDOM, "more than %d uplinks on the node", PW_MAX_UPLINKS);
        memcpy(to->uplinks[j], from->uplinks[i], sizeof(to->uplinks[j]));
    }
    return 0;
}

int pw_node_join(const struct pw_node_state *state, struct pw_node_conf *out, struct pw_err *err)
{
    memset(out, 0, sizeof(*out));
    out->mark = PW_MARK_DEFAULT;
    out->ask_conntrack = state->n == 0; /* until someone says: the safe way */
    for (uint32_t i = 0; i < state->n; i++) {
        const struct pw_node_conf *c = &state->conf[i];
        if (i && c->mark != out->mark)
            return pw_err_set(err, -EDOM,
                              "networks %s and %s want different marks (0x%x, 0x%x) on one node",
                              state->conf[0].network, c->network, out->mark, c->mark);
        out->mark = c->mark;
        out->masquerade |= c->masquerade;
        out->ask_conntrack |= c->ask_conntrack;
        out->forward_accept |= c->forward_accept;
        int rc = join_uplinks(out, c, err);
        if (!rc)
            rc = join_ranges(out->pods, &out->n_pods, c->pods, c->n_pods, "pod ranges", err);
        /* A node's own pods are native, always. */
        if (!rc)
            rc = join_ranges(out->native, &out->n_native, c->native, c->n_native, "native ranges",
                             err);
        if (!rc)
            rc = join_ranges(out->native, &out->n_native, c->pods, c->n_pods, "native ranges", err);
        if (!rc)
            rc = join_ranges(out->services, &out->n_services, c->services, c->n_services,
                             "service ranges", err);
        if (rc)
            return rc;
    }
    return 0;
}
