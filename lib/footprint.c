/* SPDX-License-Identifier: MIT */
/* footprint.c - dropping mapped pages of files that are as they are in the file, by /proc/self/smaps. L0. */
#include "lib/footprint.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define RANGES_MAX 512

struct range {
	uintptr_t from, to;
};

/* Is this the first line of a mapping of a file that cannot be written through it? */
static bool is_of_file(const char *line, struct range *ret)
{
	char perms[8], path[256] = "";
	return sscanf(line, "%lx-%lx %7s %*s %*s %*s %255s", &ret->from, &ret->to, perms, path) >=
		       4 &&
	       path[0] == '/' && (strcmp(perms, "r-xp") == 0 || strcmp(perms, "r--p") == 0);
}

/* What was relocated when the program started is anonymous memory by now, and would be lost. */
static unsigned clean_ranges(FILE *f, struct range out[RANGES_MAX])
{
	char line[512];
	unsigned n = 0;
	bool of_file = false;
	while (n < RANGES_MAX && fgets(line, sizeof line, f)) {
		unsigned long kb;
		if (sscanf(line, "Anonymous: %lu", &kb) == 1) {
			n += of_file && kb == 0;
			of_file = false;
		} else if (line[0] < 'A' || line[0] > 'Z') {
			of_file = is_of_file(line, &out[n]);
		}
	}
	return n;
}

void footprint_trim(void)
{
	struct range all[RANGES_MAX];
	FILE *f = fopen("/proc/self/smaps", "re");
	unsigned n = f ? clean_ranges(f, all) : 0;
	if (f)
		fclose(f);
	for (unsigned i = 0; i < n; i++) /* all that was needed for reading goes, too */
		madvise((void *)all[i].from, all[i].to - all[i].from, MADV_DONTNEED);
	malloc_trim(0);
}
