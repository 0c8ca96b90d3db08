/* SPDX-License-Identifier: MIT */
/* test_spawn_msg.c - messages of the spawner: what goes through, and what is refused. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/mem.h"
#include "sandbox/spawn_msg.h"
#include "tests/support/check.h"

static int pair[2];

static int setup(void **state)
{
	(void)state;
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
}

static int teardown(void **state)
{
	(void)state;
	close(pair[0]);
	close(pair[1]);
	return 0;
}

static unsigned open_fds(void)
{
	unsigned n = 0;
	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void message_text_and_descriptors_arrive(void **state)
{
	(void)state;
	struct spawn_req q = {.op = SPAWN_START, .id = 77}, got;
	char in[sizeof q + 16];
	int fds[SPAWN_FDS];
	unsigned n = 0;
	assert_int_equal(spawn_send(pair[0], &q, sizeof q, "abc", 4, (int[]){0, 1, 2}, 3), 0);
	assert_int_equal(spawn_recv(pair[1], in, sizeof in, fds, &n), sizeof q + 4);
	memcpy(&got, in, sizeof got);
	assert_int_equal(got.id, 77);
	assert_string_equal(in + sizeof q, "abc");
	assert_int_equal(n, 3);
	for (unsigned i = 0; i < n; i++) {
		struct stat mine, its;
		assert_int_equal(fstat((int)i, &mine), 0);
		assert_int_equal(fstat(fds[i], &its), 0);
		assert_int_equal(mine.st_ino, its.st_ino);
		assert_int_equal(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
		close(fds[i]);
	}
}

static void empty_socket_says_again(void **state)
{
	(void)state;
	char in[8];
	int fds[SPAWN_FDS];
	unsigned n;
	assert_int_equal(spawn_recv(pair[1], in, sizeof in, fds, &n), -EAGAIN);
}

static void closed_socket_says_pipe(void **state)
{
	(void)state;
	char in[8];
	int fds[SPAWN_FDS];
	unsigned n;
	close(pair[0]);
	assert_int_equal(spawn_recv(pair[1], in, sizeof in, fds, &n), -EPIPE);
	assert_int_equal(spawn_send(pair[1], "x", 1, NULL, 0, NULL, 0), -EPIPE);
	pair[0] = dup(0);
}

static void longer_message_is_refused_and_its_descriptors_closed(void **state)
{
	(void)state;
	char in[8];
	int fds[SPAWN_FDS];
	unsigned n, before = open_fds();
	assert_int_equal(spawn_send(pair[0], "0123456789", 10, NULL, 0, (int[]){0}, 1), 0);
	assert_int_equal(spawn_recv(pair[1], in, sizeof in, fds, &n), -EBADMSG);
	assert_int_equal(open_fds(), before);
}

static void more_descriptors_than_allowed_are_refused_and_closed(void **state)
{
	(void)state;
	char in[8], control[CMSG_SPACE(sizeof(int) * 16)] = {0};
	int fds[SPAWN_FDS];
	unsigned n, before = open_fds();
	struct iovec iov = {"x", 1};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof control};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * 16);
	for (int i = 0; i < 16; i++)
		memcpy(CMSG_DATA(c) + (size_t)i * sizeof(int), &(int){0}, sizeof(int));
	assert_int_equal(sendmsg(pair[0], &m, 0), 1);
	assert_int_equal(spawn_recv(pair[1], in, sizeof in, fds, &n), -EBADMSG);
	assert_int_equal(open_fds(), before);
}

static void full_socket_says_again_and_loses_nothing(void **state)
{
	(void)state;
	struct spawn_req q = {.op = SPAWN_KILL}, got;
	int fds[SPAWN_FDS];
	unsigned n;
	uint64_t sent = 0;
	while (q.id = sent, spawn_send(pair[0], &q, sizeof q, NULL, 0, NULL, 0) == 0)
		sent++;
	assert_true(sent > 10);
	for (uint64_t i = 0; i < sent; i++) {
		assert_int_equal(spawn_recv(pair[1], &got, sizeof got, fds, &n), sizeof got);
		assert_int_equal(got.id, i);
	}
}

struct check {
	const char *what;
	struct spawn_req q;
	size_t extra; /* bytes behind the request */
	unsigned nfds;
	bool good;
};

static void requests_are_checked(void **state)
{
	(void)state;
	static const struct check rows[] = {
		{"kill", {.op = SPAWN_KILL}, 0, 0, true},
		{"measure, the last op", {.op = SPAWN_MEASURE}, 0, 0, true},
		{"op 0", {.op = 0}, 0, 0, false},
		{"an op that only the spawner says", {.op = SPAWN_STARTED}, 0, 0, false},
		{"bytes behind a kill", {.op = SPAWN_KILL}, 1, 0, false},
		{"a descriptor with a kill", {.op = SPAWN_KILL}, 0, 1, false},
		{"start",
		 {.op = SPAWN_START, .argc = 1, .text_len = 9, .uid = -1, .gid = -1},
		 9,
		 0,
		 true},
		{"text shorter than said",
		 {.op = SPAWN_START, .argc = 1, .text_len = 9},
		 8,
		 0,
		 false},
		{"text longer than said",
		 {.op = SPAWN_START, .argc = 1, .text_len = 9},
		 10,
		 0,
		 false},
		{"no argument", {.op = SPAWN_START, .argc = 0, .text_len = 9}, 9, 0, false},
		{"too many arguments", {.op = SPAWN_START, .argc = SPAWN_STRINGS + 1}, 0, 0, false},
		{"too many variables", {.op = SPAWN_START, .argc = 1, .envc = ~0u}, 0, 0, false},
		{"text in a memfd",
		 {.op = SPAWN_START, .argc = 1, .flags = SPAWN_TEXT, .text_len = SPAWN_TEXT_MAX},
		 0,
		 1,
		 true},
		{"the same without the memfd",
		 {.op = SPAWN_START, .argc = 1, .flags = SPAWN_TEXT, .text_len = SPAWN_TEXT_MAX},
		 0,
		 0,
		 false},
		{"more text than there may be",
		 {.op = SPAWN_START,
		  .argc = 1,
		  .flags = SPAWN_TEXT,
		  .text_len = SPAWN_TEXT_MAX + 1},
		 0,
		 1,
		 false},
		{"a descriptor that no flag names",
		 {.op = SPAWN_START, .argc = 1, .flags = SPAWN_STDIN},
		 0,
		 2,
		 false},
		{"an unknown flag", {.op = SPAWN_START, .argc = 1, .flags = 1u << 30}, 0, 0, false},
		{"a network that is none", {.op = SPAWN_START, .argc = 1, .network = NETWORKS}, 0, 0, false},
		{"a uid below -1", {.op = SPAWN_START, .argc = 1, .uid = -2}, 0, 0, false},
		{"a gid above all", {.op = SPAWN_START, .argc = 1, .gid = 1ll << 32}, 0, 0, false},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (spawn_req_check(&rows[i].q, sizeof rows[i].q + rows[i].extra, rows[i].nfds) !=
		    (rows[i].good ? 0 : -EBADMSG))
			fail_msg("%s", rows[i].what);
	assert_int_equal(spawn_req_check(&rows[0].q, sizeof rows[0].q - 1, 0), -EBADMSG);
}

static void text_is_split_exactly(void **state)
{
	(void)state;
	char text[] = "/bin/sh\0/tmp\0/m/views/a\0a:1\n\0img:1\0sh\0-c\0A=1", *out[10];
	assert_int_equal(spawn_text_split(text, sizeof text, 2, 1, out), 0);
	assert_string_equal(out[0], "/bin/sh");
	assert_string_equal(out[1], "/tmp");
	assert_string_equal(out[2], "/m/views/a");
	assert_string_equal(out[3], "a:1\n");
	assert_string_equal(out[4], "img:1");
	assert_string_equal(out[5], "sh");
	assert_string_equal(out[6], "-c");
	assert_null(out[7]);
	assert_string_equal(out[8], "A=1");
	assert_null(out[9]);
	assert_int_equal(spawn_text_split(text, sizeof text, 2, 0, out), -EBADMSG);
	assert_int_equal(spawn_text_split(text, sizeof text, 3, 1, out), -EBADMSG);
	assert_int_equal(spawn_text_split(text, sizeof text - 1, 2, 1, out), -EBADMSG);
	assert_int_equal(spawn_text_split(text, 0, 1, 0, out), -EBADMSG);
	assert_int_equal(spawn_text_split("a\0\0", 4, 0, 0, out), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(message_text_and_descriptors_arrive, setup,
						teardown),
		cmocka_unit_test_setup_teardown(empty_socket_says_again, setup, teardown),
		cmocka_unit_test_setup_teardown(closed_socket_says_pipe, setup, teardown),
		cmocka_unit_test_setup_teardown(
			longer_message_is_refused_and_its_descriptors_closed, setup, teardown),
		cmocka_unit_test_setup_teardown(
			more_descriptors_than_allowed_are_refused_and_closed, setup, teardown),
		cmocka_unit_test_setup_teardown(full_socket_says_again_and_loses_nothing, setup,
						teardown),
		cmocka_unit_test(requests_are_checked),
		cmocka_unit_test(text_is_split_exactly),
	};
	return cmocka_run_group_tests_name("spawn_msg", tests, NULL, NULL);
}
