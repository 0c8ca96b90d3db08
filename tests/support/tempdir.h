/* SPDX-License-Identifier: MIT */
/* tempdir.h - a directory of a test's own, removed with all that is in it. */
#pragma once

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline int tempdir_unlink(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st, (void)kind, (void)ftw;
	return remove(path);
}

/* Makes the directory and puts its path into out; ends the program when it cannot. */
static inline void tempdir_make(char out[static 64])
{
	const char *tmp = getenv("TMPDIR");
	snprintf(out, 64, "%.40s/symbi-test.XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(out)) {
		perror(out);
		exit(1);
	}
}

static inline void tempdir_remove(const char *dir)
{
	nftw(dir, tempdir_unlink, 16, FTW_DEPTH | FTW_PHYS);
}
