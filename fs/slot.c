/* SPDX-License-Identifier: MIT */
/* slot.c - whose answer is whose: an answer is filed under the asking process and its parent, or under a
 * name in run.d; a reader looks under itself, its parent and its grandparent, never elsewhere. Bounded
 * per user: the answer that was used the longest ago goes first. L3; loop thread only. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/caller.h"
#include "fs/tree_i.h"
#include "lib/mem.h"
#include "lib/parse.h"

/* ---- users ---- */

struct user *user_of(struct tree *t, uid_t uid)
{
	struct index_link *l = index_find(&t->users, uid);
	if (l)
		return container_of(l, struct user, link);
	struct user *u = calloc(1, sizeof *u);
	if (!u || index_add(&t->users, &u->link, uid) < 0) {
		free(u);
		return NULL;
	}
	u->uid = uid;
	return u;
}

void users_free(struct tree *t)
{
	for (size_t i = 0; i < t->users.cap; i++)
		while (t->users.buckets[i]) {
			struct index_link *l = t->users.buckets[i];
			struct user *u = container_of(l, struct user, link);
			while (u->oldest)
				slot_drop(t, u->oldest);
			index_del(&t->users, l);
			free(u);
		}
	index_done(&t->users);
}

static void list_remove(struct slot *s)
{
	struct user *u = s->user;
	*(s->older ? &s->older->newer : &u->oldest) = s->newer;
	*(s->newer ? &s->newer->older : &u->newest) = s->older;
}

static void list_append(struct slot *s)
{
	struct user *u = s->user;
	s->newer = NULL;
	s->older = u->newest;
	*(u->newest ? &u->newest->newer : &u->oldest) = s;
	u->newest = s;
}

/* ---- one slot ---- */

uint32_t slot_id(const struct slot *s)
{
	return (uint32_t)(s->st.seq & 0xffffff);
}

struct slot *slot_by_id(struct tree *t, uint32_t id)
{
	struct index_link *l = index_find(&t->slots_by_id, id);
	return l ? container_of(l, struct slot, by_id) : NULL;
}

static uint64_t key_of(const struct slot_state *k)
{
	uint64_t place = hash_pair((uint64_t)k->row << 32 | k->serial, k->uid);
	return k->pid ? hash_pair(place, (uint64_t)k->pid) : hash_text(place, k->name);
}

static bool same_key(const struct slot_state *a, const struct slot_state *b)
{
	return a->row == b->row && a->serial == b->serial && a->uid == b->uid && a->pid == b->pid &&
	       !a->unnamed && strcmp(a->name, b->name) == 0;
}

static struct slot *find(struct tree *t, const struct slot_state *key)
{
	for (struct index_link *l = index_find(&t->slots_by_key, key_of(key)); l;
	     l = index_again(l)) {
		struct slot *s = container_of(l, struct slot, by_key);
		if (same_key(&s->st, key))
			return s;
	}
	return NULL;
}

void slot_keep(struct tree *t, const struct slot *s)
{
	keep_state(t->keep, KEEP_SLOT, s->st.seq, &s->st, sizeof s->st);
}

void slot_drop(struct tree *t, struct slot *s)
{
	list_remove(s);
	s->user->slots--;
	s->user->answer_bytes -= s->bytes;
	index_del(&t->slots_by_key, &s->by_key);
	if (!s->st.pid) {
		index_del(&t->slots_by_id, &s->by_id);
		*(s->prev ? &s->prev->next : &t->named) = s->next;
		*(s->next ? &s->next->prev : &t->named_last) = s->prev;
	}
	keep_gone(t->keep, KEEP_SLOT, s->st.seq);
	answer_unref(t, s->answer);
	free(s);
}

/* Room for one more of this user. */
static void make_room(struct tree *t, struct user *u)
{
	struct slot *s = u->oldest;
	while (s && (u->slots >= SLOTS_PER_UID || u->answer_bytes > ANSWER_BYTES_PER_UID)) {
		struct slot *next = s->newer;
		if (s->opens == 0)
			slot_drop(t, s);
		s = next;
	}
}

static struct slot *enter(struct tree *t, const struct slot_state *st)
{
	struct user *u = user_of(t, st->uid);
	struct slot *s = u ? calloc(1, sizeof *s) : NULL;
	if (!s)
		return NULL;
	make_room(t, u);
	s->st = *st;
	s->user = u;
	if (u->slots >= SLOTS_PER_UID || index_add(&t->slots_by_key, &s->by_key, key_of(st)) < 0) {
		free(s);
		return NULL;
	}
	if (!st->pid && index_add(&t->slots_by_id, &s->by_id, slot_id(s)) < 0) {
		index_del(&t->slots_by_key, &s->by_key);
		free(s);
		return NULL;
	}
	if (!st->pid) {
		s->prev = t->named_last;
		*(s->prev ? &s->prev->next : &t->named) = s;
		t->named_last = s;
	}
	u->slots++;
	list_append(s);
	return s;
}

static struct slot *slot_new(struct tree *t, struct slot_state *st)
{
	do
		st->seq = t->next_seq++;
	while ((st->seq & 0xffffff) == 0 || slot_by_id(t, (uint32_t)(st->seq & 0xffffff)));
	struct slot *s = enter(t, st);
	if (s)
		slot_keep(t, s);
	return s;
}

static void count_bytes(struct slot *s)
{
	s->user->answer_bytes -= s->bytes;
	s->bytes = s->answer ? s->answer->len : 0;
	s->user->answer_bytes += s->bytes;
}

int slot_restore(struct tree *t, const struct slot_state *st, struct answer *a)
{
	struct slot *s = enter(t, st);
	if (!s)
		return -ENOMEM;
	s->answer = answer_ref(a);
	count_bytes(s);
	return 0;
}

void slot_set_answer(struct tree *t, struct slot *s, struct answer *a)
{
	answer_ref(a);
	answer_unref(t, s->answer);
	s->answer = a;
	count_bytes(s);
	s->st.answer = a ? a->id : 0;
	list_remove(s);
	list_append(s);
	slot_keep(t, s);
}

void slot_unname(struct tree *t, struct slot *s)
{
	if (s->opens == 0) {
		slot_drop(t, s);
		return;
	}
	s->st.unnamed = true;
	slot_keep(t, s);
}

void slot_closed(struct tree *t, struct slot *s)
{
	if (--s->opens == 0 && s->st.unnamed)
		slot_drop(t, s);
}

/* ---- by process ---- */

static struct slot_state key_at(const struct actor *who, const struct place *p, pid_t pid,
				uint64_t start)
{
	return (struct slot_state){.row = p->row->id,
				   .serial = p->serial,
				   .uid = who->uid,
				   .pid = pid,
				   .start = start};
}

struct answer *slot_answer(struct tree *t, const struct actor *who, const struct place *p)
{
	struct caller c = {.parent = who->pid};
	for (int generation = 0; generation < 3 && c.parent > 0; generation++) {
		struct slot_state key = key_at(who, p, c.parent, 0);
		struct slot *s = generation ? find(t, &key) : NULL;
		if (generation == 2 && !s) /* nothing to be verified there */
			return NULL;
		if (!caller_of(c.parent, &c))
			return NULL;
		if (generation == 0) { /* a thread's process */
			key.pid = c.pid;
			s = find(t, &key);
		}
		if (s && s->st.start == c.start && s->answer)
			return s->answer;
	}
	return NULL;
}

static void file_under(struct tree *t, const struct actor *who, const struct place *p,
		       const struct caller *c, struct answer *a)
{
	struct slot_state key = key_at(who, p, c->pid, c->start);
	struct slot *s = find(t, &key);
	if (s && s->st.start != c->start) { /* the pid was used before */
		slot_drop(t, s);
		s = NULL;
	}
	if (s || (s = slot_new(t, &key)))
		slot_set_answer(t, s, a);
}

void slot_file_answer(struct tree *t, const struct actor *who, const struct place *p,
		      struct answer *a)
{
	struct caller c, parent;
	if (!caller_of(who->pid, &c))
		return;
	file_under(t, who, p, &c, a);
	if (caller_of(c.parent, &parent))
		file_under(t, who, p, &parent, a);
}

/* ---- by name ---- */

struct slot *slot_by_name(struct tree *t, const struct actor *who, const struct place *p,
			  const char *name, bool make, struct err *e)
{
	struct slot_state key = key_at(who, p, 0, 0);
	size_t len = strlen(name);
	if (!name_ok(name, len)) {
		err_set(e, ERR_FS_INVALID,
			"'%s' is not a name for an exchange; use letters, digits, '.', '_' and '-'",
			name);
		return NULL;
	}
	memcpy(key.name, name, len + 1);
	struct slot *s = find(t, &key);
	if (!s && make && !(s = slot_new(t, &key)))
		err_set(e, ERR_FS_SCRATCH, "too many exchanges; remove some from run.d");
	return s;
}
