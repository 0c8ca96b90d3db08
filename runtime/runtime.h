/* SPDX-License-Identifier: MIT */
/* runtime.h - the engine: agents, their runs, scheduling and their record. L2; loop thread only.
 *
 * Every change of state is: command, decision, one journal record, apply, reply. A function that
 * changes state returns -errno when it refuses at once (nothing changed), else 0, and calls done
 * exactly once when the change is durable (e == NULL) or could not be made (e). `done` may be
 * called before the function returns. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/groups.h"
#include "lib/loop.h"
#include "runtime/agent_spec.h"
#include "runtime/config.h"

struct runtime;
struct agent;
struct run;

struct actor { /* who acts */
	uid_t uid;
	gid_t gid;
	pid_t pid;
	uint32_t view; /* 0: the host */
	/* What this act answers, unique over the life of a mount and the same when the request comes
	 * again after a crash; 0: nothing comes again. Stands in every record the act writes. */
	uint64_t req;
	const struct groups *groups; /* supplementary groups; NULL: none are known */
};

struct runtime_done {
	void (*fn)(void *arg, const struct err *e);
	void *arg;
};

struct runtime_opts {
	const char *state_dir; /* made 0700 */
	struct config *config; /* borrowed */
	struct loop *loop;
	int spawn_fd;    /* connected to symbi-spawn; -1: nothing can be started */
	bool resumed;    /* the parent restarted the worker: agents may still be running */
	unsigned worker_restarts;
	bool still;	   /* the state alone, for a tool: nothing goes on that was under way */
	const char *mount; /* for status; may be NULL */
};

/* ---- requests that come again ----
 * A worker that is killed between a record and its reply leaves a caller without an answer; the kernel
 * gives the request to the next worker, which must not act a second time. */
/* Remember that who->req was carried out; run: the number of the run it queued, or 0. To be called for
 * every record, when it is appended and when it is replayed. The last 4096 are remembered. */
void runtime_note_req(struct runtime *rt, uint64_t req, uint32_t run);
/* Was who->req carried out by an earlier worker of this mount? e is left alone; a request that failed was
 * not carried out, it is tried again and fails again. */
bool runtime_was_done(struct runtime *rt, const struct actor *who, struct err *e);
/* The run that it queued; 0: none. */
uint32_t runtime_run_of_req(struct runtime *rt, const struct actor *who);

int runtime_open(struct runtime **ret, const struct runtime_opts *o, struct err *e);
/* Stop admission, end what runs (termination_timeout), flush; then done. */
void runtime_stop(struct runtime *rt, struct runtime_done done);
void runtime_close(struct runtime *rt);

/* ---- authorisation: the one place ---- */
/* May actor do `action` ("agent.control") to the object of that name (an agent's, a policy file's; NULL: the
 * daemon itself), owned by uid/gid with mode? want is a mask of R_OK W_OK X_OK. 0, -EACCES FS_002 by owner and mode (root may), -EACCES POLICY_001 by the active policies. */
int runtime_authorize(struct runtime *rt, const struct actor *who, const char *action, const char *object,
		      uid_t owner, gid_t group, mode_t mode, int want, struct err *e);

/* ---- agents ---- */
enum agent_state {
	AGENT_CREATED, AGENT_INITIALIZING, AGENT_READY, AGENT_RUNNING, AGENT_WAITING,
	AGENT_SUSPENDED, AGENT_FAILED, AGENT_TERMINATING, AGENT_TERMINATED,
	AGENT_STATE_COUNT,
};
const char *agent_state_name(enum agent_state s); /* "Created" ... */
bool agent_may(enum agent_state from, enum agent_state to); /* the one table of transitions */

/* Create or replace by file name ("greet.yaml": the name is the part before the suffix).
 * O_EXCL semantics when excl. A refused text changes nothing. */
int agent_put(struct runtime *rt, const struct actor *who, const char *file_name, const char *text,
	      size_t len, bool excl, struct runtime_done done, struct err *e);
/* Check only: the same parser and the same checks, nothing is created. */
int agent_check(struct runtime *rt, const char *file_name, const char *text, size_t len,
		bool *unfinished, struct err *e);
int agent_delete(struct runtime *rt, const struct actor *who, struct agent *a,
		 struct runtime_done done, struct err *e);
/* -EBUSY AGENT_002 while it runs. new_file is "NAME.suffix"; replaces an existing agent of that name
 * when replace (then the text moves over: rename semantics). */
int agent_rename(struct runtime *rt, const struct actor *who, struct agent *a, const char *new_file,
		 bool replace, struct runtime_done done, struct err *e);
int agent_chown(struct runtime *rt, const struct actor *who, struct agent *a, uid_t uid, gid_t gid,
		mode_t mode, struct runtime_done done, struct err *e); /* -1: unchanged */

struct agent *agent_find(struct runtime *rt, const char *name, size_t len);
struct agent *agent_by_serial(struct runtime *rt, uint64_t serial);
/* In order of serial; serial > after. NULL at the end. O(log n). */
struct agent *agent_next(struct runtime *rt, uint64_t after);
size_t agent_count(const struct runtime *rt);

const char *agent_name(const struct agent *a);
const char *agent_file_name(const struct agent *a); /* "greet.yaml" */
uint64_t agent_serial(const struct agent *a);       /* creation serial, never reused; < 2^32 */
const char *agent_id(const struct agent *a);        /* UUID text */
enum agent_state agent_state(const struct agent *a);
uid_t agent_uid(const struct agent *a);
/* Whom its view belongs to, from its creation to its end: whom its programs in a sandbox run as. */
void agent_view_ids(const struct agent *a, uid_t *uid, gid_t *gid);
gid_t agent_gid(const struct agent *a);
mode_t agent_mode_bits(const struct agent *a); /* of the spec file, 0644 */
uint64_t agent_created_ms(const struct agent *a);
uint64_t agent_mtime_ms(const struct agent *a); /* spec written */
uint64_t agent_ctime_ms(const struct agent *a); /* state changed */
/* The spec text as written; size known without I/O. bytes borrowed until the loop's next turn. */
size_t agent_text_len(const struct agent *a);
int agent_text(struct runtime *rt, struct agent *a, struct buf *out, struct err *e);

/* Rendered values for the tree. Each appends text ending in '\n'. */
int agent_render_status(struct runtime *rt, struct agent *a, struct buf *out); /* key value lines */
int agent_render_error(struct runtime *rt, struct agent *a, struct buf *out);  /* "" when none */
int agent_render_tier(struct runtime *rt, struct agent *a, struct buf *out);
int agent_render_pid(struct runtime *rt, struct agent *a, struct buf *out); /* "" when none */
int agent_render_limit(struct runtime *rt, struct agent *a, const char *key, struct buf *out);
int agent_set_limit(struct runtime *rt, const struct actor *who, struct agent *a, const char *key,
		    const char *text, struct runtime_done done, struct err *e);
extern const char *const agent_usage_keys[]; /* NULL-ended: cpu_seconds memory_mb ... */
int agent_render_usage(struct runtime *rt, struct agent *a, const char *key, struct buf *out);

/* One line of ctl: start stop suspend resume restart terminate eof | kill SIGNAL | message TEXT.
 * eof ends the standard input of a persistent agent.
 * Refuses unknown words at once (-EINVAL AGENT_006, the sentence lists them). */
int agent_ctl(struct runtime *rt, const struct actor *who, struct agent *a, const char *line,
	      size_t len, struct runtime_done done, struct err *e);
/* Words only, nothing done: for the write that precedes. */
int agent_ctl_check(const char *line, size_t len, struct err *e);

/* Bytes to the stdin of a persistent agent. Returns bytes taken (maybe fewer), -EAGAIN when its pipe
 * is full, -EPIPE when nothing runs or its end of file was sent. */
ssize_t agent_stdin(struct runtime *rt, struct agent *a, const char *data, size_t len, struct err *e);

/* ---- files on disk behind the tree: append-only, readable by offset ---- */
enum agent_file { AGENT_STDOUT, AGENT_STDERR, AGENT_LOG, AGENT_EVENTS };
/* Path of the file, absolute; it may not exist yet (then it is empty). */
int agent_file_path(struct runtime *rt, struct agent *a, enum agent_file f, char *out, size_t cap);
int runtime_events_path(struct runtime *rt, char *out, size_t cap); /* /symbi/events */
uint64_t runtime_events_seq(const struct runtime *rt); /* of the newest line in it, 0: none */
/* What AGENT_LOG and AGENT_EVENTS begin with. While the file does not exist yet this is all of it: an
 * agent that never ran needs no file. Empty for the others. */
int agent_render_head(struct runtime *rt, const struct agent *a, enum agent_file f,
		      struct buf *out);

/* ---- runs ---- */
enum run_state { RUN_QUEUED, RUN_RUNNING, RUN_DONE };
/* Queue a run with its input; the run exists (and is journalled, class fast) when this returns 0.
 * The caller holds a reference: run_unref. */
int run_submit(struct runtime *rt, const struct actor *who, struct agent *a, const char *input,
	       size_t len, struct run **ret, struct err *e);
struct run *run_ref(struct run *r);
void run_unref(struct run *r);
struct run *run_find(struct runtime *rt, struct agent *a, uint32_t number); /* borrowed */
struct run *run_next(struct runtime *rt, struct agent *a, uint32_t after);  /* borrowed; NULL at end */
uint32_t run_number(const struct run *r); /* 1, 2 ... per agent */
enum run_state run_state(const struct run *r);
/* Outcome of a RUN_DONE run: 0 and exit code 0, or -errno with the sentence (AGENT_007 exit code 3 ...). */
int run_outcome(const struct run *r, struct err *e);
enum run_file { RUN_INPUT, RUN_OUTPUT, RUN_STDERR };
int run_file_path(struct runtime *rt, const struct run *r, enum run_file f, char *out, size_t cap);
int run_render_status(struct runtime *rt, const struct run *r, struct buf *out);
int run_render_usage(struct runtime *rt, const struct run *r, struct buf *out);
uint64_t run_mtime_ms(const struct run *r);

/* Call fn(arg) once when the run is done; embed and keep until then, or cancel. */
struct run_waiter {
	struct run_waiter *next, **pprev; /* private */
	void (*fn)(struct run_waiter *w, struct run *r);
};
void run_wait(struct run *r, struct run_waiter *w); /* r must not be done */
void run_wait_cancel(struct run_waiter *w);         /* idempotent */

/* ---- events ---- */
/* Subscriber to everything that happens: one JSON line without '\n' per event. It is told when the event's
 * record is in the journal's file and nothing takes it back, about is NULL when the agent is gone by then;
 * with changes set, at the moment of the change, before an agent that is deleted goes. */
struct event_sub {
	struct event_sub *next, **pprev; /* private */
	bool changes;
	void (*fn)(struct event_sub *s, uint64_t seq, const struct agent *about, const char *line,
		   size_t len);
};
void event_subscribe(struct runtime *rt, struct event_sub *s);
void event_unsubscribe(struct event_sub *s); /* idempotent */

/* ---- errors: per uid or view, newest last ---- */
/* Record a failure of an operation of `who` on `path` (JSON line: time uid pid view path op errno code
 * line message), also as the agent's error when about != NULL. */
void errors_record(struct runtime *rt, const struct actor *who, const char *path, const char *op,
		   struct agent *about, const struct err *e);
/* The caller's own lines (root sees its own too). true size, grows, oldest dropped past a cap. */
int errors_render(struct runtime *rt, const struct actor *who, struct buf *out);

/* ---- the daemon ---- */
int runtime_render_status(struct runtime *rt, struct buf *out); /* key value; what is enforced */
int runtime_render_health(struct runtime *rt, struct buf *out); /* "ok\n" or what is wrong */
int runtime_render_tiers(struct runtime *rt, struct buf *out);
int runtime_ctl(struct runtime *rt, const struct actor *who, const char *line, size_t len,
		struct runtime_done done, struct err *e); /* stop | reload | log LEVEL | rotate secrets */
/* Read the settings anew (SIGHUP, `reload`). On an error the old ones stay in force. */
int runtime_reload(struct runtime *rt, struct err *e);
int runtime_ctl_check(const char *line, size_t len, struct err *e);
struct audit;
struct audit *runtime_audit(struct runtime *rt); /* audit.h */
struct config *runtime_config(struct runtime *rt);
struct loop *runtime_loop(struct runtime *rt);
