/* Runs during the build: prints the part of recsealctl's bash completion that comes from its
 * tables. */
#include "cli/completion.h"

int main(void)
{
	completion_print(stdout);
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
