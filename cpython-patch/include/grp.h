/* getgrnam(3), group(5). wasi-libc has no grp.h. */

#ifndef _WASISOCKET_GRP_H
#define _WASISOCKET_GRP_H

#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct group {
    char *gr_name;
    char *gr_passwd;
    gid_t gr_gid;
    char **gr_mem;
};

struct group *getgrnam(const char *);
struct group *getgrgid(gid_t);
int getgrnam_r(const char *, struct group *, char *, size_t, struct group **);
int getgrgid_r(gid_t, struct group *, char *, size_t, struct group **);

void setgrent(void);
struct group *getgrent(void);
void endgrent(void);

#ifdef __cplusplus
}
#endif

#endif
