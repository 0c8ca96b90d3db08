/* SPDX-License-Identifier: MIT */
/* read.c - the text of a policy file becomes rules; everything that is not understood is refused with its line, because
 * a rule that is half read decides wrongly. L1; any thread. */
#include <errno.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/suggest.h"
#include "policies/policy_i.h"

#define PRIORITY_DEFAULT 100
#define PRIORITY_MAX	 1000000

int policy_wrong(struct err *e, const char *file, unsigned line, const char *fmt, ...)
{
	char text[300];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	return err_at(e, ERR_POLICY_INVALID, line, "%s:%u: %s", file, line, text);
}

int policy_lacks(struct err *e, const char *file, unsigned line, const char *what)
{
	policy_wrong(e, file, line, "%s", what);
	return POLICY_LACKS;
}

static int no_memory(struct err *e)
{
	return err_set(e, ERR_SYS_MEMORY, "no memory for the policies");
}

/* ---- the values of a rule ---- */

static int read_text(const struct rule *r, const struct value *v, const char *key, char **ret, struct err *e)
{
	if (v->type != VALUE_STRING || !v->string.len || strlen(v->string.data) != v->string.len)
		return policy_wrong(e, r->file, v->line, "'%s' must be a text", key);
	*ret = strdup(v->string.data);
	return *ret ? 0 : no_memory(e);
}

static int read_name(struct rule *r, const struct value *v, struct err *e)
{
	return read_text(r, v, "name", &r->name, e);
}

static int read_reason(struct rule *r, const struct value *v, struct err *e)
{
	return read_text(r, v, "reason", &r->reason, e);
}

static int read_nothing(struct rule *r, const struct value *v, struct err *e)
{
	char *text = NULL;
	int n = read_text(r, v, "description", &text, e);
	free(text);
	return n;
}

static int read_enabled(struct rule *r, const struct value *v, struct err *e)
{
	if (v->type != VALUE_BOOL)
		return policy_wrong(e, r->file, v->line, "'enabled' must be true or false");
	r->disabled = !v->boolean;
	return 0;
}

static int read_priority(struct rule *r, const struct value *v, struct err *e)
{
	if (v->type != VALUE_INT || v->integer < 0 || v->integer > PRIORITY_MAX)
		return policy_wrong(e, r->file, v->line, "'priority' must be a whole number from 0 to %d",
				    PRIORITY_MAX);
	r->priority = v->integer;
	return 0;
}

static int read_effect(struct rule *r, const struct value *v, struct err *e)
{
	struct suggest s;
	const char *word = v->type == VALUE_STRING ? v->string.data : "";
	if (policy_effect_find(word, &r->effect) == 0)
		return 0;
	suggest_init(&s, word);
	for (unsigned i = 0; i < POLICY_EFFECTS; i++)
		suggest_try(&s, policy_effect_word((enum policy_effect)i));
	return policy_wrong(e, r->file, v->line, "'%.40s' is no effect%s; one of Allow Deny Escalate Limit Audit",
			    word, suggest_text(&s));
}

static int read_ops(struct rule *r, const struct value *v, struct err *e)
{
	if (v->type != VALUE_LIST || !v->list.n)
		return policy_wrong(e, r->file, v->line, "'operations' must be a list such as [Read, Write]");
	for (size_t i = 0; i < v->list.n; i++) {
		const struct value *one = &v->list.items[i];
		const char *word = one->type == VALUE_STRING ? one->string.data : "";
		enum policy_op o;
		struct suggest s;
		if (policy_op_find(word, &o) == 0) {
			r->ops |= 1u << o;
			continue;
		}
		suggest_init(&s, word);
		for (unsigned k = 0; k < POLICY_OPS; k++)
			suggest_try(&s, policy_op_word((enum policy_op)k));
		return policy_wrong(e, r->file, one->line,
				    "'%.40s' is no operation%s; one of Read Write Execute Delete Create Modify "
				    "List Connect", word, suggest_text(&s));
	}
	return 0;
}

/* A copy, because the text's tree does not outlive the reading. */
static int copy_value(const struct rule *r, const struct value *v, struct value **ret, struct err *e)
{
	autobuf struct buf text;
	buf_init(&text, VALUE_TEXT_MAX);
	int n = value_dump_json(v, &text);
	if (n == 0)
		n = value_parse(VALUE_JSON, text.data, text.len, ret, NULL, NULL);
	return n < 0 ? policy_wrong(e, r->file, v->line, "too large") : 0;
}

/* `per_second` and its like: how many in so many milliseconds; `burst`: how many at once. */
static int read_limits(struct rule *r, const struct value *v, struct err *e)
{
	static const struct {
		const char *key;
		double ms;
	} units[] = {{"per_second", 1e3}, {"per_minute", 6e4}, {"per_hour", 36e5}, {"per_day", 864e5}};
	double n = 0, burst = 0;
	if (v->type != VALUE_MAP || !v->map.n)
		return policy_wrong(e, r->file, v->line, "'limits' must be a map: {per_minute: 10, burst: 3}");
	for (size_t i = 0; i < v->map.n; i++) {
		const struct value_member *m = &v->map.members[i];
		size_t u = 0;
		while (u < ARRAY_LEN(units) && strcmp(units[u].key, m->key) != 0)
			u++;
		bool is_burst = strcmp(m->key, "burst") == 0;
		if (u == ARRAY_LEN(units) && !is_burst)
			return policy_wrong(e, r->file, m->line, "unknown key '%.60s'; limits has one of per_second per_minute "
					    "per_hour per_day, and burst", m->key);
		if (m->value.type != VALUE_INT || m->value.integer < 1 || m->value.integer > 1000000000)
			return policy_wrong(e, r->file, m->line, "'%s' must be a whole number from 1 to 1000000000", m->key);
		if (!is_burst && n > 0)
			return policy_wrong(e, r->file, m->line, "limits has one rate, not two");
		if (is_burst) {
			burst = (double)m->value.integer;
		} else {
			n = (double)m->value.integer;
			r->rate.per_ms = n / units[u].ms;
		}
	}
	if (n <= 0)
		return policy_lacks(e, r->file, v->line, "limits has no rate: per_second, per_minute, per_hour or per_day");
	r->rate.burst = burst > 0 ? burst : n;
	r->limited = true;
	return 0;
}

static int read_to(struct rule *r, const struct value *v, struct err *e)
{
	if (v->type != VALUE_LIST || !v->list.n)
		return policy_wrong(e, r->file, v->line, "'to' must be a list of who may decide");
	for (size_t i = 0; i < v->list.n; i++)
		if (v->list.items[i].type != VALUE_STRING)
			return policy_wrong(e, r->file, v->line, "'to' must be a list of names");
	return copy_value(r, v, &r->to, e);
}

/* Patterns are read last: what they mean depends on the conditions. */
static int check_resources(struct rule *r, const struct value *v, struct err *e)
{
	if (v->type != VALUE_LIST || !v->list.n)
		return policy_wrong(e, r->file, v->line, "'resources' must be a list of patterns");
	for (size_t i = 0; i < v->list.n; i++)
		if (v->list.items[i].type != VALUE_STRING)
			return policy_wrong(e, r->file, v->list.items[i].line, "a pattern must be a text");
	return 0;
}

static const struct key {
	const char *key;
	int (*read)(struct rule *r, const struct value *v, struct err *e);
	bool needed;
} keys[] = {{"name", read_name, true},
	    {"effect", read_effect, true},
	    {"resources", check_resources, true},
	    {"operations", read_ops, true},
	    {"priority", read_priority, false},
	    {"conditions", conds_read, false},
	    {"description", read_nothing, false},
	    {"enabled", read_enabled, false},
	    {"reason", read_reason, false},
	    {"limits", read_limits, false},
	    {"to", read_to, false}};

/* ---- a rule ---- */

void rule_free(struct rule *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->conds_n; i++)
		cond_free(&r->conds[i]);
	for (size_t i = 0; i < r->patterns_n; i++)
		pattern_free(&r->patterns[i]);
	free(r->conds);
	free(r->patterns);
	value_free(r->to);
	free(r->name);
	free(r->reason);
	free(r);
}

static int read_member(struct rule *r, const struct value_member *m, struct err *e)
{
	struct suggest s;
	suggest_init(&s, m->key);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		if (strcmp(keys[i].key, m->key) == 0)
			return keys[i].read(r, &m->value, e);
		suggest_try(&s, keys[i].key);
	}
	return policy_wrong(e, r->file, m->line,
			    "unknown key '%.60s'%s; a rule has name effect resources operations priority conditions "
			    "description enabled reason limits to", m->key, suggest_text(&s));
}

static int read_patterns(struct rule *r, const struct value *list, struct err *e)
{
	r->patterns = calloc(list->list.n, sizeof *r->patterns);
	if (!r->patterns)
		return no_memory(e);
	for (size_t i = 0; i < list->list.n; i++) {
		const struct value *v = &list->list.items[i];
		r->patterns_n++;
		int n = pattern_read(&r->patterns[i], v->string.data, r->types, e);
		if (n < 0)
			return n == -ENOMEM ? n : policy_wrong(e, r->file, v->line, "%.280s", e->msg);
	}
	return 0;
}

/* What belongs to one effect only. */
static int check_effect(const struct rule *r, struct err *e)
{
	if (r->effect == POLICY_LIMIT && !r->limited)
		return policy_lacks(e, r->file, r->line, "the effect Limit needs 'limits'");
	if (r->effect != POLICY_LIMIT && r->limited)
		return policy_wrong(e, r->file, r->line, "'limits' belongs to the effect Limit");
	if (r->to && r->effect != POLICY_ESCALATE)
		return policy_wrong(e, r->file, r->line, "'to' belongs to the effect Escalate");
	return 0;
}

static int read_rule(struct rule *r, const struct value *v, struct err *e)
{
	if (v->type != VALUE_MAP)
		return policy_wrong(e, r->file, v->line, "a rule must be a map");
	for (size_t i = 0; i < v->map.n; i++) {
		int n = read_member(r, &v->map.members[i], e);
		if (n < 0)
			return n;
	}
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (keys[i].needed && !value_get(v, keys[i].key)) {
			char what[120];
			snprintf(what, sizeof what, "rule '%.60s' has no '%s'", r->name ? r->name : "", keys[i].key);
			return policy_lacks(e, r->file, v->line, what);
		}
	if (!r->types)
		r->types = (1u << POLICY_TYPES) - 1;
	int n = check_effect(r, e);
	return n < 0 ? n : read_patterns(r, value_get(v, "resources"), e);
}

/* Of everything in it, however it is laid out. */
static int digest(struct rule *r, const struct value *v, struct err *e)
{
	autobuf struct buf text;
	buf_init(&text, 2 * VALUE_TEXT_MAX);
	if (value_dump_json(v, &text) < 0)
		return no_memory(e);
	crypto_generichash(r->digest, sizeof r->digest, (const unsigned char *)text.data, text.len, NULL, 0);
	return 0;
}

static int add_rule(struct policy_set *s, const char *file, const struct value *v, struct err *e)
{
	if (s->rules_n == POLICY_RULES_MAX)
		return err_set(e, ERR_RESOURCE_TOO_BIG, "more than %d rules", POLICY_RULES_MAX);
	if (s->rules_n == s->rules_cap) {
		size_t cap = s->rules_cap ? 2 * s->rules_cap : 16;
		struct rule **p = realloc(s->rules, cap * sizeof(struct rule *));
		if (!p)
			return no_memory(e);
		s->rules = p;
		s->rules_cap = cap;
	}
	struct rule *r = calloc(1, sizeof *r);
	if (!r)
		return no_memory(e);
	*r = (struct rule){.file = file, .line = v->line, .priority = PRIORITY_DEFAULT,
			   .rank = (uint32_t)s->rules_n};
	s->rules[s->rules_n++] = r;
	int n = read_rule(r, v, e);
	if (n == 0)
		n = digest(r, v, e);
	const struct rule *other = n == 0 ? map_get(&s->names, r->name, strlen(r->name)) : NULL;
	if (other)
		return policy_wrong(e, file, v->line, "a rule named '%.60s' stands at %.100s:%u already", r->name,
				    other->file, other->line);
	return n < 0 ? n : map_put(&s->names, r->name, r) < 0 ? no_memory(e) : 0;
}

/* ---- a file ---- */

static int check_version(const char *file, const struct value *v, struct err *e)
{
	const struct value *n = value_get(v, "version");
	if (!n)
		return policy_lacks(e, file, v->line, "there is no version; write `version: \"1.0\"`");
	bool ok = n->type == VALUE_STRING ? strcmp(n->string.data, "1.0") == 0 || strcmp(n->string.data, "1") == 0
		  : n->type == VALUE_REAL ? n->real == 1.0
					  : n->type == VALUE_INT && n->integer == 1;
	return ok ? 0 : policy_wrong(e, file, n->line, "this version is not known; \"1.0\" is");
}

int policy_read(struct policy_set *s, const char *file, const struct value *v, struct err *e)
{
	if (v->type != VALUE_MAP)
		return policy_wrong(e, file, v->line, "a policy file is a map with version and policies");
	for (size_t i = 0; i < v->map.n; i++) {
		const struct value_member *m = &v->map.members[i];
		if (strcmp(m->key, "version") != 0 && strcmp(m->key, "policies") != 0 &&
		    strcmp(m->key, "communication_policies") != 0)
			return policy_wrong(e, file, m->line, "unknown key '%.60s'; a policy file has version, policies and "
					    "communication_policies", m->key);
	}
	const struct value *list = value_get(v, "policies"), *comms = value_get(v, "communication_policies");
	/* The seeds' communication policies stand in a file without a version. */
	int r = comms && !list && !value_get(v, "version") ? 0 : check_version(file, v, e);
	if (r == 0 && !list && !comms)
		r = policy_lacks(e, file, v->line, "there are neither policies nor communication_policies");
	if (r == 0 && list && list->type != VALUE_LIST)
		r = policy_wrong(e, file, list->line, "'policies' must be a list of rules");
	for (size_t i = 0; r == 0 && list && i < list->list.n; i++)
		r = add_rule(s, file, &list->list.items[i], e);
	return r == 0 && comms ? comms_read(s, file, comms, e) : r;
}
