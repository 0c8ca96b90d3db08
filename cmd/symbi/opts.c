/* SPDX-License-Identifier: MIT */
/* opts.c - options of a command from a table. L4. */
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

#define OPTS_MAX 16

int opts_wrong(const struct command *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fputs("symbi: CLI_001 ", stderr);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nusage: symbi %s %s\n", c->name, c->usage);
	return CLI_USAGE;
}

static void print_help(const struct command *c)
{
	printf("usage: symbi %s %s\n\n%s\n", c->name, c->usage, c->help);
	if (c->more)
		printf("\n%s\n", c->more);
	exit(0);
}

/* Long options of the table, --help, and a short one for each name of one letter. */
static size_t fill(const struct opt *opts, struct option *out, char *letters)
{
	size_t n = 0;
	for (; opts[n].name; n++) {
		out[n] = (struct option){opts[n].name,
					 opts[n].text ? required_argument : no_argument, NULL,
					 256 + (int)n};
		if (strlen(opts[n].name) != 1)
			continue;
		*letters++ = opts[n].name[0];
		if (opts[n].text)
			*letters++ = ':';
	}
	out[n] = (struct option){"help", no_argument, NULL, 'h'};
	out[n + 1] = (struct option){0};
	*letters = 0;
	return n;
}

static size_t index_of(const struct opt *opts, int o)
{
	size_t i = o >= 256 ? (size_t)o - 256 : 0;
	while (o < 256 && !(opts[i].name[0] == o && !opts[i].name[1]))
		i++;
	return i;
}

int opts_read(const struct command *c, int argc, char **argv, const struct opt *opts, int least,
	      int most)
{
	struct option known[OPTS_MAX + 2];
	char letters[2 * OPTS_MAX + 3];
	letters[0] = most == OPTS_COMMAND ? '+' : ':';
	letters[1] = ':'; /* messages are ours; twice does no harm */
	fill(opts, known, letters + 2);
	optind = 0; /* begins anew, also with another order than the last time */
	for (int o; (o = getopt_long(argc, argv, letters, known, NULL)) != -1;) {
		if (o == 'h')
			print_help(c);
		if (o == '?' || o == ':') {
			opts_wrong(c, "'%s' %s", argv[optind - 1],
				   o == ':' ? "wants a value" : "is not an option of this command");
			return -1;
		}
		const struct opt *at = &opts[index_of(opts, o)];
		if (at->text)
			*at->text = optarg;
		else
			*at->flag = true;
	}
	int words = argc - optind;
	if (words < least || (most != OPTS_COMMAND && words > most)) {
		opts_wrong(c, words < least ? "something is missing" : "'%s' is too much",
			   words < least ? "" : argv[optind + most]);
		return -1;
	}
	return optind;
}
