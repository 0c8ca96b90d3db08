/* SPDX-License-Identifier: MIT */
/* test_err.c - codes, sentences, and that each code of the table can be told from the others. */
#include <errno.h>

#include "lib/err.h"
#include "tests/support/check.h"

static void an_error_has_code_errno_and_sentence(void **state)
{
	(void)state;
	struct err e = {0};
	assert_int_equal(err_set(&e, ERR_AGENT_NOT_FOUND, "no agent '%s'", "greet"), -ENOENT);
	assert_int_equal(e.code, ERR_AGENT_NOT_FOUND);
	assert_int_equal(e.eno, ENOENT);
	assert_int_equal(e.line, 0);
	assert_string_equal(e.msg, "no agent 'greet'");
	assert_int_equal(err_at(&e, ERR_TEXT_SYNTAX, 12, "line %u: bad", 12), -EINVAL);
	assert_int_equal(e.line, 12);
	assert_int_equal(err_sys(&e, ERR_SYS_IO, ENOSPC, "'%s'", "/disk"), -ENOSPC);
	assert_int_equal(e.eno, ENOSPC);
	assert_int_equal(e.line, 0);
	assert_string_equal(e.msg, "'/disk': No space left on device");
	assert_int_equal(err_sys(&e, ERR_SYS_IO, 99999, "odd"), -99999);
	assert_string_equal(e.msg, "odd: unknown error");
}

static void nobody_need_want_the_error(void **state)
{
	(void)state;
	assert_int_equal(err_set(NULL, ERR_AGENT_STATE, "x"), -EBUSY);
	assert_int_equal(err_at(NULL, ERR_TEXT_LIMIT, 1, "x"), -EFBIG);
	assert_int_equal(err_sys(NULL, ERR_SYS_IO, EPERM, "x"), -EPERM);
	assert_int_equal(err_wrap(NULL, "x"), -EIO);
}

static void context_goes_in_front(void **state)
{
	(void)state;
	struct err e;
	err_at(&e, ERR_TEXT_SYNTAX, 3, "line 3: bad");
	assert_int_equal(err_wrap(&e, "agent '%s'", "a"), -EINVAL);
	assert_string_equal(e.msg, "agent 'a': line 3: bad");
	assert_int_equal(e.code, ERR_TEXT_SYNTAX);
	assert_int_equal(e.line, 3);
}

static void long_sentences_are_cut_not_overrun(void **state)
{
	(void)state;
	struct {
		struct err e;
		char guard[8];
	} s = {.guard = "guard"};
	char longer[1000];
	memset(longer, 'x', sizeof longer - 1);
	longer[sizeof longer - 1] = 0;
	err_sys(&s.e, ERR_SYS_IO, EIO, "%s", longer);
	assert_int_equal(strlen(s.e.msg), sizeof s.e.msg - 1);
	for (int i = 0; i < 5; i++)
		err_wrap(&s.e, "%s", longer);
	assert_int_equal(strlen(s.e.msg), sizeof s.e.msg - 1);
	assert_string_equal(s.guard, "guard");
}

static void every_code_is_complete_and_unique(void **state)
{
	(void)state;
	assert_string_equal(err_code_name(ERR_NONE), "OK");
	for (int i = 1; i < ERR_CODE_COUNT; i++) {
		enum err_code code = (enum err_code)i;
		const char *name = err_code_name(code), *dash = strchr(name, '_');
		assert_non_null(dash);
		assert_int_equal(strlen(dash), 4);
		assert_int_equal(strspn(dash + 1, "0123456789"), 3);
		assert_true(err_code_errno(code) > 0);
		assert_true(strlen(err_code_text(code)) > 4);
		assert_int_equal(err_code_find(name), code);
	}
	assert_int_equal(err_code_find("AGENT_999"), ERR_NONE);
	assert_int_equal(err_code_find("OK"), ERR_NONE);
}

static void the_published_codes_stay(void **state)
{
	(void)state;
	static const char *const published[] = {
		"AGENT_001", "RESOURCE_001", "COMM_001", "SCHED_001",  "SEC_001",    "CTX_001",
		"RAG_001",   "VDB_001",      "MCP_001",  "SCHEMA_001", "POLICY_001",
	};
	for (size_t i = 0; i < sizeof published / sizeof *published; i++)
		assert_int_not_equal(err_code_find(published[i]), ERR_NONE);
	assert_int_equal(err_code_find("AGENT_001"), ERR_AGENT_NOT_FOUND);
	assert_int_equal(err_code_find("POLICY_001"), ERR_POLICY_DENIED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_error_has_code_errno_and_sentence),
		cmocka_unit_test(nobody_need_want_the_error),
		cmocka_unit_test(context_goes_in_front),
		cmocka_unit_test(long_sentences_are_cut_not_overrun),
		cmocka_unit_test(every_code_is_complete_and_unique),
		cmocka_unit_test(the_published_codes_stay),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
