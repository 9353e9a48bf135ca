// SPDX-License-Identifier: Apache-2.0
/* pw-test: timeout=180 */
/*
 * How a hostile front-end can treat its connection, with the program's own loop; and what ten
 * thousand connections leave behind.
 */
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loader/base/clock.h"
#include "tests/vhost/hostile.h"
#include "vmm-net/serve.h"

static struct vn_server server = VN_SERVER_INIT;
static char path[64];
static int stop_fd = -1;

static void *serve(void *arg)
{
    (void)arg;
    vn_serve(fe.net, &fe.stats, &server, stop_fd, NULL);
    return NULL;
}

static int dial(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    strncpy(a.sun_path, path, sizeof(a.sun_path) - 1);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a))) {
        close(fd);
        return -1;
    }
    return fd;
}

/* The device closes this connection. */
static bool closed(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char c;

    return fd >= 0 && poll(&p, 1, 10000) == 1 && recv(fd, &c, 1, 0) <= 0;
}

static bool answers(int fd)
{
    struct vu_hdr h = {VU_GET_FEATURES, VU_VERSION, 0};
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char buf[20];

    return send(fd, &h, sizeof(h), MSG_NOSIGNAL) == 12 && poll(&p, 1, 10000) == 1 &&
           recv(fd, buf, sizeof(buf), MSG_WAITALL) == 20;
}

static int dial_and_ask(void)
{
    for (unsigned i = 0; i < 1000; i++) { /* until the one before is gone */
        int fd = dial();
        if (fd >= 0 && answers(fd))
            return fd;
        close(fd);
        usleep(5000);
    }
    return -1;
}

static void case_32(void)
{
    pthread_t t;
    struct vu_hdr h = {VU_GET_FEATURES, VU_VERSION, 0};

    begin();
    vmmnet_disconnect(fe.net);
    snprintf(path, sizeof(path), "/tmp/pw-vhost-test.%d", getpid());
    stop_fd = eventfd(0, EFD_CLOEXEC);
    ok(!vn_server_listen(&server, path, 0666, -1, -1, &fe.err), "case 32 listens");
    ok(vn_server_listen(&(struct vn_server)VN_SERVER_INIT, path, 0666, -1, -1, NULL) == -EADDRINUSE,
       "case 32 a second back-end does not take the path");
    server.allow[server.nallow++] = geteuid();
    unsigned fds = fe_count_fds();
    pthread_create(&t, NULL, serve, NULL);

    int a = dial_and_ask();
    ok(a >= 0, "case 32 one front-end");
    int b = dial();
    ok(b >= 0 && closed(b), "case 32 a second is turned away at once");
    close(b);
    ok(answers(a), "case 32 the first does not notice");
    ok(send(a, &h, 5, 0) == 5, "case 32 stalls in mid message");
    b = dial();
    ok(b >= 0 && closed(b), "case 32 the loop is not blocked");
    close(b);
    ok(send(a, (char *)&h + 5, 7, 0) == 7, "case 32 goes on");
    char buf[20];
    ok(recv(a, buf, 20, MSG_WAITALL) == 20, "case 32 and is answered");

    unsigned sent = 0;
    while (sent < 1000000 && send(a, &h, sizeof(h), MSG_NOSIGNAL) == 12)
        sent++;
    ok(sent < 1000000, "case 32 one that never reads its replies is cut off (after %u)", sent);
    close(a);
    a = dial_and_ask();
    ok(a >= 0 && !shutdown(a, SHUT_WR), "case 32 half-closes");
    ok(closed(a), "case 32 is let go");
    close(a);
    a = dial_and_ask();
    ok(a >= 0 && send(a, &h, 12, 0) == 12 && !close(a), "case 32 goes away without its answer");

    for (unsigned i = 0; i < 1000; i++)
        close(dial());
    a = dial_and_ask();
    ok(a >= 0, "case 32 after a storm of 1,000 connects: serves");
    close(a);

    if (geteuid() == 0) {
        chmod(path, 0666);
        uint64_t before = fe_count(&fe.stats.refused);
        pid_t pid = fork();
        if (!pid) {
            if (setuid(4242))
                _exit(2);
            int fd = dial();
            _exit(fd >= 0 && closed(fd) ? 0 : 1);
        }
        int status = 1;
        waitpid(pid, &status, 0);
        is_int(status, 0, "case 32 another user's is turned away");
        ok(fe_count(&fe.stats.refused) > before, "case 32 and counted");
    } else {
        skip("needs root", "case 32 another user's");
    }
    uint64_t one = 1;
    (void)!write(stop_fd, &one, 8);
    pthread_join(t, NULL);
    vmmnet_disconnect(fe.net);
    is_int(fe_count_fds(), fds, "case 32 no descriptor is left");
    vn_server_close(&server);
    close(stop_fd);
    ok(!vn_server_listen(&server, path, 0600, -1, -1, NULL),
       "case 32 a path left behind is taken over");
    vn_server_close(&server);
    unlink(path);
    end("case 32");
}

/* A VMM that listens and hangs up on who comes, for a second; how often that was. */
static unsigned hang_up(void)
{
    struct vn_server vmm = VN_SERVER_INIT;
    unsigned n = 0;

    ok(!vn_server_listen(&vmm, path, 0600, -1, -1, NULL), "case 32 a VMM listens");
    struct pollfd p = {.fd = vmm.listen, .events = POLLIN};
    for (long end = pw_clock_ms() + 1000; pw_clock_ms() < end;)
        if (poll(&p, 1, 100) == 1 && close(accept(vmm.listen, NULL, NULL)) == 0)
            n++;
    vn_server_close(&vmm);
    unlink(path);
    return n;
}

static void connecting(void)
{
    pthread_t t;
    uint64_t one = 1;

    begin();
    vmmnet_disconnect(fe.net);
    server = (struct vn_server)VN_SERVER_INIT;
    stop_fd = eventfd(0, EFD_CLOEXEC);
    ok(!vn_server_connect(&server, path, NULL) && !fchdir(server.dir), "case 32 connecting mode");
    pthread_create(&t, NULL, serve, NULL);
    unsigned n = hang_up();
    ok(n >= 2 && n <= 12, "case 32 it is not besieged (%u connects in a second)", n);
    (void)!write(stop_fd, &one, 8);
    pthread_join(t, NULL);
    vn_server_close(&server);
    close(stop_fd);
    end("case 32 connecting");
}

#ifdef __SANITIZE_THREAD__
#define CONNECTS 500u /* the races are the same, the sanitizer is slow */
#else
#define CONNECTS 10000u
#endif

/* Everything that a connection brings, ten thousand times. */
static void connects(void)
{
    begin();
    for (unsigned i = 0; i < 50; i++)
        fe_recovers(&fe, &conf);
    unsigned fds = fe_count_fds(), maps = fe_count_maps(), threads = fe_count_threads();
    unsigned good_ones = 0;
    for (unsigned i = 0; i < CONNECTS; i++) {
        fe_reconnect(&fe);
        fe_up(&fe, &conf);
        good_ones += i % 100 ? 1 : fe_frame_passes(&fe, 1);
    }
    is_int(good_ones, CONNECTS, "%u connects, each with memory, rings and descriptors", CONNECTS);
    is_int(fe_count_fds(), fds, "as many descriptors as before");
    is_int(fe_count_threads(), threads, "as many threads");
    ok(fe_count_maps() <= maps + 8, "as many mappings (%u, then %u)", maps, fe_count_maps());
    fe_close(&fe);
}

int main(void)
{
    case_32();
    connecting();
    connects();
    return tap_done();
}
