/* Sockets. wasi-libc declares most of it, but for wasip2 alone. */

#ifndef _WASISOCKET_SYS_SOCKET_H
#define _WASISOCKET_SYS_SOCKET_H

/* Before the macro below: what it declares is about the target itself. */
#include <wasi/api.h>

#ifdef __wasilibc_use_wasip2
#include_next <sys/socket.h>
#else
#define __wasilibc_use_wasip2
#include_next <sys/socket.h>
#undef __wasilibc_use_wasip2
#endif

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Linux's numbers in the place of wasi-libc's, which nothing in wasi-libc depends on but inet_pton() and
 * inet_ntop(): the library has its own. Programs write shutdown(2), and test type & SOCK_STREAM. */
#undef PF_UNSPEC
#undef PF_INET
#undef PF_INET6
#undef AF_UNIX
#undef SOCK_STREAM
#undef SOCK_DGRAM
#undef SHUT_RD
#undef SHUT_WR
#undef SHUT_RDWR
#undef SOL_SOCKET
#define PF_UNSPEC 0
#define PF_INET 2
#define PF_INET6 10
#define AF_UNIX 1
#define SOCK_STREAM 1
#define SOCK_DGRAM 2
#define SHUT_RD 0
#define SHUT_WR 1
#define SHUT_RDWR 2
#define SOL_SOCKET 1

/* socket(2): types that there are not. */
#define SOCK_RAW 3
#define SOCK_RDM 4
#define SOCK_SEQPACKET 5

/* socket(7): Linux's numbers, as wasi-libc's are. */
#define SO_BROADCAST 6
#define SO_OOBINLINE 10
#define SO_LINGER 13
#define SO_REUSEPORT 15

/* send(2), recv(2) */
#define MSG_OOB 0x1
#define MSG_CTRUNC 0x8
#define MSG_EOR 0x80
#define MSG_MORE 0x8000
#define MSG_CMSG_CLOEXEC 0x40000000

/* unix(7) */
#define PF_UNIX AF_UNIX
#define PF_LOCAL AF_UNIX
#define AF_LOCAL AF_UNIX
#define SCM_RIGHTS 1

int socketpair(int, int, int, int[2]);
ssize_t sendmsg(int, const struct msghdr *, int);
ssize_t recvmsg(int, struct msghdr *, int);

/* cmsg(3): ancillary data is a row of these, each with its data behind it, all aligned like size_t. */
struct cmsghdr {
    socklen_t cmsg_len;
    int cmsg_level;
    int cmsg_type;
};

#define CMSG_ALIGN(len) (((len) + sizeof(size_t) - 1) / sizeof(size_t) * sizeof(size_t))
#define CMSG_LEN(len) (CMSG_ALIGN(sizeof(struct cmsghdr)) + (len))
#define CMSG_SPACE(len) (CMSG_ALIGN(sizeof(struct cmsghdr)) + CMSG_ALIGN(len))
#define CMSG_DATA(cmsg) ((unsigned char *)(cmsg) + CMSG_ALIGN(sizeof(struct cmsghdr)))
#define CMSG_FIRSTHDR(msg)                                                                         \
    ((msg)->msg_controllen < sizeof(struct cmsghdr) ? (struct cmsghdr *)0                          \
                                                    : (struct cmsghdr *)(msg)->msg_control)
#define CMSG_NXTHDR(msg, cmsg) __wasisocket_cmsg_next((msg), (cmsg))

/* The header after `cmsg`; NULL if there is no room for one, or if `cmsg` has a length that cannot be. */
static __inline struct cmsghdr *__wasisocket_cmsg_next(const struct msghdr *msg,
                                                       const struct cmsghdr *cmsg)
{
    size_t at = (size_t)((const char *)cmsg - (const char *)msg->msg_control);
    size_t left = msg->msg_controllen - at;

    if (cmsg->cmsg_len < sizeof(struct cmsghdr) || cmsg->cmsg_len > left
        || left - cmsg->cmsg_len < sizeof(struct cmsghdr)
        || left - CMSG_ALIGN(cmsg->cmsg_len) < sizeof(struct cmsghdr)) {
        return 0;
    }
    return (struct cmsghdr *)((char *)msg->msg_control + at + CMSG_ALIGN(cmsg->cmsg_len));
}

#ifdef __cplusplus
}
#endif

#endif
