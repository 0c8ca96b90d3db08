/* SPDX-License-Identifier: MIT */
/* symbi-spawn - starts every agent process; outlives the worker, not the daemon. L4. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/parse.h"
#include "sandbox/sandbox.h"

int main(int argc, char **argv)
{
	uint64_t fd;
	if (argc != 5 || strcmp(argv[1], "--fd") != 0 || strcmp(argv[3], "--state") != 0 ||
	    parse_u64(argv[2], 3, 1 << 20, &fd, NULL) < 0) {
		fputs("usage: symbi-spawn --fd N --state DIR\nStarted by symbid; not to be run by "
		      "hand.\n", stderr);
		return 2;
	}
	setsid();
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	return spawn_server_run((int)fd, argv[4]);
}
