/* Preloaded into a run: makes the N-th call that changes files below one directory go wrong.
 *
 * Idle until faults_arm(), which the environment can call. Every call on a path below the directory, or on a descriptor opened
 * there, is numbered and logged before it is made, so that the log of a killed process tells
 * where it stood. The log is written by system call: it is not counted itself.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum fault { NONE, IO_ERROR, NO_SPACE, SHORT_WRITE, INTERRUPTED, KILLED, TORN_WRITE, FULL_DISK };

/* What a call may suffer: not every call can be interrupted, and only a write can be short. */
enum { TAKES_SPACE = 1, WRITES = 2, CAN_BE_INTERRUPTED = 4 };

static char root[PATH_MAX];
static size_t root_length;
static enum fault fault;
static long strike_at;
static int log_descriptor = -1;
static atomic_long calls;
static atomic_int struck;

void faults_arm(const char *directory, int what, long at, int log) {
    snprintf(root, sizeof root, "%s", directory);
    root_length = strlen(root);
    fault = what;
    strike_at = at;
    log_descriptor = log;
}

/* A program of its own is armed by its environment. */
__attribute__((constructor)) static void arm_from_environment(void) {
    const char *directory = getenv("FAULTS_BELOW");
    const char *what = getenv("FAULTS_KIND"), *at = getenv("FAULTS_AT"), *log = getenv("FAULTS_LOG");
    if (directory && what && at && log)
        faults_arm(directory, atoi(what), atol(at),
                   syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND, 0600));
}

static int is_below(const char *path) {
    return root_length && !strncmp(path, root, root_length) &&
           (path[root_length] == '/' || path[root_length] == '\0');
}

static void path_of(int descriptor, char *path) {
    char link[64];
    snprintf(link, sizeof link, descriptor == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d",
             descriptor);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    path[length < 0 ? 0 : length] = '\0';
}

static void absolute(int directory, const char *path, char *full) {
    char base[PATH_MAX];
    if (path[0] == '/') {
        snprintf(full, PATH_MAX, "%s", path);
        return;
    }
    path_of(directory, base);
    if (snprintf(full, PATH_MAX, "%s/%s", base, path) >= PATH_MAX) full[0] = '\0';
}

static int is_due(long number, int nature) {
    if (fault == NONE || number < strike_at) return 0;
    if (fault == FULL_DISK) return nature & TAKES_SPACE;
    if (atomic_load(&struck)) return 0;
    if (fault == NO_SPACE && !(nature & TAKES_SPACE)) return 0;
    if (fault == INTERRUPTED && !(nature & CAN_BE_INTERRUPTED)) return 0;
    if ((fault == SHORT_WRITE || fault == TORN_WRITE) && !(nature & WRITES)) return 0;
    return !atomic_exchange(&struck, 1);
}

/* Number and log a call; tell which fault it suffers, and set errno for the failing ones. */
static enum fault visit(const char *call, int nature, const char *path, const char *to) {
    char line[2 * PATH_MAX + 64];
    int error = errno;
    if (!is_below(path) && !(to && is_below(to))) return NONE;
    long number = atomic_fetch_add(&calls, 1) + 1;
    enum fault due = is_due(number, nature) ? fault : NONE;
    int length = snprintf(line, sizeof line, "%ld\t%d\t%s\t%s\t%s\n", number, due, call, path,
                          to ? to : "");
    syscall(SYS_write, log_descriptor, line, length);
    if (due == KILLED) syscall(SYS_kill, getpid(), SIGKILL);
    errno = due == IO_ERROR ? EIO
            : due == NO_SPACE || due == FULL_DISK ? ENOSPC
            : due == INTERRUPTED ? EINTR
            : error;
    return due;
}

static int fails(enum fault due) {
    return due == IO_ERROR || due == NO_SPACE || due == FULL_DISK || due == INTERRUPTED;
}

static enum fault visit_descriptor(const char *call, int nature, int descriptor) {
    char path[PATH_MAX];
    int error = errno;
    if (!root_length) return NONE;
    path_of(descriptor, path);
    errno = error;
    return visit(call, nature, path, NULL);
}

static enum fault visit_path(const char *call, int nature, int directory, const char *path) {
    char full[PATH_MAX];
    int error = errno;
    if (!root_length) return NONE;
    absolute(directory, path, full);
    errno = error;
    return visit(call, nature, full, NULL);
}

static enum fault visit_rename(int from_directory, const char *from, int directory,
                               const char *to) {
    char old[PATH_MAX], new[PATH_MAX];
    if (!root_length) return NONE;
    absolute(from_directory, from, old);
    absolute(directory, to, new);
    return visit("rename", TAKES_SPACE, old, new);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static enum fault visit_open(int flags, int directory, const char *path) {
    int nature = CAN_BE_INTERRUPTED | (flags & O_CREAT ? TAKES_SPACE : 0);
    return visit_path(flags & O_CREAT ? "create" : "open", nature, directory, path);
}

#define MODE_FROM_ARGUMENTS(flags)                             \
    mode_t mode = 0;                                           \
    if ((flags) & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY))) {    \
        va_list arguments;                                     \
        va_start(arguments, flags);                            \
        mode = va_arg(arguments, mode_t);                      \
        va_end(arguments);                                     \
    }

#define OPEN(name)                                                                       \
    int name(const char *path, int flags, ...) {                                         \
        MODE_FROM_ARGUMENTS(flags)                                                       \
        if (fails(visit_open(flags, AT_FDCWD, path))) return -1;                         \
        return REAL(name)(path, flags, mode);                                            \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                      \
    int name(int directory, const char *path, int flags, ...) {                           \
        MODE_FROM_ARGUMENTS(flags)                                                        \
        if (fails(visit_open(flags, directory, path))) return -1;                         \
        return REAL(name)(directory, path, flags, mode);                                  \
    }
OPENAT(openat)
OPENAT(openat64)

int creat(const char *path, mode_t mode) { return open(path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return creat(path, mode); }

static const int WRITING = TAKES_SPACE | WRITES | CAN_BE_INTERRUPTED;

/* Half of the bytes, and then the end of the process, where the fault is a torn write. */
static void maybe_tear(enum fault due) {
    if (due == TORN_WRITE) syscall(SYS_kill, getpid(), SIGKILL);
}

static size_t granted(enum fault due, size_t size) {
    return (due == SHORT_WRITE || due == TORN_WRITE) && size > 1 ? size / 2 : size;
}

ssize_t write(int descriptor, const void *data, size_t size) {
    enum fault due = visit_descriptor("write", WRITING, descriptor);
    if (fails(due)) return -1;
    ssize_t written = REAL(write)(descriptor, data, granted(due, size));
    maybe_tear(due);
    return written;
}

#define PWRITE(name, offset_type)                                                        \
    ssize_t name(int descriptor, const void *data, size_t size, offset_type offset) {    \
        enum fault due = visit_descriptor("write", WRITING, descriptor);                 \
        if (fails(due)) return -1;                                                       \
        ssize_t written = REAL(name)(descriptor, data, granted(due, size), offset);      \
        maybe_tear(due);                                                                 \
        return written;                                                                  \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

ssize_t writev(int descriptor, const struct iovec *vectors, int count) {
    enum fault due = visit_descriptor("write", WRITING, descriptor);
    if (fails(due)) return -1;
    if (due == NONE || count == 0) return REAL(writev)(descriptor, vectors, count);
    ssize_t written = REAL(write)(descriptor, vectors[0].iov_base,
                                  granted(due, vectors[0].iov_len));
    maybe_tear(due);
    return written;
}

ssize_t copy_file_range(int from, off64_t *from_offset, int to, off64_t *offset, size_t size,
                        unsigned int flags) {
    enum fault due = visit_descriptor("copy_file_range", WRITING, to);
    if (fails(due)) return -1;
    ssize_t copied = REAL(copy_file_range)(from, from_offset, to, offset, granted(due, size), flags);
    maybe_tear(due);
    return copied;
}

#define ON_DESCRIPTOR(name)                                                        \
    int name(int descriptor) {                                                     \
        if (fails(visit_descriptor(#name, CAN_BE_INTERRUPTED, descriptor))) return -1; \
        return REAL(name)(descriptor);                                             \
    }
ON_DESCRIPTOR(fsync)
ON_DESCRIPTOR(fdatasync)

#define TRUNCATE(name, offset_type)                                                        \
    int name(int descriptor, offset_type size) {                                           \
        if (fails(visit_descriptor("ftruncate", CAN_BE_INTERRUPTED, descriptor))) return -1; \
        return REAL(name)(descriptor, size);                                               \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

int rename(const char *from, const char *to) {
    if (fails(visit_rename(AT_FDCWD, from, AT_FDCWD, to))) return -1;
    return REAL(rename)(from, to);
}

int renameat(int from_directory, const char *from, int directory, const char *to) {
    if (fails(visit_rename(from_directory, from, directory, to))) return -1;
    return REAL(renameat)(from_directory, from, directory, to);
}

int renameat2(int from_directory, const char *from, int directory, const char *to,
              unsigned int flags) {
    if (fails(visit_rename(from_directory, from, directory, to))) return -1;
    return REAL(renameat2)(from_directory, from, directory, to, flags);
}

int link(const char *from, const char *to) {
    if (fails(visit_path("link", TAKES_SPACE, AT_FDCWD, to))) return -1;
    return REAL(link)(from, to);
}

int unlink(const char *path) {
    if (fails(visit_path("unlink", 0, AT_FDCWD, path))) return -1;
    return REAL(unlink)(path);
}

int unlinkat(int directory, const char *path, int flags) {
    const char *call = flags & AT_REMOVEDIR ? "rmdir" : "unlink";
    if (fails(visit_path(call, 0, directory, path))) return -1;
    return REAL(unlinkat)(directory, path, flags);
}

int rmdir(const char *path) {
    if (fails(visit_path("rmdir", 0, AT_FDCWD, path))) return -1;
    return REAL(rmdir)(path);
}

int mkdir(const char *path, mode_t mode) {
    if (fails(visit_path("mkdir", TAKES_SPACE, AT_FDCWD, path))) return -1;
    return REAL(mkdir)(path, mode);
}

int mkdirat(int directory, const char *path, mode_t mode) {
    if (fails(visit_path("mkdir", TAKES_SPACE, directory, path))) return -1;
    return REAL(mkdirat)(directory, path, mode);
}
