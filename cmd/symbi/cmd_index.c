/* SPDX-License-Identifier: MIT */
/* cmd_index.c - vector indexes without the daemon: built from files of vectors, searched, described, compacted,
 * verified. L4. */
#include <errno.h>
#include <string.h>

#include "cli.h"
#include "lib/mem.h"
#include "lib/parse.h"
#include "lib/sys.h"
#include "vectors/vec.h"
#include "vectors/vecfile.h"

#define BATCH    1000u
#define ROWS_MAX (1ull << 26) /* address space only */

struct words {
	const char *base, *out, *metric, *threads;	/* build */
	const char *query, *gt, *k, *recall, *ef;	/* search */
	const char *index;
};

static double since(uint64_t begin)
{
	return (double)(clock_mono_ns() - begin) / 1e9;
}

static int number(const char *text, uint64_t least, uint64_t most, uint64_t *ret, const char *name, struct err *e)
{
	if (!text || parse_u64(text, least, most, ret, NULL) == 0)
		return 0;
	return err_set(e, ERR_CLI_USAGE, "--%s '%s' is not %llu to %llu", name, text, (unsigned long long)least, (unsigned long long)most);
}

static int metric_of(const char *text, enum vec_metric *ret, struct err *e)
{
	static const char *const names[] = {[VEC_COSINE] = "cosine", [VEC_DOT] = "dot", [VEC_L2] = "l2"};
	for (size_t i = 0; i < ARRAY_LEN(names) && text; i++)
		if (strcmp(text, names[i]) == 0) {
			*ret = (enum vec_metric)i;
			return 0;
		}
	return text ? err_set(e, ERR_CLI_USAGE, "--metric '%s' is not cosine, dot or l2", text) : 0;
}

static void print_stats(const struct vec_stats *s)
{
	static const char *const names[] = {[VEC_COSINE] = "cosine", [VEC_DOT] = "dot", [VEC_L2] = "l2"};
	printf("rows %llu\ndead %llu\nunlinked %llu\ndim %u\nmetric %s\nkernel %s\nlinks_mean %.1f\n", (unsigned long long)s->rows,
	       (unsigned long long)s->dead, (unsigned long long)s->unlinked, s->dim, names[s->metric], s->kernel, s->links_mean);
	printf("hot_bytes %llu\nvector_bytes %llu\ndisk_bytes %llu\nreplay_bytes %llu\n", (unsigned long long)s->hot_bytes,
	       (unsigned long long)s->vector_bytes, (unsigned long long)s->disk_bytes, (unsigned long long)s->replay_bytes);
	printf("ef_for_recall 0.95:%u 0.98:%u 0.99:%u\n", s->ef[0], s->ef[1], s->ef[2]);
}

static int open_existing(struct vec_index **ret, const char *dir, unsigned threads, struct err *e)
{
	struct vec_options o = {.any_metric = true, .must_exist = true, .threads = threads, .max_rows = ROWS_MAX};
	return vec_open(ret, dir, &o, e);
}

/* ---- build ---- */

static int put_batch(struct vec_index *v, const struct vecfile *f, uint64_t from, float *x, struct err *e)
{
	struct vec_row rows[BATCH];
	size_t n = f->n - from < BATCH ? f->n - from : BATCH;
	for (size_t i = 0; i < n; i++) {
		int r = vecfile_f32(f, from + i, x + i * f->dim, e);
		if (r < 0)
			return r;
		rows[i] = (struct vec_row){.id = from + i, .vector = x + i * f->dim};
	}
	int r = vec_upsert(v, rows, n, e);
	return r < 0 ? err_wrap(e, "vectors from %llu of '%s' on", (unsigned long long)from, f->path) : 0;
}

static int put_all(struct vec_index *v, const struct vecfile *f, struct err *e)
{
	autofree float *x = malloc(BATCH * (size_t)f->dim * sizeof *x);
	int r = x ? 0 : err_set(e, ERR_VDB_FAILED, "no memory for vectors");
	for (uint64_t i = 0; i < f->n && r == 0; i += BATCH)
		r = put_batch(v, f, i, x, e);
	if (r == 0)
		r = vec_sync(v, e);
	return r;
}

static int build(const struct words *w, struct err *e)
{
	struct vecfile f;
	struct vec_index *v = NULL;
	struct vec_stats st;
	uint64_t threads = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN);
	struct vec_options o = {.lazy_sync = true, .max_rows = ROWS_MAX};
	int r = metric_of(w->metric, &o.metric, e);
	if (r == 0)
		r = number(w->threads, 1, 64, &threads, "threads", e);
	if (r == 0)
		r = vecfile_open(&f, w->base, e);
	if (r < 0)
		return r;
	o.dim = f.dim;
	o.threads = (unsigned)(threads < 64 ? threads : 64);
	uint64_t begin = clock_mono_ns();
	r = vec_open(&v, w->out, &o, e);
	if (r == 0)
		r = put_all(v, &f, e);
	double stored = since(begin);
	if (r == 0)
		r = vec_settle(v, e);
	double linked = since(begin);
	if (r == 0)
		r = vec_compact(v, e);
	if (r == 0) {
		vec_stats(v, &st);
		printf("stored_seconds %.2f\nbuild_seconds %.2f\ndurable_seconds %.2f\nthreads %llu\n", stored, linked, since(begin),
		       (unsigned long long)threads);
		print_stats(&st);
	}
	vec_close(v);
	vecfile_close(&f);
	return r;
}

/* ---- search ---- */

struct run {
	struct vec_index *v;
	struct vecfile query, gt;
	uint64_t k, ef;
	double recall;
	double *us; /* of each query */
	uint64_t right, wanted;
};

static void judge(struct run *u, const struct vec_hit *hits, int n, const int32_t *truth)
{
	uint64_t k = u->k < u->gt.dim ? u->k : u->gt.dim;
	for (uint64_t j = 0; j < k; j++) {
		if (truth[j] < 0) /* fewer than k rows pass: the file is filled up */
			continue;
		u->wanted++;
		for (int i = 0; i < n; i++)
			if (hits[i].id == (uint64_t)truth[j]) {
				u->right++;
				break;
			}
	}
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static int search_all(struct run *u, struct err *e)
{
	autofree float *x = malloc(u->query.dim * sizeof *x);
	autofree int32_t *truth = malloc((u->gt.map ? u->gt.dim : 1) * sizeof *truth);
	autofree struct vec_hit *hits = malloc(u->k * sizeof *hits);
	u->us = malloc((u->query.n + 1) * sizeof *u->us);
	if (!x || !truth || !hits || !u->us)
		return err_set(e, ERR_VDB_FAILED, "no memory for %llu queries", (unsigned long long)u->query.n);
	for (uint64_t i = 0; i < u->query.n; i++) {
		struct vec_query q = {.vector = x, .k = (unsigned)u->k, .recall = u->recall, .ef = (unsigned)u->ef};
		int r = vecfile_f32(&u->query, i, x, e);
		uint64_t begin = clock_mono_ns();
		int n = r == 0 ? vec_search(u->v, &q, hits, e) : r;
		u->us[i] = since(begin) * 1e6;
		if (n >= 0 && u->gt.map)
			r = vecfile_i32(&u->gt, i, truth, e);
		if (n < 0 || r < 0)
			return n < 0 ? n : r;
		if (u->gt.map)
			judge(u, hits, n, truth);
	}
	return 0;
}

static void report(struct run *u, double open_seconds)
{
	double total = 0;
	struct vec_stats st;
	for (uint64_t i = 0; i < u->query.n; i++)
		total += u->us[i];
	double first = u->us[0];
	qsort(u->us, u->query.n, sizeof *u->us, by_size);
	if (u->wanted)
		printf("recall@%llu %.4f\n", (unsigned long long)u->k, (double)u->right / (double)u->wanted);
	printf("queries %llu\nqps %.1f\np50_us %.1f\np99_us %.1f\nopen_seconds %.4f\nfirst_query_us %.1f\n", (unsigned long long)u->query.n,
	       total > 0 ? (double)u->query.n / total * 1e6 : 0, u->us[u->query.n / 2], u->us[u->query.n * 99 / 100], open_seconds, first);
	vec_stats(u->v, &st);
	print_stats(&st);
}

static int open_files(struct run *u, const struct words *w, struct err *e)
{
	int r = vecfile_open(&u->query, w->query, e);
	if (r == 0 && !u->query.n)
		r = err_set(e, ERR_VDB_INVALID, "'%s' has no query", w->query);
	if (r == 0 && w->gt)
		r = vecfile_open(&u->gt, w->gt, e);
	if (r == 0 && w->gt && u->gt.n < u->query.n)
		r = err_set(e, ERR_VDB_INVALID, "'%s' has %llu rows for %llu queries", w->gt, (unsigned long long)u->gt.n,
			    (unsigned long long)u->query.n);
	return r;
}

static int search(const struct words *w, struct err *e)
{
	struct run u = {.k = 10, .recall = VEC_RECALL_DEFAULT};
	int r = number(w->k, 1, VEC_K_MAX, &u.k, "k", e);
	if (r == 0)
		r = number(w->ef, 1, 4096, &u.ef, "ef", e);
	if (r == 0 && w->recall && parse_double(w->recall, 0.01, 1, &u.recall, NULL) < 0)
		r = err_set(e, ERR_CLI_USAGE, "--recall '%s' is not 0.01 to 1", w->recall);
	if (r == 0)
		r = open_files(&u, w, e);
	uint64_t begin = clock_mono_ns();
	if (r == 0)
		r = open_existing(&u.v, w->index, 1, e);
	double opened = since(begin);
	struct vec_stats st;
	if (r == 0)
		vec_stats(u.v, &st);
	if (r == 0 && st.dim != u.query.dim)
		r = err_set(e, ERR_VDB_INVALID, "'%s' has vectors of %u numbers, index '%s' of %u", w->query, u.query.dim, w->index, st.dim);
	if (r == 0)
		r = search_all(&u, e);
	if (r == 0)
		report(&u, opened);
	free(u.us);
	vec_close(u.v);
	vecfile_close(&u.gt);
	vecfile_close(&u.query);
	return r;
}

/* ---- the others ---- */

static int stats(const struct words *w, struct err *e)
{
	struct vec_index *v = NULL;
	struct vec_stats st;
	int r = open_existing(&v, w->index, 0, e);
	if (r == 0) {
		vec_stats(v, &st);
		print_stats(&st);
	}
	vec_close(v);
	return r;
}

static int compact(const struct words *w, struct err *e)
{
	struct vec_index *v = NULL;
	struct vec_stats st;
	int r = open_existing(&v, w->index, 0, e);
	if (r == 0)
		r = vec_settle(v, e);
	if (r == 0)
		r = vec_compact(v, e);
	if (r == 0) {
		vec_stats(v, &st);
		print_stats(&st);
	}
	vec_close(v);
	return r;
}

static int verify(const struct words *w, struct err *e)
{
	struct vec_index *v = NULL;
	struct vec_stats st;
	int r = open_existing(&v, w->index, 0, e);
	if (r == 0)
		r = vec_verify(v, e);
	if (r == 0) {
		vec_stats(v, &st);
		printf("ok, %llu rows, %llu bytes\n", (unsigned long long)st.rows, (unsigned long long)st.disk_bytes);
	}
	vec_close(v);
	return r;
}

static const struct {
	const char *name;
	int (*fn)(const struct words *w, struct err *e);
	bool base, out, index, query;
} verbs[] = {
	{"build", build, .base = true, .out = true},
	{"search", search, .index = true, .query = true},
	{"stats", stats, .index = true},
	{"compact", compact, .index = true},
	{"verify", verify, .index = true},
};

static const char *lacks(size_t i, const struct words *w)
{
	return verbs[i].base && !w->base     ? "--base"
	       : verbs[i].out && !w->out     ? "--out"
	       : verbs[i].index && !w->index ? "--index"
	       : verbs[i].query && !w->query ? "--query"
					     : NULL;
}

int cmd_index(const struct command *c, int argc, char **argv)
{
	struct words w = {0};
	struct err e = {0};
	const struct opt opts[] = {{"base", &w.base, NULL},   {"out", &w.out, NULL},	     {"metric", &w.metric, NULL},
				   {"query", &w.query, NULL}, {"threads", &w.threads, NULL}, {"gt", &w.gt, NULL},
				   {"k", &w.k, NULL},	      {"recall", &w.recall, NULL},   {"ef", &w.ef, NULL},
				   {"index", &w.index, NULL}, {0}};
	int at = opts_read(c, argc, argv, opts, 1, 1);
	if (at < 0)
		return CLI_USAGE;
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		if (strcmp(verbs[i].name, argv[at]) != 0)
			continue;
		const char *missing = lacks(i, &w);
		if (missing)
			return opts_wrong(c, "index %s needs %s", verbs[i].name, missing);
		if (verbs[i].fn(&w, &e) == 0)
			return 0;
		int failed = say_failed(&e);
		return e.code == ERR_CLI_USAGE ? CLI_USAGE : failed;
	}
	return opts_wrong(c, "'%s' is not build, search, stats, compact or verify", argv[at]);
}
