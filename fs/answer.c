/* SPDX-License-Identifier: MIT */
/* answer.c - what a question led to: a run of the agent, or a text made at once. L3; loop thread. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "fs/tree_i.h"
#include "lib/log.h"
#include "lib/mem.h"

#define SETTLED_MS 10000 /* a run that ended so long ago is in the journal, however slow the disk */

/* A stat that came too early for the size must not say less than there will be: who trusts it (sendfile)
 * would end in silence. A read past the end corrects it. */
#define UNFINISHED_SIZE FS_DOC_MAX

struct answer_state { /* plain bytes: kept */
	uint32_t serial, number;
	struct actor who;
	bool unsettled; /* the journal may not have the run; the question is kept too */
	fs_id asked;	/* it is being made: where it was asked, and the question is kept; 0: it is not */
};

struct fs_later { /* an answer that is being made */
	struct fs_later *next, **pprev;
	struct tree *t; /* NULL: nobody waits any more */
	struct answer *a; /* owned reference */
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

static int read_file(const char *path, struct buf *out)
{
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0 || buf_reserve(out, (size_t)st.st_size) < 0)
		return -EIO;
	ssize_t n = read(fd, out->data, (size_t)st.st_size);
	out->len = n > 0 ? (size_t)n : 0;
	return n < 0 ? -errno : 0;
}

static void answer_free(struct answer *a)
{
	run_wait_cancel(&a->run_waiter);
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
	return !a->later && (!a->run || run_state(a->run) == RUN_DONE);
}

/* ---- waiting ---- */

static void wake(struct answer *a)
{
	struct answer_waiter *list = take_ptr(a->waiters);
	if (list)
		list->pprev = &list;
	while (list) { /* each may cancel others */
		struct answer_waiter *w = list;
		answer_wait_cancel(w);
		w->fn(w);
	}
}

static void run_ended(struct run_waiter *w, struct run *r)
{
	(void)r;
	struct answer *a = container_of(w, struct answer, run_waiter);
	wake(a);
}

void answer_wait(struct answer *a, struct answer_waiter *w)
{
	if (!a->waiters && a->run) {
		run_wait_cancel(&a->run_waiter); /* of waiters that all went away */
		a->run_waiter = (struct run_waiter){.fn = run_ended};
		run_wait(a->run, &a->run_waiter);
	}
	w->next = a->waiters;
	w->pprev = &a->waiters;
	if (w->next)
		w->next->pprev = &w->next;
	a->waiters = w;
}

void answer_wait_cancel(struct answer_waiter *w)
{
	if (!w->pprev)
		return;
	*w->pprev = w->next;
	if (w->next)
		w->next->pprev = w->pprev;
	w->next = NULL;
	w->pprev = NULL;
}

/* ---- answers that take work ---- */

static void later_end(struct fs_later *l)
{
	*l->pprev = l->next;
	if (l->next)
		l->next->pprev = l->pprev;
	answer_unref(l->t, l->a);
	l->t = NULL;
}

void laters_forget(struct tree *t)
{
	while (t->laters)
		later_end(t->laters);
}

void fs_answer_later(struct fs_later *l, const char *text, size_t len, const struct err *e)
{
	struct tree *t = l->t;
	struct answer *a = l->a;
	if (t) {
		a->later = NULL;
		char *copy = e ? NULL : malloc(len + 1);
		if (copy) {
			memcpy(copy, text, len);
			free(a->text); /* the question */
			a->text = copy;
			a->len = len;
		} else if (e) {
			a->failed = *e;
		} else {
			err_set(&a->failed, ERR_SYS_MEMORY, "no memory for the answer");
		}
		t->changes++;
		answer_keep(t, a);
		wake(a);
		later_end(l);
	}
	free(l);
}

static int ask_later(struct tree *t, const struct fs_ctx *c, const struct place *p, struct answer *a, const char *q, size_t len,
		     struct err *e)
{
	struct fs_later *l = calloc(1, sizeof *l);
	a->text = l ? malloc(len + 1) : NULL;
	if (!a->text) {
		free(l);
		return err_set(e, ERR_SYS_MEMORY, "no memory for the question");
	}
	memcpy(a->text, q, len);
	a->len = len;
	a->asked = *p;
	a->who = c->who;
	a->who.groups = NULL;
	a->later = l;
	*l = (struct fs_later){.next = t->laters, .pprev = &t->laters, .t = t, .a = answer_ref(a)};
	if (l->next)
		l->next->pprev = &l->next;
	t->laters = l;
	int r = c->node->ask_later(c, a->text, a->len, l, e);
	if (r < 0) {
		a->later = NULL;
		*l->pprev = l->next;
		if (l->next)
			l->next->pprev = l->pprev;
		a->refs--;
		free(l);
	}
	return r;
}

uint64_t answer_size(struct tree *t, const struct answer *a)
{
	char path[PATH_MAX];
	struct stat st;
	if (!answer_ready(a))
		return UNFINISHED_SIZE;
	if (!a->number) /* where there is none: as below */
		return a->failed.code == ERR_NONE ? a->len : 1;
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
	if (r < 0)
		return r;
	a->serial = (uint32_t)agent_serial(c->agent);
	a->number = run_number(a->run);
	a->who = c->who;
	a->who.groups = NULL;
	a->text = malloc(len + 1);
	a->len = a->text ? len : 0;
	if (a->text)
		memcpy(a->text, q, len);
	return 0;
}

void answer_keep(struct tree *t, struct answer *a)
{
	if (a->number && a->text && answer_ready(a) &&
	    (!a->run || clock_wall_ms() > run_mtime_ms(a->run) + SETTLED_MS)) {
		free(take_ptr(a->text));
		a->len = 0;
	}
	struct answer_state st = {.serial = a->serial, .number = a->number, .who = a->who, .unsettled = a->number && a->text};
	if (a->later || a->failed.code != ERR_NONE) /* one that failed is asked again by the next worker */
		st.asked = place_id(&a->asked);
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
	if (c.node->ask_later)
		r = ask_later(t, &c, p, a, q, len, e);
	else
		r = c.node->ask ? ask_text(&c, a, q, len, e) : ask_run(&c, a, again, q, len, e);
	if (r == 0 && index_add(&t->answers, &a->link, a->id) < 0)
		r = err_set(e, ERR_SYS_MEMORY, "no memory for the answer");
	if (r < 0 && a->later) { /* told later, to nobody */
		later_end(a->later);
		a->later = NULL;
	}
	if (r < 0) {
		answer_free(a);
		return r;
	}
	answer_keep(t, a);
	*ret = a;
	return 0;
}

static bool was_asked(struct tree *t, const struct run *r, const struct buf *question)
{
	char path[PATH_MAX];
	autobuf struct buf input;
	buf_init(&input, FS_DOC_MAX);
	if (run_file_path(t->rt, r, RUN_INPUT, path, sizeof path) < 0 ||
	    read_file(path, &input) < 0)
		return false;
	return input.len == question->len && memcmp(input.data, question->data, input.len) == 0;
}

/* The run that the question became. When the worker was killed before the journal had it, there is none,
 * or the number is another's by now; the caller was told that it was asked, so it is asked now. */
static void restore_run(struct tree *t, struct answer *a, bool unsettled, struct buf *question)
{
	struct err e;
	struct agent *agent = agent_by_serial(t->rt, a->serial);
	uint32_t known = runtime_run_of_req(t->rt, &a->who);
	struct run *run = run_find(t->rt, agent, known ? known : a->number), *oldest = agent ? run_next(t->rt, agent, 0) : NULL;
	bool forgotten = !run && oldest && run_number(oldest) > a->number; /* it was asked, and is not kept any more */
	if (run && (known || !unsettled || was_asked(t, run, question)))
		a->run = run_ref(run);
	else if (agent && unsettled && !forgotten &&
		 run_submit(t->rt, &a->who, agent, question->data, question->len, &a->run, &e) < 0)
		log_err(LOG_LEVEL_WARN, "answer.lost", &e, NULL, NULL);
	if (a->run)
		a->number = run_number(a->run);
	if (unsettled)
		a->text = buf_take(question, &a->len);
}

/* Its worker was killed before the answer was there: the question is put again. */
static void restore_asked(struct tree *t, struct answer *a, fs_id asked, const struct buf *question)
{
	struct place p;
	struct fs_ctx c;
	int r = place_of(t, asked, &p, &a->failed);
	if (r == 0)
		r = place_bind(t, &p, &a->who, &c, &a->failed);
	if (r == 0)
		ask_later(t, &c, &p, a, question->data, question->len, &a->failed);
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
	a->who = st->who;
	if (st->asked)
		restore_asked(t, a, st->asked, text);
	else if (st->number)
		restore_run(t, a, st->unsettled, text);
	else
		a->text = buf_take(text, &a->len);
	return a;
}

ssize_t answer_read(struct tree *t, const struct answer *a, uint64_t off, void *buf, size_t size,
		    struct err *e)
{
	if (!a->number && a->failed.code != ERR_NONE) {
		if (e)
			*e = a->failed;
		return -a->failed.eno;
	}
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
