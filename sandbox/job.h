/* SPDX-License-Identifier: MIT */
/* job.h - what the spawner runs or has run and nobody has acknowledged, found by id and by pid. L1; the
 * spawner's single thread. */
#pragma once

#include "sandbox/cgroup.h"
#include "sandbox/keeper.h"
#include "sandbox/spawn_msg.h"

enum job_state {
	JOB_RUNNING,
	JOB_ENDING, /* its first process ended; what else it started is being ended */
	JOB_OVER,   /* nothing is left; kept until it is acknowledged */
};

enum job_news { /* to be told, lowest first */
	NEWS_STARTED = 1 << 0,
	NEWS_MEASURED = 1 << 1,
	NEWS_ENDED = 1 << 2,
	NEWS_LISTING = 1 << 3, /* of the marks around a list, which are no jobs */
	NEWS_CAPS = 1 << 4,
	NEWS_LISTED = 1 << 5,
};

struct job_pid { /* a child of ours that belongs to a job */
	struct job_pid *next;
	struct job *job;
	pid_t pid; /* 0: reaped, or none */
};

struct job {
	struct job *next_id, *next_news, *next_ending;
	uint64_t id;
	enum job_state state;
	unsigned news;
	bool queued; /* in the queue of news */
	bool killed; /* by sandbox_kill */
	bool acked;  /* to be freed once it is out of the queue */
	int hold;    /* descriptor kept open for it; -1 none */
	int early;   /* signal that came before it had a process; 0: none */
	struct job_pid child; /* its first process or keeper */
	struct job_pid box;   /* pid 1 of its box */
	struct job_pid door;  /* of its network (door.h) */
	int talk;             /* to its door, for the other side; -1: it has none */
	int wide;             /* held open as long as its network is whole; -1: it is not */
	pid_t pid;   /* first process; 0: none yet */
	struct cgroup *group; /* owned; NULL: a keeper holds it */
	bool shim;    /* its child is one (shim.h), which tells by reports */
	bool vm;      /* of a microVM */
	uint64_t oom_kills, pids_refused; /* by a kernel of its own */
	char *bundle; /* directory of its container, owned; NULL: it is in none */
	const struct oci_runtime *runtime; /* of its container */
	bool failed;  /* its container could not be had: result.err says why */
	struct sandbox_limits limits; /* as enforced */
	struct sandbox_layers layers; /* that hold it, once it has a pid */
	uint64_t started_ns, ended_ns;
	int status;         /* of the first process; from JOB_ENDING on */
	struct rusage used; /* the same */
	struct sandbox_result result; /* whole when JOB_OVER */
};

struct jobs {
	struct job **by_id; /* cap chains each */
	struct job_pid **by_pid;
	size_t cap, n;
};

int jobs_add(struct jobs *t, struct job *j); /* owned from now on; 0 or -ENOMEM */
/* p is j's child or box; j was added */
void jobs_add_pid(struct jobs *t, struct job *j, struct job_pid *p, pid_t pid);
void jobs_drop_pid(struct jobs *t, struct job_pid *p); /* its pid becomes 0 */
void jobs_free(struct jobs *t, struct job *j); /* removes and frees */
void jobs_done(struct jobs *t); /* frees all */
struct job *job_by_id(const struct jobs *t, uint64_t id);
struct job_pid *job_by_pid(const struct jobs *t, pid_t pid);
/* The next in no order; NULL begins and ends. The table may not change meanwhile. */
struct job *jobs_each(const struct jobs *t, struct job *last);

/* ---- all processes of a job, by its cgroup or below its keeper ---- */

void job_kill(struct job *j); /* one round; repeat until job_empty */
bool job_empty(const struct job *j);
void job_freeze(struct job *j, bool frozen);
void job_usage(const struct job *j, struct sandbox_usage *ret);
/* Once it is empty: fill result from the status of its first process and what was used and refused. */
void job_judge(struct job *j);
