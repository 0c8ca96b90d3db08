/* SPDX-License-Identifier: MIT */
/* caller.h - the process behind a request. L3; loop thread only.
 *
 * A request names a thread. Answers belong to processes: programs like node write in one thread and read
 * in another. A process is a pid and the time of its start, because pids are used again. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/groups.h"

struct caller {
	pid_t pid;      /* of the process */
	pid_t parent;   /* 0: none that we see */
	uint64_t start; /* clock ticks since boot */
};

/* false: there is no such process in our pid namespace (a pid of 0 is one of another namespace). What is
 * said may be 10 ms old: the parent of one whose parent has just ended. */
bool caller_of(pid_t thread, struct caller *ret);

/* Supplementary groups of a thread that waits for us; NULL: none. */
const struct groups *caller_groups(pid_t thread);
