/* SPDX-License-Identifier: MIT */
/* door_parse.h - what a program says to the door of its network: an HTTP proxy's request, or SOCKS5. Pure; L1; any
 * thread. */
#pragma once

#include "lib/buf.h"
#include "lib/net_host.h"

#define DOOR_HEAD_MAX 16384 /* bytes of a request's head */

enum door_kind { DOOR_CONNECT, DOOR_HTTP, DOOR_SOCKS };

enum door_step {
	DOOR_MORE,    /* the head is not whole */
	DOOR_GREETED, /* SOCKS: answer DOOR_SOCKS_WELCOME, then parse again behind `used` with greeted */
	DOOR_READY,   /* where it wants to go is known */
	DOOR_BAD,     /* `why` says what is wrong; nothing can become of it */
};

struct door_request {
	enum door_kind kind;
	struct net_host host;
	uint16_t port;
	size_t used;	 /* bytes of the head */
	const char *why; /* DOOR_BAD: static */
	int socks_error; /* DOOR_BAD of SOCKS: the answer's code; 0: close without one */
	/* DOOR_HTTP: where in the head these stand */
	size_t method_len, path, path_len, version, headers;
};

/* Read the beginning of a connection. */
enum door_step door_parse(const char *data, size_t len, bool greeted, struct door_request *ret);
/* The head of a DOOR_HTTP request as the server gets it: its own path, host and headers, and one request to a connection.
 * 0 or -errno of the buffer. */
int door_head(const char *data, const struct door_request *q, struct buf *out);
