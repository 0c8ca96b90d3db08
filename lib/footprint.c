/* SPDX-License-Identifier: MIT */
/* footprint.c - dropping mapped program text by /proc/self/maps. L0. */
#include "lib/footprint.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

void footprint_trim(void)
{
	char line[512], perms[8], path[256];
	FILE *f = fopen("/proc/self/maps", "re");
	while (f && fgets(line, sizeof line, f)) {
		uintptr_t from, to;
		path[0] = 0;
		if (sscanf(line, "%lx-%lx %7s %*s %*s %*s %255s", &from, &to, perms, path) >= 3 &&
		    path[0] == '/' && strcmp(perms, "r-xp") == 0)
			madvise((void *)from, to - from, MADV_DONTNEED);
	}
	if (f)
		fclose(f);
}
