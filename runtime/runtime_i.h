/* SPDX-License-Identifier: MIT */
/* runtime_i.h - what the files of runtime/ share and nobody else sees. L2; loop thread only. */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "lib/journal.h"
#include "lib/map.h"
#include "lib/mem.h"
#include "runtime/runtime.h"

#define ERRORS_MAX   (256u << 10)
#define EVENTS_MAX   (64u << 20)
#define TRIGGERS_MAX 100 /* runs of an event_driven agent that may wait */

enum record_type { /* on disk: append only */
	REC_AGENT_PUT = 1,
	REC_AGENT_DELETE = 2,
	REC_AGENT_RENAME = 3,
	REC_AGENT_ATTR = 4,
	REC_AGENT_STATE = 5,
	REC_RUN_QUEUED = 6,
	REC_RUN_STARTED = 7,
	REC_RUN_DONE = 8,
	REC_AGENT_LIMIT = 9,
};

struct run {
	struct run *next; /* by number, oldest first */
	struct agent *agent; /* NULL: the agent is gone */
	uint32_t serial, number;
	unsigned refs;
	bool main; /* the process of a persistent agent */
	bool frozen;
	enum run_state state;
	uint64_t queued_ms, started_ms, done_ms;
	pid_t pid;
	bool timed_out, stopping;
	uint64_t held_mb; /* what admission counts for it */
	double held_cpu;
	struct sandbox_result result;
	struct err failure; /* why it failed; code ERR_NONE: it did not */
	struct run_waiter *waiters;
	uv_timer_t *timer; /* execution_timeout, then the kill after SIGTERM */
	struct run *queue_next;
	char waits_for[160]; /* while it is queued: why */
};

struct agent {
	struct runtime *rt;
	char *name, *file, *text;
	size_t text_len;
	struct agent_spec *spec;
	uint32_t serial;
	char id[37];
	uid_t uid;
	gid_t gid;
	mode_t mode;
	enum agent_state state;
	uint64_t mtime_ms, ctime_ms;
	struct run *runs, **runs_end;
	uint32_t next_run, kept, active, queued;
	struct run *main; /* running or queued process of a persistent agent, owned by runs */
	int stdin_fd;
	unsigned restarts;
	uint64_t restart_times[16];
	bool stop_wanted, restart_wanted;
	uv_timer_t *timer; /* interval of a scheduled agent, or the delay before a restart */
	double vtime;	   /* scheduler: virtual time already served, per weight */
	char error[512];
};

struct user_errors {
	struct user_errors *next;
	uid_t uid;
	struct buf text;
};

struct runtime {
	struct loop *loop;
	struct config *config;
	char *state_dir, *mount;
	struct journal *journal;
	struct spawn_client *spawn;
	struct sandbox_caps caps;
	unsigned worker_restarts;
	bool replaying, stopping, resumed;
	uint64_t boot_ms;
	struct map by_name;
	struct agent **agents; /* by serial, ascending; holes are NULL */
	size_t agents_n, agents_cap, live;
	uint32_t next_serial;
	unsigned running;
	uint64_t memory_mb_used;
	double cpu_used, vtime;
	struct run *queue, **queue_end;
	struct event_sub *subs;
	int events_fd;
	uint64_t events_seq; /* last that is in the file */
	struct user_errors *errors;
	struct runtime_done stopped;
	uv_timer_t *stop_timer;
};

/* record.c: command → record → apply */
int record(struct runtime *rt, const struct actor *who, enum record_type type, const char *object,
	   json_t *body /* stolen */, struct runtime_done done, struct err *e);
int record_replay(void *arg, const struct journal_record *rec);
extern const struct actor actor_self;
extern const struct runtime_done done_nobody;

/* agent.c */
struct agent *agent_add(struct runtime *rt, const char *name, uint32_t serial);
void agent_drop(struct agent *a);
void agent_dir(const struct agent *a, char *out, size_t cap);
void agent_set_error(struct agent *a, const struct err *e);
void agent_log(struct agent *a, const char *text);
int agent_move(struct agent *a, enum agent_state to, const char *why); /* journals and applies */

/* exec.c: processes */
extern const struct sandbox_events exec_events;
int exec_start(struct run *r, struct err *e);
void exec_stop(struct run *r);		  /* SIGTERM, then the kill */
void agent_start(struct agent *a);	  /* what its mode asks for */
void agent_stop(struct agent *a, bool restart);
void exec_after_restart(struct runtime *rt); /* the table of what happens to what was running */

/* run.c */
struct run *run_add(struct agent *a, uint32_t number, bool main);
void run_remove(struct run *r);
int run_queue(struct agent *a, const struct actor *who, const char *input, size_t len, bool main,
	      struct run **ret, struct err *e);
void run_done(struct run *r, const struct sandbox_result *result);
void run_apply_done(struct run *r);
void sched_kick(struct runtime *rt);

/* event.c */
void event_emit(struct runtime *rt, uint64_t seq, uint64_t time_ms, const char *type,
		struct agent *about, json_t *more /* borrowed, may be NULL */);
int event_open(struct runtime *rt, struct err *e);
void event_trigger(struct runtime *rt, const char *type, struct agent *about, const char *line,
		   size_t len);

uv_timer_t *timer_start(struct runtime *rt, uv_timer_t *t, uint64_t ms, void (*fn)(uv_timer_t *),
			void *arg);
void timer_free(uv_timer_t *t);
