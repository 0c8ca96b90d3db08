/* SPDX-License-Identifier: MIT */
/* policy_shadow.c - the shadow set: its files, compiling it over the active ones, comparing what both decide. L2; loop thread only
 * but for what compiles. */
#include "runtime/policy_shadow.h"

#include <errno.h>
#include <string.h>

#include "lib/log.h"
#include "lib/metric.h"
#include "runtime/runtime_i.h"

#define AT_ONCE_MAX (64u << 10) /* bytes of a set that is compiled within the turn */

static const char *rule_of(const struct policy_decision *d)
{
	return d->rule ? d->rule : "no_match";
}

/* ---- the files ---- */

static bool is_among(const struct policy_source *src, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(src[i].name, name) == 0)
			return true;
	return false;
}

static int by_source_name(const void *a, const void *b)
{
	const struct policy_source *x = a, *y = b;
	return strcmp(x->name, y->name);
}

/* The shadow files after the change, and the active ones that none of them stands for. *ret has room for all; freed by the
 * caller. The number; 0 also where there is no shadow file. */
static size_t overlay(struct runtime *rt, const struct document_change *c, struct policy_source **ret, size_t *ret_bytes)
{
	const struct documents *s = &rt->documents[DOCUMENT_SHADOW], *p = &rt->documents[DOCUMENT_POLICY];
	struct policy_source *src = calloc(s->n + p->n + 1, sizeof *src);
	size_t n = 0;
	*ret = src;
	*ret_bytes = 0;
	for (size_t i = 0; src && i < s->n; i++) {
		const struct document *f = s->files[i];
		bool gone = (c->without && strcmp(f->file, c->without) == 0) || (c->put && strcmp(f->file, c->put) == 0);
		if (!gone)
			src[n++] = (struct policy_source){f->file, f->text, f->text_len};
	}
	if (src && c->put)
		src[n++] = (struct policy_source){c->put, c->text, c->len};
	size_t own = n;
	for (size_t i = 0; own && i < p->n; i++)
		if (!is_among(src, own, p->files[i]->file))
			src[n++] = (struct policy_source){p->files[i]->file, p->files[i]->text, p->files[i]->text_len};
	for (size_t i = 0; i < n; i++)
		*ret_bytes += src[i].len + strlen(src[i].name) + 1;
	if (n)
		qsort(src, n, sizeof *src, by_source_name);
	return n;
}

static int check(struct runtime *rt, const char *file, const char *text, size_t len, bool *unfinished, struct err *e)
{
	struct policy_source one = {file, text, len};
	bool more = false;
	(void)rt;
	if (unfinished)
		*unfinished = false;
	if (len > AT_ONCE_MAX) /* said when it is whole */
		return 0;
	int r = policy_source_check(&one, &more, e);
	if (unfinished)
		*unfinished = more;
	return r;
}

/* It has to be right by itself; over the active files too, as far as that is known within the turn. */
static int prepare(struct runtime *rt, const struct document_change *c, struct err *e)
{
	struct policy_source one = {c->put, c->text, c->len};
	autofree struct policy_source *src = NULL;
	struct policy_set *s = NULL;
	size_t bytes, n = overlay(rt, c, &src, &bytes);
	bool more;
	if (!c->put)
		return 0;
	int r = policy_source_check(&one, &more, e);
	if (r == 0 && n && bytes <= AT_ONCE_MAX && rt->policies.active)
		r = policy_set_new(&s, src, n, e);
	policy_set_free(s);
	return r;
}

static void nothing(struct runtime *rt)
{
	(void)rt;
}

const struct document_type document_shadow = {
	.noun = "shadow policy file",
	.key = "w/",
	.action = "policy.shadow",
	.put = REC_SHADOW_PUT,
	.invalid = ERR_POLICY_INVALID,
	.most = POLICY_FILES_MAX,
	.check = check,
	.prepare = prepare,
	.abandon = nothing,
	.changed = shadow_changed,
};

/* ---- the set ---- */

static void forget_pairs(struct shadow *s)
{
	for (size_t i = 0; i < s->pairs_n; i++) {
		free(s->pairs[i].was_rule);
		free(s->pairs[i].would_rule);
	}
	s->pairs_n = 0;
}

/* From here on this one is asked, from zero; NULL: none is, for the reason why. */
static void take(struct runtime *rt, struct policy_set *set, const struct err *why)
{
	struct shadow *s = &rt->policies.shadow;
	policy_set_free(s->set);
	forget_pairs(s);
	s->set = set;
	s->why = why ? *why : (struct err){0};
	s->decisions = s->differ = s->recorded = s->missed = 0;
	s->missed_since = 0;
}

struct laying { /* in the background, with copies: on the loop the files go on changing */
	uv_work_t work;
	struct runtime *rt;
	struct buf texts;
	struct policy_source *src;
	size_t n;
	struct policy_set *set;
	struct err why;
};

static void lay(uv_work_t *w)
{
	struct laying *g = w->data;
	if (policy_set_new(&g->set, g->src, g->n, &g->why) < 0)
		g->set = NULL;
}

static void laid(uv_work_t *w, int status)
{
	struct laying *g = w->data;
	struct shadow *s = &g->rt->policies.shadow;
	s->compiling = false;
	if (status < 0)
		err_sys(&g->why, ERR_SYS_MEMORY, -status, "the shadow set was not compiled");
	if (s->again || g->rt->policies.closing)
		policy_set_free(g->set);
	else
		take(g->rt, g->set, &g->why);
	if (s->again && !g->rt->policies.closing) {
		s->again = false;
		shadow_changed(g->rt);
	}
	buf_done(&g->texts);
	free(g->src);
	free(g);
}

/* src is taken. */
static void lay_later(struct runtime *rt, struct policy_source *src, size_t n, size_t bytes)
{
	struct err e;
	struct laying *g = calloc(1, sizeof *g);
	if (!g) {
		free(src);
		err_set(&e, ERR_SYS_MEMORY, "no memory for the shadow set");
		take(rt, NULL, &e);
		return;
	}
	*g = (struct laying){.rt = rt, .src = src, .n = n, .work.data = g};
	buf_init(&g->texts, 1u << 30);
	int r = buf_reserve(&g->texts, bytes);
	for (size_t i = 0; r == 0 && i < n; i++) {
		char *at = g->texts.data + g->texts.len;
		buf_add(&g->texts, src[i].name, strlen(src[i].name) + 1);
		buf_add(&g->texts, src[i].text, src[i].len);
		src[i] = (struct policy_source){at, at + strlen(at) + 1, src[i].len};
	}
	rt->policies.shadow.compiling = r == 0;
	if (r == 0)
		r = uv_queue_work(&rt->loop->uv, &g->work, lay, laid);
	if (r < 0)
		laid(&g->work, r);
}

void shadow_changed(struct runtime *rt)
{
	struct shadow *s = &rt->policies.shadow;
	struct policy_source *src = NULL;
	struct policy_set *set = NULL;
	struct err e = {0};
	size_t bytes, n;
	if (s->compiling) {
		s->again = true;
		return;
	}
	n = overlay(rt, &(struct document_change){0}, &src, &bytes);
	if (n && bytes > AT_ONCE_MAX) {
		lay_later(rt, src, n, bytes);
		return;
	}
	if (n && policy_set_new(&set, src, n, &e) < 0)
		set = NULL;
	take(rt, set, &e);
	free(src);
}

void shadow_close(struct runtime *rt)
{
	while (rt->policies.shadow.compiling)
		uv_run(&rt->loop->uv, UV_RUN_ONCE);
	take(rt, NULL, NULL);
	rates_clear(&rt->policies.shadow.rates);
}

/* ---- comparing ---- */

static void name_example(const struct shadow_act *a, char *out, size_t cap)
{
	const struct policy_request *q = a->q;
	char by[160];
	if (q->agent)
		snprintf(by, sizeof by, "agent %s", q->agent);
	else
		snprintf(by, sizeof by, "uid %u", a->who->uid);
	snprintf(out, cap, "%s %s %.200s by %s", policy_op_word(q->op), policy_type_word(q->type), q->resource, by);
}

static struct shadow_pair *pair_of(struct shadow *s, const struct policy_decision *was, const struct policy_decision *would)
{
	for (size_t i = 0; i < s->pairs_n; i++) {
		struct shadow_pair *p = &s->pairs[i];
		if (p->was == was->effect && p->would == would->effect && strcmp(p->was_rule, rule_of(was)) == 0 &&
		    strcmp(p->would_rule, rule_of(would)) == 0)
			return p;
	}
	if (s->pairs_n == SHADOW_PAIRS_MAX) /* counted in all, not by itself */
		return NULL;
	struct shadow_pair p = {was->effect, would->effect, strdup(rule_of(was)), strdup(rule_of(would)), 0, 0, ""};
	if (!p.was_rule || !p.would_rule) {
		free(p.was_rule);
		free(p.would_rule);
		return NULL;
	}
	s->pairs[s->pairs_n] = p;
	return &s->pairs[s->pairs_n++];
}

static void note(struct runtime *rt, const struct shadow_act *a, const struct policy_decision *was, const struct policy_decision *would)
{
	struct shadow *s = &rt->policies.shadow;
	static const struct policy_rate rate = {SHADOW_PER_S / 1000.0, SHADOW_BURST};
	uint64_t wait;
	if (!rate_take(&s->rates, "shadow", "", &rate, clock_mono_ns() / 1000000, &wait)) {
		s->missed++;
		s->missed_since++;
		return;
	}
	struct actor who = *a->who;
	who.req = 0; /* nothing is done by it */
	struct facts f = {.type = REC_SHADOW_DIFFERS,
			  .object = a->agent ? agent_name(a->agent) : "",
			  .serial = a->agent ? (uint32_t)agent_serial(a->agent) : 0,
			  .action = a->action,
			  .tier = a->q->tier,
			  .resource_type = policy_type_word(a->q->type),
			  .operation = policy_op_word(a->q->op),
			  .resource = a->q->resource,
			  .effect = policy_effect_word(was->effect),
			  .rule = rule_of(was),
			  .value = policy_effect_word(would->effect),
			  .key = rule_of(would),
			  .file = would->file,
			  .line = would->line,
			  .policy_version = policy_set_version(s->set),
			  .missed = s->missed_since};
	if (record(rt, &who, &f, done_nobody, NULL) < 0) /* a full disk: what was decided stands */
		return;
	s->recorded++;
	s->missed_since = 0;
	log_info("policy.shadow_differs", "effect", f.effect, "rule", f.rule, "would", f.value, "would_rule", f.key, "operation", f.operation,
		 "resource", f.resource, NULL);
}

void shadow_see(struct runtime *rt, const struct shadow_act *a, const struct policy_decision *was)
{
	struct shadow *s = &rt->policies.shadow;
	struct policy_decision would;
	if (!s->set)
		return;
	policy_decide(s->set, a->q, &would);
	if (!would.rule && !a->needs_rule)
		would.effect = POLICY_ALLOW;
	s->decisions++;
	if (would.effect == was->effect)
		return;
	s->differ++;
	metric_add(METRIC_POLICY_SHADOW_DIFFERS, 1);
	struct shadow_pair *p = pair_of(s, was, &would);
	if (p) {
		p->n++;
		p->last_ms = clock_wall_ms();
		name_example(a, p->example, sizeof p->example);
	}
	note(rt, a, was, &would);
}

/* ---- texts ---- */

int shadow_render_stats(struct runtime *rt, struct buf *out)
{
	const struct shadow *s = &rt->policies.shadow;
	buf_printf(out, "version %s\nactive_version %s\nfiles %zu\nrules %zu\n", s->set ? policy_set_version(s->set) : "none",
		   rt->policies.active ? policy_set_version(rt->policies.active) : "none", rt->documents[DOCUMENT_SHADOW].n,
		   s->set ? policy_set_rules(s->set) : 0);
	if (s->compiling)
		buf_adds(out, "compiling yes\n");
	if (s->why.code != ERR_NONE)
		buf_printf(out, "why %s\n", s->why.msg);
	return buf_printf(out, "decisions %llu\ndiffer %llu\nrecorded %llu\nmissed %llu\n", (unsigned long long)s->decisions,
			  (unsigned long long)s->differ, (unsigned long long)s->recorded, (unsigned long long)s->missed);
}

static int by_count(const void *a, const void *b)
{
	const struct shadow_pair *const *x = a, *const *y = b;
	return (*x)->n > (*y)->n ? -1 : (*x)->n < (*y)->n;
}

int shadow_render_diff(struct runtime *rt, struct buf *out)
{
	const struct shadow *s = &rt->policies.shadow;
	const struct shadow_pair *order[SHADOW_PAIRS_MAX];
	for (size_t i = 0; i < s->pairs_n; i++)
		order[i] = &s->pairs[i];
	if (s->pairs_n)
		qsort(order, s->pairs_n, sizeof *order, by_count);
	for (size_t i = 0; i < s->pairs_n; i++) {
		const struct shadow_pair *p = order[i];
		buf_printf(out, "%llu %s (%s) -> %s (%s) at_ms %llu: %s\n", (unsigned long long)p->n, policy_effect_word(p->was), p->was_rule,
			   policy_effect_word(p->would), p->would_rule, (unsigned long long)p->last_ms, p->example);
	}
	return out->fail;
}
