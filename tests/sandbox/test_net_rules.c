/* SPDX-License-Identifier: MIT */
/* test_net_rules.c - what an allow-list lets through, and what a program may say to the door. */
#include <errno.h>

#include "lib/mem.h"
#include "sandbox/door_parse.h"
#include "sandbox/net_rules.h"
#include "sandbox/profile.h"
#include "tests/support/check.h"

static struct net_rules *rules_of(const char *text)
{
	struct net_rules *r = NULL;
	struct err e = {0};
	if (net_rules_read(text, &r, &e) < 0)
		fail_msg("%s", e.msg);
	return r;
}

static const char *found(const struct net_rules *r, const char *host, uint16_t port)
{
	struct net_host h;
	assert_int_equal(net_host_read(host, strlen(host), &h), 0);
	const char *rule = net_rules_find(r, &h, port);
	return rule ? rule : "";
}

static bool named(const struct net_rules *r, const char *address, uint16_t port)
{
	struct net_host h;
	assert_int_equal(net_host_read(address, strlen(address), &h), 0);
	return net_rules_names(r, h.address, port);
}

static void rules_are_written_in_one_way(void **state)
{
	static const char *const rows[][2] = {
		{"API.example.org.:443", "api.example.org:443"}, {"*:*", "*:*"},
		{"*.Example.org:80", "*.example.org:80"},	 {"0x7f.1:1", "127.0.0.1:1"},
		{"10.0.0.0/8:*", "10.0.0.0/8:*"},		 {"[2001:DB8::]/32:443", "[2001:db8::]/32:443"},
		{"[::ffff:1.2.3.4]:5", "1.2.3.4:5"},
	};
	static const char *const bad[] = {"",	   "a",	     "a:",	"a:0",	   "a:65536", ":1",	  "a.b/8:1", "1.2.3.4/33:1", "::1:80",
					  "*a:1",  "*.:1",   "*.1.2.3.4:1", "a:b:1", "[::1]/129:1", "a b:1", "a:1\n",  "1.2.3.4/:1", "[a]:1",
					  "**:1"};
	char out[NET_RULE_TEXT];
	struct err e;
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (net_rule_normal(rows[i][0], out, &e) < 0)
			fail_msg("%s", e.msg);
		assert_string_equal(out, rows[i][1]);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (net_rule_normal(bad[i], out, &e) == 0)
			fail_msg("'%s' is taken for '%s'", bad[i], out);
}

static void only_what_is_listed_is_let_through(void **state)
{
	struct net_rules *r = rules_of("a.test:443\n*.b.test:*\n10.0.0.0/8:80\n[2001:db8::]/32:80\n");
	(void)state;
	assert_string_equal(found(r, "A.test.", 443), "a.test:443");
	assert_string_equal(found(r, "a.test", 80), "");
	assert_string_equal(found(r, "x.a.test", 443), "");
	assert_string_equal(found(r, "x.y.b.test", 1), "*.b.test:*");
	assert_string_equal(found(r, "b.test", 1), "");
	assert_string_equal(found(r, "xb.test", 1), "");
	assert_string_equal(found(r, "10.255.0.1", 80), "10.0.0.0/8:80");
	assert_string_equal(found(r, "0xa.1", 80), "10.0.0.0/8:80");
	assert_string_equal(found(r, "::ffff:10.0.0.1", 80), "10.0.0.0/8:80");
	assert_string_equal(found(r, "11.0.0.1", 80), "");
	assert_string_equal(found(r, "2001:db8:1::5", 80), "[2001:db8::]/32:80");
	assert_string_equal(found(r, "2001:db9::5", 80), "");
	net_rules_free(r);
	r = rules_of("");
	assert_false(net_rules_any(r));
	assert_string_equal(found(r, "a.test", 1), "");
	assert_false(named(r, "127.0.0.1", 1));
	net_rules_free(r);
}

static void special_addresses_are_let_through_by_name_of_address_only(void **state)
{
	struct net_rules *r = rules_of("*:*\na.test:80\n");
	(void)state;
	assert_string_equal(found(r, "1.1.1.1", 5), "*:*");
	assert_string_equal(found(r, "127.0.0.1", 5), "");
	assert_false(named(r, "127.0.0.1", 80));
	assert_false(named(r, "10.0.0.1", 80));
	net_rules_free(r);
	r = rules_of("localhost:80\n192.168.0.0/16:*\n");
	assert_true(named(r, "127.9.9.9", 80));
	assert_true(named(r, "::1", 80));
	assert_false(named(r, "::1", 81));
	assert_false(named(r, "0.0.0.0", 80));
	assert_true(named(r, "192.168.1.1", 7));
	assert_false(named(r, "10.0.0.1", 7));
	net_rules_free(r);
}

static void what_stands_in_every_list_is_let_through(void **state)
{
	struct net_rules *r = rules_of("a.test:443\nb.test:443\n\n*.test:443\nc.test:*\n\n\nb.test:*\n");
	(void)state;
	assert_string_equal(found(r, "b.test", 443), "b.test:*");
	assert_string_equal(found(r, "a.test", 443), "");
	assert_string_equal(found(r, "c.test", 443), "");
	net_rules_free(r);
	r = rules_of("10.0.0.0/8:*\n\n10.1.0.0/16:*\n");
	assert_true(named(r, "10.1.2.3", 1));
	assert_false(named(r, "10.2.2.3", 1));
	net_rules_free(r);
}

static void two_networks_are_the_narrower_one(void **state)
{
	static const struct {
		enum sandbox_network a, b, want;
		const char *a_list, *b_list, *list;
	} rows[] = {
		{NETWORK_NONE, NETWORK_FULL, NETWORK_NONE, "", "", ""},
		{NETWORK_RESTRICTED, NETWORK_NONE, NETWORK_NONE, "a:1\n", "", ""},
		{NETWORK_RESTRICTED, NETWORK_FULL, NETWORK_RESTRICTED, "a:1\n", "", "a:1\n"},
		{NETWORK_FULL, NETWORK_RESTRICTED, NETWORK_RESTRICTED, "", "b:1\n", "b:1\n"},
		{NETWORK_RESTRICTED, NETWORK_RESTRICTED, NETWORK_RESTRICTED, "a:1\n", "b:1\n", "a:1\n\nb:1\n"},
		{NETWORK_RESTRICTED, NETWORK_RESTRICTED, NETWORK_RESTRICTED, "", "b:1\n", "b:1\n"},
		{NETWORK_FULL, NETWORK_FULL, NETWORK_FULL, "", "", ""},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		enum sandbox_network got = NETWORKS;
		autobuf struct buf list;
		buf_init(&list, 100);
		assert_int_equal(
			sandbox_network_join(rows[i].a, rows[i].a_list, rows[i].b, rows[i].b_list, &got, &list), 0);
		assert_int_equal(got, rows[i].want);
		assert_string_equal(list.data, rows[i].list);
	}
}

/* ---- the door's parser ---- */

static enum door_step parse(const char *text, struct door_request *q)
{
	return door_parse(text, strlen(text), false, q);
}

static void proxy_requests_are_read(void **state)
{
	struct door_request q;
	autobuf struct buf head;
	static const char get[] = "POST http://A.test:8080?x=/y HTTP/1.1\r\nhost: other\r\nProxy-Connection: keep-alive\r\n"
				  "Hosting: kept\r\nConnection: a\r\nContent-Length: 3\r\n\r\nabc";
	(void)state;
	buf_init(&head, 4096);
	assert_int_equal(parse("CONNECT a.test:443 HTTP/1.1\r\n\r\nrest", &q), DOOR_READY);
	assert_int_equal(q.kind, DOOR_CONNECT);
	assert_string_equal(q.host.name, "a.test");
	assert_int_equal(q.port, 443);
	assert_int_equal(q.used, 31);
	assert_int_equal(parse(get, &q), DOOR_READY);
	assert_int_equal(q.kind, DOOR_HTTP);
	assert_int_equal(q.used, sizeof get - 4);
	assert_int_equal(door_head(get, &q, &head), 0);
	assert_string_equal(head.data, "POST /?x=/y HTTP/1.1\r\nHost: a.test:8080\r\nHosting: kept\r\n"
				       "Content-Length: 3\r\nConnection: close\r\n\r\n");
	for (size_t n = 0; n < q.used; n++)
		assert_int_equal(door_parse(get, n, false, &q), DOOR_MORE);
}

static void what_is_not_plainly_a_request_is_refused(void **state)
{
	static const char *const bad[] = {
		"get http://a/ HTTP/1.1\r\n\r\n",	 "GET /local HTTP/1.1\r\n\r\n",
		"GET https://a/ HTTP/1.1\r\n\r\n",	 "GET http://user@a/ HTTP/1.1\r\n\r\n",
		"GET http://a:b@c/ HTTP/1.1\r\n\r\n",	 "GET http:///x HTTP/1.1\r\n\r\n",
		"GET http://a/ HTTP/2.0\r\n\r\n",	 "GET http://a/ b HTTP/1.1\r\n\r\n",
		"GET http://a/\nX: y HTTP/1.1\r\n\r\n",	 "GET http://a/ HTTP/1.1\r\nX: y\r\n folded\r\n\r\n",
		"GET http://a/ HTTP/1.1\nX: y\r\n\r\n",	 "CONNECT a HTTP/1.1\r\n\r\n",
		"CONNECT http://a:1 HTTP/1.1\r\n\r\n",	 "CONNECT a:0 HTTP/1.1\r\n\r\n",
		"GET http://a/#f HTTP/1.1\r\n\r\n",	 "\x16\x03\x01",
		"GET http://a b/ HTTP/1.1\r\n\r\n",	 " GET http://a/ HTTP/1.1\r\n\r\n",
		"GET http://[fe80::1%25lo]/ HTTP/1.1\r\n\r\n",
	};
	struct door_request q;
	char big[DOOR_HEAD_MAX];
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (parse(bad[i], &q) != DOOR_BAD)
			fail_msg("taken: %s", bad[i]);
	memset(big, 'A', sizeof big);
	memcpy(big, "GET http://a/", 13);
	assert_int_equal(door_parse(big, sizeof big - 1, false, &q), DOOR_MORE);
	assert_int_equal(door_parse(big, sizeof big, false, &q), DOOR_BAD);
}

static void socks_is_read(void **state)
{
	static const char name[] = "\5\1\0\3\6a.test\1\273", six[] = "\5\1\0\4\0\0\0\0\0\0\0\0\0\0\377\377\177\0\0\1\0\120",
			  four[] = "\5\1\0\1\12\0\0\1\0\120", udp[] = "\5\3\0\1\12\0\0\1\0\120", zero[] = "\5\1\0\1\12\0\0\1\0\0";
	struct door_request q;
	(void)state;
	assert_int_equal(door_parse("\5\2\2", 3, false, &q), DOOR_MORE);
	assert_int_equal(door_parse("\5\2\2\0", 4, false, &q), DOOR_GREETED);
	assert_int_equal(q.used, 4);
	assert_int_equal(door_parse("\5\1\2", 3, false, &q), DOOR_BAD);
	for (size_t n = 0; n < sizeof name - 1; n++)
		assert_int_equal(door_parse(name, n, true, &q), DOOR_MORE);
	assert_int_equal(door_parse(name, sizeof name - 1, true, &q), DOOR_READY);
	assert_string_equal(q.host.name, "a.test");
	assert_int_equal(q.port, 443);
	assert_int_equal(door_parse(six, sizeof six - 1, true, &q), DOOR_READY);
	assert_string_equal(q.host.name, "127.0.0.1");
	assert_true(q.host.is_address);
	assert_int_equal(door_parse(four, sizeof four - 1, true, &q), DOOR_READY);
	assert_string_equal(q.host.name, "10.0.0.1");
	assert_int_equal(door_parse(udp, sizeof udp - 1, true, &q), DOOR_BAD);
	assert_int_equal(q.socks_error, 7);
	assert_int_equal(door_parse(zero, sizeof zero - 1, true, &q), DOOR_BAD);
	assert_int_equal(door_parse("\4\1\0\1\12\0\0\1\0\120", 10, true, &q), DOOR_BAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_are_written_in_one_way),
		cmocka_unit_test(only_what_is_listed_is_let_through),
		cmocka_unit_test(special_addresses_are_let_through_by_name_of_address_only),
		cmocka_unit_test(what_stands_in_every_list_is_let_through),
		cmocka_unit_test(two_networks_are_the_narrower_one),
		cmocka_unit_test(proxy_requests_are_read),
		cmocka_unit_test(what_is_not_plainly_a_request_is_refused),
		cmocka_unit_test(socks_is_read),
	};
	return cmocka_run_group_tests_name("net_rules", tests, NULL, NULL);
}
