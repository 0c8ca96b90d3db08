/* SPDX-License-Identifier: MIT */
/* test_status.c - failures as HTTP statuses and bodies. */
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "api/status.h"
#include "lib/mem.h"
#include "tests/support/check.h"

static void every_code_has_a_status_of_its_kind(void **state)
{
	(void)state;
	for (int c = 1; c < ERR_CODE_COUNT; c++) {
		struct err e;
		err_set(&e, (enum err_code)c, "x");
		unsigned s = status_of(&e);
		assert_true(s >= 400 && s < 600);
	}
}

static void errors_have_the_status_that_clients_expect(void **state)
{
	(void)state;
	static const struct {
		enum err_code code;
		int eno;
		unsigned status;
	} rows[] = {
		{ERR_AGENT_NOT_FOUND, ENOENT, 404},
		{ERR_FS_MODE, EACCES, 403},
		{ERR_AGENT_SPEC, EINVAL, 400},
		{ERR_AGENT_EXISTS, EEXIST, 409},
		{ERR_AGENT_STATE, EBUSY, 409},
		{ERR_AGENT_FAILED, EIO, 502},
		{ERR_SYS_IO, EIO, 500},
		{ERR_RESOURCE_TOO_BIG, EFBIG, 413},
		{ERR_JOURNAL_FULL, ENOSPC, 507},
		{ERR_RESOURCE_SHORT, EDQUOT, 507},
		{ERR_SCHED_TIMEOUT, ETIMEDOUT, 504},
		{ERR_SYS_STOPPING, ESHUTDOWN, 503},
		{ERR_FS_NO_ANSWER, ENODATA, 404},
		{ERR_SPAWN_LOST, EPIPE, 503},
		{ERR_SYS_IO, EUCLEAN, 500},
		{ERR_SYS_IO, 0, 500},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err e = {.code = rows[i].code, .eno = rows[i].eno};
		assert_int_equal(status_of(&e), rows[i].status);
	}
}

static void the_body_is_json_whatever_the_text_is(void **state)
{
	(void)state;
	struct err e;
	autobuf struct buf b;
	buf_init(&b, 4096);
	err_at(&e, ERR_AGENT_SPEC, 7, "key '\"\n\x01\xff' is unknown");
	assert_int_equal(status_body(&e, "agents/\"x\\.yaml", &b), 0);
	json_t *j = json_loadb(b.data, b.len, 0, NULL);
	assert_non_null(j);
	assert_string_equal(json_string_value(json_object_get(j, "code")), "AGENT_003");
	assert_string_equal(json_string_value(json_object_get(j, "errno")), "EINVAL");
	assert_string_equal(json_string_value(json_object_get(j, "path")), "agents/\"x\\.yaml");
	assert_int_equal(json_integer_value(json_object_get(j, "line")), 7);
	assert_non_null(strstr(json_string_value(json_object_get(j, "message")), "is unknown"));
	json_decref(j);
}

static void an_errno_without_a_name_is_EIO(void **state)
{
	(void)state;
	struct err e = {.code = ERR_SYS_IO, .eno = 99999};
	autobuf struct buf b;
	buf_init(&b, 4096);
	assert_int_equal(status_body(&e, NULL, &b), 0);
	assert_non_null(strstr(b.data, "\"errno\":\"EIO\""));
	assert_non_null(strstr(b.data, "\"path\":null"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_code_has_a_status_of_its_kind),
		cmocka_unit_test(errors_have_the_status_that_clients_expect),
		cmocka_unit_test(the_body_is_json_whatever_the_text_is),
		cmocka_unit_test(an_errno_without_a_name_is_EIO),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
