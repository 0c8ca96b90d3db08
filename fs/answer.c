/* SPDX-License-Identifier: MIT */
/* answer.c - what a question led to: a run of the agent, or a text made at once. L3; loop thread. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "fs/tree_i.h"
#include "lib/mem.h"

struct answer_state { /* plain bytes: kept */
	uint32_t serial, number;
};

struct answer *answer_ref(struct answer *a)
{
	if (a)
		a->refs++;
	return a;
}

struct answer *answer_of(struct tree *t, uint64_t id)
{
	struct index_link *l = id ? index_find(&t->answers, id) : NULL;
	return l ? container_of(l, struct answer, link) : NULL;
}

static void answer_free(struct answer *a)
{
	if (a->run)
		run_unref(a->run);
	free(a->text);
	free(a);
}

void answer_unref(struct tree *t, struct answer *a)
{
	if (!a || --a->refs)
		return;
	keep_gone(t->keep, KEEP_ANSWER, a->id);
	index_del(&t->answers, &a->link);
	answer_free(a);
}

bool answer_ready(const struct answer *a)
{
	return !a->run || run_state(a->run) == RUN_DONE;
}

uint64_t answer_size(struct tree *t, const struct answer *a)
{
	char path[PATH_MAX];
	struct stat st;
	if (!a->number)
		return a->len;
	if (!answer_ready(a))
		return 0;
	/* No answer, but a size of 0 would make busybox's cat succeed in silence. */
	if (!a->run || run_outcome(a->run, NULL) < 0 ||
	    run_file_path(t->rt, a->run, RUN_OUTPUT, path, sizeof path) < 0)
		return 1;
	return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
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

static int ask_run(const struct fs_ctx *c, struct answer *a, bool again, const char *q, size_t len,
		   struct err *e)
{
	uint32_t before = again ? runtime_run_of_req(c->rt, &c->who) : 0;
	struct run *known = before ? run_find(c->rt, c->agent, before) : NULL;
	if (known)
		a->run = run_ref(known);
	int r = a->run ? 0 : run_submit(c->rt, &c->who, c->agent, q, len, &a->run, e);
	if (r == 0) {
		a->serial = (uint32_t)agent_serial(c->agent);
		a->number = run_number(a->run);
	}
	return r;
}

void answer_keep(struct tree *t, const struct answer *a)
{
	struct answer_state st = {a->serial, a->number};
	keep_state(t->keep, KEEP_ANSWER, a->id, &st, sizeof st);
	if (a->len)
		keep_text(t->keep, KEEP_ANSWER, a->id, 0, a->text, a->len);
}

int answer_ask(struct tree *t, const struct place *p, const struct actor *who, bool again,
	       const char *q, size_t len, struct answer **ret, struct err *e)
{
	struct fs_ctx c;
	int r = place_bind(t, p, who, &c, e);
	if (r < 0)
		return r;
	struct answer *a = calloc(1, sizeof *a);
	if (!a)
		return err_set(e, ERR_SYS_MEMORY, "no memory for the question");
	a->refs = 1;
	a->id = t->next_seq++;
	r = c.node->ask ? ask_text(&c, a, q, len, e) : ask_run(&c, a, again, q, len, e);
	if (r == 0 && index_add(&t->answers, &a->link, a->id) < 0)
		r = err_set(e, ERR_SYS_MEMORY, "no memory for the answer");
	if (r < 0) {
		answer_free(a);
		return r;
	}
	answer_keep(t, a);
	*ret = a;
	return 0;
}

struct answer *answer_restore(struct tree *t, uint64_t id, const void *state, struct buf *text)
{
	const struct answer_state *st = state;
	struct answer *a = calloc(1, sizeof *a);
	if (!a || index_add(&t->answers, &a->link, id) < 0) {
		free(a);
		return NULL;
	}
	a->refs = 1;
	a->id = id;
	a->serial = st->serial;
	a->number = st->number;
	struct run *run = st->number
				  ? run_find(t->rt, agent_by_serial(t->rt, st->serial), st->number)
				  : NULL;
	a->run = run ? run_ref(run) : NULL;
	if (!st->number)
		a->text = buf_take(text, &a->len);
	return a;
}

ssize_t answer_read(struct tree *t, const struct answer *a, uint64_t off, void *buf, size_t size,
		    struct err *e)
{
	if (!a->number) {
		size_t left = off < a->len ? a->len - off : 0;
		size = size < left ? size : left;
		if (size)
			memcpy(buf, a->text + off, size);
		return (ssize_t)size;
	}
	if (!a->run)
		return err_set(e, ERR_FS_NO_ANSWER, "run %u is not kept any more", a->number);
	int r = run_outcome(a->run, e);
	if (r < 0)
		return r;
	char path[PATH_MAX];
	r = run_file_path(t->rt, a->run, RUN_OUTPUT, path, sizeof path);
	autoclose int fd = r < 0 ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return err_set(e, ERR_FS_NO_ANSWER, "the output of run %u is not kept any more",
			       a->number);
	ssize_t n = fd < 0 ? -1 : pread(fd, buf, size, (off_t)off);
	return n >= 0 ? n : err_sys(e, ERR_SYS_IO, errno, "output of run %u", a->number);
}
