/* SPDX-License-Identifier: MIT */
/* job.c - the spawner's table of jobs; their processes as one. L1; the spawner's single thread. */
#include "sandbox/job.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "lib/mem.h"
#include "sandbox/box.h"
#include "sandbox/proctree.h"

#define CAP_FIRST 64

/* ---- the table ---- */

static size_t slot(const struct jobs *t, uint64_t key)
{
	return (size_t)((key * 0x9e3779b97f4a7c15ull) >> 32) & (t->cap - 1);
}

static int grow(struct jobs *t)
{
	struct jobs big = {.cap = t->cap ? t->cap * 2 : CAP_FIRST};
	big.by_id = calloc(big.cap, sizeof(struct job *));
	big.by_pid = calloc(big.cap, sizeof(struct job_pid *));
	if (!big.by_id || !big.by_pid) {
		free(big.by_id);
		free(big.by_pid);
		return -ENOMEM;
	}
	for (size_t i = 0; i < t->cap; i++)
		for (struct job *j = t->by_id[i], *next; j; j = next) {
			next = j->next_id;
			jobs_add(&big, j);
			if (j->child.pid)
				jobs_add_pid(&big, j, &j->child, j->child.pid);
			if (j->box.pid)
				jobs_add_pid(&big, j, &j->box, j->box.pid);
			if (j->door.pid)
				jobs_add_pid(&big, j, &j->door, j->door.pid);
		}
	free(t->by_id);
	free(t->by_pid);
	*t = big;
	return 0;
}

int jobs_add(struct jobs *t, struct job *j)
{
	if (t->n >= t->cap && grow(t) < 0)
		return -ENOMEM;
	struct job **at = &t->by_id[slot(t, j->id)];
	j->next_id = *at;
	*at = j;
	t->n++;
	return 0;
}

void jobs_add_pid(struct jobs *t, struct job *j, struct job_pid *p, pid_t pid)
{
	struct job_pid **at = &t->by_pid[slot(t, (uint64_t)pid)];
	*p = (struct job_pid){.next = *at, .job = j, .pid = pid};
	*at = p;
}

void jobs_drop_pid(struct jobs *t, struct job_pid *p)
{
	struct job_pid **at = &t->by_pid[slot(t, (uint64_t)p->pid)];
	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	p->pid = 0;
}

void jobs_free(struct jobs *t, struct job *j)
{
	struct job **at = &t->by_id[slot(t, j->id)];
	while (*at != j)
		at = &(*at)->next_id;
	*at = j->next_id;
	t->n--;
	if (j->child.pid)
		jobs_drop_pid(t, &j->child);
	if (j->box.pid)
		jobs_drop_pid(t, &j->box);
	if (j->door.pid)
		jobs_drop_pid(t, &j->door);
	if (j->talk >= 0)
		close(j->talk);
	if (j->wide >= 0)
		close(j->wide);
	free(j->bundle);
	free(j);
}

void jobs_done(struct jobs *t)
{
	for (struct job *j; (j = jobs_each(t, NULL));)
		jobs_free(t, j);
	free(t->by_id);
	free(t->by_pid);
	*t = (struct jobs){0};
}

struct job *job_by_id(const struct jobs *t, uint64_t id)
{
	struct job *j = t->cap ? t->by_id[slot(t, id)] : NULL;
	while (j && j->id != id)
		j = j->next_id;
	return j;
}

struct job_pid *job_by_pid(const struct jobs *t, pid_t pid)
{
	struct job_pid *p = t->cap ? t->by_pid[slot(t, (uint64_t)pid)] : NULL;
	while (p && p->pid != pid)
		p = p->next;
	return p;
}

struct job *jobs_each(const struct jobs *t, struct job *last)
{
	if (last && last->next_id)
		return last->next_id;
	for (size_t i = last ? slot(t, last->id) + 1 : 0; i < t->cap; i++)
		if (t->by_id[i])
			return t->by_id[i];
	return NULL;
}

/* ---- processes ---- */

void job_kill(struct job *j)
{
	if (j->door.pid)
		kill(j->door.pid, SIGKILL);
	if (j->group)
		cgroup_kill(j->group);
	if (j->box.pid) {
		kill(j->box.pid, SIGKILL); /* and with it all that is in it */
	} else if (!j->group && j->child.pid) {
		kill(j->child.pid, SIGCONT); /* what it holds may have stopped it */
		proctree_kill(j->child.pid);
	}
}

bool job_empty(const struct job *j)
{
	return !j->box.pid && !j->door.pid && (j->group ? cgroup_empty(j->group) : !j->child.pid);
}

void job_freeze(struct job *j, bool frozen)
{
	if (j->group)
		cgroup_freeze(j->group, frozen);
	else if (j->box.pid)
		kill(j->box.pid, frozen ? BOX_STOP : BOX_CONT);
	else if (j->child.pid)
		proctree_freeze(j->child.pid, frozen);
}

static void add_usage(void *arg, pid_t pid)
{
	proctree_add_usage(arg, pid);
}

void job_usage(const struct job *j, struct sandbox_usage *ret)
{
	struct sandbox_usage sum = {0};
	*ret = (struct sandbox_usage){0};
	if (j->group)
		cgroup_usage(j->group, ret);
	if (ret->cpu_ns && ret->memory_bytes && ret->pids && ret->disk_counted)
		return;
	if (j->group)
		cgroup_each_pid(j->group, add_usage, &sum);
	else if (j->child.pid)
		proctree_each(j->child.pid, add_usage, &sum);
	if (!j->group && j->box.pid) { /* its program is no keeper and counts itself; orphans are below pid 1 */
		add_usage(&sum, j->child.pid);
		proctree_each(j->box.pid, add_usage, &sum);
	}
	if (!ret->cpu_ns)
		ret->cpu_ns = sum.cpu_ns;
	if (!ret->memory_bytes) /* no cgroup, or one whose kernel counts in batches of more than this */
		ret->memory_bytes = sum.memory_bytes;
	if (ret->memory_peak_bytes < ret->memory_bytes) /* by the cgroup, the other summed over /proc */
		ret->memory_peak_bytes = ret->memory_bytes;
	if (!ret->pids)
		ret->pids = sum.pids;
	if (!ret->disk_counted) {
		ret->disk_read_bytes = sum.disk_read_bytes;
		ret->disk_write_bytes = sum.disk_write_bytes;
	}
}

/* ---- the end ---- */

static uint64_t cpu_of(const struct rusage *u)
{
	return (uint64_t)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) * 1000000000u +
	       (uint64_t)(u->ru_utime.tv_usec + u->ru_stime.tv_usec) * 1000u;
}

static enum sandbox_end why(const struct job *j)
{
	int status = j->status;
	const struct sandbox_limits *l = &j->limits;
	bool exited = WIFEXITED(status);
	/* A shell passes a signal's death of its child on as 128 and the signal. */
	int sig = exited ? WEXITSTATUS(status) - 128 : WTERMSIG(status);
	if (j->result.oom_kills && (!exited || WEXITSTATUS(status) != 0))
		return END_MEMORY;
	if (sig == SIGXFSZ && (!exited || l->file_bytes))
		return END_FILE_SIZE;
	if (sig == SIGXCPU && (!exited || l->cpu_seconds))
		return END_CPU_TIME;
	if (exited)
		return END_EXITED;
	/* SIGXCPU was ignored. The kernel goes by sampled time here, which runs ahead of the true one on a
	 * crowded machine. */
	if (sig == SIGKILL && !j->killed && l->cpu_seconds &&
	    j->result.cpu_ns >= l->cpu_seconds * 700000000ull)
		return END_CPU_TIME;
	return j->killed ? END_KILLED : END_SIGNALED;
}

void job_judge(struct job *j)
{
	const struct rusage *used = &j->used;
	struct sandbox_result *r = &j->result;
	struct sandbox_usage u = {0};
	if (j->group)
		cgroup_usage(j->group, &u);
	r->cpu_ns = u.cpu_ns > cpu_of(used) ? u.cpu_ns : cpu_of(used);
	r->memory_peak_bytes = u.memory_peak_bytes ? u.memory_peak_bytes
						   : (uint64_t)used->ru_maxrss * 1024;
	r->disk_read_bytes = u.disk_counted ? u.disk_read_bytes : (uint64_t)used->ru_inblock * 512;
	r->disk_write_bytes = u.disk_counted ? u.disk_write_bytes
					     : (uint64_t)used->ru_oublock * 512;
	r->pids_refused = u.pids_refused + j->pids_refused;
	r->oom_kills = u.oom_kills + j->oom_kills;
	r->wall_ns = j->ended_ns - j->started_ns;
	r->code = WIFEXITED(j->status) ? WEXITSTATUS(j->status) : WTERMSIG(j->status);
	r->end = why(j);
}
