/* SPDX-License-Identifier: MIT */
/* cmd_status.c - the file `status` of the tree. L4. */
#include <string.h>

#include "cli.h"

/* "key value" lines as one object. */
static int to_json(const char *lines, struct buf *out)
{
	char key[64], value[1024];
	buf_adds(out, "{");
	for (const char *p = lines; *p;) {
		size_t len = strcspn(p, "\n"), n = strcspn(p, " \n");
		snprintf(key, sizeof key, "%.*s", (int)n, p);
		snprintf(value, sizeof value, "%.*s", len > n ? (int)(len - n - 1) : 0,
			 p + (len > n ? n + 1 : n));
		buf_adds(out, out->len > 1 ? "," : "");
		buf_json_string(out, key, strlen(key));
		buf_adds(out, ":");
		say_json_value(out, value);
		p += len + (p[len] == '\n');
	}
	return buf_adds(out, "}\n");
}

int cmd_status(const struct command *c, int argc, char **argv)
{
	struct err e = {0};
	struct where w = {0};
	bool json = false;
	const struct opt opts[] = {WHERE_SOCKET_OPTS(w),
				   {"mount", &w.mount, NULL},
				   {"json", NULL, &json},
				   {NULL, NULL, NULL}};
	if (opts_read(c, argc, argv, opts, 0, 0) < 0)
		return CLI_USAGE;
	autobuf struct buf status, text;
	buf_init(&status, 1 << 20);
	buf_init(&text, 1 << 20);
	if (where_find(&w, &e) < 0 || where_read(&w, "status", &status, &e) < 0)
		return say_failed(&e);
	if (!json)
		return say_out(&status);
	to_json(status.data, &text);
	return say_out(&text);
}
