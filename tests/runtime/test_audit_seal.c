/* SPDX-License-Identifier: MIT */
/* test_audit_seal.c - what the seals of checkpoints keep: who has every present key cannot write anew what was sealed before. */
#include "tests/runtime/trail.h"

#include <errno.h>

#include "runtime/audit_trail.h"

static int verify_sealed(struct engine *t, const struct note_public *seal, struct audit_report *report, struct err *e)
{
	struct note_public key;
	const char *dir = path_of(t, "audit");
	struct audit_files f = {.dir = dir, .seal = seal};
	*e = (struct err){0};
	assert_int_equal(note_public_read(path_of(t, "audit/key.pub"), &key, e), 0);
	return audit_verify_files(&f, &key, report, e);
}

/* Some checkpoints, each of another record. */
static void seal_some(struct engine *t, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (!t->rt)
			engine_open(t, false);
		work(t, 2);
		engine_close(t);
	}
}

/* As who has every file of the machine, the present keys among them: the lines with one record altered, all of it hashed,
 * signed and sealed anew. */
static void write_anew(struct engine *t, const char *altered)
{
	struct trail forged;
	struct err e = {0};
	size_t len;
	autofree char *text = load(path_of(t, "audit/log"), &len);
	struct trail_place at = {.dir = path_of(t, "forged"), .key_file = path_of(t, "audit.key"), .seal_file = path_of(t, "forged.seal"),
				 .name = "unused"};
	if (trail_open(&forged, &at, &e) < 0 || trail_load_heads(&forged, &e) < 0)
		fail_msg("%s", e.msg);
	uint64_t seq = 0;
	for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
		struct journal_record rec = {.seq = ++seq, .time_ms = 1000, .object = seq == 2 ? altered : "x", .body = "{}", .body_len = 2};
		assert_int_equal(trail_add(&forged, &rec, "agent.created", 0), 0);
		if (seq % 3 == 0 && trail_checkpoint(&forged, &e) < 0)
			fail_msg("%s", e.msg);
	}
	if (trail_checkpoint(&forged, &e) < 0)
		fail_msg("%s", e.msg);
	trail_close(&forged);
	copy(path_of(t, "forged"), path_of(t, "audit"));
}

static void who_takes_all_keys_cannot_write_anew_what_was_sealed(void **state)
{
	struct engine *t = *state;
	struct note_public first;
	struct audit_report r;
	struct err e;
	seal_some(t, 3);
	assert_int_equal(note_public_read(path_of(t, "audit/seal.pub"), &first, &e), 0); /* kept elsewhere since the first day */
	if (verify_sealed(t, &first, &r, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(r.sealed, r.checkpoints);
	assert_true(r.sealed >= 3);
	write_anew(t, "somebody else");
	assert_good(t, NULL); /* the signing key signs anything, and a chain of new seals fits to itself */
	assert_int_equal(verify_sealed(t, &first, &r, &e), -EBADMSG);
	assert_non_null(strstr(e.msg, "not sealed"));
	size_t n;
	free(load(path_of(t, "audit/seal.pub"), &n));
	autofree char *marks = load(path_of(t, "audit/checkpoints"), &n);
	for (char *at; (at = strstr(marks, "\nseal "));) /* and without any it is found too */
		memmove(at, strchr(at + 1, '\n'), strlen(strchr(at + 1, '\n')) + 1);
	save(path_of(t, "audit/checkpoints"), marks, strlen(marks));
	assert_int_equal(verify_sealed(t, &first, &r, &e), -EBADMSG);
}

/* Behind the n'th empty line: a note has one inside and one behind it. */
static char *behind_empty(char *text, unsigned n)
{
	for (; n > 0; n--) {
		text = strstr(text, "\n\n");
		assert_non_null(text);
		text += 2;
	}
	return text;
}

static void a_checkpoint_that_is_left_out_breaks_the_chain(void **state)
{
	struct engine *t = *state;
	struct audit_report r;
	struct err e;
	size_t n;
	seal_some(t, 4);
	autofree char *marks = load(path_of(t, "audit/checkpoints"), &n);
	char *second = behind_empty(marks, 2), *third = behind_empty(marks, 4);
	memmove(second, third, strlen(third) + 1);
	save(path_of(t, "audit/checkpoints"), marks, strlen(marks));
	assert_int_equal(verify_sealed(t, NULL, &r, &e), -EBADMSG);
	assert_non_null(strstr(e.msg, "not sealed by the key that the one before it names"));
}

static void a_seal_key_signs_once_and_is_gone(void **state)
{
	struct engine *t = *state;
	struct err e;
	size_t n;
	seal_some(t, 1);
	autofree char *used = load(path_of(t, "audit.seal"), &n);
	char key[65];
	const char *slot = used[0] ? used : used + 4096;
	snprintf(key, sizeof key, "%.64s", slot);
	assert_int_equal(strlen(key), 64);
	seal_some(t, 1);
	autofree char *now = load(path_of(t, "audit.seal"), &n);
	assert_null(memmem(now, n, key, 64));
	assert_true(!now[0] || n <= 4096 || !now[4096]); /* one key, no more */
	unlink(path_of(t, "audit.seal"));
	struct runtime_opts o = {.state_dir = t->dir, .config = t->config, .loop = &t->loop, .spawn_fd = -1};
	assert_int_equal(loop_init(&t->loop, &e), 0);
	assert_true(runtime_open(&t->rt, &o, &e) < 0); /* a new one would seal another trail */
	assert_int_equal(e.code, ERR_AUDIT_KEY);
	t->rt = NULL;
	loop_done(&t->loop);
}

static void a_kill_between_a_seal_and_the_next_loses_no_key(void **state)
{
	struct engine *t = *state;
	struct seal *s;
	struct err e;
	unsigned char first[32], next[32], third[32];
	const char *path = path_of(t, "a.seal");
	assert_int_equal(seal_open(&s, path, "x/seal", NULL, &e), 0);
	memcpy(first, seal_public(s)->key, 32);
	assert_int_equal(seal_prepare(s, next, &e), 0);
	seal_close(s); /* before the checkpoint: what was prepared is not named anywhere */
	assert_int_equal(seal_open(&s, path, "x/seal", first, &e), 0);
	assert_int_equal(seal_prepare(s, next, &e), 0);
	seal_close(s); /* behind the checkpoint, which names it */
	assert_int_equal(seal_open(&s, path, "x/seal", next, &e), 0);
	assert_memory_equal(seal_public(s)->key, next, 32);
	assert_int_equal(seal_prepare(s, third, &e), 0);
	assert_int_equal(seal_advance(s, &e), 0);
	seal_close(s);
	assert_int_equal(seal_open(&s, path, "x/seal", first, &e), -ENOKEY);
	assert_int_equal(seal_open(&s, path, "x/seal", next, &e), -ENOKEY);
	assert_int_equal(seal_open(&s, path, "x/seal", third, &e), 0);
	seal_close(s);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, engine_setup, engine_teardown)
	const struct CMUnitTest tests[] = {
		T(who_takes_all_keys_cannot_write_anew_what_was_sealed),
		T(a_checkpoint_that_is_left_out_breaks_the_chain),
		T(a_seal_key_signs_once_and_is_gone),
		T(a_kill_between_a_seal_and_the_next_loses_no_key),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
