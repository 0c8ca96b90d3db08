/* SPDX-License-Identifier: MIT */
/* proctree.h - processes by their descent, read from /proc: what is left to hold a run together where no
 * cgroup can be written. L1; any thread. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "sandbox/sandbox.h"

/* Call fn for each process that descends from root, root itself not included. How many there were. */
unsigned proctree_each(pid_t root, void (*fn)(void *arg, pid_t pid), void *arg);

/* The same for its children only. */
unsigned proctree_each_child(pid_t parent, void (*fn)(void *arg, pid_t pid), void *arg);

/* One round of ending all descendants of root: stop them until no new one appears, so that none forks away,
 * then kill. How many were found; repeat until 0 (who is being killed is still found). */
unsigned proctree_kill(pid_t root);
/* Stop (SIGSTOP) or continue all descendants of root. */
void proctree_freeze(pid_t root, bool frozen);

/* Add what process pid itself has used. Figures that may not be read count nothing. */
void proctree_add_usage(struct sandbox_usage *u, pid_t pid);

/* How many processes and threads uid has, for RLIMIT_NPROC, which counts them all. */
unsigned proctree_count_uid(uid_t uid);

/* Mark this process and all it will ever start, so that proctree_kill_marked finds them wherever they are
 * in the tree: the hard limit of RLIMIT_MSGQUEUE, which an unprivileged process can lower but not raise.
 * false when the limit is already below all marks. */
bool proctree_mark(uint32_t mark);
/* Kill every process with this mark but the caller. How many were found. */
unsigned proctree_kill_marked(uint32_t mark);
