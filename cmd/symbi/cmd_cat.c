/* SPDX-License-Identifier: MIT */
/* cmd_cat.c - print files of the tree as they come. L4. */
#include "cli.h"

int cmd_cat(const struct command *c, int argc, char **argv)
{
	struct err e = {0};
	struct where w = {0};
	struct client *client = NULL;
	const struct opt opts[] = {WHERE_SOCKET_OPTS(w), {NULL, NULL, NULL}};
	int at = opts_read(c, argc, argv, opts, 1, argc);
	if (at < 0)
		return CLI_USAGE;
	if (where_find(&w, &e) < 0 || client_open(&client, w.at.socket, &e) < 0)
		return say_failed(&e);
	int r = 0;
	for (; at < argc; at++) {
		struct reply reply = {.file = stdout};
		if (client_do(client, "GET", client_path(&w, argv[at]), NULL, NULL, 0, &reply, &e) <
		    0)
			r = say_failed(&e); /* the others are printed all the same */
	}
	client_close(client);
	return r;
}
