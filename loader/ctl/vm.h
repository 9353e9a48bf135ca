/* SPDX-License-Identifier: Apache-2.0 */
/* What `podwirectl vm` shares between its files. */
#ifndef PW_CTL_VM_H
#define PW_CTL_VM_H

#include "loader/ctl/gather.h"

/* "guest" of the record (loader/guest.h); NULL where the pod is no virtual machine. */
static inline const json_t *vm_guest(const struct ctl_ep *e)
{
    return json_object_get(e->record, "guest");
}
/* "" and 0 where the key is missing. */
static inline const char *vm_text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}
static inline int vm_number(const json_t *o, const char *key)
{
    return (int)json_integer_value(json_object_get(o, key));
}

struct vm_vmm {
    const char *name;
    int (*print)(const struct ctl_ep *e, struct pw_err *err);
};
/* NULL when there is none of that name. */
const struct vm_vmm *vm_find_vmm(const char *name);

/* The back-end of kind vhost-user: {running, pid, worker, problem, counters}, without what is not
 * known. `pid` is the supervisor, `worker` the process that serves the VMM. */
json_t *vm_backend_json(const char *tap);
void vm_backend_show(const struct ctl *ctl, const char *tap);

#endif
