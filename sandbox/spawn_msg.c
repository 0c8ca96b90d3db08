/* SPDX-License-Identifier: MIT */
/* spawn_msg.c - messages between worker and spawner. L1. */
#include "sandbox/spawn_msg.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int spawn_send(int sock, const void *msg, size_t len, const int *fds, unsigned n)
{
	char control[CMSG_SPACE(sizeof(int) * SPAWN_FDS)] = {0};
	struct iovec iov = {(void *)msg, len};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	if (n) {
		m.msg_control = control;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * n);
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * n);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * n);
	}
	return sendmsg(sock, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

int spawn_recv(int sock, void *msg, size_t len, int fds[static SPAWN_FDS])
{
	char control[CMSG_SPACE(sizeof(int) * SPAWN_FDS)];
	struct iovec iov = {msg, len};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof control};
	ssize_t n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (n < 0)
		return -errno;
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	int count = 0;
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
		count = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(c), sizeof(int) * (size_t)count);
	}
	if ((size_t)n == len && !(m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		return count;
	for (int i = 0; i < count; i++)
		close(fds[i]);
	return n == 0 ? -EPIPE : -EBADMSG;
}

int spawn_text_split(char *text, size_t len, uint32_t argc, uint32_t envc, char **out)
{
	char *at = text, *end = text + len;
	size_t want = 2 + (size_t)argc + envc, k = 0;
	for (size_t i = 0; i < want; i++) {
		char *nul = at < end ? memchr(at, 0, (size_t)(end - at)) : NULL;
		if (!nul)
			return -EBADMSG;
		out[k++] = at;
		at = nul + 1;
		if (i + 1 == 2 + (size_t)argc)
			out[k++] = NULL;
	}
	out[k] = NULL;
	return at == end && argc ? 0 : -EBADMSG;
}
