/* SPDX-License-Identifier: MIT */
/* test_methods.c - every method on /fs, as a client sees it. */

#include "tests/api/socket.h"

static void files_are_read(void **state)
{
	(void)state;
	autoreply struct http_reply r = get("/fs/version");
	assert_int_equal(r.status, 200);
	assert_string_equal(r.body, "symbi " SYMBI_VERSION "\n");
	autoreply struct http_reply head = http_do(d.socket, "HEAD", "/fs/version", "", NULL);
	char text[32];
	assert_int_equal(head.status, 200);
	assert_true(http_header(&head, "Content-Length", text, sizeof text));
	snprintf(text + 16, 16, "%zu", r.len);
	assert_string_equal(text, text + 16);
	expect("GET", "/fs/nothing", NULL, 404, "FS_001");
	expect("HEAD", "/fs/nothing", NULL, 404, NULL);
	expect("GET", "/fs/version/x", NULL, 404, "FS_003");
}

static void directories_list_as_json(void **state)
{
	(void)state;
	static const char *const paths[] = {"/fs", "/fs/"};
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		autoreply struct http_reply r = get(paths[i]);
		assert_int_equal(r.status, 200);
		json_t *j = json_loadb(r.body, r.len, 0, NULL), *entry;
		size_t at;
		bool agents = false;
		json_array_foreach(j, at, entry)
		{
			const char *name = json_string_value(json_object_get(entry, "name"));
			const char *type = json_string_value(json_object_get(entry, "type"));
			if (strcmp(name, "agents") == 0)
				agents = strcmp(type, "dir") == 0;
			assert_true(json_is_number(json_object_get(entry, "mtime")));
		}
		assert_true(agents);
		json_decref(j);
	}
}

/* More entries than one piece holds: they come in chunks, none twice, none left out. */
static void long_listings_are_whole(void **state)
{
	(void)state;
	enum { N = 350 };
	char name[32], path[64];
	bool seen[N] = {0};
	for (int i = 0; i < N; i++) {
		snprintf(name, sizeof name, "many%04d", i);
		put_agent(name, "command: [\"true\"]\nsecurity_tier: None\n");
	}
	autoreply struct http_reply r = get("/fs/agents");
	assert_int_equal(r.status, 200);
	assert_true(r.whole);
	assert_true(http_header(&r, "Transfer-Encoding", name, sizeof name));
	json_t *j = json_loadb(r.body, r.len, 0, NULL), *entry;
	assert_non_null(j);
	size_t at;
	json_array_foreach(j, at, entry)
	{
		int i = -1, end = 0;
		const char *text = json_string_value(json_object_get(entry, "name"));
		if (sscanf(text, "many%d.yaml%n", &i, &end) == 1 && end && !text[end]) {
			assert_false(seen[i]);
			seen[i] = true;
		}
	}
	json_decref(j);
	for (int i = 0; i < N; i++) {
		assert_true(seen[i]);
		snprintf(path, sizeof path, "/fs/agents/many%04d.yaml", i);
		expect("DELETE", path, NULL, 204, NULL);
	}
}

static void agents_are_made_changed_and_deleted(void **state)
{
	(void)state;
	expect("PUT", "/fs/agents/a.yaml", ECHO_SPEC, 201, NULL);
	expect("PUT", "/fs/agents/a.yaml", ECHO_SPEC, 204, NULL);
	autoreply struct http_reply again = http_do(d.socket, "PUT", "/fs/agents/a.yaml",
						    "If-None-Match: *\r\n", ECHO_SPEC);
	assert_int_equal(again.status, 409);
	autoreply struct http_reply text = get("/fs/agents/a.yaml");
	assert_string_equal(text.body, ECHO_SPEC);
	expect("PUT", "/fs/agents/a/limits/memory_mb", "256\n", 204, NULL);
	autoreply struct http_reply limit = get("/fs/agents/a/limits/memory_mb");
	assert_string_equal(limit.body, "256\n");
	expect("DELETE", "/fs/agents/a/status", NULL, 403, "FS_006");
	expect("DELETE", "/fs/agents/a", NULL, 204, NULL);
	expect("GET", "/fs/agents/a.yaml", NULL, 404, "FS_001");
	expect("DELETE", "/fs/agents/a.yaml", NULL, 404, "FS_001");
	expect("DELETE", "/fs/", NULL, 403, "FS_006");
	expect("DELETE", "/fs/version", NULL, 403, NULL);
}

static void refused_texts_change_nothing(void **state)
{
	(void)state;
	expect("PUT", "/fs/agents/bad.yaml", "{bad", 400, "TEXT_001");
	expect("PUT", "/fs/agents/bad.yaml", "command: [\"true\"]\nsecurity_teir: None\n", 400,
	       "AGENT_003");
	expect("PUT", "/fs/agents/bad.yaml", "", 400, NULL);
	expect("PUT", "/fs/agents/bad", ECHO_SPEC, 400, "AGENT_004");
	expect("PUT", "/fs/nowhere", "x", 403, "FS_006");
	expect("PUT", "/fs/version", "x", 403, "FS_002");
	expect("PUT", "/fs/agents", "x", 409, "FS_003");
	expect("GET", "/fs/agents/bad.yaml", NULL, 404, "FS_001");
	autoreply struct http_reply errors = get("/fs/errors");
	assert_non_null(strstr(errors.body, "security_teir"));
	assert_non_null(strstr(errors.body, "\"path\":\"agents/bad.yaml\""));
}

static void questions_are_answered(void **state)
{
	(void)state;
	char run[16];
	put_agent("q", ECHO_SPEC);
	autoreply struct http_reply r = http_do(d.socket, "POST", "/fs/agents/q/run", "", "you\n");
	assert_int_equal(r.status, 200);
	assert_string_equal(r.body, "got you\n");
	assert_true(http_header(&r, "Symbi-Run", run, sizeof run));
	assert_string_equal(run, "1");
	autoreply struct http_reply output = get("/fs/agents/q/runs/1/output");
	assert_string_equal(output.body, "got you\n");
	/* Named: asked without waiting, answered when read. */
	autoreply struct http_reply asked = http_do(d.socket, "PUT", "/fs/agents/q/run.d/x", "",
						    "named\n");
	assert_int_equal(asked.status, 201);
	autoreply struct http_reply answer = get("/fs/agents/q/run.d/x");
	assert_string_equal(answer.body, "got named\n");
	expect("DELETE", "/fs/agents/q/run.d/x", NULL, 204, NULL);
	expect("POST", "/fs/agents/.check", ECHO_SPEC, 200, NULL);
	expect("POST", "/fs/agents/q/ctl", "nonsense\n", 400, "AGENT_006");
	expect("POST", "/fs/agents/q/ctl", "", 400, "API_001");
	expect("POST", "/fs/agents/none/run", "x", 404, "FS_001");
	put_agent("f", "command: [\"sh\", \"-c\", \"exit 3\"]\nsecurity_tier: None\n");
	expect("POST", "/fs/agents/f/run", "", 502, "AGENT_007");
}

static void long_answers_are_streamed(void **state)
{
	(void)state;
	char text[32];
	put_agent("long",
		  "command: [\"sh\", \"-c\", \"i=0; while [ $i -lt 20000 ]; do echo line $i; "
		  "i=$((i+1)); done\"]\nsecurity_tier: None\n");
	autoreply struct http_reply r = http_do(d.socket, "POST", "/fs/agents/long/run", "", "");
	assert_int_equal(r.status, 200);
	assert_true(http_header(&r, "Transfer-Encoding", text, sizeof text));
	assert_true(r.whole);
	const char *at = r.body;
	for (int i = 0, n = 0, k = -1; i < 20000; i++, at += n) {
		assert_int_equal(sscanf(at, "line %d\n%n", &k, &n), 1);
		assert_int_equal(k, i);
	}
	assert_int_equal(*at, 0);
	autoreply struct http_reply log = get("/fs/agents/long/runs/1/output");
	assert_int_equal(log.len, r.len);
	assert_memory_equal(log.body, r.body, r.len);
}

static void ranges_of_logs_and_texts(void **state)
{
	(void)state;
	static const char *const paths[] = {"/fs/events", "/fs/README"};
	char header[64], text[64];
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		autoreply struct http_reply whole = get(paths[i]);
		assert_true(whole.len > 20);
		autoreply struct http_reply part = http_do(d.socket, "GET", paths[i],
							   "Range: bytes=5-14\r\n", NULL);
		assert_int_equal(part.status, 206);
		assert_int_equal(part.len, 10);
		assert_memory_equal(part.body, whole.body + 5, 10);
		assert_true(http_header(&part, "Content-Range", text, sizeof text));
		snprintf(header, sizeof header, "bytes 5-14/%zu", whole.len);
		assert_string_equal(text, header);
		autoreply struct http_reply tail = http_do(d.socket, "GET", paths[i],
							   "Range: bytes=-7\r\n", NULL);
		assert_int_equal(tail.status, 206);
		assert_memory_equal(tail.body, whole.body + whole.len - 7, 7);
		snprintf(header, sizeof header, "Range: bytes=%zu-\r\n", whole.len);
		autoreply struct http_reply none = http_do(d.socket, "GET", paths[i], header, NULL);
		assert_int_equal(none.status, 416);
		assert_true(http_header(&none, "Content-Range", text, sizeof text));
		snprintf(header, sizeof header, "bytes */%zu", whole.len);
		assert_string_equal(text, header);
	}
}

static void methods_that_are_not_are_named(void **state)
{
	(void)state;
	static const char *const methods[] = {"PATCH", "BREW", "get", "TRACE"};
	char allow[64];
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		autoreply struct http_reply r = http_do(d.socket, methods[i], "/fs/version", "",
							NULL);
		assert_int_equal(r.status, 405);
		assert_true(http_header(&r, "Allow", allow, sizeof allow));
		assert_non_null(strstr(allow, "DELETE"));
	}
	autoreply struct http_reply options = http_do(d.socket, "OPTIONS", "/fs/", "", NULL);
	assert_int_equal(options.status, 204);
	assert_true(http_header(&options, "Allow", allow, sizeof allow));
}

static void bad_requests_are_refused(void **state)
{
	(void)state;
	expect("GET", "/fs/../etc/passwd", NULL, 400, "API_001");
	expect("GET", "/fs/agents/%2e%2e/version", NULL, 400, "API_001");
	expect("GET", "/fs/version%00x", NULL, 400, "API_001");
	expect("GET", "/fs//version", NULL, 400, "API_001");
	expect("GET", "/fs/%zz", NULL, 400, "API_001");
	expect("GET", "/fs/version?x=1", NULL, 400, "API_001");
	expect("GET", "/version", NULL, 404, "API_001");
	expect("GET", "/fsx", NULL, 404, "API_001");
	expect("GET", "/", NULL, 404, "API_001");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_read),
		cmocka_unit_test(directories_list_as_json),
		cmocka_unit_test(long_listings_are_whole),
		cmocka_unit_test(agents_are_made_changed_and_deleted),
		cmocka_unit_test(refused_texts_change_nothing),
		cmocka_unit_test(questions_are_answered),
		cmocka_unit_test(long_answers_are_streamed),
		cmocka_unit_test(ranges_of_logs_and_texts),
		cmocka_unit_test(methods_that_are_not_are_named),
		cmocka_unit_test(bad_requests_are_refused),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
