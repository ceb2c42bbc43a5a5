#include "daemon/probe/media.h"

#include "base/cleanup.h"

int media_scan(struct source *source, struct media *ret_media)
{
	static int (*const scans[])(struct source * source, struct media * ret_media) = {
			media_boxes_scan, media_ebml_scan, media_mjr_scan};

	for (size_t i = 0; i < ELEMENTSOF(scans); i++) {
		if (scans[i](source, ret_media) == 0)
			return 0;
	}
	return 1;
}
