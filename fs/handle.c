/* SPDX-License-Identifier: MIT */
/* handle.c - open files: opening, dispatch by kind, what is kept of them, and logs. L3; loop thread
 * only. */
#include "fs/handle_i.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "lib/mem.h"

#define READ_MAX (1u << 20)
#define OFF_MAX  ((uint64_t)INT64_MAX - READ_MAX) /* behind every end; above it pread(2) knows no offset */

static const struct handle_ops *const ops_of[] = {
	[FS_DIR] = &handle_text_ops,   [FS_RENDERED] = &handle_text_ops,
	[FS_LOG] = &handle_log_ops,    [FS_VALUE] = &handle_text_ops,
	[FS_LINES] = &handle_text_ops, [FS_STORE] = &handle_store_ops,
	[FS_CALL] = &handle_call_ops,  [FS_STREAM] = &handle_stream_ops,
	[FS_SINK] = &handle_sink_ops,  [FS_FILE] = &handle_file_ops, [FS_SECRET] = &handle_secret_ops,
};

/* ---- life ---- */

struct handle *handle_new(struct tree *t, const struct place *p, const struct handle_state *st)
{
	struct handle *h = calloc(1, sizeof *h);
	if (!h || view_opened(t, p) < 0) {
		free(h);
		return NULL;
	}
	if (index_add(&t->handles_by_id, &h->by_id, st->id) < 0) {
		view_closed(t, p);
		free(h);
		return NULL;
	}
	h->t = t;
	h->at = *p;
	h->st = *st;
	h->st.who.req = 0; /* opening is done */
	h->refs = 1;
	h->fd = -1;
	h->ops = ops_of[row_kind(p->row)];
	buf_init(&h->in, FS_DOC_MAX);
	buf_init(&h->snap, RENDER_MAX);
	buf_init(&h->queue, STREAM_MAX);
	h->next = t->handles;
	if (h->next)
		h->next->prev = h;
	t->handles = h;
	return h;
}

void handle_set_opener(struct handle *h, const struct actor *who)
{
	h->st.who = *who;
	h->st.who.req = 0; /* opening is done */
}

struct handle *handle_ref(struct handle *h)
{
	h->refs++;
	return h;
}

void handle_unref(struct handle *h)
{
	if (--h->refs)
		return;
	if (h->fd >= 0)
		close(h->fd);
	buf_done(&h->in);
	buf_done(&h->snap);
	buf_done(&h->queue);
	free(h);
}

void handle_close(struct handle *h, uint64_t req, bool again)
{
	struct tree *t = h->t;
	h->st.who.req = req;
	h->again = again;
	if (h->ops->release)
		h->ops->release(h);
	if (h->number) {
		keep_gone(t->keep, KEEP_HANDLE, h->number);
		if (h->have_snap)
			keep_gone(t->keep, KEEP_SNAP, h->number);
	}
	h->number = 0;
	h->wake = NULL;
	index_del(&t->handles_by_id, &h->by_id);
	view_closed(t, &h->at);
	*(h->prev ? &h->prev->next : &t->handles) = h->next;
	if (h->next)
		h->next->prev = h->prev;
	handle_unref(h);
}

void handle_release(struct handle *h)
{
	handle_close(h, 0, false);
}

static int want_of(int flags)
{
	int acc = flags & O_ACCMODE;
	return (acc != O_WRONLY ? R_OK : 0) | (acc != O_RDONLY ? W_OK : 0);
}

int tree_open(struct tree *t, const struct actor *who, fs_id id, int flags, struct handle **ret,
	      struct err *e)
{
	struct place p;
	struct fs_attr a;
	int r = place_of(t, id, &p, e);
	if (r == 0 && row_kind(p.row) == FS_DIR)
		return err_sys(e, ERR_FS_INVALID, EISDIR, "a directory");
	if (r == 0)
		r = place_attr_short(t, &p, who, &a, e);
	if (r == 0)
		r = access_check(t, who, &a, p.row->node, want_of(flags), e);
	if (r == 0)
		r = view_may_open(t, &p, e);
	if (r < 0)
		return r;
	struct handle_state st = {.id = id, .who = *who, .flags = flags};
	struct handle *h = handle_new(t, &p, &st);
	if (!h)
		return err_set(e, ERR_SYS_MEMORY, "no memory for an open file");
	if (h->ops->open && (r = h->ops->open(h, e)) < 0) {
		handle_release(h);
		return r;
	}
	*ret = h;
	return 0;
}

/* ---- what is kept ---- */

void handle_keep(const struct handle *h)
{
	size_t len = h->st.refused.code == ERR_NONE ? offsetof(struct handle_state, refused)
						    : sizeof h->st;
	if (h->number)
		keep_state(h->t->keep, KEEP_HANDLE, h->number, &h->st, len);
}

void handle_keep_in(const struct handle *h, uint64_t from)
{
	if (h->number)
		keep_text(h->t->keep, KEEP_HANDLE, h->number, from, h->in.data + from,
			  h->in.len - from);
}

void handle_keep_all(const struct handle *h)
{
	handle_keep(h);
	if (h->in.len)
		handle_keep_in(h, 0);
	if (h->number && h->have_snap)
		keep_text(h->t->keep, KEEP_SNAP, h->number, 0, h->snap.data, h->snap.len);
}

void handle_set_number(struct handle *h, uint64_t number, uint64_t opened_by)
{
	h->number = number;
	h->st.opened_by = opened_by;
	handle_keep_all(h);
}

void handle_set_poll_key(struct handle *h, uint64_t key)
{
	if (h->st.poll_key == key)
		return;
	h->st.poll_key = key;
	handle_keep(h);
}

uint64_t handle_poll_key(const struct handle *h)
{
	return h->st.poll_key;
}

uint64_t handle_opened_by(const struct handle *h)
{
	return h->st.opened_by;
}

fs_id handle_id(const struct handle *h)
{
	return h->st.id;
}

bool handle_wrote(const struct handle *h, const struct fs_req *req)
{
	return req->again && req->who.req && h->st.wrote_by == req->who.req;
}

void handle_set_wrote(struct handle *h, const struct fs_req *req, size_t len)
{
	h->st.wrote_by = req->who.req;
	h->st.wrote = (uint32_t)len;
	handle_keep(h);
}

/* ---- dispatch ---- */

char *read_buffer(void)
{
	static char bytes[READ_MAX];
	return bytes;
}

void handle_read(struct handle *h, struct fs_req *req, uint64_t off, size_t size, bool nonblock)
{
	h->ops->read(h, req, off < OFF_MAX ? off : OFF_MAX, size < READ_MAX ? size : READ_MAX,
		     nonblock);
}

void handle_write(struct handle *h, struct fs_req *req, uint64_t off, const char *data, size_t len,
		  bool nonblock)
{
	h->t->changes++;
	if (h->ops->write && !(h->at.row->in_view && !(row_mode(h->at.row) & 0222))) {
		h->ops->write(h, req, off, data, len, nonblock);
		return;
	}
	struct err e;
	int r = err_set(&e, ERR_FS_MODE, "'%s' is only to be read", place_name(&h->at));
	req_fail(req, r, &e);
}

void handle_flush(struct handle *h, struct fs_req *req)
{
	if (!h->st.dirty || !h->ops->flush) {
		req_ok(req, 0);
		return;
	}
	h->t->changes++;
	h->ops->flush(h, req);
}

int handle_truncate(struct handle *h, uint64_t size, struct err *e)
{
	return h->ops->truncate ? h->ops->truncate(h, size, e) : 0;
}

static void last_flushed(struct fs_req *req, int r, const void *data, size_t len, const struct err *e)
{
	(void)data, (void)len;
	if (r < 0 && e)
		tree_failed(req->arg, &req->who, req->attr.id, NULL, "release", e);
	free(req);
}

void handle_flush_last(struct handle *h)
{
	struct fs_req *req = calloc(1, sizeof *req);
	if (!req)
		return;
	req->who = h->st.who;
	req->attr.id = h->st.id;
	req->again = h->again;
	req->arg = h->t;
	req->reply = last_flushed;
	h->ops->flush(h, req);
}

unsigned handle_poll(struct handle *h, const struct actor *who, bool again, void (*wake)(void *arg),
		     void *arg)
{
	h->wake = wake;
	h->wake_arg = arg;
	return h->ops->poll ? h->ops->poll(h, who, again) : POLLIN | POLLOUT;
}

enum fs_kind handle_kind(const struct handle *h)
{
	return row_kind(h->at.row);
}

int handle_fd(const struct handle *h)
{
	return h->fd;
}

bool handle_will_read(const struct tree *t, fs_id id, const struct actor *who)
{
	for (struct index_link *l = index_find(&t->handles_by_id, id); l; l = index_again(l)) {
		const struct handle *h = container_of(l, struct handle, by_id);
		if (h->st.who.pid == who->pid && h->st.who.uid == who->uid &&
		    (h->st.flags & O_ACCMODE) == O_RDONLY && !(h->st.flags & O_NONBLOCK))
			return true;
	}
	return false;
}

uint32_t handle_run(const struct handle *h)
{
	return h->answer ? h->answer->number : 0;
}

enum fs_hold handle_hold(const struct handle *h)
{
	if (h->at.row->node && h->at.row->node->fixed)
		return FS_HOLD_FIXED;
	return h->at.row->versioned ? FS_HOLD_VERSION : FS_HOLD_NOT;
}

/* ---- logs: a growing file on disk ---- */

static int log_open(struct handle *h, struct err *e)
{
	char path[PATH_MAX];
	struct fs_ctx c;
	int r = place_bind(h->t, &h->at, &h->st.who, &c, e);
	if (r == 0)
		r = c.node->file(&c, path, sizeof path, e);
	if (r < 0)
		return r;
	h->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (h->fd < 0 && errno != ENOENT)
		return err_sys(e, ERR_SYS_IO, errno, "'%s'", place_name(&h->at));
	return 0; /* absent: nothing was logged yet */
}

static int log_restore(struct handle *h, struct err *e)
{
	(void)e;
	log_open(h, NULL); /* of an agent that is gone: an empty file from now on */
	return 0;
}

/* There is no file yet; what it will begin with. */
static void log_read_head(struct handle *h, struct fs_req *req, uint64_t off, size_t size)
{
	struct err e;
	autobuf struct buf head;
	buf_init(&head, RENDER_MAX);
	int r = text_for_open(h->t, &h->at, &req->who, &head, &e);
	if (r < 0)
		req_fail(req, r, &e);
	else
		req_slice(req, &head, off, size);
}

static void log_read(struct handle *h, struct fs_req *req, uint64_t off, size_t size, bool nonblock)
{
	(void)nonblock;
	struct err e;
	char *data = read_buffer();
	if (h->fd < 0)
		log_open(h, NULL);
	if (h->fd < 0 && h->at.row->node->read) {
		log_read_head(h, req, off, size);
		return;
	}
	ssize_t n = h->fd < 0 ? 0 : pread(h->fd, data, size, (off_t)off);
	if (n < 0) {
		int r = err_sys(&e, ERR_SYS_IO, errno, "'%s'", place_name(&h->at));
		req_fail(req, r, &e);
		return;
	}
	req_data(req, data, (size_t)n);
}

const struct handle_ops handle_log_ops = {
	.open = log_open, .restore = log_restore, .read = log_read};
