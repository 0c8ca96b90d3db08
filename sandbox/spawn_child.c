/* SPDX-License-Identifier: MIT */
/* spawn_child.c - one start: clone into the group, then everything between clone and exec. L1; the
 * spawner's single thread. */
#include "sandbox/spawn_child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/mem.h"

struct failure { /* what the child writes when it does not reach exec */
	int eno;
	char step[24];
};

static void limit(int which, uint64_t n)
{
	struct rlimit l = {n, n};
	setrlimit((__rlimit_resource_t)which, &l);
}

static void apply_rlimits(const struct sandbox_limits *l, bool memory_by_cgroup)
{
	limit(RLIMIT_CORE, 0);
	if (l->cpu_seconds) {
		struct rlimit r = {l->cpu_seconds, l->cpu_seconds + 1};
		setrlimit(RLIMIT_CPU, &r);
	}
	if (l->file_bytes)
		limit(RLIMIT_FSIZE, l->file_bytes);
	if (l->memory_bytes && !memory_by_cgroup)
		limit(RLIMIT_AS, l->memory_bytes);
}

static _Noreturn void fail(int fd, const char *step)
{
	struct failure f = {.eno = errno};
	snprintf(f.step, sizeof f.step, "%s", step);
	if (write(fd, &f, sizeof f) < 0)
		_exit(126);
	_exit(127);
}

static _Noreturn void child(const struct spawn_start *s, struct cgroup *g, int report)
{
	static const int ends[] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
	setsid();
	if (g && cgroup_join(g) < 0)
		fail(report, "joining its cgroup");
	for (int i = 0; i < 3; i++)
		if (dup2(s->fds[i + 1], ends[i]) < 0)
			fail(report, "standard streams");
	if (s->enforce)
		apply_rlimits(&s->limits, g && s->memory_by_cgroup);
	umask(077);
	for (int sig = 1; sig < 65; sig++)
		signal(sig, SIG_DFL);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (s->gid >= 0 && (setgroups(0, NULL) < 0 || setgid((gid_t)s->gid) < 0))
		fail(report, "its group");
	if (s->uid >= 0 && setuid((uid_t)s->uid) < 0)
		fail(report, "its user");
	if (s->cwd_by_fd ? fchdir(s->fds[4]) < 0 : chdir(s->cwd) < 0)
		fail(report, "its working directory");
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	int keep = dup3(report, 3, O_CLOEXEC);
	close_range(4, ~0u, 0);
	execve(s->program, s->argv, s->envp);
	fail(keep, "exec");
}

pid_t spawn_child(const struct spawn_start *s, struct cgroup *g, int *ret_pidfd, struct err *e)
{
	int p[2], pidfd = -1;
	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(e, ERR_SPAWN_FAILED, errno, "pipe");
	autoclose int in = p[0], out = p[1];
	if (out == 3) /* the child keeps its end as 3; any other number will do here */
		out = fcntl(3, F_DUPFD_CLOEXEC, 10);
	struct clone_args a = {.flags = CLONE_PIDFD,
			       .pidfd = (uint64_t)(uintptr_t)&pidfd,
			       .exit_signal = SIGCHLD};
	if (g && cgroup_clone_fd(g) >= 0) {
		a.flags |= CLONE_INTO_CGROUP;
		a.cgroup = (uint64_t)cgroup_clone_fd(g);
	}
	long pid = syscall(SYS_clone3, &a, sizeof a);
	if (pid < 0)
		return err_sys(e, ERR_SPAWN_FAILED, errno, "a process for '%s'", s->program);
	if (pid == 0)
		child(s, g, out);
	close(take_fd(&out));
	if (p[1] == 3)
		close(3);
	struct failure f;
	ssize_t n = read(in, &f, sizeof f); /* ends at exec */
	*ret_pidfd = pidfd;
	if (n == sizeof f)
		err_sys(e, ERR_SPAWN_FAILED, f.eno, "'%s' could not be started (%s)", s->program,
			f.step);
	return (pid_t)pid;
}
