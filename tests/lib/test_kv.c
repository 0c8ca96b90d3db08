/* SPDX-License-Identifier: MIT */
/* test_kv.c - the state store: commits, prefixes, growth, failing disks, kill -9. */
#include <errno.h>

#include "lib/buf.h"
#include "lib/kv.h"
#include "tests/support/check.h"
#include "tests/support/crash.h"
#include "tests/support/fail_io.h"
#include "tests/support/tempdir.h"
#include "tests/support/wait.h"

struct fixture {
	char dir[64];
	struct loop loop;
	struct kv *kv;
	unsigned done;
	int r;
	uint64_t seq;
};

/* The room that is kept for a full disk; without it a failure reaches the caller. */
static const char *ballast(const struct fixture *f)
{
	static char path[128];
	snprintf(path, sizeof path, "%s/ballast", f->dir);
	return path;
}

static void open_kv(struct fixture *f, uint64_t max)
{
	struct err e;
	if (kv_open(&f->kv, f->dir, max, &f->loop, &e) < 0)
		fail_msg("%s", e.msg);
	unlink(ballast(f));
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	tempdir_make(f->dir);
	if (loop_init(&f->loop, NULL) < 0)
		return -1;
	open_kv(f, 1u << 30);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	kv_close(f->kv);
	loop_done(&f->loop);
	tempdir_remove(f->dir);
	free(f);
	return 0;
}

static void reopen(struct fixture *f)
{
	kv_close(f->kv);
	open_kv(f, 1u << 30);
}

static void on_done(void *arg, uint64_t seq, int r)
{
	struct fixture *f = arg;
	assert_true(seq >= f->seq);
	f->seq = seq;
	f->r = r;
	f->done++;
}

static void put(struct fixture *f, const char *key, const char *value)
{
	assert_int_equal(kv_put(f->kv, key, value, strlen(value), NULL), 0);
}

static int commit(struct fixture *f, uint64_t seq)
{
	unsigned before = f->done;
	assert_int_equal(kv_commit(f->kv, seq, on_done, f, NULL), 0);
	wait_for(&f->loop, f->done > before);
	return f->r;
}

static int copy_text(void *arg, const void *data, size_t len)
{
	return buf_add(arg, data, len);
}

static void expect(struct fixture *f, const char *key, const char *value)
{
	struct err e = {0};
	autobuf struct buf b;
	buf_init(&b, KV_VALUE_MAX);
	int r = kv_get(f->kv, key, copy_text, &b, &e);
	assert_int_equal(r, value ? 0 : -ENOENT);
	assert_string_equal(b.data, value ? value : "");
	assert_int_equal(e.eno, value ? 0 : ENOENT);
}

static int add_pair(void *arg, const char *key, const void *data, size_t len)
{
	return buf_printf(arg, "%s=%.*s ", key, (int)len, (const char *)data);
}

static void expect_each(struct fixture *f, const char *prefix, const char *all)
{
	autobuf struct buf b;
	buf_init(&b, 1 << 16);
	assert_int_equal(kv_each(f->kv, prefix, add_pair, &b, NULL), 0);
	assert_string_equal(b.data, all);
}

static void a_change_is_there_after_its_commit_and_after_reopening(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(kv_seq(f->kv), 0);
	put(f, "agents/a", "one");
	expect(f, "agents/a", NULL);
	assert_int_equal(commit(f, 7), 0);
	expect(f, "agents/a", "one");
	assert_int_equal(kv_seq(f->kv), 7);
	put(f, "agents/a", "two");
	put(f, "agents/b", "");
	assert_int_equal(commit(f, 9), 0);
	assert_int_equal(kv_del(f->kv, "agents/absent", NULL), 0);
	assert_int_equal(commit(f, 10), 0);
	reopen(f);
	assert_int_equal(kv_seq(f->kv), 10);
	expect(f, "agents/a", "two");
	expect(f, "agents/b", "");
}

static void the_last_change_of_a_key_counts(void **state)
{
	struct fixture *f = *state;
	put(f, "k", "1");
	assert_int_equal(kv_del(f->kv, "k", NULL), 0);
	assert_int_equal(commit(f, 1), 0);
	expect(f, "k", NULL);
	assert_int_equal(kv_del(f->kv, "k", NULL), 0);
	put(f, "k", "2");
	assert_int_equal(commit(f, 2), 0);
	expect(f, "k", "2");
}

static void changes_without_a_commit_are_never_written(void **state)
{
	struct fixture *f = *state;
	put(f, "k", "1");
	reopen(f);
	expect(f, "k", NULL);
	assert_int_equal(commit(f, 1), 0);
	expect(f, "k", NULL);
}

static void close_waits_for_commits_and_calls_their_done(void **state)
{
	struct fixture *f = *state;
	for (uint64_t seq = 1; seq <= 50; seq++) {
		put(f, "k", seq % 2 ? "odd" : "even");
		assert_int_equal(kv_commit(f->kv, seq, on_done, f, NULL), 0);
	}
	reopen(f);
	assert_int_equal(f->done, 50);
	assert_int_equal(f->r, 0);
	assert_int_equal(kv_seq(f->kv), 50);
	expect(f, "k", "even");
}

static void keys_come_in_byte_order_within_their_prefix(void **state)
{
	struct fixture *f = *state;
	static const char *const keys[] = {"a/10", "a/2",        "a",   "a0",
					   "b",    "a/\xc3\xa9", "a.b", "a/"};
	for (size_t i = 0; i < 8; i++)
		put(f, keys[i], "v");
	assert_int_equal(commit(f, 1), 0);
	expect_each(f, "a/", "a/=v a/10=v a/2=v a/\xc3\xa9=v ");
	expect_each(f, "", "a=v a.b=v a/=v a/10=v a/2=v a/\xc3\xa9=v a0=v b=v ");
	expect_each(f, "a/2", "a/2=v ");
	expect_each(f, "c", "");
	char longer[KV_KEY_MAX + 2];
	memset(longer, 'a', sizeof longer);
	longer[KV_KEY_MAX + 1] = 0;
	expect_each(f, longer, "");
}

static int stop_at_b(void *arg, const char *key, const void *data, size_t len)
{
	(void)data, (void)len;
	++*(int *)arg;
	return *key == 'b' ? -ECANCELED : 0;
}

static void a_callback_can_stop_and_read_in_turn(void **state)
{
	struct fixture *f = *state;
	int seen = 0;
	put(f, "a", "");
	put(f, "b", "");
	put(f, "c", "");
	assert_int_equal(commit(f, 1), 0);
	assert_int_equal(kv_each(f->kv, "", stop_at_b, &seen, NULL), -ECANCELED);
	assert_int_equal(seen, 2);
	assert_int_equal(kv_get(f->kv, "a", NULL, NULL, NULL), 0);
}

static int read_again(void *arg, const char *key, const void *data, size_t len)
{
	struct fixture *f = arg;
	(void)data, (void)len;
	return kv_get(f->kv, key, NULL, NULL, NULL) < 0 ? -EIO : 0;
}

static void reads_nest(void **state)
{
	struct fixture *f = *state;
	put(f, "a", "");
	put(f, "b", "");
	assert_int_equal(commit(f, 1), 0);
	assert_int_equal(kv_each(f->kv, "", read_again, f, NULL), 0);
	put(f, "c", "");
	assert_int_equal(commit(f, 2), 0);
	expect(f, "c", "");
}

static void sizes_are_capped(void **state)
{
	struct fixture *f = *state;
	struct err e;
	int r;
	char key[KV_KEY_MAX + 2];
	memset(key, 'k', sizeof key);
	key[KV_KEY_MAX + 1] = 0;
	assert_int_equal(kv_put(f->kv, key, "", 0, &e), -EINVAL);
	assert_int_equal(e.code, ERR_STORE_IO);
	assert_int_equal(kv_del(f->kv, key, NULL), -EINVAL);
	assert_int_equal(kv_get(f->kv, key, NULL, NULL, NULL), -ENOENT);
	key[KV_KEY_MAX] = 0;
	put(f, key, "longest");
	assert_int_equal(kv_put(f->kv, "", "", 0, NULL), -EINVAL);
	char *big = calloc(1, KV_VALUE_MAX + 1u);
	assert_int_equal(kv_put(f->kv, "big", big, KV_VALUE_MAX + 1u, NULL), -EFBIG);
	assert_int_equal(kv_put(f->kv, "big", big, KV_VALUE_MAX, NULL), 0);
	assert_int_equal(commit(f, 1), 0);
	expect(f, key, "longest");
	for (unsigned i = 0; i < KV_QUEUE_MAX / KV_VALUE_MAX; i++) {
		snprintf(key, sizeof key, "%u", i);
		r = kv_put(f->kv, key, big, KV_VALUE_MAX, &e);
		assert_int_equal(r, i + 1 < KV_QUEUE_MAX / KV_VALUE_MAX ? 0 : -ENOSPC);
	}
	assert_non_null(strstr(e.msg, "wait for the disk"));
	free(big);
}

static void the_map_grows_while_it_is_read_and_stops_at_its_cap(void **state)
{
	struct fixture *f = *state;
	enum { size = 1 << 20 };
	char *big = calloc(1, size), key[32];
	kv_close(f->kv);
	open_kv(f, 100u << 20);
	uint64_t seq = 0, good = 0;
	while (seq < 200) {
		snprintf(key, sizeof key, "%08llu", (unsigned long long)++seq);
		assert_int_equal(kv_put(f->kv, key, big, size, NULL), 0);
		unsigned before = f->done;
		assert_int_equal(kv_commit(f->kv, seq, on_done, f, NULL), 0);
		while (f->done == before) {
			assert_int_not_equal(kv_get(f->kv, "00000001", NULL, NULL, NULL), -EIO);
			loop_drain(&f->loop);
		}
		if (f->r < 0)
			break;
		good = seq;
	}
	assert_int_equal(f->r, -EDQUOT);
	assert_in_range(good, 70, 100);
	assert_int_equal(kv_seq(f->kv), good);
	for (uint64_t i = 1; i < good - 5; i++) {
		snprintf(key, sizeof key, "%08llu", (unsigned long long)i);
		assert_int_equal(kv_del(f->kv, key, NULL), 0);
	}
	assert_int_equal(commit(f, seq + 1), 0); /* room again, also for what was refused */
	snprintf(key, sizeof key, "%08llu", (unsigned long long)seq);
	assert_int_equal(kv_get(f->kv, key, NULL, NULL, NULL), 0);
	reopen(f);
	assert_int_equal(kv_seq(f->kv), seq + 1);
	free(big);
}

static void a_failed_write_is_reported_and_made_good_by_the_next_commit(void **state)
{
	struct fixture *f = *state;
	static const int errnos[] = {ENOSPC, EIO};
	uint64_t seq = 1;
	put(f, "k", "old");
	assert_int_equal(commit(f, seq), 0);
	for (int i = 0, failed = 0; i < 2; i++, failed = 0) {
		for (int n = 1;; n++) {
			uint64_t good = kv_seq(f->kv);
			put(f, "k", "old");
			put(f, "gone", "here");
			assert_int_equal(commit(f, ++seq), 0);
			good = seq;
			put(f, "k", "new");
			assert_int_equal(kv_del(f->kv, "gone", NULL), 0);
			unlink(ballast(f));
			fail_io_arm(n, errnos[i]);
			int r = commit(f, ++seq);
			if (!fail_io_fired()) {
				assert_int_equal(r, 0);
				break;
			}
			failed++;
			assert_int_equal(r, -errnos[i]);
			assert_int_equal(kv_seq(f->kv), good);
			expect(f, "k", "old");
			expect(f, "gone", "here");
			put(f, "other", "1");
			assert_int_equal(commit(f, ++seq), 0);
			expect(f, "k", "new");
			expect(f, "gone", NULL);
			assert_int_equal(kv_seq(f->kv), seq);
			if (n % 2)
				reopen(f);
			expect(f, "k", "new");
		}
		assert_true(failed >= 3); /* pages, sync, root page */
	}
}

/* Once, by giving up the room that was kept. */
static void a_full_disk_still_takes_a_commit(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	kv_close(f->kv);
	assert_int_equal(kv_open(&f->kv, f->dir, 1u << 30, &f->loop, NULL), 0);
	assert_int_equal(stat(ballast(f), &st), 0);
	assert_true(st.st_blocks > 0);
	put(f, "a", "1");
	fail_io_arm(1, ENOSPC);
	assert_int_equal(commit(f, 1), 0);
	expect(f, "a", "1");
	assert_int_equal(access(ballast(f), F_OK), -1);
	put(f, "a", "2");
	fail_io_arm(1, ENOSPC);
	assert_int_equal(commit(f, 2), -ENOSPC);
	assert_int_equal(commit(f, 3), 0); /* and there is room again */
	assert_int_equal(access(ballast(f), F_OK), 0);
}

static void a_key_changed_after_a_failure_keeps_its_newest_value(void **state)
{
	struct fixture *f = *state;
	put(f, "a", "1");
	put(f, "b", "1");
	fail_io_arm(1, ENOSPC);
	assert_int_equal(commit(f, 1), -ENOSPC);
	put(f, "a", "2");
	put(f, "c", "2");
	fail_io_arm(1, ENOSPC);
	assert_int_equal(commit(f, 2), -ENOSPC);
	assert_int_equal(kv_seq(f->kv), 0);
	assert_int_equal(kv_del(f->kv, "c", NULL), 0);
	assert_int_equal(commit(f, 3), 0);
	expect_each(f, "", "a=2 b=1 ");
}

static void a_second_daemon_is_refused(void **state)
{
	struct fixture *f = *state;
	struct kv *second = NULL;
	struct err e;
	assert_int_equal(kv_open(&second, f->dir, 1u << 30, &f->loop, &e), -EBUSY);
	assert_null(second);
	assert_non_null(strstr(e.msg, f->dir));
}

static void what_is_no_store_is_refused_and_left_alone(void **state)
{
	struct fixture *f = *state;
	char path[80], text[64] = {0};
	struct err e;
	kv_close(f->kv);
	snprintf(path, sizeof path, "%s/data.mdb", f->dir);
	FILE *file = fopen(path, "w");
	for (int i = 0; i < 1000; i++)
		fputs("this is no store\n", file);
	fclose(file);
	assert_int_equal(kv_open(&f->kv, f->dir, 1u << 30, &f->loop, &e), -EUCLEAN);
	assert_non_null(strstr(e.msg, "move it aside"));
	file = fopen(path, "r");
	assert_non_null(fgets(text, sizeof text, file));
	assert_string_equal(text, "this is no store\n");
	fclose(file);
	unlink(path);
	open_kv(f, 1u << 30);
}

static void a_directory_that_cannot_be_made_is_named(void **state)
{
	struct fixture *f = *state;
	struct kv *kv = NULL;
	struct err e;
	assert_int_equal(kv_open(&kv, "/proc/none/state", 1u << 30, &f->loop, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "/proc/none/state"));
}

/* ---- kill -9 ---- */

/* Each sequence s puts key s, replaces "newest" and deletes key s - 3; it is told on the pipe once
 * it is committed. */
static void child_told(void *arg, uint64_t seq, int r)
{
	if (r < 0 || write(*(int *)arg, &seq, sizeof seq) != sizeof seq)
		_exit(1);
}

static void child(void *dir, int pipe_fd)
{
	struct loop loop;
	struct kv *kv;
	char key[32];
	if (loop_init(&loop, NULL) < 0 || kv_open(&kv, dir, 1u << 30, &loop, NULL) < 0)
		return;
	for (uint64_t seq = kv_seq(kv) + 1;; seq++) {
		int n = snprintf(key, sizeof key, "k/%012llu", (unsigned long long)seq);
		kv_put(kv, key, &seq, sizeof seq, NULL);
		kv_put(kv, "newest", key, (size_t)n, NULL);
		if (seq > 3) {
			snprintf(key, sizeof key, "k/%012llu", (unsigned long long)seq - 3);
			kv_del(kv, key, NULL);
		}
		if (kv_commit(kv, seq, child_told, &pipe_fd, NULL) < 0)
			return;
		if (seq % 4 == 0)
			uv_run(&loop.uv, UV_RUN_ONCE);
	}
}

static void kill_and_check(struct fixture *f, unsigned after_us)
{
	uint64_t told = kv_seq(f->kv);
	kv_close(f->kv);
	told = crash_once(child, f->dir, after_us, told);
	open_kv(f, 1u << 30);
	uint64_t seq = kv_seq(f->kv);
	assert_true(seq >= told);
	autobuf struct buf want, have;
	buf_init(&want, 4096);
	buf_init(&have, 4096);
	for (uint64_t s = seq > 2 ? seq - 2 : 1; s <= seq; s++)
		buf_printf(&want, "k/%012llu=%.8s ", (unsigned long long)s, (const char *)&s);
	if (seq)
		buf_printf(&want, "newest=k/%012llu ", (unsigned long long)seq);
	assert_int_equal(kv_each(f->kv, "", add_pair, &have, NULL), 0);
	assert_int_equal(have.len, want.len);
	assert_memory_equal(have.data, want.data, want.len);
}

static void kill_9_loses_nothing_told_and_leaves_nothing_half(void **state)
{
	struct fixture *f = *state;
	unsigned seed = 1;
	for (unsigned i = crash_rounds(15); i > 0; i--)
		kill_and_check(f, 2000 + (unsigned)rand_r(&seed) % 40000);
	/* On a busy machine no child may have come to its first commit: give one the time. */
	for (unsigned us = 100000; kv_seq(f->kv) == 0; us *= 2)
		kill_and_check(f, us);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_change_is_there_after_its_commit_and_after_reopening),
		T(the_last_change_of_a_key_counts),
		T(changes_without_a_commit_are_never_written),
		T(close_waits_for_commits_and_calls_their_done),
		T(keys_come_in_byte_order_within_their_prefix),
		T(a_callback_can_stop_and_read_in_turn),
		T(reads_nest),
		T(sizes_are_capped),
		T(the_map_grows_while_it_is_read_and_stops_at_its_cap),
		T(a_failed_write_is_reported_and_made_good_by_the_next_commit),
		T(a_full_disk_still_takes_a_commit),
		T(a_key_changed_after_a_failure_keeps_its_newest_value),
		T(a_second_daemon_is_refused),
		T(what_is_no_store_is_refused_and_left_alone),
		T(a_directory_that_cannot_be_made_is_named),
		T(kill_9_loses_nothing_told_and_leaves_nothing_half),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
