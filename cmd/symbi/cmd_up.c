/* SPDX-License-Identifier: MIT */
/* cmd_up.c - start the daemon in the background, and say when it serves. L4. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"
#include "lib/mem.h"
#include "lib/paths.h"

#define ARGS_MAX 64

struct up {
	struct where where;
	const char *config[16];
	unsigned configs;
	bool native, no_fuse, foreground;
	char daemon[PATH_MAX];
	char log[PATH_MAX + 16];
	char fd[16];
	const char *args[ARGS_MAX];
	unsigned n;
};

/* symbid lies beside symbi. */
static int find_daemon(struct up *u, struct err *e)
{
	int r = paths_beside("symbid", u->daemon);
	return r == 0 ? 0 : err_sys(e, ERR_SYS_IO, -r, "'%s'", u->daemon);
}

static void arg(struct up *u, const char *name, const char *value)
{
	u->args[u->n++] = name;
	if (value)
		u->args[u->n++] = value;
}

static void make_args(struct up *u)
{
	arg(u, "symbid", NULL);
	if (u->where.mount)
		arg(u, "--mount", u->where.mount);
	if (u->where.state)
		arg(u, "--state", u->where.state);
	if (u->where.socket)
		arg(u, "--socket", u->where.socket);
	for (unsigned i = 0; i < u->configs; i++)
		arg(u, "--config", u->config[i]);
	if (u->native)
		arg(u, "--allow-native", NULL);
	if (u->no_fuse)
		arg(u, "--no-fuse", NULL);
}

/* "ok\n", or "CODE sentence\n" of a daemon that does not start. */
static int hear(int fd, struct err *e)
{
	char line[700];
	size_t n = 0;
	for (ssize_t k; n < sizeof line - 1 && (k = read(fd, line + n, sizeof line - 1 - n)) > 0;)
		n += (size_t)k;
	line[n] = 0;
	if (strcmp(line, "ok\n") == 0)
		return 0;
	line[strcspn(line, "\n")] = 0;
	char *space = strchr(line, ' ');
	if (!space)
		return err_set(e, ERR_SYS_IO, "symbid ended without a word");
	*space = 0;
	enum err_code code = err_code_find(line);
	return err_set(e, code == ERR_NONE ? ERR_SYS_IO : code, "%s", space + 1);
}

/* In the child: a session of its own, no terminal. What goes wrong before the log is open is said on
 * the standard error of the caller. */
static void become_daemon(const struct up *u)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	setsid();
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	execv(u->daemon, (char *const *)u->args);
	_exit(127);
}

static int start(struct up *u, struct err *e)
{
	int p[2];
	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(e, ERR_SYS_IO, errno, "a pipe for the daemon");
	int write_end = fcntl(p[1], F_DUPFD, 3); /* inherited */
	snprintf(u->log, sizeof u->log, "%s/symbid.log", u->where.at.state);
	snprintf(u->fd, sizeof u->fd, "%d", write_end);
	arg(u, "--log", u->log);
	arg(u, "--ready-fd", u->fd);
	pid_t pid = fork();
	if (pid == 0)
		become_daemon(u);
	close(p[1]);
	close(write_end);
	int r = pid < 0 ? err_sys(e, ERR_SYS_IO, errno, "fork") : hear(p[0], e);
	close(p[0]);
	if (r < 0 && pid > 0)
		waitpid(pid, NULL, 0);
	return r;
}

/* --config may come more than once, which the table of options does not know: taken out before. */
static int take_configs(const struct command *c, struct up *u, int argc, char **argv)
{
	int n = 0;
	for (int i = 0; i < argc; i++) {
		bool joined = strncmp(argv[i], "--config=", 9) == 0;
		if (!joined && strcmp(argv[i], "--config") != 0) {
			argv[n++] = argv[i];
			continue;
		}
		if ((!joined && i + 1 == argc) || u->configs == ARRAY_LEN(u->config)) {
			opts_wrong(c, "--config wants a file, and may come %zu times",
				   ARRAY_LEN(u->config));
			return -1;
		}
		u->config[u->configs++] = joined ? argv[i] + 9 : argv[++i];
	}
	argv[n] = NULL;
	return n;
}

int cmd_up(const struct command *c, int argc, char **argv)
{
	struct err e = {0};
	struct up u = {0};
	const struct opt opts[] = {
		WHERE_SOCKET_OPTS(u.where),          {"mount", &u.where.mount, NULL},
		{"allow-native", NULL, &u.native},   {"no-fuse", NULL, &u.no_fuse},
		{"foreground", NULL, &u.foreground}, {NULL, NULL, NULL}};
	argc = take_configs(c, &u, argc, argv);
	if (argc < 0 || opts_read(c, argc, argv, opts, 0, 0) < 0)
		return CLI_USAGE;
	if (find_daemon(&u, &e) < 0 || where_find(&u.where, &e) < 0)
		return say_failed(&e);
	make_args(&u);
	if (u.foreground) {
		execv(u.daemon, (char *const *)u.args);
		err_sys(&e, ERR_SYS_IO, errno, "'%s'", u.daemon);
		return say_failed(&e);
	}
	if (start(&u, &e) < 0)
		return say_failed(&e);
	puts(u.no_fuse ? u.where.at.socket : u.where.at.mount);
	return 0;
}
