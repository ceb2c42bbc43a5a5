/* What the lower floors of the intake have to tell the operator. They write to no log: they hand a
 * notice to the sink that the top floor has given them, and the top floor logs it. */
#pragma once

#include "daemon/common/event.h"

struct notice {
	int priority; /* a syslog level: LOG_ERR */
	enum event event;
	const char *spool;     /* the name of the spool it is about */
	const char *recording; /* its id; NULL: none */
	const char *text;      /* one line, without a newline */
};

/* The notice is valid during the call. */
struct notice_sink {
	void (*post)(void *context, const struct notice *notice); /* NULL: nobody listens */
	void *context;
};
