/* SPDX-License-Identifier: MIT */
/* measure.c - clock, samples, rows and the disk's floor. */
#include "tests/bench/measure.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void die(const char *fmt, ...)
{
	int eno = errno;
	va_list ap;
	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "%s%s\n", eno ? ": " : "", eno ? strerror(eno) : "");
	exit(1);
}

/* ---- samples ---- */

void samples_add(struct samples *s, double v)
{
	if (s->n == s->cap) {
		s->cap = s->cap ? 2 * s->cap : 1024;
		s->v = realloc(s->v, s->cap * sizeof *s->v);
		if (!s->v)
			die("samples");
	}
	s->v[s->n++] = v;
}

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

double samples_quantile(struct samples *s, double q)
{
	if (s->n == 0)
		return 0;
	qsort(s->v, s->n, sizeof *s->v, by_value);
	size_t i = (size_t)(q * (double)s->n);
	return s->v[i < s->n ? i : s->n - 1];
}

void samples_done(struct samples *s)
{
	free(s->v);
	*s = (struct samples){0};
}

void samples_time(struct samples *s, uint64_t ns, void (*op)(unsigned i), unsigned *i)
{
	uint64_t begin = now_ns(), last = begin;
	while (last - begin < ns) {
		op((*i)++);
		uint64_t now = now_ns();
		samples_add(s, (double)(now - last) / 1e3);
		last = now;
	}
}

/* ---- rows ---- */

static void print_value(double v, const char *unit)
{
	if (v == 0 && strcmp(unit, "requests") != 0)
		fputs("-", stdout);
	else if (strcmp(unit, "/s") == 0)
		printf("%.0f /s", v);
	else
		printf(v < 0.1    ? "%.3f %s"
		       : v < 10   ? "%.2f %s"
		       : v < 1000 ? "%.1f %s"
				  : "%.0f %s",
		       v, unit);
}

static void print_goal(const struct figure *f, double ratio)
{
	bool of_ratio = f->goal == GOAL_RATIO_MAX || f->goal == GOAL_RATIO_MIN;
	bool upper = f->goal == GOAL_OURS_MAX || f->goal == GOAL_RATIO_MAX;
	double v = of_ratio ? ratio : f->ours;
	if (f->goal == GOAL_NONE) {
		puts("-\t-");
		return;
	}
	printf("%s %.6g %s\t%s\n", upper ? "<=" : ">=", f->bound, of_ratio ? "x floor" : f->unit,
	       (upper ? v <= f->bound : v >= f->bound) ? "yes" : "NO");
}

void figure_print(const struct figure *f)
{
	double ratio = f->floor != 0 ? f->ours / f->floor : 0;
	printf("%s\t", f->what);
	print_value(f->ours, f->unit);
	putchar('\t');
	print_value(f->floor, f->floor != 0 ? f->unit : "");
	if (ratio != 0)
		printf("\t%.2f\t", ratio);
	else
		fputs("\t-\t", stdout);
	print_goal(f, ratio);
	if (fflush(stdout) != 0)
		die("stdout");
}

#define ROUNDS   10
#define ROUND_NS 60000000u

void versus_print(const struct versus *v)
{
	struct samples a = {0}, b[2] = {{0}};
	unsigned i = 0, unused = 0;
	while (i < 3)
		v->ours(i++); /* first use: links, caches */
	for (int round = 0; round < ROUNDS; round++) {
		samples_time(&a, ROUND_NS, v->ours, &i);
		for (int f = 0; f < 2 && v->floor[f]; f++)
			samples_time(&b[f], ROUND_NS, v->floor[f], &unused);
	}
	figure_print(&(struct figure){v->what, "us", samples_median(&a),
				      samples_median(&b[0]) + samples_median(&b[1]), v->goal,
				      v->bound});
	samples_done(&a);
	samples_done(&b[0]);
	samples_done(&b[1]);
}

/* ---- the disk ---- */

#define DISK_BYTES (16u << 20)

void disk_open(struct disk *d, const char *dir)
{
	static const char zeros[1 << 16];
	char path[4096];
	snprintf(path, sizeof path, "%s/floor.disk", dir);
	*d = (struct disk){.fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600),
			   .size = DISK_BYTES};
	for (uint64_t at = 0; d->fd >= 0 && at < d->size; at += sizeof zeros)
		if (pwrite(d->fd, zeros, sizeof zeros, (off_t)at) != sizeof zeros)
			die("%s", path);
	if (d->fd < 0 || fsync(d->fd) < 0 || unlink(path) < 0)
		die("%s", path);
}

void disk_commit(struct disk *d, size_t bytes)
{
	static char record[1 << 20];
	if (bytes > sizeof record)
		bytes = sizeof record;
	if (d->at + bytes > d->size)
		d->at = 0;
	memset(record, (int)(d->at % 251), bytes);
	if (pwrite(d->fd, record, bytes, (off_t)d->at) != (ssize_t)bytes || fdatasync(d->fd) < 0)
		die("write to the floor's file");
	d->at += bytes;
}

void disk_close(struct disk *d)
{
	close(d->fd);
}
