/* SPDX-License-Identifier: MIT */
/* slot.c - whose answer is whose: an answer is filed under the asking process and its parent, or
 * under a name in run.d; a reader looks under itself, its parent and its grandparent, never
 * elsewhere. L3; loop thread only. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/tree_i.h"
#include "lib/parse.h"

/* Parent and start time (clock ticks since boot) of a process; false when it is not visible. */
static bool process_of(pid_t pid, pid_t *ret_parent, uint64_t *ret_start)
{
	char path[32], line[512];
	if (pid <= 0)
		return false;
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	FILE *f = fopen(path, "re");
	if (!f)
		return false;
	size_t n = fread(line, 1, sizeof line - 1, f);
	fclose(f);
	line[n] = 0;
	const char *p = strrchr(line, ')'); /* the name may hold anything */
	int parent;
	unsigned long long start;
	if (!p || sscanf(p + 1,
			 " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
			 "%*d %llu",
			 &parent, &start) != 2)
		return false;
	*ret_parent = parent;
	*ret_start = start;
	return true;
}

struct slot *slot_by_id(struct tree *t, uint32_t id)
{
	for (struct slot *s = t->slots; s; s = s->next)
		if (s->id == id)
			return s;
	return NULL;
}

void slot_set_answer(struct slot *s, struct answer *a)
{
	answer_ref(a);
	answer_unref(s->answer);
	s->answer = a;
	s->used_ms = clock_wall_ms();
}

void slot_drop(struct tree *t, struct slot *s)
{
	struct slot **at = &t->slots;
	while (*at && *at != s)
		at = &(*at)->next;
	if (*at)
		*at = s->next;
	t->slot_count--;
	answer_unref(s->answer);
	free(s->name);
	free(s);
}

static void slots_expire(struct tree *t)
{
	uint64_t now = clock_wall_ms();
	uint64_t age = t->slot_count < SLOTS_MAX / 2 ? SCRATCH_AGE_MS : SCRATCH_AGE_MS / 20;
	for (struct slot *s = t->slots, *next; s; s = next) {
		next = s->next;
		bool empty = !s->answer && now - s->used_ms > 2000;
		if (s->opens == 0 && (empty || (now - s->used_ms > age &&
						(!s->answer || answer_ready(s->answer)))))
			slot_drop(t, s);
	}
}

static struct slot *slot_new(struct tree *t, uid_t uid, uint32_t serial)
{
	if (t->slot_count % 64 == 63)
		slots_expire(t);
	if (t->slot_count >= SLOTS_MAX)
		return NULL;
	struct slot *s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	t->next_slot = (t->next_slot + 1) & 0xffffff;
	s->id = t->next_slot ? t->next_slot : ++t->next_slot;
	s->uid = uid;
	s->serial = serial;
	s->used_ms = clock_wall_ms();
	s->next = t->slots;
	t->slots = s;
	t->slot_count++;
	return s;
}

static struct slot *slot_of_process(struct tree *t, uid_t uid, uint32_t serial, pid_t pid,
				    uint64_t start)
{
	for (struct slot *s = t->slots; s; s = s->next)
		if (s->pid == pid && s->serial == serial && s->uid == uid && !s->name &&
		    s->start_time == start)
			return s;
	return NULL;
}

static struct slot *slot_of_process_make(struct tree *t, uid_t uid, uint32_t serial, pid_t pid,
					 uint64_t start)
{
	struct slot *s = slot_of_process(t, uid, serial, pid, start);
	if (!s && (s = slot_new(t, uid, serial))) {
		s->pid = pid;
		s->start_time = start;
	}
	return s;
}

struct slot *slot_for_reader(struct tree *t, const struct actor *who, uint32_t serial)
{
	pid_t pid = who->pid, parent;
	uint64_t start, own_start = 0;
	for (int generation = 0; generation < 3 && process_of(pid, &parent, &start); generation++) {
		struct slot *s = slot_of_process(t, who->uid, serial, pid, start);
		if (s && s->answer)
			return s;
		if (generation == 0)
			own_start = start;
		pid = parent;
	}
	return slot_of_process_make(t, who->uid, serial, who->pid, own_start);
}

void slot_file_answer(struct tree *t, const struct actor *who, uint32_t serial, struct answer *a)
{
	pid_t pid = who->pid, parent;
	uint64_t start;
	for (int generation = 0; generation < 2 && process_of(pid, &parent, &start); generation++) {
		struct slot *s = slot_of_process_make(t, who->uid, serial, pid, start);
		if (s)
			slot_set_answer(s, a);
		pid = parent;
	}
}

struct slot *slot_by_name(struct tree *t, const struct actor *who, uint32_t serial,
			  const char *name, bool make, struct err *e)
{
	for (struct slot *s = t->slots; s; s = s->next)
		if (s->name && s->serial == serial && s->uid == who->uid &&
		    strcmp(s->name, name) == 0)
			return s;
	if (!make)
		return NULL;
	if (!name_ok(name, strlen(name))) {
		err_set(e, ERR_FS_INVALID,
			"'%s' is not a name for an exchange; use letters, digits, '.', '_' and '-'",
			name);
		return NULL;
	}
	struct slot *s = slot_new(t, who->uid, serial);
	if (s && !(s->name = strdup(name))) {
		slot_drop(t, s);
		s = NULL;
	}
	if (!s)
		err_set(e, ERR_FS_SCRATCH, "too many exchanges; remove some from run.d");
	return s;
}
