/* SPDX-License-Identifier: MIT */
/* sandbox.h - what to run and how it is held; the drivers that do it. L1; loop thread.
 *
 * A spec is data, complete and checked before anything starts. All processes are started by the
 * helper process symbi-spawn and survive the worker. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "lib/err.h"
#include "lib/loop.h"

enum sandbox_tier { TIER_NONE, TIER_1, TIER_2, TIER_3 };
const char *sandbox_tier_name(enum sandbox_tier t);                 /* "None", "Tier1" ... */
int sandbox_tier_parse(const char *s, enum sandbox_tier *ret);      /* also lower case; -EINVAL */

struct sandbox_limits { /* 0: no limit */
	uint64_t memory_bytes;
	uint32_t cpu_millis; /* 1000 = one core */
	uint32_t cpu_seconds;
	uint32_t pids;
	uint64_t disk_bytes_per_s, net_bytes_per_s;
	uint64_t file_bytes; /* largest file, stdout and stderr included (RLIMIT_FSIZE) */
	uint64_t temp_bytes; /* in a box: of /tmp, and of /dev/shm; 0: 64 MiB. As it was at the start */
	uint32_t nice;       /* 0 to 19. As it was at the start */
};

/* What holds a program. The first seven are namespaces. */
enum sandbox_layer {
	LAYER_USER,
	LAYER_MOUNT,
	LAYER_PID,
	LAYER_NET,
	LAYER_IPC,
	LAYER_UTS,
	LAYER_CGROUP,
	LAYER_LANDLOCK,
	LAYER_SECCOMP,      /* a filter of system calls */
	LAYER_NO_NEW_PRIVS, /* no execve gives it more rights */
	LAYER_NO_CAPS,      /* no capability, nor the way to one */
	LAYER_OWN_UID,      /* not the daemon's */
	LAYER_KERNEL,       /* its system calls are answered in user space or by a kernel of its own */
	LAYERS,
};
#define LAYER_BIT(layer) (1u << (layer))
const char *sandbox_layer_name(enum sandbox_layer l); /* "mount" ... */

struct sandbox_layers { /* sets of LAYER_BITs; limits are in struct sandbox_caps */
	uint32_t active;
	uint32_t missing; /* the driver has them, this kernel has not */
	uint32_t landlock_abi;
};
#define SANDBOX_LAYERS_TEXT 160
/* Names of a set of them, "mount pid landlock(7)"; l says the ABI. */
void sandbox_layers_text(const struct sandbox_layers *l, uint32_t set, char out[static SANDBOX_LAYERS_TEXT]);
/* A missing layer is a refusal: 0 when there is none, else -EPERM SEC_002 naming it and what to do. */
int sandbox_layers_whole(const struct sandbox_layers *l, struct err *e);
/* The ABI of the kernel's Landlock; 0 with errno, which says why there is none. Any thread. */
uint32_t sandbox_landlock_abi(void);

#define SANDBOX_SYMBI "/symbi"

/* What of the network a program in a sandbox has. */
enum sandbox_network {
	NETWORK_NONE,	    /* its own loopback */
	NETWORK_RESTRICTED, /* and, through a proxy at SANDBOX_PROXY, what is let through (net_rules.h, sandbox_connect) */
	NETWORK_FULL,	    /* and everything that is not this machine's own */
	NETWORKS,
};
const char *sandbox_network_name(enum sandbox_network n);		/* "None", "Restricted", "Full" */
int sandbox_network_parse(const char *s, enum sandbox_network *ret); /* case matters; -EINVAL */
#define SANDBOX_PROXY "http://127.0.0.1:1080" /* and SOCKS5 at the same port */
/* The variables by which programs find it, NULL-ended. */
extern const char *const sandbox_proxy_env[];

struct sandbox_spec {
	uint64_t id;              /* chosen by the caller, never reused within one state directory */
	const char *owner;        /* agent's name, for cgroup names and messages */
	const char *const *argv;  /* NULL-ended; argv[0] a name (looked up in PATH) or a path */
	const char *const *envp;  /* NULL-ended; the whole environment */
	const char *cwd;          /* working directory; must be there */
	int cwd_fd;               /* the same, opened (sandbox_workdir), borrowed; 0: go by cwd */
	const char *const *allow; /* NULL-ended allow-list of executables (names or absolute paths),
				   * compared by resolved path; NULL: everything */
	int stdin_fd, stdout_fd, stderr_fd; /* borrowed during the call; -1: /dev/null */
	/* Kept open by the spawner until the end or sandbox_release; 0: none. The write end of the pipe that
	 * is stdin, say, so that the worker's death is no end of file. Borrowed during the call. */
	int hold_fd;
	uid_t uid;                          /* (uid_t)-1: the daemon's own */
	gid_t gid;
	/* What of the tree it sees as SANDBOX_SYMBI: a directory on a FUSE mount that belongs to its uid; NULL: nothing.
	 * Looking it up may wait for who serves that mount, who therefore must not wait for the spawner. */
	const char *view;
	struct sandbox_limits limits;
	bool enforce;                       /* apply limits */
	bool allow_degraded;                /* run it also where layers are missing */
	bool no_temp;                       /* in a box: /tmp and /dev/shm cannot be written */
	enum sandbox_network network;
	const char *destinations; /* Restricted: lists of rules as net_rules_read has them; NULL: none */
	bool ask_connects; /* Restricted: sandbox_events.connects is asked, also about what rules let through */
	const char *driver; /* by name; NULL: the best available of the tier that needs not be named */
	const char *image;  /* of an engine's: its root, where argv[0] is looked up; NULL: what every sandbox sees of the machine */
};

enum sandbox_end { /* why it ended */
	END_EXITED,       /* by itself: code */
	END_SIGNALED,     /* by a signal that nobody of ours sent: code = signal */
	END_KILLED,       /* by sandbox_kill */
	END_MEMORY,       /* out-of-memory killer of its cgroup */
	END_FILE_SIZE,    /* SIGXFSZ */
	END_CPU_TIME,     /* SIGXCPU */
	END_START_FAILED, /* never ran: err says why */
	END_LOST,         /* the spawner died; killed */
};

struct sandbox_result {
	enum sandbox_end end;
	int code; /* exit code or signal */
	uint64_t wall_ns;
	uint64_t cpu_ns;
	uint64_t memory_peak_bytes;
	uint64_t disk_read_bytes, disk_write_bytes;
	uint64_t pids_refused; /* processes that the pids limit did not let it start */
	uint64_t oom_kills;    /* of its processes, by the memory limit; END_MEMORY when it fell by it */
	struct err err; /* END_START_FAILED only */
};

struct sandbox_usage {
	uint64_t cpu_ns, memory_bytes, memory_peak_bytes, pids, disk_read_bytes, disk_write_bytes;
	uint64_t pids_refused, oom_kills; /* limits hit so far */
	bool from_cgroup;  /* cpu and memory; else summed over /proc: what has ended is not in it */
	bool disk_counted; /* disk figures by the cgroup; else summed over /proc, living processes only */
};

/* What of the limits the machine lets us enforce, for `status` and `doctor`. */
struct sandbox_caps {
	int cgroup_version; /* 0 none writable, 1, 2 */
	bool memory, cpu, pids, io, freeze, kill;
	bool net; /* false: bandwidth of tier None cannot be limited */
	char why[200]; /* why something is missing; "" when nothing is */
};

/* A connection that a program in a restricted network wanted. */
#define SANDBOX_ADDRESSES 8
#define SANDBOX_RULE	  288
#define SANDBOX_WHY	  160
struct sandbox_connect {
	uint64_t number;      /* of the question, to be answered by sandbox_answer; 0: it is told how it went */
	uint16_t port;
	bool allowed;	      /* told: */
	uint32_t missed;      /* others that were not told of, too many came at once */
	uint32_t addresses_n; /* asked: all that the name has, 0: it is not resolved yet; told: the one connected to */
	char host[256];	      /* a name in lower case, or an address, IPv6 without brackets */
	char addresses[SANDBOX_ADDRESSES][46];
	char rule[SANDBOX_RULE]; /* that let it through; "": none */
	char why[SANDBOX_WHY];	 /* told: not, or what became of it */
};

struct sandbox_events { /* called on the loop thread, in order per id */
	void (*started)(void *arg, uint64_t id, pid_t pid, const struct sandbox_layers *l);
	void (*ended)(void *arg, uint64_t id, const struct sandbox_result *r);
	/* The spawner died and was replaced or is gone; every process was reported ended. */
	void (*lost)(void *arg);
	/* Answer to sandbox_measure. May be NULL. */
	void (*measured)(void *arg, uint64_t id, const struct sandbox_usage *u);
	/* A connection is wanted (number) or was decided. May be NULL: what is asked is refused then. */
	void (*connects)(void *arg, uint64_t id, const struct sandbox_connect *c);
	/* What the spawner can enforce: told once after spawn_client_open and with each resync. May be NULL. */
	void (*caps)(void *arg, const struct sandbox_caps *c);
};

/* The directory BASE/NAME for programs of uid to work in: made when missing, 0700, owned by uid and gid
 * ((uid_t)-1: the daemon's own). BASE is made when missing (0711) and must belong to the daemon alone:
 * a symbolic link, somebody else's directory or one that others can write is SEC_001, for whoever owns
 * BASE could put anything in NAME's place. NAME is one component. Returns a directory descriptor for
 * sandbox_spec.cwd_fd (caller closes) or -errno. Any thread. */
int sandbox_workdir(const char *base, const char *name, uid_t uid, gid_t gid, struct err *e);

struct spawn_client;

/* Take over the connected SOCK_SEQPACKET descriptor to symbi-spawn (owned from now on). */
int spawn_client_open(struct spawn_client **ret, int fd, struct loop *l,
		      const struct sandbox_events *ev, void *arg, struct err *e);
void spawn_client_close(struct spawn_client *c);

/* Ask the spawner for everything it runs or has finished but nobody acknowledged, after a restart
 * of the worker: started/ended are called for each, then done(arg). */
int spawn_client_resync(struct spawn_client *c, void (*done)(void *arg), struct err *e);

/* Check and start; the outcome arrives as started/ended (END_START_FAILED). A refusal that is known
 * at once (allow-list SEC_001, bad spec, no such program SPAWN_001) is the return value and no
 * event follows. */
int sandbox_start(struct spawn_client *c, enum sandbox_tier tier, const struct sandbox_spec *s,
		  struct err *e);
int sandbox_signal(struct spawn_client *c, uint64_t id, int sig, struct err *e); /* its first process */
int sandbox_kill(struct spawn_client *c, uint64_t id, struct err *e); /* all of its processes */
int sandbox_release(struct spawn_client *c, uint64_t id, struct err *e); /* close its hold_fd */
int sandbox_freeze(struct spawn_client *c, uint64_t id, bool frozen, struct err *e);
/* Confirms that an `ended` event is recorded; the spawner then forgets the id. */
int sandbox_ack(struct spawn_client *c, uint64_t id, struct err *e);
int sandbox_set_limits(struct spawn_client *c, uint64_t id, const struct sandbox_limits *l,
		       struct err *e);
/* Ask what id uses now; `measured` is called once, unless `ended` of the id comes instead. Nothing is
 * called for an id that does not run. */
int sandbox_measure(struct spawn_client *c, uint64_t id, struct err *e);
/* Answer what `connects` was asked, now or later: may it? rule and why (not) are borrowed, NULL: none. */
int sandbox_answer(struct spawn_client *c, uint64_t id, uint64_t number, bool allowed, const char *rule, const char *why,
		   struct err *e);
/* What a spawner could enforce here, by making and removing a group: for who has none to ask. */
void sandbox_caps_probe(struct sandbox_caps *ret);

/* Registry of drivers, for sandbox/tiers and doctor. */
struct sandbox_driver {
	const char *name;
	enum sandbox_tier tier;
	bool by_name; /* never taken unasked: it holds less than the tier's own */
	uint32_t networks; /* modes that it can give: bits 1 << enum sandbox_network */
	bool images;	   /* sandbox_spec.image */
	const char *doc;
	/* 0 with what will hold its programs, what is missing included; or -errno with the reason and what to install
	 * or configure. The first call of a process may take milliseconds (sandbox_drivers_try). */
	int (*available)(struct sandbox_layers *ret, struct err *e);
};
extern const struct sandbox_driver *const sandbox_drivers[]; /* NULL-ended */
/* Find out now what each can do: before a process serves anybody. Processes forked later know it too. */
void sandbox_drivers_try(void);

/* Start symbi-spawn, which lies beside this program's file, for state_dir, with these limits on descriptors (NULL:
 * ours). Before any thread. once: it removes state_dir when it ends (spawn_server_discard). Returns the socket connected
 * to it (CLOEXEC, the caller's) with its pid, or -errno SPAWN_002 and no process. */
int spawn_server_start(const char *state_dir, const struct rlimit *files, bool once, pid_t *ret_pid, struct err *e);
/* Main loop of symbi-spawn on the descriptor; returns 0 when the other side is gone, after ending
 * everything it started. Takes state_dir's lock (spawn.lock) and leaves there what a later clean-up needs
 * (spawn.cgroups). -EBUSY when another spawner has the lock. */
int spawn_server_run(int fd, const char *state_dir, struct err *e);
/* End and remove what an earlier spawner of this state_dir left behind: processes and cgroups. Before the
 * first start, and after the spawner died. -EBUSY when that spawner still runs after 5 s, or something
 * cannot be ended. */
int spawn_server_cleanup(const char *state_dir, struct err *e);
/* Remove a state_dir that only a spawner used: its files, the directory SPAWN_WORK with all that is in it, and
 * itself when nothing else is there. Nothing that worked there may run any more. */
#define SPAWN_WORK "work"
#define SPAWN_CONTAINERS "oci" /* below a state directory: a bundle for each container */
void spawn_server_discard(const char *state_dir);
