/* SPDX-License-Identifier: MIT */
/* test_log.c - lines as programs and terminals read them, whatever the values hold. */
#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/sys.h"
#include "tests/support/check.h"

static struct sys fake;

static uint64_t some_day(void)
{
	return 1767323045006; /* 2026-01-02T03:04:05.006Z */
}

static int setup(void **state)
{
	int *fd = malloc(sizeof *fd);
	fake = sys_kernel;
	fake.wall_ms = some_day;
	sys = &fake;
	*fd = memfd_create("log", MFD_CLOEXEC);
	*state = fd;
	return *fd < 0;
}

static int teardown(void **state)
{
	log_init(STDERR_FILENO, LOG_LEVEL_INFO, false);
	sys = &sys_kernel;
	close(*(int *)*state);
	free(*state);
	return 0;
}

/* What was logged since the last call; valid until the next. */
static const char *logged(int fd)
{
	static char text[20000];
	off_t len = lseek(fd, 0, SEEK_END);
	assert_true(len < (off_t)sizeof text);
	assert_int_equal(pread(fd, text, (size_t)len, 0), len);
	text[len] = 0;
	assert_int_equal(ftruncate(fd, 0), 0);
	lseek(fd, 0, SEEK_SET);
	return text;
}

static void a_line_is_logfmt(void **state)
{
	int fd = *(int *)*state;
	log_init(fd, LOG_LEVEL_INFO, false);
	log_info("agent.start", "agent", "greet", "pid", "42", NULL);
	assert_string_equal(logged(fd),
			    "time=2026-01-02T03:04:05.006Z level=info event=agent.start "
			    "agent=greet pid=42\n");
	log_error("x", "empty", "", "none", NULL, "two words", "a b", NULL);
	assert_non_null(strstr(logged(fd), "empty=\"\" none=\"\" two words=\"a b\"\n"));
}

static void or_json(void **state)
{
	int fd = *(int *)*state;
	log_init(fd, LOG_LEVEL_INFO, true);
	log_warn("agent.start", "agent", "gr\"eet", NULL);
	assert_string_equal(logged(fd), "{\"time\":\"2026-01-02T03:04:05.006Z\",\"level\":\"warn\","
					"\"event\":\"agent.start\",\"agent\":\"gr\\\"eet\"}\n");
}

static void levels_below_are_left_out(void **state)
{
	int fd = *(int *)*state;
	enum log_level level = LOG_LEVEL_INFO;
	log_init(fd, LOG_LEVEL_WARN, false);
	log_debug("a", NULL);
	log_info("b", NULL);
	assert_string_equal(logged(fd), "");
	log_warn("c", NULL);
	assert_non_null(strstr(logged(fd), "event=c\n"));
	assert_int_equal(log_level_parse("debug", &level), 0);
	assert_int_equal(level, LOG_LEVEL_DEBUG);
	assert_int_equal(log_level_parse("error", &level), 0);
	assert_int_equal(level, LOG_LEVEL_ERROR);
	assert_int_equal(log_level_parse("Error", &level), -EINVAL);
	assert_int_equal(log_level_parse("", &level), -EINVAL);
}

/* A value can come from anybody: it must neither begin a line nor command a terminal. */
static void any_byte_stays_within_its_value(void **state)
{
	int fd = *(int *)*state;
	log_init(fd, LOG_LEVEL_INFO, false);
	for (int c = 1; c < 256; c++) {
		char value[] = {'a', (char)c, 'b', 0};
		log_info("e", "k", value, "z", "end", NULL);
		const char *line = logged(fd);
		assert_string_equal(line + strlen(line) - 7, " z=end\n");
		for (const char *p = line; p[1]; p++)
			assert_true((unsigned char)*p >= ' ' && *p != 0x7f);
	}
	log_info("e", "k", "\xc2\x9b", NULL);
	assert_null(strstr(logged(fd), "\xc2\x9b"));
}

static void long_values_are_cut_and_lines_stay_whole(void **state)
{
	int fd = *(int *)*state;
	char value[3000], nasty[3000];
	memset(value, 'v', sizeof value - 1);
	value[sizeof value - 1] = 0;
	for (size_t i = 0; i + 1 < sizeof nasty; i++)
		nasty[i] = "\x01\xc3\xa9"[i % 3];
	nasty[sizeof nasty - 1] = 0;
	for (int json = 0; json < 2; json++) {
		log_init(fd, LOG_LEVEL_INFO, json);
		log_info("e", "a", value, "b", nasty, "c", nasty, "d", nasty, "z", "end", NULL);
		const char *line = logged(fd);
		size_t len = strlen(line);
		assert_true(len <= 8192);
		assert_int_equal(line[len - 1], '\n');
		assert_non_null(strstr(line, "\xe2\x80\xa6"));
		assert_non_null(strstr(line, "end"));
		if (!json)
			continue;
		json_t *j = json_loads(line, 0, NULL);
		assert_non_null(j);
		assert_int_equal(json_string_length(json_object_get(j, "a")), 1003);
		json_decref(j);
	}
	log_init(fd, LOG_LEVEL_INFO, true); /* more than a line holds: whole pairs are left out */
	log_info("e", "a", nasty, "b", nasty, "c", nasty, "d", nasty, "e", nasty, "f", nasty, "g",
		 nasty, "z", "end", NULL);
	json_t *j = json_loads(logged(fd), 0, NULL);
	assert_non_null(j);
	assert_null(json_object_get(j, "g"));
	assert_string_equal(json_string_value(json_object_get(j, "z")), "end");
	json_decref(j);
}

static void an_error_shows_its_code(void **state)
{
	int fd = *(int *)*state;
	struct err e;
	log_init(fd, LOG_LEVEL_INFO, false);
	err_set(&e, ERR_AGENT_NOT_FOUND, "no agent 'x'");
	log_err(LOG_LEVEL_ERROR, "agent.failed", &e, "agent", "x");
	assert_non_null(strstr(logged(fd), "level=error event=agent.failed code=AGENT_001 "
					   "error=\"no agent 'x'\" agent=x\n"));
	log_err(LOG_LEVEL_ERROR, "agent.failed", &e, NULL, NULL);
	assert_non_null(strstr(logged(fd), "error=\"no agent 'x'\"\n"));
}

static void *log_some(void *arg)
{
	for (int i = 0; i < 40; i++)
		log_info("e", "who", arg, "pad", "0123456789012345678901234567890123456789", NULL);
	return NULL;
}

static void lines_of_threads_do_not_mix(void **state)
{
	int p[2];
	(void)state;
	pthread_t threads[4];
	static char who[4][2] = {"a", "b", "c", "d"};
	assert_int_equal(pipe(p), 0);
	log_init(p[1], LOG_LEVEL_INFO, true);
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, log_some, who[i]);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	close(p[1]);
	FILE *f = fdopen(p[0], "r");
	char line[1000];
	int n = 0;
	for (; fgets(line, sizeof line, f); n++) {
		json_t *j = json_loads(line, 0, NULL);
		assert_non_null(j);
		json_decref(j);
	}
	assert_int_equal(n, 160);
	fclose(f);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_line_is_logfmt),
		T(or_json),
		T(levels_below_are_left_out),
		T(any_byte_stays_within_its_value),
		T(long_values_are_cut_and_lines_stay_whole),
		T(an_error_shows_its_code),
		T(lines_of_threads_do_not_mix),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
