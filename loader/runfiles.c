/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/runfiles.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/latency.h"
#include "loader/pin.h"
#include "loader/vhost.h"

#define IPAM_DIR PW_RUN_DIR "/ipam"

/* Call fn for each name in a folder until it says false; false when it did, or the folder cannot be
 * read. */
static bool each(int dir, const char *path, bool (*fn)(int dir, const char *name))
{
    int fd = openat(dir, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    pw_dir *list = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *e;

    if (!list) {
        pw_closep(&fd);
        return false;
    }
    while ((e = readdir(list)))
        if (e->d_name[0] != '.' && !fn(fd, e->d_name))
            return false;
    return true;
}

static bool refuse(int dir, const char *name)
{
    (void)dir;
    (void)name;
    return false;
}

static bool remove_data(int dir, const char *name)
{
    if (strcmp(name, "lock") != 0 && strcmp(name, "owners") != 0)
        unlinkat(dir, name, 0);
    return true;
}

/*
 * The address store of a network (cni/ipam_store.c), if no address has an owner. Under its lock, so
 * that nobody is about to take one; whoever waits for the lock meanwhile finds the folder gone, and
 * its ADD fails. Killed on the way, it leaves what is a store still: an empty lock file is that of
 * a new one.
 */
static bool clean_store(int ipam, const char *network)
{
    pw_fd dir = openat(ipam, network, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir < 0)
        return true;
    pw_fd lock = openat(dir, "lock", O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (lock < 0 || flock(lock, LOCK_EX | LOCK_NB) || !each(dir, "owners", refuse))
        return true;
    if (!each(dir, ".", remove_data) || ftruncate(lock, 0))
        return true;
    unlinkat(dir, "owners", AT_REMOVEDIR);
    unlinkat(dir, "lock", 0);
    unlinkat(ipam, network, AT_REMOVEDIR);
    return true;
}

/* What a writer that was killed left (pw_file_replace): the name and a process id. */
static bool remove_unfinished(int dir, const char *name)
{
    const char *dot = strrchr(name, '.');

    if (dot && dot[1] && dot[1 + strspn(dot + 1, "0123456789")] == '\0')
        unlinkat(dir, name, 0);
    return true;
}

/* Not while an agent runs: another would find no lock. */
static void clean_agent(void)
{
    struct pw_err err = PW_ERR_INIT;
    pw_fd lock = pw_lock_agent(&err);

    if (lock < 0)
        return;
    unlink(PW_AGENT_SOCKET);
    unlink(PW_AGENT_LOCK_FILE);
}

void pw_run_clean(void)
{
    static const char *const files[] = {PW_RUN_DIR "/node", PW_RUN_DIR "/features.json",
                                        PW_RUN_DIR "/expedite", PW_LOCK_FILE};

    each(AT_FDCWD, IPAM_DIR, clean_store);
    rmdir(IPAM_DIR);
    rmdir(PW_RUN_DIR "/endpoints");
    rmdir(PW_VHOST_DIR);
    each(AT_FDCWD, PW_RUN_DIR, remove_unfinished);
    pw_latency_remove();
    clean_agent();
    for (size_t i = 0; i < PW_ARRAY_SIZE(files); i++)
        unlink(files[i]);
    rmdir(PW_RUN_DIR);
}
