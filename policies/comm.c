/* SPDX-License-Identifier: MIT */
/* comm.c - which tier may send what to which: `communication_policies`. All rows of a pair of tiers are one answer: a
 * type must stand in one of them, what any of them requires is required, the lowest rate holds. A pair without a row is
 * denied. L1; any thread. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/suggest.h"
#include "policies/policy_i.h"

#define RATE_MAX 1000000

static const char *const types[POLICY_MESSAGES] = {"control", "data", "event", "rpc"};
static const char *const tiers[POLICY_TIERS] = {"None", "Tier1", "Tier2", "Tier3"};
static const char *const requirements[] = {"encryption_required", "signature_required", "audit_logging",
					   "content_filtering"};

const char *policy_message_word(enum policy_message_type t)
{
	return types[t];
}

static int find(const char *const *words, size_t n, const char *word)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(words[i], word) == 0)
			return (int)i;
	return -ENOENT;
}

int policy_message_find(const char *word, enum policy_message_type *ret)
{
	int i = find(types, ARRAY_LEN(types), word);
	*ret = i < 0 ? POLICY_MESSAGE_CONTROL : (enum policy_message_type)i;
	return i < 0 ? i : 0;
}

/* ---- reading ---- */

struct row {
	const char *file, *name;
	unsigned line;
	int source, destination;
	struct comm comm;
};

static int unknown(const char *file, const struct value *v, const char *word, const char *what,
		   const char *const *words, size_t n, struct err *e)
{
	struct suggest s;
	suggest_init(&s, word);
	for (size_t i = 0; i < n; i++)
		suggest_try(&s, words[i]);
	return policy_wrong(e, file, v->line, "'%.60s' is no %s%s", word, what, suggest_text(&s));
}

static int read_tier(const struct row *r, const struct value *v, int *ret, struct err *e)
{
	const char *word = v && v->type == VALUE_STRING ? tier_word(v->string.data) : "";
	*ret = find(tiers, ARRAY_LEN(tiers), word);
	return *ret >= 0 ? 0
			 : policy_wrong(e, r->file, v ? v->line : r->line,
					"'%.40s' is no tier; one of None docker gvisor firecracker Tier1 Tier2 Tier3",
					v && v->type == VALUE_STRING ? v->string.data : "");
}

static int read_types(struct row *r, const struct value *v, struct err *e)
{
	if (v->type != VALUE_LIST || !v->list.n)
		return policy_wrong(e, r->file, v->line, "'allowed_message_types' must be a list such as [data, event]");
	for (size_t i = 0; i < v->list.n; i++) {
		const struct value *one = &v->list.items[i];
		const char *word = one->type == VALUE_STRING ? one->string.data : "";
		int k = find(types, ARRAY_LEN(types), word);
		if (k < 0)
			return unknown(r->file, one, word, "type of messages; one of control data event rpc", types,
				       ARRAY_LEN(types), e);
		r->comm.types |= (uint8_t)(1u << k);
	}
	return 0;
}

static int read_requirements(struct row *r, const struct value *v, struct err *e)
{
	if (v->type != VALUE_MAP)
		return policy_wrong(e, r->file, v->line, "'security_requirements' must be a map");
	for (size_t i = 0; i < v->map.n; i++) {
		const struct value_member *m = &v->map.members[i];
		int k = find(requirements, ARRAY_LEN(requirements), m->key);
		if (k < 0)
			return unknown(r->file, &m->value, m->key, "security requirement", requirements,
				       ARRAY_LEN(requirements), e);
		if (m->value.type != VALUE_BOOL)
			return policy_wrong(e, r->file, m->line, "'%s' must be true or false", m->key);
		if (m->value.boolean)
			r->comm.requires |= (uint8_t)(1u << k);
	}
	return 0;
}

static int read_rates(struct row *r, const struct value *v, struct err *e)
{
	if (v->type != VALUE_MAP)
		return policy_wrong(e, r->file, v->line, "'rate_limits' must be a map");
	for (size_t i = 0; i < v->map.n; i++) {
		const struct value_member *m = &v->map.members[i];
		bool rate = strcmp(m->key, "messages_per_second") == 0;
		if (!rate && strcmp(m->key, "burst_size") != 0)
			return policy_wrong(e, r->file, m->line, "unknown key '%.60s'; rate_limits has "
					    "messages_per_second and burst_size", m->key);
		if (m->value.type != VALUE_INT || m->value.integer < 1 || m->value.integer > RATE_MAX)
			return policy_wrong(e, r->file, m->line, "'%s' must be a whole number from 1 to %d", m->key,
					    RATE_MAX);
		*(rate ? &r->comm.per_second : &r->comm.burst) = (uint32_t)m->value.integer;
	}
	if (!r->comm.per_second)
		return policy_lacks(e, r->file, v->line, "'rate_limits' has no messages_per_second");
	if (!r->comm.burst)
		r->comm.burst = r->comm.per_second;
	return 0;
}

static int read_member(struct row *r, const struct value_member *m, struct err *e)
{
	static const char *const known[] = {"name", "source_tier", "destination_tier", "allowed_message_types",
					    "security_requirements", "rate_limits", "description"};
	int k = find(known, ARRAY_LEN(known), m->key);
	switch (k) {
	case 0:
	case 6:
		if (m->value.type != VALUE_STRING || !m->value.string.len)
			return policy_wrong(e, r->file, m->line, "'%s' must be a text", m->key);
		if (k == 0)
			r->name = m->value.string.data;
		return 0;
	case 1: return read_tier(r, &m->value, &r->source, e);
	case 2: return read_tier(r, &m->value, &r->destination, e);
	case 3: return read_types(r, &m->value, e);
	case 4: return read_requirements(r, &m->value, e);
	case 5: return read_rates(r, &m->value, e);
	default: return unknown(r->file, &m->value, m->key, "key of a communication policy", known,
				ARRAY_LEN(known), e);
	}
}

static void merge(struct comm *all, const struct comm *c)
{
	all->types |= c->types;
	all->requires |= c->requires;
	if (c->per_second && (!all->per_second || c->per_second < all->per_second))
		all->per_second = c->per_second;
	if (c->burst && (!all->burst || c->burst < all->burst))
		all->burst = c->burst;
}

static int read_row(struct policy_set *s, const char *file, const struct value *v, struct err *e)
{
	struct row r = {.file = file, .line = v->line, .source = -1, .destination = -1};
	if (v->type != VALUE_MAP)
		return policy_wrong(e, file, v->line, "a communication policy must be a map");
	for (size_t i = 0; i < v->map.n; i++) {
		int n = read_member(&r, &v->map.members[i], e);
		if (n < 0)
			return n;
	}
	if (!r.name || r.source < 0 || r.destination < 0 || !r.comm.types)
		return policy_lacks(e, file, v->line, "a communication policy needs name, source_tier, "
				    "destination_tier and allowed_message_types");
	struct comm *all = &s->comms[r.source][r.destination];
	if (!all->name) { /* the first is named as the reason */
		all->name = strdup(r.name);
		all->file = file;
		all->line = r.line;
		if (!all->name)
			return err_set(e, ERR_SYS_MEMORY, "no memory for the policies");
	}
	merge(all, &r.comm);
	s->comms_n++;
	return 0;
}

int comms_read(struct policy_set *s, const char *file, const struct value *v, struct err *e)
{
	if (v->type != VALUE_LIST)
		return policy_wrong(e, file, v->line, "'communication_policies' must be a list");
	int r = 0;
	for (size_t i = 0; r == 0 && i < v->list.n; i++)
		r = read_row(s, file, &v->list.items[i], e);
	return r;
}

void comms_free(struct policy_set *s)
{
	for (int a = 0; a < POLICY_TIERS; a++)
		for (int b = 0; b < POLICY_TIERS; b++)
			free(s->comms[a][b].name);
}

/* ---- deciding ---- */

void policy_decide_message(const struct policy_set *s, const char *source_tier, const char *destination_tier,
			   enum policy_message_type type, struct policy_message_decision *ret)
{
	int a = find(tiers, ARRAY_LEN(tiers), tier_word(source_tier));
	int b = find(tiers, ARRAY_LEN(tiers), tier_word(destination_tier));
	const struct comm *c = a < 0 || b < 0 ? NULL : &s->comms[a][b];
	*ret = (struct policy_message_decision){.why = "no policy for these tiers"};
	if (!c || !c->name)
		return;
	ret->rule = c->name;
	ret->file = c->file;
	ret->line = c->line;
	ret->allowed = c->types >> type & 1;
	ret->why = ret->allowed ? NULL : "this type of messages is not allowed between these tiers";
	ret->encryption = c->requires & 1;
	ret->signature = c->requires >> 1 & 1;
	ret->audit = c->requires >> 2 & 1;
	ret->filtering = c->requires >> 3 & 1;
	ret->per_second = c->per_second;
	ret->burst = c->burst;
}
