#ifndef _WASISOCKET_TYPEDEF_SIGSET_T_H
#define _WASISOCKET_TYPEDEF_SIGSET_T_H

/* wasi-libc's holds eight signals. This one has the size of Linux's. */
typedef struct __sigset_t {
    unsigned long __bits[128 / sizeof(long)];
} sigset_t;

#endif
