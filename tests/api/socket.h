/* SPDX-License-Identifier: MIT */
/* socket.h - the daemon behind its socket that a test program talks to, and what the tests share. */
#pragma once

#include <jansson.h>
#include <sys/stat.h>

#include "lib/mem.h"
#include "tests/support/daemon.h"
#include "tests/support/http.h"

/* An agent that answers with what it was asked. */
#define ECHO_SPEC                                                                                  \
	"command: [\"sh\", \"-c\", \"read x; echo \\\"got $x\\\"\"]\nsecurity_tier: None\n"

static struct test_daemon d;

static inline int start(void **state)
{
	char path[128];
	const char *argv[] = {"--config", path, NULL};
	(void)state;
	daemon_init(&d);
	snprintf(path, sizeof path, "%s/config.toml", d.dir);
	FILE *f = fopen(path, "we");
	fputs("[socket]\nmode = \"0666\"\nmax_connections = 3000\n"
	      "max_connections_per_user = 20\n",
	      f);
	fclose(f);
	if (geteuid() == 0) /* others must reach the socket */
		assert_int_equal(chmod(d.dir, 0711), 0);
	daemon_start(&d, argv);
	return 0;
}

static inline int stop(void **state)
{
	(void)state;
	int status = daemon_stop(&d);
	daemon_done(&d);
	return status; /* a report of a sanitizer is a failure */
}

static inline struct http_reply get(const char *path)
{
	return http_do(d.socket, "GET", path, "", NULL);
}

static inline void put_agent(const char *name, const char *spec)
{
	char path[128];
	snprintf(path, sizeof path, "/fs/agents/%s.yaml", name);
	autoreply struct http_reply r = http_do(d.socket, "PUT", path, "", spec);
	if (r.status != 201 && r.status != 204)
		fail_msg("PUT %s: %u %s", path, r.status, r.body);
}

static inline void expect(const char *method, const char *path, const char *body, unsigned status,
			  const char *code)
{
	autoreply struct http_reply r = http_do(d.socket, method, path, "", body);
	if (r.status != status)
		fail_msg("%s %s: %u instead of %u: %s", method, path, r.status, status, r.body);
	if (!code)
		return;
	json_t *j = json_loadb(r.body, r.len, 0, NULL);
	assert_non_null(j);
	assert_string_equal(json_string_value(json_object_get(j, "code")), code);
	assert_true(json_is_string(json_object_get(j, "message")));
	assert_true(json_is_string(json_object_get(j, "errno")));
	assert_true(json_is_integer(json_object_get(j, "line")));
	json_decref(j);
}

/* ---- streams ---- */

static inline int open_stream(const char *path)
{
	int fd = http_connect(d.socket);
	http_send(fd, "GET", path, "", NULL);
	return fd;
}

/* Read until `text` was seen. */
static inline void read_until(int fd, struct buf *b, const char *text)
{
	while (!strstr(b->data, text))
		if (!http_more(fd, b))
			fail_msg("the stream ended without '%s': %s", text, b->data);
}

/* ---- waiting ---- */

/* Value of a metric. */
static inline long metric(const char *name)
{
	autoreply struct http_reply r = get("/fs/metrics");
	char key[80];
	long value = -1;
	snprintf(key, sizeof key, "\nsymbi_%s ", name);
	const char *at = strstr(r.body, key);
	if (!at || sscanf(at + strlen(key), "%ld", &value) != 1)
		fail_msg("no metric '%s'", name);
	return value;
}

static inline void wait_text(const char *path, const char *want)
{
	for (bool same = false; !same; usleep(1000)) {
		autoreply struct http_reply r = get(path);
		same = strcmp(r.body, want) == 0;
	}
}

static inline void wait_connections(long want)
{
	while (metric("api_connections") != want)
		usleep(1000);
}
