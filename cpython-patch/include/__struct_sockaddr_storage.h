/* wasi-libc's has no room for a Unix socket's address. It is 128 bytes, as in Linux. */

#ifndef _WASISOCKET_STRUCT_SOCKADDR_STORAGE_H
#define _WASISOCKET_STRUCT_SOCKADDR_STORAGE_H

#include <__typedef_sa_family_t.h>

struct sockaddr_storage {
    __attribute__((aligned(__BIGGEST_ALIGNMENT__))) sa_family_t ss_family;
    char __ss_data[126];
};

#endif
