/* SPDX-License-Identifier: MIT */
/* crash.h - run work in a child, kill -9 it at a random moment, and hand back what it had told. */
#pragma once

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/parse.h"
#include "tests/support/check.h"

/* $TEST_CRASH_ROUNDS, or `quick` when it is not set. */
static inline unsigned crash_rounds(unsigned quick)
{
	uint64_t n = quick;
	const char *s = getenv("TEST_CRASH_ROUNDS");
	if (s && parse_u64(s, 1, 1000000, &n, NULL) < 0)
		fail_msg("TEST_CRASH_ROUNDS is '%s'", s);
	return (unsigned)n;
}

/* Runs work(arg, fd), which does not return and writes the number of each step that it was promised to
 * fd, kills it after_us later, and returns the last number told, or `before` when none was. */
static inline uint64_t crash_once(void (*work)(void *arg, int fd), void *arg, unsigned after_us,
				  uint64_t before)
{
	int p[2], status;
	uint64_t told;
	assert_int_equal(pipe(p), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(p[0]);
		work(arg, p[1]);
		_exit(1);
	}
	close(p[1]);
	usleep(after_us);
	kill(pid, SIGKILL);
	while (read(p[0], &told, sizeof told) == sizeof told)
		before = told;
	close(p[0]);
	waitpid(pid, &status, 0);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	return before;
}
