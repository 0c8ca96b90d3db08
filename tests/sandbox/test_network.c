/* SPDX-License-Identifier: MIT */
/* test_network.c - a restricted network in a real box: what is allowed is reached, and nothing else, however it is named. As
 * root and as an ordinary user. */
#include "sandbox/door.h"
#include "sandbox/spec.h"
#include "tests/sandbox/outside.h"
#include "tests/sandbox/places.h"

static struct spawned s;

static int setup(void **state)
{
	(void)state;
	spawned_open(&s);
	for (const struct sandbox_driver *const *d = sandbox_drivers; *d; d++)
		if (strcmp((*d)->name, "proc") == 0)
			s.driver = *d;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	spawned_close(&s);
	return 0;
}

static void restrict_to(struct shell_spec *sh, const char *destinations)
{
	size_t n = 0;
	static const char *env[16];
	for (; sh->env[n]; n++)
		env[n] = sh->env[n];
	for (size_t i = 0; sandbox_proxy_env[i]; i++)
		if (!strstr(sandbox_proxy_env[i], "no_proxy") && !strstr(sandbox_proxy_env[i], "NO_PROXY"))
			env[n++] = sandbox_proxy_env[i];
	env[n] = NULL;
	sh->spec.envp = env;
	sh->spec.network = NETWORK_RESTRICTED;
	sh->spec.destinations = destinations;
}

/* What a shell in a network restricted to these writes. */
static const char *in_network(const char *destinations, const char *script)
{
	struct shell_spec sh;
	shell_spec(&s, &sh, script);
	restrict_to(&sh, destinations);
	s.told_n = 0;
	struct heard *h = spawned_run(&s, &sh.spec);
	if (h->result.end == END_START_FAILED)
		fail_msg("%s", h->result.err.msg);
	return text_of(s.out);
}

#define GET "curl -s -m 20 "

static bool reaches(const char *destinations, const char *url)
{
	char script[300];
	snprintf(script, sizeof script, GET "'%s'", url);
	return strncmp(in_network(destinations, script), "at ", 3) == 0;
}

/* Refused by the door, which says this. */
static bool refused(const char *destinations, const char *url, const char *why)
{
	char script[300];
	snprintf(script, sizeof script, GET "-p '%s'; " GET "'%s'", url, url); /* by CONNECT, then as a request */
	const char *said = in_network(destinations, script);
	bool ok = strncmp(said, "SEC_001", 7) == 0 && strstr(said, why) && !strstr(said, "\nat ");
	if (!ok)
		printf("%s: %s\n", url, said);
	return ok && s.told_n == 2 && !s.told[0].allowed && !s.told[1].allowed && strstr(s.told[0].why, why);
}

static void what_is_allowed_is_reached(void **state)
{
	(void)state;
	assert_true(reaches("198.51.100.2:8080\n", "http://198.51.100.2:8080/"));
	assert_int_equal(s.told_n, 1);
	assert_true(s.told[0].allowed);
	assert_string_equal(s.told[0].host, "198.51.100.2");
	assert_int_equal(s.told[0].port, FAR_PORT);
	assert_string_equal(s.told[0].rule, "198.51.100.2:8080");
	assert_true(reaches("good.test:*\n", "http://GOOD.test.:8080/a?b"));
	assert_non_null(strstr(text_of(s.out), "GET /a?b HTTP/1.1\r\nHost: good.test:8080\r\n"));
	assert_string_equal(s.told[0].addresses[0], "198.51.100.2");
	assert_true(reaches("*.good.test:8080\n", "http://sub.good.test:8080/"));
	assert_true(reaches("[2001:db8::]/32:8080\n", "http://[2001:db8::2]:8080/"));
	assert_true(reaches("*:*\n", "http://good.test:8080/"));
	assert_non_null(strstr(in_network("good.test:8080\n", GET "--socks5-hostname 127.0.0.1:1080 http://good.test:8080/"), "at "));
	assert_non_null(strstr(in_network("good.test:8080\n", GET "-p http://good.test:8080/ -d 123"), "\r\n\r\n123"));
}

static void everything_else_is_refused(void **state)
{
	static const char none[] = "it is none of the allowed destinations", good[] = "good.test:8080\n";
	(void)state;
	unsigned near = outside->near, far = outside->far, other = outside->asked_other, secret = asked("secret.test");
	assert_true(refused(good, "http://good.test:8081/", none));
	assert_true(refused(good, "http://sub.good.test:8080/", none));
	assert_true(refused(good, "http://198.51.100.2:8080/", none));
	assert_true(refused(good, "http://[2001:db8::2]:8080/", none));
	assert_true(refused(good, "http://[::1]:8081/", none));
	assert_true(refused(good, "http://secret.test:8080/", none));
	assert_true(refused(good, "http://there-is-no.such-name.test:8080/", none));
	assert_true(refused("", "http://good.test:8080/", none));
	assert_true(refused("*.test:*\n\ngood.test:80\n", "http://good.test:8080/", none));
	assert_int_equal(outside->far, far);
	assert_int_equal(outside->near, near);
	assert_int_equal(outside->asked_other, other); /* a name that is not allowed is not looked up */
	assert_int_equal(asked("secret.test"), secret);
}

/* curl would change some of these spellings: sent as they are. */
static void this_machine_is_refused_in_every_spelling(void **state)
{
	static const char *const spellings[] = {"127.0.0.1",	      "0x7f.1",	    "2130706433",    "017700000001", "127.1",
						"0",		      "0.0.0.0",    "[::1]",	     "[::]",	     "[::ffff:127.0.0.1]",
						"[::ffff:7f00:1]",    "localhost",  "LOCALHOST.",    "198.51.100.1", "[2001:db8::1]",
						"[::127.0.0.1]", "0x7f000001", "[64:ff9b::7f00:1]", "127.0.0.1."};
	char script[1200];
	(void)state;
	unsigned near = outside->near;
	for (size_t i = 0; i < ARRAY_LEN(spellings); i++) {
		snprintf(script, sizeof script,
			 "exec 3<>/dev/tcp/127.0.0.1/1080; printf 'CONNECT %s:%d HTTP/1.1\\r\\n\\r\\n' >&3; cat <&3",
			 spellings[i], NEAR_PORT);
		struct shell_spec sh;
		const char *argv[] = {"/bin/bash", "-c", script, NULL};
		shell_spec(&s, &sh, script);
		sh.spec.argv = argv;
		restrict_to(&sh, "*:*\nlocalhost:1\n127.0.0.1:1\n");
		s.told_n = 0;
		spawned_run(&s, &sh.spec);
		if (strncmp(text_of(s.out), "HTTP/1.1 403", 12) != 0 || s.told_n != 1 || s.told[0].allowed)
			fail_msg("%s: %s", spellings[i], text_of(s.out));
	}
	assert_int_equal(outside->near, near);
	/* The same service where it is named: this test can see what it tests. */
	assert_true(reaches("127.0.0.1:8081\n", "http://0x7f.1:8081/"));
	assert_true(reaches("localhost:8081\n", "http://localhost:8081/"));
	assert_true(reaches("198.51.100.0/24:8081\n", "http://198.51.100.1:8081/"));
	assert_int_equal(outside->near, near + 3);
}

static void a_name_leads_to_no_special_address(void **state)
{
	(void)state;
	unsigned near = outside->near, far = outside->far;
	assert_true(refused("*:*\n", "http://loop.test:8081/", "127.0.0.1 is loopback"));
	assert_true(refused("*.test:*\n", "http://private.test:8080/", "10.9.8.7 is private"));
	assert_true(refused("meta.test:*\n", "http://meta.test:8080/", "169.254.169.254 is metadata"));
	assert_true(refused("own.test:*\n", "http://own.test:8081/", "198.51.100.1 is of this machine itself"));
	assert_int_equal(outside->near, near);
	assert_int_equal(outside->far, far);
	assert_true(reaches("private.test:*\n10.0.0.0/8:8080\n", "http://private.test:8080/"));
	assert_true(reaches("mixed.test:8080\n", "http://mixed.test:8080/"));
	assert_string_equal(s.told[0].addresses[0], "198.51.100.2");
}

/* A name that answers once so and then otherwise: what was checked is what is connected to, each time. */
static void rebinding_leads_nowhere(void **state)
{
	(void)state;
	unsigned near = outside->near;
	outside->asked[2] = outside->asked[3] = 0;
	const char *said = in_network("rebind.test:*\n", GET "http://rebind.test:8080/; for i in 1 2 3; do " GET
							     "http://rebind.test:8081/; done");
	assert_ptr_equal(strstr(said, "at "), said);
	assert_non_null(strstr(said, "127.0.0.1 is loopback"));
	assert_int_equal(s.told_n, 4);
	assert_true(s.told[0].allowed);
	for (size_t i = 1; i < 4; i++)
		assert_false(s.told[i].allowed);
	assert_int_equal(asked("rebind.test"), 4); /* once for each */
	said = in_network("late.test:*\n", GET "http://late.test:8081/; " GET "http://late.test:8080/");
	assert_ptr_equal(strstr(said, "SEC_001"), said);
	assert_non_null(strstr(said, "at "));
	assert_int_equal(outside->near, near);
}

static void nothing_leads_around_the_door(void **state)
{
	static const char direct[] =
		"unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY\n"
		"for to in 198.51.100.2 198.51.100.1 '[2001:db8::2]' 127.0.0.1 '[::1]' good.test; do\n"
		"  curl -s -m 5 http://$to:8080/ && echo open tcp $to; curl -s -m 5 http://$to:8081/ && echo open tcp $to\n"
		"done\n"
		"for to in 198.51.100.2 198.51.100.1; do (echo x >/dev/udp/$to/53) 2>/dev/null && echo open udp $to; done\n"
		"grep -v lo: /proc/net/dev 2>/dev/null | grep : && echo open interface; true";
	struct shell_spec sh;
	const char *argv[] = {"/bin/bash", "-c", direct, NULL};
	(void)state;
	unsigned near = outside->near, far = outside->far;
	shell_spec(&s, &sh, direct);
	sh.spec.argv = argv;
	restrict_to(&sh, "*:*\n");
	assert_int_equal(spawned_run(&s, &sh.spec)->result.code, 0);
	assert_string_equal(text_of(s.out), "");
	assert_int_equal(outside->near, near);
	assert_int_equal(outside->far, far);
}

static bool may;
static char asked_last[300];

static bool decide(const struct sandbox_connect *c)
{
	snprintf(asked_last, sizeof asked_last, "%s:%u %u", c->host, c->port, c->addresses_n);
	return may;
}

static void who_decides_is_asked(void **state)
{
	struct shell_spec sh;
	(void)state;
	s.may = decide;
	for (int listed = 0; listed < 2; listed++)
		for (int yes = 0; yes < 2; yes++) {
			shell_spec(&s, &sh, GET "http://good.test:8080/");
			restrict_to(&sh, listed ? "good.test:8080\n" : "");
			sh.spec.ask_connects = true;
			may = yes;
			s.told_n = s.asked = 0;
			unsigned before = asked("good.test");
			spawned_run(&s, &sh.spec);
			assert_int_equal(strncmp(text_of(s.out), yes ? "at " : "SEC_001", yes ? 3 : 7), 0);
			assert_int_equal(s.asked, listed || !yes ? 1 : 2); /* without a list: the name, then its addresses */
			assert_int_equal(asked("good.test") - before, listed || yes ? 1 : 0);
			assert_string_equal(asked_last, listed || yes ? "good.test:8080 1" : "good.test:8080 0");
			assert_int_equal(s.told_n, 1);
			assert_int_equal(s.told[0].allowed, yes);
			assert_string_equal(s.told[0].rule, "asked");
		}
	shell_spec(&s, &sh, GET "http://rebind.test:8081/");
	restrict_to(&sh, "");
	sh.spec.ask_connects = true;
	s.told_n = 0;
	unsigned near = outside->near;
	spawned_run(&s, &sh.spec); /* yes: but no list names a special address */
	assert_int_equal(outside->near, near);
	assert_int_equal(strncmp(text_of(s.out), "SEC_001", 7), 0);
}

static void questions_outlive_who_was_asked(void **state)
{
	struct shell_spec sh;
	(void)state;
	shell_spec(&s, &sh, "echo up; " GET "http://good.test:8080/");
	restrict_to(&sh, "");
	sh.spec.ask_connects = true;
	s.may = decide;
	may = true;
	s.asked = 0;
	uint64_t id = spawned_start(&s, &sh.spec);
	spawned_until(&s, heard_of(&s, id)->started); /* and is gone before it has answered */
	spawned_disconnect(&s);
	for (int i = 0; i < 500 && !strstr(text_of(s.out), "up"); i++)
		usleep(10000);
	spawned_connect(&s);
	struct err e = {0};
	assert_int_equal(spawn_client_resync(s.client, spawned_resynced, &e), 0);
	spawned_wait(&s, id);
	assert_non_null(strstr(text_of(s.out), "at "));
	assert_true(s.asked >= 2);
}

/* More than it tells at once: the rest is counted. */
static void a_flood_is_told_in_part_and_counted(void **state)
{
	(void)state;
	in_network("good.test:1\n", "for i in $(seq 60); do echo http://x$i.test/; done | xargs curl -s -m 30 >/dev/null; true");
	assert_true(s.told_n >= DOOR_TOLD_BURST && s.told_n < 60);
	assert_int_equal(s.told[0].missed, 0);
}

/* The child of that name that our spawner has, 0: none. */
static pid_t helper(const char *name)
{
	pid_t found = 0;
	DIR *d = opendir("/proc");
	assert_non_null(d);
	for (struct dirent *f; (f = readdir(d));) {
		char path[300], word[32];
		int parent = 0;
		uint64_t pid;
		snprintf(word, sizeof word, "(%s) ", name);
		snprintf(path, sizeof path, "/proc/%.200s/stat", f->d_name);
		const char *text = text_of(path), *end = strstr(text, word);
		if (end && sscanf(end + strlen(word), "%*c %d", &parent) == 1 && parent == s.pid &&
		    parse_u64(f->d_name, 1, INT32_MAX, &pid, NULL) == 0)
			found = (pid_t)pid;
	}
	closedir(d);
	return found;
}

static void its_door_ends_with_it(void **state)
{
	struct shell_spec sh;
	(void)state;
	shell_spec(&s, &sh, "echo up; sleep 999");
	restrict_to(&sh, "*:*\n");
	uint64_t id = spawned_start(&s, &sh.spec);
	spawned_until(&s, strstr(text_of(s.out), "up"));
	pid_t pid = helper("symbi-door");
	assert_true(pid > 0);
	sandbox_kill(s.client, id, NULL);
	assert_int_equal(spawned_wait(&s, id)->result.end, END_KILLED);
	assert_int_equal(kill(pid, 0), -1);
	sh.spec.id = s.next_id++; /* and with the spawner */
	sh.spec.stdout_fd = sh.spec.stderr_fd = -1;
	spawned_start(&s, &sh.spec);
	spawned_until(&s, (pid = helper("symbi-door")) > 0);
	kill(s.pid, SIGKILL); /* the spawner */
	spawned_until(&s, s.lost);
	for (int i = 0; i < 1000 && state_of_pid(pid) && state_of_pid(pid) != 'Z'; i++)
		usleep(10000);
	assert_true(state_of_pid(pid) == 0 || state_of_pid(pid) == 'Z');
}

static void containers_have_the_same_door(void **state)
{
	static const char *const drivers[] = {"crun", "runc"};
	const struct sandbox_driver *own = s.driver;
	struct err e;
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(drivers); i++) {
		if (sandbox_driver_find(TIER_1, drivers[i], true, &s.driver, &e) < 0) {
			printf("not here: %s\n", e.msg);
			continue;
		}
		unsigned near = outside->near;
		assert_true(reaches("good.test:8080\n", "http://good.test:8080/"));
		assert_true(refused("*:*\n", "http://loop.test:8081/", "127.0.0.1 is loopback"));
		assert_true(refused("good.test:8080\n", "http://[::1]:8081/", "none of the allowed destinations"));
		nothing_leads_around_the_door(state);
		assert_int_equal(outside->near, near);
		assert_int_equal(helper("symbi-door"), 0);
	}
	s.driver = own;
}

/* ---- a whole one ---- */

static void full_is_everything_but_this_machines_loopback(void **state)
{
	static const char script[] = GET "http://198.51.100.2:8080/; " GET "http://good.test:8080/; echo; echo up; "
				     "for to in 10.0.2.2 127.0.0.1; do curl -s -m 5 http://$to:8081/ && echo open $to; done; "
				     "read wait";
	struct shell_spec sh;
	struct err e = {0};
	int p[2];
	(void)state;
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	shell_spec(&s, &sh, script);
	sh.spec.network = NETWORK_FULL;
	sh.spec.stdin_fd = p[0];
	sh.spec.driver = s.driver->name;
	char program[PATH_MAX];
	if (sandbox_spec_check(TIER_1, &sh.spec, program, &e) < 0) {
		printf("not here: %s\n", e.msg);
		assert_int_equal(e.code, ERR_SEC_VIOLATION);
		assert_non_null(strstr(e.msg, "network Full needs "));
		close(p[0]);
		close(p[1]);
		return;
	}
	unsigned near = outside->near, far = outside->far;
	uint64_t id = spawned_start(&s, &sh.spec);
	close(p[0]);
	spawned_until(&s, heard_of(&s, id)->ended || strstr(text_of(s.out), "up\n"));
	pid_t pid = helper("slirp4netns");
	assert_true(pid > 0);
	close(p[1]);
	assert_int_equal(spawned_wait(&s, id)->result.end, END_EXITED);
	assert_null(strstr(text_of(s.out), "open"));
	assert_non_null(strstr(text_of(s.out), "GET / HTTP/1.1\r\nHost: 198.51.100.2:8080"));
	assert_non_null(strstr(text_of(s.out), "GET / HTTP/1.1\r\nHost: good.test:8080"));
	assert_int_equal(outside->near, near);
	assert_int_equal(outside->far, far + 2);
	assert_int_equal(kill(pid, 0), -1);
}

static int tests(const char *place)
{
	const struct CMUnitTest all[] = {
		cmocka_unit_test_setup_teardown(what_is_allowed_is_reached, setup, teardown),
		cmocka_unit_test_setup_teardown(everything_else_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(this_machine_is_refused_in_every_spelling, setup, teardown),
		cmocka_unit_test_setup_teardown(a_name_leads_to_no_special_address, setup, teardown),
		cmocka_unit_test_setup_teardown(rebinding_leads_nowhere, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_leads_around_the_door, setup, teardown),
		cmocka_unit_test_setup_teardown(who_decides_is_asked, setup, teardown),
		cmocka_unit_test_setup_teardown(questions_outlive_who_was_asked, setup, teardown),
		cmocka_unit_test_setup_teardown(a_flood_is_told_in_part_and_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(its_door_ends_with_it, setup, teardown),
		cmocka_unit_test_setup_teardown(containers_have_the_same_door, setup, teardown),
		cmocka_unit_test_setup_teardown(full_is_everything_but_this_machines_loopback, setup, teardown),
	};
	return cmocka_run_group_tests_name(place, all, NULL, NULL);
}

static int in_place(const struct place *p)
{
	int status;
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		if (!p->enter()) {
			printf("place '%s' cannot be had here\n", p->name);
			exit(0);
		}
		exit(tests(p->name) ? 1 : 0);
	}
	return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : 1;
}

int main(void)
{
	outside_make();
	return in_place(&places[0]) | in_place(&places[1]);
}
