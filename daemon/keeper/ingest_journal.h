/* What ingest tells the journal. */
#pragma once

#include "daemon/keeper/ingest/ingest.h"

extern const struct ingest_observer ingest_journal;
