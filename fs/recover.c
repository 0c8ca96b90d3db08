/* SPDX-License-Identifier: MIT */
/* recover.c - taking over from a worker that was killed: its open files, documents and answers are made
 * again from what it kept. L3; loop thread only. */
#include <errno.h>
#include <string.h>

#include "fs/handle_i.h"
#include "lib/log.h"
#include "lib/mem.h"

struct recovery {
	struct tree *t;
	void (*adopt)(void *arg, struct handle *h, uint64_t number);
	void *arg;
	struct index handles; /* by number */
	unsigned lost;
};

/* ---- an open file whose object is gone ---- */

static int dead(struct err *e)
{
	return err_sys(e, ERR_SYS_IO, EIO, "what this file was opened for is gone; open it again");
}

static void dead_read(struct handle *h, struct fs_req *req, uint64_t off, size_t size,
		      bool nonblock)
{
	(void)h, (void)off, (void)size, (void)nonblock;
	struct err e;
	int r = dead(&e);
	req_fail(req, r, &e);
}

static void dead_write(struct handle *h, struct fs_req *req, uint64_t off, const char *data,
		       size_t len, bool nonblock)
{
	(void)data;
	dead_read(h, req, off, len, nonblock);
}

static void dead_flush(struct handle *h, struct fs_req *req)
{
	dead_read(h, req, 0, 0, false);
}

static const struct handle_ops dead_ops = {
	.read = dead_read, .write = dead_write, .flush = dead_flush};

/* ---- each kind of object ---- */

static void newest(struct tree *t, uint64_t seq)
{
	if (seq >= t->next_seq)
		t->next_seq = seq + 1;
}

static int restore_handle(struct recovery *rc, uint64_t number, const void *state, size_t len,
			  struct buf *text)
{
	struct place p;
	struct handle_state st = {0};
	memcpy(&st, state, len < sizeof st ? len : sizeof st);
	struct handle *h = place_of(rc->t, st.id, &p, NULL) == 0 ? handle_new(rc->t, &p, &st)
								 : NULL;
	if (!h)
		return -ENOENT;
	h->number = number;
	h->st.who.groups = NULL; /* of the old worker's memory */
	int r = index_add(&rc->handles, &h->by_number, number);
	if (r == 0)
		r = buf_add(&h->in, text->data, text->len);
	if (r == 0 && h->ops->restore)
		r = h->ops->restore(h, NULL);
	if (r < 0)
		h->ops = &dead_ops;
	rc->adopt(rc->arg, h, number);
	return r;
}

static int restore_snap(struct recovery *rc, uint64_t number, struct buf *text)
{
	struct index_link *l = index_find(&rc->handles, number);
	struct handle *h = l ? container_of(l, struct handle, by_number) : NULL;
	if (!h)
		return -ENOENT;
	h->have_snap = true;
	return buf_add(&h->snap, text->data, text->len);
}

static int restore_slot(struct tree *t, const struct slot_state *st)
{
	newest(t, st->seq);
	return slot_restore(t, st, answer_of(t, st->answer));
}

static void restore(void *arg, enum keep_kind kind, uint64_t id, const void *state, size_t len,
		    struct buf *text)
{
	struct recovery *rc = arg;
	struct tree *t = rc->t;
	int r = -EINVAL;
	if (kind == KEEP_DONE) {
		runtime_note_req(t->rt, id, 0);
		r = 0;
	} else if (kind == KEEP_SNAP) {
		r = restore_snap(rc, id, text);
	} else if (!state) {
		r = -EINVAL;
	} else if (kind == KEEP_ANSWER) {
		newest(t, id);
		r = answer_restore(t, id, state, text) ? 0 : -ENOMEM;
	} else if (kind == KEEP_DOC) {
		newest(t, id);
		r = doc_restore(t, state, text);
	} else if (kind == KEEP_SLOT) {
		r = restore_slot(t, state);
	} else if (kind == KEEP_HANDLE) {
		r = restore_handle(rc, id, state, len, text);
	}
	rc->lost += r < 0;
}

/* What was only held by files that are closed goes. */
static void sweep(struct tree *t)
{
	for (struct doc *d = t->docs, *next; d; d = next) {
		next = d->next;
		if (d->opens == 0 && (!d->st.scratch || d->st.unnamed))
			doc_drop(t, d);
	}
	for (struct slot *s = t->named, *next; s; s = next) {
		next = s->next;
		if (s->opens == 0 && s->st.unnamed)
			slot_drop(t, s);
	}
	for (size_t i = 0; i < t->answers.cap; i++)
		for (struct index_link *l = t->answers.buckets[i], *next; l; l = next) {
			next = l->next;
			answer_unref(t, container_of(l, struct answer, link)); /* the loading's */
		}
}

static void rewrite(struct tree *t)
{
	keep_rewrite_begin(t->keep);
	for (size_t i = 0; i < t->answers.cap; i++)
		for (struct index_link *l = t->answers.buckets[i]; l; l = l->next)
			answer_keep(t, container_of(l, struct answer, link));
	for (const struct doc *d = t->docs; d; d = d->next) {
		doc_keep(t, d);
		keep_text(t->keep, KEEP_DOC, d->st.seq, 0, d->text.data, d->text.len);
	}
	for (size_t i = 0; i < t->slots_by_key.cap; i++)
		for (struct index_link *l = t->slots_by_key.buckets[i]; l; l = l->next)
			slot_keep(t, container_of(l, struct slot, by_key));
	for (const struct handle *h = t->handles; h; h = h->next)
		if (h->number)
			handle_keep_all(h);
	keep_rewrite_end(t->keep);
}

int tree_recover(struct tree *t, int keep_fd,
		 void (*adopt)(void *arg, struct handle *h, uint64_t number), void *arg,
		 struct err *e)
{
	struct recovery rc = {.t = t, .adopt = adopt, .arg = arg};
	struct keep *k;
	int r = keep_open(&k, keep_fd, e);
	if (r < 0)
		return r;
	r = keep_load(k, restore, &rc, e); /* t->keep is not set: nothing of it is written again */
	index_done(&rc.handles);
	if (r < 0) {
		keep_close(k);
		return r;
	}
	t->keep = k;
	sweep(t);
	if (rc.lost)
		log_warn("keep.lost", NULL);
	rewrite(t); /* what became of it here counts from now on */
	return 0;
}

void tree_doing(struct tree *t, uint64_t req)
{
	keep_doing(t->keep, req);
}

bool tree_is_deadly(const struct tree *t, uint64_t req)
{
	return keep_is_deadly(t->keep, req);
}

void tree_publish(struct tree *t)
{
	keep_publish(t->keep);
}

uint32_t tree_tag(const struct tree *t)
{
	return keep_tag(t->keep);
}

void tree_turn(struct tree *t)
{
	if (keep_is_long(t->keep))
		rewrite(t);
}
