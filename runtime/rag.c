/* SPDX-License-Identifier: MIT */
/* rag.c - the collection: which documents are in, which are to be read, and why some cannot. L2; loop thread only. */
#include "runtime/rag.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/crc32c.h"
#include "lib/log.h"
#include "runtime/rag_i.h"
#include "runtime/runtime_i.h"

struct rag *rag_of(struct runtime *rt)
{
	return rt->rag;
}

/* Made with the first document: a daemon without any needs none of it. */
static struct rag *rag_make(struct runtime *rt)
{
	struct rag *r = rt->rag;
	if (r)
		return r;
	r = calloc(1, sizeof *r);
	if (!r || lexical_new(&r->words, NULL) < 0) {
		free(r);
		return NULL;
	}
	pthread_rwlock_init(&r->lock, NULL);
	pthread_mutex_init(&r->tools_lock, NULL);
	char path[PATH_MAX];
	snprintf(path, sizeof path, "%s/rag", rt->state_dir);
	mkdir(path, 0700); /* where it cannot be made, what is to lie there says so */
	r->pdf.fd = -1;
	r->rt = rt;
	rt->rag = r;
	return r;
}

struct pool *rag_thread(struct rag *r)
{
	struct err e;
	if (!r->thread && pool_open(&r->thread, 1, r->rt->loop, &e) < 0)
		log_err(LOG_LEVEL_ERROR, "rag.no_thread", &e, NULL, NULL);
	return r->thread;
}

static void tools_free(struct rag_tools *t)
{
	tokens_free(t->tokens);
	lexical_scratch_done(&t->scratch);
	free(t);
}

struct rag_tools *rag_tools_take(struct rag *r, struct err *e)
{
	pthread_mutex_lock(&r->tools_lock);
	struct rag_tools *t = r->tools;
	if (t)
		r->tools = t->next;
	pthread_mutex_unlock(&r->tools_lock);
	if (t)
		return t;
	t = calloc(1, sizeof *t);
	if (!t)
		err_set(e, ERR_SYS_MEMORY, "no memory for a search");
	else if (tokens_new(&t->tokens, e) < 0)
		free(take_ptr(t));
	return t;
}

void rag_tools_give(struct rag *r, struct rag_tools *t)
{
	if (!t)
		return;
	pthread_mutex_lock(&r->tools_lock);
	t->next = r->tools;
	r->tools = t;
	pthread_mutex_unlock(&r->tools_lock);
}

static size_t place_of(const struct rag *r, uint32_t serial) /* first with >= serial */
{
	return sorted_place(r->docs, r->docs_n, d, d->serial, serial);
}

static struct rag_doc *doc_of(struct rag *r, uint32_t serial, bool make)
{
	size_t at = place_of(r, serial);
	if (at < r->docs_n && r->docs[at]->serial == serial)
		return r->docs[at];
	if (!make)
		return NULL;
	if (r->docs_n == r->docs_cap) {
		size_t cap = r->docs_cap ? 2 * r->docs_cap : 64;
		struct rag_doc **docs = realloc(r->docs, cap * sizeof(struct rag_doc *));
		if (!docs)
			return NULL;
		r->docs = docs;
		r->docs_cap = cap;
	}
	struct rag_doc *d = calloc(1, sizeof *d);
	if (!d)
		return NULL;
	d->serial = serial;
	memmove(&r->docs[at + 1], &r->docs[at], (r->docs_n++ - at) * sizeof(struct rag_doc *));
	r->docs[at] = d;
	return d;
}

struct rag_doc *rag_doc_make(struct rag *r, uint32_t serial)
{
	return doc_of(r, serial, true);
}

struct rag_doc *rag_doc(struct rag *r, uint32_t serial)
{
	return doc_of(r, serial, false);
}

void rag_doc_drop(struct rag *r, struct rag_doc *d)
{
	size_t at = place_of(r, d->serial);
	memmove(&r->docs[at], &r->docs[at + 1], (--r->docs_n - at) * sizeof(struct rag_doc *));
	free(d->error);
	free(d);
}

static int enqueue(struct rag *r, uint32_t serial)
{
	if (r->queue_head && r->queue_n == r->queue_cap) {
		r->queue_n -= r->queue_head;
		memmove(r->queue, r->queue + r->queue_head, r->queue_n * sizeof *r->queue);
		r->queue_head = 0;
	}
	if (r->queue_n == r->queue_cap) {
		size_t cap = r->queue_cap ? 2 * r->queue_cap : 64;
		uint32_t *queue = realloc(r->queue, cap * sizeof *queue);
		if (!queue)
			return -ENOMEM;
		r->queue = queue;
		r->queue_cap = cap;
	}
	r->queue[r->queue_n++] = serial;
	r->queued++;
	return 0;
}

/* Hidden ones are no documents: what editors and rsync write aside, .git. */
static bool is_hidden(struct runtime *rt, const struct file *f)
{
	for (; f && f->serial; f = file_by_serial(rt, f->parent))
		if (f->name[0] == '.')
			return true;
	return false;
}

bool rag_is_document(struct runtime *rt, const struct file *f)
{
	return f && S_ISREG(f->mode) && f->content && !is_hidden(rt, f);
}

void rag_file_changed(struct runtime *rt, uint32_t serial)
{
	const struct file *f = file_by_serial(rt, serial);
	bool is_doc = rag_is_document(rt, f);
	struct rag *r = is_doc ? rag_make(rt) : rt->rag;
	if (r && r->loading)
		return; /* all are looked at behind it */
	struct rag_doc *d = r ? doc_of(r, serial, is_doc) : NULL;
	if (!d || d->queued || (is_doc && d->content == f->content && d->name == crc32c(f->name, strlen(f->name))))
		return; /* another folder or owner alone: they are looked up when it is found */
	d->queued = enqueue(r, serial) == 0;
	rag_ingest_next(r);
}

void rag_memory_changed(struct runtime *rt, uint32_t agent, uint32_t serial)
{
	const struct memory_entry *m = memory_find(rt, agent, serial);
	bool is_doc = m && m->kind != MEMORY_WORKING;
	struct rag *r = is_doc ? rag_make(rt) : rt->rag;
	if (r && r->loading)
		return; /* all are looked at behind it */
	struct rag_doc *d = r ? doc_of(r, serial, is_doc) : NULL;
	if (!d || d->queued)
		return;
	d->is_memory = true;
	d->owner = agent;
	d->queued = enqueue(r, serial) == 0;
	rag_ingest_next(r);
}

/* What is not in as it is now. */
static void look_at_all(struct rag *r)
{
	struct runtime *rt = r->rt;
	for (const struct file *f = file_next_of_all(rt, 0); f; f = file_next_of_all(rt, f->serial))
		rag_file_changed(rt, f->serial);
	for (size_t i = 0; i < r->docs_n; i++)
		if (!r->docs[i]->is_memory && !file_by_serial(rt, r->docs[i]->serial))
			rag_file_changed(rt, r->docs[i]->serial);
	for (size_t i = 0; i < rt->memory.agents_n; i++)
		for (size_t j = 0; j < rt->memory.agents[i]->n; j++)
			rag_memory_changed(rt, rt->memory.agents[i]->agent, rt->memory.agents[i]->all[j]->serial);
}

/* Texts of PDF files that no document has any more. */
static void sweep_texts(struct rag *r)
{
	char path[PATH_MAX];
	snprintf(path, sizeof path, "%s/rag", r->rt->state_dir);
	DIR *d = opendir(path);
	for (struct dirent *ent; d && (ent = readdir(d));) {
		uint64_t content;
		bool kept = sscanf(ent->d_name, "text-%16" SCNx64, &content) != 1;
		for (size_t i = 0; !kept && i < r->docs_n; i++)
			kept = r->docs[i]->content == content;
		if (!kept) {
			rag_pdf_path(r->rt, content, path);
			unlink(path);
		}
	}
	if (d)
		closedir(d);
}

struct rag_loading {
	struct pool_job job;
	struct rag *rag;
	int result;
	struct err e;
};

static void load_work(struct pool_job *job)
{
	struct rag_loading *l = container_of(job, struct rag_loading, job);
	l->result = rag_load(l->rag, &l->e);
}

static void load_done(struct pool_job *job)
{
	struct rag_loading *l = container_of(job, struct rag_loading, job);
	struct rag *r = l->rag;
	if (l->result < 0)
		log_err(LOG_LEVEL_ERROR, "rag.load", &l->e, NULL, NULL);
	free(l);
	r->loading = false;
	r->done++;
	if (!r->closing) {
		rag_dense_sweep(r);
		sweep_texts(r);
		look_at_all(r);
		rag_learn_maybe(r);
	}
	for (struct rag_question *q = r->questions; q; q = q->next)
		q->ticket = r->queued; /* what was committed meanwhile, too */
	rag_questions_go(r);
}

void rag_start(struct runtime *rt)
{
	char path[PATH_MAX];
	struct stat st;
	snprintf(path, sizeof path, "%s/rag/index", rt->state_dir);
	struct rag *r = stat(path, &st) == 0 || file_count(rt) || rt->memory.agents_n ? rag_make(rt) : NULL;
	struct rag_loading *l = r && rag_thread(r) ? calloc(1, sizeof *l) : NULL;
	if (!l) {
		if (r)
			look_at_all(r);
		return;
	}
	*l = (struct rag_loading){.rag = r, .job = {.work = load_work, .done = load_done}};
	r->loading = true;
	r->queued++; /* questions wait for it */
	pool_run(r->thread, &l->job);
}

void rag_stop(struct runtime *rt)
{
	if (!rt->rag)
		return;
	rt->rag->closing = true;
	rt->rag->stop = true;
}

void rag_close(struct runtime *rt)
{
	struct rag *r = rt->rag;
	if (!r)
		return;
	pool_close(take_ptr(r->thread));
	rag_questions_end(r);
	rag_ingest_drop(r);
	rag_save_now(r);
	rag_dense_close(r);
	for (size_t i = 0; i < r->docs_n; i++) {
		free(r->docs[i]->error);
		free(r->docs[i]);
	}
	for (uint32_t i = 0; i < r->pieces_n; i++) {
		free(r->pieces[i].heading);
		free(r->pieces[i].text);
	}
	lexical_free(r->words);
	for (struct rag_tools *t; (t = r->tools);) {
		r->tools = t->next;
		tools_free(t);
	}
	pthread_mutex_destroy(&r->tools_lock);
	pthread_rwlock_destroy(&r->lock);
	free(r->pieces);
	free(r->docs);
	free(r->queue);
	free(r);
	rt->rag = NULL;
}

int rag_render_stats(struct runtime *rt, struct buf *out)
{
	struct rag *r = rt->rag;
	struct lexical_stats st = {0};
	struct embed_info model = {0};
	struct vec_stats vectors = {0};
	size_t bad = 0, in = 0;
	for (size_t i = 0; r && i < r->docs_n; i++) {
		bad += r->docs[i]->error != NULL;
		in += !r->docs[i]->error && r->docs[i]->content;
	}
	if (r) {
		pthread_rwlock_rdlock(&r->lock);
		st = lexical_stats(r->words);
		if (r->model)
			model = embed_info(r->model);
		if (r->index)
			vec_stats(r->index, &vectors);
		pthread_rwlock_unlock(&r->lock);
	}
	buf_printf(out, "documents %zu\npassages %llu\nterms %llu\npending %llu\nunreadable %zu\nquestions %llu\nmemory_mb %.1f\n",
		   in, (unsigned long long)st.docs, (unsigned long long)st.terms,
		   (unsigned long long)(r ? r->queued - r->done : 0), bad, (unsigned long long)(r ? r->asked : 0),
		   (double)(st.bytes + model.bytes + vectors.hot_bytes + (r ? r->pieces_cap * sizeof *r->pieces : 0)) / (1 << 20));
	if (model.version)
		buf_printf(out, "embedder local-%08x\nembedder_parts %s\nembedder_passages %u\nvectors %llu\nvectors_unlinked %llu\n", model.version,
			   model.has_topics ? "topics, hashes" : "hashes", model.texts, (unsigned long long)vectors.rows, (unsigned long long)vectors.unlinked);
	if (r && r->learn)
		buf_adds(out, "learning yes\n");
	for (size_t i = 0; r && i < r->docs_n; i++) {
		const struct file *f = r->docs[i]->error ? file_by_serial(rt, r->docs[i]->serial) : NULL;
		if (!f || file_owner(rt, f)) /* what an agent has is nobody else's */
			continue;
		buf_adds(out, "unread ");
		file_place(rt, f, out);
		buf_printf(out, ": %s\n", r->docs[i]->error);
	}
	return out->fail;
}
