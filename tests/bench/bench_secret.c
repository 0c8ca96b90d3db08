/* SPDX-License-Identifier: MIT */
/* bench_secret.c - reading a secret in the engine: opened, checked and recorded, against opening the same sealed bytes alone. */
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "runtime/secrets.h"
#include "tests/bench/measure.h"

#define ROUND_NS 200000000u
#define ROUNDS	 5

static struct runtime *rt;
static struct secret_key *key;
static uint32_t number;
static const struct actor self;

static void done(void *arg, const struct err *e)
{
	if (e)
		die("%s", e->msg);
	*(bool *)arg = true;
}

static void wait_for(struct loop *l, const bool *there)
{
	while (!*there) {
		uv_run(&l->uv, UV_RUN_ONCE);
		loop_drain(l);
	}
}

static void store(struct loop *l, const char *name, size_t len)
{
	struct err e = {0};
	bool made = false, written = false;
	autofree char *value = calloc(1, len);
	if (!value || secret_make(rt, &self, 0, name, false, &number, (struct runtime_done){done, &made}, &e) < 0)
		die("%s", e.msg);
	wait_for(l, &made);
	if (secret_write(rt, &self, number, value, len, (struct runtime_done){done, &written}, &e) < 0)
		die("%s", e.msg);
	wait_for(l, &written);
}

static void read_it(unsigned i)
{
	struct secret_text t;
	struct err e = {0};
	(void)i;
	if (secret_read(rt, &self, secret_by_number(rt, number), &t, &e) < 0)
		die("%s", e.msg);
	secret_text_free(&t);
}

/* The same bytes from base64, without a store, a record, or whom it concerns. */
static void open_it(unsigned i)
{
	const struct secret *s = secret_by_number(rt, number);
	struct secret_text t;
	struct err e = {0};
	size_t len = strlen(s->sealed), got = 0;
	autofree unsigned char *raw = malloc(len);
	(void)i;
	if (!raw || sodium_base642bin(raw, len, s->sealed, len, NULL, &got, NULL, sodium_base64_VARIANT_ORIGINAL) != 0 ||
	    secret_open(key, s->path, raw, got, &t, NULL, &e) < 0)
		die("%s", e.msg);
	secret_text_free(&t);
}

static void row(struct loop *l, const char *name, size_t len)
{
	struct samples ours = {0}, floor = {0};
	char what[64];
	unsigned i = 0;
	store(l, name, len);
	for (int round = 0; round < ROUNDS; round++) {
		samples_time(&ours, ROUND_NS, read_it, &i);
		samples_time(&floor, ROUND_NS, open_it, &i);
	}
	snprintf(what, sizeof what, "secret read, %zu bytes, recorded: median, opening it alone", len);
	figure_print(&(struct figure){what, "us", samples_median(&ours), samples_median(&floor), GOAL_NONE, 0});
	snprintf(what, sizeof what, "secret read, %zu bytes, recorded: p99", len);
	figure_print(&(struct figure){what, "us", samples_quantile(&ours, 0.99), 0, GOAL_NONE, 0});
	samples_done(&ours);
	samples_done(&floor);
}

int main(void)
{
	char dir[PATH_MAX], file[PATH_MAX + 16], command[PATH_MAX + 32];
	struct config *c;
	struct loop l;
	struct err e = {0};
	const char *tmp = getenv("TMPDIR");
	snprintf(dir, sizeof dir, "%s/symbi-bench-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(dir) || config_new(&c, &e) < 0 || loop_init(&l, &e) < 0)
		die("%s %s", dir, e.msg);
	struct runtime_opts o = {.state_dir = dir, .config = c, .loop = &l, .spawn_fd = -1};
	snprintf(file, sizeof file, "%s/master.key", dir);
	if (secret_key_make(file, &e) < 0 ||
	    secret_key_find(&key, &(struct secret_key_places){.file = file, .passphrase_fd = -1}, &e) < 0 || runtime_open(&rt, &o, &e) < 0)
		die("%s", e.msg);
	row(&l, "small", 64);
	row(&l, "page", 4096);
	runtime_close(rt);
	loop_done(&l);
	secret_key_free(key);
	config_free(c);
	snprintf(command, sizeof command, "rm -rf '%s'", dir);
	return system(command) != 0;
}
