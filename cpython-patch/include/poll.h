#ifndef _WASISOCKET_POLL_H
#define _WASISOCKET_POLL_H

#include_next <poll.h>

/* poll(2), with Linux's numbers in place of wasi-libc's: programs take them for those of epoll(7). */
#undef POLLRDNORM
#undef POLLWRNORM
#undef POLLIN
#undef POLLOUT
#undef POLLERR
#undef POLLHUP
#undef POLLNVAL
#define POLLIN 0x1
#define POLLPRI 0x2
#define POLLOUT 0x4
#define POLLERR 0x8
#define POLLHUP 0x10
#define POLLNVAL 0x20
#define POLLRDHUP 0x2000

/* Of a socket these are the same events. */
#define POLLRDNORM POLLIN
#define POLLWRNORM POLLOUT

#endif
