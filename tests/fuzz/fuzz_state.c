/* SPDX-License-Identifier: Apache-2.0 */
/* Files of our own that may be damaged: state records and those of the address store. */
#include "cni/ipam_store.h"
#include "cni/state.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pw_err err = PW_ERR_INIT;
    struct pw_addr addrs[8];
    struct pw_state st;

    int rc = pw_state_parse((const char *)data, size, &st, &err);
    /* What DEL deletes is named here. */
    if (!rc && (strncmp(st.host_if, PW_IF_PREFIX, 3) != 0 || !pw_env_valid_ifname(st.host_if) ||
                !pw_env_valid_id(st.container_id) || st.n_ips > PW_MAX_IPS))
        abort();
    if (rc && !err.msg[0])
        abort();
    size_t n = pw_store_parse((const char *)data, size, addrs, 8);
    for (size_t i = 0; i < n; i++)
        if (addrs[i].family != 4 && addrs[i].family != 6)
            abort();
    return 0;
}
