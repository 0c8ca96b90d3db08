/* SPDX-License-Identifier: MIT */
/* test_vm_talk.c - what a microVM's guest may say to its shim, what it is told to run, and how QEMU is called. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/mem.h"
#include "sandbox/vm.h"
#include "tests/support/check.h"
#include "tests/support/tempdir.h"

static int pair[2];
static struct vm_reader in;

static int setup(void **state)
{
	(void)state;
	in.have = in.done = 0;
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
}

static int teardown(void **state)
{
	(void)state;
	close(pair[0]);
	close(pair[1]);
	return 0;
}

static void put(uint16_t what, uint16_t stream, const void *body, uint32_t len)
{
	struct vm_frame f = {what, stream, len};
	assert_int_equal(write(pair[0], &f, sizeof f), sizeof f);
	if (len)
		assert_int_equal(write(pair[0], body, len), len);
}

static int next(struct vm_frame *f, const char **body)
{
	for (int r;;) {
		if ((r = vm_reader_next(&in, f, body)) != 0)
			return r;
		struct timeval soon = {0, 1000};
		setsockopt(pair[1], SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon);
		if (vm_reader_fill(&in, pair[1]) <= 0)
			return 0;
	}
}

static void frames_come_whole_and_in_order(void **state)
{
	(void)state;
	struct vm_frame f;
	const char *body;
	struct vm_ended ended = {.status = 3 << 8, .oom_kills = 2};
	put(VM_READY, 0, &(uint32_t){VM_VERSION}, 4);
	put(VM_STARTED, 0, NULL, 0);
	put(VM_DATA, 1, "abc", 3);
	assert_int_equal(next(&f, &body), 1);
	assert_int_equal(f.what, VM_READY);
	assert_int_equal(next(&f, &body), 1);
	assert_int_equal(f.what, VM_STARTED);
	assert_int_equal(next(&f, &body), 1);
	assert_memory_equal(body, "abc", 3);
	assert_int_equal(next(&f, &body), 0);
	struct vm_frame head = {VM_ENDED, 0, sizeof ended};
	assert_int_equal(write(pair[0], &head, 3), 3); /* in pieces */
	assert_int_equal(next(&f, &body), 0);
	assert_int_equal(write(pair[0], (char *)&head + 3, sizeof head - 3), sizeof head - 3);
	assert_int_equal(write(pair[0], &ended, 5), 5);
	assert_int_equal(next(&f, &body), 0);
	assert_int_equal(write(pair[0], (char *)&ended + 5, sizeof ended - 5), sizeof ended - 5);
	assert_int_equal(next(&f, &body), 1);
	assert_memory_equal(body, &ended, sizeof ended);
}

static void the_largest_frames_pass(void **state)
{
	(void)state;
	struct vm_frame f;
	const char *body;
	autofree char *much = calloc(1, VM_WINDOW);
	for (int i = 0; i < 5; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			put(VM_DATA, 2, much, VM_WINDOW);
			_exit(0);
		}
		for (int r; (r = next(&f, &body)) == 0;)
			;
		assert_int_equal(f.len, VM_WINDOW);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
	}
}

static void what_a_guest_may_not_say_is_refused(void **state)
{
	(void)state;
	const struct vm_ended stopped = {.status = 0x137f}, odd = {.status = 0x10000}, none = {.status = 200};
	struct vm_failed endless = {.eno = 2, .ours = 1};
	memset(endless.step, 'x', sizeof endless.step);
	const struct {
		struct vm_frame f;
		const void *body;
	} rows[] = {
		{{0, 0, 0}, NULL},
		{{VM_RUN, 0, 0}, NULL},
		{{VM_SIGNAL, 0, 4}, "\0\0\0\0"},
		{{99, 0, 0}, NULL},
		{{VM_DATA, 0, 1}, "x"}, /* of standard input */
		{{VM_DATA, 3, 1}, "x"},
		{{VM_DATA, 1, 0}, NULL},
		{{VM_DATA, 1, VM_WINDOW + 1}, NULL}, /* seen before its body has come */
		{{VM_DATA, 1, UINT32_MAX}, NULL},
		{{VM_CLOSE, 3, 0}, NULL},
		{{VM_ACK, 1, 4}, "\0\0\0\0"},
		{{VM_READY, 0, 3}, "abc"},
		{{VM_ENDED, 0, sizeof stopped}, &stopped},
		{{VM_ENDED, 0, sizeof odd}, &odd},
		{{VM_ENDED, 0, sizeof none}, &none},
		{{VM_FAILED, 0, sizeof endless}, &endless},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct vm_frame f;
		const char *body;
		in.have = in.done = 0;
		assert_int_equal(write(pair[0], &rows[i].f, sizeof f), sizeof f);
		if (rows[i].body)
			assert_int_equal(write(pair[0], rows[i].body, rows[i].f.len), rows[i].f.len);
		assert_true(vm_reader_fill(&in, pair[1]) > 0);
		if (vm_reader_next(&in, &f, &body) != -EBADMSG)
			fail_msg("row %zu was taken", i);
	}
}

static void what_to_run_is_told(void **state)
{
	(void)state;
	char *argv[] = {"sh", "-c", "", NULL}, *envp[] = {"A=1", NULL};
	struct spawn_start s = {.program = "/bin/sh", .cwd = "/w", .argv = argv, .envp = envp, .uid = 7, .gid = 8, .enforce = true,
				.limits = {.pids = 9, .memory_bytes = 1 << 20}};
	uint8_t seed[VM_SEED] = {1, 2, 3};
	struct vm_run r;
	size_t len;
	autofree char *text = vm_run_text(&s, 5, seed, &len);
	memcpy(&r, text, sizeof r);
	assert_int_equal(r.argc, 3);
	assert_int_equal(r.envc, 1);
	assert_int_equal(r.uid, 7);
	assert_int_equal(r.gid, 8);
	assert_int_equal(r.pids, 9);
	assert_int_equal(r.memory_bytes, 1 << 20);
	assert_int_equal(r.symbi, 0);
	assert_memory_equal(r.seed, seed, VM_SEED);
	const char want[] = "/bin/sh\0/w\0sh\0-c\0\0A=1";
	assert_int_equal(len, sizeof r + sizeof want);
	assert_memory_equal(text + sizeof r, want, sizeof want);
	s.enforce = false; /* then nothing limits it */
	free(take_ptr(text));
	text = vm_run_text(&s, 5, seed, &len);
	memcpy(&r, text, sizeof r);
	assert_int_equal(r.pids, 0);
	assert_int_equal(r.memory_bytes, 0);
}

static void what_is_too_long_is_refused(void **state)
{
	(void)state;
	autofree char *word = malloc(VM_TEXT_MAX);
	memset(word, 'x', VM_TEXT_MAX);
	word[VM_TEXT_MAX - 1] = 0;
	char *argv[] = {word, NULL}, *envp[] = {NULL};
	struct spawn_start s = {.program = "/bin/sh", .cwd = "/w", .argv = argv, .envp = envp};
	size_t len;
	assert_null(vm_run_text(&s, 5, (uint8_t[VM_SEED]){0}, &len));
}

static const char *word_behind(const struct vm_command *c, const char *option, unsigned nth)
{
	for (size_t i = 0; i + 1 < c->n; i++)
		if (strcmp(c->argv[i], option) == 0 && nth-- == 0)
			return c->argv[i + 1];
	return NULL;
}

static void qemu_is_called_without_devices_that_it_has_not(void **state)
{
	(void)state;
	static struct vm_command c;
	struct vm_image i = {.dir = "/i", .accel = "tcg"};
	struct spawn_start s = {.cwd = "/a,b", .enforce = true, .limits = {.memory_bytes = 512u << 20}};
	vm_qemu_command(&c, &s, &i);
	assert_false(c.full);
	assert_null(c.argv[c.n]);
	assert_non_null(word_behind(&c, "-sandbox", 0));
	assert_ptr_equal(strstr(word_behind(&c, "-accel", 0), "tcg"), word_behind(&c, "-accel", 0));
	assert_non_null(strstr(word_behind(&c, "-fsdev", 0), "path=/,"));
	assert_non_null(strstr(word_behind(&c, "-fsdev", 0), "readonly=on"));
	assert_non_null(strstr(word_behind(&c, "-fsdev", 1), "path=/a,,b,"));
	for (size_t n = 0; n < c.n; n++) {
		assert_null(strstr(c.argv[n], "kvm"));
		assert_string_not_equal(c.argv[n], "-netdev");
	}
	snprintf(i.accel, sizeof i.accel, "kvm");
	vm_qemu_command(&c, &s, &i);
	assert_string_equal(word_behind(&c, "-accel", 0), "kvm");
}

static void memory_around_holds_memory_inside(void **state)
{
	(void)state;
	for (uint64_t mib = 1; mib < 100000; mib = mib * 3 + 1) {
		struct sandbox_limits l = {.memory_bytes = mib << 20, .cpu_seconds = 1}, o = vm_outer_limits(&l);
		assert_true(vm_memory_mib(mib << 20) > mib);
		assert_true(o.memory_bytes > (uint64_t)vm_memory_mib(mib << 20) << 20);
		assert_true(o.cpu_seconds > 1);
	}
	struct sandbox_limits none = {0};
	assert_true(vm_outer_limits(&none).memory_bytes > 0); /* a guest has an end even so */
}

static void an_image_that_others_can_write_is_refused(void **state)
{
	(void)state;
	static const char *const names[] = {VM_KERNEL, VM_INITRD, VM_FACTS};
	char dir[64], path[128];
	struct vm_image i;
	struct err e = {0};
	tempdir_make(dir);
	setenv(VM_IMAGE_ENV, dir, 1);
	assert_true(vm_image_find(&i, &e) < 0);
	assert_int_equal(e.code, ERR_SEC_TIER);
	assert_non_null(strstr(e.msg, "symbi sandbox image build"));
	for (size_t n = 0; n < ARRAY_LEN(names); n++) {
		snprintf(path, sizeof path, "%s/%s", dir, names[n]);
		FILE *f = fopen(path, "w");
		fprintf(f, "symbi-vm %d\nkernel 6.1\naccel tcg\n", VM_VERSION);
		fclose(f);
		chmod(path, 0644);
	}
	assert_int_equal(vm_image_find(&i, &e), 0);
	assert_string_equal(i.kernel, "6.1");
	chmod(path, 0666);
	assert_true(vm_image_find(&i, &e) < 0);
	chmod(path, 0644);
	chmod(dir, 0777);
	assert_true(vm_image_find(&i, &e) < 0);
	chmod(dir, 0755);
	FILE *f = fopen(path, "w");
	fprintf(f, "symbi-vm %d\nkernel 6.1\naccel tcg\n", VM_VERSION + 1);
	fclose(f);
	assert_true(vm_image_find(&i, &e) < 0);
	assert_non_null(strstr(e.msg, "another build"));
	tempdir_remove(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(frames_come_whole_and_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(the_largest_frames_pass, setup, teardown),
		cmocka_unit_test_setup_teardown(what_a_guest_may_not_say_is_refused, setup, teardown),
		cmocka_unit_test(what_to_run_is_told),
		cmocka_unit_test(what_is_too_long_is_refused),
		cmocka_unit_test(qemu_is_called_without_devices_that_it_has_not),
		cmocka_unit_test(memory_around_holds_memory_inside),
		cmocka_unit_test(an_image_that_others_can_write_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
