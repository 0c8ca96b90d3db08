/* SPDX-License-Identifier: MIT */
/* rag_eval.c - how well a question finds what judges said is relevant, by its words, by its vector, and by both, on a collection
 * laid out as BEIR does (corpus.jsonl, queries.jsonl, qrels/test.tsv). L4.
 *
 * nDCG@10 with the judges' grades as gain and log2(rank + 1) as discount, recall@10, recall@100, and the reciprocal rank of
 * the first relevant one (Thakur et al., "BEIR", 2021, which takes them from trec_eval). Questions without a relevant document
 * are left out. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "lib/map.h"
#include "lib/mem.h"
#include "lib/parse.h"
#include "lib/sys.h"
#include "lib/value.h"
#include "vectors/embed.h"
#include "vectors/fuse.h"

#define DEPTH 100
#define BLOCK 1024 /* vectors made at once */

struct item { /* a document or a question */
	char *id, *text;
	struct judged {
		uint32_t doc;
		unsigned grade;
	} *judged; /* of a question */
	size_t judged_n, judged_cap;
};

struct items {
	struct item **all;
	size_t n, cap;
	struct map by_id;
};

enum { LEXICAL, DENSE, FUSED, KINDS };

struct score {
	double ndcg, recall10, recall100, mrr;
	size_t counted;
	uint64_t search_ns, index_ns;
};

struct eval {
	struct items docs, queries;
	struct lexical *words;
	struct tokens *tokens;
	struct embed *model;
	struct vec_index *vectors;
	struct score score[KINDS];
};

static void items_done(struct items *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->all[i]->id);
		free(l->all[i]->text);
		free(l->all[i]->judged);
		free(l->all[i]);
	}
	free(l->all);
	map_done(&l->by_id);
}

static int no_memory(struct err *e)
{
	return err_set(e, ERR_SYS_MEMORY, "no memory for the collection");
}

static int item_add(struct items *l, const char *id, const char *title, const char *text, struct err *e)
{
	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 1024;
		struct item **all = realloc(l->all, cap * sizeof(struct item *));
		if (!all)
			return no_memory(e);
		l->all = all;
		l->cap = cap;
	}
	struct item *it = calloc(1, sizeof *it);
	if (!it || !(it->id = strdup(id)) || asprintf(&it->text, "%s\n%s", title, text) < 0) {
		if (it)
			free(it->id);
		free(it);
		return no_memory(e);
	}
	l->all[l->n++] = it;
	return map_put(&l->by_id, it->id, it) == -ENOMEM ? no_memory(e) : 0;
}

/* Call fn for each line of the file. */
static int each_line(const char *dir, const char *name, int (*fn)(struct eval *v, char *line, size_t len, struct err *e),
		     struct eval *v, struct err *e)
{
	autobuf struct buf path;
	buf_init(&path, 4096);
	buf_printf(&path, "%s/%s", dir, name);
	FILE *f = path.fail ? NULL : fopen(path.data, "re");
	if (!f)
		return err_sys(e, ERR_SYS_IO, errno, "'%s'; a collection has corpus.jsonl, queries.jsonl and qrels/test.tsv", path.data);
	char *line = NULL;
	size_t cap = 0;
	unsigned number = 0;
	int r = 0;
	for (ssize_t len; r == 0 && (len = getline(&line, &cap, f)) > 0;) {
		number++;
		while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r'))
			line[--len] = 0;
		if (len && (r = fn(v, line, (size_t)len, e)) < 0)
			err_wrap(e, "%s:%u", name, number);
	}
	free(line);
	fclose(f);
	return r;
}

static int read_item(struct items *l, const char *line, size_t len, struct err *e)
{
	struct value *v = NULL;
	int r = value_parse(VALUE_JSON, line, len, &v, NULL, e);
	const char *id = r == 0 ? value_get_text(v, "_id") : NULL;
	const char *title = r == 0 ? value_get_text(v, "title") : NULL, *text = r == 0 ? value_get_text(v, "text") : NULL;
	if (r == 0 && (!id || !text))
		r = err_set(e, ERR_TEXT_VALUE, "an object with _id and text is expected");
	if (r == 0)
		r = item_add(l, id, title ? title : "", text, e);
	value_free(v);
	return r;
}

static int read_doc(struct eval *v, char *line, size_t len, struct err *e)
{
	return read_item(&v->docs, line, len, e);
}

static int read_query(struct eval *v, char *line, size_t len, struct err *e)
{
	return read_item(&v->queries, line, len, e);
}

/* QUERY<tab>DOCUMENT<tab>GRADE, a first line of headings. */
static int read_judgement(struct eval *v, char *line, size_t len, struct err *e)
{
	(void)len;
	char *save = NULL;
	const char *query = strtok_r(line, "\t", &save), *doc = strtok_r(NULL, "\t", &save), *grade = strtok_r(NULL, "\t", &save);
	int64_t n;
	if (!query || !doc || !grade)
		return err_set(e, ERR_TEXT_VALUE, "a query, a document and a grade are expected, with tabs between");
	if (strcmp(grade, "score") == 0)
		return 0;
	if (parse_i64(grade, -100, 100, &n, e) < 0)
		return -EINVAL;
	struct item *q = map_get(&v->queries.by_id, query, strlen(query)), *d = map_get(&v->docs.by_id, doc, strlen(doc));
	if (!q || !d || n <= 0)
		return 0; /* of another part of the collection, or not relevant */
	if (q->judged_n == q->judged_cap) {
		size_t cap = q->judged_cap ? 2 * q->judged_cap : 16;
		struct judged *judged = realloc(q->judged, cap * sizeof *judged);
		if (!judged)
			return no_memory(e);
		q->judged = judged;
		q->judged_cap = cap;
	}
	uint32_t number = 0;
	while (v->docs.all[number] != d)
		number++;
	q->judged[q->judged_n++] = (struct judged){number, (unsigned)n};
	return 0;
}

/* ---- measures ---- */

static unsigned grade_of(const struct item *q, uint32_t doc)
{
	for (size_t i = 0; i < q->judged_n; i++)
		if (q->judged[i].doc == doc)
			return q->judged[i].grade;
	return 0;
}

static int by_grade(const void *a, const void *b)
{
	const struct judged *x = a, *y = b;
	return x->grade > y->grade ? -1 : x->grade < y->grade;
}

static void measure(struct score *s, struct item *q, const struct fused *hits, size_t n)
{
	double dcg = 0, ideal = 0, first = 0;
	size_t in10 = 0, in100 = 0;
	qsort(q->judged, q->judged_n, sizeof *q->judged, by_grade);
	for (size_t i = 0; i < q->judged_n && i < 10; i++)
		ideal += q->judged[i].grade / log2((double)i + 2);
	for (size_t i = 0; i < n && i < DEPTH; i++) {
		unsigned grade = grade_of(q, hits[i].doc);
		if (!grade)
			continue;
		dcg += i < 10 ? grade / log2((double)i + 2) : 0;
		first = first > 0 ? first : 1 / ((double)i + 1);
		in10 += i < 10;
		in100++;
	}
	s->ndcg += dcg / ideal;
	s->recall10 += (double)in10 / (double)q->judged_n;
	s->recall100 += (double)in100 / (double)q->judged_n;
	s->mrr += first;
	s->counted++;
}

static int index_words(struct eval *v, struct err *e)
{
	uint64_t begun = clock_mono_ns();
	int r = 0;
	for (size_t i = 0; r == 0 && i < v->docs.n; i++)
		r = lexical_add(v->words, (uint32_t)i, v->docs.all[i]->text, strlen(v->docs.all[i]->text), v->tokens, e);
	v->score[LEXICAL].index_ns = clock_mono_ns() - begun;
	return r;
}

static int put_vectors(struct eval *v, const float *vectors, uint32_t from, uint32_t n, struct err *e)
{
	struct vec_row rows[BLOCK];
	size_t put = 0;
	for (uint32_t i = 0; i < n; i++) {
		const float *x = vectors + (size_t)i * EMBED_DIM;
		bool is_empty = true;
		for (size_t j = 0; j < EMBED_DIM && is_empty; j++)
			is_empty = x[j] == 0;
		if (!is_empty)
			rows[put++] = (struct vec_row){.id = from + i, .vector = x};
	}
	return put ? vec_upsert(v->vectors, rows, put, e) : 0;
}

/* A model of the collection's own texts, as the daemon makes it, and their vectors. */
static int index_vectors(struct eval *v, struct err *e)
{
	uint64_t begun = clock_mono_ns();
	struct embed_sample *sample = NULL;
	struct vec_options o = {.dim = EMBED_DIM, .max_rows = v->docs.n + 1};
	autofree float *block = malloc(sizeof *block * BLOCK * EMBED_DIM);
	int r = block ? embed_sample(&sample, v->words, e) : no_memory(e);
	if (r == 0)
		r = embed_learn(&v->model, sample, NULL, e);
	embed_sample_free(sample);
	if (r == 0)
		r = vec_open(&v->vectors, NULL, &o, e);
	for (uint32_t at = 0; r == 0 && at < v->docs.n; at += BLOCK) {
		uint32_t n = v->docs.n - at < BLOCK ? (uint32_t)(v->docs.n - at) : BLOCK;
		r = embed_all(v->model, v->words, at, n, NULL, block, e);
		if (r == 0)
			r = put_vectors(v, block, at, n, e);
	}
	v->score[DENSE].index_ns = clock_mono_ns() - begun;
	v->score[FUSED].index_ns = v->score[LEXICAL].index_ns + v->score[DENSE].index_ns;
	return r;
}

struct lists {
	struct lexical_hit words[DEPTH];
	struct vec_hit near[DEPTH];
	size_t words_n, near_n;
	uint64_t words_ns, near_ns;
};

static int search_both(struct eval *v, const struct item *q, struct lexical_scratch *scratch, struct lists *l, struct err *e)
{
	float vector[EMBED_DIM];
	size_t len = strlen(q->text);
	uint64_t begun = clock_mono_ns();
	int r = lexical_search(v->words, q->text, len, v->tokens, NULL, scratch, l->words, DEPTH, &l->words_n, e);
	l->words_ns = clock_mono_ns() - begun;
	begun = clock_mono_ns();
	l->near_n = 0;
	int has = r < 0 ? r : embed_text(v->model, q->text, len, v->tokens, vector, e);
	if (has > 0) {
		r = vec_search(v->vectors, &(struct vec_query){.vector = vector, .k = DEPTH, .recall = 1}, l->near, e);
		l->near_n = r > 0 ? (size_t)r : 0;
	}
	l->near_ns = clock_mono_ns() - begun;
	return has < 0 ? has : r < 0 ? r : 0;
}

static int ask_all(struct eval *v, struct err *e)
{
	struct lexical_scratch scratch = {0};
	struct lists l;
	struct fused hits[2 * DEPTH];
	float weight = fuse_weight(embed_info(v->model).has_topics, lexical_mean_terms(v->words));
	const float weights[KINDS] = {0, 1, weight};
	int r = 0;
	for (size_t i = 0; r == 0 && i < v->queries.n; i++) {
		struct item *q = v->queries.all[i];
		if (!q->judged_n)
			continue;
		r = search_both(v, q, &scratch, &l, e);
		for (int kind = 0; r == 0 && kind < KINDS; kind++) {
			struct score *s = &v->score[kind];
			uint64_t begun = clock_mono_ns();
			size_t near_n = kind == LEXICAL ? 0 : kind == FUSED && l.near_n > FUSE_NEAR ? FUSE_NEAR : l.near_n; /* as questions */
			size_t n = fuse(l.words, kind == DENSE ? 0 : l.words_n, l.near, near_n, weights[kind], hits);
			s->search_ns += clock_mono_ns() - begun + (kind == DENSE ? 0 : l.words_ns) + (kind == LEXICAL ? 0 : l.near_ns);
			measure(s, q, hits, n);
		}
	}
	lexical_scratch_done(&scratch);
	return r;
}

static void print(const struct eval *v, int kind, bool json)
{
	static const char *const names[KINDS] = {"lexical", "dense", "fused"};
	const struct score *s = &v->score[kind];
	double n = s->counted ? (double)s->counted : 1;
	printf(json ? "{\"retriever\":\"%s\",\"documents\":%zu,\"queries\":%zu,\"ndcg@10\":%.4f,\"recall@10\":%.4f,\"recall@100\":%.4f,"
		      "\"mrr\":%.4f,\"index_seconds\":%.3f,\"query_us\":%.1f}\n"
		    : "retriever %s\ndocuments %zu\nqueries %zu\nndcg@10 %.4f\nrecall@10 %.4f\nrecall@100 %.4f\nmrr %.4f\n"
		      "index_seconds %.3f\nquery_us %.1f\n",
	       names[kind], v->docs.n, s->counted, s->ndcg / n, s->recall10 / n, s->recall100 / n, s->mrr / n,
	       (double)s->index_ns / 1e9, (double)s->search_ns / 1e3 / n);
}

int rag_eval(const char *dir, bool json)
{
	struct err e = {0};
	struct eval v = {0};
	int r = tokens_new(&v.tokens, &e);
	if (r == 0)
		r = lexical_new(&v.words, &e);
	if (r == 0)
		r = each_line(dir, "corpus.jsonl", read_doc, &v, &e);
	if (r == 0)
		r = each_line(dir, "queries.jsonl", read_query, &v, &e);
	if (r == 0)
		r = each_line(dir, "qrels/test.tsv", read_judgement, &v, &e);
	if (r == 0)
		r = index_words(&v, &e);
	if (r == 0)
		r = index_vectors(&v, &e);
	if (r == 0)
		r = ask_all(&v, &e);
	for (int kind = 0; r == 0 && kind < KINDS; kind++)
		print(&v, kind, json);
	vec_close(v.vectors);
	embed_free(v.model);
	lexical_free(v.words);
	tokens_free(v.tokens);
	items_done(&v.docs);
	items_done(&v.queries);
	return r < 0 ? say_failed(&e) : 0;
}
