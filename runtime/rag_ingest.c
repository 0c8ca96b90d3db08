/* SPDX-License-Identifier: MIT */
/* rag_ingest.c - a document into the index: one at a time, on a worker thread. L2. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/crc32c.h"
#include "runtime/rag_i.h"
#include "runtime/runtime_i.h"

struct rag_ingest { /* moved to the worker and back */
	struct pool_job job;
	struct rag *rag;
	uint32_t serial;
	uint64_t content; /* 0: take it out */
	char *name;
	uint32_t first, n;	       /* in: the pieces that there are */
	uint32_t new_first, new_n;     /* out */
	int result;
	struct err e;
	enum rag_type type;
	const char *text;
	struct tokens *tokens;
};

static int no_memory(struct err *e)
{
	return err_set(e, ERR_SYS_MEMORY, "no memory for the document");
}

/* Under the lock. */
static struct rag_piece *piece_new(struct rag *r)
{
	if (r->pieces_n == r->pieces_cap) {
		uint32_t cap = r->pieces_cap ? 2 * r->pieces_cap : 256;
		struct rag_piece *pieces = realloc(r->pieces, cap * sizeof *pieces);
		if (!pieces)
			return NULL;
		r->pieces = pieces;
		r->pieces_cap = cap;
	}
	struct rag_piece *p = &r->pieces[r->pieces_n++];
	*p = (struct rag_piece){0};
	return p;
}

/* What a piece is found by: where it stands, and its text. */
static int index_piece(struct rag_ingest *in, uint32_t number, const struct rag_chunk *c)
{
	autobuf struct buf b;
	buf_init(&b, RAG_CHUNK_MAX * 2 + 4096);
	buf_printf(&b, "%s\n%s\n", in->name, c->heading);
	buf_add(&b, in->text + c->start, c->len);
	return b.fail ? no_memory(&in->e) : lexical_add(in->rag->words, number, b.data, b.len, in->tokens, &in->e);
}

static int take_chunk(void *arg, const struct rag_chunk *c)
{
	struct rag_ingest *in = arg;
	struct rag *r = in->rag;
	pthread_rwlock_wrlock(&r->lock);
	uint32_t number = r->pieces_n;
	struct rag_piece *p = piece_new(r);
	int n = p ? index_piece(in, number, c) : no_memory(&in->e);
	if (p) {
		p->serial = in->serial;
		p->content = in->content;
		p->start = (uint32_t)c->start;
		p->len = (uint32_t)c->len;
		p->line = c->line;
		p->line_end = c->line_end;
		p->type = (uint8_t)in->type;
		p->heading = c->heading[0] ? strdup(c->heading) : NULL;
		in->new_n++;
	}
	pthread_rwlock_unlock(&r->lock);
	return n;
}

/* Under the lock. */
static void drop_pieces(struct rag *r, uint32_t first, uint32_t n)
{
	for (uint32_t i = first; i < first + n; i++) {
		lexical_remove(r->words, i);
		free(take_ptr(r->pieces[i].heading));
		r->pieces[i].live = false;
	}
}

static int chunk_text(struct rag_ingest *in, const char *data, size_t len)
{
	autobuf struct buf text;
	buf_init(&text, RAG_DOCUMENT_MAX);
	int r = rag_check_text(data, len, &in->e);
	in->text = data;
	if (r == 0 && rag_is_converted(in->type)) {
		if (rag_convert(in->type, data, len, &text) < 0)
			return no_memory(&in->e);
		in->text = text.data;
		len = text.len;
	}
	struct rag_tools *tools = r == 0 ? rag_tools_take(in->rag, &in->e) : NULL;
	if (tools) {
		in->tokens = tools->tokens;
		r = rag_chunks(in->type, in->text, len, take_chunk, in);
	} else if (r == 0) {
		r = -in->e.eno;
	}
	rag_tools_give(in->rag, tools);
	return r;
}

static int read_document(struct rag_ingest *in)
{
	struct stat st;
	autoclose int fd = file_open(in->rag->rt, in->content);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(&in->e, ERR_SYS_IO, errno, "its content");
	if ((uint64_t)st.st_size > RAG_DOCUMENT_MAX)
		return err_set(&in->e, ERR_RAG_UNREADABLE, "it has %llu MiB; a document is read up to %u MiB: split it",
			       (unsigned long long)st.st_size >> 20, RAG_DOCUMENT_MAX >> 20);
	if (st.st_size == 0)
		return 0;
	size_t len = (size_t)st.st_size;
	autofree char *data = malloc(len);
	if (!data)
		return no_memory(&in->e);
	if (sys_pread_all(fd, data, len, 0) < 0)
		return err_sys(&in->e, ERR_SYS_IO, EIO, "its content");
	return chunk_text(in, data, len);
}

static void work(struct pool_job *job)
{
	struct rag_ingest *in = container_of(job, struct rag_ingest, job);
	struct rag *r = in->rag;
	in->new_first = r->pieces_n; /* nobody else adds any */
	in->result = in->content ? read_document(in) : 0;
	pthread_rwlock_wrlock(&r->lock);
	drop_pieces(r, in->first, in->n);
	for (uint32_t i = in->new_first; in->result >= 0 && i < in->new_first + in->new_n; i++)
		r->pieces[i].live = true;
	if (in->result < 0) {
		drop_pieces(r, in->new_first, in->new_n);
		in->new_n = 0;
	}
	pthread_rwlock_unlock(&r->lock);
}

static void done(struct pool_job *job)
{
	struct rag_ingest *in = container_of(job, struct rag_ingest, job);
	struct rag *r = in->rag;
	struct rag_doc *d = rag_doc(r, in->serial);
	r->ingest = NULL;
	r->done++;
	if (!job->cancelled && d) {
		d->content = in->content;
		d->name = crc32c(in->name, strlen(in->name));
		d->first = in->new_first;
		d->n = in->new_n;
		free(take_ptr(d->error));
		if (in->result < 0 && asprintf(&d->error, "%s %s", err_code_name(in->e.code), in->e.msg) < 0)
			d->error = NULL;
		r->live_pieces += in->new_n - (uint64_t)in->n;
		if (!in->content && !d->queued)
			rag_doc_drop(r, d);
	}
	free(in->name);
	free(in);
	rag_questions_go(r);
	rag_ingest_next(r);
}

void rag_ingest_next(struct rag *r)
{
	struct pool *pool = files_pool(r->rt);
	if (r->ingest || r->queue_head == r->queue_n || !pool || r->closing)
		return;
	uint32_t serial = r->queue[r->queue_head++];
	if (r->queue_head == r->queue_n)
		r->queue_head = r->queue_n = 0;
	struct rag_doc *d = rag_doc(r, serial);
	const struct file *f = file_by_serial(r->rt, serial);
	struct rag_ingest *in = calloc(1, sizeof *in);
	d->queued = false;
	if (!in || !(in->name = strdup(f ? f->name : ""))) {
		free(in);
		r->done++;
		return; /* not in, as stats says; written again it is tried again */
	}
	in->rag = r;
	in->serial = serial;
	in->content = rag_is_document(r->rt, f) ? f->content : 0;
	in->type = rag_type_of(in->name);
	in->first = d->first;
	in->n = d->n;
	in->job = (struct pool_job){.work = work, .done = done};
	r->ingest = in;
	pool_run(pool, &in->job);
}
