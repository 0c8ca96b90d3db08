/* SPDX-License-Identifier: MIT */
/* audit_proof.c - proofs about a trail for somebody who does not have it: that a record is in it, that it only grew. L2; any
 * thread. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "lib/mem.h"
#include "lib/parse.h"
#include "lib/value.h"
#include "runtime/audit_read.h"

#define B64_HASH 45 /* characters of a hash in base64, with the NUL */

int audit_question_parse(const char *text, size_t len, struct audit_question *ret, struct err *e)
{
	char copy[64];
	struct audit_question q = {0};
	while (len && strchr(" \t\n", text[len - 1]))
		len--;
	snprintf(copy, sizeof copy, "%.*s", (int)(len < sizeof copy ? len : sizeof copy - 1), text);
	char *space = strchr(copy, ' ');
	if (space)
		*space = 0;
	int r = len < sizeof copy ? parse_u64(copy, 1, UINT64_MAX >> 1, space ? &q.old : &q.seq, NULL) : -EINVAL;
	if (r == 0 && space)
		r = parse_u64(space + 1, q.old, UINT64_MAX >> 1, &q.size, NULL);
	if (r < 0)
		return err_set(e, ERR_AUDIT_ASK, "'%.60s': write SEQ for a record's proof, or OLD NEW, two numbers of records, for "
			       "that of growth", copy);
	*ret = q;
	return 0;
}

/* ---- as JSON ---- */

static void add_path(const struct merkle_proof *p, const char *note, struct buf *out)
{
	buf_adds(out, ",\"path\":[");
	for (unsigned i = 0; i < p->n; i++) {
		char hash[B64_HASH];
		sodium_bin2base64(hash, sizeof hash, p->hash[i], MERKLE_HASH, sodium_base64_VARIANT_ORIGINAL);
		buf_printf(out, "%s\"%s\"", i ? "," : "", hash);
	}
	buf_adds(out, "],\"checkpoint\":");
	buf_json_string(out, note, strlen(note));
	buf_adds(out, "}\n");
}

int audit_proof_leaf_json(uint64_t seq, uint64_t index, uint64_t size, const char *line, size_t line_len,
			  const struct merkle_proof *p, const char *note, struct buf *out)
{
	buf_printf(out, "{\"seq\":%" PRIu64 ",\"index\":%" PRIu64 ",\"size\":%" PRIu64 ",\"line\":", seq, index, size);
	buf_json_string(out, line, line_len);
	add_path(p, note, out);
	return out->fail;
}

int audit_proof_growth_json(uint64_t old, uint64_t size, const struct merkle_proof *p, const char *note, struct buf *out)
{
	buf_printf(out, "{\"old\":%" PRIu64 ",\"size\":%" PRIu64, old, size);
	add_path(p, note, out);
	return out->fail;
}

/* ---- from the files ---- */

static int hash_in_buf(void *arg, uint64_t at, unsigned char out[MERKLE_HASH])
{
	const struct buf *b = arg;
	if (at >= b->len / MERKLE_HASH)
		return -EINVAL;
	memcpy(out, b->data + at * MERKLE_HASH, MERKLE_HASH);
	return 0;
}

/* The note of that size in dir's checkpoints, "" when there is none. */
static int note_of(const char *dir, const struct note_public *key, uint64_t size, char out[NOTE_TEXT_MAX])
{
	char path[PATH_MAX];
	struct checkpoint c;
	autobuf struct buf text;
	buf_init(&text, 1u << 30);
	*out = 0;
	snprintf(path, sizeof path, "%s/checkpoints", dir);
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : 1;
	while (n > 0 && buf_reserve(&text, 1u << 16) == 0 && (n = read(fd, text.data + text.len, 1u << 16)) > 0)
		text.len += (size_t)n;
	for (size_t at = 0, len; at < text.len && (len = checkpoint_len(text.data + at, text.len - at)); at += len + 1)
		if (checkpoint_read(text.data + at, len, key, &c, NULL) == 0 && c.size == size && len < NOTE_TEXT_MAX) {
			memcpy(out, text.data + at, len);
			out[len] = 0;
		}
	return text.fail;
}

static int prove(struct trail_reader *t, const struct audit_question *q, struct buf *out, struct err *e)
{
	struct merkle_proof p;
	char note[NOTE_TEXT_MAX];
	uint64_t size = q->seq ? t->report.signed_size : q->size, index = q->seq - t->report.first_seq;
	if (q->seq && (q->seq < t->report.first_seq || index >= size))
		return err_set(e, ERR_AUDIT_ASK, "record %" PRIu64 " is not among the %" PRIu64 " that are signed, which begin with %" PRIu64,
			       q->seq, size, t->report.first_seq);
	if (!q->seq && size > t->report.records)
		return err_set(e, ERR_AUDIT_ASK, "there are %" PRIu64 " records, not %" PRIu64, t->report.records, size);
	int r = note_of(t->files->dir, t->key, size, note);
	if (r == 0)
		r = q->seq ? merkle_prove_leaf(&p, index, size, hash_in_buf, t->hashes)
			   : merkle_prove_growth(&p, q->old, size, hash_in_buf, t->hashes);
	if (r == 0)
		r = q->seq ? audit_proof_leaf_json(q->seq, index, size, t->line->data, t->line->len, &p, note, out)
			   : audit_proof_growth_json(q->old, size, &p, note, out);
	return r < 0 ? err_sys(e, ERR_AUDIT_IO, -r, "the proof could not be made") : 0;
}

int audit_prove_files(const struct audit_files *f, const struct note_public *key, const struct audit_question *q,
		      struct buf *out, struct err *e)
{
	autobuf struct buf hashes, line;
	buf_init(&hashes, SIZE_MAX);
	buf_init(&line, SIZE_MAX);
	struct trail_reader t = {.files = f, .key = key, .hashes = &hashes, .line = &line, .line_seq = q->seq};
	int r = trail_read(&t, e);
	return r < 0 ? r : prove(&t, q, out, e);
}

/* ---- checking one ---- */

static int proves_nothing(const char *why, struct err *e)
{
	return err_set(e, ERR_AUDIT_ALTERED, "this proves nothing: %s", why);
}

static bool read_path(const struct value *v, struct merkle_proof *p)
{
	p->n = 0;
	if (!v || v->type != VALUE_LIST || v->list.n > MERKLE_PROOF_MAX)
		return false;
	for (; p->n < v->list.n; p->n++) {
		const struct value *s = &v->list.items[p->n];
		size_t got = 0;
		if (s->type != VALUE_STRING ||
		    sodium_base642bin(p->hash[p->n], MERKLE_HASH, s->string.data, s->string.len, NULL, &got, NULL,
				      sodium_base64_VARIANT_ORIGINAL) != 0 ||
		    got != MERKLE_HASH)
			return false;
	}
	return true;
}

/* 0 where it is absent or no number that counts something. */
static uint64_t number(const struct value *v, const char *key)
{
	const struct value *n = value_get(v, key);
	return n && n->type == VALUE_INT && n->integer >= 0 ? (uint64_t)n->integer : 0;
}

static int check_leaf(const struct value *v, const struct merkle_proof *p, const struct checkpoint *c, struct buf *out,
		      struct err *e)
{
	uint64_t seq = number(v, "seq"), index = number(v, "index"), said = 0;
	unsigned char leaf[MERKLE_HASH], prev[MERKLE_HASH];
	const char *line = value_get_text(v, "line");
	if (!line || !trail_line_read(line, strlen(line), &said, prev) || said != seq)
		return proves_nothing("`line` is not the record's", e);
	merkle_leaf(line, strlen(line), leaf);
	if (!merkle_leaf_ok(p, leaf, index, c->size, c->root))
		return proves_nothing("the record's line is not in the tree that was signed", e);
	return buf_printf(out, "ok record %" PRIu64 " is in the tree of %" PRIu64 " records that %s signed\n", seq, c->size, c->origin);
}

static int check_growth(const struct value *v, const struct merkle_proof *p, const struct checkpoint *c,
			const struct note_public *key, const char *old_note, struct buf *out, struct err *e)
{
	struct checkpoint old;
	int r = old_note ? checkpoint_read(old_note, strlen(old_note), key, &old, e)
			 : proves_nothing("it needs the checkpoint of the older tree", e);
	if (r < 0)
		return r;
	if (old.size != number(v, "old") || !merkle_growth_ok(p, old.size, old.root, c->size, c->root))
		return proves_nothing("the newer tree does not begin with the older one", e);
	return buf_printf(out, "ok the tree of %" PRIu64 " records begins with that of %" PRIu64 "\n", c->size, old.size);
}

int audit_proof_check(const char *json, size_t len, const struct note_public *key, const char *old_note, struct buf *out,
		      struct err *e)
{
	struct value *v = NULL;
	struct merkle_proof p;
	struct checkpoint c;
	if (sodium_init() < 0)
		return err_set(e, ERR_SYS_IO, "libsodium does not start");
	int r = value_parse(VALUE_JSON, json, len, &v, NULL, e);
	const char *note = value_get_text(v, "checkpoint");
	if (r == 0 && (!note || !read_path(value_get(v, "path"), &p)))
		r = proves_nothing("it has no `checkpoint` or no `path` of hashes", e);
	if (r == 0)
		r = checkpoint_read(note, strlen(note), key, &c, e);
	if (r == 0 && c.size != number(v, "size"))
		r = proves_nothing("its checkpoint is of another size", e);
	if (r == 0)
		r = value_get(v, "old") ? check_growth(v, &p, &c, key, old_note, out, e) : check_leaf(v, &p, &c, out, e);
	value_free(v);
	return r;
}
