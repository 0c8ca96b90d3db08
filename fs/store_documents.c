/* SPDX-License-Identifier: MIT */
/* store_documents.c - the documents of policies/ and sandbox/profiles/. L3; loop thread only. */
#include "fs/store.h"
#include "lib/value.h"
#include "runtime/documents.h"

static bool show(const struct document *f, struct stored *ret)
{
	if (f)
		*ret = (struct stored){f->file, f->serial, f->uid, f->gid, (mode_t)f->mode_bits, f->text_len, f->mtime_ms};
	return f;
}

static int text_of(const struct document *f, struct buf *out, struct err *e)
{
	if (!f)
		return err_set(e, ERR_FS_NOT_FOUND, "the file is gone");
	return buf_add(out, f->text, f->text_len) < 0 ? err_set(e, ERR_SYS_MEMORY, "no memory for '%s'", f->file) : 0;
}

/* A store's functions know which they are of by what they are; so each kind has its own. */
#define STORE(name, kind, noun, prefix)                                                                                \
	static bool name##_find(struct runtime *rt, const char *file, struct stored *ret)                                  \
	{                                                                                                                  \
		return show(document_find(rt, kind, file), ret);                                                               \
	}                                                                                                                  \
	static bool name##_by_serial(struct runtime *rt, uint32_t serial, struct stored *ret)                              \
	{                                                                                                                  \
		return show(document_by_serial(rt, kind, serial), ret);                                                        \
	}                                                                                                                  \
	static bool name##_next(struct runtime *rt, uint32_t after, struct stored *ret)                                    \
	{                                                                                                                  \
		return show(document_next(rt, kind, after), ret);                                                              \
	}                                                                                                                  \
	static int name##_text(struct runtime *rt, uint32_t serial, struct buf *out, struct err *e)                        \
	{                                                                                                                  \
		return text_of(document_by_serial(rt, kind, serial), out, e);                                                  \
	}                                                                                                                  \
	static int name##_may_begin(struct runtime *rt, const char *file, struct err *e)                                   \
	{                                                                                                                  \
		return document_may_begin(rt, kind, file, e);                                                                  \
	}                                                                                                                  \
	static int name##_check(struct runtime *rt, const char *file, const char *text, size_t len, bool *unfinished,      \
				struct err *e)                                                                                         \
	{                                                                                                                  \
		return document_check(rt, kind, file, text, len, unfinished, e);                                               \
	}                                                                                                                  \
	static int name##_put(struct runtime *rt, const struct actor *who, const char *file, const char *text, size_t len, \
			      struct runtime_done done, struct err *e)                                                             \
	{                                                                                                                  \
		return document_put(rt, kind, who, file, text, len, done, e);                                                  \
	}                                                                                                                  \
	static int name##_remove(struct runtime *rt, const struct actor *who, uint32_t serial, struct runtime_done done,   \
				 struct err *e)                                                                                        \
	{                                                                                                                  \
		return document_delete(rt, kind, who, serial, done, e);                                                        \
	}                                                                                                                  \
	static int name##_rename(struct runtime *rt, const struct actor *who, uint32_t serial, const char *new_file,       \
				 struct runtime_done done, struct err *e)                                                              \
	{                                                                                                                  \
		return document_rename(rt, kind, who, serial, new_file, done, e);                                              \
	}                                                                                                                  \
	static int name##_chattr(struct runtime *rt, const struct actor *who, uint32_t serial, uid_t uid, gid_t gid,       \
				 mode_t mode, struct runtime_done done, struct err *e)                                                 \
	{                                                                                                                  \
		return document_chown(rt, kind, who, serial, uid, gid, mode, done, e);                                         \
	}                                                                                                                  \
	const struct fs_store fs_store_##name = {                                                                          \
		.thing = noun,                                                                                                 \
		.events = prefix,                                                                                              \
		.is_name = value_file_name_ok,                                                                                 \
		.find = name##_find,                                                                                           \
		.by_serial = name##_by_serial,                                                                                 \
		.next = name##_next,                                                                                           \
		.text = name##_text,                                                                                           \
		.may_begin = name##_may_begin,                                                                                 \
		.check = name##_check,                                                                                         \
		.put = name##_put,                                                                                             \
		.remove = name##_remove,                                                                                       \
		.rename = name##_rename,                                                                                       \
		.chattr = name##_chattr,                                                                                       \
	}

STORE(policies, DOCUMENT_POLICY, "a policy file", "policy.");
STORE(shadows, DOCUMENT_SHADOW, "a shadow policy file", "shadow.");
STORE(profiles, DOCUMENT_PROFILE, "a sandbox profile", "profile.");
