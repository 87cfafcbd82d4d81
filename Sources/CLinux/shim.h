#pragma once
// Linux calls that Swift cannot import because they are variadic or macros, and headers that its own
// module of the C library leaves out. Nothing else belongs here.
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

/// Orphans below the calling process become its children. 0, or -1 with errno.
static inline int baton_become_subreaper(void) { return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); }

/// The calling process gets `signal` when its parent thread ends. 0, or -1 with errno.
static inline int baton_die_with_parent(int signal) { return prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0); }
