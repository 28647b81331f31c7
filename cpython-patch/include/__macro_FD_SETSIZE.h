/* wasi-libc's fd_set is a list with room for FD_SETSIZE descriptors, of any number; but programs,
 * CPython among them, refuse to put a descriptor into it that is not below FD_SETSIZE, and sockets
 * have numbers from 1000 on. Without a guard: wasi-libc's sys/select.h defines 1024 again. */

#undef FD_SETSIZE
#define FD_SETSIZE 4096
