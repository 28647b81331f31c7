/* Seeds SQLite's random numbers from getentropy().
 *
 * SQLite's unix VFS reads /dev/urandom, and falls back on the time in seconds and the process ID. A guest has
 * no /dev/urandom, and all guests have the same process ID: those started in one second would get the same
 * numbers from random() and randomblob().
 *
 * sqlite3_initialize() calls the function that SQLITE_EXTRA_INIT names, after it registered its VFSes:
 * https://sqlite.org/compile.html#extra_init
 */

#include <unistd.h>

#include "sqlite3.h"

/* getentropy(3) gives at most 256 bytes at once. */
#define ENTROPY_MAX 256

/* xRandomness of sqlite3_vfs: returns the number of bytes that it stored. */
static int randomness(sqlite3_vfs *vfs, int size, char *out)
{
    int filled = 0;
    (void)vfs;
    while (filled < size) {
        int part = size - filled < ENTROPY_MAX ? size - filled : ENTROPY_MAX;
        if (getentropy(out + filled, (size_t)part) != 0)
            break;
        filled += part;
    }
    return filled;
}

int wasisocket_sqlite_random(const char *unused)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(0);
    (void)unused;
    if (vfs == 0)
        return SQLITE_ERROR;
    vfs->xRandomness = randomness;
    return SQLITE_OK;
}
