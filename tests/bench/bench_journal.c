/* SPDX-License-Identifier: MIT */
/* bench_journal.c - acknowledged records per second of the journal, safe and fast, beside two floors of the
 * same minute: the same number of records as one pwrite (and fdatasync) to a prefilled file by one thread, and
 * callers on threads who hand their records to a writing thread through a mutex and two condition variables. */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/journal_format.h"
#include "tests/bench/measure.h"
#include "tests/bench/server.h"

#define BODY        256
#define ROUNDS      6
#define ROUND_NS    200000000u
#define CALLERS_MAX 64
#define SPIN_NS     30000u /* as the daemon's loop does before it sleeps */

struct shape {
	unsigned callers, window; /* each has so many in flight, and waits for all of them */
};
static const struct shape shapes[] = {{1, 1}, {8, 1}, {64, 1}, {8, 64}};

struct tally { /* over the rounds */
	double records, seconds;
};

static size_t record_bytes(void)
{
	struct journal_record rec = {.object = "object", .body_len = BODY};
	return record_size(&rec);
}

/* ---- ours ---- */

struct caller {
	struct bench *b;
	struct call {
		struct journal_ack ack;
		struct caller *by;
	} calls[CALLERS_MAX];
	unsigned waiting;
};

struct bench {
	struct loop loop;
	struct journal *j;
	enum journal_class class;
	struct shape shape;
	struct caller callers[CALLERS_MAX];
	unsigned active;
	uint64_t end, acked;
};

static void acked(struct journal_ack *ack, uint64_t seq, int r);

static void append(struct call *call)
{
	static char body[BODY];
	struct err e;
	struct bench *b = call->by->b;
	struct journal_record rec = {.type = 1, .object = "object", .body = body, .body_len = BODY};
	errno = 0;
	if (journal_append(b->j, &rec, b->class, &call->ack, &e) < 0)
		die("%s", e.msg);
	if (b->class == JOURNAL_FAST) { /* without a callback */
		b->acked++;
		call->by->waiting--;
	}
}

static void call(struct caller *c)
{
	do {
		if (now_ns() >= c->b->end) {
			c->b->active--;
			return;
		}
		c->waiting = c->b->shape.window;
		for (unsigned i = 0; i < c->b->shape.window; i++) {
			c->calls[i] = (struct call){.ack = {.done = acked}, .by = c};
			append(&c->calls[i]);
		}
	} while (!c->waiting);
}

static void acked(struct journal_ack *ack, uint64_t seq, int r)
{
	struct caller *c = ((struct call *)(void *)ack)->by;
	(void)seq, (void)r;
	c->b->acked++;
	if (--c->waiting == 0)
		call(c);
}

static void our_round(struct bench *b, struct tally *sum)
{
	uint64_t begin = now_ns(), last = begin;
	b->end = begin + ROUND_NS;
	b->acked = 0;
	b->active = b->shape.callers;
	for (unsigned i = 0; i < b->shape.callers; i++) {
		b->callers[i].b = b;
		call(&b->callers[i]);
	}
	while (b->active) {
		if (loop_drain(&b->loop))
			last = now_ns();
		else if (now_ns() - last > SPIN_NS)
			uv_run(&b->loop.uv, UV_RUN_ONCE);
	}
	sum->records += (double)b->acked;
	sum->seconds += (double)(now_ns() - begin) / 1e9;
}

/* ---- the disk ---- */

static void disk_round(struct disk *d, bool sync, struct shape shape, struct tally *sum)
{
	static char group[CALLERS_MAX * CALLERS_MAX * (BODY + 128)];
	unsigned n = shape.callers * shape.window;
	size_t bytes = record_bytes() * n;
	uint64_t begin = now_ns(), now = begin;
	while (now < begin + ROUND_NS) {
		if (d->at + bytes > d->size)
			d->at = 0;
		memset(group, (int)(now % 251), bytes);
		if (pwrite(d->fd, group, bytes, (off_t)d->at) != (ssize_t)bytes ||
		    (sync && fdatasync(d->fd) < 0))
			die("write to the floor's file");
		d->at += bytes;
		sum->records += n;
		now = now_ns();
	}
	sum->seconds += (double)(now - begin) / 1e9;
}

/* ---- threads and condition variables ---- */

#define RING 8192u

struct threads {
	pthread_mutex_t mu;
	pthread_cond_t work, done;
	struct disk *disk;
	struct shape shape;
	bool sync, stop;
	uint64_t head, durable, end;
	size_t record;
	char *ring;
};

static void *floor_writer(void *arg)
{
	struct threads *t = arg;
	struct disk *d = t->disk;
	pthread_mutex_lock(&t->mu);
	while (!t->stop || t->head != t->durable) {
		uint64_t from = t->durable, to = t->head;
		if (from == to) {
			pthread_cond_wait(&t->work, &t->mu);
			continue;
		}
		pthread_mutex_unlock(&t->mu);
		while (from < to) { /* in two pieces where the ring wraps */
			uint64_t n = to - from, room = RING - from % RING;
			size_t bytes = t->record * (n < room ? n : room);
			if (d->at + bytes > d->size)
				d->at = 0;
			if (pwrite(d->fd, t->ring + from % RING * t->record, bytes, (off_t)d->at) !=
			    (ssize_t)bytes)
				die("write to the floor's file");
			d->at += bytes;
			from += n < room ? n : room;
		}
		if (t->sync && fdatasync(d->fd) < 0)
			die("fdatasync of the floor's file");
		pthread_mutex_lock(&t->mu);
		t->durable = to;
		pthread_cond_broadcast(&t->done);
	}
	pthread_mutex_unlock(&t->mu);
	return NULL;
}

static void *floor_caller(void *arg)
{
	struct threads *t = arg;
	char record[BODY + 128] = {1};
	while (now_ns() < t->end) {
		pthread_mutex_lock(&t->mu);
		for (unsigned i = 0; i < t->shape.window; i++) {
			while (t->head - t->durable == RING)
				pthread_cond_wait(&t->done, &t->mu);
			memcpy(t->ring + t->head++ % RING * t->record, record, t->record);
		}
		uint64_t mine = t->head;
		pthread_cond_signal(&t->work);
		while (t->durable < mine)
			pthread_cond_wait(&t->done, &t->mu);
		pthread_mutex_unlock(&t->mu);
	}
	return NULL;
}

static void threads_round(struct disk *d, bool sync, struct shape shape, struct tally *sum)
{
	struct threads t = {.mu = PTHREAD_MUTEX_INITIALIZER,
			    .work = PTHREAD_COND_INITIALIZER,
			    .done = PTHREAD_COND_INITIALIZER,
			    .disk = d,
			    .shape = shape,
			    .sync = sync,
			    .record = record_bytes()};
	pthread_t writer, callers[CALLERS_MAX];
	t.ring = malloc(RING * t.record);
	uint64_t begin = now_ns();
	t.end = begin + ROUND_NS;
	errno = t.ring ? pthread_create(&writer, NULL, floor_writer, &t) : ENOMEM;
	for (unsigned i = 0; i < shape.callers && !errno; i++)
		errno = pthread_create(&callers[i], NULL, floor_caller, &t);
	if (errno)
		die("threads of the floor");
	for (unsigned i = 0; i < shape.callers; i++)
		pthread_join(callers[i], NULL);
	sum->records += (double)t.head;
	sum->seconds += (double)(now_ns() - begin) / 1e9;
	pthread_mutex_lock(&t.mu);
	t.stop = true;
	pthread_cond_signal(&t.work);
	pthread_mutex_unlock(&t.mu);
	pthread_join(writer, NULL);
	free(t.ring);
}

/* ---- rows ---- */

static void rows(struct bench *b, struct disk *d, enum journal_class class, struct shape shape)
{
	struct tally ours = {0}, disk = {0}, threads = {0};
	bool sync = class == JOURNAL_SAFE;
	char who[64], what[160];
	b->class = class;
	b->shape = shape;
	for (int i = 0; i < ROUNDS; i++) { /* in turns, so that all meet the same weather */
		our_round(b, &ours);
		disk_round(d, sync, shape, &disk);
		threads_round(d, sync, shape, &threads);
	}
	snprintf(who, sizeof who, "%s records, %u caller%s%s", sync ? "safe" : "fast",
		 shape.callers, shape.callers > 1 ? "s" : "",
		 shape.window > 1 ? " with 64 in flight each" : "");
	snprintf(what, sizeof what, "%s (floor: pwrite%s of %u)", who, sync ? ", fdatasync" : "",
		 shape.callers * shape.window);
	struct figure f = {.what = what,
			   .unit = "/s",
			   .ours = ours.records / ours.seconds,
			   .floor = disk.records / disk.seconds};
	figure_print(&f);
	snprintf(what, sizeof what, "%s (floor: threads)", who);
	f.floor = threads.records / threads.seconds;
	figure_print(&f);
	if (shape.callers > 1)
		return;
	snprintf(what, sizeof what, "%s, time of one", who);
	f = (struct figure){.what = what,
			    .unit = "us",
			    .ours = ours.seconds / ours.records * 1e6,
			    .floor = disk.seconds / disk.records * 1e6,
			    .goal = sync ? GOAL_RATIO_MAX : GOAL_OURS_MAX,
			    .bound = sync ? 1.3 : 5};
	figure_print(&f);
}

int main(void)
{
	static struct scratch s;
	static struct bench b;
	struct disk d;
	struct err e = {0};
	char dir[PATH_MAX];
	scratch_init(&s);
	disk_open(&d, s.dir);
	snprintf(dir, sizeof dir, "%s/journal", s.dir);
	struct journal_opts o = {.dir = dir, .segment_bytes = 16u << 20};
	if (loop_init(&b.loop, &e) < 0 || journal_open(&b.j, &o, &b.loop, 0, NULL, NULL, &e) < 0)
		die("%s", e.msg);
	for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
		rows(&b, &d, JOURNAL_SAFE, shapes[i]);
		journal_retire(b.j, journal_last_seq(b.j), 0, NULL);
	}
	for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
		rows(&b, &d, JOURNAL_FAST, shapes[i]);
		journal_retire(b.j, journal_last_seq(b.j), 0, NULL);
	}
	journal_close(b.j);
	loop_done(&b.loop);
	disk_close(&d);
	scratch_done(&s);
	return 0;
}
