/* SPDX-License-Identifier: MIT */
/* keep.c - a log of objects in shared memory that outlives the process which writes it. L3; loop thread
 * only. The memory is ours alone: what is read back is trusted as far as it was published. */
#include "fs/keep.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fs/index.h"
#include "lib/log.h"
#include "lib/mem.h"

#define HEAD_SIZE 4096u
#define AREA_SIZE (1ull << 30) /* of address space; memory is used as far as it is written */
#define LONG_FROM (256u << 10) /* a shorter log is never rewritten */
#define DEATHS_MAX 2 /* one may be chance: kill -9 while it was carried out */
#define GIVE_BACK (1ull << 20) /* an area that grew past this is returned to the system */

struct head {
	uint64_t tag;
	_Atomic uint32_t active;
	_Atomic uint32_t full; /* a record did not fit: the log is not the whole truth any more */
	_Atomic uint64_t len[2];
	_Atomic uint64_t doing; /* the request that is being carried out, 0: none */
	uint64_t suspect;       /* the one that the last worker died of, and how many died of it */
	uint32_t deaths;
};

enum what { STATE = 1, TEXT, GONE };

struct rec {
	uint32_t len; /* of the data behind it, which is padded to 8 bytes */
	uint16_t kind, what;
	uint64_t id, off;
};

struct keep {
	struct head *head;
	char *area;      /* the one that is written */
	unsigned number; /* its number */
	uint64_t at;     /* end of what was written to it */
	uint64_t live;   /* its length right after the last rewrite */
	bool rewriting, full;
};

int keep_create(struct err *e)
{
	autoclose int fd = memfd_create("symbi-keep", MFD_CLOEXEC);
	uint64_t tag = randombytes_random();
	if (fd < 0 || ftruncate(fd, HEAD_SIZE + 2 * (off_t)AREA_SIZE) < 0 ||
	    write(fd, &tag, sizeof tag) != sizeof tag)
		return err_sys(e, ERR_SYS_MEMORY, errno, "memory that outlives the worker");
	return take_fd(&fd);
}

static char *area_of(struct keep *k, unsigned number)
{
	return (char *)k->head + HEAD_SIZE + number * AREA_SIZE;
}

/* What stands in `doing` is of a worker that did not live to clear it. */
static void note_death(struct head *h)
{
	uint64_t req = h->doing;
	h->doing = 0;
	if (!req)
		return;
	h->deaths = req == h->suspect ? h->deaths + 1 : 1;
	h->suspect = req;
}

int keep_open(struct keep **ret, int fd, struct err *e)
{
	struct keep *k = calloc(1, sizeof *k);
	void *m = mmap(NULL, HEAD_SIZE + 2 * AREA_SIZE, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (!k || m == MAP_FAILED) {
		free(k);
		return err_sys(e, ERR_SYS_MEMORY, errno, "memory that outlives the worker");
	}
	k->head = m;
	k->number = k->head->active;
	k->area = area_of(k, k->number);
	k->at = k->head->len[k->number];
	note_death(k->head);
	*ret = k;
	return 0;
}

void keep_close(struct keep *k)
{
	if (!k)
		return;
	munmap(k->head, HEAD_SIZE + 2 * AREA_SIZE);
	free(k);
}

uint32_t keep_tag(const struct keep *k)
{
	return k ? (uint32_t)k->head->tag : 0;
}

void keep_doing(struct keep *k, uint64_t req)
{
	if (k)
		atomic_store_explicit(&k->head->doing, req, memory_order_release);
}

bool keep_is_deadly(const struct keep *k, uint64_t req)
{
	return k && req == k->head->suspect && k->head->deaths >= DEATHS_MAX;
}

/* ---- writing ---- */

static uint64_t padded(uint64_t len)
{
	return (len + 7) & ~7ull;
}

static void add(struct keep *k, enum what what, enum keep_kind kind, uint64_t id, uint64_t off,
		const void *data, size_t len)
{
	if (!k)
		return;
	uint64_t size = sizeof(struct rec) + padded(len);
	if (size > AREA_SIZE - k->at) {
		if (!k->full)
			log_warn("keep.full", NULL);
		k->full = true;
		if (!k->rewriting)
			k->head->full = 1;
		return;
	}
	struct rec r = {(uint32_t)len, (uint16_t)kind, (uint16_t)what, id, off};
	memcpy(k->area + k->at, &r, sizeof r);
	if (len)
		memcpy(k->area + k->at + sizeof r, data, len);
	k->at += size;
}

void keep_state(struct keep *k, enum keep_kind kind, uint64_t id, const void *state, size_t len)
{
	add(k, STATE, kind, id, 0, state, len);
}

void keep_text(struct keep *k, enum keep_kind kind, uint64_t id, uint64_t off, const void *data,
	       size_t len)
{
	add(k, TEXT, kind, id, off, data, len);
}

void keep_gone(struct keep *k, enum keep_kind kind, uint64_t id)
{
	add(k, GONE, kind, id, 0, NULL, 0);
}

void keep_publish(struct keep *k)
{
	if (k && !k->rewriting)
		atomic_store_explicit(&k->head->len[k->number], k->at, memory_order_release);
}

bool keep_is_long(const struct keep *k)
{
	return k && k->at > LONG_FROM && k->at > 2 * k->live;
}

void keep_rewrite_begin(struct keep *k)
{
	k->rewriting = true;
	k->number = !k->number;
	k->area = area_of(k, k->number);
	k->at = 0;
	k->full = false;
}

void keep_rewrite_end(struct keep *k)
{
	unsigned old = !k->number;
	k->rewriting = false;
	k->live = k->at;
	keep_publish(k);
	atomic_store_explicit(&k->head->active, k->number, memory_order_release);
	k->head->full = k->full;
	if (k->head->len[old] > GIVE_BACK)
		madvise(area_of(k, old), AREA_SIZE, MADV_REMOVE);
}

/* ---- reading ---- */

struct object {
	struct index_link link;
	struct object *next; /* of all */
	uint64_t id;
	uint16_t kind;
	bool gone;
	void *state;
	size_t state_len;
	struct buf text;
};

struct loading {
	struct index index;
	struct object *first, **end;
};

static struct object *object_of(struct loading *l, uint16_t kind, uint64_t id)
{
	uint64_t hash = hash_pair(kind, id);
	for (struct index_link *i = index_find(&l->index, hash); i; i = index_again(i)) {
		struct object *o = container_of(i, struct object, link);
		if (o->kind == kind && o->id == id)
			return o;
	}
	struct object *o = calloc(1, sizeof *o);
	if (!o || index_add(&l->index, &o->link, hash) < 0) {
		free(o);
		return NULL;
	}
	o->kind = kind;
	o->id = id;
	buf_init(&o->text, AREA_SIZE);
	*l->end = o;
	l->end = &o->next;
	return o;
}

static int apply(struct loading *l, const struct rec *r, const char *data)
{
	struct object *o = object_of(l, r->kind, r->id);
	if (!o)
		return -ENOMEM;
	o->gone = r->what == GONE;
	if (r->what == GONE) {
		buf_clear(&o->text);
		o->state_len = 0;
	} else if (r->what == STATE) {
		void *p = realloc(o->state, r->len ? r->len : 1);
		if (!p)
			return -ENOMEM;
		o->state = memcpy(p, data, r->len);
		o->state_len = r->len;
	} else if (r->off <= o->text.len) {
		o->text.len = r->off;
		return buf_add(&o->text, data, r->len);
	}
	return 0;
}

static void loading_done(struct loading *l)
{
	for (struct object *o = l->first, *next; o; o = next) {
		next = o->next;
		free(o->state);
		buf_done(&o->text);
		free(o);
	}
	index_done(&l->index);
}

int keep_load(struct keep *k,
	      void (*fn)(void *arg, enum keep_kind kind, uint64_t id, const void *state, size_t len,
			 struct buf *text),
	      void *arg, struct err *e)
{
	struct loading l = {.end = &l.first};
	int r = 0;
	if (!k)
		return 0;
	if (k->head->full)
		log_warn("keep.incomplete", NULL);
	for (uint64_t at = 0; r == 0 && at < k->at;) {
		struct rec rec;
		memcpy(&rec, k->area + at, sizeof rec);
		r = apply(&l, &rec, k->area + at + sizeof rec);
		at += sizeof rec + padded(rec.len);
	}
	for (uint16_t kind = 0; r == 0 && kind < KEEP_KINDS; kind++)
		for (struct object *o = l.first; o; o = o->next)
			if (o->kind == kind && !o->gone)
				fn(arg, (enum keep_kind)kind, o->id, o->state_len ? o->state : NULL,
				   o->state_len, &o->text);
	loading_done(&l);
	return r < 0 ? err_set(e, ERR_SYS_MEMORY, "no memory for what the last worker held") : 0;
}
