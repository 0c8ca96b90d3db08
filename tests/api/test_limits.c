/* SPDX-License-Identifier: MIT */
/* test_limits.c - bodies, heads and bytes that no client should send; many requests on one
 * connection. */

#include "tests/api/socket.h"

static void large_bodies_are_refused(void **state)
{
	(void)state;
	/* Announced: refused before it is sent. */
	int fd = http_connect(d.socket);
	http_text(fd, "PUT /fs/agents/big.yaml HTTP/1.1\r\nHost: s\r\nContent-Length: 1048577\r\n"
		      "Expect: 100-continue\r\n\r\n");
	autoreply struct http_reply early = http_read(fd);
	assert_int_equal(early.status, 413);
	close(fd);
	/* In chunks: refused when it has become too large. */
	static char piece[65536];
	memset(piece, '#', sizeof piece);
	fd = http_connect(d.socket);
	http_text(fd, "PUT /fs/agents/big.yaml HTTP/1.1\r\nHost: s\r\n"
		      "Transfer-Encoding: chunked\r\n\r\n");
	for (int i = 0; i < 17; i++) {
		http_text(fd, "10000\r\n");
		http_raw(fd, piece, sizeof piece);
		http_text(fd, "\r\n");
	}
	http_text(fd, "0\r\n\r\n");
	autoreply struct http_reply late = http_read(fd);
	assert_int_equal(late.status, 413);
	close(fd);
	/* Without end: the connection goes. */
	fd = http_connect(d.socket);
	http_text(fd, "PUT /fs/agents/big.yaml HTTP/1.1\r\nHost: s\r\n"
		      "Transfer-Encoding: chunked\r\n\r\n");
	bool sent = true;
	for (int i = 0; i < 1000 && sent; i++)
		sent = http_text(fd, "10000\r\n") && http_raw(fd, piece, sizeof piece) &&
		       http_text(fd, "\r\n");
	assert_false(sent);
	close(fd);
	expect("GET", "/fs/agents/big.yaml", NULL, 404, "FS_001");
}

static void the_largest_body_is_taken(void **state)
{
	(void)state;
	char *text = malloc((1u << 20) + 1);
	const char *spec = ECHO_SPEC "#";
	memset(text, 'x', 1u << 20);
	memcpy(text, spec, strlen(spec));
	text[1u << 20] = 0;
	put_agent("large", text);
	autoreply struct http_reply r = get("/fs/agents/large.yaml");
	assert_int_equal(r.len, 1u << 20);
	assert_memory_equal(r.body, text, 1u << 20);
	free(text);
}

static void long_heads_are_refused(void **state)
{
	(void)state;
	static char path[100000];
	memset(path, 'a', sizeof path - 1);
	memcpy(path, "/fs/", 4);
	int fd = http_connect(d.socket);
	http_send(fd, "GET", path, "", NULL);
	autoreply struct http_reply r = http_read(fd);
	assert_true(r.status >= 400 && r.status < 500);
	close(fd);
	autoreply struct http_reply ok = get("/fs/version");
	assert_int_equal(ok.status, 200);
}

/* Bytes that are no request: an answer of the 400 kind or the end, and the next client is served. */
static void malformed_bytes_harm_nobody(void **state)
{
	(void)state;
	static const struct {
		const char *data;
		size_t len;
	} rows[] = {
#define ROW(s) {s, sizeof s - 1}
		ROW("\r\n\r\n"),
		ROW("\0\0\0\0\0\0\0\0"),
		ROW("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), /* TLS */
		ROW("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
		ROW("GET\r\n\r\n"),
		ROW("GET /fs/version\r\n\r\n"),
		ROW("GET /fs/version HTTP/9.9\r\n\r\n"),
		ROW("GET /fs/ver\0sion HTTP/1.1\r\nHost: x\r\n\r\n"),
		ROW("GET  HTTP/1.1\r\n\r\n"),
		ROW("GET /fs/version HTTP/1.1\r\nHost x\r\n\r\n"),
		ROW("PUT /fs/agents/x.yaml HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n"),
		ROW("PUT /fs/agents/x.yaml HTTP/1.1\r\nHost: x\r\nContent-Length: 9x\r\n\r\nabc"),
		ROW("PUT /fs/agents/x.yaml HTTP/1.1\r\nHost: x\r\n"
		    "Content-Length: 99999999999999999999999\r\n\r\n"),
		ROW("PUT /fs/agents/x.yaml HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
		    "chunked\r\n\r\n"
		    "zz\r\n"),
		ROW("PUT /fs/agents/x.yaml HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
		    "chunked\r\n\r\n"
		    "ffffffffffffffff0\r\n"),
#undef ROW
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int fd = http_connect(d.socket);
		http_raw(fd, rows[i].data, rows[i].len);
		shutdown(fd, SHUT_WR);
		autoreply struct http_reply r = http_read(fd);
		if (r.status >= 500 && r.status != 505) /* a version that is not spoken */
			fail_msg("row %zu: status %u", i, r.status);
		close(fd);
		autoreply struct http_reply ok = get("/fs/version");
		assert_int_equal(ok.status, 200);
	}
	expect("GET", "/fs/agents/x.yaml", NULL, 404, "FS_001");
}

/* ---- connections ---- */

static void requests_are_pipelined(void **state)
{
	(void)state;
	autobuf struct buf rest;
	buf_init(&rest, 1 << 20);
	put_agent("p", ECHO_SPEC);
	int fd = http_connect(d.socket);
	http_send(fd, "GET", "/fs/version", "", NULL);
	http_send(fd, "POST", "/fs/agents/p/run", "", "one\n");
	http_send(fd, "GET", "/fs/agents/p/state", "", NULL);
	http_send(fd, "POST", "/fs/agents/p/run", "", "two\n");
	http_send(fd, "DELETE", "/fs/agents/p.yaml", "", NULL);
	http_send(fd, "GET", "/fs/agents/p.yaml", "", NULL);
	static const unsigned status[] = {200, 200, 200, 200, 204, 404};
	static const char *const body[] = {"symbi", "got one\n", "", "got two\n", "", "{"};
	for (size_t i = 0; i < ARRAY_LEN(status); i++) {
		autoreply struct http_reply r = http_read_rest(fd, &rest, false);
		assert_int_equal(r.status, status[i]);
		assert_memory_equal(r.body, body[i], strlen(body[i]));
	}
	close(fd);
}

static void a_request_may_come_byte_by_byte(void **state)
{
	(void)state;
	const char *text = "GET /fs/version HTTP/1.1\r\nHost: s\r\n\r\n";
	int fd = http_connect(d.socket);
	for (const char *p = text; *p; p++)
		http_raw(fd, p, 1);
	autoreply struct http_reply r = http_read(fd);
	assert_int_equal(r.status, 200);
	close(fd);
}

static void half_closed_clients_get_their_answer(void **state)
{
	(void)state;
	put_agent("half", ECHO_SPEC);
	int fd = http_connect(d.socket);
	http_send(fd, "POST", "/fs/agents/half/run", "", "closed\n");
	shutdown(fd, SHUT_WR);
	autoreply struct http_reply r = http_read(fd);
	assert_int_equal(r.status, 200);
	assert_string_equal(r.body, "got closed\n");
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(large_bodies_are_refused),
		cmocka_unit_test(the_largest_body_is_taken),
		cmocka_unit_test(long_heads_are_refused),
		cmocka_unit_test(malformed_bytes_harm_nobody),
		cmocka_unit_test(requests_are_pipelined),
		cmocka_unit_test(a_request_may_come_byte_by_byte),
		cmocka_unit_test(half_closed_clients_get_their_answer),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
