/* SPDX-License-Identifier: MIT */
/* agent_table.c - the agents in memory: by name, by serial, by topic; what each is. L2; loop thread. */
#include <errno.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/metric.h"
#include "lib/parse.h"
#include "runtime/runtime_i.h"

/* ---- by serial: a table of chunks, so that finding, adding and removing cost the same for ever ---- */

static struct agent **slot_of(struct runtime *rt, uint64_t serial, bool make)
{
	size_t c = serial / AGENT_CHUNK;
	if (c >= rt->chunks_n) {
		size_t n = c + 16;
		struct agent ***chunks = make ? realloc(rt->chunks, n * sizeof(struct agent **)) : NULL;
		if (!chunks)
			return NULL;
		rt->chunks = chunks;
		uint32_t *used = realloc(rt->chunk_used, n * sizeof *used);
		if (!used)
			return NULL;
		rt->chunk_used = used;
		for (size_t i = rt->chunks_n; i < n; i++) {
			chunks[i] = NULL;
			used[i] = 0;
		}
		rt->chunks_n = n;
	}
	if (!rt->chunks[c] && make)
		rt->chunks[c] = calloc(AGENT_CHUNK, sizeof(struct agent *));
	return rt->chunks[c] ? &rt->chunks[c][serial % AGENT_CHUNK] : NULL;
}

struct agent *agent_by_serial(struct runtime *rt, uint64_t serial)
{
	struct agent **slot = slot_of(rt, serial, false);
	return slot ? *slot : NULL;
}

struct agent *agent_next(struct runtime *rt, uint64_t after)
{
	for (uint64_t s = after + 1; s / AGENT_CHUNK < rt->chunks_n;) {
		struct agent **chunk = rt->chunks[s / AGENT_CHUNK];
		if (!chunk) {
			s = (s / AGENT_CHUNK + 1) * AGENT_CHUNK;
			continue;
		}
		if (chunk[s % AGENT_CHUNK])
			return chunk[s % AGENT_CHUNK];
		s++;
	}
	return NULL;
}

struct agent *agent_find(struct runtime *rt, const char *name, size_t len)
{
	return map_get(&rt->names, name, len);
}

size_t agent_count(const struct runtime *rt)
{
	return rt->count;
}

/* ---- in and out ---- */

static size_t name_len(const char *file)
{
	const char *dot = strrchr(file, '.');
	return dot ? (size_t)(dot - file) : strlen(file);
}

int agent_set_file(struct agent *a, const char *file)
{
	char *copy = strdup(file), *name = strndup(file, name_len(file));
	if (!copy || !name) {
		free(copy);
		free(name);
		return -ENOMEM;
	}
	if (a->name)
		map_del(&a->rt->names, a->name);
	free(a->name);
	free(a->file);
	a->name = name;
	a->file = copy;
	return map_put(&a->rt->names, a->name, a);
}

struct agent *agent_add(struct runtime *rt, uint32_t serial, const char *file)
{
	struct agent **slot = slot_of(rt, serial, true);
	struct agent *a = slot ? calloc(1, sizeof *a) : NULL;
	if (!a)
		return NULL;
	a->rt = rt;
	a->serial = serial;
	if (agent_set_file(a, file) < 0) {
		free(a->name);
		free(a->file);
		free(a);
		return NULL;
	}
	*slot = a;
	rt->chunk_used[serial / AGENT_CHUNK]++;
	rt->count++;
	if (serial > rt->serial_last)
		rt->serial_last = serial;
	metric_set(METRIC_AGENTS, (int64_t)rt->count);
	return a;
}

struct agent_live *agent_live(struct agent *a)
{
	if (a->live)
		return a->live;
	struct agent_live *l = calloc(1, sizeof *l);
	if (!l)
		abort(); /* a few hundred bytes; an agent that cannot be followed must not run */
	l->agent = a;
	l->queue_end = &l->queue;
	l->stdin_fd = -1;
	buf_init(&l->log, 1u << 20);
	buf_init(&l->events, 1u << 20);
	a->live = l;
	return l;
}

static void live_free(struct agent *a)
{
	struct agent_live *l = a->live;
	if (!l)
		return;
	while (l->runs_n)
		run_detach(l->runs[l->runs_n - 1]);
	sched_remove(&a->rt->sched, &l->turn);
	timer_clear(&a->rt->timers, &l->timer);
	stdin_close(a);
	feed_drop(l);
	agent_spec_free(l->spec);
	buf_done(&l->log);
	buf_done(&l->events);
	free(l->runs);
	free(l);
	a->live = NULL;
}

static void topic_remove(struct agent *a)
{
	struct runtime *rt = a->rt;
	for (size_t i = 0; i < rt->topics_n; i++)
		if (rt->topics[i] == a)
			rt->topics[i--] = rt->topics[--rt->topics_n];
}

void agent_topics_update(struct agent *a)
{
	struct runtime *rt = a->rt;
	topic_remove(a);
	if (a->mode != MODE_EVENT_DRIVEN || !a->topic)
		return;
	if (rt->topics_n == rt->topics_cap) {
		size_t cap = rt->topics_cap ? 2 * rt->topics_cap : 16;
		struct agent **p = realloc(rt->topics, cap * sizeof(struct agent *));
		if (!p)
			abort(); /* an agent that never hears its events would fail in silence */
		rt->topics = p;
		rt->topics_cap = cap;
	}
	rt->topics[rt->topics_n++] = a;
}

void agent_remove(struct agent *a)
{
	struct runtime *rt = a->rt;
	struct agent **slot = slot_of(rt, a->serial, false);
	live_free(a);
	topic_remove(a);
	errors_forget(rt, a->serial);
	for (struct agent **at = a->dirty ? &rt->dirty : NULL; at && *at; at = &(*at)->dirty_next)
		if (*at == a) {
			*at = a->dirty_next;
			rt->dirty_n--;
			break;
		}
	if (slot && *slot == a) {
		size_t c = a->serial / AGENT_CHUNK;
		*slot = NULL;
		if (--rt->chunk_used[c] == 0)
			free(take_ptr(rt->chunks[c]));
		rt->count--;
	}
	map_del(&rt->names, a->name);
	metric_set(METRIC_AGENTS, (int64_t)rt->count);
	free(a->name);
	free(a->file);
	free(a->text);
	free(a->error);
	free(a->topic);
	free(a->limits);
	free(a);
}

void agents_close(struct runtime *rt)
{
	rt->dirty = NULL;
	for (size_t c = 0; c < rt->chunks_n; c++)
		for (size_t i = 0; rt->chunks[c] && i < AGENT_CHUNK; i++)
			if (rt->chunks[c][i]) {
				rt->chunks[c][i]->dirty = false;
				agent_remove(rt->chunks[c][i]);
			}
	free(rt->chunks);
	free(rt->chunk_used);
	free(rt->topics);
	map_done(&rt->names);
}

/* ---- what an agent is ---- */

const char *agent_name(const struct agent *a)
{
	return a->name;
}

const char *agent_file_name(const struct agent *a)
{
	return a->file;
}

uint64_t agent_serial(const struct agent *a)
{
	return a->serial;
}

const char *agent_id(const struct agent *a)
{
	return a->id;
}

enum agent_state agent_state(const struct agent *a)
{
	return (enum agent_state)a->state;
}

uid_t agent_uid(const struct agent *a)
{
	return a->uid;
}

gid_t agent_gid(const struct agent *a)
{
	return a->gid;
}

mode_t agent_mode_bits(const struct agent *a)
{
	return a->mode_bits;
}

uint64_t agent_created_ms(const struct agent *a)
{
	return a->created_ms;
}

uint64_t agent_mtime_ms(const struct agent *a)
{
	return a->mtime_ms;
}

uint64_t agent_ctime_ms(const struct agent *a)
{
	return a->ctime_ms;
}

size_t agent_text_len(const struct agent *a)
{
	return a->text_len;
}

int agent_text(struct runtime *rt, struct agent *a, struct buf *out, struct err *e)
{
	(void)rt;
	return buf_add(out, a->text, a->text_len) < 0 ? err_set(e, ERR_SYS_MEMORY, "no memory") : 0;
}

int agent_spec_of(const struct agent *a, struct agent_spec **ret, struct err *e)
{
	enum value_format f = VALUE_YAML;
	struct agent_spec_place place = agent_place(a->rt);
	value_format_of(a->file, &f);
	place.tier = (enum sandbox_tier)a->tier;
	int r = agent_spec_read(f, a->text, a->text_len, &place, ret, NULL, e);
	return r < 0 ? err_wrap(e, "spec of agent '%s'", a->name) : 0;
}

const struct agent_spec *agent_spec_get(struct agent *a, struct err *e)
{
	struct agent_live *l = agent_live(a);
	if (!l->spec && agent_spec_of(a, &l->spec, e) < 0)
		return NULL;
	return l->spec;
}

void agent_spec_drop(struct agent *a)
{
	if (a->live)
		agent_spec_free(take_ptr(a->live->spec));
}

struct agent_limits agent_limits_of(struct agent *a)
{
	const struct agent_spec *s = a->limits ? NULL : agent_spec_get(a, NULL);
	return a->limits ? *a->limits : s ? s->limits : (struct agent_limits){0};
}

/* ---- its directory on disk, made when there is something to keep in it ---- */

void agent_dir(const struct agent *a, char out[AGENT_DIR_MAX])
{
	snprintf(out, AGENT_DIR_MAX, "%s/agents/%u", a->rt->state_dir, a->serial);
}

void agent_dir_make(struct agent *a)
{
	char dir[AGENT_DIR_MAX], runs[AGENT_DIR_MAX + 8];
	if (a->has_dir)
		return;
	a->has_dir = true;
	snprintf(dir, sizeof dir, "%s/agents", a->rt->state_dir);
	mkdir(dir, 0700);
	agent_dir(a, dir);
	mkdir(dir, 0700);
	snprintf(runs, sizeof runs, "%s/runs", dir);
	mkdir(runs, 0700); /* failures show when a file in it cannot be made */
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

struct empty_job {
	uv_work_t work;
	char path[4200];
};

static void empty_now(uv_work_t *w)
{
	struct empty_job *j = container_of(w, struct empty_job, work);
	nftw(j->path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static void empty_done(uv_work_t *w, int status)
{
	(void)status;
	free(container_of(w, struct empty_job, work));
}

static void remove_later(struct runtime *rt, const char *path)
{
	struct empty_job *j = calloc(1, sizeof *j);
	if (!j)
		return; /* goes at the next start */
	snprintf(j->path, sizeof j->path, "%s", path);
	if (uv_queue_work(&rt->loop->uv, &j->work, empty_now, empty_done) != 0)
		free(j);
}

void trash(struct runtime *rt, const char *path)
{
	static unsigned n;
	char to[4200];
	snprintf(to, sizeof to, "%s/trash", rt->state_dir);
	mkdir(to, 0700);
	snprintf(to, sizeof to, "%s/trash/%llx-%u", rt->state_dir,
		 (unsigned long long)clock_wall_ms(), n++);
	if (rename(path, to) == 0)
		remove_later(rt, to);
}

void trash_empty(struct runtime *rt)
{
	char path[4200];
	snprintf(path, sizeof path, "%s/trash", rt->state_dir);
	struct stat st;
	if (stat(path, &st) == 0)
		remove_later(rt, path);
}
