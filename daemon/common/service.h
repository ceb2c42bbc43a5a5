/* The life of a service on a libuv loop: readiness, watchdog, signals. */
#pragma once

#include <uv.h>

struct service;

/* Installs SIGTERM and SIGINT (stop is then called once, on the loop) and, when systemd asks for
 * it, a watchdog timer that pets it from the loop at half the interval (sd_watchdog_enabled(3)).
 * SIGPIPE is ignored. -errno. */
int service_start(
        uv_loop_t *loop, void (*stop)(void *context), void *context, struct service **ret_service);

/* READY=1, and STATUS=. On a --notify-fd descriptor given by service_notify_fd(), writes "ready\n"
 * too. */
void service_ready(struct service *service, const char *status);

/* STATUS= while running. */
void service_status(struct service *service, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

/* STOPPING=1; closes its handles on the loop. Takes NULL; returns NULL. */
struct service *service_stop(struct service *service);
