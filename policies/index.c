/* SPDX-License-Identifier: MIT */
/* index.c - from a request to the few rules that may match it. A rule is filed under what its pattern begins with
 * (whole directories, or the host) together with its resource type and the agent that it names; a request looks under
 * each of its own directories. So the cost follows the depth of a path, not the number of rules. L1; any thread.
 *
 * Keys are 64-bit hashes (SipHash would serve nobody: who writes policies is trusted). Two keys that collide share a
 * list, which costs time and no truth, since every rule found is matched in full. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "policies/policy_i.h"

#define ANY 0 /* as a type and as an agent */

struct entry {
	const struct rule *rule;
	const struct pattern *pattern;
};

struct list {
	uint64_t key;
	struct entry *entries; /* by rank */
	unsigned n, cap;
};

struct table {
	struct list *lists; /* open addressing; NULL entries: free */
	size_t cap, used;
	bool any_type, one_type, any_agent, one_agent; /* which kinds of keys are there at all */
};

struct rule_index {
	struct table tables[2]; /* rules that decide; Audit rules */
};

/* ---- keys: FNV-1a over the text, then mixed with the rest ---- */

#define FNV_START 0xcbf29ce484222325ull

static uint64_t fnv(uint64_t h, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		h = (h ^ (unsigned char)s[i]) * 0x100000001b3ull;
	return h;
}

static uint64_t key_of(uint64_t text, unsigned type, uint64_t agent)
{
	uint64_t h = text ^ (agent * 0x9e3779b97f4a7c15ull) ^ ((uint64_t)type << 56);
	h = (h ^ (h >> 32)) * 0xd6e8feb86659fd93ull;
	return h ^ (h >> 32);
}

static uint64_t agent_key(const char *name)
{
	return name ? fnv(FNV_START, name, strlen(name)) | 1 : ANY;
}

static struct list *find(const struct table *t, uint64_t key)
{
	for (size_t i = key & (t->cap - 1); t->cap; i = (i + 1) & (t->cap - 1)) {
		if (!t->lists[i].entries)
			return NULL;
		if (t->lists[i].key == key)
			return &t->lists[i];
	}
	return NULL;
}

/* ---- building ---- */

static int grow(struct table *t)
{
	size_t cap = t->cap ? 2 * t->cap : 64;
	struct list *lists = calloc(cap, sizeof *lists);
	if (!lists)
		return -ENOMEM;
	for (size_t i = 0; i < t->cap; i++) {
		if (!t->lists[i].entries)
			continue;
		size_t at = t->lists[i].key & (cap - 1);
		while (lists[at].entries)
			at = (at + 1) & (cap - 1);
		lists[at] = t->lists[i];
	}
	free(t->lists);
	t->lists = lists;
	t->cap = cap;
	return 0;
}

static struct list *list_for(struct table *t, uint64_t key)
{
	struct list *l = find(t, key);
	if (l)
		return l;
	if (t->used * 2 >= t->cap && grow(t) < 0)
		return NULL;
	size_t at = key & (t->cap - 1);
	while (t->lists[at].entries)
		at = (at + 1) & (t->cap - 1);
	l = &t->lists[at];
	l->entries = malloc(2 * sizeof *l->entries);
	if (!l->entries)
		return NULL;
	*l = (struct list){key, l->entries, 0, 2};
	t->used++;
	return l;
}

static int file_under(struct table *t, uint64_t key, const struct rule *r, const struct pattern *p)
{
	struct list *l = list_for(t, key);
	if (!l)
		return -ENOMEM;
	if (l->n == l->cap) {
		struct entry *more = realloc(l->entries, 2 * l->cap * sizeof *more);
		if (!more)
			return -ENOMEM;
		l->entries = more;
		l->cap *= 2;
	}
	l->entries[l->n++] = (struct entry){r, p}; /* rules come by rank */
	return 0;
}

/* The condition by which agents are named one by one, or NULL. */
static const struct cond *agents_of(const struct rule *r)
{
	for (size_t i = 0; i < r->conds_n; i++)
		if (r->conds[i].kind == COND_AGENT && r->conds[i].plain)
			return &r->conds[i];
	return NULL;
}

static int file_agents(struct table *t, uint64_t text, unsigned type, const struct rule *r, const struct pattern *p)
{
	const struct cond *c = agents_of(r);
	int n = 0;
	if (!c) {
		t->any_agent = true;
		return file_under(t, key_of(text, type, ANY), r, p);
	}
	t->one_agent = true;
	for (size_t i = 0; n == 0 && i < c->n; i++)
		n = file_under(t, key_of(text, type, agent_key(c->words[i])), r, p);
	return n;
}

static int file_pattern(struct table *t, const struct rule *r, const struct pattern *p)
{
	uint32_t net = 1u << POLICY_NETWORK, all = (1u << POLICY_TYPES) - 1;
	char host[HOST_KEY_MAX];
	int n = 0;
	if ((r->types & net) && p->net.kind != NET_NOT) {
		net_key(p, host);
		t->one_type = true;
		n = file_agents(t, fnv(FNV_START, host, strlen(host)), POLICY_NETWORK + 1, r, p);
	}
	uint64_t text = fnv(FNV_START, p->text, p->prefix);
	if (n == 0 && r->types == all) {
		t->any_type = true;
		return file_agents(t, text, ANY, r, p);
	}
	for (unsigned type = 0; n == 0 && type < POLICY_TYPES; type++)
		if (r->types >> type & 1 && type != POLICY_NETWORK) {
			t->one_type = true;
			n = file_agents(t, text, type + 1, r, p);
		}
	return n;
}

int rule_index_build(struct policy_set *s, struct err *e)
{
	int n = 0;
	s->index = calloc(1, sizeof *s->index);
	if (!s->index)
		n = -ENOMEM;
	for (size_t i = 0; n == 0 && i < s->rules_n; i++) {
		const struct rule *r = s->rules[i];
		for (size_t k = 0; n == 0 && !r->disabled && k < r->patterns_n; k++)
			n = file_pattern(&s->index->tables[r->effect == POLICY_AUDIT], r, &r->patterns[k]);
	}
	return n < 0 ? err_set(e, ERR_SYS_MEMORY, "no memory for the policies") : 0;
}

void rule_index_free(struct rule_index *x)
{
	if (!x)
		return;
	for (int t = 0; t < 2; t++) {
		for (size_t i = 0; i < x->tables[t].cap; i++)
			free(x->tables[t].lists[i].entries);
		free(x->tables[t].lists);
	}
	free(x);
}

/* ---- asking ---- */

struct asking {
	const struct table *t;
	const struct policy_request *q;
	size_t len;
	uint64_t agent;
	const struct rule *best;
};

static bool applies(const struct rule *r, const struct policy_request *q)
{
	if (r->disabled || !(r->ops >> q->op & 1) || !(r->types >> q->type & 1))
		return false;
	for (size_t i = 0; i < r->conds_n; i++)
		if (!cond_holds(&r->conds[i], q))
			return false;
	return true;
}

bool rule_matches(const struct rule *r, const struct policy_request *q, size_t len)
{
	if (!applies(r, q))
		return false;
	for (size_t i = 0; i < r->patterns_n; i++)
		if (pattern_matches(&r->patterns[i], q, len, r->effect == POLICY_DENY))
			return true;
	return false;
}

/* at: bytes of the resource that the key stands for. */
static bool entry_matches(const struct asking *a, const struct entry *en, size_t at)
{
	const struct pattern *p = en->pattern;
	if (!applies(en->rule, a->q))
		return false;
	if (a->q->type != POLICY_NETWORK && at == p->prefix && memcmp(p->text, a->q->resource, at) == 0) {
		if (p->plain)
			return at == a->len;
		if (p->tree)
			return true;
	}
	return pattern_matches(p, a->q, a->len, en->rule->effect == POLICY_DENY);
}

static void look(struct asking *a, uint64_t text, unsigned type, uint64_t agent, size_t at)
{
	const struct list *l = find(a->t, key_of(text, type, agent));
	for (unsigned i = 0; l && i < l->n; i++) {
		if (a->best && l->entries[i].rule->rank >= a->best->rank)
			return;
		if (entry_matches(a, &l->entries[i], at)) {
			a->best = l->entries[i].rule;
			return;
		}
	}
}

static void look_all(struct asking *a, uint64_t text, size_t at)
{
	for (unsigned any = 0; any < 2; any++) {
		unsigned type = any ? ANY : (unsigned)a->q->type + 1;
		if (any ? !a->t->any_type : !a->t->one_type)
			continue;
		if (a->t->one_agent && a->agent != ANY)
			look(a, text, type, a->agent, at);
		if (a->t->any_agent)
			look(a, text, type, ANY, at);
	}
}

static void look_net(struct asking *a)
{
	char keys[POLICY_ADDRESSES_MAX + 2][HOST_KEY_MAX];
	size_t n = net_keys(a->q, keys, ARRAY_LEN(keys));
	look_all(a, FNV_START, 0);
	for (size_t i = 0; i < n; i++)
		look_all(a, fnv(FNV_START, keys[i], strlen(keys[i])), 0);
}

const struct rule *rule_index_best(const struct rule_index *x, const struct policy_request *q, bool audit)
{
	struct asking a = {.t = &x->tables[audit], .q = q, .len = strlen(q->resource), .agent = agent_key(q->agent)};
	if (!a.t->used)
		return NULL;
	if (q->type == POLICY_NETWORK) {
		look_net(&a);
		return a.best;
	}
	uint64_t h = FNV_START;
	look_all(&a, h, 0);
	for (size_t at = 0; at < a.len;) { /* "/a", "/a/b" ...; a last slash is part of the whole */
		size_t next = at + 1;
		while (next < a.len && q->resource[next] != '/')
			next++;
		h = fnv(h, q->resource + at, next - at);
		look_all(&a, h, next);
		at = next;
	}
	return a.best;
}
