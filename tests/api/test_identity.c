/* SPDX-License-Identifier: MIT */
/* test_identity.c - a second user behind the socket: what modes allow, and no more connections than
 * its share. */
#include <grp.h>

#include "tests/api/socket.h"

#define OTHER_UID  65534
#define OTHER_GID  65533
#define HELPER_GID 60001

/* Run fn as another user; its exit status is its verdict. */
static void as_other(int (*fn)(void))
{
	int status;
	gid_t groups[] = {HELPER_GID};
	pid_t pid = fork();
	if (pid == 0) {
		setenv("CMOCKA_TEST_ABORT", "1", 1); /* a failure must not go on in here */
		if (setgroups(1, groups) < 0 || setgid(OTHER_GID) < 0 || setuid(OTHER_UID) < 0)
			_exit(99);
		_exit(fn());
	}
	waitpid(pid, &status, 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static unsigned status_for(const char *method, const char *path, const char *body)
{
	autoreply struct http_reply r = http_do(d.socket, method, path, "", body);
	return r.status;
}

/* Each row: what the other user tries, and what it gets. The number of the row that failed, or 0. */
static int others_do_what_modes_allow(void)
{
	static const struct {
		const char *method, *path, *body;
		unsigned status;
	} rows[] = {
		{"GET", "/fs/version", NULL, 200},
		{"GET", "/fs/agents", NULL, 200},
		{"GET", "/fs/agents/roots.yaml", NULL, 200},          /* 0644 */
		{"GET", "/fs/agents/roots/status", NULL, 200},        /* 0444 */
		{"GET", "/fs/agents/roots/runs/1/output", NULL, 403}, /* 0400 */
		{"PUT", "/fs/agents/roots.yaml", ECHO_SPEC, 403},
		{"POST", "/fs/agents/roots/run", "x\n", 403}, /* 0600 */
		{"POST", "/fs/agents/roots/ctl", "stop\n", 403},
		{"PUT", "/fs/agents/roots/limits/memory_mb", "100\n", 403},
		{"PUT", "/fs/agents/roots/run.d/x", "x\n", 403},
		{"DELETE", "/fs/agents/roots.yaml", NULL, 403}, /* sticky */
		{"DELETE", "/fs/agents/roots", NULL, 403},
		{"POST", "/fs/ctl", "stop\n", 403},
		{"PUT", "/fs/agents/others.yaml", ECHO_SPEC, 201},
		{"POST", "/fs/agents/others/run", "x\n", 200},
		{"GET", "/fs/agents/others/runs/1/output", NULL, 200},
		{"PUT", "/fs/agents/others/limits/memory_mb", "100\n", 204},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (status_for(rows[i].method, rows[i].path, rows[i].body) != rows[i].status)
			return (int)i + 1;
	autoreply struct http_reply errors = get("/fs/errors");
	return strstr(errors.body, "\"uid\":0") ? 98 : 0; /* its own only */
}

static void a_second_user_sees_what_modes_allow(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip(); /* only root can become another user */
	put_agent("roots", ECHO_SPEC);
	expect("POST", "/fs/agents/roots/run", "x\n", 200, NULL);
	as_other(others_do_what_modes_allow);
	autoreply struct http_reply list = get("/fs/agents");
	const char *at = strstr(list.body, "\"others.yaml\"");
	assert_non_null(at);
	assert_non_null(strstr(at, "\"uid\":65534,\"gid\":65533"));
	expect("DELETE", "/fs/agents/others.yaml", NULL, 204, NULL); /* root may */
}

static int more_connections_than_allowed(void)
{
	int fds[21];
	for (int i = 0; i < 20; i++) {
		fds[i] = http_connect(d.socket);
		http_send(fds[i], "GET", "/fs/version", "", NULL);
		autoreply struct http_reply r = http_read(fds[i]);
		if (r.status != 200)
			return 1;
	}
	fds[20] = http_connect(d.socket);
	autoreply struct http_reply busy = http_read(fds[20]);
	if (busy.status != 503 || !strstr(busy.body, "RESOURCE_001"))
		return 2;
	close(fds[0]);
	for (int i = 0;; i++) { /* the daemon notices */
		autoreply struct http_reply r = http_do(d.socket, "GET", "/fs/version", "", NULL);
		if (r.status == 200)
			return 0;
		usleep(1000);
	}
}

static void one_user_cannot_take_all_connections(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	wait_connections(1); /* those of the last test are gone */
	as_other(more_connections_than_allowed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_second_user_sees_what_modes_allow),
		cmocka_unit_test(one_user_cannot_take_all_connections),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
