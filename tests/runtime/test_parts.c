/* SPDX-License-Identifier: MIT */
/* test_parts.c - the engine's parts by themselves: states, record fields, the queue of turns, quota, timers. */
#include "runtime/runtime_i.h"
#include "tests/support/engine.h"

/* ---- states ---- */

static void the_table_of_transitions_is_the_documented_one(void **state)
{
	(void)state;
	/* rows: from; columns: to; order of the enum */
	static const char *const legal[AGENT_STATE_COUNT] = {
		/*               C I R R W S F T T */
		/* Created */	"010000010",
		/* Initial. */	"001000110",
		/* Ready */	"000111110",
		/* Running */	"001011110",
		/* Waiting */	"001101110",
		/* Suspended */ "001110110",
		/* Failed */	"010000010",
		/* Terminating*/"000000001",
		/* Terminated */"010000000",
	};
	for (int from = 0; from < AGENT_STATE_COUNT; from++)
		for (int to = 0; to < AGENT_STATE_COUNT; to++)
			assert_int_equal(agent_may((enum agent_state)from, (enum agent_state)to),
					 legal[from][to] == '1');
	for (uint32_t s = 0, back; s < AGENT_STATE_COUNT; s++) {
		assert_int_equal(agent_state_parse(agent_state_name((enum agent_state)s), &back), 0);
		assert_int_equal(back, s);
	}
	uint32_t none;
	assert_int_equal(agent_state_parse("Redy", &none), -EINVAL);
}

/* ---- fields ---- */

struct sample {
	uint32_t a;
	uint64_t b;
	const char *s, *absent;
};
static const struct field sample_fields[] = {{"a", FIELD_U32, offsetof(struct sample, a)},
					     {"b", FIELD_U64, offsetof(struct sample, b)},
					     {"s", FIELD_STR, offsetof(struct sample, s)},
					     {"t", FIELD_STR, offsetof(struct sample, absent)}};

static void packed_fields_are_read_back_and_damage_is_refused(void **state)
{
	(void)state;
	struct buf b;
	struct sample in = {7, 1ull << 40, "text \"x\"\n", NULL}, out;
	buf_init(&b, 4096);
	assert_int_equal(fields_pack(sample_fields, 4, &in, &b), 0);
	out = (struct sample){0};
	assert_int_equal(fields_unpack(sample_fields, 4, b.data, b.len, &out), 0);
	assert_int_equal(out.a, 7);
	assert_true(out.b == 1ull << 40);
	assert_string_equal(out.s, in.s);
	assert_null(out.absent);
	/* A reader that knows fewer fields passes over the others. */
	out = (struct sample){0};
	assert_int_equal(fields_unpack(sample_fields, 1, b.data, b.len, &out), 0);
	assert_int_equal(out.a, 7);
	assert_null(out.s);
	unsigned whole = 0;
	for (size_t cut = 0; cut < b.len; cut++) { /* only between two fields a cut goes unseen */
		out = (struct sample){0};
		int r = fields_unpack(sample_fields, 4, b.data, cut, &out);
		assert_true(r == 0 || r == -EUCLEAN);
		whole += r == 0;
	}
	assert_int_equal(whole, 3);
	b.data[b.len - 1] = 'x'; /* a string without its end */
	assert_int_equal(fields_unpack(sample_fields, 4, b.data, b.len, &out), -EUCLEAN);
	buf_done(&b);
}

/* ---- turns ---- */

static void service_follows_weight_and_nobody_starves(void **state)
{
	(void)state;
	struct sched s = {0};
	struct sched_entity e[4] = {0};
	static const unsigned weight[4] = {1, 2, 4, 8};
	uint64_t turns[4] = {0};
	for (int i = 0; i < 4; i++)
		sched_add(&s, &e[i], weight[i]);
	for (int n = 0; n < 15000; n++) {
		struct sched_entity *first = sched_first(&s);
		turns[first - e]++;
		sched_charge(&s, first);
		sched_measured(&s, first, SCHED_EXPECT_US);
	}
	for (int i = 0; i < 4; i++) /* within one turn of its share of 15 parts */
		assert_in_range(turns[i], 1000 * weight[i] - 2, 1000 * weight[i] + 2);
	sched_done(&s);
}

static void who_slept_has_saved_nothing_up(void **state)
{
	(void)state;
	struct sched s = {0};
	struct sched_entity a = {0}, b = {0};
	sched_add(&s, &a, 2);
	for (int n = 0; n < 1000; n++)
		sched_charge(&s, &a);
	sched_add(&s, &b, 2);
	unsigned in_a_row = 0;
	while (sched_first(&s) == &b && in_a_row < 100) {
		sched_charge(&s, &b);
		in_a_row++;
	}
	assert_in_range(in_a_row, 0, 3);
	sched_remove(&s, &a);
	sched_remove(&s, &a); /* idempotent */
	assert_ptr_equal(sched_first(&s), &b);
	sched_done(&s);
}

static void who_used_more_than_expected_pays(void **state)
{
	(void)state;
	struct sched s = {0};
	struct sched_entity big = {0}, small = {0};
	uint64_t used_big = 0, used_small = 0;
	sched_add(&s, &big, 2);
	sched_add(&s, &small, 2);
	for (int n = 0; n < 20000; n++) {
		struct sched_entity *first = sched_first(&s);
		uint64_t used = first == &big ? 1000000 : 10000;
		*(first == &big ? &used_big : &used_small) += used;
		sched_charge(&s, first);
		sched_measured(&s, first, used);
	}
	assert_true(used_big < used_small + used_small / 10 + 2000000);
	assert_true(used_small < used_big + used_big / 10 + 2000000);
	sched_done(&s);
}

static void the_heap_agrees_with_a_plain_search(void **state)
{
	(void)state;
	enum { N = 64 };
	struct sched s = {0};
	struct sched_entity e[N] = {0};
	unsigned seed = 1;
	for (int n = 0; n < 50000; n++) {
		struct sched_entity *x = &e[rand_r(&seed) % N];
		switch (rand_r(&seed) % 4) {
		case 0:
			sched_add(&s, x, 1u << rand_r(&seed) % 4);
			break;
		case 1:
			sched_remove(&s, x);
			break;
		case 2:
			if (sched_first(&s))
				sched_charge(&s, sched_first(&s));
			break;
		default:
			sched_measured(&s, x, (uint64_t)rand_r(&seed) % 1000000);
			break;
		}
		const struct sched_entity *best = NULL;
		for (int i = 0; i < N; i++)
			if (e[i].place && (!best || e[i].deadline < best->deadline ||
					   (e[i].deadline == best->deadline && e[i].order < best->order)))
				best = &e[i];
		assert_ptr_equal(sched_first(&s), best);
	}
	sched_done(&s);
}

/* ---- quota ---- */

static void quota_takes_both_or_nothing(void **state)
{
	(void)state;
	char why[100];
	struct quota q = {.total = {100, 2000}};
	struct quota_need half = {50, 1000}, cores = {1, 1500}, huge = {101, 1}, most = {UINT64_MAX, 1};
	assert_true(quota_take(&q, &half, why, sizeof why));
	assert_false(quota_take(&q, &cores, why, sizeof why));
	assert_string_equal(why, "cpu_millis: needs 1500, free 1000");
	assert_int_equal(q.used.memory_mb, 50);
	assert_true(quota_take(&q, &half, why, sizeof why));
	assert_false(quota_take(&q, &half, why, sizeof why));
	assert_string_equal(why, "memory_mb: needs 50, free 0");
	assert_false(quota_possible(&q, &huge, why, sizeof why));
	assert_false(quota_possible(&q, &most, why, sizeof why));
	quota_give(&q, &half);
	quota_give(&q, &half);
	assert_int_equal(q.used.memory_mb + q.used.cpu_millis, 0);
	q.total = (struct quota_need){0, 0}; /* no limit */
	assert_true(quota_possible(&q, &most, NULL, 0));
}

/* ---- timers ---- */

static unsigned fired[200];
static unsigned fired_n;

static void on_timer(void *arg)
{
	fired[fired_n++] = (unsigned)(uintptr_t)arg;
}

static bool all_fired(void *arg)
{
	return fired_n == *(unsigned *)arg;
}

static void timers_fire_in_order_once_and_not_when_cleared(void **state)
{
	(void)state;
	struct engine t = {0};
	struct timers timers;
	struct rt_timer x[200] = {0};
	struct err e;
	unsigned want = 0;
	fired_n = 0;
	assert_int_equal(loop_init(&t.loop, &e), 0);
	assert_int_equal(timers_open(&timers, &t.loop), 0);
	for (unsigned i = 0; i < 200; i++)
		timer_set(&timers, &x[i], (i * 37) % 200, on_timer, (void *)(uintptr_t)((i * 37) % 200));
	for (unsigned i = 0; i < 200; i += 3)
		timer_clear(&timers, &x[i]);
	for (unsigned i = 1; i < 200; i += 3) /* set anew: still once */
		timer_set(&timers, &x[i], (i * 37) % 200, on_timer, x[i].arg);
	for (unsigned i = 0; i < 200; i++)
		want += i % 3 != 0;
	assert_true(engine_until(&t, all_fired, &want, 5000));
	engine_turn(&t, 50);
	assert_int_equal(fired_n, want);
	timers_close(&timers);
	loop_done(&t.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table_of_transitions_is_the_documented_one),
		cmocka_unit_test(packed_fields_are_read_back_and_damage_is_refused),
		cmocka_unit_test(service_follows_weight_and_nobody_starves),
		cmocka_unit_test(who_slept_has_saved_nothing_up),
		cmocka_unit_test(who_used_more_than_expected_pays),
		cmocka_unit_test(the_heap_agrees_with_a_plain_search),
		cmocka_unit_test(quota_takes_both_or_nothing),
		cmocka_unit_test(timers_fire_in_order_once_and_not_when_cleared),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
