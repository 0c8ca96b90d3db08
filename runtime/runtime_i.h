/* SPDX-License-Identifier: MIT */
/* runtime_i.h - the engine's private structs, shared by the files of runtime/. L2; loop thread. */
#pragma once

#include <jansson.h>
#include <stdio.h>
#include <uv.h>

#include "lib/journal.h"
#include "lib/map.h"
#include "lib/mem.h"
#include "runtime/runtime.h"
#include "sandbox/sandbox.h"

#define ERRORS_MAX    (256u << 10) /* bytes per uid */
#define EVENTS_MAX    (64 << 20)   /* bytes before the feed is rotated */
#define TRIGGERS_MAX  100          /* pending runs of an event-driven agent */
#define RESTARTS_KEPT 32

/* On disk for ever: append only. */
enum record_type {
	REC_AGENT_PUT = 1,
	REC_AGENT_DELETE,
	REC_AGENT_RENAME,
	REC_AGENT_ATTR,
	REC_AGENT_STATE,
	REC_AGENT_LIMIT,
	REC_RUN_QUEUED,
	REC_RUN_STARTED,
	REC_RUN_DONE,
};

struct run {
	struct run *next, *queue_next;
	struct agent *agent;
	uint32_t serial, number;
	unsigned refs;
	bool main, timed_out, stopping, frozen;
	enum run_state state;
	pid_t pid;
	uint64_t queued_ms, started_ms, done_ms;
	char waits_for[120];
	uint64_t held_mb;
	double held_cpu;
	struct err failure;
	struct sandbox_result result;
	struct run_waiter *waiters;
	uv_timer_t *timer;
};

struct agent {
	struct runtime *rt;
	uint32_t serial, next_run;
	char *name, *file, *text;
	size_t text_len;
	char id[37];
	uid_t uid;
	gid_t gid;
	mode_t mode;
	uint64_t mtime_ms, ctime_ms;
	enum agent_state state;
	struct agent_spec *spec;
	char error[420]; /* "CODE sentence" */
	struct run *runs, **runs_end, *main;
	unsigned kept, queued, active, restarts;
	uint64_t restart_times[RESTARTS_KEPT];
	double vtime;
	uv_timer_t *timer;
	int stdin_fd;
	bool stop_wanted, restart_wanted;
};

struct user_errors {
	struct user_errors *next;
	uid_t uid;
	struct buf text;
};

struct runtime {
	struct config *config;
	struct loop *loop;
	struct journal *journal;
	struct spawn_client *spawn;
	struct sandbox_caps caps;
	char *state_dir, *mount;
	struct map by_name;
	struct agent **agents;
	size_t agents_n, agents_cap, live;
	uint32_t next_serial;
	bool replaying, resumed, stopping;
	struct runtime_done stopped;
	uv_timer_t *stop_timer;
	unsigned running, worker_restarts;
	uint64_t memory_mb_used, boot_ms;
	double cpu_used, vtime;
	struct run *queue, **queue_end;
	int events_fd;
	uint64_t events_seq;
	struct event_sub *subs;
	struct user_errors *errors;
};

extern const struct actor actor_self;
extern const struct runtime_done done_nobody;
extern const struct sandbox_events exec_events;

int record(struct runtime *rt, const struct actor *who, enum record_type type, const char *object,
	   json_t *body, struct runtime_done done, struct err *e);
int record_replay(void *arg, const struct journal_record *rec);

struct agent *agent_add(struct runtime *rt, const char *name, uint32_t serial);
void agent_drop(struct agent *a);
void agent_dir(const struct agent *a, char *out, size_t cap);
void agent_log(struct agent *a, const char *text);
void agent_set_error(struct agent *a, const struct err *e);
int agent_move(struct agent *a, enum agent_state to, const char *why);
void agent_start(struct agent *a);
void agent_stop(struct agent *a, bool restart);

struct run *run_add(struct agent *a, uint32_t number, bool main);
void run_remove(struct run *r);
int run_queue(struct agent *a, const struct actor *who, const char *input, size_t len, bool main,
	      struct run **ret, struct err *e);
void run_done(struct run *r, const struct sandbox_result *res);
void run_apply_done(struct run *r);
void sched_kick(struct runtime *rt);

int exec_start(struct run *r, struct err *e);
void exec_stop(struct run *r);
void exec_after_restart(struct runtime *rt);

int event_open(struct runtime *rt, struct err *e);
void event_emit(struct runtime *rt, uint64_t seq, uint64_t time_ms, const char *type,
		struct agent *about, json_t *more);
void event_trigger(struct runtime *rt, const char *type, struct agent *about, const char *line,
		   size_t len);

uv_timer_t *timer_start(struct runtime *rt, uv_timer_t *t, uint64_t ms, void (*fn)(uv_timer_t *),
			void *arg);
void timer_free(uv_timer_t *t);
