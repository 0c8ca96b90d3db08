/* SPDX-License-Identifier: MIT */
/* cond.c - the conditions of a rule: over the agent, what it may carry, and the time. L1; any thread. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/suggest.h"
#include "policies/policy_i.h"

static const char *const weekdays[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};

/* ---- values: one, or a list of which one must hold ---- */

static size_t count_of(const struct value *v)
{
	return v->type == VALUE_LIST ? v->list.n : 1;
}

static const struct value *value_at(const struct value *v, size_t i)
{
	return v->type == VALUE_LIST ? &v->list.items[i] : v;
}

static const char *text_of(const struct rule *r, const struct value *v, const char *key, struct err *e)
{
	if (v->type == VALUE_STRING && v->string.len && strlen(v->string.data) == v->string.len)
		return v->string.data;
	policy_wrong(e, r->file, v->line, "'%s' must be a text or a list of texts, not %s", key,
		     v->type == VALUE_STRING ? "an empty one" : value_type_name(v->type));
	return NULL;
}

static int no_memory(struct err *e)
{
	return err_set(e, ERR_SYS_MEMORY, "no memory for the policies");
}

static int read_types(struct rule *r, const struct value *v, struct err *e)
{
	uint32_t types = 0;
	for (size_t i = 0; i < count_of(v); i++) {
		enum policy_type t;
		struct suggest s;
		const char *word = text_of(r, value_at(v, i), "resource_type", e);
		if (!word)
			return -EINVAL;
		if (policy_type_find(word, &t) < 0) {
			suggest_init(&s, word);
			for (unsigned k = 0; k < POLICY_TYPES; k++)
				suggest_try(&s, policy_type_word((enum policy_type)k));
			return policy_wrong(e, r->file, value_at(v, i)->line, "'%.60s' is no resource_type%s",
					    word, suggest_text(&s));
		}
		types |= 1u << t;
	}
	r->types = r->types ? r->types & types : types;
	return r->types ? 0 : policy_wrong(e, r->file, v->line, "no resource has all these types");
}

/* ---- kinds of conditions ---- */

const char *tier_word(const char *text)
{
	static const char *const same[][2] = {
		{"native", "None"}, {"none", "None"}, {"docker", "Tier1"}, {"gvisor", "Tier2"}, {"firecracker", "Tier3"}};
	for (size_t i = 0; i < ARRAY_LEN(same); i++)
		if (strcmp(same[i][0], text) == 0)
			return same[i][1];
	return text;
}

static int read_globs(struct rule *r, struct cond *c, const struct value *v, const char *key, struct err *e)
{
	size_t n = count_of(v);
	c->globs = calloc(n, sizeof(struct glob *));
	c->words = calloc(n, sizeof(char *));
	c->plain = true;
	if (!c->globs || !c->words)
		return no_memory(e);
	for (size_t i = 0; i < n; i++) {
		bool plain;
		const char *text = text_of(r, value_at(v, i), key, e);
		if (!text)
			return -EINVAL;
		if (c->kind == COND_TIER)
			text = tier_word(text);
		c->n++;
		int k = glob_new(&c->globs[i], text, e);
		if (k < 0)
			return policy_wrong(e, r->file, value_at(v, i)->line, "'%s': %.300s", key,
					    k == -ENOMEM ? "no memory" : e->msg);
		c->words[i] = strdup(text);
		if (!c->words[i])
			return no_memory(e);
		glob_prefix(text, &plain);
		c->plain &= plain;
	}
	return 0;
}

static bool minute_of(const char *s, uint16_t *ret)
{
	for (int i = 0; i < 5; i++)
		if (i == 2 ? s[i] != ':' : s[i] < '0' || s[i] > '9')
			return false;
	unsigned h = (unsigned)(s[0] - '0') * 10 + (unsigned)(s[1] - '0');
	unsigned m = (unsigned)(s[3] - '0') * 10 + (unsigned)(s[4] - '0');
	*ret = (uint16_t)(h * 60 + m);
	return m < 60 && *ret <= 24 * 60;
}

static int read_times(struct rule *r, struct cond *c, const struct value *v, struct err *e)
{
	size_t n = count_of(v);
	c->spans = calloc(n, sizeof *c->spans);
	if (!c->spans)
		return no_memory(e);
	for (size_t i = 0; i < n; i++, c->n++) {
		const char *text = text_of(r, value_at(v, i), "time", e);
		if (!text)
			return -EINVAL;
		if (strlen(text) != 11 || text[5] != '-' || !minute_of(text, &c->spans[i].from) ||
		    !minute_of(text + 6, &c->spans[i].to))
			return policy_wrong(e, r->file, value_at(v, i)->line,
					    "'%.40s' is no time; write \"08:00-17:30\", in UTC", text);
	}
	return 0;
}

static int read_weekdays(struct rule *r, struct cond *c, const struct value *v, struct err *e)
{
	for (size_t i = 0; i < count_of(v); i++) {
		const char *text = text_of(r, value_at(v, i), "weekday", e);
		size_t d = 0;
		if (!text)
			return -EINVAL;
		while (d < ARRAY_LEN(weekdays) && strcmp(weekdays[d], text) != 0)
			d++;
		if (d == ARRAY_LEN(weekdays))
			return policy_wrong(e, r->file, value_at(v, i)->line,
					    "'%.40s' is no weekday; one of Mon Tue Wed Thu Fri Sat Sun", text);
		c->weekdays |= (uint8_t)(1u << d);
	}
	return 0;
}

/* ---- reading ---- */

static struct cond *more(struct rule *r, enum cond_kind kind)
{
	struct cond *c = realloc(r->conds, (r->conds_n + 1) * sizeof *c);
	if (!c)
		return NULL;
	r->conds = c;
	c += r->conds_n++;
	*c = (struct cond){.kind = kind};
	return c;
}

static int read_metadata(struct rule *r, const struct value *v, struct err *e)
{
	if (v->type != VALUE_MAP || !v->map.n)
		return policy_wrong(e, r->file, v->line, "'metadata' must be a map of keys and values");
	for (size_t i = 0; i < v->map.n; i++) {
		const struct value_member *m = &v->map.members[i];
		struct cond *c = more(r, COND_METADATA);
		if (!c || !(c->key = strdup(m->key)))
			return no_memory(e);
		int k = read_globs(r, c, &m->value, m->key, e);
		if (k < 0)
			return k;
	}
	return 0;
}

static int read_one(struct rule *r, const struct value_member *m, struct err *e)
{
	static const struct {
		const char *key;
		enum cond_kind kind;
	} globs[] = {{"agent_security_level", COND_LEVEL},
		     {"agent", COND_AGENT},
		     {"agent_tier", COND_TIER},
		     {"capability", COND_CAPABILITY}};
	struct suggest s;
	if (m->value.type == VALUE_LIST && !m->value.list.n)
		return policy_wrong(e, r->file, m->line, "'%s' has an empty list, which nothing matches", m->key);
	if (strcmp(m->key, "resource_type") == 0)
		return read_types(r, &m->value, e);
	if (strcmp(m->key, "metadata") == 0)
		return read_metadata(r, &m->value, e);
	bool time = strcmp(m->key, "time") == 0;
	if (time || strcmp(m->key, "weekday") == 0) {
		struct cond *c = more(r, time ? COND_TIME : COND_WEEKDAY);
		return !c ? no_memory(e) : time ? read_times(r, c, &m->value, e) : read_weekdays(r, c, &m->value, e);
	}
	suggest_init(&s, m->key);
	for (size_t i = 0; i < ARRAY_LEN(globs); i++) {
		suggest_try(&s, globs[i].key);
		if (strcmp(globs[i].key, m->key) != 0)
			continue;
		struct cond *c = more(r, globs[i].kind);
		return c ? read_globs(r, c, &m->value, m->key, e) : no_memory(e);
	}
	suggest_try(&s, "resource_type");
	suggest_try(&s, "metadata");
	suggest_try(&s, "weekday");
	return policy_wrong(e, r->file, m->line,
			    "unknown condition '%.60s'%s; known: resource_type agent_security_level agent "
			    "agent_tier capability metadata time weekday", m->key, suggest_text(&s));
}

int conds_read(struct rule *r, const struct value *v, struct err *e)
{
	if (v->type != VALUE_MAP && v->type != VALUE_LIST)
		return policy_wrong(e, r->file, v->line, "'conditions' must be a list of maps");
	for (size_t i = 0; i < count_of(v); i++) {
		const struct value *one = value_at(v, i);
		if (one->type != VALUE_MAP || !one->map.n)
			return policy_wrong(e, r->file, one->line, "a condition must be a map such as "
					    "`resource_type: File`");
		for (size_t k = 0; k < one->map.n; k++) {
			int n = read_one(r, &one->map.members[k], e);
			if (n < 0)
				return n;
		}
	}
	return 0;
}

void cond_free(struct cond *c)
{
	for (size_t i = 0; i < c->n; i++) {
		if (c->globs)
			glob_free(c->globs[i]);
		if (c->words)
			free(c->words[i]);
	}
	free(c->globs);
	free(c->words);
	free(c->spans);
	free(c->key);
}

/* ---- holding ---- */

static bool any_glob(const struct cond *c, const char *text)
{
	size_t len = text ? strlen(text) : 0;
	for (size_t i = 0; text && i < c->n; i++)
		if (c->plain ? strcmp(c->words[i], text) == 0 : glob_match(c->globs[i], text, len))
			return true;
	return false;
}

static bool any_capability(const struct cond *c, const struct policy_request *q)
{
	for (size_t i = 0; i < q->capabilities_n; i++)
		if (any_glob(c, q->capabilities[i]))
			return true;
	return false;
}

static bool any_metadata(const struct cond *c, const struct policy_request *q)
{
	for (size_t i = 0; i < q->metadata_n; i++)
		if (strcmp(q->metadata[i].key, c->key) == 0)
			return any_glob(c, q->metadata[i].value);
	return false;
}

static bool any_time(const struct cond *c, int64_t time_s)
{
	int64_t day = ((time_s % 86400) + 86400) % 86400;
	unsigned now = (unsigned)(day / 60);
	for (size_t i = 0; i < c->n; i++) {
		const struct span *s = &c->spans[i];
		if (s->from <= s->to ? now >= s->from && now < s->to : now >= s->from || now < s->to)
			return true;
	}
	return false;
}

static unsigned weekday_of(int64_t time_s) /* Monday 0; the epoch was a Thursday */
{
	int64_t days = time_s / 86400 - (time_s % 86400 < 0);
	return (unsigned)(((days + 3) % 7 + 7) % 7);
}

bool cond_holds(const struct cond *c, const struct policy_request *q)
{
	switch (c->kind) {
	case COND_LEVEL: return any_glob(c, q->security_level);
	case COND_AGENT: return any_glob(c, q->agent);
	case COND_TIER: return any_glob(c, q->tier);
	case COND_CAPABILITY: return any_capability(c, q);
	case COND_METADATA: return any_metadata(c, q);
	case COND_TIME: return any_time(c, q->time_s);
	case COND_WEEKDAY: return c->weekdays >> weekday_of(q->time_s) & 1;
	}
	return false;
}
