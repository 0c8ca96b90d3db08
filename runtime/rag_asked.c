/* SPDX-License-Identifier: MIT */
/* rag_asked.c - a question as it was written: plain text, or JSON with what it is asked of. L2; loop thread only. */
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "lib/value.h"
#include "runtime/rag_i.h"
#include "runtime/runtime_i.h"

static int wrong(struct err *e, const char *key, const char *what)
{
	return err_set(e, ERR_RAG_QUESTION, "'%s' is %s", key, what);
}

static int read_text(const struct value *v, const char *key, char **ret, struct err *e)
{
	if (v->type != VALUE_STRING)
		return wrong(e, key, "a text");
	free(*ret);
	*ret = strdup(v->string.data);
	return *ret ? 0 : err_set(e, ERR_SYS_MEMORY, "no memory for a question");
}

/* Milliseconds since 1970, or a date, or date and time in UTC. */
static int read_time(const struct value *v, const char *key, uint64_t *ret, struct err *e)
{
	static const char *const forms[] = {"%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S"};
	if (v->type == VALUE_INT && v->integer >= 0) {
		*ret = (uint64_t)v->integer;
		return 0;
	}
	for (size_t i = 0; v->type == VALUE_STRING && i < ARRAY_LEN(forms); i++) {
		struct tm tm = {0};
		const char *end = strptime(v->string.data, forms[i], &tm);
		if (end && !*end) {
			time_t t = timegm(&tm);
			*ret = t > 0 ? (uint64_t)t * 1000 : 0;
			return 0;
		}
	}
	return wrong(e, key, "a date (2026-01-31), a time (2026-01-31T12:00:00Z) or milliseconds since 1970");
}

static int read_number(const struct value *v, const char *key, double least, double most, double *ret, struct err *e)
{
	*ret = v->type == VALUE_REAL ? v->real : v->type == VALUE_INT ? (double)v->integer : least - 1;
	return *ret >= least && *ret <= most ? 0 : err_set(e, ERR_RAG_QUESTION, "'%s' is a number from %g to %g", key, least, most);
}

static int read_member(struct rag_asked *a, const char *key, const struct value *v, struct err *e)
{
	double n = 0;
	int r;
	if (strcmp(key, "query") == 0)
		return read_text(v, key, &a->text, e);
	if (strcmp(key, "max_results") == 0 || strcmp(key, "max_documents") == 0) {
		r = read_number(v, key, 1, RAG_PASSAGES_MAX, &n, e);
		a->most = (size_t)n;
		return r;
	}
	if (strcmp(key, "relevance_threshold") == 0) {
		r = read_number(v, key, 0, 1, &a->threshold, e);
		a->has_threshold = true;
		return r;
	}
	a->filtered = true;
	if (strcmp(key, "source") == 0)
		return read_text(v, key, &a->source, e);
	if (strcmp(key, "collection") == 0)
		return read_text(v, key, &a->collection, e);
	if (strcmp(key, "agent") == 0)
		return read_text(v, key, &a->agent, e);
	if (strcmp(key, "after") == 0)
		return read_time(v, key, &a->after_ms, e);
	if (strcmp(key, "before") == 0)
		return read_time(v, key, &a->before_ms, e);
	return err_set(e, ERR_RAG_QUESTION,
		       "'%s' is none of query, source, collection, agent, after, before, max_results, relevance_threshold", key);
}

void rag_asked_done(struct rag_asked *a)
{
	free(a->text);
	free(a->source);
	free(a->collection);
	free(a->agent);
	*a = (struct rag_asked){0};
}

int rag_asked_read(const char *q, size_t len, struct rag_asked *ret, bool *unfinished, struct err *e)
{
	size_t at = 0;
	*unfinished = false;
	*ret = (struct rag_asked){.before_ms = UINT64_MAX};
	while (at < len && (q[at] == ' ' || q[at] == '\n' || q[at] == '\t' || q[at] == '\r'))
		at++;
	if (at == len || q[at] != '{') {
		while (len && (q[len - 1] == '\n' || q[len - 1] == ' '))
			len--;
		ret->text = strndup(q, len);
		return ret->text ? 0 : err_set(e, ERR_SYS_MEMORY, "no memory for a question");
	}
	struct value *v = NULL;
	int r = value_parse(VALUE_JSON, q + at, len - at, &v, unfinished, e);
	if (r < 0)
		err_wrap(e, "a question that begins with { is JSON");
	for (size_t i = 0; r == 0 && i < v->map.n; i++)
		r = read_member(ret, v->map.members[i].key, &v->map.members[i].value, e);
	if (r == 0 && (!ret->text || !ret->text[0]))
		r = err_set(e, ERR_RAG_QUESTION, "there is no \"query\" in it");
	value_free(v);
	if (r < 0)
		rag_asked_done(ret);
	return r;
}

/* ---- what it is asked of ---- */

static bool is_wanted(const struct rag_asked *a, const char *path, uint32_t owner, uint32_t agent, uint64_t time_ms)
{
	size_t n = a->collection ? strlen(a->collection) : 0;
	if (time_ms < a->after_ms || time_ms >= a->before_ms)
		return false;
	if (a->agent && (!owner || owner != agent))
		return false;
	if (a->collection && (strncmp(path, a->collection, n) != 0 || path[n] != '/'))
		return false;
	return !a->source || fnmatch(a->source, path, 0) == 0;
}

static int by_number(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;
	return *x < *y ? -1 : *x > *y;
}

int rag_asked_wanted(struct runtime *rt, const struct rag_asked *a, uint32_t asks, uint32_t **ret, size_t *n)
{
	const struct agent *named = a->agent ? agent_find(rt, a->agent, strlen(a->agent)) : NULL;
	const struct memory_agent *m = asks ? memory_of(rt, asks, false) : NULL;
	const struct agent *self = asks ? agent_by_serial(rt, asks) : NULL;
	uint32_t agent = named ? (uint32_t)agent_serial(named) : 0;
	*n = 0;
	*ret = malloc((file_count(rt) + (m ? m->n : 0) + 1) * sizeof **ret);
	if (!*ret)
		return -ENOMEM;
	for (const struct file *f = file_next_of_all(rt, 0); f; f = file_next_of_all(rt, f->serial)) {
		autobuf struct buf path;
		buf_init(&path, 64u << 10);
		if (!S_ISREG(f->mode))
			continue;
		file_place(rt, f, &path);
		if (is_wanted(a, path.data, file_owner(rt, f), agent, f->mtime_ms))
			(*ret)[(*n)++] = f->serial;
	}
	for (size_t i = 0; m && self && i < m->n; i++) {
		char path[320];
		snprintf(path, sizeof path, "agents/%s/memory/%s", agent_name(self), memory_keys[m->all[i]->kind]);
		if (is_wanted(a, path, asks, agent, m->all[i]->created_ms))
			(*ret)[(*n)++] = m->all[i]->serial;
	}
	qsort(*ret, *n, sizeof **ret, by_number);
	return 0;
}
