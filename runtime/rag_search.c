/* SPDX-License-Identifier: MIT */
/* rag_search.c - a question: who may read what, waiting for documents, the search itself. L2. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/rag_i.h"
#include "runtime/runtime_i.h"

#define CANDIDATES 100

/* ---- on a worker thread ---- */

static int by_number(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;
	return *x < *y ? -1 : *x > *y;
}

static bool may_find(void *arg, uint32_t number)
{
	const struct rag_question *q = arg;
	const struct rag_piece *p = &q->rag->pieces[number];
	return p->live && (!q->allowed || bsearch(&p->serial, q->allowed, q->allowed_n, sizeof p->serial, by_number));
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
	autoclose int fd = file_open(r->rt, p->content);
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
	float score;
};

/* The best pieces, without the lock behind it. Headings are copied. */
static int find(struct rag_question *q, struct rag_tools *t, struct found *ret, size_t *n)
{
	struct rag *r = q->rag;
	struct lexical_hit hits[CANDIDATES];
	struct lexical_filter filter = {may_find, q};
	pthread_rwlock_rdlock(&r->lock);
	int e = lexical_search(r->words, q->text, q->len, t->tokens, &filter, &t->scratch, hits, CANDIDATES, n, &q->e);
	for (size_t i = 0; e == 0 && i < *n; i++) {
		ret[i] = (struct found){r->pieces[hits[i].doc], hits[i].score};
		if (ret[i].piece.heading)
			ret[i].piece.heading = strdup(ret[i].piece.heading);
	}
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
		if (!text || is_repeated(q, text, p->len)) {
			free(text);
			free(p->heading);
			continue;
		}
		q->passages[q->n++] = (struct rag_passage){.content = p->content,
							   .serial = p->serial,
							   .type = (enum rag_type)p->type,
							   .line = p->line,
							   .line_end = p->line_end,
							   .score = found[i].score,
							   .heading = p->heading,
							   .text = text,
							   .len = p->len};
	}
	buf_done(&c.text);
}

static uint64_t lap(uint64_t *last)
{
	uint64_t now = clock_mono_ns(), took = now - *last;
	*last = now;
	return took;
}

void rag_search(struct rag_question *q)
{
	struct found found[CANDIDATES];
	size_t n = 0;
	uint64_t at = clock_mono_ns();
	struct rag_tools *t = rag_tools_take(q->rag, &q->e);
	q->result = t ? 0 : -q->e.eno;
	q->took.analysis = lap(&at);
	if (q->result == 0)
		q->result = find(q, t, found, &n);
	q->took.search = lap(&at);
	if (q->result == 0)
		take_passages(q, found, n);
	q->took.retrieval = lap(&at);
	if (q->result == 0)
		q->result = rag_extract(q, t->tokens, &q->answer);
	q->took.ranking = lap(&at);
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
	free(q->text);
	free(q);
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
	for (int want = 4; f->serial; f = file_by_serial(rt, f->parent), want = 1) {
		bool member = who->gid == f->gid || groups_has(who->groups, f->gid);
		unsigned shift = who->uid == f->uid ? 6 : member ? 3 : 0;
		if (!((f->mode >> shift) & (unsigned)want))
			return false;
	}
	return true;
}

static int allow(struct rag_question *q)
{
	struct runtime *rt = q->rag->rt;
	if (q->who.uid == 0 || q->who.uid == geteuid())
		return 0;
	q->allowed = malloc((file_count(rt) + 1) * sizeof *q->allowed);
	if (!q->allowed)
		return -ENOMEM;
	for (const struct file *f = file_next_of_all(rt, 0); f; f = file_next_of_all(rt, f->serial))
		if (S_ISREG(f->mode) && may_read(rt, &q->who, f))
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
	return 0;
}

int rag_ask(struct runtime *rt, const struct actor *who, const char *text, size_t len, bool json, struct rag_done done,
	    struct err *e)
{
	struct rag *r = rag_of(rt);
	int n = rag_check(text, len, e);
	if (n < 0)
		return n;
	if (!r) { /* an answer, so that the reader is told and not only the writer, whose shell may not look */
		struct err none;
		struct buf empty;
		buf_init(&empty, 0);
		err_set(&none, ERR_RAG_EMPTY, "there are no documents: cp FILES into rag/docs/");
		done.fn(done.arg, &empty, &none);
		return 0;
	}
	struct rag_question *q = calloc(1, sizeof *q);
	if (!q)
		return err_set(e, ERR_SYS_MEMORY, "no memory for a question");
	*q = (struct rag_question){.rag = r, .done = done, .who = *who, .json = json, .ticket = r->queued, .begun_ns = clock_mono_ns()};
	buf_init(&q->answer, 64u << 10);
	q->most = config_u64(rt->config, "rag.max_documents");
	q->most = q->most < RAG_PASSAGES_MAX ? q->most : RAG_PASSAGES_MAX;
	while (len && (text[len - 1] == '\n' || text[len - 1] == ' '))
		len--;
	q->text = strndup(text, len);
	q->len = q->text ? strlen(q->text) : 0;
	if (!q->text || allow(q) < 0) {
		question_free(q);
		return err_set(e, ERR_SYS_MEMORY, "no memory for a question");
	}
	r->asked++;
	q->next = r->questions;
	r->questions = q;
	if (r->done >= q->ticket)
		go(q);
	else
		timer_set(&rt->timers, &q->timer, config_ms(rt->config, "rag.response_timeout"), waited_enough, q);
	return 0;
}
