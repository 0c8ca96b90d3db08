/* SPDX-License-Identifier: MIT */
/* shares.c - files of an agent's knowledge that others may find, because somebody said so. L2; loop thread only. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "runtime/memory.h"
#include "runtime/runtime_i.h"

static const char *const levels[] = {"Public", "Restricted", "Confidential"};

struct words {
	bool undo;
	char path[PATH_MAX], agent[256], level[16];
};

static int wrong(struct err *e)
{
	return err_set(e, ERR_CTX_LINE, "`share PATH AGENT Public|Restricted|Confidential` or `unshare PATH AGENT` is expected");
}

/* The next word of a line into to; false: there is none, or it is too long. */
static bool next_word(const char **at, const char *end, char *to, size_t cap)
{
	while (*at < end && **at == ' ')
		++*at;
	const char *begin = *at;
	while (*at < end && **at != ' ')
		++*at;
	size_t n = (size_t)(*at - begin);
	if (!n || n >= cap)
		return false;
	memcpy(to, begin, n);
	to[n] = 0;
	return true;
}

static int read_words(const char *line, size_t len, struct words *w, struct err *e)
{
	const char *at = line, *end = line + len;
	char verb[16], more[2];
	*w = (struct words){0};
	if (memchr(line, 0, len) || !next_word(&at, end, verb, sizeof verb) || !next_word(&at, end, w->path, sizeof w->path) ||
	    !next_word(&at, end, w->agent, sizeof w->agent))
		return wrong(e);
	w->undo = strcmp(verb, "unshare") == 0;
	if (!w->undo && (strcmp(verb, "share") != 0 || !next_word(&at, end, w->level, sizeof w->level)))
		return wrong(e);
	if (next_word(&at, end, more, sizeof more))
		return wrong(e);
	if (strcmp(w->level, "Secret") == 0)
		return err_set(e, ERR_CTX_LINE, "what is Secret is not shared");
	size_t known = w->undo ? 1 : 0;
	for (size_t i = 0; i < ARRAY_LEN(levels); i++)
		known += strcmp(w->level, levels[i]) == 0;
	if (!known)
		return err_set(e, ERR_CTX_LINE, "'%s' is none of Public, Restricted, Confidential, Secret", w->level);
	if (!w->undo && (strcmp(w->level, "Public") == 0) != (strcmp(w->agent, "*") == 0))
		return err_set(e, ERR_CTX_LINE, "Public is with '*', every agent; the others are with one");
	return 0;
}

int share_check(const char *line, size_t len, struct err *e)
{
	struct words w;
	return read_words(line, len, &w, e);
}

static const struct file *file_at(struct runtime *rt, const struct agent *a, const char *path)
{
	const struct file *f = file_by_serial(rt, (uint32_t)agent_serial(a));
	for (const char *p = path; f && *p;) {
		size_t n = strcspn(p, "/");
		f = file_child(rt, f->serial, p, n);
		p += n + (p[n] == '/');
	}
	return f && S_ISREG(f->mode) ? f : NULL;
}

static const struct share *find(struct runtime *rt, uint32_t file, uint32_t with)
{
	for (size_t i = 0; i < rt->memory.shares_n; i++)
		if (rt->memory.shares[i].file == file && rt->memory.shares[i].with == with)
			return &rt->memory.shares[i];
	return NULL;
}

int share_line(struct runtime *rt, const struct actor *who, struct agent *a, const char *line, size_t len, struct runtime_done done,
	       struct err *e)
{
	struct words w;
	int r = read_words(line, len, &w, e);
	if (r == 0)
		r = runtime_authorize(rt, who, "agent.share", agent_name(a), agent_uid(a), agent_gid(a), 0600, W_OK, e);
	if (r < 0)
		return r;
	const struct file *f = file_at(rt, a, w.path);
	const struct agent *with = strcmp(w.agent, "*") == 0 ? NULL : agent_find(rt, w.agent, strlen(w.agent));
	if (!f)
		return err_set(e, ERR_FS_NOT_FOUND, "'%s' has no file '%s' in knowledge/", agent_name(a), w.path);
	if (!with && strcmp(w.agent, "*") != 0)
		return err_set(e, ERR_AGENT_NOT_FOUND, "there is no agent '%s'", w.agent);
	uint32_t to = with ? (uint32_t)agent_serial(with) : 0;
	const struct share *there = find(rt, f->serial, to);
	if (w.undo && !there)
		return err_set(e, ERR_FS_NOT_FOUND, "'%s' is not shared with %s", w.path, w.agent);
	if (!there && rt->memory.shares_n >= SHARES_MAX)
		return err_set(e, ERR_RESOURCE_TOO_BIG, "more than %d files are shared", SHARES_MAX);
	struct facts facts = {.type = w.undo ? REC_UNSHARE : REC_SHARE,
			      .object = agent_name(a),
			      .serial = (uint32_t)agent_serial(a),
			      .parent = there ? there->number : rt->serial_last + 1,
			      .run = f->serial,
			      .agent = to,
			      .value = w.undo ? NULL : w.level,
			      .resource = w.path};
	return record(rt, who, &facts, done, e);
}

void share_apply(struct runtime *rt, const struct facts *f)
{
	if (f->type == REC_SHARE_SHOWN)
		return;
	share_drop(rt, f->parent);
	if (f->type != REC_SHARE || !f->value || !file_by_serial(rt, f->run))
		return;
	struct share *s = share_add(rt, f->parent, f->serial, f->run, f->agent, f->value);
	if (!s && !rt->replaying)
		abort(); /* journalled; see apply_put of memory.c */
	if (s)
		s->dirty = true;
}

int share_render(struct runtime *rt, const struct agent *a, struct buf *out)
{
	for (size_t i = 0; i < rt->memory.shares_n; i++) {
		const struct share *s = &rt->memory.shares[i];
		const struct file *f = file_by_serial(rt, s->file);
		const struct agent *with = s->with ? agent_by_serial(rt, s->with) : NULL;
		if (s->agent != agent_serial(a) || !f)
			continue;
		buf_adds(out, "share ");
		file_path(rt, f, out);
		buf_printf(out, " %s %s\n", with ? agent_name(with) : "*", s->level);
	}
	return out->fail;
}

static int by_number(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;
	return *x < *y ? -1 : *x > *y;
}

int shares_with(struct runtime *rt, uint32_t agent, uint32_t **ret, size_t *n)
{
	const struct memory *t = &rt->memory;
	uint32_t *list = malloc((t->shares_n + 1) * sizeof *list);
	if (!list)
		return -ENOMEM;
	*n = 0;
	for (size_t i = 0; i < t->shares_n; i++)
		if (t->shares[i].with == 0 || t->shares[i].with == agent)
			list[(*n)++] = t->shares[i].file;
	qsort(list, *n, sizeof *list, by_number);
	*ret = list;
	return 0;
}

void share_shown(struct runtime *rt, const struct actor *who, uint32_t agent, uint32_t file)
{
	const struct share *s = find(rt, file, agent);
	const struct agent *of = s ? agent_by_serial(rt, s->agent) : NULL;
	struct err e;
	if (!of || strcmp(s->level, "Confidential") != 0)
		return;
	struct actor reader = *who;
	reader.req = 0; /* asking is not done by it */
	struct facts f = {.type = REC_SHARE_SHOWN, .object = agent_name(of), .serial = s->agent, .parent = s->number, .run = file, .agent = agent};
	if (record(rt, &reader, &f, done_nobody, &e) < 0)
		log_err(LOG_LEVEL_ERROR, "share.shown", &e, NULL, NULL);
}
