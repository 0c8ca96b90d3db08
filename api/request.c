/* SPDX-License-Identifier: MIT */
/* request.c - one request from its head to its answer: the body is gathered, the connection sleeps
 * while the tree works, and a client that hangs up cancels what it asked for. L3; loop thread only. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_i.h"
#include "api/path.h"
#include "api/status.h"
#include "lib/metric.h"
#include "lib/parse.h"

#define DISCARD_MAX (8u << 20) /* of a body that is too large: read on so that the answer is seen */
#define BODY_TYPE   "text/plain; charset=utf-8"
#define JSON_TYPE   "application/json"

/* ---- life ---- */

static void list_add(struct api_request *r)
{
	r->list_next = r->s->requests;
	r->list_prev = &r->s->requests;
	if (r->list_next)
		r->list_next->list_prev = &r->list_next;
	r->s->requests = r;
}

void request_unref(struct api_request *r)
{
	if (--r->refs)
		return;
	if (r->response)
		MHD_destroy_response(r->response);
	if (r->s) { /* else the tree is gone, and its handles with it */
		if (r->h)
			handle_release(r->h);
		*r->list_prev = r->list_next;
		if (r->list_next)
			r->list_next->list_prev = r->list_prev;
	}
	buf_done(&r->body);
	buf_done(&r->piece);
	free(r->path);
	free(r);
}

void request_cancel(struct api_request *r)
{
	if (r->pending)
		fs_req_cancel(&r->op);
}

const char *request_header(const struct api_request *r, const char *name)
{
	return MHD_lookup_connection_value(r->mhd, MHD_HEADER_KIND, name);
}

/* ---- waiting ---- */

/* What is waited for is cancelled, and the connection woken so that libmicrohttpd finds it closed. What
 * cannot be cancelled any more (it is being made durable) ends by itself. */
void request_abandon(struct api_request *r)
{
	r->refs++;
	request_cancel(r);
	if (r->suspended && !r->pending) {
		r->broken = true;
		request_wake(r);
	}
	request_unref(r);
}

void request_suspend(struct api_request *r)
{
	r->suspended = true;
	MHD_suspend_connection(r->mhd);
}

void request_wake(struct api_request *r)
{
	if (!r->suspended)
		return;
	r->suspended = false;
	MHD_resume_connection(r->mhd);
	r->s->woken = true;
}

static void on_reply(struct fs_req *op, int result, const void *data, size_t len,
		     const struct err *e)
{
	struct api_request *r = container_of(op, struct api_request, op);
	r->pending = false;
	r->next(r, result, data, len, e);
	request_unref(r);
}

void request_expect(struct api_request *r, void (*next)(struct api_request *, int, const void *,
							size_t, const struct err *))
{
	r->next = next;
	r->op.reply = on_reply;
	r->pending = true;
	r->refs++;
}

/* ---- answers ---- */

void request_answer(struct api_request *r, unsigned status, struct MHD_Response *response)
{
	if (!response) {
		response = MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);
		status = 503;
	}
	if (!r->mhd || r->response) {
		MHD_destroy_response(response);
		return;
	}
	r->response = response;
	r->status = status;
	request_wake(r);
}

void request_text(struct api_request *r, unsigned status, struct buf *b, const char *type)
{
	size_t len;
	char *text = buf_take(b, &len);
	struct MHD_Response *response =
		text ? MHD_create_response_from_buffer_with_free_callback(len, text, free) : NULL;
	if (!response)
		free(text);
	else
		MHD_add_response_header(response, "Content-Type", type ? type : BODY_TYPE);
	request_answer(r, status, response);
}

static void fail_with(struct api_request *r, const struct err *e)
{
	struct buf b;
	buf_init(&b, 64 << 10);
	status_body(e, r->path, &b);
	request_text(r, status_of(e), &b, JSON_TYPE);
}

void request_fail(struct api_request *r, int result, const struct err *e, const char *op)
{
	struct err made;
	if (!e || e->code == ERR_NONE) {
		err_sys(&made, ERR_SYS_IO, -result, "'%s'", r->path);
		e = &made;
	}
	if (op && r->s && result != -EINTR && result != -EAGAIN && result != -ENOENT) {
		if (r->id)
			tree_failed(r->s->tree, &r->op.who, r->id, NULL, op, e);
		else
			errors_record(tree_runtime(r->s->tree), &r->op.who, r->path, op, NULL, e);
	}
	fail_with(r, e);
}

static void refuse(struct api_request *r, int eno, const char *sentence)
{
	struct err e;
	err_set(&e, ERR_API_REQUEST, "%s", sentence);
	e.eno = eno;
	fail_with(r, &e);
	if (eno == EOPNOTSUPP && r->response)
		MHD_add_response_header(r->response, "Allow", API_FS_ALLOW);
}

/* ---- the head ---- */

static const struct api_method *method_of(const char *name)
{
	for (const struct api_method *m = api_fs_methods; m->name; m++)
		if (strcmp(m->name, name) == 0)
			return m;
	return NULL;
}

static bool body_too_long(const struct api_request *r)
{
	uint64_t n;
	const char *length = request_header(r, "Content-Length");
	return length && parse_u64(length, 0, API_BODY_MAX, &n, NULL) < 0;
}

static bool has_query(const struct api_request *r)
{
	return MHD_get_connection_values(r->mhd, MHD_GET_ARGUMENT_KIND, NULL, NULL) > 0;
}

/* Everything that can be refused before the body is there. */
static void parse_head(struct api_request *r, const char *url, const char *method)
{
	struct err e = {0};
	char path[API_PATH_MAX];
	bool ours = strncmp(url, "/fs", 3) == 0 && (url[3] == '/' || url[3] == 0);
	if (ours && path_decode(url + 3, path, sizeof path, &e) < 0) {
		r->path = strdup(url);
		fail_with(r, &e);
		return;
	}
	r->path = strdup(ours ? path : url);
	r->method = method_of(method);
	if (!r->path)
		request_answer(r, 503, NULL);
	else if (!ours)
		refuse(r, ENOENT, "not served here; the tree is at /fs/");
	else if (!r->method)
		refuse(r, EOPNOTSUPP, "no such method; one of " API_FS_ALLOW);
	else if (has_query(r))
		refuse(r, EINVAL, "a query ('?...') means nothing here");
	else if (body_too_long(r))
		refuse(r, EFBIG, "the body is larger than 1 MiB");
}

static struct api_request *request_new(struct api_server *s, struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct api_peer *peer = info ? info->socket_context : NULL;
	struct api_request *r = peer ? calloc(1, sizeof *r) : NULL;
	if (!r)
		return NULL;
	r->s = s;
	r->peer = peer;
	peer->request = r;
	r->mhd = c;
	r->refs = 1;
	r->op.who = peer->who;
	buf_init(&r->body, API_BODY_MAX);
	buf_init(&r->piece, 1u << 30); /* the tree caps what it gives */
	list_add(r);
	metric_add(METRIC_API_REQUESTS, 1);
	return r;
}

/* ---- libmicrohttpd's callbacks ---- */

static enum MHD_Result queue_answer(struct api_request *r)
{
	struct MHD_Response *response = take_ptr(r->response);
	if (r->peer->half_closed) /* nothing more will come from there */
		MHD_add_response_header(response, "Connection", "close");
	enum MHD_Result ok = MHD_queue_response(r->mhd, r->status, response);
	MHD_destroy_response(response);
	return ok;
}

/* A refusal is sent before a body that nobody wants; the connection ends with it. Without a body it
 * must not be queued in the first call: libmicrohttpd would close the connection all the same. */
static enum MHD_Result after_head(struct api_request *r)
{
	bool body = request_header(r, "Content-Length") || request_header(r, "Transfer-Encoding");
	return r->response && body ? queue_answer(r) : MHD_YES;
}

static enum MHD_Result take_body(struct api_request *r, const char *data, size_t *len)
{
	if (r->discarded || buf_add(&r->body, data, *len) < 0)
		r->discarded += *len;
	*len = 0;
	return r->discarded > DISCARD_MAX ? MHD_NO : MHD_YES;
}

enum MHD_Result api_on_request(void *cls, struct MHD_Connection *c, const char *url,
			       const char *method, const char *version, const char *upload,
			       size_t *upload_size, void **state)
{
	(void)version;
	struct api_request *r = *state;
	if (!r) {
		r = *state = request_new(cls, c);
		if (!r)
			return MHD_NO;
		parse_head(r, url, method);
		return after_head(r);
	}
	if (*upload_size)
		return take_body(r, upload, upload_size);
	if (!r->begun && r->discarded)
		refuse(r, EFBIG, "the body is larger than 1 MiB");
	if (!r->begun && !r->response)
		r->method->begin(r);
	r->begun = true;
	if (r->response)
		return queue_answer(r);
	if (r->broken || !r->pending)
		return MHD_NO; /* closing, or out of memory */
	request_suspend(r);
	return MHD_YES;
}

/* How long may the connection do nothing from here on? */
static void set_idle(struct MHD_Connection *c, const struct api_request *r)
{
	if (r->peer->half_closed)
		MHD_set_connection_option(c, MHD_CONNECTION_OPTION_TIMEOUT, 1u);
	else if (r->untimed)
		MHD_set_connection_option(c, MHD_CONNECTION_OPTION_TIMEOUT,
					  (unsigned)API_IDLE_SECONDS);
}

void api_on_completed(void *cls, struct MHD_Connection *c, void **state,
		      enum MHD_RequestTerminationCode how)
{
	(void)cls;
	struct api_request *r = take_ptr(*state);
	if (!r)
		return;
	if (how == MHD_REQUEST_TERMINATED_COMPLETED_OK)
		set_idle(c, r);
	r->peer->request = NULL;
	r->peer = NULL;
	r->mhd = NULL;
	r->suspended = false;
	r->broken = true;
	request_cancel(r);
	request_unref(r);
}
