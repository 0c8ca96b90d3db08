/* SPDX-License-Identifier: MIT */
/* full.c - starts slirp4netns for a box. L1. */
#include "sandbox/full.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/mem.h"
#include "sandbox/proctree.h"

#define READY_MS 10000

enum { FD_READY = 3, FD_EXIT };

static int find(char ret[static PATH_MAX])
{
	static const char *const dirs[] = {"/usr/local/bin", "/usr/bin", "/bin"};
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		snprintf(ret, PATH_MAX, "%s/slirp4netns", dirs[i]);
		if (access(ret, X_OK) == 0)
			return 0;
	}
	return -ENOENT;
}

int full_available(struct err *e)
{
	char path[PATH_MAX];
	if (find(path) < 0)
		return err_set(e, ERR_SEC_VIOLATION,
			       "network Full needs slirp4netns: install it (Debian: apt-get install slirp4netns)");
	if (access("/dev/net/tun", R_OK | W_OK) < 0)
		return err_sys(e, ERR_SEC_VIOLATION, errno, "network Full needs /dev/net/tun, readable and writable for this user");
	return 0;
}

static _Noreturn void become(const char *path, pid_t box, int ready, int hold, pid_t spawner, uint32_t mark)
{
	char target[32];
	bool root = geteuid() == 0; /* then the box has no user namespace of its own */
	const char *argv[16] = {"slirp4netns", "--configure", "--mtu=65520", "--disable-host-loopback", "--enable-seccomp",
				"--ready-fd=3", "--exit-fd=4"};
	const char *const env[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
	size_t n = 7;
	sigset_t none;
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != spawner)
		_exit(1);
	setsid();
	proctree_mark(mark);
	snprintf(target, sizeof target, root ? "/proc/%d/ns/net" : "%d", box);
	if (root) {
		argv[n++] = "--enable-sandbox";
		argv[n++] = "--netns-type=path";
	}
	argv[n++] = target;
	argv[n++] = "tap0";
	argv[n] = NULL;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	ready = fcntl(ready, F_DUPFD, 100);
	hold = fcntl(hold, F_DUPFD, 100);
	for (int i = 0; i < 3; i++)
		dup2(null, i);
	dup2(ready, FD_READY);
	dup2(hold, FD_EXIT);
	close_range(FD_EXIT + 1, ~0u, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(path, (char *const *)argv, (char *const *)env);
	_exit(127);
}

static bool becomes_ready(int fd)
{
	char c;
	struct pollfd p = {.fd = fd, .events = POLLIN};
	return poll(&p, 1, READY_MS) == 1 && read(fd, &c, 1) == 1;
}

pid_t full_start(pid_t box, int *ret_hold, uint32_t mark, struct err *e)
{
	char path[PATH_MAX];
	int ready[2] = {-1, -1}, hold[2] = {-1, -1};
	int r = full_available(e);
	if (r < 0)
		return r;
	if (find(path) < 0 || pipe2(ready, O_CLOEXEC) < 0 || pipe2(hold, O_CLOEXEC) < 0) {
		if (ready[0] >= 0)
			close(ready[0]), close(ready[1]);
		return err_sys(e, ERR_SPAWN_FAILED, errno, "pipes for slirp4netns");
	}
	pid_t spawner = getpid(), pid = fork();
	if (pid == 0)
		become(path, box, ready[1], hold[0], spawner, mark);
	int eno = errno;
	close(ready[1]);
	close(hold[0]);
	bool ok = pid > 0 && becomes_ready(ready[0]);
	close(ready[0]);
	if (ok) {
		*ret_hold = hold[1];
		return pid;
	}
	close(hold[1]);
	if (pid < 0)
		return err_sys(e, ERR_SPAWN_FAILED, eno, "no process for slirp4netns");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return err_set(e, ERR_SPAWN_FAILED, "slirp4netns could not give its sandbox a network (slirp4netns --help says what it needs)");
}
