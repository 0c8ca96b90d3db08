/* SPDX-License-Identifier: MIT */
/* runtime_i.h - the engine's private structs, shared by the files of runtime/. L2; loop thread. */
#pragma once

#include <stdio.h>

#include "lib/journal.h"
#include "lib/kv.h"
#include "lib/map.h"
#include "lib/mem.h"
#include "lib/sorted.h"
#include "runtime/approvals_i.h"
#include "runtime/audit.h"
#include "runtime/documents_i.h"
#include "runtime/files_i.h"
#include "runtime/memory_i.h"
#include "runtime/policies_i.h"
#include "runtime/quota.h"
#include "runtime/runtime.h"
#include "runtime/secrets_i.h"
#include "runtime/sched.h"
#include "runtime/timers.h"
#include "sandbox/sandbox.h"

#define RUN_QUEUE_MAX	  10000 /* queued runs of one agent */
#define TRIGGERS_MAX	  100	/* pending runs of an event-driven agent */
#define RUN_INPUT_MAX	  (64u << 20)
#define ERRORS_MAX	  (256u << 10) /* bytes per uid */
#define EVENTS_ROTATE	  (64 << 20)   /* bytes of the feed before it is moved to events.1 */
#define EVENT_LINE_MAX	  (16u << 10)
#define RESTART_DELAY_MS  100 /* doubles with every restart in the window */
#define RESTART_DELAY_MAX 30000
#define BACKFILL_DEPTH	  64	/* waiting agents that are looked at behind one that does not fit */
#define BACKFILL_MS	  10000 /* and none once the first has waited this long */
#define AGENT_CHUNK	  4096

/* On disk for ever: append only. */
enum record_type {
	REC_PUT = 1,
	REC_DELETE,
	REC_RENAME,
	REC_CHOWN,
	REC_LIMIT,
	REC_STATE,
	REC_RUN,
	REC_RUN_STARTED,
	REC_RUN_DONE,
	REC_CTL,
	REC_DAEMON,
	REC_STORE,
	REC_POLICY_PUT,
	REC_POLICY_DELETE,
	REC_POLICY_RENAME,
	REC_POLICY_CHOWN,
	REC_DECISION,
	REC_PROFILE_PUT,
	REC_PROFILE_DELETE,
	REC_PROFILE_RENAME,
	REC_PROFILE_CHOWN,
	REC_CONNECT,
	REC_FILE_PUT,
	REC_FILE_DELETE,
	REC_FILE_RENAME,
	REC_FILE_CHOWN,
	REC_APPROVAL_ASKED,
	REC_APPROVAL_DECIDED,
	REC_APPROVAL_USED,
	REC_SECRET_PUT,
	REC_SECRET_DELETE,
	REC_SECRET_READ,
	REC_MEMORY_PUT,
	REC_MEMORY_DROP,
	REC_SHARE,
	REC_UNSHARE,
	REC_SHARE_SHOWN,
	REC_SECRET_REWRAPPED,
	REC_APPROVAL_EDITED,
	REC_SHADOW_PUT,
	REC_SHADOW_DELETE,
	REC_SHADOW_RENAME,
	REC_SHADOW_CHOWN,
	REC_SHADOW_DIFFERS,
	REC_TYPE_COUNT,
};

/* What a record says; which of these belong to a type is one table in record.c. Strings are borrowed,
 * NULL when absent. */
struct facts {
	enum record_type type;
	uint64_t seq, time_ms, req;
	uint32_t serial, run, uid, gid, mode;
	uint32_t fresh, process; /* booleans */
	uint32_t state;
	int64_t pid, exit_code, eno;
	uint64_t wall_ns, cpu_ns, memory;
	const char *object;
	const char *file, *id, *tier, *text, *key, *value, *why, *code, *message, *command;
	const char *action, *resource_type, *operation, *resource, *effect, *rule, *policy_version, *address, *digest;
	uint32_t line, missed, parent;
	uint64_t content, size;
	uint32_t agent, view;
	uint64_t expires_ms;
	uid_t actor; /* who acted; not in the body */
	struct agent_spec *spec; /* parsed from text already, moved; or NULL */
};

struct run {
	struct agent *agent; /* NULL once it is deleted or the run is no longer kept */
	struct runtime *rt;
	struct run *queue_next; /* of the agent's queue */
	struct run *active_next, **active_at; /* of all that the spawner was asked for */
	uint32_t serial, number;
	unsigned refs;
	enum run_state state;
	bool process;	/* the process of a persistent agent, no task */
	bool active;	/* the spawner was asked for it and its end was not seen */
	bool started;	/* the spawner said that it runs */
	bool adopting;	/* known from the journal; the spawner has not spoken yet */
	bool asked_end; /* by us; end_code and end_why say what for */
	bool frozen;
	bool parked;	/* waits for an approval, in no queue */
	bool saved; /* its end is in the store */
	pid_t pid;
	uint64_t queued_ms, started_ms, done_ms;
	struct quota_need held;
	struct sandbox_result result;
	enum err_code code; /* outcome; ERR_NONE: ended well, or not ended */
	int eno;
	char *message;
	enum err_code end_code;
	char end_why[160];
	struct run_waiter *waiters;
	struct rt_timer timer; /* initialization, execution or termination timeout */
	uint64_t time_left_ms; /* of the timer, while frozen */
	struct sandbox_usage usage; /* last measured */
	uint64_t busy_ms;	    /* when it last used processor time or wrote, by the clock that nobody sets */
	uint64_t output_seen;
};

struct agent_live { /* only for agents that have run, wait or are timed */
	struct agent *agent;
	struct agent_spec *spec; /* parsed while something runs or waits; NULL: parse it again */
	struct run **runs; /* kept ones, by number */
	size_t runs_n, runs_cap;
	struct run *queue, **queue_end;
	unsigned queued, running, parked;
	struct run *process; /* of a persistent agent: queued or running */
	struct sched_entity turn;
	uint64_t waiting_since_ms;
	struct rt_timer timer; /* next start of a scheduled agent, or restart of a process */
	unsigned restarts, restarts_in_window;
	uint64_t window_start_ms;
	bool restart_wanted; /* start its process again when it has ended */
	bool stop_wanted;
	int stdin_fd;
	struct sandbox_layers layers; /* of what was started last; active 0: nothing was */
	struct buf log, events; /* lines not yet in their files */
	struct agent_live *feed_next;
	bool in_feed;
};

struct agent {
	struct runtime *rt;
	char *name; /* owned */
	char *file; /* owned: "greet.yaml" */
	char *text; /* owned */
	char *error; /* "CODE sentence", or NULL */
	char *topic; /* event_driven */
	struct agent_limits *limits; /* changed by hand, or NULL: the spec's */
	struct agent_live *live;
	struct agent *dirty_next;
	uint64_t mtime_ms, ctime_ms, interval_ms;
	uint64_t created_ms, created_seq;
	uint64_t cpu_ns, wall_ns, memory_peak; /* of all ended runs */
	uint32_t serial, text_len, runs_total, runs_failed;
	uid_t uid;
	gid_t gid;
	uint16_t mode_bits;
	uint8_t state, mode, tier, priority;
	bool dirty, has_dir;
	char id[37];
};

struct user_errors {
	struct user_errors *next;
	uid_t uid;
	uint32_t view; /* 0: of a user at the host */
	struct buf text;
};

struct dead_key { /* a key to be deleted from the store */
	struct dead_key *next;
	char key[40];
};

struct runtime {
	struct config *config;
	struct loop *loop;
	struct journal *journal;
	struct audit *audit;
	struct kv *kv;
	struct spawn_client *spawn; /* NULL: none was given */
	bool spawn_lost;	    /* nothing can be started any more */
	struct sandbox_caps caps;
	char *state_dir, *mount;
	/* agents */
	struct map names;
	struct agent ***chunks; /* serial / AGENT_CHUNK -> serial % AGENT_CHUNK -> agent */
	uint32_t *chunk_used;
	size_t chunks_n;
	size_t count;
	uint32_t serial_last;
	struct agent **topics; /* event-driven agents */
	size_t topics_n, topics_cap;
	/* running */
	struct timers timers;
	struct quota quota;
	struct sched sched;
	struct run *active;
	unsigned tasks, processes; /* running */
	bool filling, resyncing;
	struct rt_timer check_timer; /* health: measures what runs */
	struct documents documents[DOCUMENT_KINDS];
	struct files files;
	struct memory memory;
	struct rag *rag; /* NULL: there was no document yet */
	struct policies policies;
	struct approvals approvals;
	struct secrets secrets;
	/* writing */
	enum journal_class transitions;
	struct agent *dirty;
	struct dead_key *dead;
	size_t dirty_n;
	struct rt_timer store_timer;
	bool store_busy;
	uint64_t store_seq; /* of the mark of the commit under way */
	/* feed */
	int events_fd;
	uint64_t events_seq, events_size;
	struct buf events;
	struct agent_live *feed;
	uv_prepare_t *turn_end;
	struct event *unwritten, **unwritten_end; /* event.c */
	struct event_sub *subs;
	struct trigger *triggers, **triggers_end;
	struct rt_timer trigger_timer;
	struct user_errors *errors;
	struct reqs *reqs; /* resent.c; NULL none */
	/* life */
	bool replaying, resumed, stopping;
	struct rt_timer stop_timer, ask_timer;
	struct runtime_done stopped;
	unsigned worker_restarts;
	uint64_t boot_ms;
};

extern const struct actor actor_self; /* the daemon */
extern const struct runtime_done done_nobody;

/* ---- record.c ---- */
/* Journal f and apply it. f->serial and what the type needs must be set; spec is moved (also on
 * failure). Returns 0 and calls done when it is durable after its class, or -errno. */
int record(struct runtime *rt, const struct actor *who, struct facts *f, struct runtime_done done,
	   struct err *e);
int record_replay(void *arg, const struct journal_record *rec);
/* For the audit trail; any thread. */
const char *record_type_name(uint16_t type);
uint32_t record_agent(const struct journal_record *rec); /* serial of whom it is about, or who acted; 0: no agent */

/* ---- fields.c: structs to JSON and bytes by one table ---- */
enum field_kind { FIELD_U32, FIELD_U64, FIELD_I64, FIELD_BOOL, FIELD_STR, FIELD_STATE };
struct field {
	const char *key;
	enum field_kind kind;
	size_t at; /* offset in the struct */
};
/* ,"key":value for each; strings that are NULL are left out. */
int fields_json(const struct field *const *list, const void *from, struct buf *out);
struct json_t;
void fields_from_json(const struct field *const *list, const struct json_t *obj, void *to);
/* Tag (index + 1), length, bytes; strings with their NUL, so that they are borrowed when read. */
int fields_pack(const struct field *table, size_t n, const void *from, struct buf *out);
int fields_unpack(const struct field *table, size_t n, const void *data, size_t len, void *to);

/* ---- apply: the same live and in replay ---- */
void agent_apply_put(struct runtime *rt, const struct facts *f);
void agent_apply_delete(struct agent *a);
void agent_apply_rename(struct agent *a, const char *file);
void agent_apply_state(struct agent *a, const struct facts *f);
void run_apply_queued(struct agent *a, const struct facts *f);
void run_apply_started(struct agent *a, const struct facts *f);
void run_apply_done(struct agent *a, const struct facts *f);

/* ---- agent_table.c ---- */
struct agent *agent_add(struct runtime *rt, uint32_t serial, const char *file);
void agent_remove(struct agent *a); /* out of the tables, freed; its runs are detached */
int agent_set_file(struct agent *a, const char *file);
struct agent_live *agent_live(struct agent *a); /* made when absent */
void agent_topics_update(struct agent *a);
void agents_close(struct runtime *rt);
#define AGENT_DIR_MAX 4200
void agent_dir(const struct agent *a, char out[AGENT_DIR_MAX]);
void agent_dir_make(struct agent *a);
/* What the settings add to a spec; the name is left open. */
struct agent_spec_place agent_place(const struct runtime *rt);
/* Parse it; the caller frees. A tier that it does not name stays what it was when the text was put. */
int agent_spec_of(const struct agent *a, struct agent_spec **ret, struct err *e);
/* The same, kept until the text changes or nothing of the agent runs or waits; borrowed. NULL with e. */
const struct agent_spec *agent_spec_get(struct agent *a, struct err *e);
void agent_spec_drop(struct agent *a);
struct agent_limits agent_limits_of(struct agent *a); /* set by hand, or the spec's */
void trash(struct runtime *rt, const char *path); /* move away now, remove in the background */
void trash_empty(struct runtime *rt);

/* ---- agent_fsm.c ---- */
/* -EBUSY when the table does not allow it. By the daemon itself, or by who asked for it. */
int agent_move(struct agent *a, enum agent_state to, const char *why);
int agent_move_by(struct agent *a, enum agent_state to, const char *why, const struct actor *who,
		  struct runtime_done done, struct err *e);
void agent_settle(struct agent *a); /* Ready, Running or Waiting, after what runs and waits */
int agent_state_parse(const char *name, uint32_t *ret);
void agent_set_error(struct agent *a, const struct err *e);

/* ---- store.c ---- */
int store_open(struct runtime *rt, struct err *e);
void store_dirty(struct agent *a);
void store_changed(struct runtime *rt); /* something but an agent is to be written */
void store_forget(struct runtime *rt, const char *key);
/* Behind a replay: write what it changed, at once when it was long. Else a worker that is killed again and again, each time
 * before its next commit, would begin with a longer replay each time. */
void store_replayed(struct runtime *rt);
void store_close(struct runtime *rt); /* writes what is dirty */
void store_run_key(uint32_t serial, uint32_t run, char out[40]);
void store_agent_key(uint32_t serial, char out[40]);

/* ---- run.c, run_queue.c ---- */
struct run *run_make(struct agent *a, uint32_t number, bool process, uint64_t time_ms);
void run_detach(struct run *r);
void run_remove_files(struct runtime *rt, const struct run *r);
int run_queue(struct agent *a, const struct actor *who, const char *input, size_t len, bool process,
	      struct run **ret, struct err *e);
void run_enqueue(struct run *r);
void run_dequeue(struct run *r);
void run_park(struct run *r);   /* it waits for an approval, out of the queue */
void run_unpark(struct run *r); /* nothing when it does not */
void run_hold(struct run *r); /* take its share although it may not fit: it runs already */
void run_unhold(struct run *r);
void run_finish(struct run *r, const struct sandbox_result *res);
void run_finish_with(struct run *r, enum err_code code, const char *why);
void run_wake(struct run *r);
void queue_fill(struct runtime *rt);
void queue_changed(struct agent *a); /* it was suspended, resumed or changed */
struct quota_need quota_need_of(const struct agent_limits *l);
void queue_wait_reason(struct agent *a, char *out, size_t cap);
void quota_refresh(struct runtime *rt);
static inline uint64_t run_id(const struct run *r)
{
	return (uint64_t)r->serial << 32 | r->number;
}

/* ---- profiles.c ---- */
struct run_bounds { /* what the limits of an agent cannot exceed, and what it has no limit for itself */
	struct sandbox_limits limits;
	uint64_t execution_ms;
	bool no_temp, apply; /* apply: enforce limits at all */
	char by[64]; /* what says so, for sentences: "native_execution.", "profile secure: " */
	const char *pids_key, *file_key; /* how it calls them; static */
};
/* Of s's profile, or native_execution's for tier None. Where the profile is gone, or s is NULL, those of `secure`, and
 * -errno SEC_001. */
int run_bounds(struct runtime *rt, const struct agent_spec *s, struct run_bounds *ret, struct err *e);

/* ---- connects.c ---- */

/* The network of a run, and of Restricted the destinations, added to list. 0 or -errno. */
int run_network(struct runtime *rt, const struct agent_spec *s, enum sandbox_network *ret, struct buf *list, struct err *e);
/* A connection that r's program wants, or that was decided. */
void run_connect(struct runtime *rt, struct run *r, const struct sandbox_connect *c);
/* May a run of s start in cwd, by the profile that it names? 0, or -errno SEC_001 or SEC_002: nothing of it is ignored,
 * but what the machine cannot enforce where s allows degraded sandboxes. */
int run_profile_check(struct runtime *rt, const struct agent_spec *s, const char *cwd, struct err *e);

/* ---- launch_dir.c ---- */
#define BOXED_UID_FIRST 0x70000000u /* of programs in a box; above what distributions give to users and containers */
void run_base_dir(const struct runtime *rt, char *out, size_t cap); /* where directories of programs lie */
/* Whom a program of a runs as; (uid_t)-1: the daemon's own. */
void run_ids(const struct agent *a, enum sandbox_tier tier, uid_t *uid, gid_t *gid);
/* The working directory: the spec's, else one of its own, opened in *ret_fd (the caller closes it). */
int run_cwd(const struct agent *a, const struct agent_spec *s, char *out, size_t cap, int *ret_fd,
	    struct err *e);
/* Write s->code to a file in the agent's own directory; its path. */
int run_code(const struct agent *a, const struct agent_spec *s, char *path, size_t cap, struct err *e);

/* ---- launch.c, process.c, health.c, recover.c ---- */
extern const struct sandbox_events sandbox_events;
/* By policy, before it takes its share. APPROVAL_001: it has to wait. */
int run_may_start(struct run *r, struct err *e);
int run_launch(struct run *r, struct err *e);
void run_arm(struct run *r); /* execution_timeout */
/* End it: SIGTERM, and after termination_timeout its whole group is killed. */
void run_end(struct run *r, enum err_code code, const char *why);
void run_freeze(struct run *r, bool frozen);
void limits_changed(struct agent *a); /* tell what runs */
void process_start(struct agent *a);
void process_ended(struct agent *a, const struct run *r);
void agent_begin(struct agent *a); /* what its mode asks for when it is ready */
void agent_end_all(struct agent *a, enum err_code code, const char *why);
void health_start(struct runtime *rt);
void health_measured(struct runtime *rt, struct run *r, const struct sandbox_usage *u);
uint64_t output_largest(const struct run *r); /* bytes of the larger of its two files of output */
void recover(struct runtime *rt);
void errors_forget(struct runtime *rt, uint32_t view); /* with its agent */
/* resent.c: the newest requests, in the store with the state that they made; loaded by the next worker of the mount. */
int reqs_save(struct runtime *rt, struct err *e);
int reqs_load(struct runtime *rt);
void stdin_open(struct agent *a);
void stdin_close(struct agent *a);

/* ---- agent_text.c ---- */
void render_enforced(const struct runtime *rt, bool net, struct buf *out); /* net: bandwidth too */
void render_limits_by(const struct runtime *rt, struct buf *out);

/* ---- event.c, trigger.c ---- */
int events_open(struct runtime *rt, struct err *e);
void events_cut(struct runtime *rt, uint64_t last);
void events_publish(struct runtime *rt); /* what is in the journal's file by now */
void events_close(struct runtime *rt);
void event_emit(struct runtime *rt, const struct facts *f, struct agent *about, const char *type,
		const char *more);
void agent_log(struct agent *a, const char *text);
void feed_flush(struct runtime *rt);
void feed_drop(struct agent_live *l);
void trigger_event(struct runtime *rt, const char *type, const struct agent *about,
		   const char *line, size_t len);
void triggers_close(struct runtime *rt);
void errors_close(struct runtime *rt);
