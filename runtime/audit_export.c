/* SPDX-License-Identifier: MIT */
/* audit_export.c - a checkpoint to a file or a command. L2; a thread that may wait. */
#include "runtime/audit_export.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/mem.h"
#include "lib/sys.h"

int audit_export_check(const char *to, struct err *e)
{
	if (!*to || *to == '/' || (*to == '|' && to[1]))
		return 0;
	return err_set(e, ERR_CONFIG_INVALID, "audit.export is '%.100s': a file as /path, or a command as '|command'", to);
}

static int to_file(const char *path, const char *note, size_t len, struct err *e)
{
	char tmp[PATH_MAX + 8], dir[PATH_MAX];
	snprintf(tmp, sizeof tmp, "%s.new", path);
	snprintf(dir, sizeof dir, "%s", path);
	autoclose int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	int r = fd < 0 ? -errno : sys_pwrite_all(fd, note, len, 0);
	if (r == 0 && sys->fsync(fd) < 0)
		r = -errno;
	if (r == 0 && sys->rename(tmp, path) < 0)
		r = -errno;
	if (r == 0)
		r = sys_sync_dir(dirname(dir));
	return r < 0 ? err_sys(e, ERR_AUDIT_IO, -r, "audit.export '%s'", path) : 0;
}

/* With nothing of ours but standard error: the note is its input, signals are as a program expects them. */
static int start(const char *command, int in, pid_t *ret)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, all;
	char *argv[] = {(char *)"sh", (char *)"-c", (char *)command, NULL};
	char *env[] = {(char *)"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL};
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attr);
	posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO);
	posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
	int r = posix_spawn(ret, "/bin/sh", &files, &attr, argv, env);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
	return -r;
}

/* Its status, or -ETIME when it was killed. */
static int end(pid_t pid)
{
	int status = 0;
	autoclose int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = {.fd = fd, .events = POLLIN};
	bool late = poll(&p, 1, AUDIT_EXPORT_MS) == 0;
	if (late)
		kill(-pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return late ? -ETIME : status;
}

static int to_command(const char *command, const char *note, size_t len, struct err *e)
{
	int in[2];
	pid_t pid = 0;
	if (pipe2(in, O_CLOEXEC) < 0)
		return err_sys(e, ERR_AUDIT_IO, errno, "audit.export");
	int r = start(command, in[0], &pid);
	close(in[0]);
	if (r == 0 && write(in[1], note, len) != (ssize_t)len) /* fits into a pipe */
		r = -EIO;
	close(in[1]);
	int status = pid ? end(pid) : 0;
	if (r < 0 || status == -ETIME)
		return err_sys(e, ERR_AUDIT_IO, r < 0 ? -r : ETIME, "audit.export '|%.200s'", command);
	if (status == 0)
		return 0;
	return err_set(e, ERR_AUDIT_IO, "audit.export '|%.200s' ended with %s %d", command,
		       WIFEXITED(status) ? "exit status" : "signal", WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

int audit_export(const char *to, const char *note, size_t len, struct err *e)
{
	return *to == '|' ? to_command(to + 1, note, len, e) : to_file(to, note, len, e);
}
