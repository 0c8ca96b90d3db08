/* SPDX-License-Identifier: MIT */
/* embed_save.c - a model as bytes: a head, then its arrays, all little-endian; the version is their checksum. L1; any thread. */
#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "lib/crc32c.h"
#include "vectors/embed_i.h"

#define MAGIC "symbemb1"

struct head {
	char magic[8];
	uint32_t crc; /* of the rest of the head */
	uint32_t version, texts, terms, has_topics;
	float idf_new, low, high;
};

static uint32_t head_crc(const struct head *h)
{
	return crc32c(&h->version, sizeof *h - offsetof(struct head, version));
}

int embed_save(const struct embed *m, struct buf *out)
{
	struct head h = {.version = m->version, .texts = m->texts, .terms = m->terms, .has_topics = m->has_topics,
			 .idf_new = m->idf_new, .low = m->low, .high = m->high};
	memcpy(h.magic, MAGIC, sizeof h.magic);
	h.crc = head_crc(&h);
	buf_add(out, &h, sizeof h);
	buf_add(out, m->key, m->terms * sizeof *m->key);
	buf_add(out, m->idf, m->terms * sizeof *m->idf);
	if (m->has_topics) {
		buf_add(out, m->scale, m->terms * sizeof *m->scale);
		buf_add(out, m->row, (size_t)m->terms * EMBED_TOPICS);
	}
	return out->fail;
}

static bool is_right(const struct head *h, size_t len)
{
	size_t each = sizeof(uint64_t) + sizeof(float) + (h->has_topics ? sizeof(float) + EMBED_TOPICS : 0);
	return memcmp(h->magic, MAGIC, sizeof h->magic) == 0 && h->crc == head_crc(h) && h->terms <= EMBED_TERMS_MAX &&
	       h->has_topics <= 1 && len == sizeof *h + h->terms * each && isfinite(h->idf_new) && h->high > h->low;
}

static void copy(void *to, const char **from, size_t len)
{
	memcpy(to, *from, len);
	*from += len;
}

int embed_load(struct embed **ret, const char *data, size_t len, struct err *e)
{
	struct head h = {0};
	if (len >= sizeof h)
		memcpy(&h, data, sizeof h);
	if (!is_right(&h, len))
		return err_set(e, ERR_VDB_DAMAGED, "the model of the embedder is damaged");
	struct embed *m = calloc(1, sizeof *m);
	if (!m)
		return err_set(e, ERR_SYS_MEMORY, "no memory for a model");
	*m = (struct embed){.texts = h.texts, .terms = h.terms, .has_topics = h.has_topics, .idf_new = h.idf_new, .low = h.low,
			    .high = h.high, .version = h.version};
	if (embed_alloc(m) < 0) {
		embed_free(m);
		return err_set(e, ERR_SYS_MEMORY, "no memory for a model");
	}
	const char *at = data + sizeof h;
	copy(m->key, &at, m->terms * sizeof *m->key);
	copy(m->idf, &at, m->terms * sizeof *m->idf);
	if (m->has_topics) {
		copy(m->scale, &at, m->terms * sizeof *m->scale);
		copy(m->row, &at, (size_t)m->terms * EMBED_TOPICS);
	}
	if (embed_version_of(m) != m->version) {
		embed_free(m);
		return err_set(e, ERR_VDB_DAMAGED, "the model of the embedder is damaged");
	}
	embed_index(m);
	*ret = m;
	return 0;
}
