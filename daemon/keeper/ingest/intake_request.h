/* Reading the intake's messages: every field is checked, for intake_server.c only. */
#pragma once

#include <jansson.h>

#include "daemon/keeper/ingest/ingest.h"
#include "daemon/keeper/ingest/spool_gate.h"

/* A begin message, with the memory behind it. */
struct intake_request {
	struct ingest_request ingest;
	uint8_t *account, *path;
};

/* 0, or -RE_PROTOCOL, -ENOMEM. Strings are borrowed from the message. */
int intake_request_read(const json_t *message, struct intake_request *ret_request);
void intake_request_clear(struct intake_request *request);

/* A spool message. 0, -RE_PROTOCOL, -ENOMEM. */
int intake_request_spool(const json_t *message, struct spool_question *ret_question);

/* An integer member from 0 to max; -RE_PROTOCOL. */
int intake_request_number(const json_t *message, const char *key, int64_t max, int64_t *ret_value);
