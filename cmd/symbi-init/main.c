/* SPDX-License-Identifier: MIT */
/* symbi-init - pid 1 of a container: starts the program, reaps, hands signals on, and writes to a file how it went.
 * L4; linked statically, as it runs in whatever root the container has.
 *
 * Where a program is itself pid 1, signals that it does not handle do nothing to it, and a runtime tells its end by a
 * number that says both `exit 137` and SIGKILL. The file is the program's own user's: what it says is about that
 * program alone. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static _Noreturn void become(char **argv, int told)
{
	sigset_t none;
	sigemptyset(&none);
	setsid();
	umask(077);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (strchr(argv[0], '/'))
		execve(argv[0], argv + 1, environ);
	else /* in an image nobody outside could look it up */
		execvpe(argv[0], argv + 1, environ);
	int eno = errno;
	if (write(told, &eno, sizeof eno) < 0)
		eno = 0; /* then it is an end with 127 */
	_exit(127);
}

/* Its pid; told is closed behind its execve. Ends us when there is none. */
static pid_t start(char **argv, int out)
{
	int p[2], eno = 0;
	if (pipe2(p, O_CLOEXEC) < 0)
		eno = errno;
	pid_t pid = eno ? -1 : fork();
	if (pid == 0)
		become(argv, p[1]);
	if (pid < 0 && !eno)
		eno = errno;
	if (pid > 0) {
		close(p[1]);
		if (read(p[0], &eno, sizeof eno) != sizeof eno)
			eno = 0;
		close(p[0]);
	}
	if (!eno) {
		dprintf(out, "started\n");
		return pid;
	}
	dprintf(out, "failed %d\n", eno);
	exit(127);
}

static void reap(pid_t program, int out)
{
	int status;
	for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
		if (pid != program)
			continue;
		if (WIFEXITED(status)) {
			dprintf(out, "exited %d\n", WEXITSTATUS(status));
			exit(WEXITSTATUS(status));
		}
		dprintf(out, "signaled %d\n", WTERMSIG(status));
		exit(128 + WTERMSIG(status));
	}
}

/* What the runtime added to the environment, names with commas between. */
static void remove_variables(char *names)
{
	for (char *name; (name = strsep(&names, ","));)
		if (*name)
			unsetenv(name);
}

/* Who made this container is no parent of ours, and its streams are not the program's: they come from a socket, once we
 * are where we shall be held. */
static int take_streams(const char *path)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(3 * sizeof(int))];
	} control;
	char one;
	struct iovec part = {&one, 1};
	struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
	int fds[3], fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0 || recvmsg(fd, &m, MSG_CMSG_CLOEXEC) != 1)
		return -1;
	const struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	if (!c || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(sizeof fds))
		return -1;
	memcpy(fds, CMSG_DATA(c), sizeof fds);
	for (int i = 0; i < 3; i++)
		if (dup2(fds[i], i) < 0)
			return -1;
	close(fd);
	return 0;
}

int main(int argc, char **argv)
{
	sigset_t all;
	if (argc < 6) {
		fputs("usage: symbi-init FILE SOCKET|- VARIABLES PROGRAM ARGV0 [ARG...]\npid 1 of a container of symbid; not to be "
		      "run by hand.\n",
		      stderr);
		return 2;
	}
	int out = open(argv[1], O_WRONLY | O_APPEND | O_CLOEXEC);
	if (out < 0) {
		perror(argv[1]);
		return 127;
	}
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	if (strcmp(argv[2], "-") != 0 && take_streams(argv[2]) < 0)
		return 127;
	remove_variables(argv[3]);
	pid_t program = start(argv + 4, out);
	for (int i = 0; i < 3; i++)
		close(i); /* else who reads its output waits for us */
	for (;;) {
		int sig = sigwaitinfo(&all, NULL);
		if (sig == SIGCHLD)
			reap(program, out);
		else if (sig > 0)
			kill(program, sig);
		if (sig == SIGTERM) /* who was stopped cannot hear it */
			kill(program, SIGCONT);
	}
}
