/* Whether there is room on the keeper's filesystem to finish an erasure. */
#pragma once

#include <stddef.h>

/* dir_fd is the keeper's directory; items is how many are to be erased. 0; -ENOSPC; -errno. */
int erasure_room_check(int dir_fd, size_t items);
