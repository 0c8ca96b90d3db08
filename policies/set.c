/* SPDX-License-Identifier: MIT */
/* set.c - files of rules become one set, which decides. L1; any thread. */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "policies/policy_i.h"

static void name_version(struct policy_set *s, const struct policy_source *src, size_t n)
{
	unsigned char sum[crypto_hash_sha256_BYTES];
	crypto_hash_sha256_state st;
	crypto_hash_sha256_init(&st);
	for (size_t i = 0; i < n; i++) { /* lengths first: no text can be read as another's name */
		uint64_t lens[2] = {strlen(src[i].name), src[i].len};
		crypto_hash_sha256_update(&st, (const unsigned char *)lens, sizeof lens);
		crypto_hash_sha256_update(&st, (const unsigned char *)src[i].name, lens[0]);
		crypto_hash_sha256_update(&st, (const unsigned char *)src[i].text, src[i].len);
	}
	crypto_hash_sha256_final(&st, sum);
	sodium_bin2hex(s->version, sizeof s->version, sum, sizeof sum);
}

/* A key or an item that has no value yet. */
static bool has_null_at(const struct value *v, unsigned line)
{
	if (v->type == VALUE_NULL)
		return v->line == line;
	for (size_t i = 0; v->type == VALUE_LIST && i < v->list.n; i++)
		if (has_null_at(&v->list.items[i], line))
			return true;
	for (size_t i = 0; v->type == VALUE_MAP && i < v->map.n; i++)
		if (has_null_at(&v->map.members[i].value, line))
			return true;
	return false;
}

static int read_source(struct policy_set *s, const struct policy_source *src, bool *unfinished, struct err *e)
{
	struct err why = {0};
	enum value_format f;
	struct value *v = NULL;
	char *name = strdup(src->name);
	if (!name)
		return err_set(e, ERR_SYS_MEMORY, "no memory for the policies");
	s->files[s->files_n++] = name;
	if (value_format_of(name, &f) < 0)
		return policy_wrong(e, name, 1, "the name of a policy file ends in .yaml, .yml, .json or .toml");
	int r = value_parse(f, src->text, src->len, &v, unfinished, &why);
	if (r == -EINVAL)
		r = policy_wrong(&why, name, why.line, "%.280s", why.msg);
	if (r == 0 && (r = policy_read(s, name, v, &why)) < 0 && unfinished)
		*unfinished = f != VALUE_JSON &&
			      (r == POLICY_LACKS || !src->len || src->text[src->len - 1] != '\n' ||
			       (r == -EINVAL && has_null_at(v, why.line)));
	value_free(v);
	if (r < 0 && e)
		*e = why;
	return r == POLICY_LACKS ? -EINVAL : r;
}

static int by_rank(const void *a, const void *b)
{
	const struct rule *x = *(struct rule *const *)a, *y = *(struct rule *const *)b;
	if (x->effect != y->effect)
		return x->effect < y->effect ? -1 : 1;
	if (x->priority != y->priority)
		return x->priority > y->priority ? -1 : 1;
	return x->rank < y->rank ? -1 : 1; /* as yet their order in the text */
}

static int make(struct policy_set **ret, const struct policy_source *src, size_t n, bool *unfinished, struct err *e)
{
	struct policy_set *s = calloc(1, sizeof *s);
	int r = 0;
	if (s)
		s->files = calloc(n ? n : 1, sizeof(char *));
	if (!s || !s->files) {
		free(s);
		return err_set(e, ERR_SYS_MEMORY, "no memory for the policies");
	}
	for (size_t i = 0; r == 0 && i < n; i++)
		r = read_source(s, &src[i], unfinished, e);
	if (r == 0 && s->rules_n)
		qsort(s->rules, s->rules_n, sizeof(struct rule *), by_rank);
	for (size_t i = 0; i < s->rules_n; i++)
		s->rules[i]->rank = (uint32_t)i;
	if (r == 0)
		r = rule_index_build(s, e);
	if (r < 0) {
		policy_set_free(s);
		return r;
	}
	name_version(s, src, n);
	*ret = s;
	return 0;
}

int policy_set_new(struct policy_set **ret, const struct policy_source *src, size_t n, struct err *e)
{
	return make(ret, src, n, NULL, e);
}

int policy_source_check(const struct policy_source *src, bool *unfinished, struct err *e)
{
	struct policy_set *s = NULL;
	*unfinished = false;
	int r = make(&s, src, 1, unfinished, e);
	policy_set_free(s);
	return r;
}

void policy_set_free(struct policy_set *s)
{
	if (!s)
		return;
	rule_index_free(s->index);
	comms_free(s);
	map_done(&s->names);
	for (size_t i = 0; i < s->rules_n; i++)
		rule_free(s->rules[i]);
	for (size_t i = 0; i < s->files_n; i++)
		free(s->files[i]);
	free(s->rules);
	free(s->files);
	free(s);
}

const char *policy_set_version(const struct policy_set *s)
{
	return s->version;
}

size_t policy_set_rules(const struct policy_set *s)
{
	return s->rules_n + s->comms_n;
}

/* ---- deciding ---- */

void policy_decide(const struct policy_set *s, const struct policy_request *q, struct policy_decision *ret)
{
	const struct rule *r = rule_index_best(s->index, q, false);
	*ret = (struct policy_decision){.effect = POLICY_DENY, .audit = rule_index_best(s->index, q, true) != NULL};
	if (!r)
		return;
	ret->effect = r->effect;
	ret->rule = r->name;
	ret->file = r->file;
	ret->line = r->line;
	ret->reason = r->reason;
	ret->rate = &r->rate;
	ret->to = r->to;
}

int policy_explain(const struct policy_set *s, const struct policy_request *q, struct buf *out)
{
	struct policy_decision d;
	size_t len = strlen(q->resource);
	for (size_t i = 0; i < s->rules_n; i++) {
		const struct rule *r = s->rules[i];
		if (rule_matches(r, q, len))
			buf_printf(out, "matches %s %s (%s:%u)%s%s\n", policy_effect_word(r->effect), r->name, r->file,
				   r->line, r->reason ? " " : "", r->reason ? r->reason : "");
	}
	policy_decide(s, q, &d);
	return buf_printf(out, "decision %s %s%s\n", policy_effect_word(d.effect), d.rule ? d.rule : "no_match",
			  d.audit ? ", audited" : "");
}

int policy_list(const struct policy_set *s, struct buf *out)
{
	static const char *const tiers[POLICY_TIERS] = {"None", "Tier1", "Tier2", "Tier3"};
	for (size_t i = 0; i < s->rules_n; i++) {
		const struct rule *r = s->rules[i];
		buf_printf(out, "%s %s (%s:%u) priority %lld%s\n", policy_effect_word(r->effect), r->name, r->file, r->line,
			   (long long)r->priority, r->disabled ? ", not enabled" : "");
	}
	for (int from = 0; from < POLICY_TIERS; from++)
		for (int to = 0; to < POLICY_TIERS; to++) {
			const struct comm *c = &s->comms[from][to];
			if (c->name)
				buf_printf(out, "Messages %s (%s:%u) %s to %s\n", c->name, c->file, c->line, tiers[from],
					   tiers[to]);
		}
	return out->fail;
}
