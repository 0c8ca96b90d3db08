/* SPDX-License-Identifier: MIT */
/* spawn_server.h - the spawner's state and loop. L1; the spawner's single thread. */
#pragma once

#include "sandbox/job.h"

struct server {
	int sock; /* borrowed */
	const char *dir; /* state directory, where containers are made; borrowed */
	int epoll, signals, null, reports[2];
	struct cgroup_base *base;
	struct sandbox_caps caps;
	bool keepers; /* no group can be made: every job has a keeper */
	uint32_t mark;
	struct jobs jobs;
	struct job *news, **news_end; /* jobs with something to tell, first to tell first */
	struct job listing, listed;   /* the marks around a list */
	struct job caps_told;         /* the mark of an answer that is about no job */
	bool blocked;                 /* the socket was full */
	struct job *ending;           /* jobs whose rest does not end at once */
	bool strays;                  /* there may be children that no keeper holds */
	int tick_ms;
	union {
		struct spawn_req req;
		char bytes[sizeof(struct spawn_req) + SPAWN_INLINE_MAX];
	} in;
};

/* Ready to run, with cgroups below `group_name` where there are any. 0 or -errno. */
int server_open(struct server *s, int sock, const char *group_name, uint32_t mark, struct err *e);
void server_run(struct server *s);   /* until the other side is gone */
void server_close(struct server *s); /* ends everything that was started */

/* ---- between spawn_server.c and spawn_launch.c ---- */

uint64_t server_now_ns(void);
/* Tell the other side of j when the socket takes it. */
void server_queue(struct server *s, struct job *j, unsigned news);
/* j is over before it ran. */
void server_never_ran(struct server *s, struct job *j, const struct err *e);
/* Answer a SPAWN_START that cannot be served at all. */
void server_refuse(struct server *s, uint64_t id);
/* Serve a SPAWN_START that spawn_req_check has passed; fds are those that came along, closed by the caller. */
void server_start(struct server *s, const struct spawn_req *q, char *text, const int *fds);
