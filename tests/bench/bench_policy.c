/* SPDX-License-Identifier: MIT */
/* bench_policy.c - decisions by sets of 10 to 10,000 rules, against three others of the same rules and questions: every rule
 * in turn, with nothing but memcmp over the pattern's text (what a list without an index costs at the least); a table of just
 * these prefixes in plain C, which knows no other pattern; and Cedar's evaluator from npm, where $CEDAR_WASM is the directory of
 * an installed @cedar-policy/cedar-wasm (its `nodejs`). All must allow the same questions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/mem.h"
#include "policies/policy.h"
#include "tests/bench/measure.h"

#define ASKED  20000
#define ROUNDS 5
#define RULES_MAX  10000
#define FILE_RULES 1000
#define BATCH  20 /* questions of one sample: a clock takes as long as a decision */

struct asked {
	struct policy_request q;
	char path[64], agent[16];
};

/* Four of five allow, one denies; a tenth names an agent, as in the research's comparison. */
static void write_rules(struct buf *text, unsigned from, unsigned to)
{
	buf_init(text, 16u << 20);
	buf_adds(text, "{\"version\":\"1.0\",\"policies\":[");
	for (unsigned i = from; i < to; i++) {
		buf_printf(text, "%s{\"name\":\"r%u\",\"effect\":\"%s\",\"conditions\":[{\"resource_type\":\"File\"}",
			   i > from ? "," : "", i, i % 5 ? "Allow" : "Deny");
		if (i % 10 == 9)
			buf_printf(text, ",{\"agent\":\"a%u\"}", i % 100);
		buf_printf(text, "],\"resources\":[\"/data/team%u/p%u/**\"],\"operations\":[\"Read\",\"Write\"]}",
			   i % 97, i);
	}
	buf_adds(text, "]}");
}

static struct policy_set *set_of(unsigned n)
{
	struct policy_set *s = NULL;
	struct err e = {0};
	struct buf texts[RULES_MAX / FILE_RULES];
	struct policy_source src[RULES_MAX / FILE_RULES] = {0};
	unsigned files = 0;
	for (unsigned at = 0; at < n; at += FILE_RULES, files++) {
		write_rules(&texts[files], at, at + FILE_RULES < n ? at + FILE_RULES : n);
		src[files] = (struct policy_source){"bench.json", texts[files].data, texts[files].len};
	}
	if (policy_set_new(&s, src, files, &e) < 0)
		die("%s", e.msg);
	while (files > 0)
		buf_done(&texts[--files]);
	return s;
}

static struct asked *questions(unsigned rules)
{
	struct asked *a = calloc(ASKED, sizeof *a);
	unsigned seed = 3;
	if (!a)
		die("memory");
	for (unsigned i = 0; i < ASKED; i++) {
		unsigned r = (unsigned)rand_r(&seed) % rules;
		snprintf(a[i].path, sizeof a[i].path, "/data/team%u/p%u/src/file%u.c", r % 97, r + (i % 3 == 0), i);
		snprintf(a[i].agent, sizeof a[i].agent, "a%u", i % 100);
		a[i].q = (struct policy_request){.type = POLICY_FILE, .op = POLICY_READ, .resource = a[i].path,
						 .agent = a[i].agent, .security_level = "standard"};
	}
	return a;
}

static unsigned ask(const struct policy_set *s, const struct asked *a, struct samples *us)
{
	unsigned allowed = 0;
	for (unsigned i = 0; i < ASKED; i += BATCH) {
		uint64_t begin = now_ns();
		for (unsigned k = i; k < i + BATCH; k++) {
			struct policy_decision d;
			policy_decide(s, &a[k].q, &d);
			allowed += d.effect == POLICY_ALLOW;
		}
		samples_add(us, (double)(now_ns() - begin) / 1e3 / BATCH);
	}
	return allowed;
}

/* Every rule's literal text in turn. */
static unsigned scan(const char *prefixes, unsigned rules, const struct asked *a, struct samples *us)
{
	unsigned found = 0, asked = rules > 1000 ? 2000 : ASKED;
	for (unsigned i = 0; i < asked; i += BATCH) {
		uint64_t begin = now_ns();
		for (unsigned k = i; k < i + BATCH; k++)
			for (unsigned r = 0; r < rules; r++) {
				const char *p = prefixes + (size_t)r * 32;
				found += memcmp(p, a[k].path, strlen(p)) == 0;
			}
		samples_add(us, (double)(now_ns() - begin) / 1e3 / BATCH);
	}
	return found;
}

/* ---- a table of the prefixes ---- */

#define SLOTS (4 * RULES_MAX)

static unsigned slot_of(const char *text, size_t len)
{
	uint64_t h = 1469598103934665603u;
	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)text[i]) * 1099511628211u;
	return (unsigned)(h >> 20) % SLOTS;
}

static void table_fill(unsigned *table, const char *prefixes, unsigned rules)
{
	memset(table, 0, SLOTS * sizeof *table);
	for (unsigned r = 0; r < rules; r++) {
		unsigned at = slot_of(prefixes + (size_t)r * 32, strlen(prefixes + (size_t)r * 32));
		while (table[at])
			at = (at + 1) % SLOTS;
		table[at] = r + 1;
	}
}

/* Deny overrides, a rule may be one agent's: what the rules say, and no more than they need. */
static bool table_allows(const unsigned *table, const char *prefixes, const struct asked *a)
{
	bool allow = false;
	for (const char *p = a->path; (p = strchr(p, '/')); p++) {
		size_t len = (size_t)(p - a->path) + 1;
		for (unsigned at = slot_of(a->path, len); table[at]; at = (at + 1) % SLOTS) {
			unsigned r = table[at] - 1;
			const char *prefix = prefixes + (size_t)r * 32;
			char agent[16];
			if (strncmp(prefix, a->path, len) != 0 || prefix[len])
				continue;
			snprintf(agent, sizeof agent, "a%u", r % 100);
			if (r % 10 == 9 && strcmp(agent, a->agent) != 0)
				continue;
			if (r % 5 == 0)
				return false;
			allow = true;
		}
	}
	return allow;
}

static unsigned look_up(const unsigned *table, const char *prefixes, const struct asked *a, struct samples *us)
{
	unsigned allowed = 0;
	for (unsigned i = 0; i < ASKED; i += BATCH) {
		uint64_t begin = now_ns();
		for (unsigned k = i; k < i + BATCH; k++)
			allowed += table_allows(table, prefixes, &a[k]);
		samples_add(us, (double)(now_ns() - begin) / 1e3 / BATCH);
	}
	return allowed;
}

/* ---- Cedar ---- */

static unsigned ours_of(const struct policy_set *s, const struct asked *a, unsigned n)
{
	unsigned allowed = 0;
	for (unsigned i = 0; i < n; i++) {
		struct policy_decision d;
		policy_decide(s, &a[i].q, &d);
		allowed += d.effect == POLICY_ALLOW;
	}
	return allowed;
}

static void cedar(const struct policy_set *s, const struct asked *a, unsigned rules, struct samples *ours)
{
	const char *module = getenv("CEDAR_WASM"), *tmp = getenv("TMPDIR");
	char command[4096], file[512], what[64];
	unsigned n = rules <= 100 ? 2000 : rules <= 1000 ? 200 : 30, allowed = 0;
	double median = 0, p99 = 0;
	if (!module) {
		fprintf(stderr, "bench_policy: no row for Cedar: $CEDAR_WASM is not set (npm i @cedar-policy/cedar-wasm)\n");
		return;
	}
	snprintf(file, sizeof file, "%s/cedar.%d", tmp ? tmp : "/tmp", getpid());
	FILE *f = fopen(file, "we");
	for (unsigned i = 0; f && i < n; i++)
		fprintf(f, "%s %s\n", a[i].path, a[i].agent);
	if (!f || fclose(f) != 0)
		die("%s", file);
	snprintf(command, sizeof command, "node '%s/tests/bench/cedar.cjs' '%s' %u <'%s'", SYMBI_SOURCE_DIR, module, rules, file);
	f = popen(command, "re");
	if (!f || fscanf(f, "%u %lf %lf", &allowed, &median, &p99) != 3 || pclose(f) != 0)
		die("%s", command);
	unlink(file);
	if (allowed != ours_of(s, a, n))
		die("Cedar allows %u of %u questions, not %u", allowed, n, ours_of(s, a, n));
	snprintf(what, sizeof what, "decision by %u rules: median, Cedar wasm", rules);
	figure_print(&(struct figure){what, "us", samples_median(ours), median, GOAL_NONE, 0});
	snprintf(what, sizeof what, "decision by %u rules: p99, Cedar wasm", rules);
	figure_print(&(struct figure){what, "us", samples_quantile(ours, 0.99), p99, GOAL_NONE, 0});
}

static void rows(unsigned rules)
{
	struct policy_set *s = set_of(rules);
	struct asked *a = questions(rules);
	struct samples ours = {0}, floor = {0}, table_us = {0};
	char what[64], *prefixes = calloc(rules, 32);
	unsigned sum = 0, by_table = 0, *table = malloc(SLOTS * sizeof *table);
	if (!prefixes || !table)
		die("memory");
	for (unsigned r = 0; r < rules; r++)
		snprintf(prefixes + (size_t)r * 32, 32, "/data/team%u/p%u/", r % 97, r);
	table_fill(table, prefixes, rules);
	for (int round = 0; round < ROUNDS; round++) {
		sum += ask(s, a, &ours);
		by_table += look_up(table, prefixes, a, &table_us);
		if (!scan(prefixes, rules, a, &floor))
			die("nothing matched");
	}
	if (!sum || sum != by_table)
		die("%u questions are allowed, by a table in plain C %u", sum, by_table);
	snprintf(what, sizeof what, "decision by %u rules: median, a scan of all", rules);
	figure_print(&(struct figure){what, "us", samples_median(&ours), samples_median(&floor), GOAL_NONE, 0});
	snprintf(what, sizeof what, "decision by %u rules: median, a table in C", rules);
	figure_print(&(struct figure){what, "us", samples_median(&ours), samples_median(&table_us), GOAL_NONE, 0});
	cedar(s, a, rules, &ours);
	snprintf(what, sizeof what, "decision by %u rules: p99", rules);
	figure_print(&(struct figure){what, "us", samples_quantile(&ours, 0.99), 0,
				      rules == 1000 ? GOAL_OURS_MAX : GOAL_NONE, 5});
	double per_s = 1e6 / samples_median(&ours);
	snprintf(what, sizeof what, "decisions by %u rules, one thread", rules);
	figure_print(&(struct figure){what, "/s", per_s, 0, rules == 1000 ? GOAL_OURS_MIN : GOAL_NONE, 500000});
	free(prefixes);
	free(table);
	free(a);
	policy_set_free(s);
	samples_done(&ours);
	samples_done(&floor);
	samples_done(&table_us);
}

int main(void)
{
	for (unsigned rules = 10; rules <= RULES_MAX; rules *= 10)
		rows(rules);
	return 0;
}
