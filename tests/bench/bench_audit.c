/* SPDX-License-Identifier: MIT */
/* bench_audit.c - the journal with an audit trail that follows and is signed beside the same journal without, in rounds that
 * alternate; adding, verifying and proving over a trail of a million records beside hashing the same lines alone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/audit.h"
#include "runtime/audit_trail.h"
#include "runtime/audit_verify.h"
#include "tests/bench/measure.h"
#include "tests/bench/server.h"

#define ROUNDS	 6
#define ROUND_NS 300000000u
#define GROUP	 512
#define RECORDS	 1000000u
#define SPIN_NS	 30000u /* as the daemon's loop does before it sleeps */

static const char body[] = "{\"v\":1,\"serial\":17,\"run\":12345,\"exit\":0,\"eno\":0,\"wall_ns\":51556347,\"cpu_ns\":14731000,\"memory\":524288}";

/* ---- the journal with and without ---- */

struct side {
	struct loop loop;
	struct journal *j;
	struct audit *audit; /* NULL: without */
	unsigned waiting;
	double records, seconds;
};

struct call {
	struct journal_ack ack;
	struct side *s;
};

static void acked(struct journal_ack *ack, uint64_t seq, int r)
{
	struct side *s = ((struct call *)(void *)ack)->s;
	(void)seq, (void)r;
	s->waiting--;
	audit_poke(s->audit);
}

static void append(struct side *s, struct call *call, enum journal_class class)
{
	struct err e;
	struct journal_record rec = {.type = 9, .object = "agent-17", .body = body, .body_len = sizeof body - 1};
	*call = (struct call){{.done = acked}, s};
	if (journal_append(s->j, &rec, class, &call->ack, &e) < 0)
		die("%s", e.msg);
	if (class == JOURNAL_FAST) {
		s->waiting--;
		audit_poke(s->audit);
	}
}

static void round_of(struct side *s, enum journal_class class, unsigned group)
{
	static struct call calls[GROUP];
	uint64_t begin = now_ns(), now = begin;
	while (now < begin + ROUND_NS) {
		uint64_t last = now;
		s->waiting = group;
		for (unsigned i = 0; i < group; i++)
			append(s, &calls[i], class);
		while (s->waiting) {
			if (loop_drain(&s->loop))
				last = now_ns();
			else if (now_ns() - last > SPIN_NS)
				uv_run(&s->loop.uv, UV_RUN_ONCE);
		}
		s->records += group;
		now = now_ns();
	}
	s->seconds += (double)(now - begin) / 1e9;
}

static const char *type_name(uint16_t type)
{
	(void)type;
	return "run.done";
}

static uint32_t agent_of(const struct journal_record *rec)
{
	(void)rec;
	return 17;
}

static bool redact(const struct journal_record *rec, struct buf *out)
{
	(void)rec, (void)out;
	return false;
}

static void side_open(struct side *s, const char *dir, const char *name, bool audited)
{
	char journal[PATH_MAX], trail[PATH_MAX], key[PATH_MAX], seal[PATH_MAX];
	struct err e = {0};
	snprintf(journal, sizeof journal, "%s/%s.journal", dir, name);
	snprintf(trail, sizeof trail, "%s/%s.trail", dir, name);
	snprintf(key, sizeof key, "%s/%s.key", dir, name);
	snprintf(seal, sizeof seal, "%s/%s.seal", dir, name);
	struct journal_opts o = {.dir = journal, .segment_bytes = 16u << 20};
	if (loop_init(&s->loop, &e) < 0 || journal_open(&s->j, &o, &s->loop, 0, NULL, NULL, &e) < 0)
		die("%s", e.msg);
	struct audit_opts a = {.dir = trail, .journal_dir = journal, .key_file = key, .seal_file = seal, .export_to = "", .journal = s->j,
			       .loop = &s->loop, .every_records = 10000, .every_ms = 10000, .type_name = type_name,
			       .agent_of = agent_of, .redact = redact};
	if (audited && audit_open(&s->audit, &a, &e) < 0)
		die("%s", e.msg);
}

static void side_close(struct side *s)
{
	journal_flush(s->j);
	audit_close(s->audit);
	journal_close(s->j);
	loop_done(&s->loop);
}

static void compare(struct side *with, struct side *without, enum journal_class class, unsigned group)
{
	char what[120];
	with->records = with->seconds = without->records = without->seconds = 0;
	for (int i = 0; i < ROUNDS; i++) { /* in turns, so that both meet the same weather */
		round_of(with, class, group);
		round_of(without, class, group);
	}
	snprintf(what, sizeof what, "%s records, %u at once, with a signed trail (floor: without)",
		 class == JOURNAL_SAFE ? "safe" : "fast", group);
	struct figure f = {.what = what, .unit = "/s", .ours = with->records / with->seconds,
			   .floor = without->records / without->seconds};
	figure_print(&f);
}

static void journals(const char *dir)
{
	static struct side with, without;
	side_open(&with, dir, "with", true);
	side_open(&without, dir, "without", false);
	compare(&with, &without, JOURNAL_SAFE, 1);
	compare(&with, &without, JOURNAL_SAFE, 64);
	compare(&with, &without, JOURNAL_SAFE, GROUP);
	compare(&with, &without, JOURNAL_FAST, 1);
	uint64_t begin = now_ns();
	side_close(&with); /* the trail catches up and is signed */
	struct figure f = {.what = "catching up and signing at the end", .unit = "ms", .ours = (double)(now_ns() - begin) / 1e6};
	figure_print(&f);
	side_close(&without);
}

/* ---- a million records ---- */

static double seconds_since(uint64_t begin)
{
	return (double)(now_ns() - begin) / 1e9;
}

static void fill(const char *dir, const char *key, double *ret_seconds)
{
	struct trail t;
	struct err e = {0};
	char seal[PATH_MAX + 8];
	snprintf(seal, sizeof seal, "%s.seal", key);
	struct trail_place at = {.dir = dir, .key_file = key, .seal_file = seal, .name = "bench/symbi"};
	if (trail_open(&t, &at, &e) < 0 || trail_load_heads(&t, &e) < 0)
		die("%s", e.msg);
	uint64_t begin = now_ns();
	for (uint64_t seq = 1; seq <= RECORDS; seq++) {
		struct journal_record rec = {.seq = seq, .time_ms = 1764000000000 + seq, .type = 9, .pid = 4711,
					     .object = "agent-17", .body = body, .body_len = sizeof body - 1};
		if (trail_add(&t, &rec, "run.done", 17) < 0)
			die("no memory");
		if (trail_pending(&t) > 256u << 10 && trail_write(&t, &e) < 0)
			die("%s", e.msg);
	}
	if (trail_checkpoint(&t, &e) < 0)
		die("%s", e.msg);
	*ret_seconds = seconds_since(begin);
	trail_close(&t);
}

/* Read the lines and hash them into a tree, and look at nothing. */
static double hash_alone(const char *dir)
{
	char path[PATH_MAX + 16];
	struct merkle m = {0};
	unsigned char leaf[MERKLE_HASH];
	uint64_t begin = now_ns();
	snprintf(path, sizeof path, "%s/log", dir);
	FILE *f = fopen(path, "re");
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	if (!f)
		die("%s", path);
	while ((n = getline(&line, &cap, f)) > 0) {
		merkle_leaf(line, (size_t)n - 1, leaf);
		merkle_add(&m, leaf, NULL);
	}
	free(line);
	fclose(f);
	return seconds_since(begin);
}

static void million(const char *dir)
{
	char trail[PATH_MAX], key[PATH_MAX], pub[PATH_MAX + 16];
	struct note_public k;
	struct audit_report r;
	struct err e = {0};
	double added, verified = 1e9, hashed = 1e9;
	snprintf(trail, sizeof trail, "%s/million", dir);
	snprintf(key, sizeof key, "%s/million.key", dir);
	snprintf(pub, sizeof pub, "%s/key.pub", trail);
	fill(trail, key, &added);
	if (note_public_read(pub, &k, &e) < 0)
		die("%s", e.msg);
	struct audit_files f = {.dir = trail};
	for (int i = 0; i < 3; i++) {
		uint64_t begin = now_ns();
		if (audit_verify_files(&f, &k, &r, &e) < 0 || r.records != RECORDS)
			die("%s", e.msg);
		double v = seconds_since(begin), h = hash_alone(trail);
		verified = v < verified ? v : verified;
		hashed = h < hashed ? h : hashed;
	}
	figure_print(&(struct figure){.what = "adding 1,000,000 records to a trail", .unit = "/s", .ours = RECORDS / added});
	figure_print(&(struct figure){.what = "verifying 1,000,000 records (floor: hashing the lines alone)", .unit = "ms",
				      .ours = verified * 1e3, .floor = hashed * 1e3});
}

int main(void)
{
	static struct scratch s;
	scratch_init(&s);
	journals(s.dir);
	million(s.dir);
	scratch_done(&s);
	return 0;
}
