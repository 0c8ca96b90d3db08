/* SPDX-License-Identifier: MIT */
/* fs_door.c - the methods on /fs/PATH. L3; loop thread only.
 *
 * Short texts are answered whole, with their length. Logs are sent from their file. What waits or has
 * no known length (wait/..., long answers, long listings) goes out in chunks: a piece is read when
 * the client has taken the one before, so that a slow client costs one piece of memory. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "api/api_i.h"
#include "api/path.h"

#define TEXT_MAX   (64u << 20) /* bytes of a text that is gathered before it is sent */
#define LIST_TYPE  "application/json"
#define CHUNK_SIZE (16u << 10)

static const char *type_of(const char *path)
{
	size_t n = strlen(path);
	return n > 5 && strcmp(path + n - 5, ".json") == 0 ? "application/json" : NULL;
}

static void header(struct MHD_Response *response, const char *name, const char *value)
{
	if (response)
		MHD_add_response_header(response, name, value);
}

/* ---- replies in pieces ---- */

static void on_piece(struct api_request *r, int result, const void *data, size_t len,
		     const struct err *e)
{
	(void)e; /* the status is sent; what is left is to break off */
	if (result < 0 || buf_add(&r->piece, data, len) < 0)
		r->broken = true;
	else if (len == 0)
		r->ended = true;
	r->off += len;
	request_wake(r);
}

static void next_piece(struct api_request *r)
{
	struct err e;
	buf_clear(&r->piece);
	r->piece_at = 0;
	if (r->listing) {
		int more = tree_list_part(r->s->tree, &r->op.who, r->id, &r->cookie, &r->piece,
					  API_PIECE, &e);
		r->broken = more < 0;
		if (more == 0) {
			buf_adds(&r->piece, "]\n");
			r->ended = true;
		}
	} else if (!r->ended && !r->pending) {
		request_expect(r, on_piece);
		handle_read(r->h, &r->op, r->off, API_PIECE, false);
	}
}

/* libmicrohttpd asks for up to max bytes. */
static ssize_t read_pieces(void *cls, uint64_t pos, char *out, size_t max)
{
	(void)pos;
	struct api_request *r = cls;
	if (r->piece_at == r->piece.len && !r->ended && !r->broken && !r->pending)
		next_piece(r);
	size_t left = r->piece.len - r->piece_at;
	if (left) {
		size_t n = left < max ? left : max;
		memcpy(out, r->piece.data + r->piece_at, n);
		r->piece_at += n;
		return (ssize_t)n;
	}
	if (r->broken)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (r->ended)
		return MHD_CONTENT_READER_END_OF_STREAM;
	request_suspend(r);
	return 0;
}

static void pieces_done(void *cls)
{
	request_unref(cls);
}

/* A connection that waits for a slow client, or for what is to come, is not idle. */
static void never_idle(struct api_request *r)
{
	r->untimed = true;
	MHD_set_connection_option(r->mhd, MHD_CONNECTION_OPTION_TIMEOUT, 0u);
}

/* What is in r->piece already goes first. */
static void answer_in_pieces(struct api_request *r, const char *type)
{
	struct MHD_Response *response = MHD_create_response_from_callback(
		MHD_SIZE_UNKNOWN, CHUNK_SIZE, read_pieces, r, pieces_done);
	if (response)
		r->refs++;
	never_idle(r);
	header(response, "Content-Type", type ? type : "text/plain; charset=utf-8");
	request_answer(r, 200, response);
}

/* ---- GET ---- */

static void content_range(struct MHD_Response *response, const struct range *g, uint64_t size)
{
	char text[80];
	snprintf(text, sizeof text, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, g->from,
		 g->from + g->len - 1, size);
	if (g->partial)
		header(response, "Content-Range", text);
}

static void no_such_range(struct api_request *r, uint64_t size)
{
	struct err e;
	char text[40];
	int result = err_sys(&e, ERR_API_REQUEST, ERANGE, "the text has %" PRIu64 " bytes", size);
	request_fail(r, result, &e, NULL);
	snprintf(text, sizeof text, "bytes */%" PRIu64, size);
	header(r->response, "Content-Range", text);
}

static void answer_text(struct api_request *r)
{
	struct range g;
	struct buf b = r->piece;
	if (range_parse(request_header(r, "Range"), b.len, &g) < 0) {
		no_such_range(r, b.len);
		return;
	}
	uint64_t size = b.len;
	buf_init(&r->piece, TEXT_MAX);
	if (g.partial) {
		memmove(b.data, b.data + g.from, g.len);
		b.len = g.len;
	}
	request_text(r, g.partial ? 206 : 200, &b, type_of(r->path));
	buf_done(&b);
	content_range(r->response, &g, size);
	header(r->response, "Accept-Ranges", "bytes");
}

/* Which of the agent's runs/ the question became. */
static void name_run(struct api_request *r)
{
	char text[16];
	uint32_t run = handle_run(r->h);
	snprintf(text, sizeof text, "%u", run);
	if (run)
		header(r->response, "Symbi-Run", text);
}

static void on_text(struct api_request *r, int result, const void *data, size_t len,
		    const struct err *e);

static void read_text(struct api_request *r)
{
	request_expect(r, on_text);
	handle_read(r->h, &r->op, r->off, r->off ? TEXT_MAX : API_PIECE, false);
}

static void on_text(struct api_request *r, int result, const void *data, size_t len,
		    const struct err *e)
{
	struct err big;
	bool call = handle_kind(r->h) == FS_CALL, end = len == 0 || r->off + len < API_PIECE;
	if (!r->mhd)
		return;
	if (result >= 0 && r->off + len > TEXT_MAX) {
		result = err_set(&big, ERR_RESOURCE_TOO_BIG, "'%s' is too long", r->path);
		e = &big;
	}
	if (result >= 0 && buf_add(&r->piece, data, len) < 0)
		result = -ENOMEM;
	r->off += len;
	if (result < 0)
		request_fail(r, result, e, "read");
	else if (end)
		answer_text(r);
	else if (call) /* a file on disk, of any length: as it is taken */
		answer_in_pieces(r, type_of(r->path));
	else
		read_text(r);
	if (call)
		name_run(r);
}

static void get_log(struct api_request *r)
{
	struct range g;
	struct stat st;
	int fd = handle_fd(r->h);
	if (fd < 0 || fstat(fd, &st) < 0) { /* there is no file yet */
		read_text(r);
		return;
	}
	uint64_t size = (uint64_t)st.st_size;
	if (range_parse(request_header(r, "Range"), size, &g) < 0) {
		no_such_range(r, size);
		return;
	}
	struct MHD_Response *response = NULL;
	int own = g.len ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;
	if (!g.len)
		response = MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);
	else if (own >= 0) /* closes it */
		response = MHD_create_response_from_fd_at_offset64(g.len, own, g.from);
	if (own >= 0 && !response)
		close(own);
	header(response, "Content-Type", "text/plain; charset=utf-8");
	header(response, "Accept-Ranges", "bytes");
	if (response)
		content_range(response, &g, size);
	if (g.len > API_PIECE)
		never_idle(r);
	request_answer(r, g.partial ? 206 : 200, response);
}

static void get_dir(struct api_request *r)
{
	struct err e;
	r->listing = true;
	buf_adds(&r->piece, "[");
	int more = tree_list_part(r->s->tree, &r->op.who, r->id, &r->cookie, &r->piece, API_PIECE,
				  &e);
	if (more < 0) {
		request_fail(r, more, &e, "list");
		return;
	}
	if (more == 1) {
		answer_in_pieces(r, LIST_TYPE);
		return;
	}
	buf_adds(&r->piece, "]\n");
	request_text(r, 200, &r->piece, LIST_TYPE);
}

static void begin_get(struct api_request *r)
{
	struct err e = {0};
	struct fs_attr a = {0};
	int result = tree_open_path(r->s->tree, &r->op.who, r->path, O_RDONLY, &a, &r->h, NULL, &e);
	r->id = a.id;
	if (result == -EISDIR) {
		get_dir(r);
		return;
	}
	if (result < 0) {
		request_fail(r, result, &e, "read");
		return;
	}
	switch (handle_kind(r->h)) {
	case FS_FILE:
	case FS_LOG: get_log(r); break;
	case FS_STREAM: answer_in_pieces(r, NULL); break;
	case FS_DIR:
	case FS_RENDERED:
	case FS_VALUE:
	case FS_LINES:
	case FS_STORE:
	case FS_SECRET:
	case FS_CALL:
	case FS_SINK: read_text(r); break;
	}
}

/* ---- HEAD ---- */

static ssize_t no_bytes(void *cls, uint64_t pos, char *out, size_t max)
{
	(void)cls, (void)pos, (void)out, (void)max;
	return MHD_CONTENT_READER_END_OF_STREAM;
}

static void last_modified(struct MHD_Response *response, uint64_t ms)
{
	char text[40];
	struct tm tm;
	time_t t = (time_t)(ms / 1000);
	if (gmtime_r(&t, &tm) && strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &tm))
		header(response, "Last-Modified", text);
}

/* As stat(2): needs no right to read, and never waits. */
static void begin_head(struct api_request *r)
{
	struct err e = {0};
	struct fs_attr a;
	int result = tree_walk(r->s->tree, &r->op.who, r->path, &a, &e);
	if (result < 0) {
		request_fail(r, result, &e, "stat");
		return;
	}
	bool sized = a.kind != FS_DIR && a.kind != FS_STREAM && a.kind != FS_CALL;
	struct MHD_Response *response = MHD_create_response_from_callback(
		sized ? a.size : MHD_SIZE_UNKNOWN, 1024, no_bytes, NULL, NULL);
	const char *type = a.kind == FS_DIR ? LIST_TYPE : type_of(r->path);
	header(response, "Content-Type", type ? type : "text/plain; charset=utf-8");
	last_modified(response, a.mtime_ms);
	request_answer(r, 200, response);
}

/* ---- PUT, POST ---- */

static void answer_empty(struct api_request *r, unsigned status)
{
	request_answer(r, status,
		       MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT));
}

static void on_flushed(struct api_request *r, int result, const void *data, size_t len,
		       const struct err *e)
{
	(void)data, (void)len;
	if (result < 0) {
		request_fail(r, result, e, "write");
		return;
	}
	bool call = handle_kind(r->h) == FS_CALL;
	answer_empty(r, r->created ? 201 : call ? 202 : 204);
	if (call)
		name_run(r);
}

static void on_written(struct api_request *r, int result, const void *data, size_t len,
		       const struct err *e)
{
	(void)data, (void)len;
	if (result < 0) {
		request_fail(r, result, e, "write");
		return;
	}
	request_expect(r, on_flushed);
	handle_flush(r->h, &r->op);
}

/* The read puts the question and waits for its answer. */
static void on_asked(struct api_request *r, int result, const void *data, size_t len,
		     const struct err *e)
{
	(void)data, (void)len;
	if (result < 0)
		request_fail(r, result, e, "write");
	else if (r->mhd)
		read_text(r);
	else
		on_written(r, 0, NULL, 0, NULL); /* asked all the same, as on the mount */
}

static void write_body(struct api_request *r, bool ask)
{
	struct err e;
	enum fs_kind kind = handle_kind(r->h);
	if (r->body.len == 0 && kind != FS_CALL && kind != FS_STORE && kind != FS_SINK && kind != FS_FILE && kind != FS_SECRET) {
		int result = err_set(&e, ERR_API_REQUEST, "the body is empty: nothing to write");
		request_fail(r, result, &e, "write");
		return;
	}
	request_expect(r, ask && kind == FS_CALL ? on_asked : on_written);
	handle_write(r->h, &r->op, 0, r->body.data, r->body.len, false);
}

static void begin_put(struct api_request *r)
{
	struct err e = {0};
	struct fs_attr a = {0};
	const char *none = request_header(r, "If-None-Match");
	int flags = O_WRONLY | O_CREAT | O_TRUNC | (none && strcmp(none, "*") == 0 ? O_EXCL : 0);
	int result = tree_open_path(r->s->tree, &r->op.who, r->path, flags, &a, &r->h, &r->created,
				    &e);
	r->id = a.id;
	if (result < 0)
		request_fail(r, result, &e, "write");
	else
		write_body(r, false);
}

static void begin_post(struct api_request *r)
{
	struct err e = {0};
	struct fs_attr a = {0};
	struct tree *t = r->s->tree;
	int result = tree_open_path(t, &r->op.who, r->path, O_RDWR, &a, &r->h, NULL, &e);
	if (result == -EACCES) /* write-only: ctl, stdin */
		result = tree_open_path(t, &r->op.who, r->path, O_WRONLY, &a, &r->h, NULL, &e);
	r->id = a.id;
	if (result < 0)
		request_fail(r, result, &e, "write");
	else
		write_body(r, true);
}

/* ---- DELETE, OPTIONS ---- */

static void on_deleted(struct api_request *r, int result, const void *data, size_t len,
		       const struct err *e)
{
	(void)data, (void)len;
	if (result < 0)
		request_fail(r, result, e, "unlink");
	else
		answer_empty(r, 204);
}

static void begin_delete(struct api_request *r)
{
	struct err e;
	if (!r->path[0]) {
		int result = err_set(&e, ERR_FS_NOT_SUPPORTED, "the root is part of the tree");
		request_fail(r, result, &e, "unlink");
		return;
	}
	request_expect(r, on_deleted);
	tree_delete(r->s->tree, &r->op, r->path);
}

static void begin_options(struct api_request *r)
{
	answer_empty(r, 204);
	header(r->response, "Allow", API_FS_ALLOW);
}

const struct api_method api_fs_methods[] = {
	{"GET", begin_get},   {"HEAD", begin_head},     {"PUT", begin_put},
	{"POST", begin_post}, {"DELETE", begin_delete}, {"OPTIONS", begin_options},
	{NULL, NULL},
};
