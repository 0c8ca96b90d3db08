/* SPDX-License-Identifier: MIT */
/* cmd_write.c - write a file of the tree. L4. */
#include <string.h>

#include "cli.h"

#define TEXT_MAX (1u << 20) /* what the daemon takes at once */

int cmd_write(const struct command *c, int argc, char **argv)
{
	struct err e = {0};
	struct where w = {0};
	struct client *client = NULL;
	const struct opt opts[] = {WHERE_SOCKET_OPTS(w), {NULL, NULL, NULL}};
	int at = opts_read(c, argc, argv, opts, 1, 2);
	if (at < 0)
		return CLI_USAGE;
	autobuf struct buf text, body;
	buf_init(&text, TEXT_MAX + 1);
	buf_init(&body, TEXT_MAX);
	struct reply reply = {.body = &body};
	int r = 0;
	if (at + 1 == argc)
		r = say_slurp("-", TEXT_MAX, &text, &e);
	else if (buf_printf(&text, "%s\n", argv[at + 1]) < 0)
		r = err_set(&e, ERR_RESOURCE_TOO_BIG, "the text has more than %u bytes", TEXT_MAX);
	if (r == 0)
		r = where_find(&w, &e);
	if (r == 0)
		r = client_open(&client, w.at.socket, &e);
	if (r == 0)
		r = client_do(client, "PUT", client_path(&w, argv[at]), NULL, text.data, text.len,
			      &reply, &e);
	client_close(client);
	return r < 0 ? say_failed(&e) : 0;
}
