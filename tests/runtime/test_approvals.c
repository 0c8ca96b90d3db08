/* SPDX-License-Identifier: MIT */
/* test_approvals.c - acts of users that wait for an approval: asked once, decided by whom the rule names, used once, kept over a
 * start from the journal alone. */
#include "tests/support/engine.h"

#include <errno.h>

#include "runtime/approvals.h"
#include "runtime/documents.h"

#define RULES                                                                                                              \
	"version: \"1.0\"\npolicies:\n  - name: asked\n    effect: Escalate\n    to: [\"4711\", \"@root\"]\n"                \
	"    conditions:\n      - resource_type: Agent\n    resources: [\"**\"]\n    operations: [Modify]\n"

static const struct actor alice = {.uid = 1000, .gid = 1000, .pid = 77}, bob = {.uid = 4711, .gid = 4711},
			  carol = {.uid = 1001, .gid = 1001}, grouped = {.uid = 1002, .gid = 0};

static int setup(void **state)
{
	struct engine *t = calloc(1, sizeof *t);
	struct engine_answer done = {0};
	struct err e = {0};
	engine_init(t);
	engine_open(t, false);
	if (engine_reply(t, document_put(t->rt, DOCUMENT_POLICY, &root_actor, "a.yaml", RULES, strlen(RULES), ENGINE_DONE(&done), &e),
			 &done) < 0)
		fail_msg("%s", e.msg);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	engine_done(*state);
	free(*state);
	return 0;
}

static int act(struct engine *t, const struct actor *who, const char *name, struct err *e)
{
	*e = (struct err){0};
	return runtime_authorize(t->rt, who, "agent.control", name, who->uid, who->gid, 0600, W_OK, e);
}

static uint32_t pending(struct engine *t)
{
	const struct approval *a = approval_next(t->rt, 0, true);
	return a ? a->id : 0;
}

static int decide(struct engine *t, const struct actor *who, uint32_t id, const char *line, struct err *e)
{
	struct engine_answer done = {0};
	*e = (struct err){0};
	return engine_reply(t, approval_decide(t->rt, who, id, line, strlen(line), ENGINE_DONE(&done), e), &done);
}

static enum approval_state state_of(struct engine *t, uint32_t id)
{
	return approval_find(t->rt, id)->state;
}

static void an_act_is_asked_for_once_and_done_once(void **state)
{
	struct engine *t = *state;
	struct err e;
	assert_int_equal(act(t, &alice, "x", &e), -EACCES);
	assert_int_equal(e.code, ERR_APPROVAL_PENDING);
	uint32_t id = pending(t);
	assert_int_equal(act(t, &alice, "x", &e), -EACCES);
	assert_int_equal(pending(t), id);
	assert_null(approval_next(t->rt, id, true));
	assert_int_equal(act(t, &carol, "x", &e), -EACCES); /* somebody else's act is another */
	assert_non_null(approval_next(t->rt, id, true));
	assert_int_equal(decide(t, &bob, id, "approve: go on", &e), 0);
	assert_int_equal(state_of(t, id), APPROVAL_APPROVED);
	assert_int_equal(act(t, &alice, "y", &e), -EACCES); /* nor is it for another object */
	assert_int_equal(act(t, &alice, "x", &e), 0);
	assert_int_equal(state_of(t, id), APPROVAL_USED);
	assert_int_equal(act(t, &alice, "x", &e), 0); /* the same process, the same act */
	struct actor other = alice;
	other.pid = 78;
	assert_int_equal(act(t, &other, "x", &e), -EACCES);
	assert_int_equal(e.code, ERR_APPROVAL_PENDING);
}

static void only_whom_the_rule_names_decides_and_never_who_asked(void **state)
{
	struct engine *t = *state;
	struct err e;
	struct actor agent = {.uid = 0, .view = 5};
	act(t, &alice, "x", &e);
	uint32_t id = pending(t);
	assert_int_equal(decide(t, &alice, id, "approve", &e), -EPERM);
	assert_int_equal(decide(t, &carol, id, "approve", &e), -EPERM);
	assert_int_equal(decide(t, &agent, id, "approve", &e), -EPERM);
	assert_int_equal(state_of(t, id), APPROVAL_PENDING);
	assert_int_equal(approval_may_see(approval_find(t->rt, id), &alice, &e), 0);
	assert_int_equal(approval_may_see(approval_find(t->rt, id), &bob, &e), 0);
	assert_int_equal(approval_may_see(approval_find(t->rt, id), &carol, &e), -EACCES);
	assert_int_equal(approval_may_see(approval_find(t->rt, id), &agent, &e), -EACCES);
	assert_int_equal(decide(t, &grouped, id, "deny:  no ", &e), 0); /* by its group */
	assert_int_equal(state_of(t, id), APPROVAL_DENIED);
	assert_string_equal(approval_find(t->rt, id)->why, "no ");
	assert_int_equal(decide(t, &root_actor, id, "approve", &e), -EALREADY);
	assert_int_equal(act(t, &alice, "x", &e), -EACCES);
	assert_int_equal(e.code, ERR_APPROVAL_DENIED);
}

static void a_decision_is_one_of_two_words(void **state)
{
	(void)state;
	static const char *const good[] = {"approve", "deny", "approve:", "deny: because", "approve : x"},
				 *const bad[] = {"", "yes", "Approve", "approved", "deny because", ": deny", "approve\n"};
	struct err e;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_int_equal(approval_decision_check(good[i], strlen(good[i]), &e), 0);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(approval_decision_check(bad[i], strlen(bad[i]), &e), -EINVAL);
	char longest[300] = "deny: ";
	memset(longest + 6, 'x', 199);
	assert_int_equal(approval_decision_check(longest, strlen(longest), &e), 0);
	longest[205] = 'x';
	assert_int_equal(approval_decision_check(longest, strlen(longest), &e), -EINVAL);
}

static void who_asks_for_too_much_is_refused(void **state)
{
	struct engine *t = *state;
	struct err e;
	char name[32];
	for (int i = 0; i < APPROVALS_PENDING_OF_ASKER; i++) {
		snprintf(name, sizeof name, "x%d", i);
		act(t, &alice, name, &e);
		assert_int_equal(e.code, ERR_APPROVAL_PENDING);
	}
	assert_int_equal(act(t, &alice, "more", &e), -EACCES);
	assert_int_equal(e.code, ERR_POLICY_DENIED);
	assert_int_equal(act(t, &carol, "more", &e), -EACCES);
	assert_int_equal(e.code, ERR_APPROVAL_PENDING);
}

static bool is_expired(void *arg)
{
	struct engine *t = arg;
	return !approval_next(t->rt, 0, true);
}

static void what_expires_is_not_denied_and_may_be_asked_for_again(void **state)
{
	struct engine *t = *state;
	struct err e;
	engine_set(t, "approvals.timeout", "20ms");
	act(t, &alice, "x", &e);
	uint32_t id = pending(t);
	assert_true(engine_until(t, is_expired, t, 10000));
	assert_int_equal(state_of(t, id), APPROVAL_EXPIRED);
	assert_int_equal(act(t, &alice, "x", &e), -EACCES);
	assert_int_equal(e.code, ERR_APPROVAL_PENDING);
	assert_true(pending(t) > id);
}

static void a_start_finds_them_as_they_were(void **state)
{
	struct engine *t = *state;
	struct err e;
	char store[200];
	snprintf(store, sizeof store, "rm -r %s/store", t->dir);
	act(t, &alice, "one", &e);
	uint32_t first = pending(t);
	act(t, &alice, "two", &e);
	uint32_t second = approval_next(t->rt, first, true)->id;
	assert_int_equal(decide(t, &bob, first, "deny: no", &e), 0);
	for (int from_journal = 0; from_journal < 2; from_journal++) {
		engine_close(t);
		if (from_journal) {
			char *argv[] = {(char *)"sh", (char *)"-c", store, NULL};
			pid_t pid = fork();
			if (pid == 0) {
				execv("/bin/sh", argv);
				_exit(127);
			}
			waitpid(pid, NULL, 0);
		}
		engine_open(t, false);
		assert_int_equal(state_of(t, first), APPROVAL_DENIED);
		assert_string_equal(approval_find(t->rt, first)->why, "no");
		assert_int_equal(approval_find(t->rt, first)->decided_by, 4711);
		assert_int_equal(state_of(t, second), APPROVAL_PENDING);
		assert_string_equal(approval_find(t->rt, second)->resource, "two");
		assert_int_equal(act(t, &alice, "two", &e), -EACCES);
		assert_int_equal(pending(t), second);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(an_act_is_asked_for_once_and_done_once),
		T(only_whom_the_rule_names_decides_and_never_who_asked),
		T(a_decision_is_one_of_two_words),
		T(who_asks_for_too_much_is_refused),
		T(what_expires_is_not_denied_and_may_be_asked_for_again),
		T(a_start_finds_them_as_they_were),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
