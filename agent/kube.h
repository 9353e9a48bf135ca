/* SPDX-License-Identifier: Apache-2.0 */
/* Where the Kubernetes API is, and what to show it. */
#ifndef PW_AGENT_KUBE_H
#define PW_AGENT_KUBE_H

#include <stdbool.h>
#include <stddef.h>

#include "loader/base/err.h"

#define PW_KUBE_SECRETS "/var/run/secrets/kubernetes.io/serviceaccount"
#define PW_KUBE_FILE_MAX (256 * 1024)

/*
 * Files are read anew for each request, so that what rotates is followed. Of each pair the file
 * goes before the text. All owned: pw_kube_free.
 */
struct pw_kube {
    char *server; /* "https://10.96.0.1:443", without a slash at the end */
    char *ca_file, *ca;
    char *token_file, *token;
    char *cert_file, *cert, *key_file, *key; /* PEM */
    bool insecure; /* the server is not verified: its owner asked for it */
};

/* In a pod: from the environment, with the service account. -ENOENT outside of one. */
int pw_kube_in_cluster(struct pw_kube *out, struct pw_err *err);
/* A kubeconfig, as kubectl and kubeadm write it: the current context's. Relative paths are from its
 * folder. Ways of logging in that it may name and we do not have (exec, auth-provider, password)
 * are an error. */
int pw_kubeconfig_read(const char *path, struct pw_kube *out, struct pw_err *err);
/* Pure. */
int pw_kubeconfig_parse(const char *text, size_t len, const char *folder, struct pw_kube *out,
                        struct pw_err *err);
void pw_kube_free(struct pw_kube *kube);

/* The whole text of a file that may be a symbolic link (as mounted secrets are), with a NUL,
 * trailing newlines cut; the caller frees. */
int pw_kube_file(const char *path, char **out, struct pw_err *err);

#endif
