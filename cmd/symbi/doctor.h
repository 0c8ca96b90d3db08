/* SPDX-License-Identifier: MIT */
/* doctor.h - a check of the machine is a row: name and function. L4. */
#pragma once

#include "cli.h"

enum verdict {
	VERDICT_OK,
	VERDICT_WARN,    /* something is weaker, or cannot be used */
	VERDICT_MISSING, /* the daemon cannot run, or not as this user */
};

struct finding {
	enum verdict verdict;
	char found[900];  /* what is there */
	char advice[900]; /* what to do; "" when nothing */
};

struct checkup { /* what the checks look at */
	struct where where;
	struct config *config; /* all settings, or the defaults when they cannot be read */
	struct err config_error;
};

struct check {
	const char *name;
	void (*fn)(const struct checkup *c, struct finding *f);
};
/* Ended by a row without name. */
extern const struct check checks_machine[]; /* doctor_machine.c: kernel and its doors */
extern const struct check
	checks_place[]; /* doctor_place.c: directories, programs, settings, daemon */

/* Fill in a finding; found and advice are formats of their own arguments' words, advice may be NULL. */
void finding_set(struct finding *f, enum verdict v, const char *advice, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
