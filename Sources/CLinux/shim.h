#pragma once
// Linux calls that Swift cannot import because they are variadic or macros, and headers that its own
// module of the C library leaves out. Nothing else belongs here.
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/xattr.h>
#include <unistd.h>

// GNU additions: the headers hide them, since Swift's module of the C library is built without _GNU_SOURCE.
extern int dup3(int from, int to, int flags);
extern int pipe2(int ends[2], int flags);
extern int accept4(int socket, struct sockaddr *restrict address, socklen_t *restrict size, int flags);
extern int posix_spawn_file_actions_addchdir_np(posix_spawn_file_actions_t *restrict actions, const char *restrict path);
extern int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int from);
extern int syncfs(int file);
extern int unshare(int spaces);
extern int setns(int file, int space);
extern int fallocate(int file, int mode, off_t offset, off_t size);
extern ssize_t copy_file_range(int from, off_t *at, int to, off_t *there, size_t length, unsigned int flags);
extern int sync_file_range(int file, off_t offset, off_t size, unsigned int flags);

/// SYNC_FILE_RANGE_WRITE: begin to write out what is dirty, and do not wait.
static const unsigned int baton_begin_write_out = 2;

/// CLONE_NEWNET: the network, for `unshare` and `setns`.
static const int baton_new_network = 0x40000000;

/// POSIX_SPAWN_SETSID: the new process leads a session of its own.
static const short baton_spawn_setsid = 0x80;

/// Orphans below the calling process become its children. 0, or -1 with errno.
static inline int baton_become_subreaper(void) { return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); }

/// The calling process gets `signal` when its parent thread ends. 0, or -1 with errno.
static inline int baton_die_with_parent(int signal) { return prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0); }

/// The calling thread reads and writes only when nobody else does (1), or as usual (0); 0, or -1 with errno.
/// glibc has no function for this call; the numbers are those of linux/ioprio.h.
static inline int baton_set_io_idle(int is_idle) {
  return (int)syscall(SYS_ioprio_set, 1 /* IOPRIO_WHO_PROCESS */, 0, (is_idle ? 3 /* IOPRIO_CLASS_IDLE */ : 0) << 13);
}
