/* SPDX-License-Identifier: MIT */
/* rows_policies.c - the files of policies/. L3; loop thread only. */
#include <errno.h>
#include <string.h>

#include "fs/store.h"
#include "lib/mem.h"
#include "runtime/policies.h"
#include "runtime/policy_shadow.h"

static int effective_read(const struct fs_ctx *c, struct buf *out, struct err *e)
{
	(void)e;
	return policies_render_effective(c->rt, out);
}

static int stats_read(const struct fs_ctx *c, struct buf *out, struct err *e)
{
	(void)e;
	return policies_render_stats(c->rt, out);
}

static int shadow_stats_read(const struct fs_ctx *c, struct buf *out, struct err *e)
{
	(void)e;
	return shadow_render_stats(c->rt, out);
}

static int shadow_diff_read(const struct fs_ctx *c, struct buf *out, struct err *e)
{
	(void)e;
	return shadow_render_diff(c->rt, out);
}

static int unknown_word(const char *word, struct err *e)
{
	return err_set(e, ERR_POLICY_REQUEST, "'%.60s': write `OPERATION RESOURCE [KEY=VALUE]...` with the keys type agent tier "
		       "level address", word);
}

/* OPERATION RESOURCE [KEY=VALUE]..., in text, which is cut into its words. */
static int read_words(char *text, struct policy_words *w, struct err *e)
{
	char *save = NULL;
	w->op = strtok_r(text, " \t\n", &save);
	w->resource = w->op ? strtok_r(NULL, " \t\n", &save) : NULL;
	for (char *word; w->resource && (word = strtok_r(NULL, " \t\n", &save));) {
		char *eq = strchr(word, '=');
		if (!eq)
			return unknown_word(word, e);
		*eq = 0;
		const char **at = policy_words_at(w, word);
		if (!at || at == &w->op || at == &w->resource)
			return unknown_word(word, e);
		*at = eq + 1;
	}
	return 0;
}

/* out NULL: only whether it is a request. */
static int decide(const struct fs_ctx *c, const struct policy_words *w, bool json, struct buf *out, struct err *e)
{
	struct policy_asked asked;
	return out ? policies_check(c->rt, w, json, out, e) : policy_asked_make(&asked, w, e);
}

static int check_ask(const struct fs_ctx *c, const char *q, size_t len, struct buf *out, struct err *e)
{
	struct policy_words w = {0};
	autofree char *text = strndup(q, len);
	int r = text ? read_words(text, &w, e) : err_set(e, ERR_SYS_MEMORY, "no memory for the request");
	return r < 0 ? r : decide(c, &w, false, out, e);
}

static int explain_ask(const struct fs_ctx *c, const char *q, size_t len, struct buf *out, struct err *e)
{
	struct policy_words w = {0};
	autofree char *text = strndup(q, len);
	int r = text ? read_words(text, &w, e) : err_set(e, ERR_SYS_MEMORY, "no memory for the request");
	return r < 0 ? r : policies_explain(c->rt, &w, out, e);
}

static int check_check(const struct fs_ctx *c, const char *q, size_t len, struct err *e)
{
	return check_ask(c, q, len, NULL, e);
}

static int read_members(const struct value *v, struct policy_words *w, struct err *e)
{
	if (v->type != VALUE_MAP)
		return err_set(e, ERR_POLICY_REQUEST, "a request is an object with operation and resource");
	for (size_t i = 0; i < v->map.n; i++) {
		const struct value_member *m = &v->map.members[i];
		const char **at = policy_words_at(w, m->key);
		if (!at || m->value.type != VALUE_STRING)
			return err_set(e, ERR_POLICY_REQUEST, "'%.60s': a request has texts named operation resource type agent "
				       "tier level address", m->key);
		*at = m->value.string.data;
	}
	return 0;
}

static int read_json(const struct fs_ctx *c, const char *q, size_t len, bool *unfinished, struct buf *out, struct err *e)
{
	struct policy_words w = {0};
	struct value *v = NULL;
	int r = value_parse(VALUE_JSON, q, len, &v, unfinished, e);
	if (r == 0)
		r = read_members(v, &w, e);
	if (r == 0)
		r = decide(c, &w, true, out, e);
	value_free(v);
	return r;
}

static int check_json_ask(const struct fs_ctx *c, const char *q, size_t len, struct buf *out, struct err *e)
{
	return read_json(c, q, len, NULL, out, e);
}

static int check_json_check(const struct fs_ctx *c, const char *q, size_t len, struct err *e)
{
	bool unfinished = false;
	int r = read_json(c, q, len, &unfinished, NULL, e);
	return unfinished ? 0 : r;
}

extern const struct fs_node fs_nodes_policies[];
/* clang-format off */
const struct fs_node fs_nodes_policies[] = {
	{.path = "policies/check", .mode = 0666, .kind = FS_CALL, .action = "policy.check",
	 .ask = check_ask, .check = check_check,
	 .doc = "write OPERATION RESOURCE [KEY=VALUE]..., read what is decided for an agent, by which rule and why"},
	{.path = "policies/check.json", .mode = 0666, .kind = FS_CALL, .action = "policy.check",
	 .ask = check_json_ask, .check = check_json_check,
	 .doc = "the same in JSON: {\"operation\":\"Read\",\"resource\":\"/tmp/a\"}"},
	{.path = "policies/explain", .mode = 0666, .kind = FS_CALL, .action = "policy.check",
	 .ask = explain_ask, .check = check_check,
	 .doc = "the same question: every rule that matches, the weightiest first, then the decision"},
	{.path = "policies/effective", .mode = 0444, .kind = FS_RENDERED, .action = "policy.read",
	 .read = effective_read, .doc = "the active set: its version and its rules, the weightiest first"},
	{.path = "policies/stats", .mode = 0444, .kind = FS_RENDERED, .action = "policy.read",
	 .read = stats_read, .doc = "counters: loads, decisions, denials"},
	{.path = "policies/{spec}", .mode = 0644, .kind = FS_STORE, .action = "policy.change",
	 .store = &fs_store_policies,
	 .doc = "a policy file (.yaml .yml .json .toml): writing it changes what is decided from then on"},
	{.path = "policies/shadow/{spec}", .mode = 0644, .kind = FS_STORE, .action = "policy.shadow",
	 .store = &fs_store_shadows,
	 .doc = "a policy file that decides nothing: what would differ if it stood in policies/ is counted and recorded"},
	{.path = "policies/shadow/stats", .mode = 0444, .kind = FS_RENDERED, .action = "policy.read",
	 .read = shadow_stats_read, .doc = "the shadow set: version, decisions that were compared, how many differ"},
	{.path = "policies/shadow/diff", .mode = 0444, .kind = FS_RENDERED, .action = "policy.read",
	 .read = shadow_diff_read, .doc = "what differs: COUNT EFFECT (rule) -> EFFECT (rule), the most frequent first, with an example"},
	{.path = NULL},
};
/* clang-format on */
