/* SPDX-License-Identifier: MIT */
/* store.c - the directory of an index: its lock, its manifest, opened and closed. L1.
 *
 * MANIFEST is text, replaced by rename; it names the index, the checkpoint in use and from where the log is to be
 * replayed on top of it. docs/VECTORS.md has the format. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include "lib/crc32c.h"
#include "vectors/store.h"
#include "vectors/vec_i.h"

static const char *const metric_names[] = {"cosine", "dot", "l2"};

static int at_path(const char *dir, const char *name, char ret[PATH_BYTES], struct err *e)
{
	int n = snprintf(ret, PATH_BYTES, "%s/%s", dir, name);
	return n > 0 && n < PATH_BYTES ? 0 : err_set(e, ERR_VDB_INVALID, "name of the directory '%s' is too long", dir);
}

static int disk_error(int eno, const char *what, const char *path, struct err *e)
{
	return err_sys(e, eno == ENOSPC || eno == EDQUOT ? ERR_VDB_FULL : ERR_VDB_FAILED, eno, "cannot %s '%s'", what, path);
}

/* ---- the manifest ---- */

static int hex_bytes(const char *text, uint8_t *ret, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned byte;
		if (sscanf(text + 2 * i, "%2x", &byte) != 1)
			return -EINVAL;
		ret[i] = (uint8_t)byte;
	}
	return 0;
}

static int manifest_text(const struct manifest *m, char *ret, size_t size)
{
	char uuid[33];
	for (size_t i = 0; i < sizeof m->uuid; i++)
		snprintf(uuid + 2 * i, 3, "%02x", m->uuid[i]);
	int n = snprintf(ret, size, "symbi-index 1\nuuid %s\ndim %u\nmetric %s\ncheckpoint %llu\nfrom %llu\nsynced %llu\n", uuid, m->dim,
			 metric_names[m->metric], (unsigned long long)m->checkpoint, (unsigned long long)m->from,
			 (unsigned long long)m->synced);
	return n + snprintf(ret + n, size - (size_t)n, "crc32c %08x\n", crc32c(ret, (size_t)n));
}

int manifest_parse(const char *text, size_t len, struct manifest *ret)
{
	char uuid[33], metric[8];
	unsigned long long checkpoint, from, synced;
	unsigned crc;
	int end = 0;
	char line[512];
	if (len >= sizeof line || memchr(text, 0, len))
		return -EINVAL;
	memcpy(line, text, len);
	line[len] = 0;
	if (sscanf(line, "symbi-index 1\nuuid %32[0-9a-f]\ndim %u\nmetric %7[a-z0-9]\ncheckpoint %llu\nfrom %llu\nsynced %llu\n%n", uuid,
		   &ret->dim, metric, &checkpoint, &from, &synced, &end) != 6 || !end)
		return -EINVAL;
	if (sscanf(line + end, "crc32c %8x\n", &crc) != 1 || crc32c(line, (size_t)end) != crc)
		return -EINVAL;
	for (ret->metric = 0; ret->metric < ARRAY_LEN(metric_names); ret->metric++)
		if (strcmp(metric, metric_names[ret->metric]) == 0)
			break;
	if (ret->metric == ARRAY_LEN(metric_names) || !ret->dim || ret->dim > VEC_DIM_MAX || strlen(uuid) != 32)
		return -EINVAL;
	ret->checkpoint = checkpoint;
	ret->from = from;
	ret->synced = synced;
	char again[512];
	if (hex_bytes(uuid, ret->uuid, sizeof ret->uuid) < 0)
		return -EINVAL;
	return (size_t)manifest_text(ret, again, sizeof again) == len && memcmp(again, text, len) == 0 ? 0 : -EINVAL;
}

int manifest_write(const char *dir, const struct manifest *m, struct err *e)
{
	char tmp[PATH_BYTES], path[PATH_BYTES], text[512];
	int len = manifest_text(m, text, sizeof text);
	if (at_path(dir, "MANIFEST", path, e) < 0 || at_path(dir, "MANIFEST.new", tmp, e) < 0)
		return -EINVAL;
	autoclose int fd = sys->open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return disk_error(errno, "create", tmp, e);
	int r = sys_pwrite_all(fd, text, (size_t)len, 0);
	if (r == 0 && (sys->fsync(fd) < 0 || sys->rename(tmp, path) < 0))
		r = -errno;
	if (r == 0)
		r = sys_sync_dir(dir);
	return r < 0 ? disk_error(-r, "write", path, e) : 0;
}

static int manifest_read(const char *dir, struct manifest *ret, struct err *e)
{
	char path[PATH_BYTES], text[512];
	int r = at_path(dir, "MANIFEST", path, e);
	if (r < 0)
		return r;
	autoclose int fd = sys->open(path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	ssize_t n = fd < 0 ? -1 : sys->pread(fd, text, sizeof text, 0);
	if (n < 0)
		return disk_error(errno, "read", path, e);
	if (manifest_parse(text, (size_t)n, ret) < 0)
		return err_set(e, ERR_VDB_DAMAGED, "'%s' is damaged at offset 0: not a manifest of this format, or its checksum is wrong; restore it from a backup", path);
	return 0;
}

/* ---- opening ---- */

static int lock_dir(struct vec_index *v, const char *dir, const struct vec_options *o, struct err *e)
{
	char path[PATH_BYTES];
	if (!o->must_exist && sys->mkdir(dir, 0700) < 0 && errno != EEXIST)
		return disk_error(errno, "create", dir, e);
	int r = at_path(dir, "LOCK", path, e);
	if (r < 0)
		return r;
	v->lock_fd = sys->open(path, O_RDWR | O_CLOEXEC | (o->must_exist ? 0 : O_CREAT), 0600);
	if (v->lock_fd < 0 && errno == ENOENT)
		return err_set(e, ERR_VDB_NOT_FOUND, "there is no index in '%s'", dir);
	if (v->lock_fd < 0)
		return disk_error(errno, "open", path, e);
	if (flock(v->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return err_set(e, ERR_VDB_BUSY, "index '%s' is open in another process", dir);
	return 0;
}

static int begin(struct vec_index *v, struct manifest *m, struct err *e)
{
	char path[PATH_BYTES];
	struct stat st;
	int r = at_path(v->dir, "rows-00000001.vec", path, e);
	if (r == 0 && stat(path, &st) == 0 && st.st_size > (off_t)sizeof(struct rowlog_segment_head))
		return err_set(e, ERR_VDB_DAMAGED, "'%s/MANIFEST' is missing and rows are there; restore it from a backup", v->dir);
	sys->random(m->uuid, sizeof m->uuid);
	memcpy(v->uuid, m->uuid, sizeof v->uuid);
	if (r == 0)
		r = index_reserve(v, e);
	if (r == 0)
		r = rowlog_init(&v->log, v->dir, v->dim, (uint8_t)v->metric, v->uuid, e);
	if (r == 0)
		r = rowlog_create(&v->log, 1, e);
	m->dim = v->dim;
	m->metric = v->metric;
	m->from = m->synced = atomic_get(&v->log.tail);
	atomic_set(&v->log.synced, m->synced);
	v->map_ready = true;
	if (r == 0)
		r = manifest_write(v->dir, m, e);
	v->manifest = *m;
	atomic_set(&v->checkpoint_from, m->from);
	return r;
}

struct replaying {
	struct vec_index *v;
	struct err *e;
};

static int replay_one(void *arg, const struct rowlog_put *p, uint64_t at)
{
	struct replaying *rp = arg;
	struct vec_index *v = rp->v;
	struct vec_row row = {p->id, p->vector, p->labels, p->n_labels, p->payload, p->payload_len};
	int r = map_ready(v, rp->e);
	if (r < 0)
		return r;
	if (p->op == LOG_DELETE) {
		rows_delete(v, p->id);
		return 0;
	}
	r = rows_room(v, &row, 1, rp->e);
	if (r == 0)
		rows_put(v, p, at);
	return r;
}

static int agree(struct vec_index *v, const struct manifest *m, const struct vec_options *o, struct err *e)
{
	if (o->dim && o->dim != m->dim)
		return err_set(e, ERR_VDB_INVALID, "index '%s' has dimension %u, not %u", v->dir, m->dim, o->dim);
	if (!o->any_metric && o->metric != m->metric)
		return err_set(e, ERR_VDB_INVALID, "index '%s' has the metric %s, not %s", v->dir, metric_names[m->metric],
			       metric_names[o->metric]);
	v->dim = m->dim;
	v->metric = (enum vec_metric)m->metric;
	memcpy(v->uuid, m->uuid, sizeof v->uuid);
	return 0;
}

/* Every live row's place is in a segment that is there. */
static int check_places(struct vec_index *v, struct err *e)
{
	uint64_t need = sizeof(struct rowlog_head) + v->dim * sizeof(float);
	for (uint64_t row = 0, n = v->saved_rows; row < n; row++) {
		uint64_t at = atomic_get(&row_at(v, row)->at);
		if (!row_alive(v, row) || (at % 64 == 0 && at % LOG_SEGMENT && rowlog_room(&v->log, at) >= need))
			continue;
		return err_set(e, ERR_VDB_DAMAGED, "'%s/rows-%08llu.vec' is missing or too short for row %llu; restore it from a backup",
			       v->dir, (unsigned long long)(at / LOG_SEGMENT), (unsigned long long)atomic_get(&row_at(v, row)->id));
	}
	return 0;
}

int open_dir(struct vec_index *v, const char *dir, const struct vec_options *o, struct err *e)
{
	struct manifest m = {0};
	if (!(v->dir = strdup(dir)))
		return err_set(e, ERR_VDB_FAILED, "no memory for an index");
	int r = lock_dir(v, dir, o, e);
	if (r < 0)
		return r;
	r = manifest_read(dir, &m, e);
	if (r == -ENOENT)
		return o->must_exist ? err_set(e, ERR_VDB_NOT_FOUND, "there is no index in '%s'", dir) : begin(v, &m, e);
	if (r == 0)
		r = agree(v, &m, o, e);
	if (r == 0)
		r = index_reserve(v, e);
	if (r == 0)
		r = rowlog_init(&v->log, v->dir, v->dim, (uint8_t)v->metric, v->uuid, e);
	v->map_ready = !m.checkpoint;
	if (r == 0 && m.checkpoint)
		r = checkpoint_load(v, &m, e);
	struct replaying rp = {v, e};
	if (r == 0)
		r = rowlog_replay(&v->log, 1, m.from, m.synced, replay_one, &rp, e);
	if (r == 0)
		r = check_places(v, e);
	v->manifest = m;
	atomic_set(&v->checkpoint_from, m.from);
	return r;
}

void close_dir(struct vec_index *v)
{
	struct manifest m = v->manifest;
	uint64_t tail = atomic_get(&v->log.tail);
	if (!v->dir || v->log.failed || rowlog_sync(&v->log, tail, NULL) < 0)
		return;
	if (tail - m.from > CHECKPOINT_AT_CLOSE && checkpoint_write(v, NULL) == 0)
		return;
	m.synced = tail; /* what was acknowledged: damage before it is not taken for a torn tail */
	if (m.synced != v->manifest.synced)
		manifest_write(v->dir, &m, NULL);
}

void stats_dir(struct vec_index *v, struct vec_stats *ret)
{
	DIR *d = v->dir ? opendir(v->dir) : NULL;
	struct stat st;
	for (struct dirent *f; d && (f = readdir(d));)
		if (f->d_name[0] != '.' && fstatat(dirfd(d), f->d_name, &st, 0) == 0)
			ret->disk_bytes += (uint64_t)st.st_blocks * 512;
	if (d)
		closedir(d);
	ret->replay_bytes = v->dir ? atomic_get(&v->log.tail) - atomic_get(&v->checkpoint_from) : 0;
}
