/* SPDX-License-Identifier: MIT */
/* where.c - finding the daemon: its socket, or its mount. L4. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "lib/mem.h"

#define FILE_MAX (16u << 20)

int where_find(struct where *w, struct err *e)
{
	struct err bad = {0};
	struct config *c = NULL;
	int r = config_new(&c, &bad);
	if (r == 0)
		r = config_load_default(c, &bad);
	if (r == 0)
		r = config_load_env(c, environ, &bad);
	if (r < 0)
		fprintf(stderr, "symbi: %s %s (the defaults are used)\n", err_code_name(bad.code),
			bad.msg);
	r = places_find(&w->at, r < 0 ? NULL : c, w->mount, w->state, w->socket, e);
	config_free(c);
	return r;
}

/* ---- on the mount ---- */

static int open_mounted(const struct where *w, const char *path, int flags, struct err *e)
{
	char full[PATH_MAX + 300];
	snprintf(full, sizeof full, "%s/%s", w->at.mount, path);
	int fd = open(full, flags | O_CLOEXEC);
	return fd >= 0 ? fd
		       : err_sys(e, ERR_API_NO_DAEMON, errno, "no daemon serves '%s'", w->at.mount);
}

static int read_mounted(const struct where *w, const char *path, struct buf *out, struct err *e)
{
	char piece[65536];
	ssize_t n;
	autoclose int fd = open_mounted(w, path, O_RDONLY, e);
	if (fd < 0)
		return fd;
	while ((n = read(fd, piece, sizeof piece)) > 0)
		if (buf_add(out, piece, (size_t)n) < 0)
			return err_set(e, ERR_SYS_MEMORY, "no memory for '%s'", path);
	return n < 0 ? err_sys(e, ERR_SYS_IO, errno, "'%s/%s'", w->at.mount, path) : 0;
}

static int write_mounted(const struct where *w, const char *path, const char *text, struct err *e)
{
	autoclose int fd = open_mounted(w, path, O_WRONLY, e);
	if (fd < 0)
		return fd;
	if (write(fd, text, strlen(text)) < 0 || close(take_fd(&fd)) < 0)
		return err_sys(e, ERR_SYS_IO, errno, "'%s/%s'", w->at.mount, path);
	return 0;
}

/* ---- either way ---- */

/* Nobody asked for one way: the socket when somebody listens, else the mount. */
static bool by_mount(const struct where *w, int r)
{
	return (w->mount && !w->socket) || (r == -ECONNREFUSED && !w->socket && !w->state);
}

int where_read(const struct where *w, const char *path, struct buf *out, struct err *e)
{
	struct client *c = NULL;
	struct err other;
	int r = by_mount(w, 0) ? -ECONNREFUSED : client_open(&c, w->at.socket, e);
	if (c)
		r = client_get(c, path, out, e);
	client_close(c);
	if (r == 0 || !by_mount(w, r))
		return r;
	if (w->mount)
		return read_mounted(w, path, out, e);
	return read_mounted(w, path, out, &other) == 0 ? 0 : r; /* the socket's failure says more */
}

int where_write(const struct where *w, const char *path, const char *text, struct err *e)
{
	struct client *c = NULL;
	struct reply reply = {0};
	autobuf struct buf body;
	buf_init(&body, FILE_MAX);
	reply.body = &body;
	int r = by_mount(w, 0) ? -ECONNREFUSED : client_open(&c, w->at.socket, e);
	if (c)
		r = client_do(c, "PUT", path, NULL, text, strlen(text), &reply, e);
	client_close(c);
	return by_mount(w, r) ? write_mounted(w, path, text, e) : r;
}

bool where_value(const char *lines, const char *key, char *out, size_t cap)
{
	size_t n = strlen(key);
	for (const char *p = lines; *p;) {
		size_t len = strcspn(p, "\n");
		if (len > n && strncmp(p, key, n) == 0 && p[n] == ' ') {
			snprintf(out, cap, "%.*s", (int)(len - n - 1), p + n + 1);
			return true;
		}
		p += len + (p[len] == '\n');
	}
	return false;
}
