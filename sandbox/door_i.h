/* SPDX-License-Identifier: MIT */
/* door_i.h - within the door's process. L1. */
#pragma once

#include <netinet/in.h>
#include <uv.h>

#include "sandbox/door.h"
#include "sandbox/door_parse.h"
#include "sandbox/net_rules.h"

struct bucket { /* of tokens */
	double level, most, per_s;
	uint64_t at_ms;
};

struct flow { /* one direction of a connection */
	struct conn *conn;
	uv_stream_t *from, *to;
	uv_write_t write;
	uv_shutdown_t end;
	bool ended;   /* nothing more comes */
	bool starved; /* waits for bandwidth */
};

enum conn_state {
	CONN_HEAD,	  /* says where it wants to go */
	CONN_ASK_NAME,	  /* may that name be looked up? */
	CONN_RESOLVE,
	CONN_ASK,	  /* may those addresses be connected to? */
	CONN_DIAL,
	CONN_RELAY,
	CONN_LINGER, /* was refused; the answer is on its way */
	CONN_CLOSING,
};

struct conn {
	struct conn *next, **at;
	struct door *door;
	enum conn_state state;
	uv_tcp_t in, out;
	unsigned handles; /* of the two, not closed yet */
	bool has_out, looking;
	bool greeted;	 /* by SOCKS */
	uint64_t number; /* of the question that is asked; 0: none */
	bool unsent;	 /* the question */
	uint64_t until_ms; /* 0: for ever */
	struct door_request q;
	size_t len; /* of head */
	char head[DOOR_HEAD_MAX], back[DOOR_HEAD_MAX];
	uint8_t addresses[DOOR_ADDRESSES][16]; /* checked */
	unsigned addresses_n, dialled;
	char rule[SANDBOX_RULE];
	uv_getaddrinfo_t lookup;
	uv_connect_t connect;
	char *first; /* what the server gets first, of DOOR_HTTP; owned */
	struct flow up, down;
};

struct door {
	uv_loop_t loop;
	uv_tcp_t listener;
	uv_poll_t answers;
	uv_timer_t sweep, soon;
	const struct door_plan *plan;
	struct net_rules *rules;
	int talk;
	struct conn *conns;
	unsigned n;
	uint64_t numbers;
	struct bucket accepts, tells, bytes;
	uint32_t missed;
	bool waiting; /* somebody is to be accepted */
};

/* ---- door.c ---- */

bool bucket_take(struct bucket *b, uint64_t now_ms, double n); /* false, and nothing taken, when it is empty */
/* Look again soon at what waits for bandwidth or to be accepted. */
void door_soon(struct door *d);
void door_accept(struct door *d);

/* ---- door_conn.c ---- */

bool conn_accept(struct door *d); /* false: none, it waits */
/* The question's answer. */
void conn_answered(struct conn *c, const struct door_answer *a);
void conn_late(struct conn *c); /* its time is over */
void conn_resume(struct conn *c); /* where it waits for bandwidth */
void conn_close(struct conn *c);

/* ---- door_talk.c ---- */

/* Ask about c, whose state says what. The answer is conn_answered. */
void talk_ask(struct conn *c);
/* Tell what became of c: where it was let through to (why NULL), or why not. */
void talk_tell(struct conn *c, bool allowed, const char *address, const char *why);
void talk_read(uv_poll_t *watch, int status, int events);

/* ---- door_relay.c ---- */

/* c's server is connected: tell the program, hand on what it has said, and then both ways until both have ended. */
void relay_begin(struct conn *c);
void relay_resume(struct flow *f);
