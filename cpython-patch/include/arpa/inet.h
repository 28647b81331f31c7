#ifndef _WASISOCKET_ARPA_INET_H
#define _WASISOCKET_ARPA_INET_H

#include_next <arpa/inet.h>

#ifdef __cplusplus
extern "C" {
#endif

/* inet(3) */
char *inet_ntoa(struct in_addr);

#ifdef __cplusplus
}
#endif

#endif
