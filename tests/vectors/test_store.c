/* SPDX-License-Identifier: MIT */
/* test_store.c - an index on the disk: closed and opened, torn, damaged, locked, compacted. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "lib/mem.h"
#include "tests/vectors/data.h"

#define DIM 32u
#define N   3000u

struct disk {
	char dir[64], index[96];
	float *x;
};

static int setup(void **state)
{
	struct disk *t = calloc(1, sizeof *t);
	tempdir_make(t->dir);
	snprintf(t->index, sizeof t->index, "%s/index", t->dir);
	t->x = data_make(N, DIM, 6);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct disk *t = *state;
	tempdir_remove(t->dir);
	free(t->x);
	free(t);
	return 0;
}

static struct vec_index *open_it(struct disk *t)
{
	struct vec_index *v = NULL;
	OK(vec_open(&v, t->index, &(struct vec_options){.dim = DIM, .max_rows = 20000}, e));
	return v;
}

static void put_labelled(struct vec_index *v, const float *x, uint64_t from, uint64_t to)
{
	for (uint64_t id = from; id < to; id++) {
		uint64_t labels[2] = {id % 3, 100 + id % 7};
		char text[32];
		int len = snprintf(text, sizeof text, "text of %llu", (unsigned long long)id);
		OK(vec_upsert(v, &(struct vec_row){id, x + id * DIM, labels, 2, text, (size_t)len}, 1, e));
	}
}

/* Every third id from 1 on is gone; the others are there with vector, payload and labels. */
static bool kept(uint64_t id)
{
	return id % 3 != 1;
}

static void check_kept(struct vec_index *v, struct disk *t, uint64_t n)
{
	struct vec_stats st;
	vec_stats(v, &st);
	assert_int_equal(st.rows, n - (n + 1) / 3);
	for (uint64_t id = 0; id < n; id++) {
		float got[DIM];
		char want[32];
		autobuf struct buf payload;
		buf_init(&payload, 100);
		int r = vec_get(v, id, got, &payload, NULL);
		assert_int_equal(r, kept(id) ? 0 : -ENOENT);
		if (r < 0)
			continue;
		snprintf(want, sizeof want, "text of %llu", (unsigned long long)id);
		assert_string_equal(payload.data, want);
		assert_true(data_score(VEC_COSINE, got, t->x + id * DIM, DIM) > 0.99999);
	}
	for (uint64_t id = 0; id < n; id += n / 50 + 1) {
		struct vec_hit hits[5];
		uint64_t label = 2;
		struct vec_clause clause = {&label, 1, false};
		struct vec_filter filter = {.clauses = &clause, .n_clauses = 1};
		OK(vec_search(v, &(struct vec_query){.vector = t->x + id * DIM, .k = 5, .filter = &filter}, hits, e));
		for (int i = 0; i < 5; i++)
			assert_int_equal(hits[i].id % 3, 2);
		if (kept(id)) {
			OK(vec_search(v, &(struct vec_query){.vector = t->x + id * DIM, .k = 1, .recall = 1}, hits, e));
			assert_int_equal(hits[0].id, id);
		}
	}
	OK(vec_verify(v, e));
}

static void delete_thirds(struct vec_index *v, uint64_t n)
{
	for (uint64_t id = 1; id < n; id += 3)
		OK(vec_delete(v, &id, 1, NULL, e));
}

static void rows_are_there_after_an_open_from_the_log_alone(void **state)
{
	struct disk *t = *state;
	struct vec_index *v = open_it(t);
	put_labelled(v, t->x, 0, 900);
	delete_thirds(v, 900);
	vec_close(v);
	for (int i = 0; i < 2; i++) {
		v = open_it(t);
		check_kept(v, t, 900);
		vec_close(v);
	}
}

static void rows_are_there_after_an_open_from_a_checkpoint_and_what_came_after_it(void **state)
{
	struct disk *t = *state;
	struct vec_stats st;
	struct vec_index *v = open_it(t);
	put_labelled(v, t->x, 0, 2700);
	OK(vec_settle(v, e));
	OK(vec_compact(v, e));
	put_labelled(v, t->x, 2700, N);
	delete_thirds(v, N);
	check_kept(v, t, N);
	vec_close(v);
	v = open_it(t);
	vec_stats(v, &st);
	assert_true(st.replay_bytes > 0);
	check_kept(v, t, N);
	OK(vec_settle(v, e));
	OK(vec_compact(v, e));
	vec_stats(v, &st);
	assert_int_equal(st.replay_bytes, 0);
	assert_true(st.ef[0] > 0);
	check_kept(v, t, N);
	vec_close(v);
	v = open_it(t);
	vec_stats(v, &st);
	assert_true(st.ef[0] > 0);
	check_kept(v, t, N);
	vec_close(v);
}

static void files(struct disk *t, const char *name, char ret[256])
{
	snprintf(ret, 256, "%s/%s", t->index, name);
}

static int open_fails(struct disk *t, struct err *e)
{
	struct vec_index *v = NULL;
	int r = vec_open(&v, t->index, &(struct vec_options){.dim = DIM, .max_rows = 20000}, e);
	vec_close(v);
	return r;
}

static void flip(const char *path, off_t at)
{
	char byte;
	int fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= 0x10;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

static off_t size_of(const char *path)
{
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

/* Flip single bytes all over a file: an open names the file and an offset before the byte, and never answers. */
static void flips_are_refused(struct disk *t, const char *name, off_t from, off_t to, off_t step)
{
	char path[256];
	files(t, name, path);
	for (off_t at = from; at < to; at += step) {
		struct err e = {0};
		flip(path, at);
		int r = open_fails(t, &e);
		if (r != -EUCLEAN || e.code != ERR_VDB_DAMAGED || !strstr(e.msg, name))
			fail_msg("byte %lld of %s: %d %s", (long long)at, name, r, e.msg);
		const char *said = strstr(e.msg, "offset ");
		long long offset = -1;
		assert_non_null(said);
		assert_int_equal(sscanf(said, "offset %lld", &offset), 1);
		assert_true(offset >= 0 && offset <= at);
		flip(path, at);
	}
	assert_int_equal(open_fails(t, NULL), 0);
}

static void a_flipped_byte_is_refused_by_file_and_offset(void **state)
{
	struct disk *t = *state;
	char path[256];
	struct vec_index *v = open_it(t);
	put_labelled(v, t->x, 0, 200);
	vec_close(v);
	files(t, "rows-00000001.vec", path);
	flips_are_refused(t, "rows-00000001.vec", 0, 64 + 200 * 256, 237);
	v = open_it(t);
	put_labelled(v, t->x, 200, N);
	OK(vec_settle(v, e));
	OK(vec_compact(v, e));
	vec_close(v);
	files(t, "graph-00000001.vec", path);
	flips_are_refused(t, "graph-00000001.vec", 0, 160, 7);
	off_t end = size_of(path), pages = 0;
	for (off_t at = 4096; at + 20 < end; at += 65003, pages++) {
		/* Between sections is padding that nothing reads. */
		struct err e = {0};
		flip(path, at);
		int r = open_fails(t, &e);
		assert_true(r == 0 || (r == -EUCLEAN && strstr(e.msg, "graph-00000001.vec")));
		pages += r == 0 ? -1 : 0;
		flip(path, at);
	}
	assert_true(pages > 0);
	flips_are_refused(t, "MANIFEST", 0, size_of((files(t, "MANIFEST", path), path)), 3);
}

static void a_byte_that_an_open_need_not_read_is_found_by_verify(void **state)
{
	struct disk *t = *state;
	char path[256];
	struct err e2 = {0};
	struct vec_index *v = open_it(t);
	put_labelled(v, t->x, 0, 500);
	OK(vec_compact(v, e));
	vec_close(v);
	files(t, "rows-00000001.vec", path);
	flip(path, 64 + 3 * 256 + 100);
	v = open_it(t);
	assert_int_equal(vec_verify(v, &e2), -EUCLEAN);
	assert_non_null(strstr(e2.msg, "rows-00000001.vec' is damaged at offset 832"));
	e2 = (struct err){0};
	assert_int_equal(vec_get(v, 3, NULL, NULL, &e2), -EUCLEAN);
	assert_int_equal(vec_get(v, 2, NULL, NULL, &e2), 0);
	vec_close(v);
}

/* What a crash leaves: the file ends anywhere behind what was synced, or holds a part of a record. */
static void a_torn_tail_is_cut_and_the_rows_before_it_stay(void **state)
{
	struct disk *t = *state;
	char path[256], manifest[256];
	autobuf struct buf saved;
	struct vec_index *v = open_it(t);
	buf_init(&saved, 1000);
	files(t, "MANIFEST", manifest);
	char text[512];
	int fd = open(manifest, O_RDONLY);
	ssize_t len = read(fd, text, sizeof text);
	close(fd);
	put_labelled(v, t->x, 0, 20);
	vec_close(v);
	files(t, "rows-00000001.vec", path);
	off_t full = 64 + 20 * 256;
	for (off_t cut = full; cut > 64; cut -= 77) {
		/* A manifest from before the rows: nothing says that they were acknowledged. */
		fd = open(manifest, O_WRONLY | O_TRUNC);
		assert_int_equal(write(fd, text, (size_t)len), len);
		close(fd);
		assert_int_equal(truncate(path, cut), 0);
		if (cut % 2) { /* and noise behind */
			fd = open(path, O_WRONLY | O_APPEND);
			assert_int_equal(write(fd, "noise noise noise", 17), 17);
			close(fd);
		}
		struct vec_stats st;
		v = open_it(t);
		vec_stats(v, &st);
		assert_int_equal(st.rows, (cut - 64) / 256);
		put_labelled(v, t->x, st.rows, 20);
		vec_close(v);
		v = open_it(t);
		vec_stats(v, &st);
		assert_int_equal(st.rows, 20);
		OK(vec_verify(v, e));
		vec_close(v);
	}
}

static void a_batch_is_there_whole_or_not_at_all(void **state)
{
	struct disk *t = *state;
	char path[256], manifest[256], text[512];
	struct vec_index *v = open_it(t);
	struct vec_stats st;
	files(t, "MANIFEST", manifest);
	int fd = open(manifest, O_RDONLY);
	ssize_t len = read(fd, text, sizeof text);
	close(fd);
	data_put(v, t->x, 0, 10, DIM);
	vec_close(v);
	files(t, "rows-00000001.vec", path);
	assert_int_equal(truncate(path, 64 + 10 * 192 - 70), 0);
	fd = open(manifest, O_WRONLY | O_TRUNC);
	assert_int_equal(write(fd, text, (size_t)len), len);
	close(fd);
	v = open_it(t);
	vec_stats(v, &st);
	assert_int_equal(st.rows, 0);
	vec_close(v);
}

static void acknowledged_rows_that_are_missing_are_damage(void **state)
{
	struct disk *t = *state;
	char path[256];
	struct err e2 = {0};
	struct vec_index *v = open_it(t);
	data_put(v, t->x, 0, 10, DIM);
	vec_close(v);
	files(t, "rows-00000001.vec", path);
	assert_int_equal(truncate(path, 64 + 10 * 192 - 70), 0);
	assert_int_equal(open_fails(t, &e2), -EUCLEAN);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(open_fails(t, &e2), -EUCLEAN);
	assert_non_null(strstr(e2.msg, "rows-00000001.vec"));
}

static void a_manifest_that_is_gone_is_not_a_new_index(void **state)
{
	struct disk *t = *state;
	char path[256];
	struct err e2 = {0};
	struct vec_index *v = open_it(t);
	data_put(v, t->x, 0, 10, DIM);
	vec_close(v);
	files(t, "MANIFEST", path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(open_fails(t, &e2), -EUCLEAN);
	assert_non_null(strstr(e2.msg, "MANIFEST"));
}

static void another_process_is_told_that_it_is_open(void **state)
{
	struct disk *t = *state;
	struct vec_index *v = open_it(t);
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		struct err e = {0};
		_exit(open_fails(t, &e) == -EBUSY && e.code == ERR_VDB_BUSY ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	vec_close(v);
}

static void another_dimension_or_metric_is_refused(void **state)
{
	struct disk *t = *state;
	struct vec_index *v = NULL;
	struct err e2 = {0};
	assert_int_equal(vec_open(&v, t->index, &(struct vec_options){.must_exist = true}, &e2), -ENOENT);
	vec_close(open_it(t));
	assert_int_equal(vec_open(&v, t->index, &(struct vec_options){.dim = DIM + 1}, &e2), -EINVAL);
	assert_int_equal(vec_open(&v, t->index, &(struct vec_options){.metric = VEC_L2}, &e2), -EINVAL);
	OK(vec_open(&v, t->index, &(struct vec_options){.metric = VEC_L2, .any_metric = true}, e));
	struct vec_stats st;
	vec_stats(v, &st);
	assert_int_equal(st.dim, DIM);
	assert_int_equal(st.metric, VEC_COSINE);
	vec_close(v);
}

/* Rows of 256 KiB: a segment of 64 MiB is soon full. */
static void segments_follow_each_other_and_dead_ones_are_dropped(void **state)
{
	struct disk *t = *state;
	struct vec_index *v = open_it(t);
	static char payload[256 * 1024];
	struct vec_stats before, after;
	for (int round = 0; round < 3; round++)
		for (uint64_t id = 0; id < 220; id++) {
			memset(payload, (int)(id + (unsigned)round), sizeof payload);
			OK(vec_upsert(v, &(struct vec_row){.id = id, .vector = t->x + id * DIM, .payload = payload, .payload_len = sizeof payload}, 1, e));
		}
	vec_stats(v, &before);
	OK(vec_compact(v, e));
	vec_stats(v, &after);
	assert_true(after.disk_bytes < before.disk_bytes / 3 * 2);
	for (int again = 0; again < 2; again++) {
		for (uint64_t id = 0; id < 220; id++) {
			autobuf struct buf got;
			buf_init(&got, 1 << 20);
			OK(vec_get(v, id, NULL, &got, e));
			assert_int_equal(got.len, sizeof payload);
			memset(payload, (int)(id + 2), sizeof payload);
			assert_memory_equal(got.data, payload, sizeof payload);
		}
		OK(vec_verify(v, e));
		vec_close(v);
		v = open_it(t);
	}
	vec_close(v);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(rows_are_there_after_an_open_from_the_log_alone),
		T(rows_are_there_after_an_open_from_a_checkpoint_and_what_came_after_it),
		T(a_flipped_byte_is_refused_by_file_and_offset),
		T(a_byte_that_an_open_need_not_read_is_found_by_verify),
		T(a_torn_tail_is_cut_and_the_rows_before_it_stay),
		T(a_batch_is_there_whole_or_not_at_all),
		T(acknowledged_rows_that_are_missing_are_damage),
		T(a_manifest_that_is_gone_is_not_a_new_index),
		T(another_process_is_told_that_it_is_open),
		T(another_dimension_or_metric_is_refused),
		T(segments_follow_each_other_and_dead_ones_are_dropped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
