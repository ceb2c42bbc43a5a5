/* The life of a service on a libuv loop: readiness, watchdog, signals. */
#pragma once

#include <uv.h>

struct service;

/* Installs SIGTERM and SIGINT (stop is then called once, on the loop) and, when systemd asks for
 * it, a timer on the loop that notifies the watchdog at half its interval (sd_watchdog_enabled(3)).
 * SIGPIPE is ignored. -errno. */
int service_start(uv_loop_t *loop, void (*stop)(void *context), void *context,
		struct service **ret_service);

/* READY=1, and STATUS=. */
void service_ready(struct service *service, const char *status);

/* STATUS= while running. */
void service_status(struct service *service, const char *format, ...)
		__attribute__((format(printf, 2, 3)));

/* STOPPING=1; closes its handles on the loop, which must run once more to let go of them. Takes
 * NULL; returns NULL. */
struct service *service_stop(struct service *service);

/* The listening socket that systemd passed under this FileDescriptorName=, non-blocking and
 * close-on-exec; the caller's. -ENOENT when there is none: bind one. */
int service_listen_fd(const char *name);
