/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/latency.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "loader/base/cleanup.h"
#include "loader/base/fs.h"
#include "loader/datapath.h"

/* Another layout has another name. */
#define LATENCY_FILE PW_RUN_DIR "/latency-1"

static const uint32_t bounds[] = PW_LATENCY_BOUNDS;
_Static_assert(PW_ARRAY_SIZE(bounds) == PW_LATENCY_BUCKETS - 1, "a bucket for each bound, and one");

const char *pw_latency_name(enum pw_latency_command command)
{
    return command == PW_LATENCY_ADD ? "ADD" : "DEL";
}

uint64_t pw_latency_bound(unsigned bucket)
{
    return bucket < PW_ARRAY_SIZE(bounds) ? bounds[bucket] : UINT64_MAX;
}

static void unmap(struct pw_latency **l)
{
    if (*l)
        munmap(*l, sizeof(**l));
}

void pw_latency_note(enum pw_latency_command command, bool succeeded, uint64_t us)
{
    pw_cleanup(unmap) struct pw_latency *l = NULL;
    struct stat st;
    unsigned b = 0;

    pw_fd fd = open(LATENCY_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode))
        return;
    /* New, or its maker was killed before this: two that do it at once do the same. With memory
     * behind it: where there is none, writing to the mapping would be our end (SIGBUS). */
    if (st.st_size == 0 && posix_fallocate(fd, 0, sizeof(*l)) == 0)
        st.st_size = sizeof(*l);
    if (st.st_size != sizeof(*l))
        return;
    l = mmap(NULL, sizeof(*l), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (l == MAP_FAILED) {
        l = NULL;
        return;
    }
    while (us > pw_latency_bound(b))
        b++;
    struct pw_latency_row *row = &l->row[command][succeeded];
    __atomic_add_fetch(&row->bucket[b], 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&row->sum_us, us, __ATOMIC_RELAXED);
}

int pw_latency_read(struct pw_latency *out, struct pw_err *err)
{
    memset(out, 0, sizeof(*out));
    ssize_t n = pw_file_read(LATENCY_FILE, out, sizeof(*out), err);
    if (n >= 0 && n != sizeof(*out)) {
        memset(out, 0, sizeof(*out));
        return pw_err_set(err, -EBADMSG, "%s is not as podwire writes it", LATENCY_FILE);
    }
    return n < 0 ? (int)n : 0;
}

void pw_latency_remove(void)
{
    unlink(LATENCY_FILE);
}
