/* SPDX-License-Identifier: MIT */
/* status.c - errors as HTTP statuses and JSON bodies. L3; any thread. */
#include "api/status.h"

#include <errno.h>
#include <string.h>

#include "lib/mem.h"

static const struct {
	enum err_code code;
	unsigned status;
} by_code[] = {
	{ERR_AGENT_FAILED, 502},   /* the program failed, not the daemon */
	{ERR_RESOURCE_SHORT, 507}, /* EDQUOT of resources */
	{ERR_FS_SCRATCH, 507},     {ERR_FS_NO_ANSWER, 404},
	{ERR_SPAWN_FAILED, 502},   {ERR_SPAWN_LOST, 503}, /* EPIPE means something else below */
	{ERR_MCP_FAILED, 502},
};

static const struct {
	int eno;
	unsigned status;
} by_errno[] = {
	{ENOENT, 404},       {ENOTDIR, 404},      {EACCES, 403},    {EPERM, 403},
	{EROFS, 403},        {EKEYREJECTED, 403}, {EINVAL, 400},    {ENAMETOOLONG, 400},
	{EILSEQ, 400},       {EEXIST, 409},       {EBUSY, 409},     {ENOTEMPTY, 409},
	{EISDIR, 409},       {EPIPE, 409},        {EXDEV, 409},     {ENODATA, 404},
	{EFBIG, 413},        {E2BIG, 413},        {ERANGE, 416},    {ENOSPC, 507},
	{EDQUOT, 507},       {EAGAIN, 503},       {ENOMEM, 503},    {EMFILE, 503},
	{ENFILE, 503},       {EINTR, 503},        {ESHUTDOWN, 503}, {ETIMEDOUT, 504},
	{ECONNREFUSED, 502}, {EOPNOTSUPP, 405},
};

unsigned status_of(const struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(by_code); i++)
		if (by_code[i].code == e->code)
			return by_code[i].status;
	for (size_t i = 0; i < ARRAY_LEN(by_errno); i++)
		if (by_errno[i].eno == e->eno)
			return by_errno[i].status;
	return 500;
}

int status_body(const struct err *e, const char *path, struct buf *out)
{
	const char *name = strerrorname_np(e->eno);
	buf_printf(out, "{\"code\":\"%s\",\"errno\":\"%s\",\"message\":", err_code_name(e->code),
		   name ? name : "EIO");
	buf_json_string(out, e->msg, strlen(e->msg));
	buf_adds(out, ",\"path\":");
	if (path)
		buf_json_string(out, path, strlen(path));
	else
		buf_adds(out, "null");
	buf_printf(out, ",\"line\":%u}\n", e->line);
	return out->fail;
}
