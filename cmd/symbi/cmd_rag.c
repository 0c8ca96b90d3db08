/* SPDX-License-Identifier: MIT */
/* cmd_rag.c - documents in, questions asked, by the socket; and the quality of retrieval measured, without the daemon. L4. */
#include <errno.h>
#include <string.h>

#include "cli.h"

#define TEXT_MAX (1u << 20) /* what the daemon takes at once */

static const char *base_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

static int add(struct client *client, char **files, int n)
{
	struct err e = {0};
	for (int i = 0; i < n; i++) {
		autobuf struct buf text, body, path;
		buf_init(&text, TEXT_MAX + 1);
		buf_init(&body, TEXT_MAX);
		buf_init(&path, 4096);
		struct reply reply = {.body = &body};
		buf_printf(&path, "rag/docs/%s", base_of(files[i]));
		int r = say_slurp(files[i], TEXT_MAX, &text, &e);
		if (r == -EFBIG)
			err_wrap(&e, "copy it to rag/docs/ on the mount, where files may have any size");
		if (r == 0)
			r = client_do(client, "PUT", path.data, NULL, text.data, text.len, &reply, &e);
		if (r < 0) {
			err_wrap(&e, "%s", files[i]);
			return say_failed(&e);
		}
	}
	return 0;
}

static int query(struct client *client, char **words, int n, bool json)
{
	struct err e = {0};
	autobuf struct buf text;
	buf_init(&text, TEXT_MAX);
	for (int i = 0; i < n; i++)
		buf_printf(&text, "%s%s", i ? " " : "", words[i]);
	struct reply reply = {.file = stdout};
	int r = client_do(client, "POST", json ? "rag/query.json" : "rag/query", NULL, text.data, text.len, &reply, &e);
	return r < 0 ? say_failed(&e) : 0;
}

static int stats(struct client *client)
{
	struct err e = {0};
	autobuf struct buf out;
	buf_init(&out, 16u << 20);
	int r = client_get(client, "rag/stats", &out, &e);
	return r < 0 ? say_failed(&e) : say_out(&out);
}

int cmd_rag(const struct command *c, int argc, char **argv)
{
	struct err e = {0};
	struct where w = {0};
	struct client *client = NULL;
	bool json = false;
	const struct opt opts[] = {WHERE_SOCKET_OPTS(w), {"json", NULL, &json}, {NULL, NULL, NULL}};
	int at = opts_read(c, argc, argv, opts, 1, argc);
	if (at < 0)
		return CLI_USAGE;
	const char *what = argv[at++];
	int n = argc - at;
	bool is_add = strcmp(what, "add") == 0, is_query = strcmp(what, "query") == 0, is_eval = strcmp(what, "eval") == 0;
	if (!is_add && !is_query && !is_eval && strcmp(what, "stats") != 0)
		return opts_wrong(c, "'%s' is none of add, query, stats, eval", what);
	if (is_eval ? n != 1 : (is_add || is_query) != (n > 0))
		return opts_wrong(c, "%s takes %s", what, is_add ? "files" : is_query ? "a question" : is_eval ? "a directory" : "nothing more");
	if (is_eval)
		return rag_eval(argv[at], json);
	int r = where_find(&w, &e);
	if (r == 0)
		r = client_open(&client, w.at.socket, &e);
	int status = r < 0 ? say_failed(&e) : is_add ? add(client, argv + at, n) : is_query ? query(client, argv + at, n, json) : stats(client);
	client_close(client);
	return status;
}
