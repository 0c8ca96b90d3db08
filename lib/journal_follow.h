/* SPDX-License-Identifier: MIT */
/* journal_follow.h - the records of a journal one by one, beside its writer and behind it, with every check. L0; any one
 * thread, which may wait for the disk. */
#pragma once

#include "lib/journal.h"

struct journal_follow;

/* Begin behind record after_seq of the journal in dir; 0: with the oldest that is there.
 * Errors: -EUCLEAN JOURNAL_001 where the records behind after_seq are not there any more or are damaged, -errno
 * JOURNAL_002, -ENOMEM. The caller owns *ret: journal_follow_close. */
int journal_follow_open(struct journal_follow **ret, const char *dir, uint64_t after_seq, struct err *e);

/* The next record when its sequence is at most upto, which must be in the file by now (journal_written_seq): 1 and *ret is
 * filled, borrowed until the next call. 0: none. -errno as above; the call can be repeated. */
int journal_follow_next(struct journal_follow *f, uint64_t upto, struct journal_record *ret, struct err *e);

/* Everything that was given so far is on the disk when this returns 0. */
int journal_follow_sync(struct journal_follow *f, struct err *e);

void journal_follow_close(struct journal_follow *f); /* NULL is fine */
