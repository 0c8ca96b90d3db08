/* SPDX-License-Identifier: MIT */
/* audit.c - the thread that follows the journal into the audit trail, and what the tree shows of it. L2; the loop thread
 * but for what follow() calls. */
#include "runtime/audit.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/journal_follow.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/metric.h"
#include "lib/sys.h"
#include "runtime/audit_export.h"
#include "runtime/audit_trail.h"
#include "runtime/audit_verify.h"

#define WRITE_BYTES (256u << 10) /* of lines gathered before they are written */
#define NAP_NS	    5000000u	 /* while records come, they are gathered so long */
#define NAPS	    40		 /* without a record before the thread sleeps until it is woken */
#define RETRY_NS    1000000000u	 /* after a failure */

struct audit {
	/* constant */
	char *dir, *journal_dir, *export_to;
	struct journal *journal;
	struct loop *loop;
	uint64_t every_records, every_ms;
	const char *(*type_name)(uint16_t type);
	bool (*redact)(const struct journal_record *rec, struct buf *out);
	uint32_t (*agent_of)(const struct journal_record *rec);
	struct note_public pub;
	pthread_t thread;
	/* the thread's */
	struct trail trail;
	struct journal_follow *follow;
	bool heads_loaded;
	struct buf body; /* scratch */
	uint64_t unsigned_since_ns; /* of the oldest record that is not signed, 0: none */
	/* shared, under mu */
	pthread_mutex_t mu;
	pthread_cond_t wake;
	bool stop;
	char head[NOTE_TEXT_MAX];
	uint64_t written_bytes, checkpoint_bytes, signed_size, first_seq;
	struct err trouble, export_trouble;
	/* any thread */
	_Atomic uint64_t kept_seq;
	atomic_bool sleeping, no_verifying;
	/* the loop's */
	struct verifying *verifying;
	bool closing;
	char verified[1024];
};

/* ---- the thread ---- */

static void publish(struct audit *a)
{
	const struct trail *t = &a->trail;
	pthread_mutex_lock(&a->mu);
	a->written_bytes = t->bytes[TRAIL_LOG];
	a->checkpoint_bytes = t->bytes[TRAIL_CHECKPOINTS];
	a->first_seq = t->first_seq;
	if (a->signed_size != t->signed_size || !a->head[0]) {
		a->signed_size = t->signed_size;
		snprintf(a->head, sizeof a->head, "%s", t->pending[TRAIL_CHECKPOINTS].data);
	}
	pthread_mutex_unlock(&a->mu);
}

/* What goes wrong is said once, until it is something else. */
static void set_trouble(struct audit *a, struct err *where, const struct err *e, const char *event)
{
	pthread_mutex_lock(&a->mu);
	bool news = e->code != where->code || strcmp(e->msg, where->msg) != 0;
	*where = *e;
	pthread_mutex_unlock(&a->mu);
	if (news && e->code != ERR_NONE)
		log_err(LOG_LEVEL_ERROR, event, e, NULL, NULL);
}

static int begin(struct audit *a, struct err *e)
{
	int r = a->heads_loaded ? 0 : trail_load_heads(&a->trail, e);
	a->heads_loaded = r == 0;
	if (r == 0 && !a->follow)
		r = journal_follow_open(&a->follow, a->journal_dir, trail_last_seq(&a->trail), e);
	return r;
}

/* Everything that is in the journal's file by now. 1: there was something, 0, or -errno. */
static int follow(struct audit *a, struct err *e)
{
	struct journal_record rec;
	uint64_t upto = journal_written_seq(a->journal), before = a->trail.tree.size;
	int r = begin(a, e);
	while (r == 0 && trail_last_seq(&a->trail) < upto && (r = journal_follow_next(a->follow, upto, &rec, e)) == 1) {
		uint32_t about = a->agent_of(&rec);
		if (a->redact(&rec, &a->body)) {
			rec.body = a->body.data;
			rec.body_len = a->body.len;
		}
		r = a->body.fail ? -ENOMEM : trail_add(&a->trail, &rec, a->type_name(rec.type), about);
		a->body.fail = 0;
		if (r < 0) { /* this record was taken: begin again behind the last one that was added */
			journal_follow_close(take_ptr(a->follow));
			err_set(e, ERR_SYS_MEMORY, "no memory for the audit trail");
		} else if (trail_pending(&a->trail) >= WRITE_BYTES) {
			r = trail_write(&a->trail, e);
		}
	}
	if (r >= 0)
		r = trail_write(&a->trail, e);
	if (r < 0)
		return r;
	if (a->trail.tree.size > a->trail.signed_size && !a->unsigned_since_ns)
		a->unsigned_since_ns = clock_mono_ns();
	metric_add(METRIC_AUDIT_RECORDS, a->trail.tree.size - before);
	return a->trail.tree.size > before;
}

/* When the oldest record that is not signed is to be, 0: there is none. */
static uint64_t due_ns(const struct audit *a)
{
	if (!a->unsigned_since_ns)
		return 0;
	if (!a->trail.signed_size || a->trail.tree.size - a->trail.signed_size >= a->every_records)
		return 1; /* the first one at once: a trail without any proves nothing */
	return a->unsigned_since_ns + a->every_ms * 1000000u;
}

static void export_head(struct audit *a)
{
	struct err e = {0};
	if (!*a->export_to)
		return;
	if (audit_export(a->export_to, a->trail.pending[TRAIL_CHECKPOINTS].data, a->trail.pending[TRAIL_CHECKPOINTS].len, &e) < 0)
		metric_add(METRIC_AUDIT_EXPORTS_FAILED, 1);
	set_trouble(a, &a->export_trouble, &e, "audit.export_failed");
}

static int sign(struct audit *a, struct err *e)
{
	/* A power cut must not take what was signed: its number would be given to another record. */
	int r = journal_follow_sync(a->follow, e);
	if (r == 0)
		r = trail_checkpoint(&a->trail, e);
	if (r < 0)
		return r;
	a->unsigned_since_ns = 0;
	atomic_store(&a->kept_seq, trail_last_seq(&a->trail));
	metric_add(METRIC_AUDIT_CHECKPOINTS, 1);
	publish(a);
	export_head(a);
	return 0;
}

/* Until something is to be done; ns: at most. */
static void wait(struct audit *a, uint64_t ns, bool deep)
{
	struct timespec at;
	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += (time_t)(ns / 1000000000u);
	at.tv_nsec += (long)(ns % 1000000000u);
	if (at.tv_nsec >= 1000000000) {
		at.tv_nsec -= 1000000000;
		at.tv_sec++;
	}
	pthread_mutex_lock(&a->mu);
	atomic_store(&a->sleeping, deep);
	if (!a->stop && !(deep && journal_written_seq(a->journal) > trail_last_seq(&a->trail)))
		pthread_cond_timedwait(&a->wake, &a->mu, &at);
	atomic_store(&a->sleeping, false);
	pthread_mutex_unlock(&a->mu);
}

static bool is_stopping(struct audit *a)
{
	pthread_mutex_lock(&a->mu);
	bool stop = a->stop;
	pthread_mutex_unlock(&a->mu);
	return stop;
}

/* Sleep as long as there is nothing to do, and no longer than to the next checkpoint. */
static void rest(struct audit *a, unsigned idle)
{
	uint64_t due = due_ns(a), now = clock_mono_ns(), most = 3600ull * 1000000000u;
	bool deep = idle > NAPS;
	if (due)
		most = due > now ? due - now : 0;
	wait(a, deep ? most : most < NAP_NS ? most : NAP_NS, deep);
}

static void *run(void *arg)
{
	struct audit *a = arg;
	for (unsigned idle = 0;;) {
		struct err e = {0};
		bool stopping = is_stopping(a);
		int r = follow(a, &e);
		idle = r > 0 ? 0 : idle + 1;
		publish(a);
		uint64_t due = r >= 0 ? due_ns(a) : 0;
		if (due && (stopping || due <= clock_mono_ns()))
			r = sign(a, &e);
		set_trouble(a, &a->trouble, &e, "audit.failed");
		if (stopping)
			return NULL;
		if (r < 0)
			wait(a, RETRY_NS, false);
		else
			rest(a, idle);
	}
}

/* ---- life ---- */

static void dispose(struct audit *a)
{
	journal_follow_close(a->follow);
	trail_close(&a->trail);
	buf_done(&a->body);
	pthread_mutex_destroy(&a->mu);
	pthread_cond_destroy(&a->wake);
	free(a->dir);
	free(a->journal_dir);
	free(a->export_to);
	free(a);
}

static struct audit *make(const struct audit_opts *o)
{
	struct audit *a = calloc(1, sizeof *a);
	pthread_condattr_t attr;
	if (!a)
		return NULL;
	a->dir = strdup(o->dir);
	a->journal_dir = strdup(o->journal_dir);
	a->export_to = strdup(o->export_to);
	a->journal = o->journal;
	a->loop = o->loop;
	a->every_records = o->every_records;
	a->every_ms = o->every_ms;
	a->type_name = o->type_name;
	a->agent_of = o->agent_of;
	a->redact = o->redact;
	buf_init(&a->body, JOURNAL_BODY_MAX + 4096u);
	pthread_mutex_init(&a->mu, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&a->wake, &attr);
	pthread_condattr_destroy(&attr);
	snprintf(a->verified, sizeof a->verified, "not yet; write `now` to verify\n");
	return a;
}

/* Its name says which log it is, and stays although the machine gets another one: it stands in the key. */
static void log_name(char out[NOTE_NAME_MAX])
{
	char host[65] = "localhost";
	gethostname(host, sizeof host - 1);
	for (char *p = host; *p; p++)
		if (*p <= ' ' || *p == '+' || *p > 126)
			*p = '-';
	snprintf(out, NOTE_NAME_MAX, "%s/symbi", *host ? host : "localhost");
}

static int check_journal(const struct audit *a, struct err *e)
{
	uint64_t last = trail_last_seq(&a->trail), journal = journal_last_seq(a->journal);
	if (last <= journal)
		return 0;
	return err_set(e, ERR_AUDIT_ALTERED, "the audit trail in '%s' has record %" PRIu64 " signed, and the journal ends with %" PRIu64
		       ": one of them is older than the other; restore both from one copy", a->dir, last, journal);
}

int audit_open(struct audit **ret, const struct audit_opts *o, struct err *e)
{
	char name[NOTE_NAME_MAX];
	struct audit *a = make(o);
	if (!a)
		return err_set(e, ERR_SYS_MEMORY, "no memory for the audit trail");
	log_name(name);
	if (!a->dir || !a->journal_dir || !a->export_to)
		abort(); /* at a start, some hundred bytes */
	struct trail_place at = {.dir = o->dir, .key_file = o->key_file, .seal_file = o->seal_file, .name = name};
	int r = trail_open(&a->trail, &at, e);
	if (r == 0)
		r = check_journal(a, e);
	if (r == 0) {
		a->pub = a->trail.key->pub;
		atomic_store(&a->kept_seq, trail_last_seq(&a->trail));
		publish(a);
		r = -pthread_create(&a->thread, NULL, run, a);
		if (r < 0)
			err_sys(e, ERR_SYS_IO, -r, "the audit trail's thread cannot be started");
	}
	if (r < 0) {
		dispose(a);
		return r;
	}
	*ret = a;
	return 0;
}

static void wake(struct audit *a)
{
	pthread_mutex_lock(&a->mu);
	pthread_cond_signal(&a->wake);
	pthread_mutex_unlock(&a->mu);
}

void audit_poke(struct audit *a)
{
	if (a && atomic_load(&a->sleeping))
		wake(a);
}

uint64_t audit_kept_seq(const struct audit *a)
{
	return a ? atomic_load(&a->kept_seq) : UINT64_MAX;
}

/* ---- verification, on a thread of libuv's ---- */

struct verifying {
	uv_work_t work;
	struct audit *a;
	struct runtime_done done;
	struct audit_report report;
	uint64_t bytes, checkpoint_bytes;
	struct err e;
	int r;
};

static void verify_now(uv_work_t *w)
{
	struct verifying *v = w->data;
	struct audit_files f = {.dir = v->a->dir, .log_bytes = v->bytes, .checkpoint_bytes = v->checkpoint_bytes,
				.stop = &v->a->no_verifying};
	v->r = audit_verify_files(&f, &v->a->pub, &v->report, &v->e);
}

static void verify_done(uv_work_t *w, int status)
{
	struct verifying *v = w->data;
	struct audit *a = v->a;
	autobuf struct buf text;
	buf_init(&text, sizeof a->verified - 1);
	if (status < 0)
		v->r = err_sys(&v->e, ERR_SYS_IO, -status, "the verification was not done");
	buf_printf(&text, "%s%s%s\nat_ms %llu\n", v->r == 0 ? "ok" : err_code_name(v->e.code), v->r == 0 ? "" : " ",
		   v->r == 0 ? "" : v->e.msg, (unsigned long long)clock_wall_ms());
	audit_report_text(&v->report, &text);
	snprintf(a->verified, sizeof a->verified, "%s", text.data);
	a->verifying = NULL;
	if (!a->closing) /* else whoever asked is gone */
		v->done.fn(v->done.arg, v->r < 0 ? &v->e : NULL);
	free(v);
}

int audit_verify(struct audit *a, struct runtime_done done, struct err *e)
{
	if (a->verifying)
		return err_sys(e, ERR_AUDIT_ASK, EBUSY, "a verification goes on; read its result when it is done");
	struct verifying *v = calloc(1, sizeof *v);
	if (!v)
		return err_set(e, ERR_SYS_MEMORY, "no memory for a verification");
	v->a = a;
	v->done = done;
	v->work.data = v;
	pthread_mutex_lock(&a->mu);
	v->bytes = a->written_bytes;
	v->checkpoint_bytes = a->checkpoint_bytes;
	pthread_mutex_unlock(&a->mu);
	int r = uv_queue_work(&a->loop->uv, &v->work, verify_now, verify_done);
	if (r < 0) {
		free(v);
		return err_sys(e, ERR_SYS_IO, -r, "the verification was not done");
	}
	a->verifying = v;
	return 0;
}

void audit_stop_verifying(struct audit *a)
{
	if (a)
		atomic_store(&a->no_verifying, true);
}

void audit_close(struct audit *a)
{
	if (!a)
		return;
	audit_stop_verifying(a);
	a->closing = true;
	pthread_mutex_lock(&a->mu);
	a->stop = true;
	pthread_cond_signal(&a->wake);
	pthread_mutex_unlock(&a->mu);
	pthread_join(a->thread, NULL);
	while (a->verifying) /* it reads the files; what it calls back needs the loop */
		uv_run(&a->loop->uv, UV_RUN_ONCE);
	dispose(a);
}

/* ---- what the tree shows ---- */

int audit_path(const struct audit *a, const char *name, char *out, size_t cap)
{
	return snprintf(out, cap, "%s/%s", a->dir, name) < (int)cap ? 0 : -ENAMETOOLONG;
}

int audit_render_head(struct audit *a, struct buf *out)
{
	pthread_mutex_lock(&a->mu);
	int r = buf_adds(out, a->head);
	pthread_mutex_unlock(&a->mu);
	return r;
}

int audit_render_key(struct audit *a, struct buf *out)
{
	note_public_text(&a->pub, out);
	return out->fail;
}

int audit_render_agent(struct audit *a, uint32_t agent, struct buf *out, struct err *e)
{
	return trail_agent_lines(&a->trail, agent, out, e);
}

int audit_render_verify(struct audit *a, struct buf *out)
{
	return buf_adds(out, a->verifying ? "a verification goes on\n" : a->verified);
}

int audit_render_trouble(struct audit *a, struct buf *out)
{
	pthread_mutex_lock(&a->mu);
	const struct err *e = a->trouble.code != ERR_NONE ? &a->trouble : &a->export_trouble;
	int r = e->code != ERR_NONE ? buf_printf(out, "%s %s\n", err_code_name(e->code), e->msg) : 0;
	pthread_mutex_unlock(&a->mu);
	return r;
}

/* The line of leaf `index`, without its newline. */
static int line_of(struct audit *a, uint64_t index, struct buf *out)
{
	struct trail_entry en;
	int r = sys_pread_all(a->trail.fd[TRAIL_INDEX], &en, sizeof en, index * sizeof en);
	if (r == 0)
		r = buf_reserve(out, en.len);
	if (r == 0)
		r = sys_pread_all(a->trail.fd[TRAIL_LOG], out->data, en.len, en.at);
	out->len = r == 0 ? en.len - 1 : 0;
	return r;
}

int audit_prove(struct audit *a, const char *question, size_t len, struct buf *out, struct err *e)
{
	char note[NOTE_TEXT_MAX];
	struct audit_question q;
	struct merkle_proof p;
	autobuf struct buf line;
	buf_init(&line, 64u << 20);
	int fd = a->trail.fd[TRAIL_HASHES], r = audit_question_parse(question, len, &q, e);
	if (r < 0)
		return r;
	pthread_mutex_lock(&a->mu);
	uint64_t signed_size = a->signed_size, first = a->first_seq, index = q.seq - first;
	memcpy(note, a->head, sizeof note);
	pthread_mutex_unlock(&a->mu);
	if (q.seq ? q.seq < first || index >= signed_size : q.size > signed_size)
		return err_set(e, ERR_AUDIT_ASK, "%" PRIu64 " records are signed, beginning with record %" PRIu64, signed_size, first);
	r = q.seq ? merkle_prove_leaf(&p, index, signed_size, trail_hash_read, &fd)
		  : merkle_prove_growth(&p, q.old, q.size, trail_hash_read, &fd);
	if (r == 0 && q.seq)
		r = line_of(a, index, &line);
	if (r < 0)
		return err_sys(e, ERR_AUDIT_IO, -r, "the proof could not be made");
	return q.seq ? audit_proof_leaf_json(q.seq, index, signed_size, line.data, line.len, &p, note, out)
		     : audit_proof_growth_json(q.old, q.size, &p, q.size == signed_size ? note : "", out);
}
