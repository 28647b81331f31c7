#ifndef _WASISOCKET_FCNTL_H
#define _WASISOCKET_FCNTL_H

#include_next <fcntl.h>

/* fcntl(2): of sockets, as dup(). */
#define F_DUPFD 0
#define F_DUPFD_CLOEXEC 1030

/* fcntl(2), advisory record locks. */
#define F_GETLK 5
#define F_SETLK 6
#define F_SETLKW 7

#define F_RDLCK 0
#define F_WRLCK 1
#define F_UNLCK 2

#endif
