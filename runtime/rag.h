/* SPDX-License-Identifier: MIT */
/* rag.h - questions answered from the user's documents (rag/docs/), with the places that the answer stands on. L2; loop thread
 * only, but for the work on the threads of the pool.
 *
 * A document is read when its text was committed, on a worker thread: text, pieces (rag_text.h), words (vectors/lexical.h).
 * What is derived is held in memory and made anew at a start. A question waits for the documents that were committed before it
 * was asked. Without a model the answer is made of sentences of the documents. */
#pragma once

#include "runtime/runtime.h"

#define RAG_DOCUMENT_MAX (64u << 20) /* bytes of one document, and of its text */
#define RAG_QUERY_MAX	 (64u << 10) /* bytes of a question */

/* Read every document that there is. */
void rag_start(struct runtime *rt);
/* Begin no work any more; then the pool is closed, then this. */
void rag_stop(struct runtime *rt);
void rag_close(struct runtime *rt);
/* The file was made, written, removed, moved, or given away. */
void rag_file_changed(struct runtime *rt, uint32_t serial);

/* An entry of an agent's memory (memory.h) was written or forgotten. */
void rag_memory_changed(struct runtime *rt, uint32_t agent, uint32_t serial);

int rag_render_stats(struct runtime *rt, struct buf *out); /* key value lines; what could not be read, and why */

/* Is it a question? -EINVAL RAG_003: empty, or longer than RAG_QUERY_MAX. */
int rag_check(const char *q, size_t len, struct err *e);

struct rag_done {
	/* Once, on the loop thread: the answer's text, or e. text is borrowed for the call. */
	void (*fn)(void *arg, struct buf *text, const struct err *e);
	void *arg;
};
/* Ask as `who`, from the documents of rag/docs that it may read; or, agent not 0, as that agent: from those that the agent's owner
 * may read, its own knowledge, and what others shared with it. json: the answer with its citations, scores, and the time that each step
 * took. 0, and done is called later, also when the runtime is closed; or -errno and it is not. */
int rag_ask(struct runtime *rt, const struct actor *who, uint32_t agent, const char *q, size_t len, bool json,
	    struct rag_done done, struct err *e);
