/* SPDX-License-Identifier: MIT */
/* layers.c - what holds a program: names, and the refusal of what is missing. L1. */
#include <errno.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/mem.h"
#include "sandbox/sandbox.h"

static const char *const names[LAYERS] = {
	[LAYER_USER] = "user",
	[LAYER_MOUNT] = "mount",
	[LAYER_PID] = "pid",
	[LAYER_NET] = "net",
	[LAYER_IPC] = "ipc",
	[LAYER_UTS] = "uts",
	[LAYER_CGROUP] = "cgroup",
	[LAYER_LANDLOCK] = "landlock",
	[LAYER_SECCOMP] = "seccomp",
	[LAYER_NO_NEW_PRIVS] = "no_new_privs",
	[LAYER_NO_CAPS] = "no_caps",
	[LAYER_OWN_UID] = "own_uid",
	[LAYER_KERNEL] = "own_kernel",
};

const char *sandbox_layer_name(enum sandbox_layer l)
{
	return names[l];
}

void sandbox_layers_text(const struct sandbox_layers *l, uint32_t set, char out[static SANDBOX_LAYERS_TEXT])
{
	size_t n = 0;
	out[0] = 0;
	for (int i = 0; i < LAYERS; i++) {
		if (!(set & LAYER_BIT(i)))
			continue;
		n += (size_t)snprintf(out + n, SANDBOX_LAYERS_TEXT - n, "%s%s", n ? " " : "", names[i]);
		if (i == LAYER_LANDLOCK && l->landlock_abi)
			n += (size_t)snprintf(out + n, SANDBOX_LAYERS_TEXT - n, "(%u)", l->landlock_abi);
	}
}

uint32_t sandbox_landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, 1);
	if (abi == 0)
		errno = ENOSYS;
	return abi > 0 ? (uint32_t)abi : 0;
}

int sandbox_layers_whole(const struct sandbox_layers *l, struct err *e)
{
	if (!l->missing)
		return 0;
	bool off = !sandbox_landlock_abi() && errno == EOPNOTSUPP;
	return err_set(e, ERR_SEC_TIER,
		       "its layer 'landlock' is missing: %s; or run it without, which `allow_degraded: true` in its "
		       "specification permits",
		       off ? "the kernel has it switched off, boot with landlock in lsm="
			   : "boot a kernel from 5.13 on with CONFIG_SECURITY_LANDLOCK, and let containers use it");
}
