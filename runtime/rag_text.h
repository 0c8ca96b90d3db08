/* SPDX-License-Identifier: MIT */
/* rag_text.h - documents as text, and text in the pieces that are found and cited. L2; any thread.
 *
 * What is made of a document keeps its lines: the n-th line of the text is the n-th of the document, so that a citation is
 * FILE:LINE of what the user wrote. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/buf.h"
#include "lib/err.h"

#define RAG_CHUNK_TARGET 1200 /* bytes: some 250 words, where a piece ends at the next paragraph */
#define RAG_CHUNK_MAX	 2400 /* and where it ends wherever it is */
#define RAG_HEADING_MAX	 240  /* bytes of a heading path */

enum rag_type { RAG_PLAIN, RAG_MARKDOWN, RAG_CODE, RAG_HTML, RAG_JSONL, RAG_PDF };

/* By the suffix of its name; RAG_PLAIN for one that is not known. */
enum rag_type rag_type_of(const char *file);
const char *rag_type_name(enum rag_type t); /* "markdown" */

/* Is the document's text something else than its bytes? */
bool rag_is_converted(enum rag_type t);
/* Append the text of an HTML or JSONL document. HTML: without tags, scripts and styles, headings as `# ` lines, entities
 * resolved; a '\r' is a break within a line of the document. JSONL: the strings of each line's value, in its order; a line
 * that is no JSON stays as it is. 0, or -EFBIG, -ENOMEM of the buffer. */
int rag_convert(enum rag_type t, const char *data, size_t len, struct buf *out);

/* Is it text at all? -EINVAL RAG_002 with a reason: a NUL byte among the first 64 KiB, the signature of a binary format. */
int rag_check_text(const char *data, size_t len, struct err *e);

struct rag_chunk {
	size_t start, len;	 /* of the text */
	unsigned line, line_end; /* 1-based, inclusive */
	const char *heading;	 /* "Install > Debian", "" none; borrowed for the call */
};

/* The pieces of a text in their order, without blanks at their ends. They end at headings (Markdown, HTML), at paragraphs,
 * before definitions (code), never within a fenced block of less than RAG_CHUNK_MAX bytes. A negative return of fn stops
 * and is returned; else 0. */
int rag_chunks(enum rag_type t, const char *text, size_t len, int (*fn)(void *arg, const struct rag_chunk *c), void *arg);
