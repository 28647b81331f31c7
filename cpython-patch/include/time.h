#ifndef _WASISOCKET_TIME_H
#define _WASISOCKET_TIME_H

#include_next <time.h>

#ifdef __cplusplus
extern "C" {
#endif

/* tzset(3): wasi-libc has no time zones. */
#if defined(_POSIX_SOURCE) || defined(_POSIX_C_SOURCE) || defined(_XOPEN_SOURCE) || defined(_GNU_SOURCE) \
    || defined(_BSD_SOURCE)
void tzset(void);
extern char *tzname[2];
#endif

#if defined(_XOPEN_SOURCE) || defined(_GNU_SOURCE) || defined(_BSD_SOURCE)
extern int daylight;
extern long timezone;
#endif

#ifdef __cplusplus
}
#endif

#endif
