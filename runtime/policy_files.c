/* SPDX-License-Identifier: MIT */
/* policy_files.c - the one set that the policy files make. L2; loop thread only. */
#include <errno.h>
#include <string.h>

#include "lib/log.h"
#include "lib/metric.h"
#include "runtime/runtime_i.h"

/* ---- the set ---- */

static int by_source_name(const void *a, const void *b)
{
	const struct policy_source *x = a, *y = b;
	return strcmp(x->name, y->name);
}

/* The set of all files after the change. In the order of their names, so that the same files have the same version. */
static int compile(struct runtime *rt, const struct document_change *c, struct policy_set **ret, struct err *e)
{
	const struct documents *p = &rt->documents[DOCUMENT_POLICY];
	size_t n = 0;
	autofree struct policy_source *src = calloc(p->n + 1, sizeof *src);
	if (!src)
		return err_set(e, ERR_SYS_MEMORY, "no memory for the policies");
	for (size_t i = 0; i < p->n; i++) {
		const struct document *f = p->files[i];
		if ((c->without && strcmp(f->file, c->without) == 0) || (c->put && strcmp(f->file, c->put) == 0))
			continue;
		src[n++] = (struct policy_source){f->file, f->text, f->text_len};
	}
	if (c->put)
		src[n++] = (struct policy_source){c->put, c->text, c->len};
	struct policy_source put = n ? src[n - 1] : (struct policy_source){0};
	qsort(src, n, sizeof *src, by_source_name);
	int r = policy_set_new(ret, src, n, e);
	if (r < 0 && c->put) { /* once more with that text last: what collides with others is then said of it */
		size_t at = 0;
		while (src[at].name != put.name)
			at++;
		memmove(&src[at], &src[at + 1], (n - at - 1) * sizeof *src);
		src[n - 1] = put;
		r = policy_set_new(ret, src, n, e);
	}
	return r;
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
}

void policies_compile(struct runtime *rt)
{
	struct document_change none = {0};
	if (compile(rt, &none, &rt->policies.next, &rt->policies.why) < 0)
		log_err(LOG_LEVEL_ERROR, "policies.refused", &rt->policies.why, NULL, NULL);
	swap(rt);
}

/* Compile what a command leads to. Where no set is active because other files are wrong, a change that mends a part
 * of it is taken: the files of a start that did not compile are mended one by one. */
static int prepare(struct runtime *rt, const struct document_change *c, struct err *e)
{
	struct policies *p = &rt->policies;
	struct err why = {0};
	int r = compile(rt, c, &p->next, &why);
	if (r < 0 && !p->active) {
		struct policy_source one = {c->put, c->text, c->len};
		bool unfinished;
		r = c->put ? policy_source_check(&one, &unfinished, e) : 0;
		p->why = r < 0 ? p->why : why;
	} else if (r < 0 && e) {
		*e = why;
	}
	p->refused += r < 0;
	return r;
}

static int check(struct runtime *rt, const char *file, const char *text, size_t len, bool *unfinished, struct err *e)
{
	struct policy_source one = {file, text, len};
	struct policy_set *s = NULL;
	bool more = false;
	int r = policy_source_check(&one, &more, e);
	if (r == 0 && rt->policies.active) /* by itself it is right; with the others? */
		r = compile(rt, &(struct document_change){.put = file, .text = text, .len = len}, &s, e);
	policy_set_free(s);
	if (unfinished)
		*unfinished = more;
	return r;
}

static void abandon(struct runtime *rt)
{
	policy_set_free(take_ptr(rt->policies.next));
}

void policies_close(struct runtime *rt)
{
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
	.abandon = abandon,
	.changed = swap,
};
