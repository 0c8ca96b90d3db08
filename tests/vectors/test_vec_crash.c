/* SPDX-License-Identifier: MIT */
/* test_vec_crash.c - kill -9 of a writer at any moment: the index that is opened then is that after some whole number of
 * its operations, none that was acknowledged missing. Deletes, upserts, batches, checkpoints and compactions are all
 * among them. */
#include <errno.h>

#include "tests/support/crash.h"
#include "tests/vectors/data.h"

#define DIM 16u
#define IDS 3500u
#define MAX_OPS 200000u

struct rows { /* the model: by id, which operation wrote the row; 0: not there */
	uint32_t wrote[IDS];
	uint32_t ops;
};

static char dir[64], path[96];

static uint64_t mix(uint64_t x)
{
	x = (x + 1) * 0x9e3779b97f4a7c15ull;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	return x ^ x >> 27;
}

/* The vector that operation `op` gives to an id: whoever reads it knows both. */
static void vector_of(uint32_t op, uint64_t id, float *ret)
{
	unsigned seed = (unsigned)mix(op * 7919ull + id);
	for (unsigned d = 0; d < DIM; d++)
		ret[d] = (float)(rand_r(&seed) % 2000) - 1000 + 0.5f;
}

/* Operation `op` is: ids it upserts (1 to 30), or deletes. */
static bool plan(uint32_t op, uint64_t ids[30], size_t *ret_n)
{
	uint64_t h = mix(op);
	bool is_delete = h % 4 == 0;
	*ret_n = 1 + (h >> 8) % 30;
	for (size_t i = 0; i < *ret_n; i++)
		ids[i] = mix(h + i) % IDS;
	return is_delete;
}

static void apply(struct rows *m, uint32_t op)
{
	uint64_t ids[30];
	size_t n;
	bool is_delete = plan(op, ids, &n);
	for (size_t i = 0; i < n; i++)
		m->wrote[ids[i]] = is_delete ? 0 : op;
	m->ops = op;
}

static int run(struct vec_index *v, uint32_t op)
{
	uint64_t ids[30];
	float x[30][DIM];
	struct vec_row rows[30];
	size_t n;
	if (plan(op, ids, &n))
		return vec_delete(v, ids, n, NULL, NULL);
	for (size_t i = 0; i < n; i++) {
		vector_of(op, ids[i], x[i]);
		rows[i] = (struct vec_row){.id = ids[i], .vector = x[i], .payload = &op, .payload_len = sizeof op};
	}
	return vec_upsert(v, rows, n, NULL);
}

static struct vec_index *open_it(unsigned threads)
{
	struct vec_index *v = NULL;
	OK(vec_open(&v, path, &(struct vec_options){.dim = DIM, .metric = VEC_L2, .max_rows = 100000, .threads = threads}, e));
	return v;
}

static void work(void *arg, int fd)
{
	const struct rows *m = arg;
	struct vec_index *v = open_it(1);
	for (uint32_t op = m->ops + 1; op < MAX_OPS; op++) {
		uint64_t told = op;
		if (run(v, op) < 0 || write(fd, &told, sizeof told) != sizeof told)
			_exit(1);
		if (mix(op) % 97 == 0 && vec_compact(v, NULL) < 0)
			_exit(1);
	}
	for (;;)
		pause();
}

/* Is the index exactly the model? */
static bool same(struct vec_index *v, const struct rows *m)
{
	for (uint64_t id = 0; id < IDS; id++) {
		float got[DIM], want[DIM];
		uint32_t op = 0;
		autobuf struct buf payload;
		buf_init(&payload, 100);
		int r = vec_get(v, id, got, &payload, NULL);
		if (r < 0 && r != -ENOENT)
			fail_msg("id %llu: %d", (unsigned long long)id, r);
		if (r == 0)
			memcpy(&op, payload.data, sizeof op);
		if (op != m->wrote[id])
			return false;
		vector_of(op, id, want);
		if (r == 0)
			assert_memory_equal(got, want, sizeof got);
	}
	return true;
}

static void kill_9_loses_nothing_acknowledged_and_brings_nothing_back(void **state)
{
	(void)state;
	static struct rows m;
	unsigned seed = 11;
	for (unsigned i = crash_rounds(15); i > 0; i--) {
		uint64_t told = crash_once(work, &m, 2000 + (unsigned)rand_r(&seed) % 200000, m.ops);
		struct vec_index *v = open_it(0);
		while (m.ops < told)
			apply(&m, m.ops + 1);
		if (!same(v, &m)) { /* one more may have been on the disk before it could be told */
			apply(&m, m.ops + 1);
			assert_true(same(v, &m));
		}
		OK(vec_verify(v, e));
		struct vec_hit hit[1];
		for (uint64_t id = 0; id < IDS; id += 100) {
			float x[DIM];
			if (!m.wrote[id])
				continue;
			vector_of(m.wrote[id], id, x);
			OK(vec_search(v, &(struct vec_query){.vector = x, .k = 1, .recall = 1}, hit, e));
			assert_int_equal(hit[0].id, id);
		}
		vec_close(v);
		if (m.ops > MAX_OPS / 2) {
			tempdir_remove(path);
			m = (struct rows){0};
		}
	}
	assert_true(m.ops > 0);
}

static int make_dir(void **state)
{
	(void)state;
	tempdir_make(dir);
	snprintf(path, sizeof path, "%s/index", dir);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	tempdir_remove(dir);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(kill_9_loses_nothing_acknowledged_and_brings_nothing_back, make_dir, remove_dir),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
