/* SPDX-License-Identifier: MIT */
/* rag_answer.c - an answer made of the documents' own sentences, each with where it stands. L2. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/rag_i.h"
#include "runtime/runtime_i.h"

#define TERMS	      64
#define SENTENCES     3	  /* of an answer */
#define SENTENCE_MAX  500 /* bytes that are shown of one */
#define FROM_PASSAGES 5	  /* sentences are taken from so many */

struct term {
	char text[TOKEN_MAX + 8];
	size_t len;
	float weight;
};

struct weighing {
	const struct lexical *words;
	struct term term[TERMS];
	size_t n;
	float total;
	uint64_t seen; /* bit i: term i was met */
	struct tokens_wanted wanted;
};

struct sentence {
	const char *text;
	size_t len, passage;
	float score;
	uint64_t terms;
};

static int add_term(void *arg, const char *term, size_t len)
{
	struct weighing *w = arg;
	for (size_t i = 0; i < w->n; i++)
		if (w->term[i].len == len && memcmp(w->term[i].text, term, len) == 0)
			return 0;
	if (w->n == TERMS)
		return 0;
	struct term *t = &w->term[w->n++];
	memcpy(t->text, term, len);
	t->len = len;
	t->weight = lexical_weight(w->words, term, len);
	tokens_want(&w->wanted, term, len);
	w->total += t->weight;
	return 0;
}

static int meet_term(void *arg, const char *term, size_t len)
{
	struct weighing *w = arg;
	for (size_t i = 0; i < w->n; i++)
		if (w->term[i].len == len && memcmp(w->term[i].text, term, len) == 0)
			w->seen |= 1ull << i;
	return 0;
}

static float weight_of(const struct weighing *w, uint64_t terms)
{
	float sum = 0;
	for (size_t i = 0; i < w->n; i++)
		sum += terms >> i & 1 ? w->term[i].weight : 0;
	return sum;
}

/* Where the sentence that begins at p ends: behind . ! or ? before a blank, at an empty line, before a list's next item. */
static const char *sentence_end(const char *p, const char *end, bool lines)
{
	for (const char *s = p; s < end; s++) {
		if (*s == '\n' && (lines || s + 1 >= end || s[1] == '\n' || s[1] == '-' || s[1] == '*' || s[1] == '#' || s[1] == '|' ||
				   (isdigit((unsigned char)s[1]) && s + 2 < end && s[2] == '.')))
			return s;
		if ((*s == '.' || *s == '!' || *s == '?') && s + 1 < end && isspace((unsigned char)s[1]) && s - p > 20)
			return s + 1;
		if (*s == '\r')
			return s;
	}
	return end;
}

/* Better ones into `best`, in order of score. */
static void keep(struct sentence *best, size_t *n, const struct sentence *s)
{
	size_t at = *n;
	while (at > 0 && best[at - 1].score < s->score)
		at--;
	if (at >= TERMS)
		return;
	size_t moved = (*n < TERMS ? *n : TERMS - 1) - at;
	memmove(&best[at + 1], &best[at], moved * sizeof *best);
	best[at] = *s;
	*n += *n < TERMS;
}

/* *all: the terms of the whole passage. */
static int weigh_passage(const struct rag_question *q, size_t i, struct weighing *w, struct tokens *t, struct sentence *best, size_t *n,
			 uint64_t *all)
{
	const struct rag_passage *p = &q->passages[i];
	const char *end = p->text + p->len;
	bool lines = p->type == RAG_CODE || p->type == RAG_JSONL;
	for (const char *s = p->text, *stop; s < end; s = stop) {
		while (s < end && (isspace((unsigned char)*s) || *s == '#' || *s == '>'))
			s++;
		stop = sentence_end(s, end, lines);
		struct sentence one = {s, (size_t)(stop - s), i, 0, 0};
		w->seen = 0;
		int r = tokens_each(t, s, one.len, meet_term, w);
		if (r < 0)
			return r;
		one.terms = w->seen;
		*all |= w->seen;
		/* Long ones meet more words by chance. */
		one.score = weight_of(w, one.terms) / (1 + (float)one.len / 400) / (1 + 0.15f * (float)i);
		if (*s == '|') /* a row of a table says less by itself than a sentence does */
			one.score *= 0.6f;
		if (one.terms && one.len > 3 && i < FROM_PASSAGES)
			keep(best, n, &one);
		if (stop == s)
			stop++;
	}
	return 0;
}

/* One line, with single blanks, cut before a character where it is too long. */
static void put_sentence(struct buf *out, const struct sentence *s)
{
	bool blank = false;
	size_t len = s->len < SENTENCE_MAX ? s->len : SENTENCE_MAX;
	while (len < s->len && len > 0 && ((unsigned char)s->text[len] & 0xc0) == 0x80)
		len--;
	for (size_t i = 0; i < len; i++) {
		bool is_blank = isspace((unsigned char)s->text[i]) || s->text[i] == 0;
		if (is_blank && !blank)
			buf_add(out, " ", 1);
		else if (!is_blank)
			buf_add(out, s->text + i, 1);
		blank = is_blank;
	}
	while (out->len && out->data[out->len - 1] == ' ')
		out->data[--out->len] = 0;
	buf_printf(out, "%s [%zu]\n", len < s->len ? " ..." : "", s->passage + 1);
}

/* Where one passage is relevant enough, those that are not go, and their sentences. */
static size_t drop_irrelevant(struct rag_question *q, struct sentence *best, size_t n)
{
	size_t to[RAG_PASSAGES_MAX], kept = 0, sentences = 0;
	q->weak = true;
	for (size_t i = 0; i < q->n; i++)
		q->weak = q->weak && q->passages[i].relevance < q->threshold;
	if (q->weak)
		return n;
	for (size_t i = 0; i < q->n; i++) {
		bool keep = q->passages[i].relevance >= q->threshold;
		to[i] = keep ? kept : RAG_PASSAGES_MAX;
		if (keep) {
			q->passages[kept++] = q->passages[i];
			continue;
		}
		free(q->passages[i].heading);
		free(q->passages[i].text);
	}
	q->n = kept;
	for (size_t i = 0; i < n; i++)
		if (to[best[i].passage] < RAG_PASSAGES_MAX) {
			best[sentences] = best[i];
			best[sentences++].passage = to[best[i].passage];
		}
	return sentences;
}

int rag_extract(struct rag_question *q, struct tokens *t, struct buf *out)
{
	struct weighing w = {.words = q->rag->words};
	struct sentence best[TERMS];
	size_t n = 0, put = 0;
	uint64_t covered = 0;
	pthread_rwlock_rdlock(&q->rag->lock);
	int r = tokens_each(t, q->text, q->len, add_term, &w);
	pthread_rwlock_unlock(&q->rag->lock);
	tokens_only(t, &w.wanted);
	for (size_t i = 0; r == 0 && i < q->n; i++) {
		uint64_t all = 0;
		r = weigh_passage(q, i, &w, t, best, &n, &all);
		w.seen = all;
		if (r == 0 && q->passages[i].heading)
			r = tokens_each(t, q->passages[i].heading, strlen(q->passages[i].heading), meet_term, &w);
		float share = w.total > 0 ? weight_of(&w, w.seen) / w.total : 0;
		q->passages[i].relevance = share > q->passages[i].near ? share : q->passages[i].near;
	}
	tokens_only(t, NULL);
	if (r == 0)
		n = drop_irrelevant(q, best, n);
	/* A sentence that adds no word of the question says it again; the first two may. */
	for (size_t i = 0; r == 0 && i < n && put < SENTENCES; i++) {
		if (put > 0 && !(best[i].terms & ~covered) && (put > 1 || best[i].score < best[0].score / 2))
			continue;
		covered |= best[i].terms;
		put_sentence(out, &best[i]);
		put++;
	}
	return r < 0 ? err_set(&q->e, ERR_SYS_MEMORY, "no memory for an answer") : 0;
}

/* ---- rendering ---- */

static void put_path(struct rag_question *q, const struct rag_passage *p, struct buf *out)
{
	const struct file *f = file_by_serial(q->rag->rt, p->serial);
	const struct memory_entry *m = memory_find(q->rag->rt, p->owner, p->serial);
	const struct agent *a = agent_by_serial(q->rag->rt, p->owner);
	if (f)
		file_place(q->rag->rt, f, out);
	else if (m && a)
		buf_printf(out, "agents/%s/memory/%s#%u", agent_name(a), memory_keys[m->kind], m->serial);
	else
		buf_adds(out, "(removed meanwhile)");
}

/* Of a person's answer: what a sentence is from, and what says nearly as much as the best does. */
static bool is_shown(const struct rag_question *q, size_t i)
{
	char mark[32];
	snprintf(mark, sizeof mark, " [%zu]\n", i + 1);
	return strstr(q->answer.data, mark) || q->passages[i].score * 2 >= q->passages[0].score;
}

static void render_text(struct rag_question *q, uint64_t pending, struct buf *out)
{
	bool first = true;
	if (q->n)
		buf_add(out, q->answer.data, q->answer.len);
	else
		buf_adds(out, "No document says anything about this.\n");
	for (size_t i = 0; i < q->n; i++) {
		const struct rag_passage *p = &q->passages[i];
		if (!is_shown(q, i))
			continue;
		buf_printf(out, "%s[%zu] ", first ? "\n" : "", i + 1);
		first = false;
		put_path(q, p, out);
		buf_printf(out, ":%u", p->line);
		if (p->line_end != p->line)
			buf_printf(out, "-%u", p->line_end);
		if (p->heading)
			buf_printf(out, "  %s", p->heading);
		buf_adds(out, "\n");
	}
	if (q->n && q->weak)
		buf_printf(out, "\nNone of these is surely about it: relevance below %.2f (rag.relevance_threshold).\n", (double)q->threshold);
	if (pending)
		buf_printf(out, "\n%llu documents were not read yet; rag/stats shows how far it is.\n", (unsigned long long)pending);
}

static void render_json(struct rag_question *q, uint64_t pending, struct buf *out)
{
	buf_adds(out, "{\"query\":");
	buf_json_string(out, q->text, q->len);
	buf_adds(out, ",\"mode\":\"extractive\",\"answer\":");
	buf_json_string(out, q->answer.data, q->answer.len);
	buf_printf(out, ",\"confident\":%s,\"citations\":[", q->n && !q->weak ? "true" : "false");
	for (size_t i = 0; i < q->n; i++) {
		const struct rag_passage *p = &q->passages[i];
		autobuf struct buf path;
		buf_init(&path, 64u << 10);
		put_path(q, p, &path);
		buf_printf(out, "%s{\"n\":%zu,\"path\":", i ? "," : "", i + 1);
		buf_json_string(out, path.data, path.len);
		buf_printf(out, ",\"line\":%u,\"line_end\":%u,\"score\":%.4f,\"relevance\":%.3f,\"heading\":", p->line, p->line_end,
			   (double)p->score, (double)p->relevance);
		buf_json_string(out, p->heading ? p->heading : "", p->heading ? strlen(p->heading) : 0);
		buf_adds(out, ",\"text\":");
		buf_json_string(out, p->text, p->len);
		buf_adds(out, "}");
	}
	const struct rag_steps *s = &q->took;
	buf_printf(out, "],\"pending\":%llu,\"steps_ms\":{\"waiting\":%.3f,\"analysis\":%.3f,\"search\":%.3f,\"retrieval\":%.3f,"
		   "\"ranking\":%.3f,\"response\":%.3f}}\n", (unsigned long long)pending, (double)s->waited / 1e6, (double)s->analysis / 1e6,
		   (double)s->search / 1e6, (double)s->retrieval / 1e6, (double)s->ranking / 1e6, (double)s->response / 1e6);
}

int rag_render(struct rag_question *q, struct buf *out)
{
	const struct rag *r = q->rag;
	uint64_t pending = r->done < q->ticket ? q->ticket - r->done : 0;
	if (q->json)
		render_json(q, pending, out);
	else
		render_text(q, pending, out);
	return out->fail;
}
