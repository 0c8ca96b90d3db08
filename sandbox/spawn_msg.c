/* SPDX-License-Identifier: MIT */
/* spawn_msg.c - messages between worker and spawner. L1. */
#include "sandbox/spawn_msg.h"
#include "sandbox/spec.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int spawn_send(int sock, const void *msg, size_t len, const void *text, size_t text_len,
	       const int *fds, unsigned n)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * SPAWN_FDS)];
	} control = {0};
	struct iovec iov[] = {{(void *)msg, len}, {(void *)text, text_len}};
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = text_len ? 2 : 1};
	if (n) {
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * n);
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * n);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * n);
	}
	return sendmsg(sock, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

/* Descriptors of a message, however many the kernel let through. */
static unsigned take_fds(struct msghdr *m, int fds[static SPAWN_FDS])
{
	unsigned n = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count && n < SPAWN_FDS; i++)
			memcpy(&fds[n++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
	}
	return n;
}

ssize_t spawn_recv(int sock, void *msg, size_t cap, int fds[static SPAWN_FDS], unsigned *ret_n)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * SPAWN_FDS)];
	} control;
	struct iovec iov = {msg, cap};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = &control,
			   /* not CMSG_SPACE: its padding would have room for one descriptor more */
			   .msg_controllen = CMSG_LEN(sizeof(int) * SPAWN_FDS)};
	ssize_t n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (n < 0)
		return -errno;
	unsigned count = take_fds(&m, fds);
	if (n > 0 && !(m.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
		*ret_n = count;
		return n;
	}
	while (count > 0)
		close(fds[--count]);
	return n == 0 ? -EPIPE : -EBADMSG;
}

int spawn_req_check(const struct spawn_req *q, size_t len, unsigned nfds)
{
	if (len < sizeof *q || q->op < SPAWN_START || q->op >= SPAWN_OPS_END)
		return -EBADMSG;
	if (q->op != SPAWN_START)
		return len == sizeof *q && nfds == 0 ? 0 : -EBADMSG;
	size_t text = q->flags & SPAWN_TEXT ? 0 : q->text_len;
	unsigned known = SPAWN_ENFORCE | SPAWN_DEGRADED | SPAWN_NO_TEMP | SPAWN_ASK | ((1u << SPAWN_FDS) - 1);
	if (len - sizeof *q != text || q->text_len > SPAWN_TEXT_MAX || q->argc == 0 ||
	    q->argc > SPAWN_STRINGS || q->envc > SPAWN_STRINGS || q->flags & ~known || q->driver >= SANDBOX_DRIVERS ||
	    q->network >= NETWORKS ||
	    nfds != (unsigned)__builtin_popcount(q->flags & ((1u << SPAWN_FDS) - 1)) ||
	    q->uid < -1 || q->uid > UINT32_MAX || q->gid < -1 || q->gid > UINT32_MAX)
		return -EBADMSG;
	return 0;
}

int spawn_text_split(char *text, size_t len, uint32_t argc, uint32_t envc, char **out)
{
	char *at = text, *end = text + len;
	size_t want = SPAWN_FIXED + (size_t)argc + envc, k = 0;
	for (size_t i = 0; i < want; i++) {
		char *nul = at < end ? memchr(at, 0, (size_t)(end - at)) : NULL;
		if (!nul)
			return -EBADMSG;
		out[k++] = at;
		at = nul + 1;
		if (i + 1 == SPAWN_FIXED + (size_t)argc)
			out[k++] = NULL;
	}
	out[k] = NULL;
	return at == end && argc ? 0 : -EBADMSG;
}
