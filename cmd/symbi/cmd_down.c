/* SPDX-License-Identifier: MIT */
/* cmd_down.c - stop the daemon and wait until it has ended. L4. */
#include <errno.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli.h"
#include "lib/mem.h"
#include "lib/parse.h"

#define SAY_AFTER_MS 3000

/* The daemon bounds the time itself: what does not end by lifecycle.termination_timeout is killed. */
static void wait_end(int pidfd, int pid)
{
	struct pollfd p = {pidfd, POLLIN, 0};
	if (poll(&p, 1, SAY_AFTER_MS) == 0)
		fprintf(stderr, "symbi: waiting for what runs to end (symbid is pid %d)\n", pid);
	while (poll(&p, 1, -1) < 0 && errno == EINTR)
		;
}

int cmd_down(const struct command *c, int argc, char **argv)
{
	struct err e = {0};
	struct where w = {0};
	char text[32];
	uint64_t pid = 0;
	const struct opt opts[] = {
		WHERE_SOCKET_OPTS(w), {"mount", &w.mount, NULL}, {NULL, NULL, NULL}};
	if (opts_read(c, argc, argv, opts, 0, 0) < 0)
		return CLI_USAGE;
	autobuf struct buf status;
	buf_init(&status, 1 << 20);
	int r = where_find(&w, &e);
	if (r == 0)
		r = where_read(&w, "status", &status, &e);
	if (r == 0 && (!where_value(status.data, "pid", text, sizeof text) ||
		       parse_u64(text, 1, INT_MAX, &pid, NULL) < 0))
		r = err_set(&e, ERR_API_REQUEST, "the daemon's status names no pid");
	if (r < 0)
		return say_failed(&e);
	/* Opened before the daemon is told, so that it is this process whose end is waited for. */
	autoclose int pidfd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
	if (pidfd < 0) {
		err_sys(&e, ERR_SYS_IO, errno, "symbid, pid %d", (int)pid);
		return say_failed(&e);
	}
	/* A daemon that is gone before its reply arrived has done what it was asked. */
	if (where_write(&w, "ctl", "stop\n", &e) < 0 && e.eno != ECONNABORTED &&
	    e.eno != ENOTCONN && e.eno != ECONNRESET && e.eno != EPIPE)
		return say_failed(&e);
	wait_end(pidfd, (int)pid);
	return 0;
}
