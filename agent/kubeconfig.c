/* SPDX-License-Identifier: Apache-2.0 */
/* kubeconfig: https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/ */
#include "agent/kube.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "loader/base/cleanup.h"

static int no_memory(struct pw_err *err)
{
    return pw_err_errno(err, -ENOMEM, "kubeconfig");
}

static const char *scalar(const yaml_node_t *n)
{
    if (!n || n->type != YAML_SCALAR_NODE ||
        strlen((char *)n->data.scalar.value) != n->data.scalar.length)
        return NULL;
    return (const char *)n->data.scalar.value;
}

static yaml_node_t *get(yaml_document_t *doc, const yaml_node_t *map, const char *key)
{
    if (!map || map->type != YAML_MAPPING_NODE)
        return NULL;
    for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top;
         p++) {
        const char *k = scalar(yaml_document_get_node(doc, p->key));
        if (k && strcmp(k, key) == 0)
            return yaml_document_get_node(doc, p->value);
    }
    return NULL;
}

/* Of a list of {name, KIND}: that of the name. */
static yaml_node_t *named(yaml_document_t *doc, const yaml_node_t *list, const char *name,
                          const char *kind)
{
    if (!list || list->type != YAML_SEQUENCE_NODE)
        return NULL;
    for (yaml_node_item_t *i = list->data.sequence.items.start; i < list->data.sequence.items.top;
         i++) {
        yaml_node_t *entry = yaml_document_get_node(doc, *i);
        const char *n = scalar(get(doc, entry, "name"));
        if (n && strcmp(n, name) == 0)
            return get(doc, entry, kind);
    }
    return NULL;
}

/* A new string, or NULL where the key is absent; `path`: relative to the folder. */
static int take(yaml_document_t *doc, const yaml_node_t *map, const char *key, const char *folder,
                bool path, char **out, struct pw_err *err)
{
    const char *s = scalar(get(doc, map, key));

    if (!s || !*s)
        return 0;
    if (path && s[0] != '/') {
        if (asprintf(out, "%s/%s", folder, s) < 0)
            *out = NULL;
    } else {
        *out = strdup(s);
    }
    return *out ? 0 : no_memory(err);
}

static int sextet(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* Base64 (RFC 4648) of text; NULL when it is none or there is no memory. */
static char *decode(const char *s)
{
    char *out = malloc(strlen(s) / 4 * 3 + 4);
    unsigned bits = 0, have = 0;
    size_t n = 0;

    for (; out && *s && *s != '='; s++) {
        int v = sextet(*s);
        if (*s == '\n' || *s == '\r' || *s == ' ')
            continue;
        if (v < 0) {
            free(out);
            return NULL;
        }
        bits = bits << 6 | (unsigned)v;
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[n++] = (char)(bits >> have);
        }
    }
    if (out)
        out[n] = '\0';
    return out;
}

static int take_data(yaml_document_t *doc, const yaml_node_t *map, const char *key, char **out,
                     struct pw_err *err)
{
    const char *s = scalar(get(doc, map, key));

    if (!s || !*s)
        return 0;
    *out = decode(s);
    return *out ? 0 : pw_err_set(err, -EINVAL, "'%s' is not base64", key);
}

static int read_cluster(yaml_document_t *doc, const yaml_node_t *cluster, const char *folder,
                        struct pw_kube *k, struct pw_err *err)
{
    const char *insecure = scalar(get(doc, cluster, "insecure-skip-tls-verify"));
    int rc = take(doc, cluster, "server", folder, false, &k->server, err);

    k->insecure = insecure && strcmp(insecure, "true") == 0;
    if (!rc)
        rc = take(doc, cluster, "certificate-authority", folder, true, &k->ca_file, err);
    if (!rc)
        rc = take_data(doc, cluster, "certificate-authority-data", &k->ca, err);
    if (rc)
        return rc;
    if (get(doc, cluster, "tls-server-name") || get(doc, cluster, "proxy-url"))
        return pw_err_set(err, -EINVAL, "'tls-server-name' and 'proxy-url' are not supported");
    if (!k->server)
        return pw_err_set(err, -EINVAL, "the cluster has no 'server'");
    size_t n = strlen(k->server);
    while (n && k->server[n - 1] == '/')
        k->server[--n] = '\0';
    return 0;
}

static int read_user(yaml_document_t *doc, const yaml_node_t *user, const char *folder,
                     struct pw_kube *k, struct pw_err *err)
{
    static const char *const cannot[] = {"exec", "auth-provider", "username", "as"};

    for (size_t i = 0; i < PW_ARRAY_SIZE(cannot); i++)
        if (get(doc, user, cannot[i]))
            return pw_err_set(err, -EINVAL,
                              "the user logs in by '%s', which is not supported: give a token or a "
                              "client certificate",
                              cannot[i]);
    int rc = take(doc, user, "client-certificate", folder, true, &k->cert_file, err);
    if (!rc)
        rc = take_data(doc, user, "client-certificate-data", &k->cert, err);
    if (!rc)
        rc = take(doc, user, "client-key", folder, true, &k->key_file, err);
    if (!rc)
        rc = take_data(doc, user, "client-key-data", &k->key, err);
    if (!rc)
        rc = take(doc, user, "tokenFile", folder, true, &k->token_file, err);
    return rc ? rc : take(doc, user, "token", folder, false, &k->token, err);
}

static int read_document(yaml_document_t *doc, const char *folder, struct pw_kube *k,
                         struct pw_err *err)
{
    const yaml_node_t *root = yaml_document_get_root_node(doc);
    const char *current = scalar(get(doc, root, "current-context"));

    if (!current || !*current)
        return pw_err_set(err, -EINVAL, "no 'current-context'");
    const yaml_node_t *context = named(doc, get(doc, root, "contexts"), current, "context");
    if (!context)
        return pw_err_set(err, -EINVAL, "no context '%.100s'", current);
    const char *cluster = scalar(get(doc, context, "cluster"));
    const char *user = scalar(get(doc, context, "user"));
    const yaml_node_t *at =
        named(doc, get(doc, root, "clusters"), cluster ? cluster : "", "cluster");
    if (!at)
        return pw_err_set(err, -EINVAL, "no cluster '%.100s'", cluster ? cluster : "");
    int rc = read_cluster(doc, at, folder, k, err);
    /* A context without a user is one of a server that asks for none. */
    if (rc || !user || !*user)
        return rc;
    at = named(doc, get(doc, root, "users"), user, "user");
    return at ? read_user(doc, at, folder, k, err)
              : pw_err_set(err, -EINVAL, "no user '%.100s'", user);
}

int pw_kubeconfig_parse(const char *text, size_t len, const char *folder, struct pw_kube *out,
                        struct pw_err *err)
{
    struct pw_kube k = {0};
    yaml_parser_t parser;
    yaml_document_t doc;

    if (!yaml_parser_initialize(&parser))
        return no_memory(err);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
    if (!yaml_parser_load(&parser, &doc)) {
        int rc =
            pw_err_set(err, -EINVAL, "%.100s at line %zu",
                       parser.problem ? parser.problem : "no YAML", parser.problem_mark.line + 1);
        yaml_parser_delete(&parser);
        return rc;
    }
    int rc = read_document(&doc, folder, &k, err);
    yaml_document_delete(&doc);
    yaml_parser_delete(&parser);
    if (rc)
        pw_kube_free(&k);
    else
        *out = k;
    return rc;
}

int pw_kubeconfig_read(const char *path, struct pw_kube *out, struct pw_err *err)
{
    pw_free char *text = NULL;
    char folder[4096];
    int rc = pw_kube_file(path, &text, err);

    if (rc)
        return rc;
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    rc = pw_kubeconfig_parse(text, strlen(text), folder, out, err);
    return rc ? pw_err_wrap(err, "%.200s", path) : 0;
}
