/* SPDX-License-Identifier: MIT */
/* memory_table.c - the tables of agents' memory, and what the store keeps of them. L2; loop thread only. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/rag.h"
#include "runtime/runtime_i.h"

/* ---- entries ---- */

static int room(void *list, size_t n, size_t *cap, size_t each)
{
	void **at = list;
	if (n < *cap)
		return 0;
	size_t more = *cap ? 2 * *cap : 16;
	void *p = realloc(*at, more * each);
	if (!p)
		return -ENOMEM;
	*at = p;
	*cap = more;
	return 0;
}

struct memory_agent *memory_of(struct runtime *rt, uint32_t agent, bool make)
{
	struct memory *t = &rt->memory;
	size_t at = sorted_place(t->agents, t->agents_n, m, m->agent, agent);
	if (at < t->agents_n && t->agents[at]->agent == agent)
		return t->agents[at];
	struct memory_agent *m = make && room(&t->agents, t->agents_n, &t->agents_cap, sizeof(void *)) == 0 ? calloc(1, sizeof *m) : NULL;
	if (!m)
		return NULL;
	m->agent = agent;
	memmove(&t->agents[at + 1], &t->agents[at], (t->agents_n++ - at) * sizeof(void *));
	t->agents[at] = m;
	return m;
}

static size_t place_in(const struct memory_agent *m, uint32_t serial)
{
	return sorted_place(m->all, m->n, x, x->serial, serial);
}

struct memory_entry *memory_find(struct runtime *rt, uint32_t agent, uint32_t serial)
{
	const struct memory_agent *m = memory_of(rt, agent, false);
	size_t at = m ? place_in(m, serial) : 0;
	return m && at < m->n && m->all[at]->serial == serial ? m->all[at] : NULL;
}

struct memory_entry *memory_put(struct runtime *rt, uint32_t agent, uint32_t serial, enum memory_kind kind, const char *text)
{
	struct memory_agent *m = memory_of(rt, agent, true);
	char *copy = m ? strdup(text) : NULL;
	if (!copy)
		return NULL;
	struct memory_entry *x = memory_find(rt, agent, serial);
	if (!x) {
		x = room(&m->all, m->n, &m->cap, sizeof(void *)) == 0 ? calloc(1, sizeof *x) : NULL;
		if (!x) {
			free(copy);
			return NULL;
		}
		size_t at = place_in(m, serial);
		memmove(&m->all[at + 1], &m->all[at], (m->n++ - at) * sizeof(void *));
		m->all[at] = x;
		x->serial = serial;
	}
	m->bytes -= x->len;
	free(x->text);
	x->kind = kind;
	x->text = copy;
	x->len = strlen(copy);
	m->bytes += x->len;
	if (serial > rt->serial_last)
		rt->serial_last = serial;
	return x;
}

static void key_of(uint32_t agent, uint32_t serial, char out[40])
{
	snprintf(out, 40, "e/%08x/%08x", agent, serial);
}

void memory_drop(struct runtime *rt, uint32_t agent, uint32_t serial)
{
	struct memory_agent *m = memory_of(rt, agent, false);
	struct memory_entry *x = memory_find(rt, agent, serial);
	char key[40];
	if (!x)
		return;
	size_t at = place_in(m, serial);
	memmove(&m->all[at], &m->all[at + 1], (--m->n - at) * sizeof(void *));
	m->bytes -= x->len;
	key_of(agent, serial, key);
	store_forget(rt, key);
	free(x->text);
	free(x);
}

double memory_weight(const struct memory_entry *m, uint64_t now_ms)
{
	static const double of_kind[MEMORY_KINDS] = {0.9, 1.0, 1.2, 0.9, 1.3};
	double hours = now_ms > m->used_ms ? (double)(now_ms - m->used_ms) / 3600000 : 0;
	double recency = fmax(0.01, exp2(-hours / 24)), access = 1 - 1 / (1 + (double)m->uses);
	return fmin(1, (0.3 * m->importance + 0.25 * access + 0.3 * recency + 0.15 * m->importance) * of_kind[m->kind]);
}

/* ---- shares ---- */

struct share *share_add(struct runtime *rt, uint32_t number, uint32_t agent, uint32_t file, uint32_t with, const char *level)
{
	struct memory *t = &rt->memory;
	if (room(&t->shares, t->shares_n, &t->shares_cap, sizeof *t->shares) < 0)
		return NULL;
	struct share *s = &t->shares[t->shares_n++];
	*s = (struct share){.number = number, .agent = agent, .file = file, .with = with};
	snprintf(s->level, sizeof s->level, "%s", level);
	if (number > rt->serial_last)
		rt->serial_last = number;
	return s;
}

void share_drop(struct runtime *rt, uint32_t number)
{
	struct memory *t = &rt->memory;
	char key[40];
	size_t i = 0;
	while (i < t->shares_n && t->shares[i].number != number)
		i++;
	if (i == t->shares_n)
		return;
	memmove(&t->shares[i], &t->shares[i + 1], (--t->shares_n - i) * sizeof *t->shares);
	snprintf(key, sizeof key, "h/%08x", number);
	store_forget(rt, key);
}

/* ---- what goes with others ---- */

void memory_file_gone(struct runtime *rt, uint32_t file)
{
	struct memory *t = &rt->memory;
	for (size_t i = t->shares_n; i-- > 0;)
		if (t->shares[i].file == file)
			share_drop(rt, t->shares[i].number);
}

void memory_agent_gone(struct runtime *rt, uint32_t agent)
{
	struct memory *t = &rt->memory;
	struct memory_agent *m = memory_of(rt, agent, false);
	for (size_t i = t->shares_n; i-- > 0;)
		if (t->shares[i].agent == agent || t->shares[i].with == agent)
			share_drop(rt, t->shares[i].number);
	while (m && m->n) {
		uint32_t serial = m->all[m->n - 1]->serial;
		memory_drop(rt, agent, serial);
		if (!rt->replaying)
			rag_memory_changed(rt, agent, serial);
	}
	if (!m)
		return;
	size_t at = sorted_place(t->agents, t->agents_n, x, x->agent, agent);
	memmove(&t->agents[at], &t->agents[at + 1], (--t->agents_n - at) * sizeof(void *));
	free(m->all);
	free(m);
}

void memory_close(struct runtime *rt)
{
	struct memory *t = &rt->memory;
	for (size_t i = 0; i < t->agents_n; i++) {
		for (size_t j = 0; j < t->agents[i]->n; j++) {
			free(t->agents[i]->all[j]->text);
			free(t->agents[i]->all[j]);
		}
		free(t->agents[i]->all);
		free(t->agents[i]);
	}
	free(t->agents);
	free(t->shares);
	*t = (struct memory){0};
}

/* ---- the store ---- */

struct saved_entry {
	uint32_t kind, uses, importance; /* importance: thousandths */
	uint64_t created_ms, used_ms;
	const char *text;
};

struct saved_share {
	uint32_t agent, file, with;
	const char *level;
};

#define E(member, kind) {#member, kind, offsetof(struct saved_entry, member)}
#define H(member, kind) {#member, kind, offsetof(struct saved_share, member)}
/* A field's place is on disk for ever: append only. */
static const struct field entry_fields[] = {E(kind, FIELD_U32),	      E(uses, FIELD_U32),    E(importance, FIELD_U32),
					    E(created_ms, FIELD_U64), E(used_ms, FIELD_U64), E(text, FIELD_STR)};
static const struct field share_fields[] = {H(agent, FIELD_U32), H(file, FIELD_U32), H(with, FIELD_U32), H(level, FIELD_STR)};

static int save_entry(struct kv *kv, uint32_t agent, const struct memory_entry *m, struct err *e)
{
	char key[40];
	autobuf struct buf b;
	buf_init(&b, MEMORY_TEXT_MAX + 4096);
	struct saved_entry s = {(uint32_t)m->kind, m->uses, (uint32_t)(m->importance * 1000 + 0.5), m->created_ms, m->used_ms, m->text};
	int r = fields_pack(entry_fields, ARRAY_LEN(entry_fields), &s, &b);
	key_of(agent, m->serial, key);
	return r < 0 ? r : kv_put(kv, key, b.data, b.len, e);
}

static int save_share(struct kv *kv, const struct share *h, struct err *e)
{
	char key[40];
	autobuf struct buf b;
	buf_init(&b, 4096);
	struct saved_share s = {h->agent, h->file, h->with, h->level};
	int r = fields_pack(share_fields, ARRAY_LEN(share_fields), &s, &b);
	snprintf(key, sizeof key, "h/%08x", h->number);
	return r < 0 ? r : kv_put(kv, key, b.data, b.len, e);
}

int memory_save(struct runtime *rt, struct err *e)
{
	struct memory *t = &rt->memory;
	int r = 0;
	for (size_t i = 0; r == 0 && t->dirty && i < t->agents_n; i++)
		for (size_t j = 0; r == 0 && j < t->agents[i]->n; j++) {
			struct memory_entry *m = t->agents[i]->all[j];
			if (m->dirty && (r = save_entry(rt->kv, t->agents[i]->agent, m, e)) == 0)
				m->dirty = false;
		}
	for (size_t i = 0; r == 0 && t->dirty && i < t->shares_n; i++)
		if (t->shares[i].dirty && (r = save_share(rt->kv, &t->shares[i], e)) == 0)
			t->shares[i].dirty = false;
	if (r == 0)
		t->dirty = false;
	return r;
}

static int load_entry(void *arg, const char *key, const void *data, size_t len)
{
	struct runtime *rt = arg;
	struct saved_entry s = {0};
	unsigned agent, serial;
	if (sscanf(key, "e/%8x/%8x", &agent, &serial) != 2 ||
	    fields_unpack(entry_fields, ARRAY_LEN(entry_fields), data, len, &s) < 0 || !s.text || s.kind >= MEMORY_KINDS)
		return -EUCLEAN;
	struct memory_entry *m = memory_put(rt, agent, serial, (enum memory_kind)s.kind, s.text);
	if (!m)
		return -ENOMEM;
	m->importance = s.importance / 1000.0;
	m->uses = s.uses;
	m->created_ms = s.created_ms;
	m->used_ms = s.used_ms;
	return 0;
}

static int load_share(void *arg, const char *key, const void *data, size_t len)
{
	struct runtime *rt = arg;
	struct saved_share s = {0};
	unsigned number;
	if (sscanf(key, "h/%8x", &number) != 1 || fields_unpack(share_fields, ARRAY_LEN(share_fields), data, len, &s) < 0 || !s.level)
		return -EUCLEAN;
	return share_add(rt, number, s.agent, s.file, s.with, s.level) ? 0 : -ENOMEM;
}

int memory_load(struct runtime *rt, struct err *e)
{
	int r = kv_each(rt->kv, "e/", load_entry, rt, e);
	return r == 0 ? kv_each(rt->kv, "h/", load_share, rt, e) : r;
}
