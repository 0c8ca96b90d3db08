/* SPDX-License-Identifier: MIT */
/* symbi-spawn - starts every agent process; outlives the worker, not the daemon. L4. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/parse.h"
#include "sandbox/sandbox.h"

#define FD_KEPT 9 /* the socket's number from here on */

int main(int argc, char **argv)
{
	uint64_t fd;
	bool once = argc == 6 && strcmp(argv[5], "--once") == 0;
	if ((argc != 5 && !once) || strcmp(argv[1], "--fd") != 0 || strcmp(argv[3], "--state") != 0 ||
	    parse_u64(argv[2], 3, 1 << 20, &fd, NULL) < 0) {
		fputs("usage: symbi-spawn --fd N --state DIR [--once]\nStarted by symbid and `symbi "
		      "sandbox run`; not to be run by hand.\n",
		      stderr);
		return 2;
	}
	setsid();
	/* Of what it inherited only the socket and standard error stay. */
	int null = open("/dev/null", O_RDWR), sock = (int)fd;
	for (int i = 0; i < 3 && null >= 0; i++)
		if (i < 2 || fcntl(i, F_GETFD) < 0)
			dup2(null, i);
	if (sock == FD_KEPT)
		fcntl(sock, F_SETFD, FD_CLOEXEC);
	else
		sock = dup3(sock, FD_KEPT, O_CLOEXEC);
	if (null < 0 || sock < 0) {
		perror("symbi-spawn: descriptors");
		return 1;
	}
	close_range(3, FD_KEPT - 1, 0);
	close_range(FD_KEPT + 1, ~0u, 0);
	struct err e = {0};
	if (spawn_server_run(sock, argv[4], &e) < 0) {
		fprintf(stderr, "symbi-spawn: %s %s\n", err_code_name(e.code), e.msg);
		return 1;
	}
	if (once)
		spawn_server_discard(argv[4]);
	return 0;
}
