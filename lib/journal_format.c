/* SPDX-License-Identifier: MIT */
/* journal_format.c - records and segment headers to bytes and back. L0; any thread. */
#include "lib/journal_format.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "lib/crc32c.h"

#define CRC_FROM (offsetof(struct record_header, crc) + sizeof(uint32_t))

void record_chain(const struct record_header *head, unsigned char chain[32])
{
	crypto_hash_sha256(chain, (const unsigned char *)head + CRC_FROM, head->size - CRC_FROM);
}

int record_encode(const struct journal_record *rec, uint32_t since_sync, unsigned char chain[32],
		  struct buf *out)
{
	static const char zeros[RECORD_ALIGN];
	size_t object_len = strlen(rec->object);
	size_t bare = sizeof(struct record_header) + object_len + rec->body_len;
	size_t size = (bare + RECORD_ALIGN - 1) & ~(size_t)(RECORD_ALIGN - 1);
	int r = buf_reserve(out, size);
	if (r < 0)
		return r;
	struct record_header h = {.size = (uint32_t)size,
				  .seq = rec->seq,
				  .time_ms = rec->time_ms,
				  .type = rec->type,
				  .object_len = (uint16_t)object_len,
				  .uid = rec->uid,
				  .pid = rec->pid,
				  .view = rec->view,
				  .body_len = (uint32_t)rec->body_len,
				  .since_sync = since_sync};
	memcpy(h.prev, chain, sizeof h.prev);
	char *at = out->data + out->len;
	buf_add(out, &h, sizeof h);
	buf_add(out, rec->object, object_len);
	buf_add(out, rec->body, rec->body_len);
	buf_add(out, zeros, size - bare);
	uint32_t crc = crc32c(at + CRC_FROM, size - CRC_FROM);
	memcpy(at + offsetof(struct record_header, crc), &crc, sizeof crc);
	record_chain((const struct record_header *)(const void *)at, chain);
	return 0;
}

bool record_decode(const char *data, size_t len, struct journal_record *ret,
		   const struct record_header **ret_head, char object[JOURNAL_NAME_MAX + 1])
{
	const struct record_header *h = (const struct record_header *)(const void *)data;
	if (len < sizeof *h || h->size < sizeof *h || h->size > len || h->size > RECORD_SIZE_MAX ||
	    h->size % RECORD_ALIGN || h->object_len > JOURNAL_NAME_MAX ||
	    h->body_len > JOURNAL_BODY_MAX ||
	    sizeof *h + h->object_len + h->body_len > h->size ||
	    crc32c(data + CRC_FROM, h->size - CRC_FROM) != h->crc)
		return false;
	memcpy(object, data + sizeof *h, h->object_len);
	object[h->object_len] = 0;
	*ret = (struct journal_record){.seq = h->seq,
				       .time_ms = h->time_ms,
				       .type = h->type,
				       .uid = h->uid,
				       .pid = h->pid,
				       .view = h->view,
				       .object = object,
				       .body = data + sizeof *h + h->object_len,
				       .body_len = h->body_len};
	*ret_head = h;
	return true;
}

void segment_header_make(struct segment_header *h, uint64_t first_seq,
			 const unsigned char prev[32])
{
	*h = (struct segment_header){.first_seq = first_seq};
	memcpy(h->magic, SEGMENT_MAGIC, sizeof h->magic);
	memcpy(h->prev, prev, sizeof h->prev);
	h->crc = crc32c(h, offsetof(struct segment_header, crc));
}

bool segment_header_ok(const struct segment_header *h)
{
	return memcmp(h->magic, SEGMENT_MAGIC, sizeof h->magic) == 0 &&
	       h->crc == crc32c(h, offsetof(struct segment_header, crc));
}

void segment_name(uint64_t first_seq, char out[static 32])
{
	snprintf(out, 32, "%020" PRIu64 ".seg", first_seq);
}
