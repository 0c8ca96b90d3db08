/* SPDX-License-Identifier: MIT */
/* test_net_host.c - hosts in one spelling; which addresses are special. */
#include <errno.h>

#include "lib/mem.h"
#include "lib/net_host.h"
#include "tests/support/check.h"

static void spellings_become_one(void **state)
{
	static const char *const rows[][2] = {
		{"Example.ORG.", "example.org"},     {"a-b_c.d", "a-b_c.d"},	      {"127.0.0.1", "127.0.0.1"},
		{"0x7f.1", "127.0.0.1"},	     {"2130706433", "127.0.0.1"},     {"017700000001", "127.0.0.1"},
		{"0x7f000001", "127.0.0.1"},	     {"127.1", "127.0.0.1"},	      {"127.0.0.1.", "127.0.0.1"},
		{"::ffff:127.0.0.1", "127.0.0.1"},   {"[::FFFF:7f00:1]", "127.0.0.1"}, {"[::1]", "::1"},
		{"0:0:0:0:0:0:0:1", "::1"},	     {"2001:DB8::0:1", "2001:db8::1"}, {"0", "0.0.0.0"},
		{"0x7f.1g", "0x7f.1g"},		     {"1.2.3.4.5", "1.2.3.4.5"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct net_host h;
		if (net_host_read(rows[i][0], strlen(rows[i][0]), &h) < 0)
			fail_msg("'%s' is refused", rows[i][0]);
		assert_string_equal(h.name, rows[i][1]);
	}
}

static void what_is_no_host_is_refused(void **state)
{
	static const char *const rows[] = {"",	   ".",	     "a..b",	  ".a",	      "a b",	"a/b",	"a@b", "a%b", "fe80::1%eth0",
					   "[::1", "[a.b]",  "::1::",	  "a:1",      "a\nb",	"\xc3\xa9.org", "[", "[]", "a.."};
	char long_name[300];
	struct net_host h;
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (net_host_read(rows[i], strlen(rows[i]), &h) == 0)
			fail_msg("'%s' is taken for '%s'", rows[i], h.name);
	assert_int_equal(net_host_read("a\0b", 3, &h), -EINVAL);
	memset(long_name, 'a', sizeof long_name);
	assert_int_equal(net_host_read(long_name, 254, &h), -EINVAL);
	assert_int_equal(net_host_read(long_name, 253, &h), 0);
}

static void targets_have_a_port(void **state)
{
	struct net_host h;
	uint16_t port = 0;
	char text[NET_TARGET_TEXT];
	(void)state;
	assert_int_equal(net_target_read("[::1]:65535", 11, 0, &h, &port), 0);
	assert_int_equal(port, 65535);
	net_target_text(&h, port, text);
	assert_string_equal(text, "[::1]:65535");
	assert_int_equal(net_target_read("a", 1, 80, &h, &port), 0);
	assert_int_equal(port, 80);
	static const char *const bad[] = {"a", "a:", "a:0", "a:65536", "a:-1", "a:1x", ":1", "[::1]1", "[::1]:", "a:1:2", "a: 1"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (net_target_read(bad[i], strlen(bad[i]), 0, &h, &port) == 0)
			fail_msg("'%s' is taken", bad[i]);
}

static void special_addresses_are_known_by_what_they_are(void **state)
{
	static const char *const rows[][2] = {
		{"127.0.0.1", "loopback"},	 {"127.255.255.255", "loopback"}, {"0.0.0.0", "unspecified"},
		{"10.1.2.3", "private"},	 {"172.16.0.1", "private"},	  {"172.31.255.255", "private"},
		{"192.168.0.1", "private"},	 {"100.64.0.1", "private"},	  {"169.254.1.1", "link-local"},
		{"169.254.169.254", "metadata"}, {"100.100.100.200", "metadata"}, {"168.63.129.16", "metadata"},
		{"fd00:ec2::254", "metadata"},	 {"192.0.0.192", "metadata"},	  {"224.0.0.1", "multicast"},
		{"255.255.255.255", "reserved"}, {"::", "unspecified"},		  {"::1", "loopback"},
		{"::7f00:1", "unspecified"},	 {"fe80::1", "link-local"},	  {"fc00::1", "private"},
		{"ff02::1", "multicast"},	 {"::ffff:10.0.0.1", "private"},  {"64:ff9b::7f00:1", "loopback"},
		{"2002:7f00:1::", "loopback"},	 {"2002:a00:1::5", "private"},	  {"2001::80ff:fffe", "loopback"},
	};
	static const char *const plain[] = {"1.1.1.1", "172.32.0.1", "172.15.255.255", "192.167.1.1", "100.128.0.1", "9.255.255.255",
					    "11.0.0.0", "2606:4700::1111", "64:ff9b::101:101", "2002:101:101::1", "126.255.255.255"};
	struct net_host h;
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(net_host_read(rows[i][0], strlen(rows[i][0]), &h), 0);
		const char *what = net_special(h.address);
		if (!what || strcmp(what, rows[i][1]) != 0)
			fail_msg("%s is %s", rows[i][0], what ? what : "nothing special");
	}
	for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
		assert_int_equal(net_host_read(plain[i], strlen(plain[i]), &h), 0);
		if (net_special(h.address))
			fail_msg("%s is %s", plain[i], net_special(h.address));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spellings_become_one),
		cmocka_unit_test(what_is_no_host_is_refused),
		cmocka_unit_test(targets_have_a_port),
		cmocka_unit_test(special_addresses_are_known_by_what_they_are),
	};
	return cmocka_run_group_tests_name("net_host", tests, NULL, NULL);
}
