#ifndef _WASISOCKET_ERRNO_H
#define _WASISOCKET_ERRNO_H

#include_next <errno.h>

/* No call returns it. CPython would take EPIPE for it, and say ESHUTDOWN for that. */
#define ESHUTDOWN 108

#endif
