/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's configuration, /etc/podwire/agent.json; every key is in podwired(8). */
#ifndef PW_AGENT_CONF_H
#define PW_AGENT_CONF_H

#include <stdbool.h>

#include "loader/base/json.h"
#include "loader/datapath.h"
#include "loader/peers.h"

#define PW_AGENT_CONF "/etc/podwire/agent.json"
#define PW_AGENT_MAX_CLASSES 16

/* Pods of one RuntimeClass: a list of their own, in the folder that containerd has as cni_conf_dir
 * of that runtime; without one the plugin looks them up (agent/lookup.h). */
struct pw_agent_class {
    char name[64];
    char device[16];
    char directory[256]; /* "": they come by the list of all others */
    json_t *plugin;      /* keys for podwire's entry, over those of cni.plugin; NULL: none. Owned */
};

/* Owns its JSON values: pw_agent_conf_free. */
struct pw_agent_conf {
    char node_name[254];
    char listen[64]; /* address:port; "" for none */
    char log_level[8];

    char kubeconfig[256], server[256], token_file[256], ca_file[256];
    uint32_t idle_timeout; /* seconds without a byte after which a watch is begun anew */

    enum pw_routing routing;
    uint32_t vni, port;
    struct pw_node_conf node; /* network; native: the cluster's ranges; services; uplinks ... */

    char device[16];
    json_t *pod_devices; /* array of names, or NULL */
    json_t *namespaces;  /* namespace: device; or NULL */
    uint32_t mtu;
    char cni_dir[256], cni_file[64], plugin_dir[256];
    json_t *plugin; /* more keys of podwire's entry in the list, or NULL */
    json_t *after;  /* plugins that come after it; NULL: portmap */
    struct pw_agent_class classes[PW_AGENT_MAX_CLASSES];
    uint32_t n_classes;
    bool lookup_required;  /* no device for a pod that cannot be looked up */
    uint32_t remove_after; /* seconds */
    bool upgrade;          /* replace the programs of another build at start */
};

/* The defaults. */
void pw_agent_conf_init(struct pw_agent_conf *conf);
/* Read text over what is there. -EINVAL, and the message names the key. */
int pw_agent_conf_parse(const char *text, size_t len, struct pw_agent_conf *conf,
                        struct pw_err *err);
/* What must hold after flags and environment had their say. -EINVAL. */
int pw_agent_conf_check(const struct pw_agent_conf *conf, struct pw_err *err);
void pw_agent_conf_free(struct pw_agent_conf *conf);
/* Whether pods of a RuntimeClass come by the list of all others. */
bool pw_agent_conf_looks_up(const struct pw_agent_conf *conf);

/* Whether it is a device that a pod can have: a kind, or "auto". */
bool pw_agent_device_known(const char *name);

#endif
