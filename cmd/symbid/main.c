/* SPDX-License-Identifier: MIT */
/* symbid - the daemon. This process is the small parent: it mounts, listens, starts the spawner, and
 * keeps a worker that serves, so that a crash of the worker costs callers nothing. L4. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "symbid.h"

static void set_log(const struct daemon *d)
{
	enum log_level level = LOG_LEVEL_INFO;
	log_level_parse(config_str(d->config, "logging.level"), &level);
	log_init(STDERR_FILENO, level,
		 strcmp(config_str(d->config, "logging.format"), "json") == 0);
}

int main(int argc, char **argv)
{
	struct err e = {0};
	struct daemon d = {.ready_fd = -1, .say_fd = -1, .parent = getpid()};
	d.lock_fd = d.fuse_fd = d.spawn_fd = d.listen_fd = d.keep_fd = -1;
	int r = config_new(&d.config, &e);
	if (r == 0)
		r = options_read(&d, argc, argv, &e);
	if (r == -1) {
		r = prepare_state(&d, &e); /* the log is in it, most of the time */
		if (r == 0)
			r = open_log(&d, &e);
		set_log(&d);
		if (r == 0)
			r = start_all(&d, &e);
		if (r == 0) {
			r = parent_run(&d, &e);
			stop_all(&d);
		}
	}
	if (e.code != ERR_NONE) {
		if (d.ready_fd < 0 || d.log) /* else whoever waits there says it */
			fprintf(stderr, "symbid: %s %s\n", err_code_name(e.code), e.msg);
		if (d.ready_fd >= 0)
			dprintf(d.ready_fd, "%s %s\n", err_code_name(e.code), e.msg);
	}
	config_free(d.config);
	return r < 0 ? 1 : r;
}
