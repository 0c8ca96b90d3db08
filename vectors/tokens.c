/* SPDX-License-Identifier: MIT */
/* tokens.c - words, identifiers, stems. L1; a struct tokens belongs to one thread at a time. */
#include "vectors/tokens.h"

#include <errno.h>
#include <libstemmer.h>
#include <locale.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <wctype.h>

#include "lib/mem.h"

#define PARTS_MAX 16 /* of an identifier; what follows stays in the last one */

struct tokens {
	struct sb_stemmer *stemmer;
	const struct tokens_wanted *wanted; /* NULL: all */
	locale_t locale;
	int (*fn)(void *arg, const char *term, size_t len);
	void *arg;
	/* the word that is being gathered */
	char word[TOKEN_MAX + 8];
	size_t len;
	bool too_long;
	size_t part[PARTS_MAX]; /* where its parts begin */
	unsigned parts;
	bool lower, upper, broken; /* of the last character; broken: a '_' stood there */
	size_t upper_at;	   /* where that character begins */
	size_t split_at;	   /* the last part that begins with the last of several capitals; 0: none does */
	char pair[12];		   /* the last character of a text without blanks */
	size_t pair_len;
	bool paired;
};

/* The most frequent words of English: they say nothing about a text. Sorted. */
static const char *const stop_words[] = {
	"a",	"about", "after", "all",   "also",  "am",    "an",   "and",   "any",   "are",	"as",	 "at",	  "be",
	"because", "been", "before", "being", "between", "both", "but", "by", "can", "could", "did", "do", "does",
	"doing", "during", "each", "for", "from", "further", "had", "has", "have", "having", "he", "her", "here", "hers",
	"him", "his", "how", "i", "if", "in", "into", "is", "it", "its", "itself", "just", "me", "more", "most", "my",
	"no", "nor", "not", "now", "of", "on", "once", "only", "or", "other", "our", "out", "over", "own", "s", "same",
	"she", "should", "so", "some", "such", "t", "than", "that", "the", "their", "them", "then", "there", "these",
	"they", "this", "those", "through", "to", "too", "under", "until", "up", "very", "was", "we", "were", "what",
	"when", "where", "which", "while", "who", "whom", "why", "will", "with", "would", "you", "your",
};

static int by_text(const void *a, const void *b)
{
	return strcmp(a, *(const char *const *)b);
}

static bool is_stop_word(const char *w)
{
	return bsearch(w, stop_words, ARRAY_LEN(stop_words), sizeof *stop_words, by_text);
}

int tokens_new(struct tokens **ret, struct err *e)
{
	struct tokens *t = calloc(1, sizeof *t);
	if (!t)
		return err_set(e, ERR_SYS_MEMORY, "no memory for a tokenizer");
	t->locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	t->stemmer = sb_stemmer_new("english", NULL);
	if (!t->locale || !t->stemmer) {
		bool locale = t->locale;
		tokens_free(t);
		return locale ? err_set(e, ERR_SYS_MEMORY, "no memory for a stemmer")
			      : err_sys(e, ERR_SYS_IO, ENOENT, "the C library's locale C.UTF-8");
	}
	*ret = t;
	return 0;
}

void tokens_free(struct tokens *t)
{
	if (!t)
		return;
	if (t->stemmer)
		sb_stemmer_delete(t->stemmer);
	if (t->locale)
		freelocale(t->locale);
	free(t);
}

unsigned utf8_next(const char **p, const char *end)
{
	const unsigned char *s = (const unsigned char *)*p;
	unsigned n = s[0] < 0x80 ? 0 : s[0] >= 0xf0 && s[0] < 0xf5 ? 3 : s[0] >= 0xe0 && s[0] < 0xf0 ? 2 : s[0] >= 0xc2 && s[0] < 0xe0 ? 1 : 4;
	unsigned c = n == 0 ? s[0] : n == 4 ? 0 : s[0] & (0x3f >> n);
	for (unsigned i = 1; n < 4 && i <= n; i++)
		if ((const char *)s + i >= end || (s[i] & 0xc0) != 0x80)
			n = 4;
		else
			c = c << 6 | (s[i] & 0x3f);
	bool overlong = (n == 2 && (c < 0x800 || (c >= 0xd800 && c < 0xe000))) || (n == 3 && (c < 0x10000 || c > 0x10ffff));
	if (n == 4 || overlong) {
		++*p;
		return 0xfffd;
	}
	*p += n + 1;
	return c;
}

static size_t utf8_put(unsigned c, char out[4])
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	for (size_t i = n - 1; i > 0; i--, c >>= 6)
		out[i] = (char)(0x80 | (c & 0x3f));
	out[0] = (char)((n == 2 ? 0xc0 : n == 3 ? 0xe0 : 0xf0) | c);
	return n;
}

/* ---- characters: most are ASCII, and asking the C library for each takes longer than all the rest ---- */

static bool is_upper(const struct tokens *t, unsigned c)
{
	return c < 0x80 ? c >= 'A' && c <= 'Z' : iswupper_l((wint_t)c, t->locale) != 0;
}

static bool is_alpha(const struct tokens *t, unsigned c)
{
	return c < 0x80 ? (c | 32) >= 'a' && (c | 32) <= 'z' : iswalpha_l((wint_t)c, t->locale) != 0;
}

static bool is_alnum(const struct tokens *t, unsigned c)
{
	return c < 0x80 ? is_alpha(t, c) || (c >= '0' && c <= '9') : c != 0xfffd && iswalnum_l((wint_t)c, t->locale);
}

static unsigned to_lower(const struct tokens *t, unsigned c)
{
	return c < 0x80 ? is_upper(t, c) ? c | 32 : c : (unsigned)towlower_l((wint_t)c, t->locale);
}

/* Scripts that are written without blanks between words. */
static bool is_unspaced(unsigned c)
{
	return (c >= 0x3041 && c <= 0x30ff) || (c >= 0x3400 && c <= 0x9fff) || (c >= 0xf900 && c <= 0xfaff) ||
	       (c >= 0x20000 && c <= 0x3ffff);
}

/* ---- a word ---- */

static unsigned pair_of(const char *word, size_t len)
{
	return (unsigned)(unsigned char)word[0] << 8 | (len > 1 ? (unsigned char)word[1] : 0);
}

void tokens_want(struct tokens_wanted *w, const char *term, size_t len)
{
	unsigned pair = pair_of(term, len);
	w->pairs[pair / 64] |= 1ull << pair % 64;
	if (len > 1 && (term[1] == 'i' || term[1] == 'y')) { /* dying, lying, tying stem to die, lie, tie */
		pair ^= 'i' ^ 'y';
		w->pairs[pair / 64] |= 1ull << pair % 64;
	}
	if (len == 1) /* the stem of a longer word, perhaps */
		for (unsigned i = 0; i < 256; i++)
			w->pairs[(pair + i) / 64] |= 1ull << (pair + i) % 64;
}

void tokens_only(struct tokens *t, const struct tokens_wanted *w)
{
	t->wanted = w;
}

static bool is_wanted(const struct tokens *t, const char *word, size_t len)
{
	unsigned pair = pair_of(word, len);
	return !t->wanted || t->wanted->pairs[pair / 64] >> pair % 64 & 1;
}

/* One word, folded: its stem, unless it says nothing. */
static int emit(struct tokens *t, const char *word, size_t len)
{
	char w[TOKEN_MAX + 8];
	memcpy(w, word, len);
	w[len] = 0;
	if (len > 2 && w[len - 1] == 's' && w[len - 2] == '\'')
		w[len -= 2] = 0;
	if (!len || !is_wanted(t, w, len) || is_stop_word(w))
		return 0;
	const char *stem = (const char *)sb_stemmer_stem(t->stemmer, (const sb_symbol *)w, (int)len);
	if (!stem)
		return -ENOMEM;
	int n = sb_stemmer_length(t->stemmer);
	return n > 0 ? t->fn(t->arg, stem, (size_t)n) : 0;
}

static void part_begins(struct tokens *t, size_t at)
{
	if (t->parts < PARTS_MAX && (!t->parts || t->part[t->parts - 1] < at))
		t->part[t->parts++] = at;
}

static void word_reset(struct tokens *t)
{
	t->len = t->parts = 0;
	t->split_at = 0;
	t->too_long = t->lower = t->upper = t->broken = false;
}

static int word_end(struct tokens *t)
{
	int r = 0;
	size_t len = t->len;
	while (len && (t->word[len - 1] == '_' || t->word[len - 1] == '\''))
		len--;
	unsigned parts = t->parts;
	while (parts && t->part[parts - 1] >= len)
		parts--;
	if (parts > 1 && t->part[parts - 1] == t->split_at && t->split_at + 2 == len && t->word[len - 1] == 's')
		parts--; /* URLs: more than one URL, and no UR with an Ls */
	if (!t->too_long && parts > 1) {
		char whole[TOKEN_MAX + 8];
		memcpy(whole, t->word, len);
		whole[len] = 0;
		r = t->fn(t->arg, whole, len);
	}
	for (unsigned i = 0; !t->too_long && r >= 0 && i < parts; i++) {
		size_t end = i + 1 < parts ? t->part[i + 1] : len;
		while (end > t->part[i] && t->word[end - 1] == '_')
			end--;
		r = emit(t, t->word + t->part[i], end - t->part[i]);
	}
	word_reset(t);
	return r;
}

/* c is a letter, a digit, or an apostrophe within a word. */
static void word_add(struct tokens *t, unsigned c)
{
	char bytes[4];
	bool upper = is_upper(t, c);
	size_t n = utf8_put(to_lower(t, c), bytes), at = t->len;
	if (t->too_long || at + n > TOKEN_MAX) {
		t->too_long = true;
		return;
	}
	memcpy(t->word + at, bytes, n);
	t->len += n;
	if (at == 0 || t->broken || (upper && t->lower))
		part_begins(t, at); /* of a word, behind a '_', or fooBar */
	else if (!upper && t->upper && t->upper_at > t->part[t->parts - 1] && is_alpha(t, c))
		part_begins(t, t->split_at = t->upper_at); /* HTTPServer: the last capital belongs to what follows */
	t->lower = !upper && is_alpha(t, c);
	t->upper = upper;
	t->upper_at = at;
	t->broken = false;
}

static void word_break(struct tokens *t)
{
	if (t->len && t->len < TOKEN_MAX)
		t->word[t->len++] = '_';
	t->broken = t->len;
}

/* ---- text without blanks: pairs of characters, and a character that stands alone ---- */

static int pair_end(struct tokens *t)
{
	int r = t->pair_len && !t->paired ? t->fn(t->arg, t->pair, t->pair_len) : 0;
	t->pair_len = 0;
	t->paired = false;
	return r;
}

static int pair_add(struct tokens *t, unsigned c)
{
	char both[12];
	size_t n = utf8_put(c, both + 4), before = t->pair_len;
	memcpy(both + 4 - before, t->pair, before);
	both[4 + n] = 0;
	int r = before ? t->fn(t->arg, both + 4 - before, before + n) : 0;
	memcpy(t->pair, both + 4, n + 1);
	t->pair_len = n;
	t->paired = before;
	return r;
}

int tokens_each(struct tokens *t, const char *text, size_t len, int (*fn)(void *arg, const char *term, size_t len),
		void *arg)
{
	const char *end = text + len;
	int r = 0;
	t->fn = fn;
	t->arg = arg;
	t->pair_len = 0;
	t->paired = false;
	for (const char *p = text; r >= 0 && p < end;) {
		unsigned c = utf8_next(&p, end);
		bool letter = is_alnum(t, c);
		if (letter && is_unspaced(c)) {
			r = word_end(t);
			r = r < 0 ? r : pair_add(t, c);
			continue;
		}
		if (t->pair_len)
			r = pair_end(t);
		if (letter)
			word_add(t, c);
		else if (c == '_')
			word_break(t);
		else if ((c == '\'' || c == 0x2019) && t->lower)
			word_add(t, '\'');
		else if (t->len && r >= 0)
			r = word_end(t);
	}
	if (r >= 0)
		r = word_end(t);
	if (r >= 0)
		r = pair_end(t);
	word_reset(t);
	return r < 0 ? r : 0;
}
