# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# podman 4.3 on a node of its own. Source it after `client podman-4.3` and plugin_dir.
#
#   podman ARG...       with PODMAN_RUNTIME (runc; runsc: what is put at $P/runsc)
#   podman_load         the image
#   $P/net.d            where networks' lists go
P=$STATE/podman LIBS=$CLIENT/usr/lib/$(uname -m)-linux-gnu:$CLIENT/lib/$(uname -m)-linux-gnu
mkdir -p "$P"
# podman starts conmon without its own environment.
printf '#!/bin/sh\nLD_LIBRARY_PATH=%s exec %s "$@"\n' "$LIBS" "$CLIENT/usr/bin/conmon" >"$P/conmon"
chmod +x "$P/conmon"
cat >"$P/containers.conf" <<X
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "${PODMAN_RUNTIME:-runc}"
conmon_path = ["$P/conmon"]
[engine.runtimes]
runc = ["$CLIENT/usr/sbin/runc"]
runsc = ["$P/runsc"]
[network]
network_backend = "cni"
cni_plugin_dirs = ["$PLUGINS"]
network_config_dir = "$P/net.d"
default_network = "podnet"
[containers]
default_sysctls = []
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
apparmor_profile = ""
X
cat >"$P/storage.conf" <<X
[storage]
driver = "overlay"
runroot = "$P/run"
graphroot = "$P/root"
X
echo '{"default":[{"type":"insecureAcceptAnything"}]}' >"$P/policy.json"
podman() {
    env LD_LIBRARY_PATH="$LIBS" PATH="$CLIENT/usr/sbin:$PATH" CONTAINERS_CONF="$P/containers.conf" \
        CONTAINERS_STORAGE_CONF="$P/storage.conf" "$CLIENT/usr/bin/podman" --tmpdir "$P/tmp" "$@"
}
podman_load() { podman load -q --signature-policy "$P/policy.json" -i "$(image)"; }
