/* SPDX-License-Identifier: MIT */
/* spawn_msg.h - what worker and spawner say to each other over SOCK_SEQPACKET. L1; any thread.
 *
 * A request is a struct spawn_req; that of a start is followed by its strings, or, when they are long, has
 * them in a memfd. Descriptors travel by SCM_RIGHTS in the order of their flags. An event is a struct
 * spawn_event; SPAWN_STARTED brings a descriptor along when the program has a door (door.h): the end that is asked and
 * told. Both ends come from one build, so the structs are their own format. */
#pragma once

#include "sandbox/sandbox.h"

#define SPAWN_TEXT_MAX   (4u << 20) /* bytes of a start's strings together */
#define SPAWN_INLINE_MAX 16384u     /* up to here they follow the request */
#define SPAWN_STRINGS    65536u     /* arguments, and variables, of one start at most */
#define SPAWN_FIXED	 5	    /* strings before them */

enum spawn_op {
	SPAWN_START = 1,
	SPAWN_SIGNAL,
	SPAWN_KILL,
	SPAWN_FREEZE,
	SPAWN_ACK,
	SPAWN_LIST, /* id: any number, comes back in SPAWN_LISTING and SPAWN_LISTED */
	SPAWN_LIMITS,
	SPAWN_MEASURE,
	SPAWN_RELEASE,
	SPAWN_CAPS, /* answered by SPAWN_CAPS_ARE */
	SPAWN_OPS_END,
	SPAWN_STARTED = 100,
	SPAWN_ENDED,
	SPAWN_LISTING,
	SPAWN_LISTED,
	SPAWN_MEASURED,
	SPAWN_CAPS_ARE,
};

enum spawn_flag { /* the first SPAWN_FDS say which descriptors come along, in this order */
	SPAWN_TEXT = 1 << 0,
	SPAWN_STDIN = 1 << 1,
	SPAWN_STDOUT = 1 << 2,
	SPAWN_STDERR = 1 << 3,
	SPAWN_CWD = 1 << 4,
	SPAWN_HOLD = 1 << 5,
	SPAWN_ENFORCE = 1 << 6,
	SPAWN_DEGRADED = 1 << 7, /* also where a layer is missing */
	SPAWN_NO_TEMP = 1 << 8,	 /* in a box: nothing temporary can be written */
	SPAWN_ASK = 1 << 9,	 /* the door of its network asks */
};
#define SPAWN_FDS 6

struct spawn_req {
	uint32_t op;
	int32_t arg; /* signal; frozen */
	uint64_t id;
	struct sandbox_limits limits;
	uint32_t flags;
	uint32_t driver; /* number in sandbox_drivers */
	uint32_t network; /* enum sandbox_network */
	uint32_t argc, envc, text_len; /* strings: program, cwd, view, destinations, image, argv..., envp..., each ended by NUL */
	int64_t uid, gid;              /* -1: unchanged */
};

struct spawn_event {
	uint32_t op;
	int32_t pid;
	uint64_t id;
	union {
		struct sandbox_result result;
		struct sandbox_usage usage;
		struct sandbox_caps caps;
		struct sandbox_layers layers; /* SPAWN_STARTED */
	};
};

/* Send msg and, when there is any, text behind it, with n descriptors. 0, -EAGAIN, or -errno. */
int spawn_send(int sock, const void *msg, size_t len, const void *text, size_t text_len,
	       const int *fds, unsigned n);
/* Receive one message of at most cap bytes: its length, and the descriptors that came with it (CLOEXEC,
 * owned by the caller). -EAGAIN, -EPIPE at the end, -EBADMSG for what is longer or has more descriptors. */
ssize_t spawn_recv(int sock, void *msg, size_t cap, int fds[static SPAWN_FDS], unsigned *ret_n);
/* Is what came a request that may be served: op, length, counts and descriptors fit. 0 or -EBADMSG. */
int spawn_req_check(const struct spawn_req *q, size_t len, unsigned nfds);
/* Split text into argc + envc + SPAWN_FIXED strings; out has room for that many and two NULLs: program, cwd, view ("":
 * none), destinations, image, argv..., NULL, envp..., NULL. -EBADMSG when it is not exactly those. Borrows text. */
int spawn_text_split(char *text, size_t len, uint32_t argc, uint32_t envc, char **out);
