#ifndef _WASISOCKET_SYS_STAT_H
#define _WASISOCKET_SYS_STAT_H

#include_next <sys/stat.h>

#ifdef __cplusplus
extern "C" {
#endif

/* umask(2): remembered; files have no permissions. */
mode_t umask(mode_t);

#ifdef __cplusplus
}
#endif

#endif
