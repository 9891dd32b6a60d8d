/* A layer between a program and its disk, for LD_PRELOAD: it can fail one call or all from one on, and it can write
 * down what was written and what was synced, in order, so that a power loss can be replayed.
 *
 * Only what lies below one folder is watched. A test steers it through the disk_* functions at the end of this file
 * (disk.py calls them), in the process that it is loaded into.
 *
 * What a program could do and this layer does not see: writes through a mapping, links, O_TMPFILE, copy_file_range.
 * sendfile is refused, so that a program writes instead.
 * power_loss.py compares the folder it rebuilds with the real one, so such a write would be noticed.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

/* The kinds of calls that are counted, and can be made to fail. */
enum { CHANGE, SYNC, KINDS };

/* The records of the journal, as power_loss.py reads them. */
enum { CREATED = 1, MADE, WRITTEN, TRUNCATED, SYNCED, SYNC_FAILED, RENAMED, UNLINKED, MARK };

struct record {
    uint32_t what, path_length, other_length, reserved;
    uint64_t inode, offset, length;
};

static char root[PATH_MAX];
static size_t root_length;
static unsigned char watched[1 << 16];
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static int journal = -1;
static long counted[KINDS], fail_at[KINDS];
static int fail_on[KINDS], fail_with[KINDS];

#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

static int below(const char *path) {
    return root_length && path && !strncmp(path, root, root_length) && (path[root_length] == '/' || !path[root_length]);
}

static int is_watched(int fd) { return fd >= 0 && fd < (int)sizeof watched && watched[fd]; }

/* SQLite's shared memory is no data: it is made anew after a crash. It is made to fail, and not written down. */
static int is_shared_memory(const char *path) {
    size_t length = strlen(path);
    return length > 4 && !strcmp(path + length - 4, "-shm");
}

static int fails(int kind) {
    long number = ++counted[kind];
    if (!fail_at[kind] || number < fail_at[kind] || (number > fail_at[kind] && !fail_on[kind])) return 0;
    errno = fail_with[kind];
    return 1;
}

static void put(const void *bytes, size_t length) {
    const char *rest = bytes;
    while (length) {
        ssize_t wrote = syscall(SYS_write, journal, rest, length);
        if (wrote <= 0) abort();
        rest += wrote;
        length -= wrote;
    }
}

static void note(uint32_t what, const char *path, const char *other, uint64_t inode, uint64_t offset, const void *data,
                 uint64_t length) {
    if (journal < 0) return;
    struct record one = {what, path ? strlen(path) : 0, other ? strlen(other) : 0, 0, inode, offset, length};
    put(&one, sizeof one);
    if (path) put(path, one.path_length);
    if (other) put(other, one.other_length);
    if (data) put(data, length);
}

static uint64_t inode_of(int fd) {
    struct stat found;
    return fstat(fd, &found) ? 0 : found.st_ino;
}

/* -- files */

static int opened(int (*really)(const char *, int, ...), const char *path, int flags, mode_t mode) {
    if (!below(path)) {
        int fd = really(path, flags, mode);
        if (fd >= 0 && fd < (int)sizeof watched) watched[fd] = 0;
        return fd;
    }
    pthread_mutex_lock(&turn);
    struct stat before;
    int is_new = (flags & O_CREAT) && stat(path, &before);
    int fd = -1;
    if (!(is_new && fails(CHANGE))) fd = really(path, flags, mode);
    int error = errno;
    if (fd >= 0 && fd < (int)sizeof watched) {
        watched[fd] = is_shared_memory(path) ? 2 : 1;
        if (watched[fd] == 1) {
            if (is_new) note(CREATED, path, 0, inode_of(fd), 0, 0, 0);
            if (flags & O_TRUNC) note(TRUNCATED, 0, 0, inode_of(fd), 0, 0, 0);
        }
    }
    pthread_mutex_unlock(&turn);
    errno = error;
    return fd;
}

#define MODE() \
    mode_t mode = 0; \
    if (flags & O_CREAT) { \
        va_list rest; \
        va_start(rest, flags); \
        mode = va_arg(rest, mode_t); \
        va_end(rest); \
    }

int open(const char *path, int flags, ...) {
    MODE();
    REAL(open);
    return opened(real, path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    MODE();
    REAL(open64);
    return opened(real, path, flags, mode);
}

/* The path of a name in an opened folder, as far as it is below the root; else the name. */
static const char *within(int folder, const char *path, char *whole) {
    if (*path == '/' || folder < 0 || !root_length) return path;
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    ssize_t length = readlink(link, whole, PATH_MAX - 1);
    if (length < 0) return path;
    whole[length] = 0;
    if (!below(whole) || length + strlen(path) + 2 > PATH_MAX) return path;
    whole[length] = '/';
    strcpy(whole + length + 1, path);
    return whole;
}

int openat(int folder, const char *path, int flags, ...) {
    MODE();
    REAL(openat);
    static int (*plain)(const char *, int, ...);
    if (!plain) plain = (__typeof__(plain))dlsym(RTLD_NEXT, "open");
    char whole[PATH_MAX];
    const char *named = within(folder, path, whole);
    return below(named) ? opened(plain, named, flags, mode) : real(folder, path, flags, mode);
}

int openat64(int folder, const char *path, int flags, ...) {
    MODE();
    return openat(folder, path, flags | O_LARGEFILE, mode);
}

int close(int fd) {
    REAL(close);
    if (is_watched(fd)) watched[fd] = 0;
    return real(fd);
}

/* A write that fails has written the first half: what a disk does with a call it cannot finish. */
static size_t allowed(size_t length, int *failing) {
    *failing = fails(CHANGE);
    return *failing ? length / 2 : length;
}

ssize_t write(int fd, const void *data, size_t length) {
    REAL(write);
    if (!is_watched(fd)) return real(fd, data, length);
    pthread_mutex_lock(&turn);
    int failing;
    size_t most = allowed(length, &failing);
    int error = errno;
    ssize_t wrote = most ? real(fd, data, most) : 0;
    if (wrote > 0 && watched[fd] == 1) note(WRITTEN, 0, 0, inode_of(fd), lseek(fd, 0, SEEK_CUR) - wrote, data, wrote);
    if (!failing) error = errno;
    pthread_mutex_unlock(&turn);
    errno = error;
    return failing ? -1 : wrote;
}

static ssize_t written_at(ssize_t (*really)(int, const void *, size_t, off_t), int fd, const void *data, size_t length,
                          off_t offset) {
    if (!is_watched(fd)) return really(fd, data, length, offset);
    pthread_mutex_lock(&turn);
    int failing;
    size_t most = allowed(length, &failing);
    int error = errno;
    ssize_t wrote = most ? really(fd, data, most, offset) : 0;
    if (wrote > 0 && watched[fd] == 1) note(WRITTEN, 0, 0, inode_of(fd), offset, data, wrote);
    if (!failing) error = errno;
    pthread_mutex_unlock(&turn);
    errno = error;
    return failing ? -1 : wrote;
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) {
    REAL(pwrite);
    return written_at(real, fd, data, length, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) {
    REAL(pwrite64);
    return written_at(real, fd, data, length, offset);
}

ssize_t sendfile64(int to, int from, off64_t *offset, size_t length) {
    REAL(sendfile64);
    if (!is_watched(to)) return real(to, from, offset, length);
    errno = EINVAL;
    return -1;
}

ssize_t sendfile(int to, int from, off_t *offset, size_t length) {
    REAL(sendfile);
    if (!is_watched(to)) return real(to, from, offset, length);
    errno = EINVAL;
    return -1;
}

static int cut(int (*really)(int, off_t), int fd, off_t length) {
    if (!is_watched(fd)) return really(fd, length);
    pthread_mutex_lock(&turn);
    int result = -1;
    if (!fails(CHANGE)) {
        result = really(fd, length);
        if (!result && watched[fd] == 1) note(TRUNCATED, 0, 0, inode_of(fd), length, 0, 0);
    }
    int error = errno;
    pthread_mutex_unlock(&turn);
    errno = error;
    return result;
}

int ftruncate(int fd, off_t length) {
    REAL(ftruncate);
    return cut(real, fd, length);
}

int ftruncate64(int fd, off64_t length) {
    REAL(ftruncate64);
    return cut(real, fd, length);
}

static int synced(int (*really)(int), int fd) {
    if (!is_watched(fd)) return really(fd);
    pthread_mutex_lock(&turn);
    int failing = fails(SYNC);
    int result = failing ? -1 : really(fd);
    int error = errno;
    if (watched[fd] == 1) note(result ? SYNC_FAILED : SYNCED, 0, 0, inode_of(fd), 0, 0, 0);
    pthread_mutex_unlock(&turn);
    errno = error;
    return result;
}

int fsync(int fd) {
    REAL(fsync);
    return synced(real, fd);
}

int fdatasync(int fd) {
    REAL(fdatasync);
    return synced(real, fd);
}

/* -- folders */

int mkdir(const char *path, mode_t mode) {
    REAL(mkdir);
    if (!below(path)) return real(path, mode);
    pthread_mutex_lock(&turn);
    struct stat found;
    int result = fails(CHANGE) ? -1 : real(path, mode);
    int error = errno;
    if (!result && !stat(path, &found)) note(MADE, path, 0, found.st_ino, 0, 0, 0);
    pthread_mutex_unlock(&turn);
    errno = error;
    return result;
}

int rename(const char *from, const char *to) {
    REAL(rename);
    if (!below(from)) return real(from, to);
    pthread_mutex_lock(&turn);
    int result = fails(CHANGE) ? -1 : real(from, to);
    int error = errno;
    if (!result) note(RENAMED, from, to, 0, 0, 0, 0);
    pthread_mutex_unlock(&turn);
    errno = error;
    return result;
}

int mkdirat(int folder, const char *path, mode_t mode) {
    REAL(mkdirat);
    char whole[PATH_MAX];
    const char *named = within(folder, path, whole);
    return below(named) ? mkdir(named, mode) : real(folder, path, mode);
}

int renameat(int from_folder, const char *from, int to_folder, const char *to) {
    REAL(renameat);
    char whole_from[PATH_MAX], whole_to[PATH_MAX];
    const char *named = within(from_folder, from, whole_from);
    return below(named) ? rename(named, within(to_folder, to, whole_to)) : real(from_folder, from, to_folder, to);
}

int unlink(const char *path) {
    REAL(unlink);
    if (!below(path)) return real(path);
    pthread_mutex_lock(&turn);
    int result = fails(CHANGE) ? -1 : real(path);
    int error = errno;
    if (!result && !is_shared_memory(path)) note(UNLINKED, path, 0, 0, 0, 0, 0);
    pthread_mutex_unlock(&turn);
    errno = error;
    return result;
}

/* -- what a test says */

/* Watch what lies below a folder; "" for nothing. */
void disk_watch(const char *folder) {
    strncpy(root, folder, sizeof root - 1);
    root_length = strlen(root);
}

/* Append to a journal what is done from now on; "" to stop. */
void disk_record(const char *path) {
    if (journal >= 0) syscall(SYS_close, journal);
    journal = *path ? syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
}

/* Write down that the program said something to the world at this point. */
void disk_mark(const char *text) {
    pthread_mutex_lock(&turn);
    note(MARK, 0, 0, 0, 0, text, strlen(text));
    pthread_mutex_unlock(&turn);
}

/* Count from zero, and let the nth call of a kind fail; with `on` all after it too. nth 0: none fails. */
void disk_fail(int kind, long nth, int on, int error) {
    pthread_mutex_lock(&turn);
    memset(counted, 0, sizeof counted);
    memset(fail_at, 0, sizeof fail_at);
    fail_at[kind] = nth;
    fail_on[kind] = on;
    fail_with[kind] = error;
    pthread_mutex_unlock(&turn);
}

long disk_count(int kind) { return counted[kind]; }
