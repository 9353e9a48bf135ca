/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/cnierr.h"

unsigned pw_cni_code_of(int code)
{
    if (code <= -PW_CNI_BASE)
        return (unsigned)(-code - PW_CNI_BASE);
    switch (-code) {
    case EAGAIN:
    case EBUSY:
    case EINTR:
        return 11;
    case EIO:
    case ENOSPC:
    case EROFS:
    case EDQUOT:
        return 5;
    default:
        return 999;
    }
}
