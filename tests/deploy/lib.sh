# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# buildah on a node of its own; source it after tap.sh.
#
#   buildah_up           sets BUILDAH's folders, or leaves the file out
#   buildah ARG...
#   image_build ARCHIVE  the agent's image as an OCI archive, from an image of Debian without any registry
AGENT_IMAGE=localhost/podwire:$(cat "$TOP/VERSION")

buildah_up() {
    local why=$TMP/get get=$TOP/tests/clients/get
    BUILDAH=$("$get" -c buildah-1.28 2>"$why") || skip_all "no buildah: $(cat "$why")"
    DEBIAN=$("$get" -c debian-base 2>"$why") || skip_all "no image of Debian: $(cat "$why")"
    BUILDAH_STATE=${BUILDAH_STATE:-/run/buildah}
    mkdir -p "$BUILDAH_STATE"
    # It starts itself anew without its environment, so LD_LIBRARY_PATH is not enough: a cache of libraries of this
    # node's own. The machine's come first.
    local m
    m=$(uname -m)-linux-gnu
    printf '%s\n' "include /etc/ld.so.conf" "$BUILDAH/usr/lib/$m" "$BUILDAH/lib/$m" >"$BUILDAH_STATE/ld.so.conf"
    ldconfig -X -f "$BUILDAH_STATE/ld.so.conf" -C "$BUILDAH_STATE/ld.so.cache"
    mount --bind "$BUILDAH_STATE/ld.so.cache" /etc/ld.so.cache
    cat >"$BUILDAH_STATE/storage.conf" <<EOF
[storage]
driver = "overlay"
runroot = "$BUILDAH_STATE/run"
graphroot = "$BUILDAH_STATE/root"
EOF
    echo '{"default":[{"type":"insecureAcceptAnything"}]}' >"$BUILDAH_STATE/policy.json"
}

buildah() {
    env CONTAINERS_STORAGE_CONF="$BUILDAH_STATE/storage.conf" BUILDAH_ISOLATION=chroot \
        HOME="$BUILDAH_STATE" "$BUILDAH/usr/bin/buildah" "$@"
}

image_base() { # Debian's root as an image
    local c
    c=$(buildah from scratch) && buildah add -q "$c" "$DEBIAN/base.tar" / &&
        buildah commit -q --signature-policy "$BUILDAH_STATE/policy.json" "$c" localhost/debian && buildah rm "$c"
}

image_build() {
    image_base && (cd "$TOP" && buildah bud --signature-policy "$BUILDAH_STATE/policy.json" --pull-never \
        --build-arg BASE=localhost/debian -f deploy/image/Containerfile -t "$AGENT_IMAGE" .) &&
        buildah push --signature-policy "$BUILDAH_STATE/policy.json" "$AGENT_IMAGE" "oci-archive:$1:$AGENT_IMAGE"
}
