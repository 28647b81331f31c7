/* Has SQLite lock files where the host can, and seeds its random numbers from getentropy().
 *
 * For WASI, SQLite's default VFS is "unix-dotfile", which makes a folder beside a database that is in use: others are
 * kept out even while they only read, and a program that ends within leaves it. With locks "unix" is the default, as on
 * Linux.
 *
 * SQLite's unix VFS reads /dev/urandom, and falls back on the time in seconds and the process ID. A folder may be
 * granted as /dev, and all guests have the same process ID: those started in one second would get the same numbers
 * from random() and randomblob().
 *
 * sqlite3_initialize() calls the function that SQLITE_EXTRA_INIT names, after it registered its VFSes:
 * https://sqlite.org/compile.html#extra_init
 */

#include <unistd.h>

#include "sqlite3.h"

/* libwasisocket.a: whether the host can lock files. */
int wasisocket_has_locks(void);

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

int wasisocket_sqlite_init(const char *unused)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(wasisocket_has_locks() ? "unix" : 0);
    (void)unused;
    if (vfs == 0)
        return SQLITE_ERROR;
    vfs->xRandomness = randomness;
    return sqlite3_vfs_register(vfs, 1);
}
