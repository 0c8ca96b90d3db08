/* SPDX-License-Identifier: MIT */
/* profile.h - sandbox profiles: what a program in a sandbox may use, by a name. L1; any thread.
 *
 * A profile is a text of five sections (resources, filesystem, process, network, security; docs/SPEC.md has every key).
 * What it asks for and a sandbox of this build cannot enforce makes it no profile: nothing in one is ignored. */
#pragma once

#include "lib/buf.h"
#include "lib/value.h"
#include "sandbox/sandbox.h"

#define SANDBOX_PROFILE_DEFAULT "standard" /* of who names none */
#define SANDBOX_DENIED_MAX      1024       /* bytes of denied paths together, each with its NUL */
#define SANDBOX_DESTINATIONS_MAX 8192       /* bytes of all destinations, a line each */

struct sandbox_profile { /* plain data */
	struct sandbox_limits limits;
	uint64_t execution_ms; /* longest run; 0: no limit */
	bool no_temp;          /* nothing can be written but the working directory */
	bool cpu_given, io_given; /* it asks for a limit of processor time, of disk traffic */
	enum sandbox_network network;
	char destinations[SANDBOX_DESTINATIONS_MAX]; /* Restricted: as net_rules_read has them; "": none */
	size_t denied_len;
	char denied[SANDBOX_DENIED_MAX]; /* paths, each ended by NUL: in no part of a working directory */
};

/* The built-in one of this name, static; NULL: there is none. */
const struct sandbox_profile *sandbox_profile_builtin(const char *name);

/* Read and check the text of one. What it does not say is as in `standard`. -EINVAL SEC_003 for
 * what is no profile (TEXT_00x for what does not parse), -EACCES SEC_001 for what cannot be enforced; each names the key
 * and its line. *unfinished (may be NULL) is set: more text behind the end could still cure the failure. */
int sandbox_profile_read(enum value_format f, const char *text, size_t len, struct sandbox_profile *ret, bool *unfinished,
			 struct err *e);
/* As YAML that reads back as p. 0 or -errno of the buffer. */
int sandbox_profile_render(const struct sandbox_profile *p, struct buf *out);

/* Read one of a list of destinations, "HOST:PORT" or {host, port, protocol}, and add it to out as a line. 0, or -EINVAL
 * SEC_003 with its line. */
int sandbox_destination_read(const struct value *v, struct buf *out, struct err *e);
/* What two that both hold leave: the narrower mode, and of Restricted what is in both their lists, added to `list`; who has
 * no list does not narrow it. 0 or -errno of the buffer. */
int sandbox_network_join(enum sandbox_network a, const char *a_list, enum sandbox_network b, const char *b_list,
			 enum sandbox_network *ret, struct buf *list);

/* May a program of p work in cwd, an absolute path? 0, or -EACCES SEC_001 when it lies in a denied path, or holds one. */
int sandbox_profile_cwd(const struct sandbox_profile *p, const char *cwd, struct err *e);
/* Can this machine hold a program to all limits that p asks for? 0, or -EPERM SEC_002 with the key and what is missing. */
int sandbox_profile_enforceable(const struct sandbox_profile *p, const struct sandbox_caps *c, struct err *e);
