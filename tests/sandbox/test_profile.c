/* SPDX-License-Identifier: MIT */
/* test_profile.c - sandbox profiles: what is read, what is refused and where, and that a box holds what one says. */
#include <stdio.h>

#include "sandbox/profile.h"
#include "sandbox/spec.h"
#include "tests/sandbox/spawned.h"

#define MIB (1ull << 20)

static int read_yaml(const char *text, struct sandbox_profile *p, struct err *e)
{
	return sandbox_profile_read(VALUE_YAML, text, strlen(text), p, NULL, e);
}

static void all_of_it_is_read(void **state)
{
	static const char text[] =
		"resources:\n  max_memory_mb: 256\n  max_cpu_cores: 0.5\n  max_io_bandwidth_mbps: 20\n"
		"filesystem:\n  denied_paths: [/srv/keys, /root]\n  allow_temp_files: false\n  max_temp_mb: 8\n"
		"  max_file_size_mb: 3\n  read_paths: []\n"
		"process:\n  max_child_processes: 4\n  max_execution_time_seconds: 9\n  max_cpu_seconds: 7\n"
		"  process_priority: 5\n  allowed_syscalls: []\n"
		"network:\n  access_mode: Restricted\n  max_bandwidth_mbps: 8\n"
		"  allowed_destinations: [\"Api.Example.org.:443\", {host: 10.0.0.0/8, port: 53, protocol: tcp}, {host: \"*.a\"}]\n"
		"security:\n  strict_syscall_filtering: true\n  disable_debugging: true\n  enable_audit_logging: true\n"
		"  require_encryption: false\n";
	struct sandbox_profile p;
	struct err e = {0};
	(void)state;
	assert_int_equal(read_yaml(text, &p, &e), 0);
	assert_int_equal(p.limits.memory_bytes, 256 * MIB);
	assert_int_equal(p.limits.cpu_millis, 500);
	assert_int_equal(p.limits.disk_bytes_per_s, 20000000);
	assert_int_equal(p.limits.temp_bytes, 8 * MIB);
	assert_int_equal(p.limits.file_bytes, 3 * MIB);
	assert_int_equal(p.limits.pids, 5);
	assert_int_equal(p.limits.cpu_seconds, 7);
	assert_int_equal(p.limits.nice, 5);
	assert_int_equal(p.execution_ms, 9000);
	assert_true(p.no_temp);
	assert_int_equal(p.denied_len, sizeof "/srv/keys" + sizeof "/root");
	assert_int_equal(p.network, NETWORK_RESTRICTED);
	assert_int_equal(p.limits.net_bytes_per_s, 1000000);
	assert_string_equal(p.destinations, "api.example.org:443\n10.0.0.0/8:53\n*.a:*\n");
}

static void what_is_not_said_is_as_in_standard(void **state)
{
	const struct sandbox_profile *standard = sandbox_profile_builtin("standard");
	struct sandbox_profile p;
	struct err e = {0};
	(void)state;
	assert_int_equal(sandbox_profile_read(VALUE_TOML, "[resources]\nmax_memory_mb = 64\n", 30, &p, NULL, &e), 0);
	assert_int_equal(p.limits.memory_bytes, 64 * MIB);
	assert_int_equal(p.limits.pids, standard->limits.pids);
	assert_true(standard->limits.pids > 0);
	assert_int_equal(p.execution_ms, standard->execution_ms);
}

static void the_built_in_ones_print_as_what_they_are(void **state)
{
	static const char *const names[] = {"secure", "standard"};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const struct sandbox_profile *p = sandbox_profile_builtin(names[i]);
		struct sandbox_profile q;
		struct err e = {0};
		autobuf struct buf b;
		buf_init(&b, 4096);
		assert_int_equal(sandbox_profile_render(p, &b), 0);
		if (sandbox_profile_read(VALUE_YAML, b.data, b.len, &q, NULL, &e) < 0)
			fail_msg("%s: %s", names[i], e.msg);
		assert_memory_equal(&p->limits, &q.limits, sizeof p->limits);
		assert_int_equal(p->execution_ms, q.execution_ms);
	}
	assert_int_equal(sandbox_profile_builtin("secure")->limits.memory_bytes, 4096 * MIB);
	assert_int_equal(sandbox_profile_builtin("secure")->limits.cpu_millis, 2000);
	assert_null(sandbox_profile_builtin("Secure"));
}

static const struct {
	const char *text;
	enum err_code code;
	unsigned line;
	const char *says;
	bool curable;
} refused[] = {
	{"resource:\n  a: 1\n", ERR_SEC_PROFILE, 1, "did you mean 'resources'", false},
	{"resources:\n  max_memory_mb: 1\n  max_memroy_mb: 2\n", ERR_SEC_PROFILE, 3, "'resources.max_memroy_mb'; did you mean 'max_memory_mb'",
	 false},
	{"process:\n  max_memory_mb: 1\n", ERR_SEC_PROFILE, 2, "unknown key 'process.max_memory_mb'", false},
	{"resources:\n  max_memory_mb: 0\n", ERR_SEC_PROFILE, 2, "from 1 to 16777216", false},
	{"resources:\n  max_memory_mb: 1.5\n", ERR_SEC_PROFILE, 2, "whole number", false},
	{"resources:\n  max_memory_mb: lots\n", ERR_SEC_PROFILE, 2, "whole number", false},
	{"resources:\n  max_memory_mb:\n", ERR_SEC_PROFILE, 2, "whole number", true},
	{"resources:\n  max_memory_mb: -1", ERR_SEC_PROFILE, 2, "whole number", true},
	{"resources:\n  max_cpu_cores: .nan\n", ERR_SEC_PROFILE, 2, "number", false},
	{"resources:\n", ERR_SEC_PROFILE, 1, "a map", true},
	{"resources: [1]\n", ERR_SEC_PROFILE, 1, "a map", false},
	{"[1]\n", ERR_SEC_PROFILE, 1, "sections", false},
	{"process:\n  process_priority: -5\n", ERR_SEC_PROFILE, 2, "from 0 to 19", false},
	{"resources:\n  max_disk_mb: 10\n", ERR_SEC_VIOLATION, 2, "no quota", false},
	{"filesystem:\n  read_paths: [/srv]\n", ERR_SEC_VIOLATION, 2, "cannot be enforced", false},
	{"filesystem:\n  write_paths: [/srv]\n", ERR_SEC_VIOLATION, 2, "cannot be enforced", false},
	{"filesystem:\n  denied_paths: [srv]\n", ERR_SEC_PROFILE, 2, "absolute", false},
	{"filesystem:\n  denied_paths: [/srv/../usr]\n", ERR_SEC_PROFILE, 2, "absolute", false},
	{"filesystem:\n  denied_paths: [/usr/share]\n", ERR_SEC_VIOLATION, 2, "shows '/usr'", false},
	{"filesystem:\n  denied_paths:\n    - /root\n    - /etc\n", ERR_SEC_VIOLATION, 4, "shows '/etc/", false},
	{"filesystem:\n  denied_paths: [/]\n", ERR_SEC_VIOLATION, 2, "shows", false},
	{"filesystem:\n  allow_temp_files: 1\n", ERR_SEC_PROFILE, 2, "true or false", false},
	{"process:\n  allowed_syscalls: [read]\n", ERR_SEC_VIOLATION, 2, "filter", false},
	{"network:\n  access_mode: none\n", ERR_SEC_PROFILE, 2, "None Restricted Full", false},
	{"network:\n  allowed_destinations: [{host: a, port: 1}]\n", ERR_SEC_PROFILE, 0, "for `access_mode: Restricted`", true},
	{"network:\n  access_mode: Full\n  max_bandwidth_mbps: 1\n", ERR_SEC_VIOLATION, 0, "cannot be enforced", true},
	{"network:\n  access_mode: Restricted\n  allowed_destinations: [a]\n", ERR_SEC_PROFILE, 3, "HOST:PORT", false},
	{"network:\n  allowed_destinations: [{host: a, prot: 1}]\n", ERR_SEC_PROFILE, 2, "host, port and protocol", false},
	{"network:\n  allowed_destinations: [{host: a, protocol: UDP}]\n", ERR_SEC_PROFILE, 2, "TCP", false},
	{"security:\n  strict_syscall_filtering: false\n", ERR_SEC_VIOLATION, 2, "always", false},
	{"security:\n  require_encryption: true\n", ERR_SEC_VIOLATION, 2, "not encrypted", false},
	{"resources:\n  max_memory_mb: 1\nresources:\n  max_memory_mb: 2\n", ERR_TEXT_SYNTAX, 3, "resources", false},
};

static void what_is_wrong_is_named_with_its_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		struct sandbox_profile p;
		struct err e = {0};
		bool unfinished = false;
		const char *text = refused[i].text;
		if (sandbox_profile_read(VALUE_YAML, text, strlen(text), &p, &unfinished, &e) >= 0)
			fail_msg("taken: %s", text);
		if (e.code != refused[i].code || e.line != refused[i].line || !strstr(e.msg, refused[i].says) ||
		    unfinished != refused[i].curable)
			fail_msg("%s\n%s line %u%s: %s", text, err_code_name(e.code), e.line, unfinished ? " unfinished" : "",
				 e.msg);
	}
}

/* A shell writes a text in pieces: no beginning of a good one is wrong for good. */
static void every_beginning_can_be_finished(void **state)
{
	static const char text[] =
		"resources:\n  max_memory_mb: 256\n  max_cpu_cores: 0.5\nfilesystem:\n  denied_paths:\n    - /srv/keys\n"
		"  allow_temp_files: false\nprocess:\n  max_child_processes: 4\nnetwork:\n  access_mode: Restricted\n"
		"  allowed_destinations:\n    - a.b:1\n    - {host: c, port: 2}\n    - host: d\n      port: 34\n"
		"security: {strict_syscall_filtering: true,\n  disable_debugging: true}\n";
	(void)state;
	for (size_t len = 0; len <= strlen(text); len++) {
		struct sandbox_profile p;
		struct err e = {0};
		bool unfinished = false;
		if (sandbox_profile_read(VALUE_YAML, text, len, &p, &unfinished, &e) < 0 && !unfinished)
			fail_msg("'%.*s': %s", (int)len, text, e.msg);
	}
}

static void a_working_directory_is_in_no_denied_path(void **state)
{
	struct sandbox_profile p;
	struct err e = {0};
	(void)state;
	assert_int_equal(read_yaml("filesystem:\n  denied_paths: [/srv/keys, /root]\n", &p, &e), 0);
	assert_int_equal(sandbox_profile_cwd(&p, "/srv/keysafe", &e), 0);
	assert_int_equal(sandbox_profile_cwd(&p, "/srv/keys/a", &e), -EACCES);
	assert_int_equal(sandbox_profile_cwd(&p, "/srv", &e), -EACCES);
	assert_int_equal(sandbox_profile_cwd(&p, "/root", &e), -EACCES);
}

static void what_the_machine_cannot_enforce_is_refused(void **state)
{
	const struct sandbox_caps none = {.why = "no cgroup"}, all = {.cpu = true, .io = true};
	struct sandbox_profile p;
	struct err e = {0};
	(void)state;
	assert_int_equal(read_yaml("resources:\n  max_cpu_cores: 1\n", &p, &e), 0);
	assert_int_equal(sandbox_profile_enforceable(&p, &all, &e), 0);
	assert_int_equal(sandbox_profile_enforceable(&p, &none, &e), -EPERM);
	assert_non_null(strstr(e.msg, "max_cpu_cores cannot be enforced here: no cgroup"));
	assert_int_equal(read_yaml("resources:\n  max_memory_mb: 64\n", &p, &e), 0);
	assert_int_equal(sandbox_profile_enforceable(&p, &none, &e), 0);
}

/* ---- in a real box ---- */

static struct spawned s;

static const struct sandbox_driver *box(void)
{
	const struct sandbox_driver *d = NULL;
	struct err e = {0};
	return sandbox_driver_find(TIER_1, NULL, true, &d, &e) < 0 ? NULL : d;
}

static int open_box(void **state)
{
	(void)state;
	spawned_open(&s);
	s.driver = box();
	return 0;
}

static int close_box(void **state)
{
	(void)state;
	spawned_close(&s);
	return 0;
}

static struct heard *run_with(const char *text, const char *script)
{
	struct shell_spec sh;
	struct sandbox_profile p;
	struct err e = {0};
	if (read_yaml(text, &p, &e) < 0)
		fail_msg("%s", e.msg);
	if (!s.driver)
		skip();
	shell_spec(&s, &sh, script);
	sh.spec.limits = p.limits;
	sh.spec.no_temp = p.no_temp;
	sh.spec.allow_degraded = true;
	return spawned_run(&s, &sh.spec);
}

static void its_limit_of_memory_bites(void **state)
{
	static const char take[] = "x=$(head -c 100M /dev/zero | tr '\\0' x) && echo ${#x}";
	(void)state;
	assert_int_equal(run_with("resources:\n  max_memory_mb: 1024\n", take)->result.code, 0);
	struct heard *h = run_with("resources:\n  max_memory_mb: 24\n", take);
	assert_true(h->result.end == END_MEMORY || h->result.code != 0);
}

static void its_limit_of_files_bites(void **state)
{
	(void)state;
	struct heard *h = run_with("filesystem:\n  max_file_size_mb: 1\n", "exec head -c 2M /dev/zero >f");
	assert_int_equal(h->result.end, END_FILE_SIZE);
	assert_int_equal(run_with("filesystem:\n  max_file_size_mb: 2\n", "exec head -c 2M /dev/zero >f")->result.code, 0);
}

static void its_size_of_temporary_files_bites(void **state)
{
	static const char text[] = "filesystem:\n  max_temp_mb: 2\n";
	(void)state;
	assert_int_equal(run_with(text, "head -c 1M /dev/zero >/tmp/a && head -c 1M /dev/zero >/dev/shm/a")->result.code, 0);
	assert_int_not_equal(run_with(text, "head -c 3M /dev/zero >/tmp/a 2>/dev/null")->result.code, 0);
	assert_int_not_equal(run_with(text, "head -c 3M /dev/zero >/dev/shm/a 2>/dev/null")->result.code, 0);
}

static void no_temporary_files_are_none(void **state)
{
	static const char text[] = "filesystem:\n  allow_temp_files: false\n";
	(void)state;
	assert_int_equal(run_with(text, "echo x >here && ! echo x 2>/dev/null >/tmp/a && ! echo x 2>/dev/null >/dev/shm/a")
				 ->result.code, 0);
}

static void its_priority_is_had(void **state)
{
	(void)state;
	assert_int_equal(run_with("process:\n  process_priority: 7\n", "test $(cut -d ' ' -f 19 /proc/self/stat) = 7")
				 ->result.code, 0);
	assert_int_equal(run_with("process:\n  process_priority: 7\n", "nice -n -3 true 2>&1 | grep -q .")->result.code, 0);
}

static void denied_is_not_seen(void **state)
{
	(void)state;
	assert_int_equal(run_with("filesystem:\n  denied_paths: [/root, /home, /etc/shadow, /boot, /sys]\n",
				  "for p in /root /home /etc/shadow /boot /sys; do test ! -e $p || exit 1; done")
				 ->result.code, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_of_it_is_read),
		cmocka_unit_test(what_is_not_said_is_as_in_standard),
		cmocka_unit_test(the_built_in_ones_print_as_what_they_are),
		cmocka_unit_test(what_is_wrong_is_named_with_its_line),
		cmocka_unit_test(every_beginning_can_be_finished),
		cmocka_unit_test(a_working_directory_is_in_no_denied_path),
		cmocka_unit_test(what_the_machine_cannot_enforce_is_refused),
		cmocka_unit_test_setup_teardown(its_limit_of_memory_bites, open_box, close_box),
		cmocka_unit_test_setup_teardown(its_limit_of_files_bites, open_box, close_box),
		cmocka_unit_test_setup_teardown(its_size_of_temporary_files_bites, open_box, close_box),
		cmocka_unit_test_setup_teardown(no_temporary_files_are_none, open_box, close_box),
		cmocka_unit_test_setup_teardown(its_priority_is_had, open_box, close_box),
		cmocka_unit_test_setup_teardown(denied_is_not_seen, open_box, close_box),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
