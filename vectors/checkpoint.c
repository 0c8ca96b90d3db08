/* SPDX-License-Identifier: MIT */
/* checkpoint.c - the graph and the tables of an index in one file, mapped when it is opened. L1.
 *
 * One head of 4096 bytes, then sections at multiples of 4096: records (as in memory), their checksums by block, ids
 * and places, live bits, rows to link, labels. Written beside the writers and linkers at work: the live bits and the
 * end of the log are of one moment, links are of any time since; those to later rows are left out, and rows that
 * waited to be linked then wait again. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/crc32c.h"
#include "vectors/checkpoint_format.h"
#include "vectors/vec_i.h"

/* ---- writing ---- */

struct out {
	int fd;
	uint64_t at;
	struct section *sec;
	int r; /* the first failure */
};

static void out_begin(struct out *o, struct section *sec)
{
	o->at = (o->at + PAGE - 1) / PAGE * PAGE;
	*sec = (struct section){.at = o->at};
	o->sec = sec;
}

static void out_put(struct out *o, const void *data, size_t len)
{
	if (o->r == 0 && len)
		o->r = sys_pwrite_all(o->fd, data, len, o->at);
	o->at += len;
	o->sec->bytes += len;
}

static void out_whole(struct out *o, struct section *sec, const void *data, size_t len)
{
	out_begin(o, sec);
	out_put(o, data, len);
	sec->crc = crc32c(data, len);
}

/* A record as it is just now; links to rows that the checkpoint does not have are left out. */
static void copy_rec(struct vec_index *v, uint64_t row, uint64_t rows, char *ret)
{
	struct rec *from = rec_at(v, row), *to = (struct rec *)(void *)ret;
	unsigned degree = atomic_get(&from->degree), n = 0;
	memset(ret, 0, REC_CODE);
	to->scale = from->scale;
	to->bias = from->bias;
	to->sum = from->sum;
	for (unsigned i = 0; i < degree && i < LINKS_MAX; i++) {
		uint32_t link = atomic_get(&from->links[i]);
		if (link < rows)
			atomic_store_explicit(&to->links[n++], link, memory_order_relaxed);
	}
	atomic_store_explicit(&to->degree, (uint8_t)n, memory_order_relaxed);
	atomic_store_explicit(&to->in, atomic_get(&from->in), memory_order_relaxed);
	atomic_store_explicit(&to->flags, atomic_get(&from->flags), memory_order_relaxed);
	memcpy(ret + REC_CODE, rec_code(from), v->pad);
}

static void put_records(struct vec_index *v, struct out *o, struct checkpoint_head *h)
{
	size_t per = BLOCK / v->rec_bytes, blocks = (h->rows + per - 1) / per, n = 0;
	autofree char *block = calloc(per, v->rec_bytes);
	autofree uint32_t *crcs = calloc(blocks + 1, sizeof *crcs);
	if (!block || !crcs) {
		o->r = -ENOMEM;
		return;
	}
	out_begin(o, &h->sections[SEC_RECORDS]);
	for (uint64_t row = 0; row < h->rows; row += per) {
		size_t some = h->rows - row < per ? h->rows - row : per;
		for (size_t i = 0; i < some; i++)
			copy_rec(v, row + i, h->rows, block + i * v->rec_bytes);
		crcs[n++] = crc32c(block, some * v->rec_bytes);
		out_put(o, block, some * v->rec_bytes);
	}
	out_whole(o, &h->sections[SEC_BLOCKS], crcs, n * sizeof *crcs);
}

static void put_labels(struct vec_index *v, struct out *o, struct checkpoint_head *h)
{
	autobuf struct buf b;
	buf_init(&b, SIZE_MAX / 2);
	pthread_rwlock_rdlock(&v->map);
	for (size_t i = 0; i < v->n_postings; i++) {
		const struct posting *p = &v->postings[i];
		uint64_t head[2] = {p->label, 0};
		size_t at = b.len, n = 0;
		buf_add(&b, head, sizeof head);
		for (size_t j = 0; j < p->n; j++)
			if (p->rows[j] < h->rows && ++n)
				buf_add(&b, &p->rows[j], sizeof p->rows[j]);
		if (!b.fail)
			memcpy(b.data + at + 8, &(uint64_t){n}, 8);
		if (n % 2)
			buf_add(&b, "\0\0\0", 4);
	}
	pthread_rwlock_unlock(&v->map);
	if (b.fail)
		o->r = b.fail;
	else
		out_whole(o, &h->sections[SEC_LABELS], b.data, b.len);
}

/* What must be of one moment: the end of the log, which rows live, which wait. mu is held for so long. */
struct moment {
	uint64_t rows, from;
	uint64_t *alive;
	uint32_t *queue;
	size_t n_queue;
};

static int take_moment(struct vec_index *v, struct moment *m, struct err *e)
{
	pthread_mutex_lock(&v->mu);
	uint64_t head = atomic_get(&v->head), tail = atomic_get(&v->tail);
	m->rows = atomic_get(&v->n_rows);
	m->from = atomic_get(&v->log.tail);
	m->alive = calloc(m->rows / 64 + 1, sizeof *m->alive);
	m->queue = malloc((tail - head + 1) * sizeof *m->queue);
	bool ok = m->alive && m->queue;
	for (uint64_t w = 0; w * 64 < m->rows && ok; w++)
		m->alive[w] = atomic_get(alive_word(v, w));
	for (uint64_t pos = head; pos < tail && ok; pos++)
		m->queue[m->n_queue++] = atomic_get(ring_at(v, pos));
	v->dumping = ok;
	pthread_mutex_unlock(&v->mu);
	return ok ? 0 : err_set(e, ERR_VDB_FAILED, "no memory to write a checkpoint of '%s'", v->dir);
}

static void put_all(struct vec_index *v, struct out *o, struct checkpoint_head *h, const struct moment *m)
{
	put_records(v, o, h);
	out_whole(o, &h->sections[SEC_ROWS], v->rows.base, m->rows * sizeof(struct row));
	out_whole(o, &h->sections[SEC_ALIVE], m->alive, (m->rows + 63) / 64 * 8);
	out_whole(o, &h->sections[SEC_QUEUE], m->queue, m->n_queue * sizeof *m->queue);
	put_labels(v, o, h);
	h->crc = crc32c((char *)h + 12, sizeof *h - 12);
	if (o->r == 0)
		o->r = sys_pwrite_all(o->fd, h, sizeof *h, 0);
	if (o->r == 0 && sys->fsync(o->fd) < 0)
		o->r = -errno;
}

static int write_file(struct vec_index *v, const struct moment *m, uint64_t number, struct err *e)
{
	char tmp[PATH_BYTES], path[PATH_BYTES];
	struct checkpoint_head h = {.magic = "SYMBIVC1",
				    .dim = v->dim,
				    .number = number,
				    .metric = v->metric,
				    .rec_bytes = (uint32_t)v->rec_bytes,
				    .links_max = LINKS_MAX,
				    .rows = m->rows,
				    .linked = atomic_get(&v->n_linked),
				    .measured_at = atomic_get(&v->measured_at),
				    .from = m->from};
	memcpy(h.uuid, v->uuid, sizeof h.uuid);
	for (int i = 0; i < 3; i++)
		h.ef[i] = atomic_get(&v->ef[i]);
	checkpoint_path(v->dir, number, ".new", tmp);
	checkpoint_path(v->dir, number, "", path);
	autoclose int fd = sys->open(tmp, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct out o = {.fd = fd, .at = PAGE, .r = fd < 0 ? -errno : 0};
	if (o.r == 0)
		put_all(v, &o, &h, m);
	if (o.r == 0 && sys->rename(tmp, path) < 0)
		o.r = -errno;
	if (o.r == 0)
		o.r = sys_sync_dir(v->dir);
	if (o.r == 0)
		return 0;
	sys->unlink(tmp);
	return err_sys(e, o.r == -ENOSPC || o.r == -EDQUOT ? ERR_VDB_FULL : ERR_VDB_FAILED, -o.r, "cannot write '%s'", path);
}

int checkpoint_write(struct vec_index *v, struct err *e)
{
	struct moment m = {0};
	struct manifest next = v->manifest;
	char old[PATH_BYTES];
	int r = take_moment(v, &m, e);
	next.checkpoint++;
	next.from = next.synced = m.from;
	if (r == 0)
		r = rowlog_sync(&v->log, m.from, e);
	if (r == 0)
		r = write_file(v, &m, next.checkpoint, e);
	if (r == 0)
		r = manifest_write(v->dir, &next, e);
	if (r == 0) {
		checkpoint_path(v->dir, v->manifest.checkpoint, "", old);
		if (v->manifest.checkpoint)
			sys->unlink(old); /* it may still be mapped */
		v->manifest = next;
		atomic_set(&v->checkpoint_from, next.from);
	}
	pthread_mutex_lock(&v->mu);
	v->dumping = false;
	pthread_mutex_unlock(&v->mu);
	free(m.alive);
	free(m.queue);
	return r;
}
