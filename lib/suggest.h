/* SPDX-License-Identifier: MIT */
/* suggest.h - the known word that a misspelt one was meant to be. L0; any thread.
 *
 *	struct suggest s;
 *	suggest_init(&s, word);
 *	for (each known word)
 *		suggest_try(&s, known);
 *	err_set(e, ..., "unknown key '%s'%s", word, suggest_text(&s));
 */
#pragma once

#include <stddef.h>

#define SUGGEST_WORD_MAX 80 /* bytes; longer words get no suggestion */

struct suggest {
	const char *word; /* borrowed */
	size_t distance;  /* edits from word to best */
	char best[SUGGEST_WORD_MAX + 1];
	char text[SUGGEST_WORD_MAX + 32];
};

void suggest_init(struct suggest *s, const char *word);
void suggest_try(struct suggest *s, const char *known);

/* The nearest word, or NULL when none is near: at most two edits (insert, delete, replace, swap of
 * neighbours; case, '-' and '_' do not count), one in words of up to four letters. */
const char *suggest_best(const struct suggest *s);

/* "; did you mean 'WORD'?" or "". Valid as long as s. */
const char *suggest_text(struct suggest *s);
