/* SPDX-License-Identifier: MIT */
/* test_layers.c - what is told to hold a program holds it; what is missing is a refusal. In every place a spawner may
 * live. */
#include "sandbox/spec.h"
#include "tests/sandbox/places.h"
#include "tests/sandbox/spawned.h"
#include "tests/support/no_landlock.h"

static struct spawned s;
static struct sandbox_layers expected; /* of the box */

static const struct sandbox_driver *driver(const char *name)
{
	for (const struct sandbox_driver *const *d = sandbox_drivers; *d; d++)
		if (strcmp((*d)->name, name) == 0)
			return *d;
	return NULL;
}

static void leave_landlock(void)
{
	if (!no_landlock())
		_exit(126);
}

static int setup(void **state)
{
	(void)state;
	spawned_open(&s);
	s.driver = driver("proc");
	return 0;
}

static int setup_without(void **state)
{
	s.before = leave_landlock;
	return setup(state);
}

static int teardown(void **state)
{
	(void)state;
	spawned_close(&s);
	return 0;
}

/* ---- what the kernel says of a process ---- */

static bool other_namespace(pid_t pid, const char *name)
{
	char path[64], ours[64] = "", its[64] = "";
	snprintf(path, sizeof path, "/proc/%d/ns/%s", pid, name);
	if (readlink(path, its, sizeof its - 1) < 0)
		fail_msg("%s: %s", path, strerror(errno));
	snprintf(path, sizeof path, "/proc/self/ns/%s", name);
	assert_true(readlink(path, ours, sizeof ours - 1) > 0);
	return strcmp(ours, its) != 0;
}

/* The number behind key in its status, hexadecimal as the kernel writes sets, which is as good for 0 to 9. */
static bool status_is(pid_t pid, const char *key, unsigned want)
{
	char path[64];
	unsigned long long got;
	snprintf(path, sizeof path, "/proc/%d/status", pid);
	const char *at = strstr(text_of(path), key);
	if (!at || sscanf(at + strlen(key), "%llx", &got) != 1)
		fail_msg("%s has no %s", path, key + 1);
	return got == want;
}

static bool has_own_uid(pid_t pid)
{
	char path[64];
	struct stat st;
	snprintf(path, sizeof path, "/proc/%d", pid);
	assert_int_equal(stat(path, &st), 0);
	return st.st_uid != geteuid();
}

static bool truly_has(pid_t pid, enum sandbox_layer l)
{
	switch (l) {
	case LAYER_USER: return other_namespace(pid, "user");
	case LAYER_MOUNT: return other_namespace(pid, "mnt");
	case LAYER_PID: return other_namespace(pid, "pid");
	case LAYER_NET: return other_namespace(pid, "net");
	case LAYER_IPC: return other_namespace(pid, "ipc");
	case LAYER_UTS: return other_namespace(pid, "uts");
	case LAYER_CGROUP: return other_namespace(pid, "cgroup");
	case LAYER_SECCOMP: return status_is(pid, "\nSeccomp:", 2);
	case LAYER_NO_NEW_PRIVS: return status_is(pid, "\nNoNewPrivs:", 1);
	case LAYER_NO_CAPS:
		return status_is(pid, "\nCapEff:", 0) && status_is(pid, "\nCapPrm:", 0) &&
		       status_is(pid, "\nCapBnd:", 0);
	case LAYER_OWN_UID: return has_own_uid(pid);
	case LAYER_KERNEL: return false; /* none of these drivers has it */
	case LAYER_LANDLOCK: /* /proc says nothing of it: test_box tries it */
	case LAYERS: break;
	}
	return true;
}

static void what_is_told_is_so(const char *name)
{
	struct shell_spec sh;
	s.driver = driver(name);
	shell_spec(&s, &sh, "exec sleep 60");
	uint64_t id = spawned_start(&s, &sh.spec);
	spawned_until(&s, heard_of(&s, id)->started || heard_of(&s, id)->ended);
	const struct heard *h = heard_of(&s, id);
	if (h->ended)
		fail_msg("%s", h->result.err.msg);
	for (int l = 0; l < LAYERS; l++) {
		bool told = h->layers.active & LAYER_BIT(l);
		if (l != LAYER_LANDLOCK && told != truly_has(h->pid, (enum sandbox_layer)l))
			fail_msg("%s: '%s' is told %s", name, sandbox_layer_name((enum sandbox_layer)l),
				 told ? "and not so" : "not, and so");
	}
	sandbox_kill(s.client, id, NULL);
	spawned_wait(&s, id);
	sandbox_ack(s.client, id, NULL);
}

static void what_is_told_of_a_box_is_so(void **state)
{
	(void)state;
	what_is_told_is_so("proc");
	const struct heard *h = &s.heard[s.n - 1];
	assert_int_equal(h->layers.active, expected.active);
	assert_int_equal(h->layers.missing, expected.missing);
	assert_int_equal(h->layers.landlock_abi, expected.landlock_abi);
}

static void what_is_told_of_a_plain_process_is_so(void **state)
{
	(void)state;
	what_is_told_is_so("native");
	assert_int_equal(s.heard[s.n - 1].layers.active, LAYER_BIT(LAYER_NO_NEW_PRIVS));
}

/* ---- a kernel without Landlock ---- */

static void a_missing_layer_is_a_refusal(void **state)
{
	(void)state;
	struct heard *h = spawned_sh(&s, "exit 0");
	assert_int_equal(h->started, 0);
	assert_int_equal(h->result.end, END_START_FAILED);
	assert_int_equal(h->result.err.code, ERR_SEC_TIER);
	assert_non_null(strstr(h->result.err.msg, "'landlock' is missing"));
	assert_non_null(strstr(h->result.err.msg, "CONFIG_SECURITY_LANDLOCK"));
	assert_non_null(strstr(h->result.err.msg, "allow_degraded"));
	s.driver = driver("native"); /* has no such layer to miss */
	assert_int_equal(spawned_sh(&s, "exit 0")->result.end, END_EXITED);
	s.driver = driver("proc");
}

static void degraded_is_what_was_asked_for(void **state)
{
	struct shell_spec sh;
	(void)state;
	shell_spec(&s, &sh, "test ! -e /root && test ! -e /home && echo held");
	sh.spec.allow_degraded = true;
	struct heard *h = spawned_run(&s, &sh.spec);
	assert_int_equal(h->result.end, END_EXITED);
	assert_string_equal(text_of(s.out), "held\n");
	assert_int_equal(h->layers.missing, LAYER_BIT(LAYER_LANDLOCK));
	assert_int_equal(h->layers.active, expected.active & ~LAYER_BIT(LAYER_LANDLOCK));
	assert_int_equal(h->layers.landlock_abi, 0);
}

/* In a process of its own, which cannot go back. */
static void a_tier_says_what_it_misses(void **state)
{
	int status;
	(void)state;
	pid_t pid = fork();
	if (pid == 0) {
		struct err e = {0};
		struct sandbox_layers l = {0};
		char text[SANDBOX_LAYERS_TEXT];
		bool ok = no_landlock() && sandbox_tier_available(TIER_1, false, &e) == -EPERM &&
			  strstr(e.msg, "landlock") && sandbox_tier_available(TIER_1, true, &e) == 0 &&
			  driver("proc")->available(&l, &e) == 0;
		sandbox_layers_text(&l, l.missing, text);
		_exit(ok && strcmp(text, "landlock") == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void layers_have_names(void **state)
{
	char text[SANDBOX_LAYERS_TEXT];
	struct sandbox_layers all = {.active = LAYER_BIT(LAYERS) - 1, .landlock_abi = 4000000000u};
	(void)state;
	sandbox_layers_text(&all, all.active, text);
	assert_string_equal(text, "user mount pid net ipc uts cgroup landlock(4000000000) seccomp no_new_privs no_caps "
				  "own_uid own_kernel");
	sandbox_layers_text(&all, 0, text);
	assert_string_equal(text, "");
}

static int tests(const char *place)
{
	char title[64];
	struct err e = {0};
	const struct CMUnitTest with[] = {
		cmocka_unit_test(layers_have_names),
		cmocka_unit_test(what_is_told_of_a_box_is_so),
		cmocka_unit_test(what_is_told_of_a_plain_process_is_so),
		cmocka_unit_test(a_tier_says_what_it_misses),
	};
	const struct CMUnitTest without[] = {
		cmocka_unit_test(a_missing_layer_is_a_refusal),
		cmocka_unit_test(degraded_is_what_was_asked_for),
	};
	if (driver("proc")->available(&expected, &e) < 0 || expected.missing) {
		printf("skipped: %s\n", expected.missing ? "this kernel has no Landlock" : e.msg);
		exit(77);
	}
	snprintf(title, sizeof title, "layers, %s", place);
	int failed = cmocka_run_group_tests_name(title, with, setup, teardown);
	snprintf(title, sizeof title, "no Landlock, %s", place);
	return failed + cmocka_run_group_tests_name(title, without, setup_without, teardown);
}

int main(void)
{
	return places_run(tests);
}
