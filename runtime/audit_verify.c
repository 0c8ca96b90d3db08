/* SPDX-License-Identifier: MIT */
/* audit_verify.c - reading a whole trail with every check. L2; any thread. */
#include "runtime/audit_verify.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/mem.h"
#include "lib/sys.h"
#include "runtime/audit_read.h"

#define CHUNK	  (1u << 20)
#define LINE_MOST (64u << 20)

/* ---- checkpoints ---- */

struct mark {
	struct checkpoint c;
	const char *from; /* the file that it was read from, "checkpoints" or what the caller named */
	bool only_here;	  /* it is of the trail's own directory */
};

static int add_mark(struct trail_reader *t, const struct checkpoint *c, const char *from, bool own)
{
	if (t->marks_n == t->marks_cap) {
		size_t cap = t->marks_cap ? t->marks_cap * 2 : 64;
		struct mark *p = realloc(t->marks, cap * sizeof *p);
		if (!p)
			return -ENOMEM;
		t->marks = p;
		t->marks_cap = cap;
	}
	t->marks[t->marks_n++] = (struct mark){*c, from, own};
	return 0;
}

static int slurp(const char *path, uint64_t most, struct buf *out)
{
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t n = fd < 0 ? -1 : 1;
	while (n > 0 && buf_reserve(out, CHUNK) == 0 && (n = read(fd, out->data + out->len, CHUNK)) > 0)
		out->len += (size_t)n;
	if (most && out->len > most)
		out->len = most;
	return n < 0 ? -errno : out->fail;
}

/* A checkpoint of the trail's own, in their order: from the first sealed one on, each is sealed by the key that the one before
 * it names. */
static int check_seal(struct trail_reader *t, const char *note, size_t len, const struct checkpoint *c, struct err *e)
{
	uint64_t *sealed = &t->report.sealed;
	if (!c->sealed && !*sealed)
		return 0;
	if (!t->has_seal)
		return err_set(e, ERR_AUDIT_ALTERED, "its checkpoints are sealed, and there is no '%s/seal.pub' to begin with", t->files->dir);
	if (!c->sealed || !checkpoint_has(note, len, &t->seal))
		return err_set(e, ERR_AUDIT_ALTERED, "the checkpoint of %" PRIu64 " records is not sealed by the key that %s names", c->size,
			       *sealed ? "the one before it" : "seal.pub");
	memcpy(t->seal.key, c->next, sizeof t->seal.key);
	note_public_id(&t->seal);
	++*sealed;
	return 0;
}

/* Every note of a file. The trail's own stand in the order of their sizes. */
static int read_marks(struct trail_reader *t, const char *path, const char *name, bool own, struct err *e)
{
	bool listed = own && strcmp(name, "checkpoints") == 0; /* `head` is the last of them once more */
	autobuf struct buf text;
	buf_init(&text, 1u << 30);
	int r = slurp(path, listed ? t->files->checkpoint_bytes : 0, &text);
	if (r == -ENOENT && own)
		return 0;
	if (r < 0)
		return err_sys(e, ERR_AUDIT_IO, -r, "'%s'", path);
	uint64_t before = 0;
	for (size_t at = 0, n; r == 0 && at < text.len; at += n) {
		struct checkpoint c;
		for (; at < text.len && text.data[at] == '\n'; at++)
			;
		if (at == text.len)
			break;
		n = checkpoint_len(text.data + at, text.len - at);
		r = checkpoint_read(text.data + at, n ? n : text.len - at, t->key, &c, e);
		if (r == 0 && own && c.size < before)
			r = err_set(e, ERR_AUDIT_ALTERED, "the checkpoint of %" PRIu64 " records stands behind that of %" PRIu64, c.size,
				    before);
		if (r == 0 && listed)
			r = check_seal(t, text.data + at, n, &c, e);
		if (r == 0)
			r = add_mark(t, &c, name, own);
		before = c.size;
	}
	return r < 0 ? err_wrap(e, "'%s'", path) : 0;
}

static int by_size(const void *a, const void *b)
{
	const struct mark *x = a, *y = b;
	return x->c.size < y->c.size ? -1 : x->c.size > y->c.size;
}

static int get_seal(struct trail_reader *t, struct err *e)
{
	char path[PATH_MAX];
	snprintf(path, sizeof path, "%s/seal.pub", t->files->dir);
	t->has_seal = true;
	if (t->files->seal)
		t->seal = *t->files->seal;
	else if (access(path, F_OK) < 0 && errno == ENOENT)
		t->has_seal = false;
	else
		return note_public_read(path, &t->seal, e);
	return 0;
}

static int all_marks(struct trail_reader *t, struct err *e)
{
	char path[PATH_MAX];
	int r = get_seal(t, e);
	for (const char *const *own = (const char *const[]){"checkpoints", "head", NULL}; r == 0 && *own; own++) {
		snprintf(path, sizeof path, "%s/%s", t->files->dir, *own);
		r = read_marks(t, path, *own, true, e);
	}
	for (const char *const *more = t->files->more; r == 0 && more && *more; more++)
		r = read_marks(t, *more, *more, false, e);
	if (r == 0 && t->files->seal && !t->report.sealed)
		r = err_set(e, ERR_AUDIT_ALTERED, "no checkpoint in '%s/checkpoints' is sealed, and they were sealed when the seal key was kept",
			    t->files->dir);
	if (r == 0 && t->marks_n)
		qsort(t->marks, t->marks_n, sizeof *t->marks, by_size);
	return r;
}

/* ---- lines ---- */

static int wrong(const struct trail_reader *t, const char *what, struct err *e)
{
	const struct audit_report *r = &t->report;
	return err_set(e, ERR_AUDIT_ALTERED, "line %" PRIu64 " of '%s/log' (offset %" PRIu64 "): %s", r->records + 1,
		       t->files->dir, r->bytes, what);
}

/* The checkpoints of just this many records. */
static int check_marks(struct trail_reader *t, struct err *e)
{
	struct audit_report *r = &t->report;
	bool known = false;
	for (; t->next_mark < t->marks_n && t->marks[t->next_mark].c.size == r->records; t->next_mark++) {
		const struct mark *m = &t->marks[t->next_mark];
		if (!known)
			merkle_root(&t->tree, r->root);
		known = true;
		if (memcmp(r->root, m->c.root, sizeof r->root) != 0)
			return err_set(e, ERR_AUDIT_ALTERED, "the first %" PRIu64 " lines of '%s/log' are not those that the checkpoint in "
				       "'%s' signed", r->records, t->files->dir, m->from);
		r->checkpoints++;
		r->signed_size = m->c.size;
	}
	return 0;
}

static int take_line(struct trail_reader *t, const char *line, size_t len, struct err *e)
{
	struct audit_report *r = &t->report;
	uint64_t seq = 0;
	unsigned char prev[MERKLE_HASH], leaf[MERKLE_HASH];
	if (!trail_line_read(line, len, &seq, prev))
		return wrong(t, "it is no line of a trail", e);
	if (r->records && seq != r->last_seq + 1)
		return wrong(t, seq <= r->last_seq ? "its record stands before it already, or elsewhere" : "records are missing before it",
			     e);
	if (memcmp(prev, t->prev, sizeof prev) != 0)
		return wrong(t, "the line before it is not the one that it was written behind", e);
	merkle_leaf(line, len, leaf);
	merkle_add(&t->tree, leaf, t->hashes);
	memcpy(t->prev, leaf, sizeof leaf);
	if (t->hashes && t->hashes->fail)
		return err_set(e, ERR_SYS_MEMORY, "no memory for the hashes of '%s'", t->files->dir);
	if (!r->records++)
		r->first_seq = seq;
	r->last_seq = seq;
	r->bytes += len + 1;
	if (t->line && seq == t->line_seq)
		buf_add(t->line, line, len);
	return check_marks(t, e);
}

/* Whole lines of [0, len) of data; returns how much of it they are, or -errno. */
static ssize_t take_lines(struct trail_reader *t, const char *data, size_t len, struct err *e)
{
	const char *at = data, *end = data + len, *nl;
	while ((nl = memchr(at, '\n', (size_t)(end - at)))) {
		int r = take_line(t, at, (size_t)(nl - at), e);
		if (r < 0)
			return r;
		at = nl + 1;
	}
	return at - data;
}

static int read_log(struct trail_reader *t, int fd, const char *path, struct err *e)
{
	autobuf struct buf b;
	buf_init(&b, LINE_MOST);
	uint64_t left = t->files->log_bytes ? t->files->log_bytes : UINT64_MAX;
	for (;;) {
		if (t->files->stop && atomic_load(t->files->stop))
			return err_sys(e, ERR_AUDIT_IO, ECANCELED, "'%s'", path);
		if (buf_reserve(&b, CHUNK) < 0)
			return wrong(t, "it is longer than any line is", e);
		ssize_t n = read(fd, b.data + b.len, left < CHUNK ? (size_t)left : CHUNK);
		if (n < 0)
			return err_sys(e, ERR_AUDIT_IO, errno, "'%s'", path);
		if (n == 0)
			break;
		left -= (uint64_t)n;
		b.len += (size_t)n;
		ssize_t took = take_lines(t, b.data, b.len, e);
		if (took < 0)
			return (int)took;
		b.len -= (size_t)took;
		memmove(b.data, b.data + took, b.len);
	}
	return b.len ? wrong(t, "it is cut", e) : 0;
}

static int read_all(struct trail_reader *t, struct err *e)
{
	char path[PATH_MAX];
	snprintf(path, sizeof path, "%s/log", t->files->dir);
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return err_sys(e, ERR_AUDIT_IO, errno, "'%s'", path);
	int r = all_marks(t, e);
	if (r == 0)
		r = check_marks(t, e); /* of no records */
	if (r == 0)
		r = read_log(t, fd, path, e);
	if (r < 0)
		return r;
	merkle_root(&t->tree, t->report.root);
	if (t->next_mark < t->marks_n)
		return err_set(e, ERR_AUDIT_ALTERED, "'%s' has %" PRIu64 " records, and the checkpoint in '%s' signed %" PRIu64 ": the end was "
			       "cut off, or an older copy stands in its place", path, t->report.records,
			       t->marks[t->next_mark].from, t->marks[t->marks_n - 1].c.size);
	if (!t->marks_n)
		return err_set(e, ERR_AUDIT_ALTERED, "there is no checkpoint for '%s': nothing says that it is right", path);
	return 0;
}

int trail_read(struct trail_reader *t, struct err *e)
{
	int r = sodium_init() < 0 ? err_set(e, ERR_SYS_IO, "libsodium does not start") : read_all(t, e);
	free(t->marks);
	t->marks = NULL;
	return r;
}

int audit_verify_files(const struct audit_files *f, const struct note_public *key, struct audit_report *ret,
		       struct err *e)
{
	struct trail_reader t = {.files = f, .key = key};
	int r = trail_read(&t, e);
	*ret = t.report;
	return r;
}

/* ---- texts ---- */

int audit_report_text(const struct audit_report *r, struct buf *out)
{
	char root[64];
	sodium_bin2base64(root, sizeof root, r->root, sizeof r->root, sodium_base64_VARIANT_ORIGINAL);
	return buf_printf(out, "records %" PRIu64 "\nfirst_seq %" PRIu64 "\nlast_seq %" PRIu64 "\nbytes %" PRIu64 "\ncheckpoints %" PRIu64
			  "\nsigned %" PRIu64 "\nunsigned %" PRIu64 "\nsealed %" PRIu64 "\nroot %s\n", r->records, r->first_seq, r->last_seq, r->bytes,
			  r->checkpoints, r->signed_size, r->records - r->signed_size, r->sealed, root);
}

int audit_report_json(const struct audit_report *r, struct buf *out)
{
	char root[64];
	sodium_bin2base64(root, sizeof root, r->root, sizeof r->root, sodium_base64_VARIANT_ORIGINAL);
	return buf_printf(out, "{\"records\":%" PRIu64 ",\"first_seq\":%" PRIu64 ",\"last_seq\":%" PRIu64 ",\"bytes\":%" PRIu64
			  ",\"checkpoints\":%" PRIu64 ",\"signed\":%" PRIu64 ",\"unsigned\":%" PRIu64 ",\"sealed\":%" PRIu64 ",\"root\":\"%s\"}\n", r->records,
			  r->first_seq, r->last_seq, r->bytes, r->checkpoints, r->signed_size, r->records - r->signed_size,
			  r->sealed, root);
}
