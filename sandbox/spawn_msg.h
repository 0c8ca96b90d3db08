/* SPDX-License-Identifier: MIT */
/* spawn_msg.h - what worker and spawner say to each other: fixed messages over SOCK_SEQPACKET, the
 * descriptors by SCM_RIGHTS, the strings of a start in a memfd. L1. */
#pragma once

#include "sandbox/sandbox.h"

#define SPAWN_TEXT_MAX (4u << 20) /* bytes of argv, environment and paths together */
#define SPAWN_FDS      5          /* text, stdin, stdout, stderr, working directory */

enum spawn_op {
	SPAWN_START = 1,
	SPAWN_SIGNAL,
	SPAWN_KILL,
	SPAWN_FREEZE,
	SPAWN_ACK,
	SPAWN_LIST,
	SPAWN_LIMITS,
	SPAWN_MEASURE,
	SPAWN_STARTED = 100,
	SPAWN_ENDED,
	SPAWN_LISTED,
	SPAWN_MEASURED,
};

struct spawn_req {
	uint32_t op;
	int32_t arg; /* signal; frozen */
	uint64_t id;
	struct sandbox_limits limits;
	uint32_t enforce, cwd_by_fd;
	uint32_t argc, envc, text_len; /* text: program, cwd, argv..., envp..., each ended by NUL */
	int64_t uid, gid;              /* -1: unchanged */
};

struct spawn_event {
	uint32_t op;
	int32_t pid;
	uint64_t id;
	union {
		struct sandbox_result result;
		struct sandbox_usage usage;
	};
};

/* Send msg with n descriptors. 0, -EAGAIN, or -errno. */
int spawn_send(int sock, const void *msg, size_t len, const int *fds, unsigned n);
/* Receive exactly len bytes of message. Count of descriptors in fds (CLOEXEC, owned by the caller), or
 * -EAGAIN, -EPIPE at the end, -EBADMSG for anything else that is not such a message. */
int spawn_recv(int sock, void *msg, size_t len, int fds[static SPAWN_FDS]);
/* Split text into argc + envc + 2 strings; out has room for that many and two NULLs: program, cwd,
 * argv..., NULL, envp..., NULL. -EBADMSG when it is not exactly those. Borrows text. */
int spawn_text_split(char *text, size_t len, uint32_t argc, uint32_t envc, char **out);
