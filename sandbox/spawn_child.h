/* SPDX-License-Identifier: MIT */
/* spawn_child.h - one start in the spawner. L1; the spawner's single thread. */
#pragma once

#include "sandbox/cgroup.h"
#include "sandbox/spawn_msg.h"

struct spawn_start { /* everything borrowed */
	const char *program, *cwd;
	char **argv, **envp;
	int fds[SPAWN_FDS];
	struct sandbox_limits limits;
	bool enforce, memory_by_cgroup, cwd_by_fd;
	int64_t uid, gid;
};

/* Start it in g (may be NULL). The pid, with e->code set when the program was not reached (the process
 * is then about to end and must still be waited for), or -errno when there is no process. */
pid_t spawn_child(const struct spawn_start *s, struct cgroup *g, int *ret_pidfd, struct err *e);
