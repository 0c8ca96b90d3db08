/* SPDX-License-Identifier: MIT */
/* said.c - what commands print, and what they read. L4. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "lib/mem.h"
#include "lib/parse.h"

int say_failed(const struct err *e)
{
	fprintf(stderr, "symbi: %s %s\n", err_code_name(e->code), e->msg);
	return CLI_FAILED;
}

void say_json_value(struct buf *out, const char *text)
{
	double d;
	bool digits = *text && strspn(text, "0123456789.") == strlen(text);
	bool leading = text[0] == '0' && text[1] && text[1] != '.';
	if (digits && !leading && text[0] != '.' && text[strlen(text) - 1] != '.' &&
	    parse_double(text, 0, 1e15, &d, NULL) == 0)
		buf_adds(out, text);
	else
		buf_json_string(out, text, strlen(text));
}

int say_out(const struct buf *b)
{
	if (!b->fail && fwrite(b->data, 1, b->len, stdout) == b->len)
		return 0;
	fputs("symbi: SYS_002 standard output cannot be written\n", stderr);
	return CLI_FAILED;
}

int say_slurp(const char *path, size_t max, struct buf *out, struct err *e)
{
	bool standard = strcmp(path, "-") == 0;
	autoclose int opened = standard ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	int fd = standard ? STDIN_FILENO : opened;
	char piece[65536];
	ssize_t n = fd < 0 ? -1 : 1;
	while (n > 0 && (n = read(fd, piece, sizeof piece)) > 0) {
		if (out->len + (size_t)n > max)
			return err_set(e, ERR_RESOURCE_TOO_BIG, "'%s' has more than %zu bytes",
				       standard ? "standard input" : path, max);
		if (buf_add(out, piece, (size_t)n) < 0)
			return err_set(e, ERR_SYS_MEMORY, "no memory for '%s'", path);
	}
	return n < 0 ? err_sys(e, ERR_SYS_IO, errno, "'%s'", standard ? "standard input" : path)
		     : 0;
}
