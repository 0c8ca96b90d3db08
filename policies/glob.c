/* SPDX-License-Identifier: MIT */
/* glob.c - a pattern becomes a row of tokens, and a text is run through all positions at once (Thompson's
 * construction), so no pattern makes matching slow. L1; any thread. */
#include "policies/glob.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum kind {
	BYTE,
	ONE,	  /* ? */
	SET,	  /* [ ] */
	STAR,	  /* any bytes but '/', also none */
	ALL,	  /* any bytes, also none */
	DIRS,	  /* whole directories with their slash, also none; its loop is the token behind it */
	DIRS_LOOP,
	TREE,	  /* the slash before a last pair of stars: what stands before it is a match as well */
	END,
};

struct token {
	uint8_t kind;
	uint8_t byte; /* BYTE: itself; SET: its number */
};

typedef uint64_t set_bits[4];

struct glob {
	set_bits *sets;
	unsigned tokens_n, sets_n;
	struct token tokens[];
};

#define WORDS (GLOB_MAX / 64 + 1)

/* ---- compiling ---- */

static void set_add(set_bits s, unsigned char c)
{
	s[c / 64] |= 1ull << (c % 64);
}

static bool set_has(const set_bits s, unsigned char c)
{
	return s[c / 64] >> (c % 64) & 1;
}

static int wrong(struct err *e, const char *pattern, const char *what)
{
	return err_set(e, ERR_POLICY_INVALID, "pattern '%.100s': %s", pattern, what);
}

/* One byte of a set, behind a backslash or itself. Returns the place behind it, NULL at the end of the text. */
static const char *set_byte(const char *p, unsigned char *ret)
{
	if (*p == '\\')
		p++;
	*ret = (unsigned char)*p;
	return *p ? p + 1 : NULL;
}

/* p stands behind '['. Returns the place behind ']', or NULL with *ret_what. */
static const char *read_set(const char *p, set_bits out, const char **ret_what)
{
	bool negated = *p == '!' || *p == '^';
	set_bits in = {0};
	p += negated;
	*ret_what = "'[' has no ']'";
	for (bool first = true; first || *p != ']'; first = false) {
		unsigned char from, to;
		if (!(p = set_byte(p, &from)))
			return NULL;
		to = from;
		if (*p == '-' && p[1] && p[1] != ']' && !(p = set_byte(p + 1, &to)))
			return NULL;
		if (to < from) {
			*ret_what = "a range in '[ ]' runs backwards";
			return NULL;
		}
		for (unsigned c = from; c <= to; c++)
			set_add(in, (unsigned char)c);
	}
	for (unsigned i = 0; i < 4; i++)
		out[i] = negated ? ~in[i] : in[i];
	out['/' / 64] &= ~(1ull << ('/' % 64));
	return p + 1;
}

static void add(struct glob *g, enum kind kind, char byte)
{
	g->tokens[g->tokens_n++] = (struct token){(uint8_t)kind, (uint8_t)byte};
}

/* A row of stars at p. Returns the place behind it, and behind the slash of a directory wildcard. */
static const char *read_stars(struct glob *g, const char *pattern, const char *p)
{
	size_t n = strspn(p, "*");
	bool at_start = p == pattern || p[-1] == '/';
	if (n == 1) {
		add(g, STAR, 0);
		return p + 1;
	}
	if (at_start && p[n] == '/') {
		add(g, DIRS, 0);
		add(g, DIRS_LOOP, 0);
		return p + n + 1;
	}
	struct token *last = g->tokens_n > 1 ? &g->tokens[g->tokens_n - 1] : NULL;
	if (last && last->kind == BYTE && last->byte == '/' && !p[n])
		last->kind = TREE;
	add(g, ALL, 0);
	return p + n;
}

static int compile(struct glob *g, const char *pattern, struct err *e)
{
	const char *what;
	for (const char *p = pattern; *p;) {
		if (*p == '*') {
			p = read_stars(g, pattern, p);
		} else if (*p == '?') {
			add(g, ONE, 0);
			p++;
		} else if (*p == '[') {
			if (!(p = read_set(p + 1, g->sets[g->sets_n], &what)))
				return wrong(e, pattern, what);
			add(g, SET, (char)g->sets_n++);
		} else if (*p == '\\' && !p[1]) {
			return wrong(e, pattern, "nothing follows the '\\' at its end");
		} else {
			p += *p == '\\';
			add(g, BYTE, *p++);
		}
	}
	add(g, END, 0);
	return 0;
}

int glob_new(struct glob **ret, const char *pattern, struct err *e)
{
	size_t len = strlen(pattern), sets = 0;
	for (const char *p = pattern; *p; p++)
		sets += *p == '[';
	if (len == 0)
		return wrong(e, pattern, "it is empty");
	if (len > GLOB_MAX - 2 || sets > UINT8_MAX)
		return err_set(e, ERR_RESOURCE_TOO_BIG, "pattern '%.60s...' has more than %d bytes, or %d sets", pattern,
			       GLOB_MAX - 2, UINT8_MAX);
	struct glob *g = calloc(1, sizeof *g + (len + 2) * sizeof g->tokens[0]);
	if (g && sets)
		g->sets = calloc(sets, sizeof g->sets[0]);
	if (!g || (sets && !g->sets)) {
		glob_free(g);
		return err_set(e, ERR_SYS_MEMORY, "no memory for a pattern");
	}
	int r = compile(g, pattern, e);
	if (r < 0) {
		glob_free(g);
		return r;
	}
	*ret = g;
	return 0;
}

void glob_free(struct glob *g)
{
	if (!g)
		return;
	free(g->sets);
	free(g);
}

/* ---- matching: the set of tokens that may come next, as bits ---- */

/* Token i may come next, and what may follow it without a byte. */
static void reach(const struct glob *g, uint64_t *next, unsigned i)
{
	for (;;) {
		if (next[i / 64] >> (i % 64) & 1)
			return;
		next[i / 64] |= 1ull << (i % 64);
		switch ((enum kind)g->tokens[i].kind) {
		case STAR:
		case ALL:
			i++;
			continue;
		case DIRS:
			reach(g, next, i + 1); /* the loop, which goes no further: one step deep */
			i += 2;
			continue;
		case BYTE:
		case ONE:
		case SET:
		case DIRS_LOOP:
		case TREE:
		case END:
			return;
		}
	}
}

static void step(const struct glob *g, uint64_t *next, unsigned i, unsigned char c)
{
	const struct token *t = &g->tokens[i];
	switch ((enum kind)t->kind) {
	case BYTE:
	case TREE:
		if (t->byte == c)
			reach(g, next, i + 1);
		break;
	case ONE:
		if (c != '/')
			reach(g, next, i + 1);
		break;
	case SET:
		if (set_has(g->sets[t->byte], c))
			reach(g, next, i + 1);
		break;
	case STAR:
		if (c != '/')
			reach(g, next, i);
		break;
	case ALL:
		reach(g, next, i);
		break;
	case DIRS_LOOP:
		reach(g, next, i);
		if (c == '/')
			reach(g, next, i + 1);
		break;
	case DIRS: /* its loop and what follows it stand for it */
	case END:
		break;
	}
}

static bool is_end(const struct glob *g, const uint64_t *now)
{
	unsigned end = g->tokens_n - 1;
	if (now[end / 64] >> (end % 64) & 1)
		return true;
	unsigned tree = end >= 2 && g->tokens[end - 2].kind == TREE ? end - 2 : end;
	return now[tree / 64] >> (tree % 64) & 1;
}

bool glob_match(const struct glob *g, const char *text, size_t len)
{
	uint64_t sets[2][WORDS] = {0}, *now = sets[0], *next = sets[1];
	unsigned words = g->tokens_n / 64 + 1;
	reach(g, now, 0);
	for (size_t at = 0; at < len; at++) {
		uint64_t any = 0;
		memset(next, 0, words * sizeof *next);
		for (unsigned w = 0; w < words; w++)
			for (uint64_t left = now[w]; left; left &= left - 1)
				step(g, next, w * 64 + (unsigned)__builtin_ctzll(left),
				     (unsigned char)text[at]);
		for (unsigned w = 0; w < words; w++)
			any |= next[w];
		if (!any)
			return false;
		uint64_t *was = now;
		now = next;
		next = was;
	}
	return is_end(g, now);
}

/* ---- what a pattern begins with ---- */

size_t glob_prefix(const char *pattern, bool *ret_plain)
{
	size_t special = strcspn(pattern, "*?[\\"), len = strlen(pattern);
	*ret_plain = special == len;
	if (*ret_plain)
		return len;
	if (special && pattern[special - 1] == '/' && strspn(pattern + special, "*") == len - special &&
	    len - special >= 2)
		return special - 1;
	while (special && pattern[special - 1] != '/')
		special--;
	return special;
}
