// SPDX-License-Identifier: Apache-2.0
#include "vmm-net/mem.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Mappings the fault handler may replace. Written by control threads under a lock, read by the
 * handler without one: `start` is published last and withdrawn first.
 */
#define GUARDS 1024
static struct guard {
    _Atomic(uint8_t *) start;
    _Atomic(size_t) len;
    _Atomic(atomic_bool *) poisoned;
} guards[GUARDS];
static pthread_mutex_t guards_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction old_action;

static int guard_add(const struct vn_map *m, atomic_bool *poisoned)
{
    int slot = -1;

    pthread_mutex_lock(&guards_lock);
    for (int i = 0; i < GUARDS && slot < 0; i++)
        if (!atomic_load(&guards[i].start))
            slot = i;
    if (slot >= 0) {
        atomic_store(&guards[slot].len, m->len);
        atomic_store(&guards[slot].poisoned, poisoned);
        atomic_store(&guards[slot].start, m->base);
    }
    pthread_mutex_unlock(&guards_lock);
    return slot;
}

bool vmmnet_sigbus(void *addr)
{
    uintptr_t a = (uintptr_t)addr;

    for (int i = 0; i < GUARDS; i++) {
        uint8_t *start = atomic_load(&guards[i].start);
        size_t len = atomic_load(&guards[i].len);
        if (!start || a - (uintptr_t)start >= len)
            continue;
        /* The whole region: part of a huge page mapping cannot be replaced. */
        void *p = mmap(start, len, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED)
            return false;
        atomic_store(atomic_load(&guards[i].poisoned), true);
        return true;
    }
    return false;
}

static void on_sigbus(int sig, siginfo_t *si, void *ctx)
{
    int saved = errno;

    if (!vmmnet_sigbus(si->si_addr)) {
        if ((old_action.sa_flags & SA_SIGINFO) && old_action.sa_sigaction)
            old_action.sa_sigaction(sig, si, ctx);
        else if (old_action.sa_handler != SIG_DFL && old_action.sa_handler != SIG_IGN)
            old_action.sa_handler(sig);
        else
            (void)sigaction(SIGBUS, &(struct sigaction){.sa_handler = SIG_DFL},
                            NULL); /* the fault repeats and ends the process */
    }
    errno = saved;
}

static int install_rc;

static void install(void)
{
    struct sigaction sa = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_ONSTACK};

    sigemptyset(&sa.sa_mask);
    install_rc = sigaction(SIGBUS, &sa, &old_action) ? -errno : 0;
}

int vn_mem_init(struct pw_err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, install);
    return install_rc ? pw_err_errno(err, install_rc, "install SIGBUS handler") : 0;
}

int vn_map_open(struct vn_map *m, int fd, uint64_t offset, uint64_t size, atomic_bool *poisoned,
                struct pw_err *err)
{
    uint64_t end;
    struct stat st;

    if (!size || __builtin_add_overflow(offset, size, &end))
        return pw_err_set(err, -EINVAL, "map memory: offset 0x%llx and size 0x%llx",
                          (unsigned long long)offset, (unsigned long long)size);
    if (fstat(fd, &st))
        return pw_err_errno(err, -errno, "map memory: stat");
    if (!S_ISREG(st.st_mode) || st.st_size < 0 || (uint64_t)st.st_size < end)
        return pw_err_set(err, -EINVAL, "map memory: not a file of at least %llu bytes",
                          (unsigned long long)end);

    /* Files on hugetlbfs report their page size as block size: both ends must be aligned to it. */
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t align = st.st_blksize > 0 && !(st.st_blksize & (st.st_blksize - 1)) &&
                             (uint64_t)st.st_blksize > page
                         ? (uint64_t)st.st_blksize
                         : page;
    uint64_t first = offset & ~(align - 1);
    uint64_t len;
    if (__builtin_add_overflow(end - first, align - 1, &len))
        return pw_err_set(err, -EINVAL, "map memory: size 0x%llx", (unsigned long long)size);
    len &= ~(align - 1);

    void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, (off_t)first);
    if (p == MAP_FAILED)
        return pw_err_errno(err, -errno, "map memory");
    madvise(p, len, MADV_DONTDUMP); /* guests' secrets stay out of core files */

    struct vn_map map = {.base = p, .len = len, .data = (uint8_t *)p + (offset - first)};
    map.guard = guard_add(&map, poisoned);
    if (map.guard < 0) {
        munmap(p, len);
        return pw_err_set(err, -ENOSPC, "map memory: too many mappings in this process");
    }
    *m = map;
    return 0;
}

void vn_map_close(struct vn_map *m)
{
    if (m->guard >= 0)
        atomic_store(&guards[m->guard].start, NULL);
    if (m->base)
        munmap(m->base, m->len);
    *m = (struct vn_map)VN_MAP_INIT;
}

static bool overlap(uint64_t a, uint64_t b, uint64_t alen, uint64_t blen)
{
    return a < b + blen && b < a + alen;
}

int vn_mem_add(struct vn_mem *m, uint64_t gpa, uint64_t uva, uint64_t size, int fd, uint64_t offset,
               void *host, struct pw_err *err)
{
    uint64_t end;

    if (m->n == VMMNET_MAX_REGIONS)
        return pw_err_set(err, -ENOSPC, "memory region: more than %u", VMMNET_MAX_REGIONS);
    if (!size || __builtin_add_overflow(gpa, size, &end) || __builtin_add_overflow(uva, size, &end))
        return pw_err_set(err, -EINVAL, "memory region at 0x%llx: empty or wraps round",
                          (unsigned long long)gpa);
    for (unsigned i = 0; i < m->n; i++)
        if (overlap(gpa, m->r[i].gpa, size, m->r[i].size) ||
            overlap(uva, m->r[i].uva, size, m->r[i].size))
            return pw_err_set(err, -EINVAL, "memory region at 0x%llx: overlaps another",
                              (unsigned long long)gpa);

    struct vn_region r = {.gpa = gpa, .uva = uva, .size = size, .host = host, .map = VN_MAP_INIT};
    if (fd >= 0) {
        int rc = vn_map_open(&r.map, fd, offset, size, &m->poisoned, err);
        if (rc)
            return rc;
        r.host = r.map.data;
    }
    m->r[m->n++] = r;
    return 0;
}

int vn_mem_remove(struct vn_mem *m, uint64_t gpa, uint64_t uva, uint64_t size, struct pw_err *err)
{
    for (unsigned i = 0; i < m->n; i++) {
        if (m->r[i].gpa != gpa || m->r[i].uva != uva || m->r[i].size != size)
            continue;
        vn_map_close(&m->r[i].map);
        m->r[i] = m->r[--m->n];
        return 0;
    }
    return pw_err_set(err, -ENOENT, "memory region at 0x%llx: not there", (unsigned long long)gpa);
}

void vn_mem_clear(struct vn_mem *m)
{
    for (unsigned i = 0; i < m->n; i++)
        vn_map_close(&m->r[i].map);
    m->n = 0;
    atomic_store(&m->poisoned, false);
}

void vn_mem_move(struct vn_mem *to, struct vn_mem *from)
{
    vn_mem_clear(to);
    for (unsigned i = 0; i < from->n; i++) {
        to->r[i] = from->r[i];
        if (to->r[i].map.guard >= 0)
            atomic_store(&guards[to->r[i].map.guard].poisoned, &to->poisoned);
    }
    to->n = from->n;
    if (atomic_load(&from->poisoned))
        atomic_store(&to->poisoned, true);
    from->n = 0;
}

void *vn_mem_at_user(const struct vn_mem *m, uint64_t uva, uint64_t len, uint64_t *gpa)
{
    for (unsigned i = 0; i < m->n; i++) {
        const struct vn_region *r = &m->r[i];
        uint64_t off = uva - r->uva;
        if (off < r->size && len <= r->size - off) {
            if (gpa)
                *gpa = r->gpa + off;
            return r->host + off;
        }
    }
    return NULL;
}

#define LOG_PAGE_SHIFT 12

void vn_log_mark(struct vn_log *log, uint64_t gpa, uint64_t len)
{
    if (!log->size || !len)
        return;
    uint64_t last;
    if (__builtin_add_overflow(gpa, len - 1, &last))
        last = UINT64_MAX;
    last >>= LOG_PAGE_SHIFT;
    for (uint64_t page = gpa >> LOG_PAGE_SHIFT; page <= last && page / 8 < log->size; page++)
        __atomic_fetch_or(log->map.data + page / 8, (uint8_t)(1u << (page % 8)), __ATOMIC_RELEASE);
}
