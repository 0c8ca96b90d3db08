/* SPDX-License-Identifier: MIT */
/* test_vec.c - an index in memory against an exact search, at every size and metric. */
#include <errno.h>

#include "tests/vectors/data.h"

#define DIM 48u
#define Q   60u

static struct vec_index *open_memory(unsigned dim, enum vec_metric m, unsigned threads)
{
	struct vec_index *v = NULL;
	OK(vec_open(&v, NULL, &(struct vec_options){.dim = dim, .metric = m, .threads = threads, .max_rows = 100000}, e));
	return v;
}

/* Recall over Q fresh queries; every hit's score and order is checked. */
static double recall_of(struct vec_index *v, const float *x, size_t n, unsigned dim, enum vec_metric m, double asked, unsigned k,
			bool (*live)(uint64_t id))
{
	float *queries = data_make(Q, dim, 991);
	unsigned right = 0;
	for (unsigned i = 0; i < Q; i++) {
		struct vec_hit hits[200];
		struct vec_query q = {.vector = queries + i * dim, .k = k, .recall = asked};
		struct err e = {0};
		int got = vec_search(v, &q, hits, &e);
		if (got < 0)
			fail_msg("%s", e.msg);
		right += data_right(m, x, n, dim, q.vector, hits, got, k, live);
	}
	free(queries);
	return (double)right / (Q * k);
}

static void every_size_and_metric_finds_the_nearest(void **state)
{
	(void)state;
	static const size_t sizes[] = {1, 7, 500, 2000, 2001, 6000};
	for (int m = VEC_COSINE; m <= VEC_L2; m++)
		for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
			float *x = data_make(sizes[s], DIM, 5);
			struct vec_index *v = open_memory(DIM, (enum vec_metric)m, 0);
			struct vec_stats st;
			data_put(v, x, 0, sizes[s], DIM);
			/* Not linked yet: found all the same. */
			assert_true(recall_of(v, x, sizes[s], DIM, (enum vec_metric)m, 0, 10, NULL) * Q * 10 >=
				    0.98 * Q * (sizes[s] < 10 ? (double)sizes[s] : 10));
			OK(vec_settle(v, e));
			vec_stats(v, &st);
			assert_int_equal(st.rows, sizes[s]);
			assert_true(sizes[s] <= 2000 || st.unlinked == 0);
			if (sizes[s] >= 10) {
				assert_true(recall_of(v, x, sizes[s], DIM, (enum vec_metric)m, 0.95, 10, NULL) >= 0.93);
				assert_true(recall_of(v, x, sizes[s], DIM, (enum vec_metric)m, 0.99, 10, NULL) >= 0.98);
				assert_true(recall_of(v, x, sizes[s], DIM, (enum vec_metric)m, 1, 10, NULL) == 1);
			}
			vec_close(v);
			free(x);
		}
}

static void any_dimension(void **state)
{
	(void)state;
	static const unsigned dims[] = {1, 2, 3, 16, 63, 64, 65, 384, 1000};
	for (size_t i = 0; i < sizeof dims / sizeof dims[0]; i++) {
		float *x = data_make(2600, dims[i], 2);
		struct vec_index *v = open_memory(dims[i], VEC_L2, 0);
		data_put(v, x, 0, 2600, dims[i]);
		OK(vec_settle(v, e));
		assert_true(recall_of(v, x, 2600, dims[i], VEC_L2, 0.99, 10, NULL) >= 0.95);
		vec_close(v);
		free(x);
	}
}

static void a_large_k_and_more_than_there_is(void **state)
{
	(void)state;
	float *x = data_make(3000, DIM, 8);
	struct vec_index *v = open_memory(DIM, VEC_COSINE, 0);
	data_put(v, x, 0, 150, DIM);
	assert_true(recall_of(v, x, 150, DIM, VEC_COSINE, 0, 200, NULL) * 200 >= 149.5);
	data_put(v, x, 150, 2850, DIM);
	OK(vec_settle(v, e));
	assert_true(recall_of(v, x, 3000, DIM, VEC_COSINE, 0.95, 200, NULL) >= 0.95);
	vec_close(v);
	free(x);
}

static void rows_that_come_in_any_order_while_threads_link_them_are_found_at_once(void **state)
{
	(void)state;
	float *x = data_make(8000, DIM, 4);
	struct vec_index *v = open_memory(DIM, VEC_COSINE, 2);
	for (size_t i = 0; i < 8000; i += 100) {
		data_put(v, x, i, 100, DIM);
		struct vec_hit hit[1];
		struct vec_query q = {.vector = x + (i + 99) * DIM, .k = 1};
		OK(vec_search(v, &q, hit, e));
		assert_int_equal(hit[0].id, i + 99);
	}
	OK(vec_settle(v, e));
	assert_true(recall_of(v, x, 8000, DIM, VEC_COSINE, 0.95, 10, NULL) >= 0.93);
	vec_close(v);
	free(x);
}

static bool odd(uint64_t id)
{
	return id % 2;
}

static void deleted_rows_are_not_found_before_and_after_they_are_consolidated(void **state)
{
	(void)state;
	for (int settled = 0; settled < 2; settled++) {
		size_t n = 6000, deleted = 0;
		float *x = data_make(n, DIM, 4);
		struct vec_index *v = open_memory(DIM, VEC_COSINE, 0);
		data_put(v, x, 0, n, DIM);
		if (settled)
			OK(vec_settle(v, e));
		for (uint64_t id = 0; id < n; id += 2)
			OK(vec_delete(v, &id, 1, &deleted, e));
		assert_int_equal(deleted, 1);
		OK(vec_delete(v, &(uint64_t){0}, 1, &deleted, e));
		assert_int_equal(deleted, 0);
		assert_true(recall_of(v, x, n, DIM, VEC_COSINE, 0.99, 10, odd) >= 0.95);
		OK(vec_settle(v, e));
		assert_true(recall_of(v, x, n, DIM, VEC_COSINE, 0.99, 10, odd) >= 0.95);
		OK(vec_compact(v, e));
		assert_true(recall_of(v, x, n, DIM, VEC_COSINE, 0.99, 10, odd) >= 0.95);
		OK(vec_verify(v, e));
		vec_close(v);
		free(x);
	}
}

static void slots_of_deleted_rows_are_used_again(void **state)
{
	(void)state;
	size_t n = 4000;
	float *x = data_make(n, DIM, 4);
	struct vec_index *v = open_memory(DIM, VEC_COSINE, 0);
	struct vec_stats before, after;
	data_put(v, x, 0, n, DIM);
	OK(vec_settle(v, e));
	vec_stats(v, &before);
	for (int round = 0; round < 5; round++) {
		for (uint64_t id = 0; id < n; id += 2)
			OK(vec_delete(v, &id, 1, NULL, e));
		OK(vec_compact(v, e));
		for (uint64_t id = 0; id < n; id += 2)
			OK(vec_upsert(v, &(struct vec_row){.id = id, .vector = x + id * DIM}, 1, e));
		OK(vec_settle(v, e));
	}
	vec_stats(v, &after);
	assert_int_equal(after.rows, n);
	assert_int_equal(after.hot_bytes, before.hot_bytes);
	assert_true(recall_of(v, x, n, DIM, VEC_COSINE, 0.99, 10, NULL) >= 0.95);
	vec_close(v);
	free(x);
}

static void an_upsert_replaces_vector_and_payload(void **state)
{
	(void)state;
	float *x = data_make(5000, DIM, 4);
	float got[DIM];
	struct vec_hit hits[3];
	autobuf struct buf payload;
	buf_init(&payload, 100);
	struct vec_index *v = open_memory(DIM, VEC_L2, 0);
	data_put(v, x, 0, 2500, DIM);
	OK(vec_settle(v, e));
	for (uint64_t id = 0; id < 2500; id++) /* every row takes another's place */
		OK(vec_upsert(v, &(struct vec_row){.id = id, .vector = x + (2500 + id) * DIM, .payload = "new", .payload_len = 3}, 1, e));
	for (uint64_t id = 0; id < 2500; id += 50) {
		struct vec_query q = {.vector = x + (2500 + id) * DIM, .k = 3};
		OK(vec_search(v, &q, hits, e));
		assert_int_equal(hits[0].id, id);
		assert_true(hits[0].score > -1e-6f);
		assert_true(hits[1].id != id && hits[2].id != id);
	}
	OK(vec_get(v, 7, got, &payload, e));
	assert_memory_equal(got, x + 2507 * DIM, sizeof got);
	assert_string_equal(payload.data, "new");
	vec_close(v);
	free(x);
}

static int count_one(void *arg, const struct vec_row *row)
{
	uint64_t *sum = arg;
	sum[0]++;
	sum[1] += row->id;
	sum[2] += row->n_labels + row->payload_len;
	return sum[0] == sum[3] ? -ECANCELED : 0;
}

static void rows_are_read_and_walked(void **state)
{
	(void)state;
	float *x = data_make(100, DIM, 4);
	struct vec_index *v = open_memory(DIM, VEC_COSINE, 0);
	struct err e2 = {0};
	uint64_t sum[4] = {0};
	data_put(v, x, 0, 100, DIM);
	OK(vec_delete(v, &(uint64_t){99}, 1, NULL, e));
	OK(vec_upsert(v, &(struct vec_row){5, x, (uint64_t[]){3, 3, 4}, 3, "abc", 3}, 1, e));
	OK(vec_each(v, count_one, sum, e));
	assert_int_equal(sum[0], 99);
	assert_int_equal(sum[1], 99 * 98 / 2);
	assert_int_equal(sum[2], 2 + 3);
	sum[3] = sum[0] + 4;
	assert_int_equal(vec_each(v, count_one, sum, NULL), -ECANCELED);
	assert_int_equal(vec_get(v, 99, NULL, NULL, &e2), -ENOENT);
	assert_int_equal(e2.code, ERR_VDB_NOT_FOUND);
	vec_close(v);
	free(x);
}

static void refuse_put(struct vec_index *v, struct vec_row row, const char *why)
{
	struct err e = {0};
	float good[4] = {1, 2, 3, 4};
	struct vec_row rows[2] = {{.id = 1, .vector = good}, row};
	assert_int_equal(vec_upsert(v, rows, 2, &e), -EINVAL);
	assert_int_equal(e.code, ERR_VDB_INVALID);
	assert_non_null(strstr(e.msg, why));
	struct vec_stats st;
	vec_stats(v, &st);
	assert_int_equal(st.rows, 0); /* not the good one either */
}

static void what_is_not_valid_is_refused_whole(void **state)
{
	(void)state;
	struct vec_index *v = open_memory(4, VEC_COSINE, 0);
	static const uint64_t labels[VEC_LABELS_MAX + 1];
	static const char payload[VEC_PAYLOAD_MAX + 1];
	const float good[4] = {1}, zero[4] = {0}, nan_[4] = {1, NAN}, inf[4] = {INFINITY}, huge[4] = {3e38f, 3e38f};
	struct vec_hit hit[1];
	struct err e2 = {0};
	refuse_put(v, (struct vec_row){.id = 2}, "row 1 (id 2) has no vector");
	refuse_put(v, (struct vec_row){.id = 2, .vector = zero}, "all zero");
	refuse_put(v, (struct vec_row){.id = 2, .vector = nan_}, "not finite");
	refuse_put(v, (struct vec_row){.id = 2, .vector = inf}, "not finite");
	refuse_put(v, (struct vec_row){.id = 2, .vector = huge}, "too long");
	refuse_put(v, (struct vec_row){2, good, labels, VEC_LABELS_MAX + 1, NULL, 0}, "labels");
	refuse_put(v, (struct vec_row){2, good, NULL, 0, payload, VEC_PAYLOAD_MAX + 1}, "payload");
	OK(vec_upsert(v, &(struct vec_row){2, good, labels, VEC_LABELS_MAX, payload, VEC_PAYLOAD_MAX}, 1, e));
	assert_int_equal(vec_search(v, &(struct vec_query){.vector = nan_, .k = 1}, hit, &e2), -EINVAL);
	assert_int_equal(vec_search(v, &(struct vec_query){.vector = zero, .k = 1}, hit, &e2), -EINVAL);
	assert_int_equal(vec_search(v, &(struct vec_query){.vector = good, .k = 0}, hit, &e2), -EINVAL);
	assert_int_equal(vec_search(v, &(struct vec_query){.vector = good, .k = VEC_K_MAX + 1}, hit, &e2), -EINVAL);
	assert_int_equal(vec_search(v, &(struct vec_query){.vector = good, .k = 1, .recall = 1.1}, hit, &e2), -EINVAL);
	assert_int_equal(vec_search(v, &(struct vec_query){.vector = good, .k = 1}, hit, &e2), 1);
	vec_close(v);
	assert_int_equal(vec_open(&v, NULL, &(struct vec_options){.dim = VEC_DIM_MAX + 1}, &e2), -EINVAL);
	assert_int_equal(vec_open(&v, NULL, &(struct vec_options){.metric = 3}, &e2), -EINVAL);
}

static void a_full_index_says_so_and_goes_on_answering(void **state)
{
	(void)state;
	struct vec_index *v = NULL;
	float *x = data_make(101, DIM, 4);
	struct err e2 = {0};
	struct vec_hit hit[1];
	OK(vec_open(&v, NULL, &(struct vec_options){.dim = DIM, .max_rows = 100}, e));
	data_put(v, x, 0, 100, DIM);
	assert_int_equal(vec_upsert(v, &(struct vec_row){.id = 100, .vector = x + 100 * DIM}, 1, &e2), -ENOSPC);
	assert_int_equal(e2.code, ERR_VDB_FULL);
	assert_int_equal(vec_search(v, &(struct vec_query){.vector = x, .k = 1}, hit, &e2), 1);
	assert_int_equal(hit[0].id, 0);
	vec_close(v);
	free(x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_size_and_metric_finds_the_nearest),
		cmocka_unit_test(any_dimension),
		cmocka_unit_test(a_large_k_and_more_than_there_is),
		cmocka_unit_test(rows_that_come_in_any_order_while_threads_link_them_are_found_at_once),
		cmocka_unit_test(deleted_rows_are_not_found_before_and_after_they_are_consolidated),
		cmocka_unit_test(slots_of_deleted_rows_are_used_again),
		cmocka_unit_test(an_upsert_replaces_vector_and_payload),
		cmocka_unit_test(rows_are_read_and_walked),
		cmocka_unit_test(what_is_not_valid_is_refused_whole),
		cmocka_unit_test(a_full_index_says_so_and_goes_on_answering),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
