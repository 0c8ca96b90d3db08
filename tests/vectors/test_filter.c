/* SPDX-License-Identifier: MIT */
/* test_filter.c - filters by labels and ids against a naive matcher, through updates, deletes and reuse of slots. */
#include <errno.h>

#include "lib/mem.h"
#include "tests/vectors/data.h"

#define DIM 24u
#define N   4000u

/* What the test itself knows of a row: bit i, whether it has label i of 0 to 7. */
static struct model {
	uint8_t labels[N];
	bool live[N];
	const struct vec_filter *filter;
} m;

static bool clause_holds(uint8_t labels, const struct vec_clause *c)
{
	for (size_t i = 0; i < c->n_labels; i++)
		if (c->labels[i] < 8 && labels >> c->labels[i] & 1)
			return !c->none;
	return c->none;
}

static bool passes(uint64_t id)
{
	if (!m.live[id])
		return false;
	bool named = !m.filter->ids;
	for (size_t i = 0; i < m.filter->n_ids && !named; i++)
		named = m.filter->ids[i] == id;
	for (size_t i = 0; i < m.filter->n_clauses; i++)
		named &= clause_holds(m.labels[id], &m.filter->clauses[i]);
	return named;
}

static void put(struct vec_index *v, const float *x, uint64_t id, uint8_t labels)
{
	uint64_t list[8];
	size_t n = 0;
	for (uint64_t i = 0; i < 8; i++)
		if (labels >> i & 1)
			list[n++] = i;
	OK(vec_upsert(v, &(struct vec_row){.id = id, .vector = x + id * DIM, .labels = list, .n_labels = n}, 1, e));
	m.labels[id] = labels;
	m.live[id] = true;
}

/* Labels 0 and 1 are of every second and eighth row, 2 of one in sixty, 3 of one in five hundred. */
static uint8_t labels_for(unsigned *seed)
{
	unsigned r = (unsigned)rand_r(seed);
	return (uint8_t)((r % 2 == 0) | (r % 8 == 1) << 1 | (r % 61 == 0) << 2 | (r % 509 == 0) << 3);
}

static unsigned ask(struct vec_index *v, const float *x, const float *query, const struct vec_filter *f, double recall, unsigned *ret_n)
{
	struct vec_hit hits[10];
	struct err e = {0};
	m.filter = f;
	int got = vec_search(v, &(struct vec_query){.vector = query, .k = 10, .recall = recall, .filter = f}, hits, &e);
	if (got < 0)
		fail_msg("%s", e.msg);
	*ret_n += (unsigned)got;
	return data_right(VEC_COSINE, x, N, DIM, query, hits, got, 10, passes);
}

static void every_filter_finds_the_nearest_that_pass(struct vec_index *v, const float *x)
{
	static const uint64_t l0[] = {0}, l1[] = {1}, l2[] = {2}, l3[] = {3}, l23[] = {2, 3}, none[] = {77}, ids[] = {1, 5, 9, 3999, 123456};
	static const struct vec_clause half = {l0, 1, false}, eighth = {l1, 1, false}, few = {l2, 1, false}, fewest = {l3, 1, false},
				       either = {l23, 2, false}, not_half = {l0, 1, true}, nobody = {none, 1, false},
				       everybody = {none, 1, true}, empty = {NULL, 0, false};
	const struct vec_clause both[] = {half, few}, without[] = {few, not_half}, three[] = {half, everybody, either};
	const struct vec_filter filters[] = {
		{.clauses = &half, .n_clauses = 1},    {.clauses = &eighth, .n_clauses = 1},	{.clauses = &few, .n_clauses = 1},
		{.clauses = &fewest, .n_clauses = 1},  {.clauses = &either, .n_clauses = 1},	{.clauses = &not_half, .n_clauses = 1},
		{.clauses = &nobody, .n_clauses = 1},  {.clauses = &everybody, .n_clauses = 1}, {.clauses = &empty, .n_clauses = 1},
		{.clauses = both, .n_clauses = 2},     {.clauses = without, .n_clauses = 2},	{.clauses = three, .n_clauses = 3},
		{.ids = ids, .n_ids = ARRAY_LEN(ids)}, {.ids = ids, .n_ids = 0},		{.clauses = &half, .n_clauses = 1, .ids = ids, .n_ids = 5},
		{.n_clauses = 0},
	};
	float *queries = data_make(12, DIM, 313);
	for (size_t f = 0; f < ARRAY_LEN(filters); f++) {
		unsigned right = 0, n = 0;
		for (unsigned i = 0; i < 12; i++)
			right += ask(v, x, queries + i * DIM, &filters[f], i % 3 ? 0.98 : 1, &n);
		assert_true(right >= 0.97 * n);
	}
	free(queries);
}

static void filters_hold_through_every_change(void **state)
{
	(void)state;
	float *x = data_make(N, DIM, 12);
	struct vec_index *v = NULL;
	unsigned seed = 21;
	memset(&m, 0, sizeof m);
	OK(vec_open(&v, NULL, &(struct vec_options){.dim = DIM, .max_rows = 3 * N}, e));
	for (uint64_t id = 0; id < N; id++)
		put(v, x, id, labels_for(&seed));
	every_filter_finds_the_nearest_that_pass(v, x);
	OK(vec_settle(v, e));
	every_filter_finds_the_nearest_that_pass(v, x);
	for (uint64_t id = 0; id < N; id += 3) {
		OK(vec_delete(v, &id, 1, NULL, e));
		m.live[id] = false;
	}
	for (uint64_t id = 1; id < N; id += 6) /* other labels */
		put(v, x, id, labels_for(&seed));
	every_filter_finds_the_nearest_that_pass(v, x);
	OK(vec_settle(v, e));
	OK(vec_compact(v, e));
	every_filter_finds_the_nearest_that_pass(v, x);
	for (uint64_t id = 0; id < N; id += 3) /* in the slots of the deleted */
		put(v, x, id, labels_for(&seed));
	every_filter_finds_the_nearest_that_pass(v, x);
	OK(vec_settle(v, e));
	every_filter_finds_the_nearest_that_pass(v, x);
	vec_close(v);
	free(x);
}

/* More rows pass than are read one by one: the graph is walked with the test. */
static bool in_half(uint64_t id)
{
	return id % 2 == 0;
}

static void a_filter_that_leaves_many_is_walked(void **state)
{
	(void)state;
	size_t n = 70000;
	unsigned dim = 8, right = 0;
	float *x = data_make(n, dim, 12), *queries = data_make(20, dim, 313);
	struct vec_index *v = NULL;
	OK(vec_open(&v, NULL, &(struct vec_options){.dim = dim, .metric = VEC_L2, .threads = 2}, e));
	for (size_t i = 0; i < n; i += 1000) {
		struct vec_row rows[1000];
		static const uint64_t labels[2] = {4, 5};
		for (size_t j = 0; j < 1000; j++)
			rows[j] = (struct vec_row){.id = i + j, .vector = x + (i + j) * dim, .labels = &labels[(i + j) % 2], .n_labels = 1};
		OK(vec_upsert(v, rows, 1000, e));
	}
	OK(vec_settle(v, e));
	struct vec_clause c = {(uint64_t[]){4}, 1, false};
	struct vec_filter f = {.clauses = &c, .n_clauses = 1};
	for (unsigned i = 0; i < 20; i++) {
		struct vec_hit hits[10];
		int got = vec_search(v, &(struct vec_query){.vector = queries + i * dim, .k = 10, .recall = 0.98, .filter = &f}, hits, NULL);
		right += data_right(VEC_L2, x, n, dim, queries + i * dim, hits, got, 10, in_half);
	}
	assert_true(right >= 0.95 * 200);
	vec_close(v);
	free(x);
	free(queries);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(filters_hold_through_every_change),
		cmocka_unit_test(a_filter_that_leaves_many_is_walked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
