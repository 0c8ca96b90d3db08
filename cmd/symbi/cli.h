/* SPDX-License-Identifier: MIT */
/* cli.h - what the commands of symbi share: their table, options, where the daemon is, and how to talk
 * to it. L4; one thread.
 *
 * Data goes to stdout, talk to stderr as "symbi: CODE sentence". Exit status 0: done, 1: failed, 2: wrong
 * usage; `symbi run` hands on the program's own. */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "runtime/places.h"

#define CLI_FAILED 1
#define CLI_USAGE  2

struct command {
	const char *name;
	int (*fn)(const struct command *c, int argc, char **argv); /* argv[0] is the name */
	const char *usage;                                         /* what stands behind the name */
	const char *help;                                          /* one line */
	const char *more; /* `symbi NAME --help`; may be NULL */
};

/* One function per command, each in cmd_NAME.c; the table is in main.c. */
int cmd_up(const struct command *c, int argc, char **argv);
int cmd_down(const struct command *c, int argc, char **argv);
int cmd_status(const struct command *c, int argc, char **argv);
int cmd_doctor(const struct command *c, int argc, char **argv);
int cmd_run(const struct command *c, int argc, char **argv);
int cmd_ls(const struct command *c, int argc, char **argv);
int cmd_cat(const struct command *c, int argc, char **argv);
int cmd_write(const struct command *c, int argc, char **argv);
int cmd_tail(const struct command *c, int argc, char **argv);
int cmd_config(const struct command *c, int argc, char **argv);
int cmd_audit(const struct command *c, int argc, char **argv);
int cmd_journal(const struct command *c, int argc, char **argv);
int cmd_index(const struct command *c, int argc, char **argv);
int cmd_policy(const struct command *c, int argc, char **argv);
int cmd_secrets(const struct command *c, int argc, char **argv);
int cmd_rag(const struct command *c, int argc, char **argv);
int cmd_sandbox(const struct command *c, int argc, char **argv);

/* ---- rag_eval.c ---- */

/* Measure retrieval on the collection in dir, and print it. The exit status. */
int rag_eval(const char *dir, bool json);

/* ---- opts.c ---- */

struct opt {
	const char *name;  /* without the dashes; "n" and "f" are also -n, -f */
	const char **text; /* takes a value, put here; NULL: a flag */
	bool *flag;
};
/* Read options and check the number of the other words. Returns the index in argv of the first of those
 * (argv is reordered), or -1 when it said what is wrong (return CLI_USAGE then). --help prints and ends
 * the program. opts ends with a row without name. */
#define OPTS_COMMAND (-1) /* most: options end at the first word, the rest is for somebody else */
int opts_read(const struct command *c, int argc, char **argv, const struct opt *opts, int least,
	      int most);
/* Say what is wrong with the words of a command. Returns CLI_USAGE. */
int opts_wrong(const struct command *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- where.c ---- */

struct where { /* zero it; the options below fill in the first three */
	const char *mount, *state, *socket;
	struct places at;
};
#define WHERE_SOCKET_OPTS(w)                                                                       \
	{"socket", &(w).socket, NULL},                                                             \
	{                                                                                          \
		"state", &(w).state, NULL                                                          \
	}
/* Options, then the settings ($SYMBI_SOCKET is one), then the defaults. Settings that cannot
 * be read are a warning here: they must not keep anybody from stopping a daemon. */
int where_find(struct where *w, struct err *e);
/* A file of the tree by the socket, or on the mount: when one was asked for, or when nobody listens on
 * the socket. 0 or -errno. */
int where_read(const struct where *w, const char *path, struct buf *out, struct err *e);
int where_write(const struct where *w, const char *path, const char *text, struct err *e);
/* The value behind "key " in key-value lines; false when it is absent. */
bool where_value(const char *lines, const char *key, char *out, size_t cap);

/* ---- client.c: HTTP over the Unix socket ---- */

struct client;

struct reply {
	unsigned status;
	uint64_t run;   /* Symbi-Run, or 0 */
	uint64_t total; /* size of the whole text by Content-Range, or Content-Length */
	bool sized;     /* `total` was said */
	/* A reply of the 200 kind goes here as it comes: to file, or when that is NULL to body. Set by
	 * the caller; body initialised. */
	FILE *file;
	struct buf *body;
	uint64_t got; /* bytes of it */
};

int client_open(struct client **ret, const char *socket, struct err *e);
void client_close(struct client *c); /* NULL is fine */
/* Give up a request (-EINTR COMM_001) within a second of *flag having become true. */
void client_stop_on(struct client *c, const volatile sig_atomic_t *flag);
/* One request to /fs/PATH; path is not encoded. header: one more header line, or NULL. body NULL: none.
 * A request that can be repeated is, when the daemon's worker was replaced meanwhile. Returns 0, or
 * -errno of what the daemon said, with its code, sentence and line; -ECONNREFUSED API_002 when nobody
 * listens. 416 is no failure. */
int client_do(struct client *c, const char *method, const char *path, const char *header,
	      const char *body, size_t len, struct reply *r, struct err *e);
/* GET into a buffer. */
int client_get(struct client *c, const char *path, struct buf *out, struct err *e);
/* Path in the tree of what a user wrote: without the mount point and slashes in front. */
const char *client_path(const struct where *w, const char *text);

/* ---- said.c ---- */

/* Print "symbi: CODE sentence" and return CLI_FAILED. */
int say_failed(const struct err *e);
/* A number as it is, everything else as a JSON string. */
void say_json_value(struct buf *out, const char *text);
/* Write b to stdout. 0 or CLI_FAILED. */
int say_out(const struct buf *b);
/* All of a file, at most max bytes; "-" is standard input. -EFBIG RESOURCE_003. */
int say_slurp(const char *path, size_t max, struct buf *out, struct err *e);
