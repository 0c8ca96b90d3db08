/* SPDX-License-Identifier: MIT */
/* test_streams.c - answers that wait, clients that leave, that are many, that are slow. */
#include <poll.h>
#include <sys/resource.h>

#include "tests/api/socket.h"

static void streams_give_what_happens(void **state)
{
	(void)state;
	autobuf struct buf b;
	buf_init(&b, 1 << 20);
	int fd = open_stream("/fs/wait/events");
	read_until(fd, &b, "\r\n\r\n"); /* the head comes before the first event */
	assert_non_null(strstr(b.data, "HTTP/1.1 200"));
	assert_non_null(strstr(b.data, "chunked"));
	put_agent("seen1", ECHO_SPEC);
	read_until(fd, &b, "seen1");
	put_agent("seen2", ECHO_SPEC);
	read_until(fd, &b, "seen2");
	close(fd);
}

static void the_next_state_ends_its_stream(void **state)
{
	(void)state;
	put_agent("st", ECHO_SPEC);
	int fd = open_stream("/fs/wait/agents/st");
	struct pollfd p = {fd, POLLIN, 0};
	assert_int_equal(poll(&p, 1, -1), 1); /* its head: the wait has begun */
	expect("POST", "/fs/agents/st/run", "x\n", 200, NULL);
	autoreply struct http_reply r = http_read(fd);
	assert_true(r.whole);
	assert_true(r.len > 1);
	close(fd);
}

/* A client that hangs up frees its connection, whatever it waited for. */
static void clients_that_leave_are_forgotten(void **state)
{
	(void)state;
	autobuf struct buf b;
	buf_init(&b, 1 << 20);
	put_agent("slow", "command: [\"sh\", \"-c\", \"sleep 1000\"]\nsecurity_tier: None\n");
	int events = open_stream("/fs/wait/events");
	read_until(events, &b, "\r\n\r\n");
	int run = http_connect(d.socket);
	http_send(run, "POST", "/fs/agents/slow/run", "", "");
	wait_text("/fs/agents/slow/state", "Running\n");
	int reader = open_stream("/fs/wait/agents/slow");
	wait_connections(4); /* these three, and the one that asks */
	close(run);
	wait_connections(3);
	close(events);
	close(reader);
	wait_connections(1);
	expect("DELETE", "/fs/agents/slow.yaml", NULL, 204,
	       NULL); /* the run lived on, and ends now */
}

static void a_thousand_idle_streams_are_no_burden(void **state)
{
	(void)state;
	enum { N = 1000 };
	static int fds[N];
	struct rlimit files = {4096, 4096};
	char byte[512];
	if (geteuid() != 0 && setrlimit(RLIMIT_NOFILE, &files) < 0)
		skip();
	setrlimit(RLIMIT_NOFILE, &files);
	for (int i = 0; i < N; i++)
		fds[i] = open_stream("/fs/wait/events");
	for (int i = 0; i < N; i++) /* the head of each */
		assert_true(recv(fds[i], byte, sizeof byte, 0) > 0);
	wait_connections(N + 1);
	autoreply struct http_reply r = get("/fs/version");
	assert_int_equal(r.status, 200);
	put_agent("one-for-all", ECHO_SPEC);
	for (int i = 0; i < N; i++) {
		autobuf struct buf b;
		buf_init(&b, 1 << 20);
		read_until(fds[i], &b, "one-for-all");
		close(fds[i]);
	}
	wait_connections(1);
}

/* A client that does not read holds up nobody, and gets all when it does. */
static void slow_readers_hold_up_nobody(void **state)
{
	(void)state;
	enum { N = 8 };
	int fds[N];
	put_agent("mass", "command: [\"sh\", \"-c\", \"i=0; while [ $i -lt 60000 ]; do echo "
			  "0123456789012345678901234567890123456789; i=$((i+1)); done\"]\n"
			  "security_tier: None\n");
	expect("PUT", "/fs/agents/mass/run.d/all", "", 201, NULL);
	expect("GET", "/fs/agents/mass/run.d/all", NULL, 200, NULL);
	for (int i = 0; i < N; i++)
		fds[i] = open_stream(i % 2 ? "/fs/agents/mass/run.d/all"
					   : "/fs/agents/mass/runs/1/output");
	for (int i = 0; i < 100; i++) {
		autoreply struct http_reply r = get("/fs/version");
		assert_int_equal(r.status, 200);
	}
	for (int i = 0; i < N; i++) {
		autoreply struct http_reply r = http_read(fds[i]);
		assert_true(r.whole);
		assert_int_equal(r.len, 60000 * 41);
		close(fds[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(streams_give_what_happens),
		cmocka_unit_test(the_next_state_ends_its_stream),
		cmocka_unit_test(clients_that_leave_are_forgotten),
		cmocka_unit_test(a_thousand_idle_streams_are_no_burden),
		cmocka_unit_test(slow_readers_hold_up_nobody),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
