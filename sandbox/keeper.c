/* SPDX-License-Identifier: MIT */
/* keeper.c - the process that keeps one program's descendants together. L1; single-threaded. */
#include "sandbox/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/mem.h"
#include "sandbox/proctree.h"

static void report(int fd, const struct keeper_report *r)
{
	if (write(fd, r, sizeof *r) < 0) /* nobody reads: the spawner is gone, and so are we soon */
		errno = 0;
}

/* Reap what can be; true as long as there are children. */
static bool reap(struct keeper_report *r, int fd)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == r->pid) {
			r->ended = true;
			r->status = status;
			getrusage(RUSAGE_CHILDREN, &r->used);
			report(fd, r);
		}
	return pid == 0;
}

static _Noreturn void keep(struct keeper_report *r, int fd)
{
	sigset_t wanted;
	sigemptyset(&wanted);
	sigaddset(&wanted, SIGCHLD);
	sigaddset(&wanted, SIGTERM); /* the spawner died */
	bool ending = false;
	while (reap(r, fd)) {
		struct timespec often = {0, 2000000};
		int sig = ending ? sigtimedwait(&wanted, NULL, &often) : sigwaitinfo(&wanted, NULL);
		ending |= sig == SIGTERM;
		if (ending)
			proctree_kill(getpid());
	}
	_exit(0);
}

/* Descriptors that the program needs, moved to 3 and up in order, and nothing else stays open. */
void keeper_keep_fds(struct spawn_start *s, int *more, size_t n)
{
	int *want[5 + KEEPER_MORE] = {&s->stdio[0], &s->stdio[1], &s->stdio[2], &s->cwd_fd, &s->netns};
	size_t all = 5;
	for (size_t i = 0; i < n; i++)
		want[all++] = &more[i];
	for (size_t i = 0; i < all; i++)
		if (*want[i] >= 0)
			*want[i] = fcntl(*want[i], F_DUPFD_CLOEXEC, 100);
	for (size_t i = 0; i < all; i++)
		if (*want[i] >= 0)
			*want[i] = dup3(*want[i], 3 + (int)i, O_CLOEXEC);
	close_range(3 + (unsigned)all, ~0u, 0);
}

pid_t keeper_start(const struct spawn_start *s, uint64_t id, int fd, uint32_t mark, struct err *e)
{
	pid_t spawner = getpid();
	pid_t pid = fork();
	if (pid < 0)
		return err_sys(e, ERR_SPAWN_FAILED, errno, "no process for '%s'", s->program);
	if (pid > 0)
		return pid;
	struct spawn_start mine = *s;
	struct keeper_report r = {.id = id};
	prctl(PR_SET_NAME, "symbi-keeper");
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
	if (getppid() != spawner)
		_exit(1);
	setsid();
	keeper_keep_fds(&mine, &fd, 1);
	proctree_mark(mark);
	r.pid = spawn_child(&mine, &r.layers, &r.err);
	for (int i = 0; i < 3; i++)
		close(mine.stdio[i]); /* else a reader of its output waits for us */
	report(fd, &r);
	if (r.pid < 0)
		_exit(0);
	keep(&r, fd);
}
