/* SPDX-License-Identifier: MIT */
/* test_metric.c - values, and that Prometheus' own checker finds nothing to say about the text. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/metric.h"
#include "tests/support/check.h"

static void render(struct buf *b)
{
	buf_init(b, 1 << 20);
	assert_int_equal(metric_render(b), 0);
}

static void expect_line(const char *line)
{
	autobuf struct buf b;
	render(&b);
	if (!strstr(b.data, line))
		fail_msg("no '%s' in:\n%s", line, b.data);
}

static void counters_and_gauges_show_their_value(void **state)
{
	(void)state;
	int64_t before = metric_get(METRIC_FS_REQUESTS);
	char line[100];
	metric_add(METRIC_FS_REQUESTS, 1);
	metric_add(METRIC_FS_REQUESTS, 41);
	assert_int_equal(metric_get(METRIC_FS_REQUESTS), before + 42);
	snprintf(line, sizeof line, "\nsymbi_fs_requests_total %d\n", (int)before + 42);
	expect_line(line);
	metric_set(METRIC_AGENTS, 7);
	metric_add(METRIC_AGENTS, -2);
	expect_line("\n# TYPE symbi_agents gauge\nsymbi_agents 5\n");
}

static void a_histogram_counts_at_and_below_each_bound(void **state)
{
	(void)state;
	static const uint64_t ns[] = {0, 10000, 10001, 999999, 1000000, 10000000000u, 10000000001u};
	for (size_t i = 0; i < sizeof ns / sizeof *ns; i++)
		metric_observe_ns(METRIC_RUN_SECONDS, ns[i]);
	assert_int_equal(metric_get(METRIC_RUN_SECONDS), 7);
	expect_line("symbi_run_seconds_bucket{le=\"1e-05\"} 2\n");
	expect_line("symbi_run_seconds_bucket{le=\"3e-05\"} 3\n");
	expect_line("symbi_run_seconds_bucket{le=\"0.001\"} 5\n");
	expect_line("symbi_run_seconds_bucket{le=\"10\"} 6\n");
	expect_line("symbi_run_seconds_bucket{le=\"+Inf\"} 7\n");
	expect_line("symbi_run_seconds_sum 20.002020001\nsymbi_run_seconds_count 7\n");
}

static void *observe(void *arg)
{
	for (int i = 0; i < 20000; i++)
		metric_observe_ns(METRIC_JOURNAL_COMMIT_SECONDS, (uint64_t)i * 1000);
	return arg;
}

static void threads_lose_nothing_and_buckets_never_fall(void **state)
{
	(void)state;
	pthread_t threads[3];
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, observe, NULL);
	for (int i = 0; i < 50; i++) {
		autobuf struct buf b;
		long long last = 0, n;
		render(&b);
		char *p = strstr(b.data, "# TYPE symbi_journal_commit_seconds");
		for (p = strchr(p, '\n') + 1;
		     strncmp(p, "symbi_journal_commit_seconds_bucket", 35) == 0;
		     p = strchr(p, '\n') + 1) {
			assert_int_equal(sscanf(strchr(p, ' '), "%lld", &n), 1);
			assert_true(n >= last);
			last = n;
		}
	}
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(metric_get(METRIC_JOURNAL_COMMIT_SECONDS), 60000);
}

static void a_buffer_that_is_too_small_is_told(void **state)
{
	(void)state;
	autobuf struct buf b;
	buf_init(&b, 100);
	assert_true(metric_render(&b) < 0);
	buf_clear(&b);
	assert_true(metric_render_doc(&b) < 0);
}

static void every_metric_is_documented(void **state)
{
	(void)state;
	autobuf struct buf text, doc;
	render(&text);
	buf_init(&doc, 1 << 20);
	assert_int_equal(metric_render_doc(&doc), 0);
	int n = 0;
	for (char *p = text.data; (p = strstr(p, "# TYPE symbi_")); n++) {
		char name[100], cell[120];
		p += 7;
		snprintf(name, sizeof name, "%.*s", (int)strcspn(p, " "), p);
		snprintf(cell, sizeof cell, "| `%s` |", name);
		assert_non_null(strstr(doc.data, cell));
	}
	assert_int_equal(n, METRIC_COUNT);
}

static void promtool_accepts_the_text(void **state)
{
	(void)state;
	autobuf struct buf b;
	if (access("/usr/bin/promtool", X_OK) < 0) {
		print_message("promtool is not installed (Debian package prometheus)\n");
		skip();
	}
	render(&b);
	int p[2], status;
	assert_int_equal(pipe(p), 0);
	pid_t pid = fork();
	if (pid == 0) {
		dup2(p[0], 0);
		close(p[0]);
		close(p[1]);
		execl("/usr/bin/promtool", "promtool", "check", "metrics", (char *)NULL);
		_exit(127);
	}
	close(p[0]);
	assert_int_equal(write(p[1], b.data, b.len), (ssize_t)b.len);
	close(p[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counters_and_gauges_show_their_value),
		cmocka_unit_test(a_histogram_counts_at_and_below_each_bound),
		cmocka_unit_test(threads_lose_nothing_and_buckets_never_fall),
		cmocka_unit_test(a_buffer_that_is_too_small_is_told),
		cmocka_unit_test(every_metric_is_documented),
		cmocka_unit_test(promtool_accepts_the_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
