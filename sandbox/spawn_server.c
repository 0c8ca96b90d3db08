/* SPDX-License-Identifier: MIT */
/* spawn_server.c - the main loop of symbi-spawn: starts processes, watches them end, remembers what
 * nobody has acknowledged, and ends everything when the other side is gone. L1; single-threaded. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/crc32c.h"
#include "lib/mem.h"
#include "sandbox/spawn_child.h"

struct job {
	struct job *next;
	uint64_t id;
	pid_t pid;
	int pidfd; /* -1: ended */
	struct cgroup *group;
	uint64_t started_ns;
	bool killed;
	bool ended;
	struct sandbox_result result;
};

struct server {
	int sock;
	struct cgroup_base *base;
	struct sandbox_caps caps;
	struct job *jobs;
};

static uint64_t now_ns(void)
{
	return clock_mono_ns();
}

static void base_name(const char *state_dir, char out[static 64])
{
	snprintf(out, 64, "symbi-%08x", crc32c(state_dir, strlen(state_dir)));
}

static struct job *job_of(struct server *s, uint64_t id)
{
	for (struct job *j = s->jobs; j; j = j->next)
		if (j->id == id)
			return j;
	return NULL;
}

static void tell(struct server *s, const struct spawn_event *ev)
{
	struct pollfd p = {s->sock, POLLOUT, 0};
	while (spawn_send(s->sock, ev, sizeof *ev, NULL, 0) == -EAGAIN && poll(&p, 1, 1000) >= 0)
		;
}

static void tell_job(struct server *s, const struct job *j)
{
	struct spawn_event ev = {.op = j->ended ? SPAWN_ENDED : SPAWN_STARTED,
				 .id = j->id,
				 .pid = j->pid,
				 .result = j->result};
	tell(s, &ev);
}

/* Without cgroups: the whole session, and what was reparented to us out of it. */
static void kill_session(const struct job *j)
{
	kill(-j->pid, SIGKILL);
}

static void kill_job(struct job *j)
{
	if (j->group)
		cgroup_kill(j->group);
	else
		kill_session(j);
}

static void why_it_ended(struct job *j, int status)
{
	struct sandbox_result *r = &j->result;
	r->code = WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status);
	if (j->group && cgroup_oom(j->group))
		r->end = END_MEMORY;
	else if (WIFEXITED(status))
		r->end = END_EXITED;
	else if (r->code == SIGXFSZ)
		r->end = END_FILE_SIZE;
	else if (r->code == SIGXCPU)
		r->end = END_CPU_TIME;
	else
		r->end = j->killed ? END_KILLED : END_SIGNALED;
}

/* The first process ended: end the rest of its run, measure, report. */
static void finish(struct server *s, struct job *j, const struct err *start_error)
{
	struct rusage ru;
	int status = 0;
	wait4(j->pid, &status, 0, &ru);
	close(j->pidfd);
	j->pidfd = -1;
	j->ended = true;
	why_it_ended(j, status);
	if (start_error) {
		j->result.end = END_START_FAILED;
		j->result.err = *start_error;
	}
	j->result.wall_ns = now_ns() - j->started_ns;
	j->result.cpu_ns = (uint64_t)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * 1000000000u +
			   (uint64_t)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) * 1000u;
	j->result.memory_peak_bytes = (uint64_t)ru.ru_maxrss * 1024;
	if (j->group) {
		for (int i = 0; i < 1000 && !cgroup_empty(j->group); i++) {
			cgroup_kill(j->group);
			usleep(200);
		}
		struct sandbox_usage u;
		cgroup_usage(j->group, &u);
		if (u.cpu_ns > j->result.cpu_ns)
			j->result.cpu_ns = u.cpu_ns;
		if (u.memory_peak_bytes)
			j->result.memory_peak_bytes = u.memory_peak_bytes;
		j->result.pids_refused = u.pids_refused;
		j->result.oom_kills = u.oom_kills;
		cgroup_put(take_ptr(j->group));
	} else {
		kill_session(j);
	}
	tell_job(s, j);
}

static void refuse_start(struct server *s, uint64_t id, const struct err *e)
{
	struct job *j = calloc(1, sizeof *j);
	if (!j)
		return;
	*j = (struct job){.id = id, .pidfd = -1, .ended = true, .next = s->jobs};
	j->result = (struct sandbox_result){.end = END_START_FAILED, .err = *e};
	s->jobs = j;
	tell_job(s, j);
}

static void start(struct server *s, const struct spawn_req *q, int fds[static SPAWN_FDS])
{
	struct err e = {0};
	char **strings = calloc((size_t)q->argc + q->envc + 4, sizeof *strings);
	char *text = q->text_len <= SPAWN_TEXT_MAX ? malloc(q->text_len + 1) : NULL;
	struct job *j = calloc(1, sizeof *j);
	if (!strings || !text || !j || job_of(s, q->id) ||
	    pread(fds[0], text, q->text_len, 0) != (ssize_t)q->text_len ||
	    spawn_text_split(text, q->text_len, q->argc, q->envc, strings) < 0) {
		err_set(&e, ERR_SPAWN_FAILED, "the start request cannot be read");
		refuse_start(s, q->id, &e);
		free(j);
	} else {
		struct spawn_start st = {.program = strings[0],
					 .cwd = strings[1],
					 .argv = strings + 2,
					 .envp = strings + 2 + q->argc + 1,
					 .limits = q->limits,
					 .enforce = q->enforce,
					 .cwd_by_fd = q->cwd_by_fd,
					 .memory_by_cgroup = s->caps.memory,
					 .uid = q->uid,
					 .gid = q->gid};
		memcpy(st.fds, fds, sizeof st.fds);
		*j = (struct job){.id = q->id, .pidfd = -1, .started_ns = now_ns()};
		j->group = s->base ? cgroup_get(s->base) : NULL;
		if (j->group)
			cgroup_limit(j->group, q->enforce ? &q->limits : &(struct sandbox_limits){0});
		j->pid = spawn_child(&st, j->group, &j->pidfd, &e);
		if (j->pid < 0) {
			cgroup_put(j->group);
			refuse_start(s, q->id, &e);
			free(j);
		} else {
			j->next = s->jobs;
			s->jobs = j;
			if (e.code != ERR_NONE)
				finish(s, j, &e);
			else
				tell_job(s, j);
		}
	}
	free(strings);
	free(text);
}

static void forget(struct server *s, uint64_t id)
{
	for (struct job **at = &s->jobs; *at; at = &(*at)->next)
		if ((*at)->id == id && (*at)->ended) {
			struct job *j = *at;
			*at = j->next;
			free(j);
			return;
		}
}

static void serve(struct server *s, const struct spawn_req *q, int *fds, int n)
{
	struct job *j = job_of(s, q->id);
	bool live = j && !j->ended;
	switch ((enum spawn_op)q->op) {
	case SPAWN_START:
		if (n == SPAWN_FDS)
			start(s, q, fds);
		break;
	case SPAWN_SIGNAL:
		if (live)
			syscall(SYS_pidfd_send_signal, j->pidfd, q->arg, NULL, 0);
		break;
	case SPAWN_KILL:
		if (live) {
			j->killed = true;
			kill_job(j);
		}
		break;
	case SPAWN_FREEZE:
		if (live && j->group)
			cgroup_freeze(j->group, q->arg);
		else if (live)
			kill(-j->pid, q->arg ? SIGSTOP : SIGCONT);
		break;
	case SPAWN_LIMITS:
		if (live && j->group)
			cgroup_limit(j->group, &q->limits);
		break;
	case SPAWN_MEASURE:
		if (live) {
			struct spawn_event ev = {.op = SPAWN_MEASURED, .id = q->id};
			if (j->group)
				cgroup_usage(j->group, &ev.usage);
			tell(s, &ev);
		}
		break;
	case SPAWN_ACK:
		forget(s, q->id);
		break;
	case SPAWN_LIST:
		for (j = s->jobs; j; j = j->next)
			tell_job(s, j);
		tell(s, &(struct spawn_event){.op = SPAWN_LISTED});
		break;
	case SPAWN_STARTED:
	case SPAWN_ENDED:
	case SPAWN_LISTED:
	case SPAWN_MEASURED:
		break;
	}
}

static bool read_requests(struct server *s)
{
	struct spawn_req q;
	int fds[SPAWN_FDS], n;
	while ((n = spawn_recv(s->sock, &q, sizeof q, fds)) >= 0) {
		serve(s, &q, fds, n);
		while (n > 0)
			close(fds[--n]);
	}
	return n == -EAGAIN || n == -EBADMSG || n == -EINTR;
}

static void end_all(struct server *s)
{
	for (struct job *j = s->jobs; j; j = j->next)
		if (!j->ended)
			kill_job(j);
	for (struct job *j = s->jobs; j; j = j->next)
		if (!j->ended)
			waitpid(j->pid, NULL, 0);
	cgroup_base_close(s->base);
}

/* Reap orphans that were reparented to us: every child that is no job's first process. */
static void reap_orphans(struct server *s)
{
	siginfo_t si;
	for (;;) {
		si.si_pid = 0;
		if (waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) < 0 || si.si_pid == 0)
			return;
		for (struct job *j = s->jobs; j; j = j->next)
			if (!j->ended && j->pid == si.si_pid)
				return; /* its pidfd is readable; finish() waits for it */
		waitpid(si.si_pid, NULL, WNOHANG);
	}
}

int spawn_server_run(int fd, const char *state_dir)
{
	struct server s = {.sock = fd};
	char name[64];
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	base_name(state_dir, name);
	s.base = cgroup_base_open(name, &s.caps);
	for (bool open = true; open;) {
		size_t n = 1;
		for (struct job *j = s.jobs; j; j = j->next)
			n += !j->ended;
		struct pollfd *p = calloc(n, sizeof *p);
		struct job **of = calloc(n, sizeof(struct job *));
		if (!p || !of)
			abort();
		p[0] = (struct pollfd){fd, POLLIN, 0};
		size_t i = 1;
		for (struct job *j = s.jobs; j; j = j->next)
			if (!j->ended) {
				of[i] = j;
				p[i++] = (struct pollfd){j->pidfd, POLLIN, 0};
			}
		poll(p, n, -1);
		for (i = 1; i < n; i++)
			if (p[i].revents)
				finish(&s, of[i], NULL);
		reap_orphans(&s);
		if (p[0].revents)
			open = read_requests(&s);
		free(p);
		free(of);
	}
	end_all(&s);
	return 0;
}

int spawn_server_cleanup(const char *state_dir, struct err *e)
{
	(void)e;
	char name[64];
	base_name(state_dir, name);
	cgroup_base_cleanup(name);
	return 0;
}
