/* SPDX-License-Identifier: MIT */
/* metric.c - the values behind metrics.def and their Prometheus text. L0; any thread. */
#include "lib/metric.h"

#include <stdatomic.h>

#include "lib/mem.h"

enum kind { counter, gauge, histogram };

static const struct {
	enum kind kind;
	const char *name, *help;
} rows[METRIC_COUNT] = {
#define METRIC(sym, k, n, h) [METRIC_##sym] = {k, n, h},
#include "lib/metrics.def"
#undef METRIC
};

/* Upper bounds in nanoseconds: 10 us to 10 s in steps of about 3. */
static const uint64_t bounds[] = {10000,	30000,	   100000,     300000,	  1000000,
				  3000000,	10000000,  30000000,   100000000, 300000000,
				  1000000000u, 3000000000u, 10000000000u};
#define BOUNDS ARRAY_LEN(bounds)

static atomic_int_fast64_t values[METRIC_COUNT];
static atomic_int_fast64_t sums[METRIC_COUNT];
static atomic_int_fast64_t buckets[METRIC_COUNT][BOUNDS];

void metric_add(enum metric_id id, int64_t n)
{
	atomic_fetch_add_explicit(&values[id], n, memory_order_relaxed);
}

void metric_set(enum metric_id id, int64_t value)
{
	atomic_store_explicit(&values[id], value, memory_order_relaxed);
}

void metric_observe_ns(enum metric_id id, uint64_t nanos)
{
	for (size_t i = 0; i < BOUNDS; i++)
		if (nanos <= bounds[i]) {
			atomic_fetch_add_explicit(&buckets[id][i], 1, memory_order_relaxed);
			break;
		}
	atomic_fetch_add_explicit(&sums[id], (int64_t)nanos, memory_order_relaxed);
	atomic_fetch_add_explicit(&values[id], 1, memory_order_relaxed);
}

int64_t metric_get(enum metric_id id)
{
	return atomic_load_explicit(&values[id], memory_order_relaxed);
}

static void render_histogram(struct buf *out, int id)
{
	int64_t below = 0;
	for (size_t i = 0; i < BOUNDS; i++) {
		below += atomic_load_explicit(&buckets[id][i], memory_order_relaxed);
		buf_printf(out, "symbi_%s_bucket{le=\"%g\"} %lld\n", rows[id].name,
			   (double)bounds[i] / 1e9, (long long)below);
	}
	long long n = metric_get((enum metric_id)id); /* counted last: may lag behind the buckets */
	n = n > below ? n : below;
	double sum = (double)atomic_load_explicit(&sums[id], memory_order_relaxed) / 1e9;
	buf_printf(out, "symbi_%s_bucket{le=\"+Inf\"} %lld\n", rows[id].name, n);
	buf_printf(out, "symbi_%s_sum %.9f\nsymbi_%s_count %lld\n", rows[id].name, sum, rows[id].name,
		   n);
}

int metric_render(struct buf *out)
{
	static const char *const kinds[] = {"counter", "gauge", "histogram"};
	for (int id = 0; id < METRIC_COUNT; id++) {
		buf_printf(out, "# HELP symbi_%s %s\n# TYPE symbi_%s %s\n", rows[id].name,
			   rows[id].help, rows[id].name, kinds[rows[id].kind]);
		if (rows[id].kind == histogram)
			render_histogram(out, id);
		else
			buf_printf(out, "symbi_%s %lld\n", rows[id].name,
				   (long long)metric_get((enum metric_id)id));
	}
	return out->fail;
}

int metric_render_doc(struct buf *out)
{
	static const char *const kinds[] = {"counter", "gauge", "histogram"};
	buf_adds(out, "# Metrics\n\nPrinted by `symbid --print-metrics` from `lib/metrics.def`.\n\n"
		      "| name | kind | what it counts |\n|-|-|-|\n");
	for (int id = 0; id < METRIC_COUNT; id++)
		buf_printf(out, "| `symbi_%s` | %s | %s |\n", rows[id].name, kinds[rows[id].kind],
			   rows[id].help);
	return out->fail;
}
