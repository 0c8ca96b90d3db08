/* SPDX-License-Identifier: MIT */
/* audit_trail.c - the audit trail on disk: adding lines, writing them, signing what was written. L2; one thread. */
#include "runtime/audit_trail.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/mem.h"
#include "lib/parse.h"
#include "lib/sys.h"

#define PENDING_MAX (64u << 20)

const char *const trail_names[TRAIL_FILES] = {"log", "hashes", "index", "checkpoints"};

uint64_t trail_last_seq(const struct trail *t)
{
	return t->tree.size ? t->first_seq + t->tree.size - 1 : 0;
}

/* ---- lines ---- */

static const char seq_key[] = "{\"seq\":", prev_key[] = ",\"prev\":\"";

/* A body is JSON of ours: it has no newline. Should one ever have, the line has a space. */
static void add_body(const struct journal_record *rec, struct buf *out)
{
	size_t from = out->len;
	buf_add(out, rec->body_len ? rec->body : "null", rec->body_len ? rec->body_len : 4);
	for (char *nl = out->data + from; (nl = memchr(nl, '\n', (size_t)(out->data + out->len - nl)));)
		*nl = ' ';
}

void trail_line(const struct journal_record *rec, const char *type, const unsigned char prev[MERKLE_HASH], struct buf *out)
{
	char hex[2 * MERKLE_HASH + 1];
	buf_printf(out, "{\"seq\":%" PRIu64 ",\"time\":%" PRIu64 ".%03u,\"type\":\"%s\",\"uid\":%u,\"pid\":%u,\"view\":%u,\"object\":",
		   rec->seq, rec->time_ms / 1000, (unsigned)(rec->time_ms % 1000), type, rec->uid, rec->pid, rec->view);
	buf_json_string(out, rec->object, strlen(rec->object));
	buf_adds(out, ",\"body\":");
	add_body(rec, out);
	sodium_bin2hex(hex, sizeof hex, prev, MERKLE_HASH);
	buf_printf(out, "%s%s\"}", prev_key, hex);
}

bool trail_line_read(const char *line, size_t len, uint64_t *ret_seq, unsigned char ret_prev[MERKLE_HASH])
{
	char number[24] = "";
	size_t n = 0, got;
	if (len < sizeof seq_key - 1 + 1 + TRAIL_PREV_LEN || memcmp(line, seq_key, sizeof seq_key - 1) != 0)
		return false;
	for (const char *p = line + sizeof seq_key - 1; n < sizeof number - 1 && *p >= '0' && *p <= '9'; p++)
		number[n++] = *p;
	const char *end = line + len - TRAIL_PREV_LEN;
	return parse_u64(number, 1, UINT64_MAX, ret_seq, NULL) == 0 && memcmp(end, prev_key, sizeof prev_key - 1) == 0 &&
	       memcmp(line + len - 2, "\"}", 2) == 0 &&
	       sodium_hex2bin(ret_prev, MERKLE_HASH, end + sizeof prev_key - 1, 2 * MERKLE_HASH, NULL, &got, NULL) == 0 &&
	       got == MERKLE_HASH;
}

/* ---- which lines are about whom ---- */

static struct trail_head *head_of(struct trail *t, uint32_t agent)
{
	if (agent >= t->heads_n) {
		size_t n = (agent | 1023u) + 1u;
		n = n > t->heads_n + t->heads_n / 4 ? n : t->heads_n + t->heads_n / 4;
		pthread_mutex_lock(&t->mu);
		struct trail_head *p = realloc(t->heads, n * sizeof *p);
		if (p) {
			memset(p + t->heads_n, 0, (n - t->heads_n) * sizeof *p);
			t->heads = p;
			t->heads_n = n;
		}
		pthread_mutex_unlock(&t->mu);
		if (!p)
			return NULL;
	}
	return &t->heads[agent];
}

int trail_load_heads(struct trail *t, struct err *e)
{
	struct trail_entry part[512];
	for (uint64_t i = 0; i < t->written; i += ARRAY_LEN(part)) {
		size_t n = t->written - i < ARRAY_LEN(part) ? (size_t)(t->written - i) : ARRAY_LEN(part);
		int r = sys_pread_all(t->fd[TRAIL_INDEX], part, n * sizeof *part, i * sizeof *part);
		if (r < 0)
			return err_sys(e, ERR_AUDIT_IO, -r, "'%s/index'", t->dir);
		for (size_t k = 0; k < n; k++) {
			struct trail_head *h = part[k].agent ? head_of(t, part[k].agent) : NULL;
			if (part[k].agent && !h)
				return err_set(e, ERR_SYS_MEMORY, "no memory for the audit trail's index");
			if (h)
				h->added = h->written = i + k + 1;
		}
	}
	return 0;
}

/* mu held. */
static void heads_written(struct trail *t)
{
	const struct trail_entry *e = (const void *)t->pending[TRAIL_INDEX].data;
	size_t n = t->pending[TRAIL_INDEX].len / sizeof *e;
	for (size_t i = 0; i < n; i++)
		if (e[i].agent)
			t->heads[e[i].agent].written = t->tree.size - n + i + 1;
}

/* Numbers of the lines about an agent from its newest on, as many as fit; *ret_bytes of them. */
static int collect(struct trail *t, uint64_t newest, size_t room, struct buf *entries, size_t *ret_bytes)
{
	for (uint64_t number = newest; number;) {
		struct trail_entry en;
		int r = sys_pread_all(t->fd[TRAIL_INDEX], &en, sizeof en, (number - 1) * sizeof en);
		if (r < 0)
			return r;
		if (en.len > room - *ret_bytes || en.before >= number)
			return 0;
		*ret_bytes += en.len;
		if ((r = buf_add(entries, &en, sizeof en)) < 0)
			return r;
		number = en.before;
	}
	return 0;
}

int trail_agent_lines(struct trail *t, uint32_t agent, struct buf *out, struct err *e)
{
	size_t bytes = 0;
	autobuf struct buf entries;
	buf_init(&entries, PENDING_MAX);
	pthread_mutex_lock(&t->mu);
	uint64_t newest = agent < t->heads_n ? t->heads[agent].written : 0;
	pthread_mutex_unlock(&t->mu);
	int r = collect(t, newest, out->max - out->len, &entries, &bytes);
	if (r == 0)
		r = buf_reserve(out, bytes);
	const struct trail_entry *en = (const void *)entries.data;
	for (size_t i = entries.len / sizeof *en; r == 0 && i-- > 0;) {
		r = sys_pread_all(t->fd[TRAIL_LOG], out->data + out->len, en[i].len, en[i].at);
		out->len += r == 0 ? en[i].len : 0;
	}
	if (bytes)
		out->data[out->len] = 0;
	return r < 0 ? err_sys(e, ERR_AUDIT_IO, -r, "the audit trail in '%s'", t->dir) : 0;
}

/* ---- adding and writing ---- */

int trail_add(struct trail *t, const struct journal_record *rec, const char *type, uint32_t agent)
{
	unsigned char leaf[MERKLE_HASH];
	struct trail_head *h = agent ? head_of(t, agent) : NULL;
	buf_clear(&t->line);
	trail_line(rec, type, t->prev, &t->line);
	/* Nothing may fail behind this. */
	if ((agent && !h) || t->line.fail || buf_reserve(&t->pending[TRAIL_LOG], t->line.len + 1) < 0 ||
	    buf_reserve(&t->pending[TRAIL_HASHES], (size_t)(MERKLE_DEPTH + 1) * MERKLE_HASH) < 0 ||
	    buf_reserve(&t->pending[TRAIL_INDEX], sizeof(struct trail_entry)) < 0) {
		for (int f = 0; f < TRAIL_CHECKPOINTS; f++)
			t->pending[f].fail = 0;
		return -ENOMEM;
	}
	merkle_leaf(t->line.data, t->line.len, leaf);
	merkle_add(&t->tree, leaf, &t->pending[TRAIL_HASHES]);
	memcpy(t->prev, leaf, sizeof leaf);
	struct trail_entry en = {.at = t->log_end,
				 .before = h ? h->added : 0,
				 .len = (uint32_t)t->line.len + 1,
				 .agent = agent};
	buf_add(&t->pending[TRAIL_INDEX], &en, sizeof en);
	buf_add(&t->pending[TRAIL_LOG], t->line.data, t->line.len);
	buf_add(&t->pending[TRAIL_LOG], "\n", 1);
	t->log_end += en.len;
	if (h)
		h->added = t->tree.size;
	if (t->tree.size == 1)
		t->first_seq = rec->seq;
	return 0;
}

size_t trail_pending(const struct trail *t)
{
	return t->pending[TRAIL_LOG].len;
}

static int failed(const struct trail *t, enum trail_file f, int r, struct err *e)
{
	return err_sys(e, ERR_AUDIT_IO, -r, "'%s/%s'", t->dir, trail_names[f]);
}

int trail_write(struct trail *t, struct err *e)
{
	if (!t->pending[TRAIL_LOG].len)
		return 0;
	for (enum trail_file f = 0; f < TRAIL_CHECKPOINTS; f++) {
		int r = sys_pwrite_all(t->fd[f], t->pending[f].data, t->pending[f].len, t->bytes[f]);
		if (r < 0)
			return failed(t, f, r, e);
	}
	pthread_mutex_lock(&t->mu);
	heads_written(t);
	t->written = t->tree.size;
	pthread_mutex_unlock(&t->mu);
	for (enum trail_file f = 0; f < TRAIL_CHECKPOINTS; f++) {
		t->bytes[f] += t->pending[f].len;
		buf_clear(&t->pending[f]);
	}
	return 0;
}

int trail_checkpoint(struct trail *t, struct err *e)
{
	struct checkpoint c = {.size = t->tree.size, .sealed = true};
	struct buf *note = &t->pending[TRAIL_CHECKPOINTS];
	int r = trail_write(t, e);
	if (r == 0)
		r = seal_prepare(t->seal, c.next, e);
	for (enum trail_file f = 0; r == 0 && f < TRAIL_CHECKPOINTS; f++)
		if (sys->fdatasync(t->fd[f]) < 0)
			r = failed(t, f, -errno, e);
	if (r < 0)
		return r;
	merkle_root(&t->tree, c.root);
	buf_clear(note);
	r = checkpoint_sign(&c, t->key, t->seal, note);
	if (r == 0)
		r = sys_pwrite_all(t->fd[TRAIL_CHECKPOINTS], note->data, note->len, t->bytes[TRAIL_CHECKPOINTS]);
	if (r == 0) /* the empty line between notes */
		r = sys_pwrite_all(t->fd[TRAIL_CHECKPOINTS], "\n", 1, t->bytes[TRAIL_CHECKPOINTS] + note->len);
	if (r == 0 && sys->fdatasync(t->fd[TRAIL_CHECKPOINTS]) < 0)
		r = -errno;
	if (r < 0)
		return failed(t, TRAIL_CHECKPOINTS, r, e);
	t->bytes[TRAIL_CHECKPOINTS] += note->len + 1;
	t->signed_size = c.size;
	return seal_advance(t->seal, e);
}

int trail_hash_read(void *arg, uint64_t at, unsigned char out[MERKLE_HASH])
{
	return sys_pread_all(*(int *)arg, out, MERKLE_HASH, at * MERKLE_HASH);
}
