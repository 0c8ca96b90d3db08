/* SPDX-License-Identifier: MIT */
/* fuzz_journal.c - the reader of segments. The first byte says whether the input is a file as it is, or one whose
 * checksums and chain are put right first, so that the checks behind them are reached. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/journal_format.h"

#define FILE_BYTES (1u << 16)

static char dir[64], path[128];

static void clean(void)
{
	unlink(path);
	rmdir(dir);
}

static void make_dir(void)
{
	char name[32];
	snprintf(dir, sizeof dir, "%s/symbi-fuzz.XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (!mkdtemp(dir))
		abort();
	segment_name(1, name);
	snprintf(path, sizeof path, "%s/%s", dir, name);
	atexit(clean);
}

static void put_right(char *file, size_t size)
{
	struct segment_header h;
	unsigned char chain[32] = {0};
	memcpy(&h, file, sizeof h);
	segment_header_make(&h, h.first_seq % 1000 + 1, chain, FILE_BYTES, h.synced_seq % 8);
	memcpy(file, &h, sizeof h);
	uint64_t seq = h.first_seq;
	for (size_t at = SEGMENT_HEADER; at + sizeof(struct record_header) <= size; seq++) {
		struct record_header *r = (struct record_header *)(void *)(file + at);
		r->object_len %= 300;
		r->body_len %= 3000;
		r->size = (uint32_t)(sizeof *r + r->object_len + r->body_len + 7) & ~7u;
		if (r->size > FILE_BYTES - at)
			return;
		if (r->type % 16) /* now and then a sequence that does not fit */
			r->seq = seq;
		record_seal((char *)r, r->since_sync % 4 ? seq - 1 : 0, chain);
		at += r->size;
	}
}

static int look(void *arg, const struct journal_record *rec)
{
	uint64_t *sum = arg;
	for (size_t i = 0; i < rec->body_len; i++)
		*sum += (unsigned char)rec->body[i];
	*sum += strlen(rec->object) + rec->seq;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static _Alignas(8) char file[FILE_BYTES];
	struct journal_stat st;
	struct err e = {0};
	uint64_t sum = 0;
	if (!dir[0])
		make_dir();
	if (size < 1 || size - 1 > sizeof file)
		return 0;
	memset(file, 0, sizeof file);
	memcpy(file, data + 1, size - 1);
	bool right = data[0] % 4;
	if (right)
		put_right(file, size - 1);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	size_t len = right ? sizeof file : size - 1;
	if (fd < 0 || write(fd, file, len) != (ssize_t)len)
		abort();
	close(fd);
	int r = journal_scan(dir, look, &sum, &st, &e);
	if (r < 0 && (e.code == ERR_NONE || !e.msg[0]))
		abort();
	if (r == 0 && st.records && st.last_seq - st.first_seq + 1 != st.records)
		abort();
	return 0;
}
