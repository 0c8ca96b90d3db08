/* SPDX-License-Identifier: MIT */
/* daemon.h - a symbid of a test's own, without a mount, ended with the test. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "tests/support/check.h"
#include "tests/support/tempdir.h"

struct test_daemon {
	char dir[64];
	char state[80], socket[96], log[80];
	pid_t pid; /* of the parent process; 0: none runs */
};

static inline void daemon_init(struct test_daemon *d)
{
	tempdir_make(d->dir);
	snprintf(d->state, sizeof d->state, "%s/s", d->dir);
	snprintf(d->socket, sizeof d->socket, "%s/symbi.sock", d->state);
	snprintf(d->log, sizeof d->log, "%s/log", d->dir);
	d->pid = 0;
}

/* Start it with up to 8 more arguments, NULL-ended; what it said to its starter is in said ("ok\n"). */
static inline void daemon_start_with(struct test_daemon *d, const char *const *more, char *said,
				     size_t cap)
{
	const char *argv[32] = {SYMBI_BIN_DIR "/symbid", "--state", d->state, "--no-fuse",
				"--allow-native",        "--log",   d->log,   "--ready-fd"};
	int p[2], n = 8;
	char num[16];
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	snprintf(num, sizeof num, "%d", p[1]);
	argv[n++] = num;
	for (; more && *more && n < 31; more++)
		argv[n++] = *more;
	d->pid = fork();
	assert_true(d->pid >= 0);
	if (d->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		fcntl(p[1], F_SETFD, 0);
		execv(argv[0], (char *const *)argv);
		_exit(127);
	}
	close(p[1]);
	size_t len = 0;
	for (ssize_t k; len < cap - 1 && (k = read(p[0], said + len, cap - 1 - len)) > 0;)
		len += (size_t)k;
	said[len] = 0;
	close(p[0]);
}

static inline void daemon_start(struct test_daemon *d, const char *const *more)
{
	char said[700];
	daemon_start_with(d, more, said, sizeof said);
	if (strcmp(said, "ok\n") != 0)
		fail_msg("symbid did not start: %s", said);
}

/* Wait until it ended; its wait status. */
static inline int daemon_wait(struct test_daemon *d)
{
	int status = -1;
	while (d->pid && waitpid(d->pid, &status, 0) < 0 && errno == EINTR)
		;
	d->pid = 0;
	return status;
}

static inline int daemon_stop(struct test_daemon *d)
{
	if (!d->pid)
		return 0;
	kill(d->pid, SIGTERM);
	return daemon_wait(d);
}

static inline void daemon_done(struct test_daemon *d)
{
	daemon_stop(d);
	tempdir_remove(d->dir);
}
