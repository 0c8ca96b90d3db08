/* SPDX-License-Identifier: MIT */
/* no_landlock.c - runs a command as on a kernel without Landlock. */
#include "tests/support/no_landlock.h"

#include <stdio.h>

int main(int argc, char **argv)
{
	if (argc < 2 || !no_landlock())
		return 126;
	execvp(argv[1], argv + 1);
	perror(argv[1]);
	return 127;
}
