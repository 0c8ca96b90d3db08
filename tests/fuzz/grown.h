/* SPDX-License-Identifier: MIT */
/* grown.h - a tree over a real engine with two agents, made once for a fuzz target: nothing of it is run, and it goes
 * with the process. */
#pragma once

#include <assert.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/tree.h"
#include "lib/loop.h"
#include "lib/mem.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct grown {
	char dir[64];
	struct loop loop;
	struct config *config;
	struct runtime *rt;
	struct tree *t;
} grown;

static inline int grown_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static inline void grown_end(void)
{
	nftw(grown.dir, grown_remove, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void grown_done(void *arg, const struct err *e)
{
	assert(!e);
	*(bool *)arg = true;
}

static inline void grown_turn(void)
{
	uv_run(&grown.loop.uv, UV_RUN_NOWAIT);
	loop_drain(&grown.loop);
}

static inline void grown_agent(const char *file, const char *text)
{
	struct actor root = {0};
	struct err e = {0};
	bool done = false;
	if (agent_put(grown.rt, &root, file, text, strlen(text), true, (struct runtime_done){grown_done, &done}, &e) < 0) {
		fprintf(stderr, "%s: %s\n", file, e.msg);
		abort();
	}
	while (!done)
		grown_turn();
}

static inline void grown_make(void)
{
	struct err e = {0};
	snprintf(grown.dir, sizeof grown.dir, "%s", access("/dev/shm", W_OK) == 0 ? "/dev/shm/symbi-fuzz-XXXXXX"
										: "/tmp/symbi-fuzz-XXXXXX");
	if (!mkdtemp(grown.dir))
		abort();
	atexit(grown_end);
	struct runtime_opts o = {.state_dir = grown.dir, .loop = &grown.loop, .spawn_fd = -1};
	bool ok = config_new(&grown.config, &e) == 0 && loop_init(&grown.loop, &e) == 0 &&
		  config_set(grown.config, "security.allow_native_execution", "true", "fuzz", &e) == 0;
	o.config = grown.config;
	if (!ok || runtime_open(&grown.rt, &o, &e) < 0 || tree_new(&grown.t, grown.rt, "/symbi", &e) < 0) {
		fprintf(stderr, "%s\n", e.msg);
		abort();
	}
	grown_agent("a.yaml", "tier: None\ncommand: [cat]\n");
	grown_agent("long-name_2.toml", "tier = 'None'\nexecution_mode = 'persistent'\ncommand = ['cat']\n");
}

/* ---- one request of the tree, its answer in `r`; whoever waits longer than a few turns is cancelled ---- */

struct grown_req {
	struct fs_req req;
	bool there;
	int r;
	size_t len;
	uint8_t sum;
};

static inline void grown_reply(struct fs_req *req, int r, const void *data, size_t len, const struct err *e)
{
	struct grown_req *g = container_of(req, struct grown_req, req);
	assert(!g->there);
	assert(r >= 0 || !e || e->msg[0] || e->code == ERR_NONE);
	for (size_t i = 0; i < len; i++) /* they are all there */
		g->sum ^= ((const uint8_t *)data)[i];
	g->there = true;
	g->r = r;
	g->len = len;
}

static inline struct grown_req grown_req(const struct actor *who)
{
	return (struct grown_req){.req = {.who = *who, .reply = grown_reply}};
}

static inline int grown_wait(struct grown_req *g)
{
	for (int i = 0; i < 3 && !g->there; i++)
		grown_turn();
	if (!g->there)
		fs_req_cancel(&g->req);
	while (!g->there)
		grown_turn();
	return g->r;
}
