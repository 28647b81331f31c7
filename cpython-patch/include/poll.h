#ifndef _WASISOCKET_POLL_H
#define _WASISOCKET_POLL_H

#include_next <poll.h>

/* poll(2). Bits that wasi-libc, whose numbers are not Linux's, leaves free. */
#ifndef POLLPRI
#define POLLPRI 0x4
#endif
#ifndef POLLRDHUP
#define POLLRDHUP 0x8
#endif

#endif
