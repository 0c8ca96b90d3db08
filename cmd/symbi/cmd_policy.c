/* SPDX-License-Identifier: MIT */
/* cmd_policy.c - check policy files, explain what they decide, and run cases against them; works without the
 * daemon. L4. */
#include <errno.h>
#include <string.h>

#include "cli.h"
#include "lib/mem.h"
#include "policies/policy.h"
#include "runtime/policy_simulate.h"

#define FILES_MAX 256
#define SHOW_MAX  (16u << 20)

/* ---- the set of the files ---- */

static const char *base_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

static int load(struct policy_set **ret, char **files, unsigned n, struct err *e)
{
	struct buf texts[FILES_MAX];
	struct policy_source src[FILES_MAX] = {0};
	unsigned have = 0;
	int r = n <= FILES_MAX ? 0 : err_set(e, ERR_CLI_USAGE, "at most %d files", FILES_MAX);
	for (; r == 0 && have < n; have++) {
		buf_init(&texts[have], VALUE_TEXT_MAX);
		r = say_slurp(files[have], VALUE_TEXT_MAX, &texts[have], e);
		src[have] = (struct policy_source){base_of(files[have]), texts[have].data, texts[have].len};
	}
	if (r == 0)
		r = policy_set_new(ret, src, n, e);
	while (have > 0)
		buf_done(&texts[--have]);
	return r;
}

static int check(const struct policy_set *s)
{
	printf("ok, %zu rules, version %s\n", policy_set_rules(s), policy_set_version(s));
	return 0;
}

/* ---- one request ---- */

static int explain(const struct policy_set *s, const struct policy_words *w)
{
	struct policy_asked a;
	struct policy_decision d;
	struct err e = {0};
	autobuf struct buf text;
	buf_init(&text, SHOW_MAX);
	if (policy_asked_make(&a, w, &e) < 0)
		return say_failed(&e);
	policy_explain(s, &a.q, &text);
	policy_decide(s, &a.q, &d);
	return say_out(&text) || (d.effect != POLICY_ALLOW && d.effect != POLICY_LIMIT) ? CLI_FAILED : 0;
}

/* ---- cases: a list of requests with `expect`, and `rule` where it matters ---- */

static int case_keys(const char *file, const struct value *v, struct err *e)
{
	static const char *const known[] = {"type", "operation", "resource", "agent", "tier", "level", "address", "expect",
					    "rule"};
	for (size_t i = 0; v->type == VALUE_MAP && i < v->map.n; i++) {
		size_t k = 0;
		while (k < ARRAY_LEN(known) && strcmp(known[k], v->map.members[i].key) != 0)
			k++;
		if (k == ARRAY_LEN(known) || v->map.members[i].value.type != VALUE_STRING)
			return err_at(e, ERR_POLICY_INVALID, v->map.members[i].line,
				      "%s:%u: '%.60s': a case has texts named type operation resource agent tier level "
				      "address expect rule", file, v->map.members[i].line, v->map.members[i].key);
	}
	return v->type == VALUE_MAP && value_get_text(v, "expect")
		       ? 0
		       : err_at(e, ERR_POLICY_INVALID, v->line, "%s:%u: a case is a map with `expect`", file, v->line);
}

/* 1 as expected, 0 not, -errno. */
static int run_case(const struct policy_set *s, const char *file, const struct value *v, struct err *e)
{
	struct policy_asked a;
	struct policy_decision d;
	enum policy_effect want;
	struct policy_words w = {value_get_text(v, "type"), value_get_text(v, "operation"), value_get_text(v, "resource"), value_get_text(v, "agent"),
			  value_get_text(v, "tier"), value_get_text(v, "level"),     value_get_text(v, "address")};
	int r = case_keys(file, v, e);
	if (r == 0 && policy_effect_find(value_get_text(v, "expect"), &want) < 0)
		r = err_at(e, ERR_POLICY_INVALID, v->line, "%s:%u: '%.40s' is no effect", file, v->line,
			   value_get_text(v, "expect"));
	if (r < 0)
		return r;
	d = (struct policy_decision){.effect = POLICY_DENY};
	if (policy_asked_make(&a, &w, e) == 0) /* a name that cannot be decided on is denied */
		policy_decide(s, &a.q, &d);
	else if (e->code == ERR_POLICY_REQUEST)
		return err_wrap(e, "%s:%u", file, v->line);
	const char *rule = value_get_text(v, "rule"), *by = d.rule ? d.rule : "no_match";
	if (d.effect == want && (!rule || strcmp(rule, by) == 0))
		return 1;
	printf("%s:%u: %s %s: %s by %s, expected %s%s%s\n", file, v->line, w.op, w.resource,
	       policy_effect_word(d.effect), by, policy_effect_word(want), rule ? " by " : "", rule ? rule : "");
	return 0;
}

static int test(const struct policy_set *s, const char *file)
{
	struct err e = {0};
	struct value *v = NULL;
	enum value_format f;
	unsigned good = 0, bad = 0;
	autobuf struct buf text;
	buf_init(&text, VALUE_TEXT_MAX);
	int r = value_format_of(file, &f) < 0
			? err_set(&e, ERR_CLI_USAGE, "'%.100s' does not end in .yaml, .json or .toml", file)
			: say_slurp(file, VALUE_TEXT_MAX, &text, &e);
	if (r == 0 && (r = value_parse(f, text.data, text.len, &v, NULL, &e)) < 0)
		err_wrap(&e, "%s", file);
	const struct value *list = v && v->type == VALUE_MAP ? value_get(v, "cases") : v;
	if (r == 0 && (!list || list->type != VALUE_LIST))
		r = err_set(&e, ERR_POLICY_INVALID, "%s: a file of cases is a list, or a map with `cases`", file);
	for (size_t i = 0; r >= 0 && i < list->list.n; i++) {
		r = run_case(s, base_of(file), &list->list.items[i], &e);
		good += r == 1;
		bad += r == 0;
	}
	value_free(v);
	if (r < 0)
		return say_failed(&e);
	printf("%u as expected, %u not\n", good, bad);
	return bad ? CLI_FAILED : 0;
}

/* ---- another set ---- */

static int simulate(const struct policy_set *s, struct where *w)
{
	struct err e = {0};
	char dir[PATH_MAX + 16];
	struct policy_simulated n;
	autobuf struct buf text;
	buf_init(&text, SHOW_MAX);
	if (where_find(w, &e) < 0)
		return say_failed(&e);
	snprintf(dir, sizeof dir, "%s/journal", w->at.state);
	if (policy_simulate(dir, s, &text, &n, &e) < 0)
		return say_failed(&e);
	buf_printf(&text, "%llu of %llu recorded decisions would differ\n", (unsigned long long)n.differ,
		   (unsigned long long)n.decisions);
	return say_out(&text) || n.differ ? CLI_FAILED : 0;
}

static int diff(const struct policy_set *to, const char *from_file)
{
	struct err e = {0};
	struct policy_set *from = NULL;
	size_t n = 0;
	autobuf struct buf text;
	buf_init(&text, SHOW_MAX);
	if (load(&from, (char *[]){(char *)from_file}, 1, &e) < 0)
		return say_failed(&e);
	policy_diff(from, to, &n, &text);
	policy_set_free(from);
	return say_out(&text) || n ? CLI_FAILED : 0;
}

int cmd_policy(const struct command *c, int argc, char **argv)
{
	struct err e = {0};
	struct policy_words w = {0};
	struct policy_set *s = NULL;
	const char *cases = NULL, *from = NULL;
	struct where where = {0};
	const struct opt opts[] = {{"type", &w.type, NULL},	    {"operation", &w.op, NULL},
				   {"resource", &w.resource, NULL}, {"agent", &w.agent, NULL},
				   {"tier", &w.tier, NULL},	    {"level", &w.level, NULL},
				   {"address", &w.address, NULL},   {"cases", &cases, NULL},
				   {"from", &from, NULL},	    {"state", &where.state, NULL},
				   {NULL, NULL, NULL}};
	int at = opts_read(c, argc, argv, opts, 2, argc);
	if (at < 0)
		return CLI_USAGE;
	const char *what = argv[at];
	static const char *const known[] = {"check", "explain", "test", "simulate", "diff"};
	size_t i = 0;
	while (i < ARRAY_LEN(known) && strcmp(known[i], what) != 0)
		i++;
	if (i == ARRAY_LEN(known))
		return opts_wrong(c, "'%s' is none of check, explain, test, simulate, diff", what);
	if (i == 2 && !cases)
		return opts_wrong(c, "test needs --cases FILE");
	if (i == 4 && !from)
		return opts_wrong(c, "diff needs --from FILE");
	if (load(&s, argv + at + 1, (unsigned)(argc - at - 1), &e) < 0)
		return say_failed(&e);
	int status = i == 0   ? check(s)
		     : i == 1 ? explain(s, &w)
		     : i == 2 ? test(s, cases)
		     : i == 3 ? simulate(s, &where)
			      : diff(s, from);
	policy_set_free(s);
	return status;
}
