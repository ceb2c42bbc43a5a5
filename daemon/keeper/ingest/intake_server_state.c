/* What others may know of the connection with the intake. */
#include "base/monotonic.h"
#include "daemon/keeper/ingest/intake_server_internal.h"

bool intake_server_connected(const struct intake_server *server)
{
	return server->session && server->session->greeted;
}

int64_t intake_server_heard_ago_us(const struct intake_server *server)
{
	return server->spools ? monotonic_us() - server->heard_us : -1;
}

json_t *intake_server_spools(const struct intake_server *server)
{
	return server->spools;
}

struct spool_looks *intake_server_looks(struct intake_server *server)
{
	return &server->looks;
}

const struct exposure *intake_server_exposure(const struct intake_server *server)
{
	return &server->exposure;
}
