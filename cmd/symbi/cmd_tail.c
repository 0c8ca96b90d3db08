/* SPDX-License-Identifier: MIT */
/* cmd_tail.c - the end of a log, and what is added to it. L4. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "cli.h"
#include "lib/parse.h"

#define LINES_MAX 10000000
#define FIRST                                                                                      \
	16384 /* bytes that are fetched at first; four times as many until they hold the lines */
#define FETCH_MAX (64u << 20)
#define PERIOD_NS 250000000

struct tail {
	struct client *client;
	const char *path;
	uint64_t lines;
	uint64_t end; /* of what was printed */
};

/* Where the last `lines` lines of text begin; false when it holds fewer. */
static bool last_lines(const struct buf *text, uint64_t lines, size_t *ret)
{
	size_t at = text->len;
	if (at && text->data[at - 1] == '\n')
		at--;
	for (; lines; lines--) {
		const char *nl = at ? memrchr(text->data, '\n', at) : NULL;
		if (!nl) {
			*ret = 0;
			return false;
		}
		*ret = (size_t)(nl - text->data) + 1;
		at = *ret - 1;
	}
	return true;
}

/* Print the end of the text; its size is where following begins. */
static int print_end(struct tail *t, struct err *e)
{
	char range[64];
	autobuf struct buf text;
	buf_init(&text, FETCH_MAX);
	for (size_t want = FIRST;; want *= 4) {
		struct reply r = {.body = &text};
		size_t from = 0;
		buf_clear(&text);
		snprintf(range, sizeof range, "Range: bytes=-%zu", want);
		int result = client_do(t->client, "GET", t->path, range, NULL, 0, &r, e);
		if (result < 0)
			return result;
		t->end = r.total;
		if (r.status == 416) /* it is empty */
			return 0;
		bool whole = r.status != 206 || text.len >= r.total;
		if (!last_lines(&text, t->lines, &from) && !whole && want < FETCH_MAX / 4)
			continue;
		if (!t->lines)
			from = text.len;
		fwrite(text.data + from, 1, text.len - from, stdout);
		return fflush(stdout) == 0 ? 0 : err_sys(e, ERR_SYS_IO, errno, "standard output");
	}
}

/* Print what was added, for ever. Every reader of the log asks for itself: nothing waits in the
 * daemon, and a replaced worker is not noticed. */
static int follow(struct tail *t, struct err *e)
{
	char range[64];
	for (;;) {
		struct reply r = {.file = stdout};
		snprintf(range, sizeof range, "Range: bytes=%" PRIu64 "-", t->end);
		int result = client_do(t->client, "GET", t->path, range, NULL, 0, &r, e);
		if (result < 0)
			return result;
		if (r.status == 206)
			t->end += r.got;
		if (r.status == 416 && r.total < t->end) {
			fprintf(stderr, "symbi: '%s' begins anew\n", t->path);
			t->end = 0;
			continue;
		}
		nanosleep(&(struct timespec){.tv_nsec = PERIOD_NS}, NULL);
	}
}

static int run(struct tail *t, bool more, struct err *e)
{
	autobuf struct buf none;
	buf_init(&none, 1 << 20);
	struct reply head = {.body = &none};
	int r = client_do(t->client, "HEAD", t->path, NULL, NULL, 0, &head, e);
	if (r < 0)
		return r;
	if (!head.sized) { /* a stream, which has no end to begin with */
		struct reply all = {.file = stdout};
		return client_do(t->client, "GET", t->path, NULL, NULL, 0, &all, e);
	}
	r = print_end(t, e);
	return r == 0 && more ? follow(t, e) : r;
}

int cmd_tail(const struct command *c, int argc, char **argv)
{
	struct err e = {0};
	struct where w = {0};
	struct tail t = {.lines = 10};
	const char *lines = NULL;
	bool more = false;
	const struct opt opts[] = {
		WHERE_SOCKET_OPTS(w), {"n", &lines, NULL}, {"f", NULL, &more}, {NULL, NULL, NULL}};
	int at = opts_read(c, argc, argv, opts, 1, 1);
	if (at < 0)
		return CLI_USAGE;
	if (lines && parse_u64(lines, 0, LINES_MAX, &t.lines, &e) < 0)
		return opts_wrong(c, "-n: %s", e.msg);
	int r = where_find(&w, &e);
	if (r == 0)
		r = client_open(&t.client, w.at.socket, &e);
	t.path = client_path(&w, argv[at]);
	if (r == 0)
		r = run(&t, more, &e);
	client_close(t.client);
	return r < 0 ? say_failed(&e) : 0;
}
