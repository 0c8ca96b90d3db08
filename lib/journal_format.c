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
#include "lib/parse.h"

#define CRC_FROM (offsetof(struct record_header, crc) + sizeof(uint32_t))

/* ---- records ---- */

static size_t padded(size_t size)
{
	return (size + RECORD_ALIGN - 1) & ~(size_t)(RECORD_ALIGN - 1);
}

size_t record_size(const struct journal_record *rec)
{
	return padded(sizeof(struct record_header) + strlen(rec->object) + rec->body_len);
}

void record_encode(const struct journal_record *rec, struct buf *out)
{
	static const char zeros[RECORD_ALIGN];
	size_t object_len = strlen(rec->object), size = record_size(rec);
	struct record_header h = {.size = (uint32_t)size,
				  .seq = rec->seq,
				  .time_ms = rec->time_ms,
				  .type = rec->type,
				  .object_len = (uint16_t)object_len,
				  .uid = rec->uid,
				  .pid = rec->pid,
				  .view = rec->view,
				  .body_len = (uint32_t)rec->body_len};
	buf_add(out, &h, sizeof h);
	buf_add(out, rec->object, object_len);
	buf_add(out, rec->body, rec->body_len);
	buf_add(out, zeros, size - sizeof h - object_len - rec->body_len);
}

void record_chain(const struct record_header *head, unsigned char chain[32])
{
	crypto_generichash(chain, 32, (const unsigned char *)head + CRC_FROM, head->size - CRC_FROM,
			   NULL, 0);
}

void record_seal(char *record, uint64_t synced_seq, unsigned char chain[32])
{
	struct record_header *h = (struct record_header *)(void *)record;
	h->since_sync = (uint32_t)(h->seq - synced_seq - 1);
	memcpy(h->prev, chain, sizeof h->prev);
	h->crc = crc32c(record + CRC_FROM, h->size - CRC_FROM);
	record_chain(h, chain);
}

bool record_decode(const char *data, size_t len, struct journal_record *ret,
		   const struct record_header **ret_head, char object[JOURNAL_NAME_MAX + 1])
{
	const struct record_header *h = (const struct record_header *)(const void *)data;
	if (len < sizeof *h || h->size < sizeof *h || h->size > len ||
	    h->object_len > JOURNAL_NAME_MAX || h->body_len > JOURNAL_BODY_MAX ||
	    h->size != padded(sizeof *h + h->object_len + h->body_len) ||
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

/* ---- segments ---- */

void segment_header_make(struct segment_header *h, uint64_t first_seq, const unsigned char prev[32],
			 uint64_t bytes, uint64_t synced_seq)
{
	*h = (struct segment_header){
		.first_seq = first_seq, .bytes = bytes, .synced_seq = synced_seq};
	memcpy(h->magic, SEGMENT_MAGIC, sizeof h->magic);
	memcpy(h->prev, prev, sizeof h->prev);
	segment_header_crc(h);
}

void segment_header_crc(struct segment_header *h)
{
	h->crc = crc32c(h, offsetof(struct segment_header, crc));
}

bool segment_header_ok(const struct segment_header *h)
{
	return memcmp(h->magic, SEGMENT_MAGIC, sizeof h->magic) == 0 && h->first_seq > 0 &&
	       h->crc == crc32c(h, offsetof(struct segment_header, crc));
}

void segment_name(uint64_t number, char out[static 32])
{
	snprintf(out, 32, "%010" PRIu64 ".seg", number);
}

uint64_t segment_number(const char *name)
{
	char digits[11];
	uint64_t n = 0;
	if (strlen(name) != 14 || strcmp(name + 10, ".seg") != 0)
		return 0;
	snprintf(digits, sizeof digits, "%.10s", name);
	return parse_u64(digits, 1, UINT64_MAX, &n, NULL) < 0 ? 0 : n;
}
