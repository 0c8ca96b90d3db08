/* SPDX-License-Identifier: MIT */
/* spawn_exec.c - starts symbi-spawn, from the directory that this program lies in. L1; before any thread. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/paths.h"
#include "sandbox/sandbox.h"

static _Noreturn void become_spawner(const char *path, int sock, const char *state_dir, const struct rlimit *files,
				     bool once)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (files)
		setrlimit(RLIMIT_NOFILE, files);
	if (sock == 3)
		fcntl(sock, F_SETFD, 0);
	else
		dup2(sock, 3);
	close_range(4, ~0u, 0);
	execl(path, "symbi-spawn", "--fd", "3", "--state", state_dir, once ? "--once" : (char *)NULL, (char *)NULL);
	_exit(127);
}

int spawn_server_start(const char *state_dir, const struct rlimit *files, bool once, pid_t *ret_pid, struct err *e)
{
	char path[PATH_MAX];
	int sv[2], r = paths_beside("symbi-spawn", path);
	if (r < 0)
		return err_sys(e, ERR_SPAWN_LOST, -r, "'%s'", path);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
		return err_sys(e, ERR_SPAWN_LOST, errno, "the spawner's socket");
	pid_t pid = fork();
	if (pid == 0)
		become_spawner(path, sv[1], state_dir, files, once);
	int eno = errno;
	close(sv[1]);
	if (pid < 0) {
		close(sv[0]);
		return err_sys(e, ERR_SPAWN_LOST, eno, "the spawner cannot be started");
	}
	*ret_pid = pid;
	return sv[0];
}
