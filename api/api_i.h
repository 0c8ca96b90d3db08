/* SPDX-License-Identifier: MIT */
/* api_i.h - what the files of api/ share and nobody else sees. L3; loop thread only. */
#pragma once

#include <microhttpd.h>

#include "api/api.h"
#include "lib/mem.h"

struct api_user { /* connections of one uid */
	struct api_user *next;
	uid_t uid;
	unsigned connections;
};

struct api_peer {        /* the other side of a connection */
	uv_poll_t watch; /* does it hang up? */
	struct api_server *s;
	struct actor who;
	struct api_user *user;
	struct MHD_Connection *mhd;
	struct api_request *request; /* the present one, or NULL */
	bool half_closed;            /* it will send nothing more; it may still read */
};

struct api_server {
	struct tree *tree;
	struct loop *loop;
	struct MHD_Daemon *mhd;
	struct api_opts opts;
	uv_poll_t accept_watch; /* the listening socket */
	uv_poll_t mhd_watch;    /* libmicrohttpd's epoll descriptor */
	uv_timer_t mhd_timer;   /* its next timeout */
	uv_prepare_t
		before_sleep; /* connections woken since its last turn are not in its epoll set */
	bool woken;
	uv_timer_t pause;           /* no descriptors are left: accept again later */
	struct api_peer *accepting; /* set while a connection is handed over */
	struct api_user *users;
	unsigned connections;
	struct api_request *requests;
	unsigned open_watches; /* handles of the loop above */
	bool closing;
};

struct api_method;

/* One request. It lives as long as its connection works on it or the tree owes it a reply. */
struct api_request {
	struct fs_req op; /* to the tree; at most one at a time */
	void (*next)(struct api_request *r, int result, const void *data, size_t len,
		     const struct err *e); /* what op's reply leads to */
	struct api_request *list_next, **list_prev;
	struct api_server *s;       /* NULL: the server was closed */
	struct MHD_Connection *mhd; /* NULL: the client or the connection is gone */
	struct api_peer *peer;      /* NULL with it */
	const struct api_method *method;
	char *path; /* decoded, below /fs */
	struct buf body;
	size_t discarded;              /* bytes of the body above the cap */
	struct MHD_Response *response; /* ready to be queued */
	unsigned status;
	unsigned refs;
	bool begun;
	bool pending; /* op is with the tree */
	bool suspended;
	bool untimed; /* the connection may be idle as long as it likes, during this request */
	/* what the methods on /fs keep */
	struct handle *h;
	fs_id id;
	bool created;
	bool listing;
	bool ended, broken; /* the text has ended; it cannot be gone on with */
	uint64_t off;       /* of the next read */
	uint64_t cookie;
	struct buf piece; /* read and not sent */
	size_t piece_at;
};

struct api_method {
	const char *name;
	void (*begin)(struct api_request *r); /* the whole body is there */
};
extern const struct api_method api_fs_methods[]; /* ended by .name NULL */
#define API_FS_ALLOW "GET, HEAD, PUT, POST, DELETE, OPTIONS"

/* request.c */
enum MHD_Result api_on_request(void *cls, struct MHD_Connection *c, const char *url,
			       const char *method, const char *version, const char *upload,
			       size_t *upload_size, void **state);
void api_on_completed(void *cls, struct MHD_Connection *c, void **state,
		      enum MHD_RequestTerminationCode how);
void request_unref(struct api_request *r);
/* The client closed its connection. */
void request_abandon(struct api_request *r);
void request_cancel(struct api_request *r); /* what is pending with the tree, if it can be */
/* Begin an operation of the tree whose reply goes to `next`; pass &r->op to the tree behind it. */
void request_expect(struct api_request *r, void (*next)(struct api_request *, int, const void *,
							size_t, const struct err *));
/* Answer, now or after a suspension. response is owned from here on; NULL answers 503. */
void request_answer(struct api_request *r, unsigned status, struct MHD_Response *response);
/* Answer with a text that is taken out of b. type NULL: by the name of the file. */
void request_text(struct api_request *r, unsigned status, struct buf *b, const char *type);
/* Answer with a failure; result is -errno. op names it in `errors`; NULL: it is not recorded. */
void request_fail(struct api_request *r, int result, const struct err *e, const char *op);
/* Wait inside a content reader; request_wake ends it. */
void request_suspend(struct api_request *r);
void request_wake(struct api_request *r);
const char *request_header(const struct api_request *r, const char *name); /* NULL: absent */
