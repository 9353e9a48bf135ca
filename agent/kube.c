/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/kube.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"

void pw_kube_free(struct pw_kube *k)
{
    char **const all[] = {&k->server,    &k->ca_file, &k->ca,       &k->token_file, &k->token,
                          &k->cert_file, &k->cert,    &k->key_file, &k->key};

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        free(*all[i]);
    memset(k, 0, sizeof(*k));
}

int pw_kube_in_cluster(struct pw_kube *out, struct pw_err *err)
{
    const char *host = getenv("KUBERNETES_SERVICE_HOST");
    const char *port = getenv("KUBERNETES_SERVICE_PORT");
    struct pw_kube k = {0};

    if (!host || !*host || !port || !*port)
        return pw_err_set(err, -ENOENT,
                          "no API server: not in a pod (KUBERNETES_SERVICE_HOST is not set), and "
                          "neither 'kubernetes.kubeconfig' nor 'kubernetes.server' is");
    bool v6 = strchr(host, ':');
    if (asprintf(&k.server, v6 ? "https://[%s]:%s" : "https://%s:%s", host, port) < 0)
        k.server = NULL;
    k.ca_file = strdup(PW_KUBE_SECRETS "/ca.crt");
    k.token_file = strdup(PW_KUBE_SECRETS "/token");
    if (!k.server || !k.ca_file || !k.token_file) {
        pw_kube_free(&k);
        return pw_err_errno(err, -ENOMEM, "in-cluster configuration");
    }
    *out = k;
    return 0;
}

int pw_kube_file(const char *path, char **out, struct pw_err *err)
{
    pw_free char *text = malloc(PW_KUBE_FILE_MAX + 1);
    size_t len = 0;

    pw_fd fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (!text || fd < 0)
        return pw_err_errno(err, text ? -errno : -ENOMEM, "read %.200s", path);
    for (;;) {
        ssize_t n = read(fd, text + len, PW_KUBE_FILE_MAX + 1 - len);
        if (n < 0)
            return pw_err_errno(err, -errno, "read %.200s", path);
        len += (size_t)n;
        if (n == 0)
            break;
        if (len > PW_KUBE_FILE_MAX)
            return pw_err_set(err, -EFBIG, "%.200s is larger than %d bytes", path,
                              PW_KUBE_FILE_MAX);
    }
    while (len && (text[len - 1] == '\n' || text[len - 1] == '\r'))
        len--;
    text[len] = '\0';
    *out = PW_TAKE_PTR(text);
    return 0;
}
