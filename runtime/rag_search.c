/* SPDX-License-Identifier: MIT */
/* rag_search.c - a question: who may read what, waiting for documents, the search itself. L2. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/rag_i.h"
#include "runtime/runtime_i.h"

#define CANDIDATES   (FUSE_WORDS + FUSE_NEAR)
#define FILTER_FILES 4096 /* that one may read: below it the index of vectors looks at those alone */

/* ---- on a worker thread ---- */

static int by_number(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;
	return *x < *y ? -1 : *x > *y;
}

static bool is_among(uint32_t serial, const uint32_t *list, size_t n)
{
	return n && bsearch(&serial, list, n, sizeof serial, by_number);
}

/* The one place that says which passages a question may find, whatever found them. */
static bool may_find(void *arg, uint32_t number)
{
	const struct rag_question *q = arg;
	const struct rag_piece *p = &q->rag->pieces[number];
	if (number >= q->rag->pieces_n || !p->live)
		return false;
	if (q->wanted && !is_among(p->serial, q->wanted, q->wanted_n))
		return false;
	if (p->owner)
		return q->agent && (p->owner == q->agent || is_among(p->serial, q->shared, q->shared_n));
	return !q->allowed || is_among(p->serial, q->allowed, q->allowed_n);
}

/* The text of the document that was converted last: passages of one often follow each other. */
struct converted {
	uint64_t content;
	struct buf text;
};

static bool convert(const struct rag_piece *p, int fd, struct converted *c)
{
	struct stat st;
	if (c->content == p->content)
		return true;
	buf_clear(&c->text);
	c->content = 0;
	autofree char *data = fstat(fd, &st) == 0 && (uint64_t)st.st_size <= RAG_DOCUMENT_MAX ? malloc((size_t)st.st_size + 1) : NULL;
	if (!data || sys_pread_all(fd, data, (size_t)st.st_size, 0) < 0 ||
	    rag_convert((enum rag_type)p->type, data, (size_t)st.st_size, &c->text) < 0)
		return false;
	c->content = p->content;
	return true;
}

/* The text of a piece, read from its document. NULL: it is gone meanwhile. */
static char *text_of(const struct rag *r, const struct rag_piece *p, struct converted *c)
{
	if (p->text)
		return strdup(p->text);
	char path[PATH_MAX];
	bool is_pdf = p->type == RAG_PDF;
	if (is_pdf)
		rag_pdf_path(r->rt, p->content, path);
	autoclose int fd = is_pdf ? open(path, O_RDONLY | O_CLOEXEC) : file_open(r->rt, p->content);
	char *text = fd >= 0 ? malloc(p->len + 1) : NULL;
	if (!text)
		return NULL;
	bool there = false;
	if (!rag_is_converted((enum rag_type)p->type)) {
		there = sys_pread_all(fd, text, p->len, p->start) == 0;
	} else if (convert(p, fd, c) && p->start + (size_t)p->len <= c->text.len) {
		memcpy(text, c->text.data + p->start, p->len);
		there = true;
	}
	if (!there) {
		free(text);
		return NULL;
	}
	text[p->len] = 0;
	return text;
}

struct found { /* a copy of what the lock protects */
	struct rag_piece piece;
	float score, near; /* near: relevance by its vector, 0 to 1 */
};

/* One who may find few of the passages would find few among the nearest of all: the index looks at those alone. NULL: all of
 * them may be, or they are too many to be told apart here. The caller frees it. */
static uint64_t *labels_of(const struct rag_question *q, size_t *n)
{
	bool few = q->allowed && q->allowed_n <= FILTER_FILES;
	*n = 0;
	if (q->wanted && q->wanted_n <= FILTER_FILES) {
		uint64_t *wanted = malloc((q->wanted_n + 1) * sizeof *wanted);
		for (; wanted && *n < q->wanted_n; ++*n)
			wanted[*n] = q->wanted[*n];
		return wanted;
	}
	if (!few && (q->allowed || !q->rag->owned_pieces))
		return NULL;
	uint64_t *labels = malloc((q->allowed_n + q->shared_n + 2) * sizeof *labels);
	for (size_t i = 0; labels && few && i < q->allowed_n; i++)
		labels[(*n)++] = q->allowed[i];
	for (size_t i = 0; labels && i < q->shared_n; i++)
		labels[(*n)++] = q->shared[i];
	if (labels && !q->allowed)
		labels[(*n)++] = RAG_OWNER(0);
	if (labels && q->agent)
		labels[(*n)++] = RAG_OWNER(q->agent);
	return labels;
}

/* Nearest passages that may be found; 0 and none where there are no vectors. Under the lock. */
static int find_near(struct rag_question *q, struct vec_hit *ret, size_t *n)
{
	struct rag *r = q->rag;
	struct vec_clause clause = {0};
	struct vec_filter filter = {.clauses = &clause, .n_clauses = 1};
	*n = 0;
	if (!q->has_vector || !r->index)
		return 0;
	autofree uint64_t *labels = labels_of(q, &clause.n_labels);
	clause.labels = labels;
	struct vec_query ask = {.vector = q->vector, .k = FUSE_NEAR, .filter = labels ? &filter : NULL};
	int got = vec_search(r->index, &ask, ret, &q->e);
	for (int i = 0; i < got; i++)
		if (ret[i].id < r->pieces_n && may_find(q, (uint32_t)ret[i].id))
			ret[(*n)++] = ret[i];
	return got < 0 ? got : 0;
}

/* What the question says, in the index's terms. Under the lock. */
static int analyse(struct rag_question *q, struct rag_tools *t)
{
	int has = q->rag->model ? embed_text(q->rag->model, q->text, q->len, t->tokens, q->vector, &q->e) : 0;
	q->has_vector = has > 0;
	return has < 0 ? has : 0;
}

/* Both lists made one. A passage without a word of the question has to be relevant by its vector. Under the lock. */
static size_t rank(struct rag_question *q, const struct lexical_hit *words, size_t words_n, const struct vec_hit *near, size_t near_n,
		   struct found *ret)
{
	struct rag *r = q->rag;
	struct fused all[CANDIDATES];
	size_t n = 0;
	float weight = r->model ? fuse_weight(embed_info(r->model).has_topics, lexical_mean_terms(r->words)) : 0;
	size_t fused = fuse(words, words_n, near, near_n, weight, all);
	for (size_t i = 0; i < fused && n < CANDIDATES; i++) {
		float relevance = r->model ? embed_relevance(r->model, all[i].cosine) : 0;
		if (all[i].words <= 0 && relevance < q->threshold)
			continue;
		ret[n] = (struct found){r->pieces[all[i].doc], all[i].score, relevance};
		if (ret[n].piece.text)
			ret[n].piece.text = strdup(ret[n].piece.text);
		if (ret[n].piece.heading)
			ret[n].piece.heading = strdup(ret[n].piece.heading);
		n++;
	}
	return n;
}

static uint64_t lap(uint64_t *last)
{
	uint64_t now = clock_mono_ns(), took = now - *last;
	*last = now;
	return took;
}

/* The best pieces, without the lock behind it. Headings are copied. */
static int find(struct rag_question *q, struct rag_tools *t, struct found *ret, size_t *n, uint64_t *at)
{
	struct rag *r = q->rag;
	struct lexical_hit words[FUSE_WORDS];
	struct vec_hit near[FUSE_NEAR];
	struct lexical_filter filter = {may_find, q};
	size_t words_n = 0, near_n = 0;
	*n = 0;
	pthread_rwlock_rdlock(&r->lock);
	int e = analyse(q, t);
	q->took.analysis = lap(at);
	if (e == 0)
		e = lexical_search(r->words, q->text, q->len, t->tokens, &filter, &t->scratch, words, FUSE_WORDS, &words_n, &q->e);
	if (e == 0)
		e = find_near(q, near, &near_n);
	q->took.search = lap(at);
	if (e == 0)
		*n = rank(q, words, words_n, near, near_n, ret);
	q->took.ranking = lap(at);
	pthread_rwlock_unlock(&r->lock);
	return e;
}

/* Two documents often say the same, word for word. */
static bool is_repeated(const struct rag_question *q, const char *text, size_t len)
{
	for (size_t i = 0; i < q->n; i++)
		if (q->passages[i].len == len && memcmp(q->passages[i].text, text, len) == 0)
			return true;
	return false;
}

static void take_passages(struct rag_question *q, struct found *found, size_t n)
{
	struct converted c = {0};
	buf_init(&c.text, RAG_DOCUMENT_MAX);
	for (size_t i = 0; i < n; i++) {
		const struct rag_piece *p = &found[i].piece;
		char *text = q->n < q->most ? text_of(q->rag, p, &c) : NULL;
		free(p->text);
		if (!text || is_repeated(q, text, p->len)) {
			free(text);
			free(p->heading);
			continue;
		}
		q->passages[q->n++] = (struct rag_passage){.content = p->content,
							   .serial = p->serial,
							   .owner = p->owner,
							   .type = (enum rag_type)p->type,
							   .line = p->line,
							   .line_end = p->line_end,
							   .score = found[i].score,
							   .near = found[i].near,
							   .heading = p->heading,
							   .text = text,
							   .len = p->len};
	}
	buf_done(&c.text);
}

void rag_search(struct rag_question *q)
{
	struct found found[CANDIDATES];
	size_t n = 0;
	uint64_t at = clock_mono_ns();
	struct rag_tools *t = rag_tools_take(q->rag, &q->e);
	q->result = t ? 0 : -q->e.eno;
	if (q->result == 0)
		q->result = find(q, t, found, &n, &at);
	if (q->result == 0)
		take_passages(q, found, n);
	q->took.retrieval = lap(&at);
	if (q->result == 0)
		q->result = rag_extract(q, t->tokens, &q->answer);
	q->took.response = lap(&at);
	rag_tools_give(q->rag, t);
}

/* ---- on the loop ---- */

static void question_free(struct rag_question *q)
{
	for (size_t i = 0; i < q->n; i++) {
		free(q->passages[i].heading);
		free(q->passages[i].text);
	}
	buf_done(&q->answer);
	free(q->allowed);
	free(q->shared);
	free(q->wanted);
	free(q->text);
	free(q);
}

/* An agent's memory grows with its use; what others share in confidence is shown on record. */
static void note_shown(struct rag_question *q, const struct rag_passage *p)
{
	if (p->owner == q->agent)
		memory_used(q->rag->rt, q->agent, p->serial);
	else if (p->owner)
		share_shown(q->rag->rt, &q->who, q->agent, p->serial);
}

static void question_end(struct rag_question *q, const struct err *why)
{
	struct rag_question **at = &q->rag->questions;
	struct err e = {0};
	autobuf struct buf out;
	buf_init(&out, 1u << 20);
	while (*at != q)
		at = &(*at)->next;
	*at = q->next;
	timer_clear(&q->rag->rt->timers, &q->timer);
	for (size_t i = 0; !why && q->agent && i < q->n; i++)
		note_shown(q, &q->passages[i]);
	if (!why && rag_render(q, &out) < 0) {
		err_set(&e, ERR_SYS_MEMORY, "no memory for the answer");
		why = &e;
	}
	q->done.fn(q->done.arg, &out, why);
	question_free(q);
}

static void search_work(struct pool_job *job)
{
	rag_search(container_of(job, struct rag_question, job));
}

static void search_done(struct pool_job *job)
{
	struct rag_question *q = container_of(job, struct rag_question, job);
	struct err e;
	if (job->cancelled)
		err_set(&e, ERR_SYS_STOPPING, "the daemon is stopping");
	question_end(q, job->cancelled ? &e : q->result < 0 ? &q->e : NULL);
}

static bool may_read(struct runtime *rt, const struct actor *who, const struct file *f)
{
	for (int want = 4; f && f->serial; f = file_by_serial(rt, f->parent), want = 1) {
		bool member = who->gid == f->gid || groups_has(who->groups, f->gid);
		unsigned shift = who->uid == f->uid ? 6 : member ? 3 : 0;
		if (!((f->mode >> shift) & (unsigned)want))
			return false;
	}
	return true;
}

/* What it may find, as of now: the answer is as good as the moment when it was asked. */
static int allow(struct rag_question *q)
{
	struct runtime *rt = q->rag->rt;
	const struct agent *a = q->agent ? agent_by_serial(rt, q->agent) : NULL;
	struct actor reader = q->who;
	if (a)
		reader = (struct actor){.uid = agent_uid(a), .gid = agent_gid(a)};
	if (reader.uid == 0 || reader.uid == geteuid())
		return 0;
	q->allowed = malloc((file_count(rt) + 1) * sizeof *q->allowed);
	if (!q->allowed)
		return -ENOMEM;
	for (const struct file *f = file_next_of_all(rt, 0); f; f = file_next_of_all(rt, f->serial))
		if (S_ISREG(f->mode) && may_read(rt, &reader, f) && !file_owner(rt, f))
			q->allowed[q->allowed_n++] = f->serial;
	return 0;
}

static void go(struct rag_question *q)
{
	struct pool *pool = files_pool(q->rag->rt);
	q->started = true;
	q->took.waited = clock_mono_ns() - q->begun_ns;
	q->job = (struct pool_job){.work = search_work, .done = search_done};
	q->who.groups = NULL; /* the caller's; no longer needed */
	if (pool && !q->rag->closing) {
		pool_run(pool, &q->job);
		return;
	}
	if (pool)
		err_set(&q->e, ERR_SYS_STOPPING, "the daemon is stopping");
	else
		err_set(&q->e, ERR_SYS_MEMORY, "no thread for a search");
	question_end(q, &q->e);
}

static void waited_enough(void *arg)
{
	struct rag_question *q = arg;
	if (!q->started)
		go(q);
}

void rag_questions_go(struct rag *r)
{
	for (struct rag_question *q = r->questions, *next; q; q = next) {
		next = q->next;
		if (!q->started && r->done >= q->ticket)
			go(q);
	}
}

void rag_questions_end(struct rag *r)
{
	struct err e;
	err_set(&e, ERR_SYS_STOPPING, "the daemon is stopping");
	while (r->questions)
		question_end(r->questions, &e);
}

int rag_check(const char *q, size_t len, struct err *e)
{
	size_t i = 0;
	while (i < len && (q[i] == ' ' || q[i] == '\n' || q[i] == '\t' || q[i] == '\r'))
		i++;
	if (i == len)
		return err_set(e, ERR_RAG_QUESTION, "an empty question: write what is to be found");
	if (len > RAG_QUERY_MAX)
		return err_set(e, ERR_RAG_QUESTION, "a question has at most %u bytes, this one %zu", RAG_QUERY_MAX, len);
	struct rag_asked a;
	bool unfinished;
	int r = rag_asked_read(q, len, &a, &unfinished, e);
	if (r < 0)
		return unfinished ? 0 : r;
	rag_asked_done(&a);
	return 0;
}

/* A question of it, not yet put. */
static int question_make(struct rag *r, const struct actor *who, uint32_t agent, struct rag_asked *a, struct rag_question **ret, struct err *e)
{
	struct runtime *rt = r->rt;
	struct rag_question *q = calloc(1, sizeof *q);
	if (!q)
		return err_set(e, ERR_SYS_MEMORY, "no memory for a question");
	*q = (struct rag_question){.rag = r, .who = *who, .agent = agent, .ticket = r->queued, .begun_ns = clock_mono_ns()};
	buf_init(&q->answer, 64u << 10);
	q->most = a->most ? a->most : config_u64(rt->config, "rag.max_documents");
	q->most = q->most < RAG_PASSAGES_MAX ? q->most : RAG_PASSAGES_MAX;
	q->threshold = (float)(a->has_threshold ? a->threshold : config_real(rt->config, "rag.relevance_threshold"));
	q->text = take_ptr(a->text);
	q->len = strlen(q->text);
	if (allow(q) < 0 || (agent && shares_with(rt, agent, &q->shared, &q->shared_n) < 0) ||
	    (a->filtered && rag_asked_wanted(rt, a, agent, &q->wanted, &q->wanted_n) < 0)) {
		question_free(q);
		return err_set(e, ERR_SYS_MEMORY, "no memory for a question");
	}
	*ret = q;
	return 0;
}

int rag_ask(struct runtime *rt, const struct actor *who, uint32_t agent, const char *text, size_t len, bool json,
	    struct rag_done done, struct err *e)
{
	struct rag *r = rag_of(rt);
	struct rag_asked a;
	struct rag_question *q = NULL;
	bool unfinished;
	int n = rag_check(text, len, e);
	if (n == 0)
		n = rag_asked_read(text, len, &a, &unfinished, e);
	if (n < 0)
		return n;
	if (!r) { /* an answer, so that the reader is told and not only the writer, whose shell may not look */
		struct err none;
		struct buf empty;
		buf_init(&empty, 0);
		rag_asked_done(&a);
		err_set(&none, ERR_RAG_EMPTY, "there are no documents: cp FILES into rag/docs/");
		done.fn(done.arg, &empty, &none);
		return 0;
	}
	n = question_make(r, who, agent, &a, &q, e);
	rag_asked_done(&a);
	if (n < 0)
		return n;
	q->done = done;
	q->json = json;
	r->asked++;
	q->next = r->questions;
	r->questions = q;
	if (r->done >= q->ticket)
		go(q);
	else
		timer_set(&rt->timers, &q->timer, config_ms(rt->config, "rag.response_timeout"), waited_enough, q);
	return 0;
}
