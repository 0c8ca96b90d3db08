/* SPDX-License-Identifier: MIT */
/* shim.c - the beginning and the end of a shim. L1. */
#include "sandbox/shim.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/proctree.h"

const char *shim_begin(struct spawn_start *s, int *kept, size_t n, pid_t spawner, uint32_t mark, const char *name)
{
	prctl(PR_SET_NAME, name);
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	prctl(PR_SET_PDEATHSIG, SHIM_SPAWNER_DIED, 0, 0, 0);
	if (getppid() != spawner)
		_exit(1);
	const char *step = spawn_place(s); /* while the cgroups' descriptors are there */
	int eno = errno;
	setsid();
	spawn_nice(s);
	keeper_keep_fds(s, kept, n);
	proctree_mark(mark);
	errno = eno;
	return step;
}

int shim_signals(void)
{
	sigset_t all;
	sigfillset(&all);
	return signalfd(-1, &all, SFD_NONBLOCK | SFD_CLOEXEC);
}

void shim_limit_files(const struct spawn_start *s)
{
	uint64_t most = s->limits.file_bytes;
	if (s->enforce && most)
		setrlimit(RLIMIT_FSIZE, &(struct rlimit){most, RLIM_INFINITY});
}

void shim_report(int fd, const struct keeper_report *r)
{
	if (fd >= 0 && write(fd, r, sizeof *r) < 0)
		errno = 0; /* the spawner is gone, and so are we soon */
}

_Noreturn void shim_end_as(int status)
{
	int sig = WTERMSIG(status);
	sigset_t one;
	if (WIFEXITED(status))
		_exit(WEXITSTATUS(status));
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	sigemptyset(&one);
	sigaddset(&one, sig);
	signal(sig, SIG_DFL);
	raise(sig);
	sigprocmask(SIG_UNBLOCK, &one, NULL);
	_exit(128 + sig);
}
