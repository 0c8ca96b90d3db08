/* SPDX-License-Identifier: MIT */
/* test_box.c - the wall of Tier1: every attempt of attempts.h is carried out inside by a copy of this program. In every
 * place a spawner may live. */
#include "tests/support/copy_self.h"
#include "tests/sandbox/attempts.h"
#include "tests/sandbox/places.h"

/* ---- outside ---- */

static struct spawned s;
static char given[GIVEN_SHM + 1][256];
static int tcp = -1, name_fd = -1, shm = -1;

static const struct sandbox_driver *box(void)
{
	for (const struct sandbox_driver *const *d = sandbox_drivers; *d; d++)
		if (strcmp((*d)->name, "proc") == 0)
			return *d;
	return NULL;
}

/* What there is to be found on the machine: a file, a process, a port, an abstract socket, shared memory. */
static void lay_out(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_un u = {.sun_family = AF_UNIX};
	socklen_t len = sizeof a;
	snprintf(given[GIVEN_SECRET], 256, "%s/secret", s.dir);
	int fd = open(given[GIVEN_SECRET], O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_true(fd >= 0 && fchmod(fd, 0644) == 0);
	close(fd);
	snprintf(given[GIVEN_PID], 256, "%d", getpid());
	tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(tcp, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(tcp, 8), 0);
	getsockname(tcp, (struct sockaddr *)&a, &len);
	snprintf(given[GIVEN_PORT], 256, "%d", ntohs(a.sin_port));
	snprintf(given[GIVEN_NAME], 256, "symbi-test-%d", getpid());
	memcpy(u.sun_path + 1, given[GIVEN_NAME], strlen(given[GIVEN_NAME]));
	name_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	len = (socklen_t)(sizeof(sa_family_t) + 1 + strlen(given[GIVEN_NAME]));
	assert_int_equal(bind(name_fd, (struct sockaddr *)&u, len), 0);
	assert_int_equal(listen(name_fd, 8), 0);
	shm = shmget((key_t)getpid(), 4096, IPC_CREAT | 0666);
	assert_true(shm >= 0);
	snprintf(given[GIVEN_SHM], 256, "%d", getpid());
}

static int setup(void **state)
{
	char path[128];
	(void)state;
	spawned_open(&s);
	s.driver = box();
	snprintf(path, sizeof path, "%s/probe", s.work);
	copy_self(path);
	lay_out();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(tcp);
	close(name_fd);
	shmctl(shm, IPC_RMID, NULL);
	spawned_close(&s);
	return 0;
}

static enum sandbox_network network;

static int answer(const struct attempt *a)
{
	struct shell_spec sh;
	const char *argv[] = {"./probe", a->name, given[a->given], NULL};
	shell_spec(&s, &sh, "");
	sh.spec.argv = argv;
	sh.spec.network = network;
	sh.spec.destinations = "*:*\n";
	struct heard *h = spawned_run(&s, &sh.spec);
	if (h->result.end == END_START_FAILED)
		fail_msg("%s: %s", a->name, h->result.err.msg);
	return h->result.end == END_EXITED ? h->result.code : -1;
}

static void what_a_program_needs_works(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(attempts); i++)
		if (attempts[i].works && answer(&attempts[i]) != YES)
			fail_msg("does not work: %s", attempts[i].name);
}

static void no_attempt_comes_to_anything(void **state)
{
	unsigned open = 0, n = 0;
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(attempts); i++) {
		if (attempts[i].works)
			continue;
		int got = answer(&attempts[i]);
		if (got != NO)
			printf("open: %s (%d)\n", attempts[i].name, got);
		open += got != NO;
		n++;
	}
	printf("%u attempts, %u open\n", n, open);
	assert_int_equal(open, 0);
}

static void nor_does_one_with_a_door_in_its_network(void **state)
{
	network = NETWORK_RESTRICTED;
	what_a_program_needs_works(state);
	no_attempt_comes_to_anything(state);
	network = NETWORK_NONE;
}

/* The same attempts where there is no wall: those that work show that the test can see it. */
static void without_a_box_the_same_attempts_succeed(void **state)
{
	static const char *const open[] = {"see_secret", "see_users", "see_other_processes", "link_to_secret",
					   "reach_loopback_of_host", "reach_abstract", "share_memory"};
	unsigned n = 0;
	(void)state;
	s.driver = NULL;
	for (size_t i = 0; i < ARRAY_LEN(open); i++)
		for (size_t k = 0; k < ARRAY_LEN(attempts); k++)
			n += strcmp(attempts[k].name, open[i]) == 0 && answer(&attempts[k]) == YES;
	s.driver = box();
	assert_int_equal(n, ARRAY_LEN(open));
}

static void boxes_share_nothing(void **state)
{
	(void)state;
	char name[64], script[256];
	snprintf(name, sizeof name, "/tmp/symbi-left-%d", getpid());
	snprintf(script, sizeof script, "echo x >%s && echo x >/dev/shm/left", name);
	assert_int_equal(spawned_sh(&s, script)->result.code, 0);
	snprintf(script, sizeof script, "test -e %s -o -e /dev/shm/left", name);
	assert_int_equal(spawned_sh(&s, script)->result.code, 1);
	assert_int_equal(access(name, F_OK), -1);
}

static void temporary_files_have_their_limit(void **state)
{
	(void)state;
	assert_int_not_equal(spawned_sh(&s, "head -c 100M /dev/zero > /tmp/big 2>/dev/null")->result.code, 0);
}

static void it_is_never_root(void **state)
{
	struct shell_spec sh;
	struct err e = {0};
	(void)state;
	shell_spec(&s, &sh, "id -u");
	sh.spec.uid = sh.spec.gid = geteuid() == 0 ? 0 : 12345;
	assert_true(sandbox_start(s.client, TIER_1, &sh.spec, &e) < 0);
	assert_int_equal(e.code, ERR_SEC_VIOLATION);
	sh.spec.uid = sh.spec.gid = (uid_t)-1;
	if (geteuid() == 0)
		assert_true(sandbox_start(s.client, TIER_1, &sh.spec, &e) < 0);
	assert_int_equal(spawned_sh(&s, "id -u; id -un")->result.code, 0);
	char want[64];
	snprintf(want, sizeof want, "%u\nagent\n", geteuid() == 0 ? BOXED_UID : geteuid());
	assert_string_equal(text_of(s.out), want);
}

static void the_system_is_no_working_directory(void **state)
{
	static const char *const not[] = {"/", "/etc", "/usr/lib", "/proc", "/tmp", "/dev/shm", "/symbi/self"};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(not); i++) {
		struct shell_spec sh;
		shell_spec(&s, &sh, "exit 0");
		sh.spec.cwd = not[i];
		struct heard *h = spawned_run(&s, &sh.spec);
		assert_int_equal(h->result.end, END_START_FAILED);
		assert_non_null(strstr(h->result.err.msg, "working directory"));
	}
	assert_int_equal(spawned_sh(&s, "exit 0")->result.code, 0);
}

static char *within(const char *dir, const char *name)
{
	static char path[160];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	return path;
}

static void has_no_such_view(const char *view)
{
	struct shell_spec sh;
	shell_spec(&s, &sh, "exit 0");
	sh.spec.view = view;
	struct heard *h = spawned_run(&s, &sh.spec);
	assert_int_equal(h->result.end, END_START_FAILED);
	assert_non_null(strstr(h->result.err.msg, "its view"));
}

/* Here a directory takes the place of the tree: the spawner knows it by its owner alone. */
static void what_it_sees_as_symbi_is_its_own(void **state)
{
	char view[128], link[128];
	struct shell_spec sh;
	(void)state;
	snprintf(view, sizeof view, "%s/view", s.dir);
	snprintf(link, sizeof link, "%s/link", s.dir);
	assert_true(mkdir(view, 0755) == 0 && mkdir(within(view, "sub"), 0777) == 0 && symlink(view, link) == 0);
	assert_int_equal(chmod(within(view, "sub"), 0777), 0);
	copy_self(within(view, "program"));
	if (geteuid() == 0) {
		has_no_such_view(view); /* another's */
		assert_int_equal(chown(view, BOXED_UID, BOXED_UID), 0);
	}
	has_no_such_view(link);
	has_no_such_view("/nowhere/views/a");
	has_no_such_view("/dev/null");
	assert_int_equal(spawned_sh(&s, "test ! -e /symbi")->result.code, 0);
	shell_spec(&s, &sh, "test -d /symbi/sub -a / -ef /symbi/.. || exit 1\n"
			    "test -r /symbi/program || exit 2\n"
			    "/symbi/program 2>/dev/null && exit 3\n" /* noexec */
			    "touch /symbi/sub/x || exit 4\n" /* whose file system it is decides, not Landlock */
			    "exit 0");
	sh.spec.view = view;
	assert_int_equal(spawned_run(&s, &sh.spec)->result.code, 0);
}

static void a_program_outside_is_named(void **state)
{
	struct shell_spec sh;
	char path[128];
	const char *argv[] = {path, NULL};
	(void)state;
	snprintf(path, sizeof path, "%s/program", s.dir);
	copy_self(path);
	shell_spec(&s, &sh, "");
	sh.spec.argv = argv;
	struct heard *h = spawned_run(&s, &sh.spec);
	assert_int_equal(h->result.end, END_START_FAILED);
	assert_non_null(strstr(h->result.err.msg, path));
	assert_non_null(strstr(h->result.err.msg, "not seen in its sandbox"));
}

/* Pid 1 of the box dies with the spawner, and with it what is in the box. */
static void a_killed_spawner_leaves_no_box(void **state)
{
	struct shell_spec sh;
	struct err e = {0};
	/* Three shells that bear the name: the `:` keeps each from becoming its own sleep. */
	const char *argv[] = {"/bin/sh", "-c",
			      "(setsid sh -c 'sleep 999; :' \"$0\" &)\n"
			      "(trap '' TERM HUP; sleep 999; :) & sleep 999; :",
			      s.work, NULL};
	(void)state;
	shell_spec(&s, &sh, "");
	sh.spec.argv = argv;
	spawned_start(&s, &sh.spec);
	spawned_until(&s, running(s.work) == 3);
	kill(s.pid, SIGKILL);
	assert_int_equal(waitpid(s.pid, NULL, 0), s.pid);
	s.pid = 0;
	spawned_until(&s, s.lost && running(s.work) == 0);
	assert_int_equal(spawn_server_cleanup(s.state, &e), 0);
}

static int tests(const char *place)
{
	char title[64];
	struct err e = {0};
	const struct CMUnitTest list[] = {
		cmocka_unit_test(what_a_program_needs_works),
		cmocka_unit_test(no_attempt_comes_to_anything),
		cmocka_unit_test(nor_does_one_with_a_door_in_its_network),
		cmocka_unit_test(what_it_sees_as_symbi_is_its_own),
		cmocka_unit_test(without_a_box_the_same_attempts_succeed),
		cmocka_unit_test(boxes_share_nothing),
		cmocka_unit_test(temporary_files_have_their_limit),
		cmocka_unit_test(it_is_never_root),
		cmocka_unit_test(the_system_is_no_working_directory),
		cmocka_unit_test(a_program_outside_is_named),
		cmocka_unit_test(a_killed_spawner_leaves_no_box),
	};
	if (!box() || box()->available(&(struct sandbox_layers){0}, &e) < 0) {
		printf("skipped: %s\n", e.msg);
		exit(77);
	}
	snprintf(title, sizeof title, "box, %s", place);
	return cmocka_run_group_tests_name(title, list, setup, teardown);
}

/* The leak check traces its own process, which the box refuses. The test itself is told more by ASAN_OPTIONS. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

int main(int argc, char **argv)
{
	if (argc == 3)
		return carry_out(argv[1], argv[2]);
	return places_run(tests);
}
