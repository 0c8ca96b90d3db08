/* SPDX-License-Identifier: MIT */
/* http.c - requests to an engine's Unix socket, by libcurl. L4; one thread. */
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "engine.h"
#include "lib/mem.h"
#include "lib/unixsock.h"

#define ANSWER_MAX (4u << 20)
#define ANSWER_S   60L

struct engine {
	CURL *curl;
	char socket[UNIXSOCK_PATH_MAX];
	int dir; /* of a socket whose path is too long for an address; -1 */
	bool podman;
};

struct engine *engine_open(const char *socket, struct err *e)
{
	struct engine *g = calloc(1, sizeof *g);
	long status = 0;
	if (!g)
		abort();
	g->dir = -1;
	curl_global_init(CURL_GLOBAL_NOTHING); /* no TLS */
	g->curl = curl_easy_init();
	int r = g->curl ? unixsock_name(socket, g->socket, &g->dir, e) : err_set(e, ERR_SYS_MEMORY, "libcurl does not start");
	if (r == 0)
		r = engine_ask(g, "GET", "/_ping", NULL, 0, NULL, &status, NULL, e); /* who it is */
	if (r == 0)
		return g;
	engine_close(g);
	return NULL;
}

void engine_close(struct engine *g)
{
	if (!g)
		return;
	curl_easy_cleanup(g->curl);
	if (g->dir >= 0)
		close(g->dir);
	free(g);
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	return !arg || buf_add(arg, data, size * n) == 0 ? size * n : 0;
}

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
	static const char name[] = "Libpod-API-Version:";
	struct engine *g = arg;
	g->podman |= size * n >= sizeof name && strncasecmp(line, name, sizeof name - 1) == 0;
	return size * n;
}

bool engine_is_podman(const struct engine *g)
{
	return g->podman;
}

int engine_ask(struct engine *g, const char *method, const char *path, const void *body, size_t len, const char *type,
	       long *status, struct buf *answer, struct err *e)
{
	char url[512], kind[96];
	struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
	snprintf(url, sizeof url, "http://engine%s", path);
	snprintf(kind, sizeof kind, "Content-Type: %s", type ? type : "application/json");
	headers = curl_slist_append(headers, kind);
	curl_easy_reset(g->curl);
	curl_easy_setopt(g->curl, CURLOPT_UNIX_SOCKET_PATH, g->socket);
	curl_easy_setopt(g->curl, CURLOPT_URL, url);
	curl_easy_setopt(g->curl, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(g->curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(g->curl, CURLOPT_TIMEOUT, ANSWER_S);
	curl_easy_setopt(g->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(g->curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(g->curl, CURLOPT_HEADERDATA, g);
	curl_easy_setopt(g->curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(g->curl, CURLOPT_WRITEDATA, answer);
	if (body || strcmp(method, "POST") == 0) {
		curl_easy_setopt(g->curl, CURLOPT_POSTFIELDS, body ? body : "");
		curl_easy_setopt(g->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
	}
	CURLcode code = curl_easy_perform(g->curl);
	curl_slist_free_all(headers);
	if (code != CURLE_OK)
		return err_set(e, ERR_COMM_FAILED, "the engine at '%s': %s", g->socket, curl_easy_strerror(code));
	curl_easy_getinfo(g->curl, CURLINFO_RESPONSE_CODE, status);
	return 0;
}

int engine_do(struct engine *g, const char *what, const char *method, const char *path, json_t *body, struct err *e)
{
	autobuf struct buf answer;
	autofree char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	long status = 0;
	buf_init(&answer, ANSWER_MAX);
	if (body && !text)
		return err_set(e, ERR_SPAWN_FAILED, "%s: arguments, environment and paths must be UTF-8", what);
	int r = engine_ask(g, method, path, text, text ? strlen(text) : 0, NULL, &status, &answer, e);
	if (r < 0 || status / 100 == 2)
		return r;
	json_t *said = json_loadb(answer.data, answer.len, 0, NULL);
	const char *message = json_string_value(json_object_get(said, "message"));
	r = err_set(e, ERR_SPAWN_FAILED, "%s: the engine answered %ld: %.400s", what, status, message ? message : "no reason");
	json_decref(said);
	return r;
}
