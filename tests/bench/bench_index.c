/* SPDX-License-Identifier: MIT */
/* bench_index.c - the vector index measured as its peers are. usage: bench_index DIR [PHASE]...
 *
 * DIR has base.fbin, query.fbin, gt.ibin and, for filters and deletes, gt_f1.ibin gt_f10.ibin gt_f50.ibin and attr.u8
 * (a byte 0 to 99 for each row). Prints a JSON line for each figure, the fields being those that the programs beside it
 * print. PHASE: search filter delete insert tail open; all of them without. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/mem.h"
#include "tests/bench/measure.h"
#include "vectors/vec.h"
#include "vectors/vecfile.h"

#define K 10

static struct data {
	struct vecfile base, query, gt;
	float *x, *q;
	uint8_t *attr;
	char dir[4096], index[4096];
} d;

static void check(int r, const struct err *e)
{
	if (r < 0) {
		errno = e->eno;
		die("%s", e->msg);
	}
}

static float *load(struct vecfile *f, const char *name)
{
	struct err e = {0};
	char path[4200];
	snprintf(path, sizeof path, "%s/%s", d.dir, name);
	check(vecfile_open(f, strdup(path), &e), &e);
	float *x = malloc(f->n * f->dim * sizeof *x);
	for (uint64_t i = 0; i < f->n && x; i++)
		check(vecfile_f32(f, i, x + i * f->dim, &e), &e);
	return x;
}

static double seconds(uint64_t since)
{
	return (double)(now_ns() - since) / 1e9;
}

/* Labels: the attribute, and one for each of the filters. */
static size_t labels_of(uint64_t i, uint64_t *ret)
{
	size_t n = 0;
	if (!d.attr)
		return 0;
	if (d.attr[i] < 1)
		ret[n++] = 1;
	if (d.attr[i] < 10)
		ret[n++] = 10;
	if (d.attr[i] < 50)
		ret[n++] = 50;
	return n;
}

static void put(struct vec_index *v, uint64_t from, uint64_t to, size_t batch)
{
	struct vec_row rows[1000];
	uint64_t labels[1000][3];
	struct err e = {0};
	for (uint64_t i = from; i < to;) {
		size_t n = 0;
		for (; n < batch && i < to; n++, i++)
			rows[n] = (struct vec_row){i, d.x + i * d.base.dim, labels[n], labels_of(i, labels[n]), NULL, 0};
		check(vec_upsert(v, rows, n, &e), &e);
	}
}

static struct vec_index *open_index(bool lazy, unsigned threads)
{
	struct vec_index *v;
	struct err e = {0};
	struct vec_options o = {.dim = d.base.dim, .threads = threads, .lazy_sync = lazy};
	check(vec_open(&v, d.index, &o, &e), &e);
	return v;
}

static unsigned hits_of(const struct vec_hit *got, int n, const struct vecfile *gt, uint64_t i)
{
	int32_t want[1000];
	struct err e = {0};
	unsigned right = 0;
	check(vecfile_i32(gt, i, want, &e), &e);
	for (int a = 0; a < n; a++)
		for (int b = 0; b < K; b++)
			right += (int64_t)got[a].id == want[b];
	return right;
}

static double sweep(struct vec_index *v, const char *param, unsigned ef, double recall, const struct vec_filter *f, const struct vecfile *gt)
{
	struct samples us = {0};
	struct err e = {0};
	unsigned right = 0;
	uint64_t begin = now_ns();
	for (uint64_t i = 0; i < d.query.n; i++) {
		struct vec_hit hits[K];
		struct vec_query q = {.vector = d.q + i * d.query.dim, .k = K, .ef = ef, .recall = recall, .filter = f};
		uint64_t at = now_ns();
		int n = vec_search(v, &q, hits, &e);
		samples_add(&us, (double)(now_ns() - at) / 1e3);
		check(n, &e);
		right += hits_of(hits, n, gt, i);
	}
	double s = seconds(begin), got = (double)right / (double)(d.query.n * K);
	printf("{\"engine\":\"symbi\",\"cfg\":\"default\",\"n\":%llu,\"phase\":\"search\",\"param\":\"%s\",\"recall10\":%.4f,\"qps\":%.1f,"
	       "\"p50_us\":%.1f,\"p99_us\":%.1f}\n",
	       (unsigned long long)d.base.n, param, got, (double)d.query.n / s, samples_quantile(&us, 0.5), samples_quantile(&us, 0.99));
	fflush(stdout);
	samples_done(&us);
	return got;
}

static struct vec_index *build(void)
{
	struct err e = {0};
	struct vec_stats st;
	uint64_t begin = now_ns();
	struct vec_index *v = open_index(true, 2);
	put(v, 0, d.base.n, 1000);
	check(vec_sync(v, &e), &e);
	double tail = seconds(begin);
	check(vec_settle(v, &e), &e);
	double s = seconds(begin);
	vec_stats(v, &st);
	printf("{\"engine\":\"symbi\",\"cfg\":\"default\",\"n\":%llu,\"phase\":\"build\",\"threads\":2,\"s\":%.2f,\"ingest_s\":%.2f,\"vec_s\":%.0f,"
	       "\"hot_mb\":%.0f,\"vector_mb\":%.0f,\"links\":%.1f,\"kernel\":\"%s\",\"ef\":[%u,%u,%u]}\n",
	       (unsigned long long)d.base.n, s, tail, (double)d.base.n / s, (double)st.hot_bytes / 1048576, (double)st.vector_bytes / 1048576,
	       st.links_mean, st.kernel, st.ef[0], st.ef[1], st.ef[2]);
	fflush(stdout);
	return v;
}

static void search_phase(struct vec_index *v)
{
	static const unsigned efs[] = {10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 64, 80, 96, 128, 192, 256};
	static const double asked[] = {0.95, 0.98, 0.99};
	for (size_t i = 0; i < ARRAY_LEN(efs); i++) {
		char param[32];
		snprintf(param, sizeof param, "ef=%u", efs[i]);
		if (sweep(v, param, efs[i], 0, NULL, &d.gt) > 0.996)
			break;
	}
	for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
		char param[32];
		snprintf(param, sizeof param, "recall=%.2f", asked[i]);
		sweep(v, param, 0, asked[i], NULL, &d.gt);
	}
}

static void filter_phase(struct vec_index *v)
{
	static const uint64_t percent[] = {1, 10, 50};
	for (size_t i = 0; i < ARRAY_LEN(percent) && d.attr; i++) {
		struct vecfile gt;
		char name[32], param[32];
		snprintf(name, sizeof name, "gt_f%u.ibin", (unsigned)percent[i]);
		snprintf(param, sizeof param, "filter%u%%", (unsigned)percent[i]);
		free(load(&gt, name));
		struct vec_clause clause = {.labels = &percent[i], .n_labels = 1};
		sweep(v, param, 0, 0.99, &(struct vec_filter){.clauses = &clause, .n_clauses = 1}, &gt);
		vecfile_close(&gt);
	}
}

static void delete_phase(struct vec_index *v)
{
	struct vecfile gt;
	struct err e = {0};
	struct vec_stats st;
	uint64_t gone = 0, begin = now_ns();
	if (!d.attr)
		return;
	free(load(&gt, "gt_f50.ibin"));
	for (uint64_t i = 0; i < d.base.n; i++) {
		if (d.attr[i] < 50)
			continue;
		check(vec_delete(v, &i, 1, NULL, &e), &e);
		gone++;
	}
	double s = seconds(begin);
	sweep(v, "deleted50% recall=0.99", 0, 0.99, NULL, &gt);
	begin = now_ns();
	check(vec_compact(v, &e), &e);
	vec_stats(v, &st);
	printf("{\"engine\":\"symbi\",\"cfg\":\"default\",\"n\":%llu,\"phase\":\"delete50%%\",\"deleted\":%llu,\"us_each\":%.2f,\"compact_s\":%.2f,"
	       "\"hot_mb\":%.0f,\"disk_mb\":%.0f}\n",
	       (unsigned long long)d.base.n, (unsigned long long)gone, s / (double)gone * 1e6, seconds(begin), (double)st.hot_bytes / 1048576,
	       (double)st.disk_bytes / 1048576);
	sweep(v, "deleted50%, compacted, recall=0.99", 0, 0.99, NULL, &gt);
	vecfile_close(&gt);
}

static void open_phase(void)
{
	struct err e = {0};
	struct vec_hit hits[K];
	struct vec_stats st;
	double cold = 0, warm = 0;
	for (int i = 0; i < 2; i++) {
		FILE *f = i == 0 ? fopen("/proc/sys/vm/drop_caches", "w") : NULL;
		sync();
		if (f) {
			fputs("1\n", f);
			fclose(f);
		}
		uint64_t begin = now_ns();
		struct vec_index *v = open_index(false, 1);
		check(vec_search(v, &(struct vec_query){.vector = d.q, .k = K}, hits, &e), &e);
		*(i == 0 ? &cold : &warm) = seconds(begin);
		vec_stats(v, &st);
		vec_close(v);
	}
	printf("{\"engine\":\"symbi\",\"cfg\":\"default\",\"n\":%llu,\"phase\":\"persist\",\"open_cold_s\":%.3f,\"open_warm_s\":%.3f,"
	       "\"disk_mb\":%.0f}\n",
	       (unsigned long long)d.base.n, cold, warm, (double)st.disk_bytes / 1048576);
	fflush(stdout);
}

/* ---- one writer of durable rows beside one reader ---- */

struct reader {
	struct vec_index *v;
	_Atomic bool stop;
	struct samples us;
};

static void *read_on(void *arg)
{
	struct reader *r = arg;
	struct err e = {0};
	for (uint64_t i = 0; !r->stop; i = (i + 1) % d.query.n) {
		struct vec_hit hits[K];
		uint64_t at = now_ns();
		check(vec_search(r->v, &(struct vec_query){.vector = d.q + i * d.query.dim, .k = K, .recall = 0.98}, hits, &e), &e);
		samples_add(&r->us, (double)(now_ns() - at) / 1e3);
	}
	return NULL;
}

/* ours: an index that holds nine tenths. batch: rows of one durable upsert. */
static void insert_phase(struct vec_index *v, uint64_t from, uint64_t to, size_t batch)
{
	struct reader r = {.v = v};
	struct err e = {0};
	pthread_t t;
	pthread_create(&t, NULL, read_on, &r);
	uint64_t begin = now_ns();
	put(v, from, to, batch);
	double s = seconds(begin);
	check(vec_settle(v, &e), &e);
	double linked = seconds(begin);
	r.stop = true;
	pthread_join(t, NULL);
	printf("{\"engine\":\"symbi\",\"cfg\":\"durable, batch %zu\",\"n\":%llu,\"phase\":\"insert_while_search\",\"insert_s\":%.0f,"
	       "\"linked_s\":%.0f,\"reader_qps\":%.0f,\"reader_p50_us\":%.0f,\"reader_p99_us\":%.0f}\n",
	       batch, (unsigned long long)d.base.n, (double)(to - from) / s, (double)(to - from) / linked, (double)r.us.n / linked,
	       samples_quantile(&r.us, 0.5), samples_quantile(&r.us, 0.99));
	fflush(stdout);
	samples_done(&r.us);
}

/* Latency right after appends that nobody has linked. */
static void tail_phase(void)
{
	struct vec_index *v = open_index(true, 0);
	put(v, 0, d.base.n, 1000);
	sweep(v, "all unlinked after append", 0, 0.95, NULL, &d.gt);
	vec_close(v);
}

static void remove_index(void)
{
	char cmd[4200];
	static const char *const names[] = {"MANIFEST", "LOCK"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		snprintf(cmd, sizeof cmd, "%s/%s", d.index, names[i]);
		unlink(cmd);
	}
	for (unsigned i = 0; i < 2000; i++) {
		snprintf(cmd, sizeof cmd, "%.4000s/%s-%08u.vec", d.index, i % 2 ? "rows" : "graph", i / 2);
		unlink(cmd);
	}
	rmdir(d.index);
}

static bool wanted(int argc, char **argv, const char *phase)
{
	for (int i = 2; i < argc; i++)
		if (strcmp(argv[i], phase) == 0)
			return true;
	return argc <= 2;
}

int main(int argc, char **argv)
{
	char path[4200];
	if (argc < 2)
		die("usage: bench_index DIR [search|filter|delete|insert|tail|open]...");
	snprintf(d.dir, sizeof d.dir, "%s", argv[1]);
	snprintf(d.index, sizeof d.index, "%.4000s/symbi-index", argv[1]);
	d.x = load(&d.base, "base.fbin");
	d.q = load(&d.query, "query.fbin");
	free(load(&d.gt, "gt.ibin"));
	snprintf(path, sizeof path, "%s/attr.u8", d.dir);
	FILE *f = fopen(path, "r");
	d.attr = f ? malloc(d.base.n) : NULL;
	if (d.attr && fread(d.attr, 1, d.base.n, f) != d.base.n)
		die("%s: too short", path);
	if (f)
		fclose(f);
	remove_index();
	struct vec_index *v = build();
	if (wanted(argc, argv, "search"))
		search_phase(v);
	if (wanted(argc, argv, "filter"))
		filter_phase(v);
	vec_close(v);
	if (wanted(argc, argv, "open"))
		open_phase();
	v = open_index(true, 1);
	if (wanted(argc, argv, "delete"))
		delete_phase(v);
	vec_close(v);
	remove_index();
	if (wanted(argc, argv, "insert")) {
		struct err e = {0};
		uint64_t from = d.base.n / 10 * 9;
		v = open_index(true, 2);
		put(v, 0, from, 1000);
		check(vec_settle(v, &e), &e);
		vec_close(v);
		v = open_index(false, 1);
		insert_phase(v, from, from + (d.base.n - from) / 2, 1);
		insert_phase(v, from + (d.base.n - from) / 2, d.base.n, 100);
		vec_close(v);
		remove_index();
	}
	if (wanted(argc, argv, "tail"))
		tail_phase();
	remove_index();
	return 0;
}
