/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/expedite.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/datapath.h"

#define KNOB "/sys/kernel/rcu_expedited"
#define RECORD PW_RUN_DIR "/expedite"

static char knob_get(void)
{
    char c = '?';
    pw_fd fd = open(KNOB, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || read(fd, &c, 1) != 1)
        return '?';
    return c;
}

static bool knob_set(char c)
{
    pw_fd fd = open(KNOB, O_WRONLY | O_CLOEXEC);
    return fd >= 0 && write(fd, &c, 1) == 1;
}

/* The record holds '1' while the knob is set by us. */
static bool ours(int fd)
{
    char c = '0';
    return pread(fd, &c, 1, 0) == 1 && c == '1';
}

static bool record(int fd, char c)
{
    return pwrite(fd, &c, 1, 0) == 1;
}

void pw_expedite_begin(struct pw_expedite *e)
{
    pw_fd fd = open(RECORD, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    /* Shared: held by every section. A section that is just being left holds it exclusively for
     * the moment in which it puts the knob back. */
    if (fd < 0 || flock(fd, LOCK_SH) < 0)
        return;
    if (knob_get() == '0') {
        /* The record first: killed in between, the next section finds a knob to put back to
         * what it is. Two that come here at once write the same. */
        if (!record(fd, '1') || !knob_set('1')) {
            record(fd, '0');
            return;
        }
    } else if (!ours(fd)) {
        return;
    }
    e->fd = PW_TAKE_FD(fd);
}

void pw_expedite_end(struct pw_expedite *e)
{
    /* Whoever gets the lock alone is the last: turning a shared lock into an exclusive one fails
     * at once while others hold it. (The kernel gives ours up for the attempt; what that lets in
     * is another section, and then that one is the last.) */
    if (e->fd >= 0 && flock(e->fd, LOCK_EX | LOCK_NB) == 0 && ours(e->fd)) {
        if (knob_set('0'))
            record(e->fd, '0');
    }
    if (e->fd >= 0)
        close(e->fd);
    e->fd = -1;
}

void pw_expedite_repair(void)
{
    pw_fd fd = open(RECORD, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
        return;
    if (ours(fd) && knob_set('0'))
        record(fd, '0');
}
