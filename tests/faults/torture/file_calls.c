/*
 * A preloaded library that does something bad at the N-th file call of a process which changes a folder: it ends the
 * process, ends it in the middle of the call, or lets the call fail. Linux; built by file_calls.ts.
 *
 *   FAULT_FOLDER  the folder; calls elsewhere are passed on
 *   FAULT_AT      which call, from 1; 0 is none
 *   FAULT_KIND    kill: before the call; tear: after it, or after half of a write; EIO: the call fails;
 *                 ENOSPC: it and every later one that needs room fail
 *   FAULT_LOG     a file that a line is appended to for each call
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
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

enum { PASS, TEAR, FAIL };

static const char *folder, *kind, *log_path;
static size_t folder_length;
static long at;
static atomic_long calls;

__attribute__((constructor)) static void begin(void) {
  folder = getenv("FAULT_FOLDER");
  kind = getenv("FAULT_KIND");
  log_path = getenv("FAULT_LOG");
  at = getenv("FAULT_AT") ? atol(getenv("FAULT_AT")) : 0;
  folder_length = folder ? strlen(folder) : 0;
}

static int is_inside(const char *path) {
  return folder && path && strncmp(path, folder, folder_length) == 0 &&
         (path[folder_length] == '/' || path[folder_length] == 0);
}

static int path_of(int fd, char *path, size_t size) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, size - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return 1;
}

static void end(void) {
  syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
  for (;;) pause();
}

/* Counts a call, and says what is to become of it. needs_room: whether a full disk refuses it. */
static int fault(const char *call, const char *path, int needs_room) {
  if (!is_inside(path)) return PASS;
  long n = atomic_fetch_add(&calls, 1) + 1;
  if (log_path) {
    char line[4400];
    int length = snprintf(line, sizeof line, "%ld %s %s\n", n, call, path + folder_length);
    int fd = syscall(SYS_openat, AT_FDCWD, log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd >= 0) {
      syscall(SYS_write, fd, line, length);
      syscall(SYS_close, fd);
    }
  }
  if (at == 0 || n < at || !kind) return PASS;
  if (strcmp(kind, "ENOSPC") == 0) {
    if (!needs_room) return PASS;
    errno = ENOSPC;
    return FAIL;
  }
  if (n != at) return PASS;
  if (strcmp(kind, "kill") == 0) end();
  if (strcmp(kind, "tear") == 0) return TEAR;
  errno = EIO;
  return FAIL;
}

static int fault_fd(const char *call, int fd, int needs_room) {
  char path[4096];
  if (!folder || fd < 3 || !path_of(fd, path, sizeof path)) return PASS;
  return fault(call, path, needs_room);
}

/* The real one, looked up once: a look-up takes a lock of the loader. */
#define NEXT(name)                                              \
  (*({                                                          \
    static __typeof__(name) *next_;                             \
    if (!next_) next_ = (__typeof__(name) *)dlsym(RTLD_NEXT, #name); \
    next_;                                                      \
  }))

/* Passes a call on, and ends the process after it if it is to be torn. */
#define DO(verdict, call)                 \
  do {                                    \
    int verdict_ = (verdict);             \
    if (verdict_ == FAIL) return -1;      \
    __typeof__(call) result_ = (call);    \
    if (verdict_ == TEAR) end();          \
    return result_;                       \
  } while (0)

#define WRITES(flags) (((flags)&O_ACCMODE) != O_RDONLY || ((flags)&O_CREAT))

#define OPEN(name)                                                                     \
  int name(const char *path, int flags, ...) {                                         \
    mode_t mode = 0;                                                                   \
    if (flags & (O_CREAT | O_TMPFILE)) {                                               \
      va_list list;                                                                    \
      va_start(list, flags);                                                           \
      mode = va_arg(list, mode_t);                                                     \
      va_end(list);                                                                    \
    }                                                                                  \
    DO(WRITES(flags) ? fault("open", path, 1) : PASS, NEXT(name)(path, flags, mode));  \
  }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                        \
  int name(int dir, const char *path, int flags, ...) {                                     \
    mode_t mode = 0;                                                                        \
    if (flags & (O_CREAT | O_TMPFILE)) {                                                    \
      va_list list;                                                                         \
      va_start(list, flags);                                                                \
      mode = va_arg(list, mode_t);                                                          \
      va_end(list);                                                                         \
    }                                                                                       \
    DO(WRITES(flags) ? fault("open", path, 1) : PASS, NEXT(name)(dir, path, flags, mode));  \
  }
OPENAT(openat)
OPENAT(openat64)

ssize_t write(int fd, const void *bytes, size_t count) {
  int verdict = fault_fd("write", fd, 1);
  if (verdict == TEAR) count /= 2;
  DO(verdict, NEXT(write)(fd, bytes, count));
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
  int verdict = fault_fd("write", fd, 1);
  if (verdict == TEAR) count /= 2;
  DO(verdict, NEXT(pwrite64)(fd, bytes, count, offset));
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  int verdict = fault_fd("write", fd, 1);
  if (verdict == TEAR && count > 0) {
    NEXT(write)(fd, parts[0].iov_base, parts[0].iov_len / 2);
    end();
  }
  DO(verdict, NEXT(writev)(fd, parts, count));
}

ssize_t copy_file_range(int from, off64_t *from_offset, int to, off64_t *to_offset, size_t count, unsigned flags) {
  int verdict = fault_fd("write", to, 1);
  if (verdict == TEAR) count = count < (1 << 16) ? 100 : 1 << 16;
  DO(verdict, NEXT(copy_file_range)(from, from_offset, to, to_offset, count, flags));
}

ssize_t sendfile64(int to, int from, off64_t *offset, size_t count) {
  int verdict = fault_fd("write", to, 1);
  if (verdict == TEAR) count = count < (1 << 16) ? 100 : 1 << 16;
  DO(verdict, NEXT(sendfile64)(to, from, offset, count));
}

int ftruncate64(int fd, off64_t length) {
  DO(fault_fd("truncate", fd, 0), NEXT(ftruncate64)(fd, length));
}

int fsync(int fd) {
  DO(fault_fd("fsync", fd, 1), NEXT(fsync)(fd));
}

int fdatasync(int fd) {
  DO(fault_fd("fsync", fd, 1), NEXT(fdatasync)(fd));
}

int rename(const char *from, const char *to) {
  DO(fault("rename", to, 0), NEXT(rename)(from, to));
}

int link(const char *from, const char *to) {
  DO(fault("link", to, 1), NEXT(link)(from, to));
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags) {
  DO(fault("link", to, 1), NEXT(linkat)(from_dir, from, to_dir, to, flags));
}

int unlink(const char *path) {
  DO(fault("unlink", path, 0), NEXT(unlink)(path));
}

int unlinkat(int dir, const char *path, int flags) {
  char whole[8192];
  if (path[0] != '/' && dir != AT_FDCWD && path_of(dir, whole, 4096)) {
    size_t length = strlen(whole);
    snprintf(whole + length, sizeof whole - length, "/%s", path);
    DO(fault("unlink", whole, 0), NEXT(unlinkat)(dir, path, flags));
  }
  DO(fault("unlink", path, 0), NEXT(unlinkat)(dir, path, flags));
}

int rmdir(const char *path) {
  DO(fault("unlink", path, 0), NEXT(rmdir)(path));
}

int mkdir(const char *path, mode_t mode) {
  DO(fault("mkdir", path, 1), NEXT(mkdir)(path, mode));
}
