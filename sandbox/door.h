/* SPDX-License-Identifier: MIT */
/* door.h - the one way out of a restricted network: a process outside that speaks HTTP proxy and SOCKS5 on a socket that
 * listens inside, and connects where it may. L1; single-threaded but for the resolver, a process for each sandbox.
 *
 * A name is resolved once, here; each of its addresses is checked, and one that was checked is the one connected to. The
 * door lives no longer than the spawner and is ended with its sandbox. It has the sandbox's user, no capability, no file
 * that it could write, and the sandbox's filter of system calls. */
#pragma once

#include "sandbox/sandbox.h"

#define DOOR_PORT	  1080 /* on 127.0.0.1 inside */
#define DOOR_CONNS_MAX	  256  /* connections at a time; more wait to be accepted */
#define DOOR_PER_S	  100  /* new connections a second, over a longer time; more wait */
#define DOOR_TOLD_BURST	  50   /* connections told of at once, ... */
#define DOOR_TOLD_PER_S	  2    /* ... and over a longer time; the rest are counted */
#define DOOR_ADDRESSES	  SANDBOX_ADDRESSES

struct door_plan {		/* borrowed */
	const char *rules;	/* net_rules_read */
	bool ask;		/* also ask who is at the other end of talk (door_answer), who alone decides without rules */
	uint64_t bytes_per_s;	/* both ways together; 0: no limit */
	int64_t uid, gid;	/* -1: the spawner's */
};

/* What stands at the other end of talk (SOCK_SEQPACKET): from the door struct sandbox_connect, to it: */
struct door_answer {
	uint64_t number; /* of the question; 0: somebody new listens, all that is unanswered is asked again */
	uint32_t allowed;
	char rule[SANDBOX_RULE];
	char why[SANDBOX_WHY]; /* not allowed */
};

/* Start one. Takes neither descriptor. Its pid, or -errno. */
pid_t door_start(const struct door_plan *p, int listener, int talk, uint32_t mark, struct err *e);
/* A network namespace with nothing but its loopback, for a container that joins it: its descriptor, and the socket that its
 * door will serve. Both CLOEXEC, the caller's. As root. 0 or -errno. */
int door_namespace(int *ret_ns, int *ret_listener, struct err *e);
/* In a network namespace: the socket that its door will serve, CLOEXEC. Bare system calls. -1 with errno. */
int door_listen(void);
