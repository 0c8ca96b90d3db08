/* SPDX-License-Identifier: MIT */
/* files_content.c - the bytes of users' files, each text in a file of its own. L2; loop thread, but content_sync's work. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "runtime/runtime_i.h"

#define POOL_THREADS 2
#define PIECE	     (256u << 10)

void content_path(const struct runtime *rt, uint64_t content, char out[PATH_MAX])
{
	int n = snprintf(out, PATH_MAX, "%s/files", rt->state_dir);
	if (content)
		snprintf(out + n, PATH_MAX - (size_t)n, "/%016" PRIx64, content);
}

int file_open(const struct runtime *rt, uint64_t content)
{
	char path[PATH_MAX];
	content_path(rt, content, path);
	errno = ENOENT;
	return content ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
}

int content_reopen(const struct runtime *rt, uint64_t content)
{
	char path[PATH_MAX];
	content_path(rt, content, path);
	errno = ENOENT;
	return content ? open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW) : -1;
}

int content_new(struct runtime *rt, uint64_t *ret, int *ret_fd, struct err *e)
{
	char path[PATH_MAX];
	uint64_t n = clock_wall_ms() << 16;
	content_path(rt, 0, path);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_sys(e, ERR_SYS_IO, errno, "directory '%s'", path);
	n = n > rt->files.last_content ? n : rt->files.last_content + 1;
	for (;; n++) { /* a worker before this one may have made it in the same millisecond */
		content_path(rt, n, path);
		*ret_fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (*ret_fd >= 0 || errno != EEXIST)
			break;
	}
	if (*ret_fd < 0)
		return err_sys(e, ERR_SYS_IO, errno, "'%s'", path);
	*ret = rt->files.last_content = n;
	return 0;
}

void content_drop(struct runtime *rt, uint64_t content)
{
	char path[PATH_MAX];
	if (!content)
		return;
	content_path(rt, content, path);
	unlink(path);
}

void content_retire(struct runtime *rt, uint64_t content, uint64_t seq)
{
	struct files *t = &rt->files;
	if (!content || rt->replaying) /* a later record may name it; files_sweep finds what none did */
		return;
	if (t->dead_n == t->dead_cap) {
		size_t cap = t->dead_cap ? 2 * t->dead_cap : 64;
		struct dead_content *dead = realloc(t->dead, cap * sizeof *dead);
		if (!dead)
			return; /* files_sweep finds it */
		t->dead = dead;
		t->dead_cap = cap;
	}
	t->dead[t->dead_n++] = (struct dead_content){content, seq};
}

void files_written(struct runtime *rt, uint64_t seq)
{
	struct files *t = &rt->files;
	size_t n = 0;
	for (; n < t->dead_n && t->dead[n].seq <= seq; n++)
		content_drop(rt, t->dead[n].content);
	t->dead_n -= n;
	if (t->dead_n)
		memmove(t->dead, t->dead + n, t->dead_n * sizeof *t->dead);
}

/* ---- making it durable ---- */

struct pool *files_pool(struct runtime *rt)
{
	struct err e;
	if (!rt->files.pool && pool_open(&rt->files.pool, POOL_THREADS, rt->loop, &e) < 0)
		log_err(LOG_LEVEL_ERROR, "files.no_threads", &e, NULL, NULL);
	return rt->files.pool;
}

static int digest_of(struct content_sync *s)
{
	unsigned char sum[32];
	autofree char *piece = malloc(PIECE);
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	int r = piece && c && EVP_DigestInit_ex(c, EVP_sha256(), NULL) == 1 ? 0 : -ENOMEM;
	for (ssize_t n = 1; r == 0 && n > 0; s->size += n > 0 ? (uint64_t)n : 0) {
		n = pread(s->fd, piece, PIECE, (off_t)s->size);
		if (n < 0 || EVP_DigestUpdate(c, piece, (size_t)n) != 1)
			r = n < 0 ? -errno : -EIO;
	}
	if (r == 0 && EVP_DigestFinal_ex(c, sum, NULL) != 1)
		r = -EIO;
	for (size_t i = 0; r == 0 && i < sizeof sum; i++)
		snprintf(s->digest + 2 * i, 3, "%02x", sum[i]);
	EVP_MD_CTX_free(c);
	return r;
}

static void sync_work(struct pool_job *job)
{
	struct content_sync *s = container_of(job, struct content_sync, job);
	char dir[PATH_MAX];
	content_path(s->rt, 0, dir);
	s->size = 0;
	s->result = digest_of(s);
	if (s->result == 0 && fdatasync(s->fd) < 0)
		s->result = -errno;
	if (s->result == 0)
		s->result = sys_sync_dir(dir);
}

static void sync_done(struct pool_job *job)
{
	struct content_sync *s = container_of(job, struct content_sync, job);
	if (job->cancelled)
		s->result = -ESHUTDOWN;
	s->done(s);
}

void content_sync(struct runtime *rt, struct content_sync *s)
{
	struct pool *p = files_pool(rt);
	s->rt = rt;
	s->job = (struct pool_job){.work = sync_work, .done = sync_done};
	if (p) {
		pool_run(p, &s->job);
		return;
	}
	s->result = -EAGAIN;
	s->done(s);
}

/* ---- what is nobody's ---- */

static int by_number(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;
	return *x < *y ? -1 : *x > *y;
}

void files_sweep(struct runtime *rt)
{
	char path[PATH_MAX];
	const struct files *t = &rt->files;
	autofree uint64_t *kept = malloc((t->n + 1) * sizeof *kept);
	content_path(rt, 0, path);
	DIR *d = kept ? opendir(path) : NULL;
	if (!d)
		return;
	for (size_t i = 0; i < t->n; i++)
		kept[i] = t->all[i]->content;
	qsort(kept, t->n, sizeof *kept, by_number);
	for (struct dirent *ent; (ent = readdir(d));) {
		uint64_t n;
		if (sscanf(ent->d_name, "%16" SCNx64, &n) == 1 && !bsearch(&n, kept, t->n, sizeof *kept, by_number))
			content_drop(rt, n);
	}
	closedir(d);
}
