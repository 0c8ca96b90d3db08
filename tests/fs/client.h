/* SPDX-License-Identifier: MIT */
/* client.h - a tree over a real engine without a mount, and the client that keeps what it was answered. */
#pragma once

#include <errno.h>

#include "fs/tree.h"
#include "tests/support/engine.h"

struct client {
	struct engine engine;
	struct tree *t;
};

static const struct actor stranger = {.uid = 54321, .gid = 54321};

static inline void client_init(struct client *c, bool spawner)
{
	struct err e = {0};
	engine_init(&c->engine);
	if (spawner)
		engine_spawner(&c->engine);
	engine_open(&c->engine, false);
	assert_int_equal(tree_new(&c->t, c->engine.rt, "/symbi", &e), 0);
}

static inline void client_done(struct client *c)
{
	tree_free(c->t);
	engine_done(&c->engine);
}

struct reply { /* to one request */
	struct fs_req req;
	bool there;
	int r;
	struct err e;
	struct buf data;
};

static inline void reply_keep(struct fs_req *req, int r, const void *data, size_t len, const struct err *e)
{
	struct reply *p = container_of(req, struct reply, req);
	assert_false(p->there); /* once */
	p->there = true;
	p->r = r;
	if (e)
		p->e = *e;
	if (len)
		assert_int_equal(buf_add(&p->data, data, len), 0);
}

static inline void reply_init(struct reply *p, const struct actor *who)
{
	*p = (struct reply){.req = {.who = *who, .reply = reply_keep}};
	buf_init(&p->data, 32 << 20);
}

static inline bool reply_there(void *arg)
{
	return ((struct reply *)arg)->there;
}

/* Wait for it; what was answered. */
static inline int reply_wait(struct client *c, struct reply *p)
{
	if (!engine_until(&c->engine, reply_there, p, 20000))
		fail_msg("no answer");
	return p->r;
}

static inline int client_open(struct client *c, const struct actor *who, const char *path, int flags,
			      struct handle **h, struct err *e)
{
	struct fs_attr a;
	return tree_open_path(c->t, who, path, flags, &a, h, NULL, e);
}

static inline struct handle *client_opened(struct client *c, const char *path, int flags)
{
	struct handle *h = NULL;
	struct err e = {0};
	if (client_open(c, &root_actor, path, flags, &h, &e) < 0)
		fail_msg("%s: %s", path, e.msg);
	return h;
}

/* A read of an open file: count of bytes or -errno, the bytes in out when it is not NULL. */
static inline int client_pread(struct client *c, struct handle *h, uint64_t off, size_t size, struct buf *out)
{
	struct reply p;
	reply_init(&p, &root_actor);
	handle_read(h, &p.req, off, size, true);
	int r = reply_wait(c, &p);
	assert_true(r < 0 ? p.data.len == 0 : (size_t)r == p.data.len && p.data.len <= size);
	if (out && p.data.len)
		assert_int_equal(buf_add(out, p.data.data, p.data.len), 0);
	buf_done(&p.data);
	return r;
}

/* A file as cat(1) reads it; ends in NUL. */
static inline void client_cat(struct client *c, const char *path, struct buf *out)
{
	struct handle *h = client_opened(c, path, O_RDONLY);
	buf_init(out, 32 << 20);
	int r;
	while ((r = client_pread(c, h, out->len, 4096, out)) > 0)
		;
	if (r < 0)
		fail_msg("%s: read answers %d", path, r);
	assert_int_equal(buf_add(out, "", 1), 0);
	out->len--;
	handle_release(h);
}

static inline void client_expect(struct client *c, const char *path, const char *want)
{
	struct buf b;
	client_cat(c, path, &b);
	assert_string_equal(b.data, want);
	buf_done(&b);
}

static inline int client_pwrite(struct client *c, struct handle *h, const char *text, struct err *e)
{
	struct reply p;
	reply_init(&p, &root_actor);
	handle_write(h, &p.req, 0, text, strlen(text), false);
	int r = reply_wait(c, &p);
	*e = p.e;
	return r;
}

static inline int client_flush(struct client *c, struct handle *h, struct err *e)
{
	struct reply p;
	reply_init(&p, &root_actor);
	handle_flush(h, &p.req);
	int r = reply_wait(c, &p);
	*e = p.e;
	return r;
}

/* open, write, close as `echo TEXT > path` does it: 0 or the first failure. */
static inline int client_echo(struct client *c, const char *path, const char *text, struct err *e)
{
	struct handle *h = NULL;
	int r = client_open(c, &root_actor, path, O_WRONLY | O_CREAT | O_TRUNC, &h, e);
	if (r < 0)
		return r;
	r = client_pwrite(c, h, text, e);
	if (r >= 0) {
		assert_int_equal(r, strlen(text));
		r = client_flush(c, h, e);
	}
	handle_release(h);
	return r;
}

static inline void client_agent(struct client *c, const char *file, const char *text)
{
	char path[80];
	struct err e = {0};
	snprintf(path, sizeof path, "agents/%s", file);
	if (client_echo(c, path, text, &e) < 0)
		fail_msg("%s: %s", path, e.msg);
}

static inline bool client_has(struct client *c, const char *path)
{
	struct fs_attr a;
	struct err e = {0};
	int r = tree_walk(c->t, &root_actor, path, &a, &e);
	assert_true(r == 0 || e.code != ERR_NONE);
	return r == 0;
}
