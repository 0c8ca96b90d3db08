/* SPDX-License-Identifier: MIT */
/* store_policies.c - the documents of policies/: files of rules. L3; loop thread only. */
#include "fs/store.h"
#include "lib/value.h"
#include "runtime/policies.h"

static bool show(const struct policy_file *f, struct stored *ret)
{
	if (f)
		*ret = (struct stored){f->file, f->serial, f->uid, f->gid, (mode_t)f->mode_bits, f->text_len, f->mtime_ms};
	return f;
}

static bool find(struct runtime *rt, const char *file, struct stored *ret)
{
	return show(policy_file_find(rt, file), ret);
}

static bool by_serial(struct runtime *rt, uint32_t serial, struct stored *ret)
{
	return show(policy_file_by_serial(rt, serial), ret);
}

static bool next(struct runtime *rt, uint32_t after, struct stored *ret)
{
	return show(policy_file_next(rt, after), ret);
}

static int text(struct runtime *rt, uint32_t serial, struct buf *out, struct err *e)
{
	const struct policy_file *f = policy_file_by_serial(rt, serial);
	if (!f)
		return err_set(e, ERR_FS_NOT_FOUND, "the policy file is gone");
	return buf_add(out, f->text, f->text_len) < 0 ? err_set(e, ERR_SYS_MEMORY, "no memory for '%s'", f->file) : 0;
}

const struct fs_store fs_store_policies = {
	.thing = "a policy file",
	.events = "policy.",
	.is_name = value_file_name_ok,
	.find = find,
	.by_serial = by_serial,
	.next = next,
	.text = text,
	.may_begin = policy_file_may_begin,
	.check = policy_file_check,
	.put = policy_file_put,
	.remove = policy_file_delete,
	.rename = policy_file_rename,
	.chattr = policy_file_chown,
};
