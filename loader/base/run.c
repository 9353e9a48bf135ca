/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/base/run.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stddef.h>
#include <sys/wait.h>

bool pw_run_quiet(const char *const *argv)
{
    static char *const env[] = {(char *)"PATH=/usr/sbin:/sbin:/usr/bin:/bin", NULL};
    posix_spawn_file_actions_t act;
    int status = -1;
    pid_t pid;

    if (posix_spawn_file_actions_init(&act))
        return false;
    for (int fd = 0; fd <= 2; fd++)
        posix_spawn_file_actions_addopen(&act, fd, "/dev/null", O_RDWR, 0);
    int rc = posix_spawn(&pid, argv[0], &act, NULL, (char *const *)argv, env);
    posix_spawn_file_actions_destroy(&act);
    if (rc)
        return false;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return false;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
