/* SPDX-License-Identifier: MIT */
/* spawn_child.h - one start: from the spawner's (or a keeper's) process to the program. L1; single-threaded. */
#pragma once

#include <sys/resource.h>

#include "sandbox/cgroup.h"
#include "sandbox/spawn_msg.h"

struct box;

struct spawn_start { /* everything borrowed */
	const char *program, *cwd;
	const char *view; /* NULL: none */
	const char *engine_image; /* of an engine: its root; NULL: what a box shows */
	const char *image; /* of a microVM: in a box, a directory shown at BOX_IMAGE; NULL: none */
	bool kvm;          /* and /dev/kvm in it */
	char **argv, **envp;
	int stdio[3], cwd_fd; /* cwd_fd -1: go by cwd */
	int netns;            /* of a container: the network namespace that it joins; -1: one of its own */
	struct sandbox_limits limits;
	bool enforce;       /* apply limits */
	bool allow_degraded; /* run it also where a layer is missing */
	bool no_temp;        /* in a box: nothing temporary can be written */
	enum sandbox_network network;
	const char *destinations; /* Restricted */
	bool ask_connects;
	bool memory_by_as;  /* no cgroup holds its memory: RLIMIT_AS */
	uint32_t nproc;     /* no cgroup counts its processes: RLIMIT_NPROC; 0: none */
	int64_t uid, gid;   /* -1: unchanged */
	const struct cgroup *group; /* NULL: none */
	const struct box *box;      /* to run in; NULL: none */
};

/* Once, before the first start: this process blocks every signal and handles none, so that a child needs no
 * work to be free of them, and what a child's score with the out-of-memory killer will be is read. */
void spawn_child_init(void);

/* This process into its cgroup, and before others in the eyes of the out-of-memory killer: before a box is entered. Bare
 * system calls. NULL, or the step that failed with errno. */
const char *spawn_place(const struct spawn_start *s);

/* What rlimits the program gets, none wider than ours are now; how many. Bare system calls. */
#define SPAWN_RLIMITS 6
struct spawn_rlimit {
	int which;
	const char *name; /* "RLIMIT_CPU" */
	struct rlimit value;
};
size_t spawn_rlimits(const struct spawn_start *s, struct spawn_rlimit ret[static SPAWN_RLIMITS]);
/* This process, and what it starts, as nice as the program is to be. */
void spawn_nice(const struct spawn_start *s);

/* Start it. The pid, once the program runs, and in *ret what holds it. When it could not be reached, -errno with the reason in e, and
 * no process is left. The caller is suspended meanwhile, as by vfork. */
pid_t spawn_child(const struct spawn_start *s, struct sandbox_layers *ret, struct err *e);
