/* SPDX-License-Identifier: MIT */
/* measure.h - what the benchmarks share: a clock, samples with their quantiles, and the row of the
 * table that each figure becomes. One thread, unless said.
 *
 * A benchmark prints rows on stdout and nothing else; talk goes to stderr. A row is six fields with
 * tabs between them: what, ours, floor, ratio, goal, met. run.sh lays them out. */
#pragma once

#include <stddef.h>
#include <stdint.h>

uint64_t now_ns(void); /* CLOCK_MONOTONIC; any thread */

struct samples { /* zeroed is empty */
	double *v;
	size_t n, cap;
};
void samples_add(struct samples *s, double v);
double samples_quantile(struct samples *s, double q); /* sorts; 0 when empty */
static inline double samples_median(struct samples *s)
{
	return samples_quantile(s, 0.5);
}
void samples_done(struct samples *s);
/* Do op(*i), ++*i again and again for so long; each time is a sample, in microseconds. */
void samples_time(struct samples *s, uint64_t ns, void (*op)(unsigned i), unsigned *i);

/* What is to be reached: nothing, or a bound on our figure or on ours / floor. */
enum goal { GOAL_NONE, GOAL_OURS_MAX, GOAL_OURS_MIN, GOAL_RATIO_MAX, GOAL_RATIO_MIN };

struct figure {
	const char *what;
	const char *unit; /* "us", "/s", "ms", "B", "MiB", "requests" */
	double ours;
	double floor; /* 0: there is none */
	enum goal goal;
	double bound;
};
void figure_print(const struct figure *f);

/* An operation beside the least that can do it, in rounds that alternate. */
struct versus {
	const char *what;
	void (*ours)(unsigned i);
	void (*floor[2])(unsigned i); /* their medians are added up; NULL: there is none */
	enum goal goal;               /* microseconds, or a ratio */
	double bound;
};
void versus_print(const struct versus *v);

/* Print "program: message: strerror(errno)" and end with status 1: a figure that cannot be measured is
 * not left out in silence. */
_Noreturn void die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* ---- the disk's own rate: pwrite + fdatasync to a prefilled file in dir ---- */
struct disk {
	int fd;
	uint64_t at, size;
};
void disk_open(struct disk *d, const char *dir);
void disk_commit(struct disk *d, size_t bytes); /* one write of so many bytes, then fdatasync */
void disk_close(struct disk *d);
