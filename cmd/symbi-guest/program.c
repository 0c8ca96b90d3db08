/* SPDX-License-Identifier: MIT */
/* program.c - starts a microVM's program as an ordinary user without a way to more, and sees how it ends. L4. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"

#define REAP_TRIES 100 /* of a millisecond: what the kernel does not let die dies with it */

/* ---- in the child ---- */

static _Noreturn void fail(int told, const char *step)
{
	struct vm_failed f = {.eno = errno, .ours = step != NULL};
	snprintf(f.step, sizeof f.step, "%s", step ? step : "");
	if (write(told, &f, sizeof f) < 0)
		errno = 0;
	_exit(127);
}

static void set_rlimit(int which, rlim_t soft, rlim_t hard)
{
	setrlimit((__rlimit_resource_t)which, &(struct rlimit){soft, hard});
}

static void limit(const struct vm_run *r)
{
	set_rlimit(RLIMIT_CORE, 0, 0);
	set_rlimit(RLIMIT_NOFILE, r->files, r->files_max);
	if (r->cpu_seconds)
		set_rlimit(RLIMIT_CPU, r->cpu_seconds, r->cpu_seconds + 1);
	if (r->file_bytes)
		set_rlimit(RLIMIT_FSIZE, r->file_bytes, r->file_bytes);
}

static bool join_group(void)
{
	int fd = open(GROUP "/cgroup.procs", O_WRONLY | O_CLOEXEC);
	return fd >= 0 && write(fd, "0", 1) == 1;
}

static bool drop(const struct vm_run *r)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {{0}};
	for (unsigned long cap = 0; prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0; cap++)
		;
	return setgroups(0, NULL) == 0 && setresgid(r->gid, r->gid, r->gid) == 0 && setresuid(r->uid, r->uid, r->uid) == 0 &&
	       syscall(SYS_capset, &head, none) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

static _Noreturn void become(const struct guest *g, const int stdio[3], int told)
{
	sigset_t none;
	setsid();
	for (int i = 0; i < 3; i++)
		if (dup2(stdio[i], i) < 0)
			fail(told, "its standard streams");
	if (!join_group())
		fail(told, "its group");
	limit(&g->run);
	if (chroot(ROOT) < 0 || chdir("/") < 0)
		fail(told, "its root");
	if (!drop(&g->run))
		fail(told, "its user and group");
	if (chdir(g->cwd) < 0)
		fail(told, "its working directory");
	umask(077);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(g->program, g->argv, g->envp);
	fail(told, NULL);
}

/* ---- pid 1 ---- */

void program_start(struct guest *g)
{
	struct vm_failed failed;
	int in[2], out[2], err[2], told[2];
	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0 || pipe2(told, O_CLOEXEC) < 0)
		guest_fail(g, errno, "its pipes");
	g->pid = fork();
	if (g->pid < 0)
		guest_fail(g, errno, "its process");
	if (g->pid == 0)
		become(g, (const int[]){in[0], out[1], err[1]}, told[1]);
	close(in[0]);
	close(out[1]);
	close(err[1]);
	close(told[1]);
	bool fell = read(told[0], &failed, sizeof failed) == sizeof failed;
	close(told[0]);
	if (fell)
		guest_fail(g, failed.eno, failed.ours ? failed.step : NULL);
	g->stream[0] = in[1];
	g->stream[1] = out[0];
	g->stream[2] = err[0];
	for (int i = 0; i < 3; i++)
		fcntl(g->stream[i], F_SETFL, O_NONBLOCK);
	guest_send(g, VM_STARTED, 0, NULL, 0);
}

/* With the program goes what it left. */
static void end_all(void)
{
	kill(-1, SIGKILL);
	for (int i = 0; i < REAP_TRIES; i++) {
		pid_t pid;
		while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
			;
		if (pid < 0)
			return;
		poll(NULL, 0, 1);
	}
}

void program_reap(struct guest *g)
{
	struct signalfd_siginfo si[8];
	int status;
	pid_t pid;
	while (read(g->signals, si, sizeof si) > 0)
		;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == g->pid && !g->ended) {
			g->end.status = status;
			g->ended = true;
		}
	if (g->ended)
		end_all();
}
