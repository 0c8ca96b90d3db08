/* SPDX-License-Identifier: MIT */
/* rag_ingest.c - a document into the index: one at a time, on a worker thread. L2. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/crc32c.h"
#include "lib/log.h"
#include "runtime/rag_i.h"
#include "runtime/runtime_i.h"

struct rag_ingest { /* moved to the worker and back */
	struct pool_job job;
	struct rag *rag;
	uint32_t serial, owner;
	struct rag_labels labels;
	uint64_t content; /* 0: take it out */
	char *name;
	int pdf; /* what pdftotext wrote; -1: none */
	char *data; /* owned: of an entry of memory; NULL: the content is read */
	uint32_t first, n;	       /* in: the pieces that there are */
	uint32_t new_first, new_n;     /* out */
	int result;
	struct err e;
	enum rag_type type;
	const char *text;
	struct tokens *tokens;
	struct rag_rows rows;
	struct err dense; /* why passages lack their vectors; code ERR_NONE: they do not */
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
static int text_of_piece(struct rag_ingest *in, const struct rag_chunk *c, struct buf *out)
{
	buf_printf(out, "%s\n%s\n", in->name, c->heading);
	buf_add(out, in->text + c->start, c->len);
	return out->fail ? no_memory(&in->e) : 0;
}

static int add_piece(struct rag_ingest *in, const struct rag_chunk *c, const struct buf *text, uint32_t *ret_number)
{
	struct rag *r = in->rag;
	pthread_rwlock_wrlock(&r->lock);
	uint32_t number = r->pieces_n;
	struct rag_piece *p = piece_new(r);
	int n = p ? lexical_add(r->words, number, text->data, text->len, in->tokens, &in->e) : no_memory(&in->e);
	if (p) {
		p->serial = in->serial;
		p->owner = in->owner;
		p->content = in->content;
		p->start = (uint32_t)c->start;
		p->len = (uint32_t)c->len;
		p->line = c->line;
		p->line_end = c->line_end;
		p->type = (uint8_t)in->type;
		p->heading = c->heading[0] ? strdup(c->heading) : NULL;
		p->text = in->data ? strndup(in->text + c->start, c->len) : NULL;
		in->new_n++;
	}
	pthread_rwlock_unlock(&r->lock);
	*ret_number = number;
	return n;
}

static int take_chunk(void *arg, const struct rag_chunk *c)
{
	struct rag_ingest *in = arg;
	uint32_t number;
	autobuf struct buf b;
	buf_init(&b, RAG_CHUNK_MAX * 2 + 4096);
	int r = text_of_piece(in, c, &b);
	if (r == 0)
		r = add_piece(in, c, &b, &number);
	if (r == 0 && in->dense.code == ERR_NONE) /* without its vector it is found by its words */
		rag_dense_add(in->rag, &in->rows, &in->labels, number, b.data, b.len, in->tokens, &in->dense);
	return r;
}

/* Under the lock. */
static void drop_pieces(struct rag *r, uint32_t first, uint32_t n)
{
	for (uint32_t i = first; i < first + n; i++) {
		lexical_remove(r->words, i);
		free(take_ptr(r->pieces[i].heading));
		free(take_ptr(r->pieces[i].text));
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

static int read_pdf(struct rag_ingest *in)
{
	autobuf struct buf text;
	buf_init(&text, 2 * RAG_DOCUMENT_MAX);
	int r = rag_pdf_read(in->rag, in->content, in->pdf, &text, &in->e);
	return r < 0 ? r : chunk_text(in, text.data, text.len);
}

static int read_document(struct rag_ingest *in)
{
	struct stat st;
	if (in->data)
		return chunk_text(in, in->data, strlen(in->data));
	if (in->type == RAG_PDF)
		return read_pdf(in);
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
	uint32_t dropped = 0;
	in->new_first = r->pieces_n; /* nobody else adds any */
	in->result = in->e.code != ERR_NONE ? -in->e.eno : in->content ? read_document(in) : 0;
	/* Nobody else changes the table: it is read without the lock. */
	bool had_pdf = in->n && r->pieces[in->first].type == RAG_PDF && r->pieces[in->first].content != in->content;
	uint64_t old = had_pdf ? r->pieces[in->first].content : 0;
	if (in->dense.code == ERR_NONE)
		rag_dense_write(r, &in->rows, &in->labels, &in->dense);
	rag_rows_done(&in->rows);
	pthread_rwlock_wrlock(&r->lock);
	drop_pieces(r, in->first, in->n);
	for (uint32_t i = in->new_first; in->result >= 0 && i < in->new_first + in->new_n; i++)
		r->pieces[i].live = true;
	if (in->result < 0) {
		drop_pieces(r, in->new_first, in->new_n);
		dropped = in->new_n;
		in->new_n = 0;
	}
	pthread_rwlock_unlock(&r->lock);
	rag_dense_remove(r, in->first, in->n);
	if (had_pdf) {
		char path[PATH_MAX];
		rag_pdf_path(r->rt, old, path);
		unlink(path);
	}
	rag_dense_remove(r, in->new_first, dropped);
}

static void ingest_free(struct rag_ingest *in)
{
	free(in->name);
	free(in->data);
	if (in->pdf >= 0)
		close(in->pdf);
	free(in);
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
		if (in->owner)
			r->owned_pieces += in->new_n - (uint64_t)in->n;
		d->owner = in->owner;
		r->changes += in->new_n + (uint64_t)in->n + (in->result < 0);
		if (!in->content && !d->queued)
			rag_doc_drop(r, d);
	}
	if (in->dense.code != ERR_NONE)
		log_err(LOG_LEVEL_ERROR, "rag.vectors", &in->dense, NULL, NULL);
	ingest_free(in);
	rag_questions_go(r);
	rag_learn_go_on(r);
	rag_ingest_next(r);
	rag_learn_maybe(r);
	rag_save_later(r);
}

void rag_ingest_drop(struct rag *r)
{
	timer_clear(&r->rt->timers, &r->pdf.timer);
	if (r->pdf.fd >= 0)
		close(take_fd(&r->pdf.fd));
	if (r->ingest)
		ingest_free(take_ptr(r->ingest));
}

void rag_ingest_next(struct rag *r)
{
	if (r->ingest || r->queue_head == r->queue_n || r->closing || r->loading || r->saving || r->pausing)
		return;
	struct pool *pool = files_pool(r->rt);
	if (!pool)
		return;
	uint32_t serial = r->queue[r->queue_head++];
	if (r->queue_head == r->queue_n)
		r->queue_head = r->queue_n = 0;
	struct rag_doc *d = rag_doc(r, serial);
	const struct file *f = file_by_serial(r->rt, serial);
	struct rag_ingest *in = calloc(1, sizeof *in);
	d->queued = false;
	const struct memory_entry *m = d->is_memory ? memory_find(r->rt, d->owner, serial) : NULL;
	bool is_memory = m && m->kind != MEMORY_WORKING;
	if (!in || !(in->name = strdup(f ? f->name : is_memory ? memory_keys[m->kind] : "")) ||
	    (is_memory && !(in->data = strdup(m->text)))) {
		if (in)
			free(in->name);
		free(in);
		r->done++;
		return; /* not in, as stats says; written again it is tried again */
	}
	in->rag = r;
	in->serial = serial;
	in->owner = f ? file_owner(r->rt, f) : d->owner;
	in->labels = rag_labels_of(serial, in->owner);
	in->content = is_memory ? 1 : rag_is_document(r->rt, f) ? f->content : 0;
	in->type = rag_type_of(in->name);
	in->first = d->first;
	in->n = d->n;
	in->job = (struct pool_job){.work = work, .done = done};
	in->pdf = -1;
	r->ingest = in;
	if (in->content && in->type == RAG_PDF && !in->data && rag_pdf_start(r, in->content, &in->e) == 0)
		return; /* rag_ingest_text goes on */
	pool_run(pool, &in->job);
}

void rag_ingest_text(struct rag *r, int fd, const struct err *e)
{
	struct rag_ingest *in = r->ingest;
	in->pdf = fd;
	if (e)
		in->e = *e;
	pool_run(files_pool(r->rt), &in->job);
}
