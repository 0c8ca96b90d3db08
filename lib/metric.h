/* SPDX-License-Identifier: MIT */
/* metric.h - counters, gauges and histograms, one row each in metrics.def. L0; any thread
 * (relaxed atomics). */
#pragma once

#include <stdint.h>

#include "lib/buf.h"

enum metric_id {
#define METRIC(sym, kind, name, help) METRIC_##sym,
#include "lib/metrics.def"
#undef METRIC
	METRIC_COUNT,
};

void metric_add(enum metric_id id, int64_t n);             /* counter or gauge */
void metric_set(enum metric_id id, int64_t value);         /* gauge */
void metric_observe_ns(enum metric_id id, uint64_t nanos); /* histogram, shown in seconds */
int64_t metric_get(enum metric_id id);                     /* value, or count of a histogram */

/* Prometheus text format 0.0.4 of all rows. Returns 0 or the buffer's -errno. */
int metric_render(struct buf *out);
int metric_render_doc(struct buf *out); /* docs/METRICS.md */
