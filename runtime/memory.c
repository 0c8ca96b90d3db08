/* SPDX-License-Identifier: MIT */
/* memory.c - what an agent remembers: adding, forgetting, showing. L2; loop thread only. */
#include "runtime/memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "lib/parse.h"
#include "lib/value.h"
#include "runtime/rag.h"
#include "runtime/runtime_i.h"

#define DAY_MS	    86400000ull
#define VARIABLE_MAX 128 /* bytes of a working variable's name */

const char *const memory_keys[] = {"conversation", "facts", "procedures", "episodic", "working", NULL};

/* For how long one is kept that nobody draws on. */
static const uint64_t kept_ms[MEMORY_KINDS] = {7 * DAY_MS, 30 * DAY_MS, 30 * DAY_MS, 7 * DAY_MS, DAY_MS};

static enum memory_kind kind_of(const char *key)
{
	enum memory_kind k = 0;
	while (k < MEMORY_KINDS && strcmp(memory_keys[k], key) != 0)
		k++;
	return k;
}

/* ---- a line ---- */

struct said {
	enum memory_kind kind;
	bool forget;
	uint32_t serial; /* to forget */
	double importance;
	char *text;	 /* owned */
	size_t name_len; /* of a working variable */
};

static int wrong(struct err *e, const char *what)
{
	return err_set(e, ERR_CTX_LINE, "%s", what);
}

static int read_object(const char *line, size_t len, struct said *s, struct err *e)
{
	struct value *v = NULL;
	int r = value_parse(VALUE_JSON, line, len, &v, NULL, e);
	const struct value *importance = r == 0 ? value_get(v, "importance") : NULL;
	const char *text = r == 0 ? value_get_text(v, "text") : NULL;
	if (r == 0 && !text)
		r = wrong(e, "an object with \"text\" is expected, and \"importance\" from 0 to 1");
	if (importance)
		s->importance = importance->type == VALUE_REAL ? importance->real : importance->type == VALUE_INT ? (double)importance->integer : -1;
	if (r == 0 && !(s->importance >= 0 && s->importance <= 1))
		r = wrong(e, "importance is a number from 0 to 1");
	if (r == 0 && !(s->text = strdup(text)))
		r = err_set(e, ERR_SYS_MEMORY, "no memory for an entry");
	value_free(v);
	return r;
}

static int read_variable(const char *line, size_t len, struct said *s, struct err *e)
{
	size_t n = 0;
	while (n < len && line[n] != ' ' && line[n] != '\t')
		n++;
	if (n == 0 || n > VARIABLE_MAX)
		return err_set(e, ERR_CTX_LINE, "KEY VALUE is expected, a key of at most %d bytes", VARIABLE_MAX);
	s->name_len = n;
	s->forget = n == len;
	s->text = strndup(line, len);
	return s->text ? 0 : err_set(e, ERR_SYS_MEMORY, "no memory for an entry");
}

static int read_line(const char *key, const char *line, size_t len, struct said *s, struct err *e)
{
	uint64_t n;
	*s = (struct said){.kind = kind_of(key), .importance = 0.5};
	while (len && (line[len - 1] == ' ' || line[len - 1] == '\r' || line[len - 1] == '\t'))
		len--;
	if (!len)
		return wrong(e, "an empty line says nothing to remember");
	if (len > MEMORY_TEXT_MAX)
		return err_set(e, ERR_RESOURCE_TOO_BIG, "an entry has at most %u bytes, this one %zu; put it into knowledge/",
			       MEMORY_TEXT_MAX, len);
	if (memchr(line, 0, len))
		return wrong(e, "a NUL byte is no text");
	if (s->kind == MEMORY_WORKING)
		return read_variable(line, len, s, e);
	if (line[0] == '{')
		return read_object(line, len, s, e);
	char number[16];
	snprintf(number, sizeof number, "%.*s", (int)(len < sizeof number ? len : sizeof number - 1), line);
	if (line[0] == '-' && len < sizeof number && parse_u64(number + 1, 1, UINT32_MAX, &n, NULL) == 0) {
		s->forget = true;
		s->serial = (uint32_t)n;
		return 0;
	}
	s->text = strndup(line, len);
	return s->text ? 0 : err_set(e, ERR_SYS_MEMORY, "no memory for an entry");
}

int memory_check(const char *key, const char *line, size_t len, struct err *e)
{
	struct said s;
	int r = read_line(key, line, len, &s, e);
	free(s.text);
	return r;
}

/* ---- room ---- */

static uint64_t size_of_folder(const struct file *f)
{
	uint64_t n = f->size;
	for (uint32_t i = 0; i < f->children_n; i++)
		n += size_of_folder(f->children[i]);
	return n;
}

static uint64_t size_of(struct runtime *rt, const struct agent *a)
{
	const struct memory_agent *m = memory_of(rt, (uint32_t)agent_serial(a), false);
	const struct file *top = file_by_serial(rt, (uint32_t)agent_serial(a));
	return (m ? m->bytes : 0) + (top ? size_of_folder(top) : 0);
}

static uint64_t most(struct runtime *rt)
{
	return config_u64(rt->config, "context.max_context_size_mb") << 20;
}

int memory_room(struct runtime *rt, const struct agent *a, uint64_t more, struct err *e)
{
	uint64_t has = size_of(rt, a);
	if (has + more <= most(rt))
		return 0;
	return err_set(e, ERR_RESOURCE_TOO_BIG,
		       "the context of '%s' has %llu KiB and may have %llu (context.max_context_size_mb): forget something first", agent_name(a),
		       (unsigned long long)has >> 10, (unsigned long long)most(rt) >> 10);
}

static int drop(struct runtime *rt, const struct actor *who, const struct agent *a, const struct memory_entry *m, const char *why,
		struct runtime_done done, struct err *e)
{
	struct facts f = {.type = REC_MEMORY_DROP, .object = agent_name(a), .serial = (uint32_t)agent_serial(a), .parent = m->serial,
			  .key = memory_keys[m->kind], .why = why};
	return record(rt, who, &f, done, e);
}

/* The one of least weight among what was said and what happened; NULL: there is none. */
static const struct memory_entry *least(const struct memory_agent *m, uint64_t now)
{
	const struct memory_entry *found = NULL;
	double weight = 0;
	for (size_t i = 0; m && i < m->n; i++) {
		bool may_go = m->all[i]->kind == MEMORY_CONVERSATION || m->all[i]->kind == MEMORY_EPISODIC;
		if (may_go && (!found || memory_weight(m->all[i], now) < weight)) {
			found = m->all[i];
			weight = memory_weight(found, now);
		}
	}
	return found;
}

static int make_room(struct runtime *rt, const struct agent *a, size_t more, struct err *e)
{
	const struct memory_agent *m = memory_of(rt, (uint32_t)agent_serial(a), false);
	const struct memory_entry *x;
	while (m && (m->n >= MEMORY_ENTRIES_MAX || memory_room(rt, a, more, NULL) < 0) && (x = least(m, clock_wall_ms()))) {
		int r = drop(rt, &actor_self, a, x, "room", done_nobody, e);
		if (r < 0)
			return r;
	}
	if (m && m->n >= MEMORY_ENTRIES_MAX)
		return err_set(e, ERR_RESOURCE_TOO_BIG, "'%s' remembers %d entries already: forget some first", agent_name(a), MEMORY_ENTRIES_MAX);
	return memory_room(rt, a, more, e);
}

/* ---- commands ---- */

static const struct memory_entry *variable(struct runtime *rt, const struct agent *a, const char *text, size_t name_len)
{
	const struct memory_agent *m = memory_of(rt, (uint32_t)agent_serial(a), false);
	for (size_t i = 0; m && i < m->n; i++) {
		const struct memory_entry *x = m->all[i];
		if (x->kind == MEMORY_WORKING && x->len > name_len && memcmp(x->text, text, name_len) == 0 &&
		    (x->text[name_len] == ' ' || x->text[name_len] == '\t'))
			return x;
	}
	return NULL;
}

static int forget(struct runtime *rt, const struct actor *who, struct agent *a, const struct said *s, struct runtime_done done,
		  struct err *e)
{
	const struct memory_entry *m = s->kind == MEMORY_WORKING ? variable(rt, a, s->text, s->name_len)
								 : memory_find(rt, (uint32_t)agent_serial(a), s->serial);
	if (!m || m->kind != s->kind)
		return err_sys(e, ERR_CTX_LINE, ENOENT, "there is no such entry in %s", memory_keys[s->kind]);
	return drop(rt, who, a, m, "asked", done, e);
}

static int remember(struct runtime *rt, const struct actor *who, struct agent *a, const struct said *s, struct runtime_done done,
		    struct err *e)
{
	const struct memory_entry *there = s->kind == MEMORY_WORKING ? variable(rt, a, s->text, s->name_len) : NULL;
	int r = make_room(rt, a, strlen(s->text), e);
	struct facts f = {.type = REC_MEMORY_PUT,
			  .object = agent_name(a),
			  .serial = (uint32_t)agent_serial(a),
			  .parent = there ? there->serial : rt->serial_last + 1,
			  .key = memory_keys[s->kind],
			  .missed = (uint32_t)(s->importance * 1000 + 0.5),
			  .text = s->text};
	return r < 0 ? r : record(rt, who, &f, done, e);
}

int memory_line(struct runtime *rt, const struct actor *who, struct agent *a, const char *key, const char *line, size_t len,
		struct runtime_done done, struct err *e)
{
	struct said s;
	int r = read_line(key, line, len, &s, e);
	if (r == 0 && rt->stopping)
		r = err_set(e, ERR_SYS_STOPPING, "the daemon is stopping");
	if (r == 0)
		r = runtime_authorize(rt, who, "agent.memory", agent_name(a), agent_uid(a), agent_gid(a), 0600, W_OK, e);
	if (r == 0)
		r = s.forget ? forget(rt, who, a, &s, done, e) : remember(rt, who, a, &s, done, e);
	free(s.text);
	return r;
}

/* ---- what the records do ---- */

bool memory_is_record(unsigned type)
{
	return type >= REC_MEMORY_PUT && type <= REC_SHARE_SHOWN;
}

static void apply_put(struct runtime *rt, const struct facts *f)
{
	enum memory_kind k = f->key ? kind_of(f->key) : MEMORY_KINDS;
	bool is_new = !memory_find(rt, f->serial, f->parent);
	struct memory_entry *m = k < MEMORY_KINDS && f->text ? memory_put(rt, f->serial, f->parent, k, f->text) : NULL;
	if (!m && !rt->replaying)
		abort(); /* journalled; memory that differs from the journal must not serve */
	if (!m)
		return;
	m->importance = f->missed / 1000.0;
	m->created_ms = is_new ? f->time_ms : m->created_ms;
	m->used_ms = f->time_ms;
	m->dirty = true;
}

void memory_apply(struct runtime *rt, const struct facts *f)
{
	if (!agent_by_serial(rt, f->serial))
		return; /* the store is ahead of the replay: it was deleted since */
	if (f->type == REC_MEMORY_PUT)
		apply_put(rt, f);
	else if (f->type == REC_MEMORY_DROP)
		memory_drop(rt, f->serial, f->parent);
	else
		share_apply(rt, f);
	rt->memory.dirty = true;
	store_changed(rt);
	if (!rt->replaying && (f->type == REC_MEMORY_PUT || f->type == REC_MEMORY_DROP))
		rag_memory_changed(rt, f->serial, f->parent);
}

/* ---- retention ---- */

static void clean(void *arg)
{
	struct runtime *rt = arg;
	struct memory *t = &rt->memory;
	struct err e;
	uint64_t now = clock_wall_ms();
	for (size_t i = 0; i < t->agents_n; i++) {
		struct memory_agent *m = t->agents[i];
		const struct agent *a = agent_by_serial(rt, m->agent);
		for (size_t j = m->n; a && j-- > 0;) {
			const struct memory_entry *x = m->all[j];
			bool old = now > x->used_ms && now - x->used_ms > kept_ms[x->kind] && x->importance < 1;
			if (old && drop(rt, &actor_self, a, x, "retention", done_nobody, &e) < 0)
				log_err(LOG_LEVEL_ERROR, "memory.cleanup", &e, NULL, NULL);
		}
	}
	memory_start(rt);
}

void memory_start(struct runtime *rt)
{
	timer_set(&rt->timers, &rt->memory.cleanup, config_ms(rt->config, "context.cleanup_interval"), clean, rt);
}

/* ---- showing ---- */

static void render_entry(const struct memory_entry *m, uint64_t now, struct buf *out)
{
	char when[32];
	struct tm tm;
	time_t t = (time_t)(m->created_ms / 1000);
	strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", gmtime_r(&t, &tm));
	buf_printf(out, "{\"id\":%u,\"time\":\"%s.%03uZ\",\"importance\":%.3g,\"weight\":%.3f,\"uses\":%u,\"text\":", m->serial, when,
		   (unsigned)(m->created_ms % 1000), m->importance, memory_weight(m, now), m->uses);
	buf_json_string(out, m->text, m->len);
	buf_adds(out, "}\n");
}

int memory_render(struct runtime *rt, const struct agent *a, const char *key, struct buf *out)
{
	const struct memory_agent *m = memory_of(rt, (uint32_t)agent_serial(a), false);
	enum memory_kind k = kind_of(key);
	uint64_t now = clock_wall_ms();
	for (size_t i = 0; m && i < m->n; i++) {
		if (m->all[i]->kind != k)
			continue;
		if (k == MEMORY_WORKING)
			buf_printf(out, "%s\n", m->all[i]->text);
		else
			render_entry(m->all[i], now, out);
	}
	return out->fail;
}

void memory_used(struct runtime *rt, uint32_t agent, uint32_t serial)
{
	struct memory_entry *m = memory_find(rt, agent, serial);
	if (!m)
		return;
	m->uses++;
	m->used_ms = clock_wall_ms();
	m->dirty = rt->memory.dirty = true;
	store_changed(rt);
}

int memory_render_stats(struct runtime *rt, const struct agent *a, struct buf *out)
{
	const struct memory_agent *m = memory_of(rt, (uint32_t)agent_serial(a), false);
	size_t n[MEMORY_KINDS] = {0};
	for (size_t i = 0; m && i < m->n; i++)
		n[m->all[i]->kind]++;
	for (enum memory_kind k = 0; k < MEMORY_KINDS; k++)
		buf_printf(out, "%s %zu\n", memory_keys[k], n[k]);
	return buf_printf(out, "memory_kb %.1f\ncontext_kb %.1f\ncontext_max_kb %llu\n", m ? (double)m->bytes / 1024 : 0,
			  (double)size_of(rt, a) / 1024, (unsigned long long)most(rt) >> 10);
}
