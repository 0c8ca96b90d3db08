/* SPDX-License-Identifier: MIT */
/* test_audit.c - the trail of an engine: whatever is done to its lines is found, and what a start makes of what it finds. */
#include "tests/support/engine.h"

#include <errno.h>

#include "runtime/audit.h"
#include "runtime/audit_verify.h"
#include "tests/runtime/trail.h"

static void assert_found(struct engine *t, const char *kept, const char *what)
{
	struct err e;
	struct audit_report r;
	int n = verify_with(t, kept, &r, &e);
	if (n != -EBADMSG || e.code != ERR_AUDIT_ALTERED)
		fail_msg("%s: not found (%d %s)", what, n, e.msg);
}

/* A trail of some lines, its engine closed; text owned by the caller. */
static char *trail(struct engine *t, unsigned n, size_t *ret_len)
{
	work(t, n);
	engine_close(t);
	assert_good(t, NULL);
	return load(path_of(t, "audit/log"), ret_len);
}

/* ---- what is found ---- */

static void any_byte_that_is_flipped_is_found(void **state)
{
	struct engine *t = *state;
	size_t len;
	autofree char *text = trail(t, 1, &len);
	for (size_t i = 0; i < len; i++) {
		text[i] ^= (char)(1 << i % 8);
		save(path_of(t, "audit/log"), text, len);
		assert_found(t, NULL, "a flipped bit");
		text[i] ^= (char)(1 << i % 8);
	}
	save(path_of(t, "audit/log"), text, len);
	assert_good(t, NULL);
}

static void any_byte_of_a_checkpoint_that_is_flipped_is_found(void **state)
{
	struct engine *t = *state;
	size_t len, all;
	free(trail(t, 1, &len));
	autofree char *text = load(path_of(t, "audit/checkpoints"), &all);
	for (size_t i = 0; i < all - 1; i++) { /* the last is the empty line behind it */
		struct err e;
		struct audit_report r;
		text[i] ^= 1;
		save(path_of(t, "audit/checkpoints"), text, all);
		assert_true(verify_with(t, NULL, &r, &e) < 0);
		text[i] ^= 1;
	}
}

static char *line_end(char *at)
{
	return strchr(at, '\n') + 1;
}

static void lines_that_go_come_or_change_places_are_found(void **state)
{
	struct engine *t = *state;
	size_t len;
	autofree char *text = trail(t, 4, &len);
	autofree char *log = strdup(path_of(t, "audit/log"));
	autofree char *other = calloc(1, 2 * len);
	for (char *a = text, *b, *c; *(b = line_end(a)); a = b) {
		c = line_end(b);
		size_t before = (size_t)(a - text), one = (size_t)(b - a), two = (size_t)(c - b), behind = len - before - one;
		memcpy(other, text, before); /* without a */
		memcpy(other + before, b, behind);
		save(log, other, len - one);
		assert_found(t, NULL, "a line that is gone");
		memcpy(other, text, len); /* b before a */
		memcpy(other + before, b, two);
		memcpy(other + before + two, a, one);
		save(log, other, len);
		assert_found(t, NULL, "lines that changed places");
		memcpy(other, text, before + one); /* a twice */
		memcpy(other + before + one, a, one);
		memcpy(other + before + 2 * one, b, behind);
		save(log, other, len + one);
		assert_found(t, NULL, "a line that is there twice");
	}
}

/* Who rewrites the lines and their chain cannot sign the tree of them. */
static void a_line_that_is_appended_behind_the_last_checkpoint_is_not_signed(void **state)
{
	struct engine *t = *state;
	size_t len;
	struct err e;
	struct audit_report r;
	autofree char *text = trail(t, 1, &len);
	char *last = memrchr(text, '\n', len - 1) + 1;
	autofree char *more = calloc(1, len + 4096);
	memcpy(more, text, len);
	int n = snprintf(more + len, 4096, "%s", last); /* the last one again is no line that fits */
	save(path_of(t, "audit/log"), more, len + (size_t)n);
	assert_found(t, NULL, "a line behind the end");
	save(path_of(t, "audit/log"), text, len);
	assert_int_equal(verify_with(t, NULL, &r, &e), 0);
}

static void a_tail_that_is_cut_anywhere_is_found_by_the_head_that_was_kept(void **state)
{
	struct engine *t = *state;
	size_t len, n;
	autofree char *text = trail(t, 2, &len);
	autofree char *head = load(path_of(t, "audit/checkpoints"), &n);
	autofree char *kept = strdup(path_of(t, "kept"));
	save(kept, head, n);
	remove(path_of(t, "audit/checkpoints")); /* who cuts the log cuts these too */
	for (size_t cut = 0; cut < len; cut++) {
		save(path_of(t, "audit/log"), text, cut);
		assert_found(t, kept, "a cut tail");
	}
}

static void an_older_copy_is_right_by_itself_and_found_by_the_head_that_was_kept(void **state)
{
	struct engine *t = *state;
	size_t n;
	work(t, 2);
	engine_close(t);
	copy(path_of(t, "audit"), path_of(t, "older"));
	engine_open(t, false);
	work(t, 5);
	engine_close(t);
	autofree char *head = load(path_of(t, "audit/checkpoints"), &n);
	save(path_of(t, "kept"), head, n);
	copy(path_of(t, "older"), path_of(t, "audit"));
	assert_good(t, NULL);
	assert_found(t, path_of(t, "kept"), "an older copy");
}

static void another_key_signs_nothing_here(void **state)
{
	struct engine *t = *state;
	size_t len;
	struct err e = {0};
	struct note_public key;
	struct note_key *other;
	struct audit_report r;
	free(trail(t, 1, &len));
	assert_int_equal(note_key_make(path_of(t, "other"), "elsewhere", &e), 0);
	assert_int_equal(note_key_make(path_of(t, "other"), "elsewhere", &e), -EEXIST);
	assert_int_equal(note_key_read(path_of(t, "other"), &other, &e), 0);
	key = other->pub;
	note_key_free(other);
	struct audit_files f = {.dir = path_of(t, "audit")};
	assert_int_equal(audit_verify_files(&f, &key, &r, &e), -EBADMSG);
}

/* ---- starts ---- */

static int reopen(struct engine *t, struct err *e)
{
	*e = (struct err){0};
	assert_int_equal(loop_init(&t->loop, e), 0);
	struct runtime_opts o = {.state_dir = t->dir, .config = t->config, .loop = &t->loop, .spawn_fd = -1};
	int r = runtime_open(&t->rt, &o, e);
	if (r < 0) {
		t->rt = NULL;
		loop_done(&t->loop);
	}
	return r;
}

static void a_trail_goes_on_where_it_ended(void **state)
{
	struct engine *t = *state;
	uint64_t before, after;
	work(t, 3);
	engine_close(t);
	assert_good(t, &before);
	for (int i = 0; i < 3; i++) {
		engine_open(t, i & 1);
		work(t, 1);
		engine_close(t);
		assert_good(t, &after);
		assert_true(after > before);
		before = after;
	}
}

static void what_stands_behind_the_newest_checkpoint_is_made_again_from_the_journal(void **state)
{
	struct engine *t = *state;
	size_t len, all;
	uint64_t before, after;
	struct err e;
	work(t, 1);
	engine_close(t);
	size_t marks;
	autofree char *older = load(path_of(t, "audit/checkpoints"), &marks);
	size_t seal_len;
	autofree char *seal = load(path_of(t, "audit.seal"), &seal_len);
	engine_open(t, false);
	work(t, 3);
	engine_close(t);
	assert_good(t, &before);
	autofree char *text = load(path_of(t, "audit/log"), &len);
	save(path_of(t, "audit.seal"), seal, seal_len);
	save(path_of(t, "audit/checkpoints"), older, marks); /* as a kill before the next one would leave it */
	save(path_of(t, "audit/log"), text, len - 50);
	assert_int_equal(reopen(t, &e), 0);
	engine_close(t);
	assert_good(t, &after);
	assert_true(after > before);
	autofree char *again = load(path_of(t, "audit/log"), &all);
	assert_true(all > len);
	assert_memory_equal(again, text, len);
}

static void a_start_refuses_a_trail_that_is_not_what_it_signed(void **state)
{
	struct engine *t = *state;
	size_t len;
	struct err e;
	autofree char *text = trail(t, 3, &len);
	static const char *const files[] = {"audit/log", "audit/hashes", "audit/index"};
	for (size_t i = 0; i < 3; i++) {
		size_t n;
		autofree char *good = load(path_of(t, files[i]), &n);
		save(path_of(t, files[i]), good, n / 2);
		assert_int_equal(reopen(t, &e), -EBADMSG);
		assert_int_equal(e.code, ERR_AUDIT_ALTERED);
		save(path_of(t, files[i]), good, n);
	}
	text[len - 20] ^= 1;
	save(path_of(t, "audit/log"), text, len);
	assert_int_equal(reopen(t, &e), -EBADMSG);
	text[len - 20] ^= 1;
	save(path_of(t, "audit/log"), text, len);
	assert_int_equal(reopen(t, &e), 0);
}

static void a_key_that_is_gone_or_open_to_others_keeps_the_daemon_from_starting(void **state)
{
	struct engine *t = *state;
	size_t len;
	struct err e;
	free(trail(t, 1, &len));
	const char *key = path_of(t, "audit.key");
	struct stat st;
	assert_int_equal(stat(key, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	chmod(key, 0640);
	assert_int_equal(reopen(t, &e), -EPERM);
	assert_int_equal(e.code, ERR_AUDIT_KEY);
	chmod(key, 0600);
	autofree char *kept = strdup(path_of(t, "elsewhere"));
	assert_int_equal(rename(key, kept), 0);
	assert_int_equal(reopen(t, &e), -ENOKEY);
	assert_non_null(strstr(e.msg, "missing"));
	assert_int_equal(access(path_of(t, "audit.key"), F_OK), -1);
	assert_int_equal(rename(kept, path_of(t, "audit.key")), 0);
	assert_int_equal(reopen(t, &e), 0);
}

/* ---- proofs and what is about whom ---- */

struct asking {
	struct engine *t;
	const char *question;
	char text[1 << 16];
	struct err e;
};

static bool is_proved(void *arg)
{
	struct asking *q = arg;
	struct buf b;
	buf_init(&b, sizeof q->text - 1);
	int r = audit_prove(runtime_audit(q->t->rt), q->question, strlen(q->question), &b, &q->e);
	snprintf(q->text, sizeof q->text, "%s", b.data);
	buf_done(&b);
	return r == 0;
}

static void a_record_and_growth_are_proved_to_who_has_only_heads(void **state)
{
	struct engine *t = *state;
	struct note_public key;
	struct asking q = {.t = t, .question = "5"};
	size_t n;
	struct buf said;
	buf_init(&said, 4096);
	work(t, 6);
	engine_close(t);
	assert_int_equal(note_public_read(path_of(t, "audit/key.pub"), &key, &q.e), 0);
	autofree char *old = load(path_of(t, "audit/checkpoints"), &n);
	struct checkpoint c;
	assert_int_equal(checkpoint_read(old, n, &key, &c, &q.e), 0);
	engine_open(t, false);
	assert_true(engine_until(t, is_proved, &q, 10000));
	if (audit_proof_check(q.text, strlen(q.text), &key, NULL, &said, &q.e) < 0)
		fail_msg("%s", q.e.msg);
	*strstr(q.text, "agent") ^= 1; /* another line */
	assert_int_equal(audit_proof_check(q.text, strlen(q.text), &key, NULL, &said, &q.e), -EBADMSG);
	work(t, 9);
	engine_close(t);
	struct audit_report r;
	assert_int_equal(verify_with(t, NULL, &r, &q.e), 0);
	struct audit_files f = {.dir = path_of(t, "audit")};
	struct audit_question grown = {.old = c.size, .size = r.signed_size};
	struct buf proof;
	buf_init(&proof, 1 << 20);
	assert_int_equal(audit_prove_files(&f, &key, &grown, &proof, &q.e), 0);
	if (audit_proof_check(proof.data, proof.len, &key, old, &said, &q.e) < 0)
		fail_msg("%s", q.e.msg);
	assert_int_equal(audit_proof_check(proof.data, proof.len, &key, NULL, &said, &q.e), -EBADMSG);
	buf_done(&proof);
	buf_done(&said);
}

struct about {
	struct engine *t;
	uint32_t serial;
	char text[1 << 16];
};

static bool is_about(void *arg)
{
	struct about *w = arg;
	struct buf b;
	buf_init(&b, sizeof w->text - 1);
	audit_render_agent(runtime_audit(w->t->rt), w->serial, &b, NULL);
	snprintf(w->text, sizeof w->text, "%s", b.data);
	buf_done(&b);
	return strstr(w->text, "agent.deleted") != NULL;
}

static void the_lines_about_an_agent_are_those_and_no_others(void **state)
{
	struct engine *t = *state;
	struct err e = {0};
	struct engine_answer done = {0};
	work(t, 4);
	struct agent *a = engine_agent(t, "agent2");
	struct about w = {.t = t, .serial = (uint32_t)agent_serial(a)};
	assert_int_equal(engine_reply(t, agent_delete(t->rt, &root_actor, a, ENGINE_DONE(&done), &e), &done), 0);
	assert_true(engine_until(t, is_about, &w, 10000));
	assert_non_null(strstr(w.text, "agent.updated"));
	assert_null(strstr(w.text, "agent1"));
	engine_close(t);
	engine_open(t, false); /* known again from the index */
	w.text[0] = 0;
	assert_true(engine_until(t, is_about, &w, 10000));
	assert_non_null(strstr(w.text, "agent.updated"));
	assert_null(strstr(w.text, "agent3"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, engine_setup, engine_teardown)
	const struct CMUnitTest tests[] = {
		T(any_byte_that_is_flipped_is_found),
		T(any_byte_of_a_checkpoint_that_is_flipped_is_found),
		T(lines_that_go_come_or_change_places_are_found),
		T(a_line_that_is_appended_behind_the_last_checkpoint_is_not_signed),
		T(a_tail_that_is_cut_anywhere_is_found_by_the_head_that_was_kept),
		T(an_older_copy_is_right_by_itself_and_found_by_the_head_that_was_kept),
		T(another_key_signs_nothing_here),
		T(a_trail_goes_on_where_it_ended),
		T(what_stands_behind_the_newest_checkpoint_is_made_again_from_the_journal),
		T(a_start_refuses_a_trail_that_is_not_what_it_signed),
		T(a_key_that_is_gone_or_open_to_others_keeps_the_daemon_from_starting),
		T(a_record_and_growth_are_proved_to_who_has_only_heads),
		T(the_lines_about_an_agent_are_those_and_no_others),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
