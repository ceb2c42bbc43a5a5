#include "daemon/common/service.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "base/cleanup.h"

struct service {
	uv_signal_t on_term, on_int;
	uv_timer_t watchdog;
	unsigned open_handles; /* the last one closed frees the service */
	bool stop_asked;
	void (*stop)(void *context);
	void *context;
};

static void on_signal(uv_signal_t *handle, int signal_number)
{
	struct service *service = handle->data;

	if (service->stop_asked)
		return;
	service->stop_asked = true;
	service->stop(service->context);
}

/* Runs on the loop, so that a loop that hangs is noticed. */
static void on_watchdog(uv_timer_t *timer)
{
	sd_notify(0, "WATCHDOG=1");
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct service *service = handle->data;

	if (--service->open_handles == 0)
		free(service);
}

static void close_service_handle(struct service *service, uv_handle_t *handle)
{
	handle->data = service;
	uv_close(handle, on_handle_closed);
}

struct service *service_stop(struct service *service)
{
	if (!service)
		return NULL;
	sd_notify(0, "STOPPING=1");
	close_service_handle(service, (uv_handle_t *)&service->on_term);
	close_service_handle(service, (uv_handle_t *)&service->on_int);
	close_service_handle(service, (uv_handle_t *)&service->watchdog);
	return NULL;
}

static int start_signal(struct service *service, uv_signal_t *handle, int signal_number)
{
	handle->data = service;
	return uv_signal_start(handle, on_signal, signal_number);
}

static int start_watchdog(struct service *service)
{
	uint64_t interval_us;
	int r = sd_watchdog_enabled(0, &interval_us);

	if (r <= 0)
		return r;
	uint64_t half_ms = interval_us / 2000 ? interval_us / 2000 : 1;
	return uv_timer_start(&service->watchdog, on_watchdog, half_ms, half_ms);
}

int service_start(uv_loop_t *loop, void (*stop)(void *context), void *context,
		struct service **ret_service)
{
	struct service *service = calloc(1, sizeof(*service));

	if (!service)
		return -ENOMEM;
	service->stop = stop;
	service->context = context;
	/* uv_timer_init() cannot fail; a signal handle that was not initialised cannot be
	 * closed. */
	int r = uv_signal_init(loop, &service->on_term);
	if (r < 0) {
		free(service);
		return r;
	}
	r = uv_signal_init(loop, &service->on_int);
	if (r < 0) {
		service->open_handles = 1;
		close_service_handle(service, (uv_handle_t *)&service->on_term);
		return r;
	}
	uv_timer_init(loop, &service->watchdog);
	service->open_handles = 3;
	signal(SIGPIPE, SIG_IGN);
	r = start_signal(service, &service->on_term, SIGTERM);
	if (r == 0)
		r = start_signal(service, &service->on_int, SIGINT);
	if (r == 0)
		r = start_watchdog(service);
	if (r < 0) {
		service_stop(service);
		return r;
	}
	*ret_service = service;
	return 0;
}

void service_ready(struct service *service, const char *status)
{
	sd_notifyf(0, "READY=1\nSTATUS=%s", status);
}

void service_status(struct service *service, const char *format, ...)
{
	_cleanup_free_ char *status = NULL;
	va_list arguments;

	va_start(arguments, format);
	int n = vasprintf(&status, format, arguments);
	va_end(arguments);
	if (n < 0) {
		status = NULL;
		return;
	}
	sd_notifyf(0, "STATUS=%s", status);
}

static void free_names(char ***names)
{
	for (char **name = *names; name && *name; name++)
		free(*name);
	free(*names);
}

int service_listen_fd(const char *name)
{
	_cleanup_(free_names) char **names = NULL;
	int n = sd_listen_fds_with_names(0, &names);

	for (int i = 0; i < n; i++) {
		int fd = SD_LISTEN_FDS_START + i;
		if (strcmp(names[i], name) != 0)
			continue;
		int flags = fcntl(fd, F_GETFL);
		if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
			return -errno;
		return fd;
	}
	return n < 0 ? n : -ENOENT;
}
