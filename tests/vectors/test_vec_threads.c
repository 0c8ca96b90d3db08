/* SPDX-License-Identifier: MIT */
/* test_vec_threads.c - readers beside a writer, linkers and upkeep: no reader ever sees a row that is gone, a score that is
 * not the row's, or one id twice. Run it under ThreadSanitizer. */
#include <errno.h>
#include <pthread.h>

#include "tests/vectors/data.h"

#define DIM	16u
#define IDS	2400u
#define READERS 2
#define ROUNDS	1500u

static struct shared {
	struct vec_index *v;
	float *x[2];		       /* two versions of each row's vector */
	_Atomic uint8_t may_be[IDS];   /* bit 0, 1: version may be found; changed around each write */
	_Atomic bool stop;
	_Atomic unsigned searches;
} s;

static void check_hit(const float *q, const struct vec_hit *h, const uint8_t *before)
{
	assert_true(h->id < IDS);
	/* It may have come, or gone, while the search ran: what holds before or after is right. */
	unsigned allowed = before[h->id] | s.may_be[h->id];
	bool fits = false;
	for (unsigned version = 0; version < 2; version++) {
		double score = data_score(VEC_COSINE, q, s.x[version] + h->id * DIM, DIM);
		fits |= (allowed >> version & 1) && fabs(score - (double)h->score) < 1e-3;
	}
	if (!fits)
		fail_msg("id %llu, score %f, allowed %u", (unsigned long long)h->id, (double)h->score, allowed);
}

static void *read_on(void *arg)
{
	unsigned seed = 40 + (unsigned)(uintptr_t)arg;
	while (!s.stop) {
		struct vec_hit hits[10];
		uint8_t before[IDS];
		const float *q = s.x[rand_r(&seed) % 2] + (unsigned)rand_r(&seed) % IDS * DIM;
		for (unsigned i = 0; i < IDS; i++)
			before[i] = s.may_be[i];
		struct err e = {0};
		int n = vec_search(s.v, &(struct vec_query){.vector = q, .k = 10, .recall = rand_r(&seed) % 8 ? 0.9 : 1}, hits, &e);
		if (n < 0)
			fail_msg("%s", e.msg);
		for (int i = 0; i < n; i++) {
			check_hit(q, &hits[i], before);
			for (int j = 0; j < i; j++)
				assert_true(hits[i].id != hits[j].id);
		}
		autobuf struct buf payload;
		buf_init(&payload, 100);
		int r = vec_get(s.v, (unsigned)rand_r(&seed) % IDS, NULL, &payload, NULL);
		assert_true(r == 0 || r == -ENOENT);
		s.searches++;
	}
	return NULL;
}

static void change(unsigned *seed)
{
	uint64_t id = (unsigned)rand_r(seed) % IDS;
	unsigned what = (unsigned)rand_r(seed) % 3;
	if (what == 2) {
		OK(vec_delete(s.v, &id, 1, NULL, e));
		s.may_be[id] = 0;
		return;
	}
	s.may_be[id] |= (uint8_t)(1u << what);
	OK(vec_upsert(s.v, &(struct vec_row){.id = id, .vector = s.x[what] + id * DIM, .payload = "p", .payload_len = 1}, 1, e));
	s.may_be[id] = (uint8_t)(1u << what);
}

static void readers_and_a_writer(void **state)
{
	(void)state;
	char dir[64], path[96];
	pthread_t readers[READERS];
	unsigned seed = 8;
	tempdir_make(dir);
	snprintf(path, sizeof path, "%s/index", dir);
	s.x[0] = data_make(IDS, DIM, 1);
	s.x[1] = data_make(IDS, DIM, 2);
	OK(vec_open(&s.v, path, &(struct vec_options){.dim = DIM, .threads = 2, .max_rows = 50000, .lazy_sync = true}, e));
	for (uint64_t id = 0; id < IDS; id++) {
		s.may_be[id] = 1;
		OK(vec_upsert(s.v, &(struct vec_row){.id = id, .vector = s.x[0] + id * DIM}, 1, e));
	}
	for (uintptr_t i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&readers[i], NULL, read_on, (void *)i), 0);
	for (unsigned round = 0; round < ROUNDS; round++) {
		change(&seed);
		if (round % 300 == 299)
			OK(vec_compact(s.v, e));
	}
	s.stop = true;
	for (int i = 0; i < READERS; i++)
		pthread_join(readers[i], NULL);
	assert_true(s.searches > 0);
	OK(vec_settle(s.v, e));
	OK(vec_verify(s.v, e));
	vec_close(s.v);
	tempdir_remove(dir);
	free(s.x[0]);
	free(s.x[1]);
}

static void *write_own(void *arg)
{
	uint64_t from = (uintptr_t)arg * 500;
	for (uint64_t id = from; id < from + 500; id++)
		OK(vec_upsert(s.v, &(struct vec_row){.id = id, .vector = s.x[0] + id * DIM}, 1, e));
	return NULL;
}

/* Writers at the same time share syncs; each has all its rows. */
static void several_writers(void **state)
{
	(void)state;
	char dir[64], path[96];
	pthread_t writers[4];
	struct vec_stats st;
	tempdir_make(dir);
	snprintf(path, sizeof path, "%s/index", dir);
	s.x[0] = data_make(2000, DIM, 1);
	OK(vec_open(&s.v, path, &(struct vec_options){.dim = DIM, .threads = 1, .max_rows = 50000}, e));
	for (uintptr_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&writers[i], NULL, write_own, (void *)i), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(writers[i], NULL);
	vec_close(s.v);
	OK(vec_open(&s.v, path, &(struct vec_options){.dim = DIM, .max_rows = 50000}, e));
	vec_stats(s.v, &st);
	assert_int_equal(st.rows, 2000);
	OK(vec_verify(s.v, e));
	vec_close(s.v);
	tempdir_remove(dir);
	free(s.x[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(readers_and_a_writer),
		cmocka_unit_test(several_writers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
