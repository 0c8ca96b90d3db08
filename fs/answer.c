/* SPDX-License-Identifier: MIT */
/* answer.c - what a question led to: a run of the agent, or a text made at once. L3; loop thread. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "fs/tree_i.h"
#include "lib/mem.h"

struct answer *answer_ref(struct answer *a)
{
	if (a)
		a->refs++;
	return a;
}

void answer_unref(struct answer *a)
{
	if (!a || --a->refs)
		return;
	if (a->run)
		run_unref(a->run);
	free(a->text);
	free(a);
}

bool answer_ready(const struct answer *a)
{
	return !a->run || run_state(a->run) == RUN_DONE;
}

uint64_t answer_size(struct tree *t, const struct answer *a)
{
	char path[PATH_MAX];
	struct stat st;
	if (!a->run)
		return a->len;
	if (!answer_ready(a) || run_file_path(t->rt, a->run, RUN_OUTPUT, path, sizeof path) < 0 ||
	    stat(path, &st) < 0)
		return 0;
	/* A failed run has no answer, but a size of 0 would make busybox's cat succeed in silence. */
	return st.st_size == 0 && run_outcome(a->run, NULL) < 0 ? 1 : (uint64_t)st.st_size;
}

static int ask_text(const struct fs_ctx *c, struct answer *a, const char *q, size_t len,
		    struct err *e)
{
	autobuf struct buf out;
	buf_init(&out, FS_DOC_MAX);
	int r = c->node->ask(c, q, len, &out, e);
	if (r < 0)
		return r;
	a->text = buf_take(&out, &a->len);
	return a->text ? 0 : err_set(e, ERR_SYS_MEMORY, "no memory for the answer");
}

int answer_ask(struct tree *t, const struct place *p, const struct actor *who, const char *q,
	       size_t len, struct answer **ret, struct err *e)
{
	struct fs_ctx c;
	int r = place_bind(t, p, who, &c, e);
	if (r < 0)
		return r;
	struct answer *a = calloc(1, sizeof *a);
	if (!a)
		return err_set(e, ERR_SYS_MEMORY, "no memory for the question");
	a->refs = 1;
	r = c.node->ask ? ask_text(&c, a, q, len, e)
			: run_submit(t->rt, who, c.agent, q, len, &a->run, e);
	if (r < 0) {
		answer_unref(a);
		return r;
	}
	*ret = a;
	return 0;
}

ssize_t answer_read(struct tree *t, const struct answer *a, uint64_t off, void *buf, size_t size,
		    struct err *e)
{
	if (!a->run) {
		size_t left = off < a->len ? a->len - off : 0;
		size = size < left ? size : left;
		memcpy(buf, a->text + (off < a->len ? off : 0), size);
		return (ssize_t)size;
	}
	int r = run_outcome(a->run, e);
	if (r < 0)
		return r;
	char path[PATH_MAX];
	r = run_file_path(t->rt, a->run, RUN_OUTPUT, path, sizeof path);
	autoclose int fd = r < 0 ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : pread(fd, buf, size, (off_t)off);
	return n >= 0 ? n : err_sys(e, ERR_SYS_IO, errno, "output of run %u", run_number(a->run));
}
