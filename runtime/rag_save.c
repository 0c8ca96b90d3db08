/* SPDX-License-Identifier: MIT */
/* rag_save.c - what was read from the documents, kept over a restart, so that 100,000 passages need not be read again. L2.
 *
 * One file, replaced by rename: frames of length, CRC-32C, bytes; an empty frame is the end. Nothing depends on it: a damaged
 * one is named in the log and the documents are read. A document that changed since is read again because its content is
 * another one than the file says. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/crc32c.h"
#include "lib/log.h"
#include "runtime/rag_i.h"
#include "runtime/runtime_i.h"

#define FRAME (1u << 20)
#define MAGIC "symrag01"
#define SAVE_LEAST 256 /* passages that came or went, and one in so many, before it is written again */
#define SAVE_SHARE 8

struct frame {
	uint32_t len, crc;
};

struct head {
	char magic[8];
	uint32_t model; /* version of; 0: none */
	uint32_t pieces, docs;
};

struct saved_piece { /* its heading follows */
	uint64_t content;
	uint32_t serial, owner, start, len, line, line_end;
	uint8_t type, live;
	uint16_t heading_len;
};

struct saved_doc { /* its error follows */
	uint64_t content;
	uint32_t serial, owner, name, first, n, error_len;
};

struct file_io {
	int fd;
	char path[PATH_MAX];
	uint64_t at;   /* behind the last frame */
	uint64_t size; /* of the file, when it is read */
	char *frame;
	uint32_t len, used; /* of the frame; used: of one that is read */
};

static void saved_path(const struct rag *r, const char *name, char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, "%s/rag%s%s", r->rt->state_dir, name[0] ? "/" : "", name);
}

/* ---- writing ---- */

static int frame_write(struct file_io *f)
{
	struct frame head = {f->len, crc32c(f->frame, f->len)};
	int r = sys_pwrite_all(f->fd, &head, sizeof head, f->at);
	if (r == 0)
		r = sys_pwrite_all(f->fd, f->frame, f->len, f->at + sizeof head);
	f->at += sizeof head + f->len;
	f->len = 0;
	return r;
}

static int put(void *arg, const void *data, size_t len)
{
	struct file_io *f = arg;
	const char *from = data;
	int r = 0;
	while (r == 0 && len) {
		size_t n = len < FRAME - f->len ? len : FRAME - f->len;
		memcpy(f->frame + f->len, from, n);
		f->len += (uint32_t)n;
		from += n;
		len -= n;
		if (f->len == FRAME)
			r = frame_write(f);
	}
	return r;
}

static int put_piece(struct file_io *f, const struct rag_piece *p)
{
	struct saved_piece s = {.content = p->content, .serial = p->serial, .owner = p->owner, .start = p->start, .len = p->len,
				.line = p->line, .line_end = p->line_end, .type = p->type, .live = p->live && !p->text,
				.heading_len = (uint16_t)(p->heading ? strlen(p->heading) : 0)};
	int r = put(f, &s, sizeof s);
	return r == 0 && s.heading_len ? put(f, p->heading, s.heading_len) : r;
}

static int put_doc(struct file_io *f, const struct rag_doc *d)
{
	struct saved_doc s = {.content = d->content, .serial = d->serial, .owner = d->owner, .name = d->name, .first = d->first, .n = d->n,
			      .error_len = (uint32_t)(d->error ? strlen(d->error) : 0)};
	int r = put(f, &s, sizeof s);
	return r == 0 && s.error_len ? put(f, d->error, s.error_len) : r;
}

static int write_all(struct rag *r, struct rag_doc *const *docs, size_t docs_n, struct file_io *f)
{
	struct head h = {.model = r->model ? embed_info(r->model).version : 0, .pieces = r->pieces_n, .docs = 0};
	for (size_t i = 0; i < docs_n; i++) /* what is remembered is in the store anyway */
		h.docs += !docs[i]->is_memory;
	memcpy(h.magic, MAGIC, sizeof h.magic);
	int n = put(f, &h, sizeof h);
	for (uint32_t i = 0; n == 0 && i < r->pieces_n; i++)
		n = put_piece(f, &r->pieces[i]);
	for (size_t i = 0; n == 0 && i < docs_n; i++)
		n = docs[i]->is_memory ? 0 : put_doc(f, docs[i]);
	if (n == 0)
		n = lexical_save(r->words, put, f);
	if (n == 0 && f->len)
		n = frame_write(f);
	return n == 0 ? frame_write(f) : n;
}

static int save(struct rag *r, struct rag_doc *const *docs, size_t docs_n, struct err *e)
{
	struct file_io f = {.fd = -1, .frame = malloc(FRAME)};
	char path[PATH_MAX];
	saved_path(r, "index.new", f.path);
	saved_path(r, "index", path);
	f.fd = open(f.path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	int n = f.fd < 0 ? -errno : f.frame ? write_all(r, docs, docs_n, &f) : -ENOMEM;
	if (n == 0 && (fdatasync(f.fd) < 0 || rename(f.path, path) < 0))
		n = -errno;
	if (n < 0 && f.fd >= 0)
		unlink(f.path);
	if (f.fd >= 0)
		close(f.fd);
	free(f.frame);
	return n < 0 ? err_sys(e, ERR_SYS_IO, -n, "'%s'", path) : 0;
}

/* ---- when ---- */

struct rag_saving { /* moved to the thread and back */
	struct pool_job job;
	struct rag *rag;
	struct rag_doc **docs; /* while no document goes in they stay as they are */
	size_t docs_n;
	uint64_t changes;
	int result;
	struct err e;
};

static void save_work(struct pool_job *job)
{
	struct rag_saving *s = container_of(job, struct rag_saving, job);
	pthread_rwlock_rdlock(&s->rag->lock);
	s->result = save(s->rag, s->docs, s->docs_n, &s->e);
	pthread_rwlock_unlock(&s->rag->lock);
}

static void save_done(struct pool_job *job)
{
	struct rag_saving *s = container_of(job, struct rag_saving, job);
	struct rag *r = s->rag;
	if (!job->cancelled && s->result < 0)
		log_err(LOG_LEVEL_ERROR, "rag.save", &s->e, NULL, NULL);
	r->saving = false;
	r->saved_changes = s->changes; /* a full disk is not tried again at once either */
	free(s->docs);
	free(s);
	rag_ingest_next(r);
}

void rag_save_later(struct rag *r)
{
	bool due = r->changes - r->saved_changes > SAVE_LEAST && (r->changes - r->saved_changes) * SAVE_SHARE > r->live_pieces;
	if (!due || r->saving || r->learn || r->loading || r->ingest || r->closing || r->queue_head < r->queue_n || !rag_thread(r))
		return;
	struct rag_saving *s = calloc(1, sizeof *s);
	struct rag_doc **docs = malloc((r->docs_n + 1) * sizeof(struct rag_doc *));
	if (!s || !docs) {
		free(s);
		free(docs);
		return;
	}
	memcpy(docs, r->docs, r->docs_n * sizeof(struct rag_doc *));
	*s = (struct rag_saving){.rag = r, .docs = docs, .docs_n = r->docs_n, .changes = r->changes, .job = {.work = save_work, .done = save_done}};
	r->saving = true;
	pool_run(r->thread, &s->job);
}

void rag_save_now(struct rag *r)
{
	struct err e;
	if (r->changes != r->saved_changes && save(r, r->docs, r->docs_n, &e) < 0)
		log_err(LOG_LEVEL_ERROR, "rag.save", &e, NULL, NULL);
}

/* ---- reading ---- */

static int frame_read(struct file_io *f)
{
	struct frame head;
	int r = f->at + sizeof head <= f->size ? sys_pread_all(f->fd, &head, sizeof head, f->at) : -EUCLEAN;
	if (r == 0 && (head.len == 0 || head.len > FRAME || f->at + sizeof head + head.len > f->size))
		r = -EUCLEAN;
	if (r == 0)
		r = sys_pread_all(f->fd, f->frame, head.len, f->at + sizeof head);
	if (r == 0 && crc32c(f->frame, head.len) != head.crc)
		r = -EUCLEAN;
	if (r < 0)
		return r;
	f->at += sizeof head + head.len;
	f->len = head.len;
	f->used = 0;
	return 0;
}

static int get(void *arg, void *data, size_t len)
{
	struct file_io *f = arg;
	char *to = data;
	while (len) {
		int r = f->used == f->len ? frame_read(f) : 0;
		if (r < 0)
			return r;
		size_t n = len < f->len - f->used ? len : f->len - f->used;
		memcpy(to, f->frame + f->used, n);
		f->used += (uint32_t)n;
		to += n;
		len -= n;
	}
	return 0;
}

static char *get_text(struct file_io *f, size_t len, int *r)
{
	char *s = *r == 0 && len ? malloc(len + 1) : NULL;
	if (!s) {
		*r = *r == 0 && len ? -ENOMEM : *r;
		return NULL;
	}
	s[len] = 0;
	*r = get(f, s, len);
	return s;
}

static int read_pieces(struct rag *r, struct file_io *f, uint32_t n)
{
	if (n > f->size / sizeof(struct saved_piece))
		return -EUCLEAN;
	r->pieces = calloc(n + 1ul, sizeof *r->pieces);
	if (!r->pieces)
		return -ENOMEM;
	r->pieces_cap = n + 1;
	int e = 0;
	for (uint32_t i = 0; e == 0 && i < n; i++) {
		struct saved_piece s;
		e = get(f, &s, sizeof s);
		if (e < 0)
			return e;
		if (s.type > RAG_TYPE_LAST || s.len > RAG_CHUNK_MAX || s.heading_len >= RAG_HEADING_MAX)
			return -EUCLEAN;
		r->pieces[i] = (struct rag_piece){.content = s.content, .serial = s.serial, .owner = s.owner, .start = s.start, .len = s.len,
						  .line = s.line, .line_end = s.line_end, .type = s.type, .live = s.live != 0};
		r->pieces[i].heading = get_text(f, s.heading_len, &e);
		r->pieces_n = i + 1;
	}
	return e;
}

static int read_docs(struct rag *r, struct file_io *f, uint32_t n)
{
	uint32_t last = 0;
	int e = n > f->size / sizeof(struct saved_doc) ? -EUCLEAN : 0;
	for (uint32_t i = 0; e == 0 && i < n; i++) {
		struct saved_doc s;
		e = get(f, &s, sizeof s);
		if (e < 0)
			return e;
		if (s.serial <= last || s.first > r->pieces_n || s.n > r->pieces_n - s.first || s.error_len > 4096)
			return -EUCLEAN;
		struct rag_doc *d = rag_doc_make(r, s.serial);
		if (!d)
			return -ENOMEM;
		last = s.serial;
		d->content = s.content;
		d->owner = s.owner;
		d->name = s.name;
		d->first = s.first;
		d->n = s.n;
		d->error = get_text(f, s.error_len, &e);
		r->live_pieces += s.n;
		r->owned_pieces += s.owner ? s.n : 0;
	}
	return e;
}

static int read_all(struct rag *r, struct file_io *f, uint32_t *model)
{
	struct head h;
	struct lexical *words = NULL;
	int e = get(f, &h, sizeof h);
	if (e == 0 && memcmp(h.magic, MAGIC, sizeof h.magic) != 0)
		e = -EUCLEAN;
	if (e == 0)
		e = read_pieces(r, f, h.pieces);
	if (e == 0)
		e = read_docs(r, f, h.docs);
	if (e == 0)
		e = lexical_load(&words, f->size, get, f);
	if (e == 0 && lexical_docs_end(words) > r->pieces_n)
		e = -EUCLEAN;
	if (e < 0) {
		lexical_free(words);
		return e;
	}
	for (uint32_t i = 0; i < r->pieces_n; i++)
		if (!r->pieces[i].live)
			lexical_remove(words, i);
	lexical_free(r->words);
	r->words = words;
	*model = h.model;
	return 0;
}

/* As before: nothing is in. */
static void forget(struct rag *r)
{
	for (uint32_t i = 0; i < r->pieces_n; i++)
		free(r->pieces[i].heading);
	free(take_ptr(r->pieces));
	r->pieces_n = r->pieces_cap = 0;
	while (r->docs_n)
		rag_doc_drop(r, r->docs[r->docs_n - 1]);
	r->live_pieces = r->owned_pieces = 0;
}

int rag_load(struct rag *r, struct err *e)
{
	struct file_io f = {.frame = malloc(FRAME)};
	struct stat st;
	uint32_t model = 0;
	saved_path(r, "index", f.path);
	f.fd = open(f.path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	int n = f.fd < 0 || fstat(f.fd, &st) < 0 ? -errno : f.frame ? 0 : -ENOMEM;
	if (n == 0) {
		f.size = (uint64_t)st.st_size;
		n = read_all(r, &f, &model);
	}
	if (f.fd >= 0)
		close(f.fd);
	free(f.frame);
	if (n == -ENOENT)
		return 0;
	if (n < 0) {
		forget(r);
		if (n == -EUCLEAN)
			return err_set(e, ERR_VDB_DAMAGED, "'%s' is damaged near byte %llu; the documents are read again", f.path,
				       (unsigned long long)f.at);
		return err_sys(e, ERR_SYS_IO, -n, "'%s'; the documents are read again", f.path);
	}
	return model ? rag_dense_load(r, model, e) : 0;
}
