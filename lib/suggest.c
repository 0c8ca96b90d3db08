/* SPDX-License-Identifier: MIT */
/* suggest.c - the nearest known word by edit distance. L0; any thread. */
#include "lib/suggest.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define FAR	  SIZE_MAX
#define EDITS_MAX 2

void suggest_init(struct suggest *s, const char *word)
{
	*s = (struct suggest){.word = word, .distance = FAR};
}

static char plain(char c)
{
	return c == '-' ? '_' : (char)tolower((unsigned char)c);
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Restricted Damerau-Levenshtein distance, three rows at a time. */
static size_t distance(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);
	uint8_t rows[3][SUGGEST_WORD_MAX + 1];
	if (n > SUGGEST_WORD_MAX || m > SUGGEST_WORD_MAX || n > m + EDITS_MAX || m > n + EDITS_MAX)
		return FAR;
	uint8_t *before = rows[0], *above = rows[1], *row = rows[2];
	for (size_t j = 0; j <= m; j++)
		above[j] = (uint8_t)j;
	for (size_t i = 1; i <= n; i++) {
		row[0] = (uint8_t)i;
		for (size_t j = 1; j <= m; j++) {
			size_t d = above[j - 1] + (plain(a[i - 1]) != plain(b[j - 1]));
			d = least(d, least(above[j], row[j - 1]) + 1u);
			if (i > 1 && j > 1 && plain(a[i - 1]) == plain(b[j - 2]) &&
			    plain(a[i - 2]) == plain(b[j - 1]))
				d = least(d, before[j - 2] + 1u);
			row[j] = (uint8_t)d;
		}
		uint8_t *free_row = before;
		before = above;
		above = row;
		row = free_row;
	}
	return above[m];
}

void suggest_try(struct suggest *s, const char *known)
{
	size_t d = distance(s->word, known);
	if (d < s->distance) {
		s->distance = d;
		memcpy(s->best, known, strlen(known) + 1);
	}
}

const char *suggest_best(const struct suggest *s)
{
	return s->distance <= (size_t)(strlen(s->word) > 4 ? EDITS_MAX : 1) ? s->best : NULL;
}

const char *suggest_text(struct suggest *s)
{
	const char *best = suggest_best(s);
	s->text[0] = 0;
	if (best)
		snprintf(s->text, sizeof s->text, "; did you mean '%s'?", best);
	return s->text;
}
