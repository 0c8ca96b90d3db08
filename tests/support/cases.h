/* SPDX-License-Identifier: MIT */
/* cases.h - texts and what is expected of them, from files of tests/data:
 *
 *	#### name.toml a line on what the case is about
 *	the text
 *	#### => what is expected, one line
 *
 * A text's last newline is dropped when the line before "#### =>" is "#### no newline". */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct test_case {
	char *name; /* "name.toml": its suffix tells the format */
	char *text;
	size_t len;
	char *expect; /* "" when nothing follows the arrow */
};

/* The next case of f; false at its end. Free with case_done. Ends the program on a malformed file. */
static inline int case_next(FILE *f, struct test_case *ret)
{
	char *line = NULL;
	size_t cap = 0, n;
	ssize_t got;
	FILE *text = NULL;
	*ret = (struct test_case){0};
	while ((got = getline(&line, &cap, f)) >= 0) {
		n = (size_t)got;
		if (strncmp(line, "#### =>", 7) == 0 && text) {
			fclose(text);
			line[strcspn(line, "\n")] = 0;
			ret->expect = strdup(line + 7 + strspn(line + 7, " "));
			free(line);
			return 1;
		}
		if (strcmp(line, "#### no newline\n") == 0 && text) {
			fclose(text);
			ret->len -= ret->len > 0;
			ret->text[ret->len] = 0;
			text = fopen("/dev/null", "w");
		} else if (strncmp(line, "#### ", 5) == 0 && !text) {
			ret->name = strndup(line + 5, strcspn(line + 5, " \n"));
			text = open_memstream(&ret->text, &ret->len);
			fflush(text);
		} else if (text) {
			fwrite(line, 1, n, text);
			fflush(text);
		}
	}
	free(line);
	if (text) {
		fprintf(stderr, "case '%s' has no end\n", ret->name);
		exit(1);
	}
	return 0;
}

static inline void case_done(struct test_case *c)
{
	free(c->name);
	free(c->text);
	free(c->expect);
}
