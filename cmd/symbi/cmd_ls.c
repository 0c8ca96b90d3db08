/* SPDX-License-Identifier: MIT */
/* cmd_ls.c - list a directory of the tree. L4. */
#include <jansson.h>
#include <string.h>
#include <time.h>

#include "cli.h"

#define LIST_MAX (1u << 30)

static void print_long(const json_t *entry, bool dir)
{
	char when[32] = "";
	struct tm tm;
	time_t t = (time_t)json_number_value(json_object_get(entry, "mtime"));
	if (localtime_r(&t, &tm))
		strftime(when, sizeof when, "%Y-%m-%d %H:%M", &tm);
	printf("%c%s %5lld %5lld %10lld %s ", dir ? 'd' : '-',
	       json_string_value(json_object_get(entry, "mode")),
	       json_integer_value(json_object_get(entry, "uid")),
	       json_integer_value(json_object_get(entry, "gid")),
	       json_integer_value(json_object_get(entry, "size")), when);
}

static int print_list(const struct buf *text, bool more, struct err *e)
{
	size_t i;
	json_t *entry, *list = json_loadb(text->data, text->len, 0, NULL);
	if (!json_is_array(list)) {
		json_decref(list);
		return err_sys(e, ERR_FS_INVALID, 20 /* ENOTDIR */,
			       "a file; `symbi cat` prints it");
	}
	json_array_foreach(list, i, entry)
	{
		const char *name = json_string_value(json_object_get(entry, "name"));
		const char *type = json_string_value(json_object_get(entry, "type"));
		bool dir = type && strcmp(type, "dir") == 0;
		if (more)
			print_long(entry, dir);
		printf("%s%s\n", name ? name : "?", dir ? "/" : "");
	}
	json_decref(list);
	return 0;
}

int cmd_ls(const struct command *c, int argc, char **argv)
{
	struct err e = {0};
	struct where w = {0};
	struct client *client = NULL;
	bool json = false, more = false;
	const struct opt opts[] = {WHERE_SOCKET_OPTS(w),
				   {"json", NULL, &json},
				   {"l", NULL, &more},
				   {NULL, NULL, NULL}};
	int at = opts_read(c, argc, argv, opts, 0, 1);
	if (at < 0)
		return CLI_USAGE;
	autobuf struct buf text;
	buf_init(&text, LIST_MAX);
	int r = where_find(&w, &e);
	if (r == 0)
		r = client_open(&client, w.at.socket, &e);
	if (r == 0)
		r = client_get(client, client_path(&w, at < argc ? argv[at] : ""), &text, &e);
	client_close(client);
	if (r == 0 && json)
		return say_out(&text);
	if (r == 0)
		r = print_list(&text, more, &e);
	return r < 0 ? say_failed(&e) : 0;
}
