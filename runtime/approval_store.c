/* SPDX-License-Identifier: MIT */
/* approval_store.c - the table of approvals and what the store keeps of it. L2; loop thread only. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "runtime/runtime_i.h"

#define S(member, kind) {#member, kind, offsetof(struct approval, member)}
/* A field's place is on disk for ever: append only. */
static const struct field saved[] = {
	S(uid, FIELD_U32),	  S(view, FIELD_U32),	    S(agent, FIELD_U32),      S(run, FIELD_U32),
	S(line, FIELD_U32),	  S(decided_by, FIELD_U32), S(asked_ms, FIELD_U64),   S(expires_ms, FIELD_U64),
	S(decided_ms, FIELD_U64), S(valid_until_ms, FIELD_U64), S(object, FIELD_STR), S(action, FIELD_STR),
	S(type, FIELD_STR),	  S(op, FIELD_STR),	    S(resource, FIELD_STR),   S(arguments, FIELD_STR),
	S(rule, FIELD_STR),	  S(file, FIELD_STR),	    S(reason, FIELD_STR),     S(to, FIELD_STR),
	S(version, FIELD_STR),	  S(why, FIELD_STR),	    S(state, FIELD_U32),
	S(edited_by, FIELD_U32),  S(asked, FIELD_STR),	    S(edited, FIELD_STR),
};

static void key_of(uint32_t id, char out[40])
{
	snprintf(out, 40, "q/%08x", id);
}

/* ---- the table ---- */

struct approval *approval_add(struct runtime *rt, uint32_t id)
{
	struct approvals *p = &rt->approvals;
	if (p->n == p->cap) {
		size_t cap = p->cap ? 2 * p->cap : 16;
		struct approval **list = realloc(p->list, cap * sizeof(struct approval *));
		if (!list)
			return NULL;
		p->list = list;
		p->cap = cap;
	}
	struct approval *a = calloc(1, sizeof *a);
	if (!a)
		return NULL;
	a->id = id;
	a->rt = rt;
	a->dirty = p->dirty = true;
	size_t i = p->n++;
	for (; i > 0 && p->list[i - 1]->id > id; i--)
		p->list[i] = p->list[i - 1];
	p->list[i] = a;
	p->pending++;
	if (id > rt->serial_last)
		rt->serial_last = id;
	store_changed(rt);
	return a;
}

static void dispose(struct approval *a)
{
	for (size_t i = 0; i < ARRAY_LEN(saved); i++)
		if (saved[i].kind == FIELD_STR)
			free(*(char **)(void *)((char *)a + saved[i].at));
	free(a);
}

void approval_remove(struct runtime *rt, struct approval *a)
{
	struct approvals *p = &rt->approvals;
	char key[40];
	size_t i = 0;
	while (p->list[i] != a)
		i++;
	memmove(&p->list[i], &p->list[i + 1], (--p->n - i) * sizeof(struct approval *));
	p->pending -= a->state == APPROVAL_PENDING;
	timer_clear(&rt->timers, &a->timer);
	key_of(a->id, key);
	store_forget(rt, key);
	dispose(a);
}

void approvals_close(struct runtime *rt)
{
	for (size_t i = 0; i < rt->approvals.n; i++) {
		timer_clear(&rt->timers, &rt->approvals.list[i]->timer);
		dispose(rt->approvals.list[i]);
	}
	free(rt->approvals.list);
	rt->approvals = (struct approvals){0};
}

/* ---- the store ---- */

static int save(struct kv *kv, const struct approval *a, struct err *e)
{
	char key[40];
	autobuf struct buf b;
	buf_init(&b, 1u << 20);
	int r = fields_pack(saved, ARRAY_LEN(saved), a, &b);
	key_of(a->id, key);
	return r < 0 ? r : kv_put(kv, key, b.data, b.len, e);
}

int approvals_save(struct runtime *rt, struct err *e)
{
	struct approvals *p = &rt->approvals;
	int r = 0;
	for (size_t i = 0; r == 0 && p->dirty && i < p->n; i++)
		if (p->list[i]->dirty && (r = save(rt->kv, p->list[i], e)) == 0)
			p->list[i]->dirty = false;
	if (r == 0)
		p->dirty = false;
	return r;
}

static int load(void *arg, const char *key, const void *data, size_t len)
{
	struct runtime *rt = arg;
	struct approval s = {0};
	unsigned id;
	if (sscanf(key, "q/%8x", &id) != 1 || fields_unpack(saved, ARRAY_LEN(saved), data, len, &s) < 0 ||
	    s.state >= APPROVAL_STATES)
		return -EUCLEAN;
	struct approval *a = approval_add(rt, id);
	if (!a)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_LEN(saved); i++) { /* the texts are borrowed from data */
		char **text = (char **)(void *)((char *)&s + saved[i].at);
		if (saved[i].kind == FIELD_STR && !(*text = strdup(*text ? *text : "")))
			return -ENOMEM;
	}
	rt->approvals.pending -= s.state != APPROVAL_PENDING;
	s.id = id;
	s.rt = rt;
	*a = s;
	return 0;
}

int approvals_load(struct runtime *rt, struct err *e)
{
	int r = kv_each(rt->kv, "q/", load, rt, e);
	rt->approvals.dirty = false;
	return r;
}
