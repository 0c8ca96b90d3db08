/* SPDX-License-Identifier: MIT */
/* trail.h - the audit trail of a closed engine: made, read, written to, verified. */
#pragma once

#include "runtime/audit_verify.h"
#include "tests/support/engine.h"

#define SPEC "tier: None\nruntime: sh\ncode: |\n  cat\n"

/* ---- an engine with a trail, closed ---- */

static inline void work(struct engine *t, unsigned n)
{
	struct err e = {0};
	char file[32];
	for (unsigned i = 0; i < n; i++) {
		snprintf(file, sizeof file, "agent%u.yaml", i);
		if (engine_put(t, file, SPEC, &e) < 0)
			fail_msg("%s", e.msg);
	}
}

static inline const char *path_of(struct engine *t, const char *name)
{
	static char path[4][256];
	static unsigned i;
	snprintf(path[i = (i + 1) % 4], sizeof path[0], "%s/%s", t->dir, name);
	return path[i];
}

/* A text file; NUL behind it. The caller frees. */
static inline char *load(const char *path, size_t *ret_len)
{
	FILE *f = fopen(path, "re");
	char *text = calloc(1, 4 << 20);
	assert_non_null(f);
	*ret_len = fread(text, 1, (4 << 20) - 1, f);
	fclose(f);
	return text;
}

static inline void save(const char *path, const char *text, size_t len)
{
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static inline int verify_with(struct engine *t, const char *kept, struct audit_report *report, struct err *e)
{
	struct note_public key;
	const char *more[] = {kept, NULL};
	const char *dir = path_of(t, "audit");
	struct audit_files f = {.dir = dir, .more = kept ? more : NULL};
	*e = (struct err){0};
	assert_int_equal(note_public_read(path_of(t, "audit/key.pub"), &key, e), 0);
	return audit_verify_files(&f, &key, report, e);
}

static inline void assert_good(struct engine *t, uint64_t *ret_records)
{
	struct err e;
	struct audit_report r;
	if (verify_with(t, NULL, &r, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(r.signed_size, r.records); /* a clean end signs everything */
	if (ret_records)
		*ret_records = r.records;
}

static inline void copy(const char *from, const char *to)
{
	char line[1024];
	snprintf(line, sizeof line, "rm -rf '%s' && cp -a '%s' '%s'", to, from, to);
	char *argv[] = {(char *)"sh", (char *)"-c", line, NULL};
	pid_t pid = fork();
	if (pid == 0) {
		execv("/bin/sh", argv);
		_exit(127);
	}
	int status = 1;
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
}
