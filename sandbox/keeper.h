/* SPDX-License-Identifier: MIT */
/* keeper.h - a small process between spawner and program where no cgroup can be written: everything that a
 * program starts stays below its keeper, also a daemon that forks twice and leaves its session, because
 * the keeper adopts orphans (PR_SET_CHILD_SUBREAPER). L1; single-threaded.
 *
 * The keeper only reaps and reports. The spawner ends, stops and counts what is below it (proctree.h); a
 * keeper whose spawner dies ends it all itself. */
#pragma once

#include "sandbox/spawn_child.h"

struct keeper_report { /* what a keeper writes to its pipe: at most two, each in one piece */
	uint64_t id;
	pid_t pid;       /* of the program, when it runs */
	struct sandbox_layers layers; /* that hold it */
	struct err err;  /* why it does not */
	bool ended;      /* the program ended: */
	int status;      /* as by wait */
	struct rusage used; /* by all that were waited for */
	bool counted;    /* of a shim, before it ends: what a kernel of its own counted: */
	uint64_t oom_kills, pids_refused;
};

/* In a process of its own: of all descriptors s's streams and directory stay, and the n at more (at most KEEPER_MORE; -1:
 * none), under other numbers. */
#define KEEPER_MORE 10
void keeper_keep_fds(struct spawn_start *s, int *more, size_t n);

/* Start a keeper for s. Its pid, or -errno. report is the writing end, kept open by the keeper. mark: see
 * proctree_mark. */
pid_t keeper_start(const struct spawn_start *s, uint64_t id, int report, uint32_t mark, struct err *e);
