/* SPDX-License-Identifier: MIT */
/* test_crash.c - an engine killed at random moments: after every restart it is what it was after the last
 * acknowledged command, or after the one under way, whole. Rounds by argument, 25 when none is given. */
#include <poll.h>

#include "lib/kv.h"
#include "lib/parse.h"
#include "tests/support/engine.h"

#define NAMES 12

static uint64_t rounds = 25;

/* ---- the model: what a sequence of commands leads to ---- */

struct thing {
	bool there;
	int text;
	unsigned mode;
	unsigned memory; /* 0: the spec's */
};
struct model {
	struct thing t[NAMES];
};

enum op { PUT, DELETE, RENAME, CHMOD, LIMIT, OPS };
struct command {
	enum op op;
	unsigned a, b, arg;
};

static struct command command_at(unsigned seed, unsigned i)
{
	unsigned s = seed * 7919 + i;
	for (int n = 0; n < 3; n++)
		rand_r(&s);
	unsigned dice = (unsigned)rand_r(&s) % 10;
	struct command c = {.op = dice < 5 ? PUT : (enum op)(dice - 5)};
	c.a = (unsigned)rand_r(&s) % NAMES;
	c.b = (unsigned)rand_r(&s) % NAMES;
	c.arg = (unsigned)rand_r(&s) % 500 + 1;
	return c;
}

/* What c does to m; false when it is refused. */
static bool model_do(struct model *m, const struct command *c)
{
	struct thing *a = &m->t[c->a], *b = &m->t[c->b];
	if (c->op == PUT) {
		*a = (struct thing){true, (int)c->arg, a->there ? a->mode : 0644, 0};
		return true;
	}
	if (!a->there)
		return false;
	if (c->op == DELETE)
		a->there = false;
	if (c->op == CHMOD)
		a->mode = 0600 | (c->arg & 077);
	if (c->op == LIMIT)
		a->memory = c->arg;
	if (c->op == RENAME && a != b) {
		*b = *a;
		a->there = false;
	}
	return true;
}

/* ---- the same on an engine ---- */

static void text_of(int n, char out[static 128])
{
	snprintf(out, 128, "tier: None\ncommand: [cat, '%d']\nresource_limits: {memory_mb: 600}\n", n);
}

static int engine_do(struct engine *t, const struct command *c)
{
	char name[16], file[24], to[24], text[128], num[16];
	struct err e = {0};
	struct engine_answer ans = {0};
	snprintf(name, sizeof name, "n%u", c->a);
	snprintf(file, sizeof file, "n%u.yaml", c->a);
	snprintf(to, sizeof to, "n%u.yaml", c->b);
	snprintf(num, sizeof num, "%u", c->arg);
	text_of((int)c->arg, text);
	if (c->op == PUT)
		return engine_put(t, file, text, &e);
	struct agent *a = engine_agent(t, name);
	if (!a)
		return -ENOENT;
	int r = 0;
	if (c->op == DELETE)
		r = agent_delete(t->rt, &root_actor, a, ENGINE_DONE(&ans), &e);
	else if (c->op == RENAME)
		r = agent_rename(t->rt, &root_actor, a, to, true, ENGINE_DONE(&ans), &e);
	else if (c->op == CHMOD)
		r = agent_chown(t->rt, &root_actor, a, (uid_t)-1, (gid_t)-1, 0600 | (c->arg & 077),
				ENGINE_DONE(&ans), &e);
	else
		r = agent_set_limit(t->rt, &root_actor, a, "memory_mb", num, ENGINE_DONE(&ans), &e);
	return engine_reply(t, r, &ans);
}

static bool agrees(struct engine *t, const struct model *m, char *why, size_t cap)
{
	size_t n = 0;
	for (unsigned i = 0; i < NAMES; i++) {
		char name[16], text[128], num[16];
		struct buf b;
		snprintf(name, sizeof name, "n%u", i);
		struct agent *a = engine_agent(t, name);
		const struct thing *w = &m->t[i];
		n += w->there;
		snprintf(why, cap, "%s: %s in the engine, %s in the model", name, a ? "there" : "absent",
			 w->there ? "there" : "absent");
		if (!a != !w->there)
			return false;
		if (!a)
			continue;
		text_of(w->text, text);
		buf_init(&b, 4096);
		agent_text(t->rt, a, &b, NULL);
		bool same = strcmp(b.data, text) == 0 && agent_mode_bits(a) == w->mode;
		buf_clear(&b);
		agent_render_limit(t->rt, a, "memory_mb", &b);
		snprintf(num, sizeof num, "%u\n", w->memory ? w->memory : 600);
		same = same && strcmp(b.data, num) == 0;
		snprintf(why, cap, "%s: text, mode %o (not %o) or memory %s (not %s)", name,
			 agent_mode_bits(a), w->mode, b.data, num);
		buf_done(&b);
		if (!same)
			return false;
	}
	snprintf(why, cap, "%zu agents, not %zu", agent_count(t->rt), n);
	return agent_count(t->rt) == n;
}

/* The feed tells every event once, in the order of the journal, in whole lines. */
static void check_feed(struct engine *t, unsigned round)
{
	char path[200], *line = NULL;
	size_t cap = 0;
	ssize_t len;
	uint64_t last = 0;
	runtime_events_path(t->rt, path, sizeof path);
	FILE *f = fopen(path, "re");
	assert_non_null(f);
	while ((len = getline(&line, &cap, f)) > 0) {
		uint64_t seq = strncmp(line, "{\"seq\":", 7) == 0 ? parse_leading_u64(line + 7) : 0;
		if (seq <= last || line[len - 1] != '\n' || line[len - 2] != '}')
			fail_msg("round %u: behind event %llu: %s", round, (unsigned long long)last, line);
		last = seq;
	}
	assert_int_equal(last, runtime_events_seq(t->rt));
	free(line);
	fclose(f);
}

/* ---- the child that is killed ---- */

static void child(struct engine *t, unsigned seed, unsigned from, int out)
{
	engine_open(t, false);
	for (unsigned i = from;; i++) {
		struct command c = command_at(seed, i);
		engine_do(t, &c);
		if (write(out, &i, sizeof i) != sizeof i)
			_exit(1);
	}
}

/* Let a child work for us microseconds behind its first word, then kill it. The number of commands that it
 * acknowledged. */
static unsigned run_and_kill(struct engine *t, unsigned seed, unsigned from, unsigned us)
{
	int p[2];
	unsigned i, acked = from;
	assert_int_equal(pipe(p), 0);
	pid_t pid = fork();
	if (pid == 0) {
		close(p[0]);
		child(t, seed, from, p[1]);
	}
	close(p[1]);
	if (read(p[0], &i, sizeof i) == sizeof i)
		acked = i + 1;
	usleep(us);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	while (read(p[0], &i, sizeof i) == sizeof i)
		acked = i + 1;
	close(p[0]);
	return acked;
}

static void a_killed_engine_is_whole_again(void **state)
{
	(void)state;
	struct engine t;
	struct model m = {0};
	unsigned seed = (unsigned)getpid(), at = 0, dice = seed;
	char why[200];
	engine_init(&t);
	engine_set(&t, "store.checkpoint_interval", "2ms"); /* so that kills hit it too */
	for (unsigned round = 0; round < rounds; round++) {
		unsigned acked = run_and_kill(&t, seed, at, (unsigned)rand_r(&dice) % 20000);
		for (; at < acked; at++) {
			struct command c = command_at(seed, at);
			model_do(&m, &c);
		}
		struct model next = m;
		struct command under_way = command_at(seed, at);
		model_do(&next, &under_way);
		engine_open(&t, false);
		if (!agrees(&t, &m, why, sizeof why)) {
			if (!agrees(&t, &next, why, sizeof why))
				fail_msg("seed %u, round %u, %u acknowledged: %s", seed, round, at, why);
			m = next;
			at++;
		}
		check_feed(&t, round);
		engine_close(&t);
	}
	print_message("%llu kills, %u commands, seed %u\n", (unsigned long long)rounds, at, seed);
	assert_true(at > rounds);
	engine_done(&t);
}

/* What the store includes once nobody has it open. */
static uint64_t stored_seq(const struct engine *t)
{
	char dir[200];
	struct loop loop;
	struct kv *kv = NULL;
	snprintf(dir, sizeof dir, "%s/store", t->dir);
	assert_int_equal(loop_init(&loop, NULL), 0);
	assert_int_equal(kv_open(&kv, dir, 1u << 30, &loop, NULL), 0);
	uint64_t seq = kv_seq(kv);
	kv_close(kv);
	loop_done(&loop);
	return seq;
}

static void work_and_die(struct engine *t, unsigned commands, unsigned wait_ms)
{
	pid_t pid = fork();
	if (pid == 0) {
		engine_open(t, false);
		for (unsigned i = 0; i < commands; i++) {
			struct command c = {PUT, i % NAMES, 0, i};
			if (engine_do(t, &c) < 0)
				_exit(1);
		}
		engine_turn(t, wait_ms);
		_exit(0);
	}
	int status = -1;
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
}

/* However seldom the state is written, and however soon an engine is killed again: a long tail is replayed once. */
static void a_long_replay_is_not_made_twice(void **state)
{
	(void)state;
	struct engine t;
	engine_init(&t);
	engine_set(&t, "store.checkpoint_interval", "1h");
	work_and_die(&t, 1200, 0);
	assert_true(stored_seq(&t) < 1000);
	for (int tries = 0; stored_seq(&t) < 1200; tries++) {
		assert_true(tries < 50);
		work_and_die(&t, 0, 100);
	}
	engine_open(&t, false);
	assert_int_equal(agent_count(t.rt), NAMES);
	engine_done(&t);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_killed_engine_is_whole_again),
					   cmocka_unit_test(a_long_replay_is_not_made_twice)};
	if (argc > 1 && parse_u64(argv[1], 1, 1000000, &rounds, NULL) < 0)
		return 2;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
