/* SPDX-License-Identifier: MIT */
/* fuzz_api.c - what a socket says. The first byte chooses: a path that is decoded, a range, a body of an error, or bytes on
 * a connection of a real server over a real tree, which answers or closes and lives on. */
#include <sys/socket.h>
#include <sys/un.h>

#include "api/api_i.h"
#include "api/path.h"
#include "api/status.h"
#include "lib/value.h"
#include "tests/fuzz/grown.h"

static struct api_server *server;
static struct sockaddr_un at = {.sun_family = AF_UNIX};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	struct err e = {0};
	struct api_opts o = {.max_connections = 8, .max_connections_per_user = 8};
	grown_make();
	snprintf(at.sun_path, sizeof at.sun_path, "%s/sock", grown.dir);
	if (api_listen(at.sun_path, 0600, (gid_t)-1, &o.listen_fd, &e) < 0 ||
	    api_open(&server, grown.t, &grown.loop, &o, &e) < 0) {
		fprintf(stderr, "%s\n", e.msg);
		abort();
	}
	return 0;
}

static void path(const char *raw)
{
	char out[API_PATH_MAX], escaped[3 * API_PATH_MAX], again[API_PATH_MAX];
	struct err e = {0};
	if (path_decode(raw, out, sizeof out, &e) < 0) {
		assert(e.code != ERR_NONE && e.msg[0]);
		return;
	}
	size_t n = strlen(out);
	assert(n < sizeof out && out[0] != '/' && !strstr(out, "//") && (!n || out[n - 1] != '/'));
	char *p = escaped;
	for (const char *c = out; *c; c++)
		p += *c == '/' ? snprintf(p, 4, "/") : snprintf(p, 4, "%%%02x", (unsigned char)*c);
	*p = 0;
	assert(path_decode(escaped, again, sizeof again, &e) == 0 && strcmp(out, again) == 0);
	autofree char *parts = strdup(out);
	for (char *save, *name = strtok_r(parts, "/", &save); name; name = strtok_r(NULL, "/", &save))
		assert(strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && strlen(name) <= 255);
}

static void range(const char *header, uint64_t size)
{
	struct range g;
	if (range_parse(header, size, &g) < 0)
		return;
	assert(g.from <= size && g.len <= size - g.from);
	assert(!g.partial || g.len);
	assert(g.partial || (g.from == 0 && g.len == size));
}

static void error_body(const char *text)
{
	struct err e = {0}, bad = {0};
	struct buf b;
	struct value *v = NULL;
	buf_init(&b, 64 << 10);
	err_at(&e, ERR_AGENT_SPEC, 3, "%s", text);
	if (status_body(&e, text, &b) == 0) {
		assert(value_parse(VALUE_JSON, b.data, b.len, &v, NULL, &bad) == 0);
		value_free(v);
	}
	assert(status_of(&e) >= 400);
	buf_done(&b);
}

static void connection(const uint8_t *data, size_t size)
{
	char answer[4096];
	autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert(fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof at) == 0);
	for (int i = 0; i < 6; i++) {
		if (size) {
			size_t part = i == 0 && size > 40 ? size / 2 : size;
			ssize_t n = send(fd, data, part, MSG_NOSIGNAL);
			data += n > 0 ? n : 0;
			size -= n > 0 ? (size_t)n : 0;
		}
		grown_turn();
		while (read(fd, answer, sizeof answer) > 0)
			;
	}
	close(take_fd(&fd));
	for (int i = 0; i < 100 && server->connections; i++)
		grown_turn();
}

/* A `stop` in /fs/ctl would end the process that started this one. */
static bool stops(const uint8_t *data, size_t size)
{
	return memmem(data, size, "stop", 4) != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 9 || size > 8192)
		return 0;
	uint64_t number;
	memcpy(&number, data + 1, sizeof number);
	autofree char *text = strndup((const char *)data + 9, size - 9);
	switch (data[0] % 4) {
	case 0: path(text); break;
	case 1: range(text, number >> (data[0] / 4)); break;
	case 2: error_body(text); break;
	case 3:
		if (!stops(data + 1, size - 1))
			connection(data + 1, size - 1);
		break;
	}
	return 0;
}
