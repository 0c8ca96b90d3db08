/* SPDX-License-Identifier: MIT */
/* policy_files.c - the one set that the policy files make. L2; loop thread only. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/metric.h"
#include "policies/defaults.h"
#include "runtime/runtime_i.h"

#define AT_ONCE_MAX (64u << 10) /* bytes of a set that is compiled within the turn; some 5 ms */

/* ---- the set ---- */

static int by_source_name(const void *a, const void *b)
{
	const struct policy_source *x = a, *y = b;
	return strcmp(x->name, y->name);
}

/* The files as they are after the change, in src, which has room for all and one more; the changed one is the last. */
static size_t sources_of(struct runtime *rt, const struct document_change *c, struct policy_source *src)
{
	const struct documents *p = &rt->documents[DOCUMENT_POLICY];
	size_t n = 0;
	for (size_t i = 0; i < p->n; i++) {
		const struct document *f = p->files[i];
		if ((c->without && strcmp(f->file, c->without) == 0) || (c->put && strcmp(f->file, c->put) == 0))
			continue;
		src[n++] = (struct policy_source){f->file, f->text, f->text_len};
	}
	if (c->put)
		src[n++] = (struct policy_source){c->put, c->text, c->len};
	return n;
}

/* Their set. In the order of their names, so that the same files have the same version. Any thread. */
static int compile_sources(struct policy_source *src, size_t n, bool put_last, struct policy_set **ret, struct err *e)
{
	struct policy_source put = n ? src[n - 1] : (struct policy_source){0};
	qsort(src, n, sizeof *src, by_source_name);
	int r = policy_set_new(ret, src, n, e);
	if (r < 0 && put_last) { /* once more with that text last: what collides with others is then said of it */
		size_t at = 0;
		while (src[at].name != put.name)
			at++;
		memmove(&src[at], &src[at + 1], (n - at - 1) * sizeof *src);
		src[n - 1] = put;
		r = policy_set_new(ret, src, n, e);
	}
	return r;
}

static int compile(struct runtime *rt, const struct document_change *c, struct policy_set **ret, struct err *e)
{
	autofree struct policy_source *src = calloc(rt->documents[DOCUMENT_POLICY].n + 1, sizeof *src);
	if (!src)
		return err_set(e, ERR_SYS_MEMORY, "no memory for the policies");
	return compile_sources(src, sources_of(rt, c, src), c->put != NULL, ret, e);
}

/* Does compiling the set with so many more bytes take so long that the loop must not wait for it? */
static bool is_large(struct runtime *rt, size_t more)
{
	const struct documents *p = &rt->documents[DOCUMENT_POLICY];
	for (size_t i = 0; i < p->n; i++)
		more += p->files[i]->text_len;
	return more > AT_ONCE_MAX;
}

const struct policy_set *policies_active(struct runtime *rt, const struct err **ret_why)
{
	if (ret_why)
		*ret_why = &rt->policies.why;
	return rt->policies.active;
}

/* From here on the next set decides; NULL: none does. */
static void swap(struct runtime *rt)
{
	struct policies *p = &rt->policies;
	policy_set_free(p->active);
	p->active = take_ptr(p->next);
	p->loads++;
	p->loaded_ms = clock_wall_ms();
	metric_set(METRIC_POLICY_RULES, p->active ? (int64_t)policy_set_rules(p->active) : 0);
	if (p->active)
		p->why = (struct err){0};
	shadow_changed(rt);
}

void policies_compile(struct runtime *rt)
{
	struct document_change none = {0};
	if (compile(rt, &none, &rt->policies.next, &rt->policies.why) < 0)
		log_err(LOG_LEVEL_ERROR, "policies.refused", &rt->policies.why, NULL, NULL);
	swap(rt);
}

static void tried_drop(struct policies *p)
{
	policy_set_free(p->tried.set);
	free(p->tried.file);
	free(p->tried.text);
	p->tried = (struct policy_tried){0};
}

/* The set that was compiled when this text was looked at, when that is still the one; else NULL. */
static struct policy_set *tried_take(struct policies *p, const struct document_change *c)
{
	struct policy_tried *t = &p->tried;
	bool same = t->set && c->put && t->loads == p->loads && strcmp(t->file, c->put) == 0 && strlen(t->text) == c->len &&
		    memcmp(t->text, c->text, c->len) == 0;
	struct policy_set *s = same ? take_ptr(t->set) : NULL;
	tried_drop(p);
	return s;
}

/* What a compilation says of a command. Where no set is active because other files are wrong, a change that mends a part
 * of it is taken: the files of a start that did not compile are mended one by one. */
static int judge(struct runtime *rt, const struct document_change *c, int r, const struct err *why, struct err *e)
{
	struct policies *p = &rt->policies;
	if (r < 0 && !p->active) {
		struct policy_source one = {c->put, c->text, c->len};
		bool unfinished;
		r = c->put ? policy_source_check(&one, &unfinished, e) : 0;
		p->why = r < 0 ? p->why : *why;
	} else if (r < 0 && e) {
		*e = *why;
	}
	p->refused += r < 0;
	return r;
}

static int prepare(struct runtime *rt, const struct document_change *c, struct err *e)
{
	struct err why = {0};
	rt->policies.next = tried_take(&rt->policies, c);
	if (rt->policies.next)
		return 0;
	return judge(rt, c, compile(rt, c, &rt->policies.next, &why), &why, e);
}

static int check(struct runtime *rt, const char *file, const char *text, size_t len, bool *unfinished, struct err *e)
{
	struct policies *p = &rt->policies;
	struct policy_source one = {file, text, len};
	struct policy_set *s = NULL;
	bool more = false;
	if (unfinished)
		*unfinished = false;
	if (len > AT_ONCE_MAX) /* said when it is whole, in the background */
		return 0;
	int r = policy_source_check(&one, &more, e);
	if (r == 0 && p->active && !is_large(rt, len)) { /* by itself it is right; with the others? */
		r = compile(rt, &(struct document_change){.put = file, .text = text, .len = len}, &s, e);
		tried_drop(p);
		if (r == 0)
			p->tried = (struct policy_tried){s, strdup(file), strndup(text, len), p->loads};
		if (r == 0 && (!p->tried.file || !p->tried.text))
			tried_drop(p);
	}
	if (unfinished)
		*unfinished = more;
	return r;
}

/* ---- in the background ---- */

struct compiling {
	uv_work_t work;
	struct runtime *rt;
	struct document_change c; /* its texts live until `then` */
	void (*then)(void *arg, int r, const struct err *e);
	void *arg;
	uint64_t loads;	     /* when the sources were taken */
	struct buf texts;    /* of the others, one behind the other */
	struct policy_source *src;
	size_t n;
	struct policy_set *set;
	struct err why;
	int r;
};

/* Copy the sources: on the loop they go on changing. */
static int copy_sources(struct compiling *g)
{
	struct documents *d = &g->rt->documents[DOCUMENT_POLICY];
	size_t bytes = 0;
	free(g->src);
	g->src = calloc(d->n + 1, sizeof *g->src);
	g->n = g->src ? sources_of(g->rt, &g->c, g->src) : 0;
	for (size_t i = 0; i + 1 < g->n; i++)
		bytes += g->src[i].len + strlen(g->src[i].name) + 1;
	buf_clear(&g->texts);
	if (!g->src || buf_reserve(&g->texts, bytes) < 0)
		return -ENOMEM;
	for (size_t i = 0; i + 1 < g->n; i++) { /* the last one is the change itself */
		struct policy_source *s = &g->src[i];
		char *at = g->texts.data + g->texts.len;
		buf_add(&g->texts, s->name, strlen(s->name) + 1);
		buf_add(&g->texts, s->text, s->len);
		*s = (struct policy_source){at, at + strlen(at) + 1, s->len};
	}
	g->loads = g->rt->policies.loads;
	return 0;
}

static void compile_now(uv_work_t *w)
{
	struct compiling *g = w->data;
	g->r = compile_sources(g->src, g->n, true, &g->set, &g->why);
}

static void compile_done(uv_work_t *w, int status);

static int compile_begin(struct compiling *g)
{
	g->why = (struct err){0};
	int r = copy_sources(g);
	return r < 0 ? r : uv_queue_work(&g->rt->loop->uv, &g->work, compile_now, compile_done);
}

static void compile_done(uv_work_t *w, int status)
{
	struct compiling *g = w->data;
	struct runtime *rt = g->rt;
	struct err e = {0};
	if (!rt->policies.closing && status == 0 && g->loads != rt->policies.loads) { /* another set came in between */
		policy_set_free(take_ptr(g->set));
		status = compile_begin(g);
		if (status == 0)
			return;
	}
	rt->policies.compiling--;
	int r = status < 0 ? err_sys(&g->why, ERR_SYS_MEMORY, -status, "the policies were not compiled") : g->r;
	if (rt->policies.closing) {
		policy_set_free(g->set);
		g->then(g->arg, -ECANCELED, NULL);
	} else {
		rt->policies.next = g->set;
		r = judge(rt, &g->c, r, &g->why, &e);
		g->then(g->arg, r, &e);
	}
	buf_done(&g->texts);
	free(g->src);
	free(g);
}

static bool prepare_later(struct runtime *rt, const struct document_change *c,
			  void (*then)(void *arg, int r, const struct err *e), void *arg)
{
	if (!is_large(rt, c->len))
		return false;
	struct compiling *g = calloc(1, sizeof *g);
	if (!g)
		return false;
	*g = (struct compiling){.rt = rt, .c = *c, .then = then, .arg = arg};
	g->work.data = g;
	buf_init(&g->texts, 1u << 30);
	if (compile_begin(g) < 0) {
		buf_done(&g->texts);
		free(g->src);
		free(g);
		return false;
	}
	rt->policies.compiling++;
	return true;
}

static void begun(void *arg, const struct err *why)
{
	(void)arg;
	if (why)
		log_err(LOG_LEVEL_ERROR, "policies.no_defaults", why, NULL, NULL);
}

void policies_begin(struct runtime *rt)
{
	const struct actor self = {.uid = geteuid(), .gid = getegid(), .pid = getpid()};
	struct err e = {0};
	if (config_bool(rt->config, "policies.defaults") && !rt->documents[DOCUMENT_POLICY].n &&
	    document_put(rt, DOCUMENT_POLICY, &self, POLICY_DEFAULTS_FILE, policy_defaults, policy_defaults_len,
			 (struct runtime_done){begun, NULL}, &e) < 0)
		begun(NULL, &e);
}

static void abandon(struct runtime *rt)
{
	policy_set_free(take_ptr(rt->policies.next));
}

void policies_close(struct runtime *rt)
{
	rt->policies.closing = true;
	while (rt->policies.compiling)
		uv_run(&rt->loop->uv, UV_RUN_ONCE);
	shadow_close(rt);
	tried_drop(&rt->policies);
	rates_clear(&rt->policies.rates);
	policy_set_free(rt->policies.active);
	policy_set_free(rt->policies.next);
	rt->policies = (struct policies){0};
}

const struct document_type document_policy = {
	.noun = "policy file",
	.key = "p/",
	.action = "policy.change",
	.put = REC_POLICY_PUT,
	.invalid = ERR_POLICY_INVALID,
	.most = POLICY_FILES_MAX,
	.check = check,
	.prepare = prepare,
	.prepare_later = prepare_later,
	.abandon = abandon,
	.changed = swap,
};
