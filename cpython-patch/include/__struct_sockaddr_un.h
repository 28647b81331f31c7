/* wasi-libc's has no path. */

#ifndef _WASISOCKET_STRUCT_SOCKADDR_UN_H
#define _WASISOCKET_STRUCT_SOCKADDR_UN_H

#include <__typedef_sa_family_t.h>

struct sockaddr_un {
    __attribute__((aligned(__BIGGEST_ALIGNMENT__))) sa_family_t sun_family;
    char sun_path[108];
};

#endif
