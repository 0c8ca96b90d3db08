/* SPDX-License-Identifier: MIT */
/* test_nomem.c - every allocation made to fail in turn: -ENOMEM comes back, nothing leaks (the sanitizer build
 * looks), nothing is half done. */
#include <stdio.h>
#include <stdlib.h>

#include "lib/journal.h"
#include "lib/kv.h"
#include "lib/map.h"
#include "lib/mem.h"
#include "lib/metric.h"
#include "lib/value.h"
#include "tests/support/check.h"
#include "tests/support/fail_alloc.h"
#include "tests/support/tempdir.h"
#include "tests/support/wait.h"

/* Runs step(arg) with its 1st, 2nd ... allocation failing, until it has no more; it must then say -ENOMEM,
 * and succeed in the end. */
static void each_allocation(int (*step)(void *arg), void *arg)
{
	int n = 1, r;
	for (;; n++) {
		fail_alloc_arm(n);
		r = step(arg);
		if (!fail_alloc_disarm())
			break;
		if (r != -ENOMEM)
			fail_msg("allocation %d failed, and the result is %d", n, r);
	}
	assert_int_equal(r, 0);
	assert_true(n > 1);
}

static const char *const texts[] = {
	"name: greet # c\nlist: [1, 'two', {three: 3.5}]\ntext: |\n  one\n  two\n"
	"m:\n  k1: a\n  k2: b\n  \"k\\u00e9\": ~\n",
	"{\"name\": \"greet\", \"list\": [1, \"two\", {\"three\": 3.5}], \"text\": "
	"\"one\\ntwo\\n\","
	" \"m\": {\"k1\": true, \"k2\": null}}",
	"name = 'greet'\nlist = [1, 'two', {three = 3.5}]\ntext = '''\none\n'''\n[m]\nk1 = true\n"
	"[[t]]\na = 2026-01-02\n",
};

struct text {
	enum value_format f;
	const char *text;
};

static int parse(void *arg)
{
	const struct text *t = arg;
	struct value *v = NULL;
	bool unfinished = true;
	struct err e = {0};
	int r = value_parse(t->f, t->text, strlen(t->text), &v, &unfinished, &e);
	assert_int_equal(r == 0, v != NULL);
	if (unfinished)
		fail_msg("unfinished: %s", e.msg);
	if (r == -ENOMEM)
		assert_int_equal(e.code, ERR_SYS_MEMORY);
	value_free(v);
	/* toml++ reads a number by a stream, which makes a syntax error of it: refused as well. */
	return t->f == VALUE_TOML && r == -EINVAL ? -ENOMEM : r;
}

static void parsers(void **state)
{
	(void)state;
	for (int f = 0; f < 3; f++)
		each_allocation(parse, &(struct text){(enum value_format)f, texts[f]});
}

/* A wrong text stays wrong or becomes -ENOMEM; never right. (Not TOML: without memory for the sentence of a
 * syntax error toml++ ends the process.) */
static void parsers_of_wrong_texts(void **state)
{
	(void)state;
	static const char *const wrong[] = {"a: [1, 2\nb: }\n", "{\"a\": [1, 2}"};
	for (int f = 0; f < 2; f++)
		for (int n = 1;; n++) {
			struct value *v = NULL;
			fail_alloc_arm(n);
			int r = value_parse((enum value_format)f, wrong[f], strlen(wrong[f]), &v,
					    NULL, NULL);
			bool fired = fail_alloc_disarm();
			assert_true(r == -EINVAL || (fired && r == -ENOMEM));
			assert_null(v);
			if (!fired)
				break;
		}
}

static int fill_buffer(void *arg)
{
	autobuf struct buf b;
	(void)arg;
	buf_init(&b, 1 << 16);
	for (int i = 0; i < 100; i++) {
		buf_printf(&b, "%d", i);
		buf_json_string(&b, "x\n\xff", 3);
	}
	char *all = buf_take(&b, NULL);
	assert_int_equal(all == NULL, b.fail < 0);
	free(all);
	return b.fail;
}

static int render_metrics(void *arg)
{
	autobuf struct buf b;
	(void)arg;
	buf_init(&b, 1 << 20);
	return metric_render(&b);
}

static int fill_map(void *arg)
{
	static char keys[100][4];
	struct map m = {0};
	int r = 0;
	(void)arg;
	for (int i = 0; i < 100 && r == 0; i++) {
		snprintf(keys[i], sizeof keys[i], "%d", i);
		r = map_put(&m, keys[i], keys[i]);
		assert_ptr_equal(map_get(&m, keys[i], strlen(keys[i])), r == 0 ? keys[i] : NULL);
		assert_ptr_equal(map_get(&m, keys[0], 1), i || r == 0 ? keys[0] : NULL);
	}
	map_done(&m);
	return r;
}

static void buffers_metrics_and_maps(void **state)
{
	(void)state;
	each_allocation(fill_buffer, NULL);
	each_allocation(render_metrics, NULL);
	each_allocation(fill_map, NULL);
}

/* ---- store and journal ---- */

struct disk {
	char dir[64];
	struct loop loop;
	struct kv *kv;
	struct journal *j;
	unsigned done;
};

static int setup(void **state)
{
	struct disk *d = calloc(1, sizeof *d);
	tempdir_make(d->dir);
	*state = d;
	return loop_init(&d->loop, NULL);
}

static int teardown(void **state)
{
	struct disk *d = *state;
	loop_done(&d->loop);
	tempdir_remove(d->dir);
	free(d);
	return 0;
}

static int open_store(void *arg)
{
	struct disk *d = arg;
	struct kv *kv = NULL;
	int r = kv_open(&kv, d->dir, 1 << 24, &d->loop, NULL);
	assert_int_equal(r == 0, kv != NULL);
	kv_close(kv);
	return r == -EAGAIN ? -ENOMEM : r; /* so says pthread_create */
}

static int put_one(void *arg)
{
	struct disk *d = arg;
	return kv_put(d->kv, "key", "value", 5, NULL);
}

static int del_one(void *arg)
{
	struct disk *d = arg;
	return kv_del(d->kv, "other", NULL);
}

static void on_done(void *arg, uint64_t seq, int r)
{
	struct disk *d = arg;
	(void)seq;
	assert_int_equal(r, 0);
	d->done++;
}

static int commit_one(void *arg)
{
	struct disk *d = arg;
	return kv_commit(d->kv, 1, on_done, d, NULL);
}

static void the_store(void **state)
{
	struct disk *d = *state;
	each_allocation(open_store, d);
	assert_int_equal(kv_open(&d->kv, d->dir, 1 << 24, &d->loop, NULL), 0);
	each_allocation(put_one, d);
	each_allocation(del_one, d);
	each_allocation(commit_one, d);
	wait_for(&d->loop, d->done == 1);
	assert_int_equal(kv_get(d->kv, "key", NULL, NULL, NULL), 0);
	kv_close(d->kv);
}

static int count(void *arg, const struct journal_record *rec)
{
	unsigned *n = arg;
	(void)rec;
	++*n;
	return 0;
}

static int open_journal(void *arg)
{
	struct disk *d = arg;
	unsigned n = 0;
	struct journal *j = NULL;
	struct journal_opts o = {.dir = d->dir};
	int r = journal_open(&j, &o, &d->loop, 0, count, &n, NULL);
	assert_int_equal(r == 0, j != NULL);
	if (r == 0)
		assert_int_equal(n, d->done);
	journal_close(j);
	return r == -EAGAIN ? -ENOMEM : r; /* so says pthread_create */
}

static int append_big(void *arg)
{
	static char body[100000];
	struct disk *d = arg;
	uint64_t before = journal_last_seq(d->j);
	struct journal_record rec = {.object = "o", .body = body, .body_len = sizeof body};
	int r = journal_append(d->j, &rec, JOURNAL_SAFE, NULL, NULL);
	d->done += r == 0;
	assert_int_equal(journal_last_seq(d->j), before + (r == 0));
	return r;
}

static int scan(void *arg)
{
	struct disk *d = arg;
	unsigned n = 0;
	int r = journal_scan(d->dir, count, &n, NULL, NULL);
	if (r == 0)
		assert_int_equal(n, d->done);
	return r;
}

static void the_journal(void **state)
{
	struct disk *d = *state;
	struct journal_opts o = {.dir = d->dir};
	each_allocation(open_journal, d);
	assert_int_equal(journal_open(&d->j, &o, &d->loop, 0, NULL, NULL, NULL), 0);
	each_allocation(append_big, d);
	for (int i = 0; i < 40; i++)
		assert_int_equal(append_big(d), 0);
	journal_close(d->j);
	each_allocation(open_journal, d);
	each_allocation(scan, d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parsers),
		cmocka_unit_test(parsers_of_wrong_texts),
		cmocka_unit_test(buffers_metrics_and_maps),
		cmocka_unit_test_setup_teardown(the_store, setup, teardown),
		cmocka_unit_test_setup_teardown(the_journal, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
