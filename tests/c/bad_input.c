/* Calls every function with bad descriptors, null pointers, short addresses and lengths beyond the buffer. Each returns
 * -1 and an errno, and the program continues. */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#define FAILS(number, call)                                                                                  \
    do {                                                                                                     \
        errno = 0;                                                                                           \
        long long result = (long long)(call);                                                                \
        if (result != -1 || errno != (number)) {                                                             \
            printf("line %d: %s returned %lld with errno %d, not -1 with %d\n", __LINE__, #call, result, errno, \
                   (number));                                                                                \
            failures++;                                                                                      \
        }                                                                                                    \
    } while (0)

#define IS(expected, call)                                                                                   \
    do {                                                                                                     \
        long long result = (long long)(call);                                                                \
        if (result != (long long)(expected)) {                                                               \
            printf("line %d: %s returned %lld, not %s (errno %d)\n", __LINE__, #call, result, #expected, errno); \
            failures++;                                                                                      \
        }                                                                                                    \
    } while (0)

static int failures;
static char buffer[256];
static struct sockaddr_in v4 = {.sin_family = AF_INET};
static struct sockaddr_storage storage;
static socklen_t length = sizeof storage;

#define ADDRESS ((struct sockaddr *)&v4)
#define STORAGE ((struct sockaddr *)&storage)

/* Numbers that are no descriptor, and descriptors of files. */
static void not_a_socket(int fd, int number) {
    struct iovec iovec = {buffer, sizeof buffer};
    struct msghdr message = {.msg_iov = &iovec, .msg_iovlen = 1};
    int value = 1;
    FAILS(number, bind(fd, ADDRESS, sizeof v4));
    FAILS(number, listen(fd, 1));
    FAILS(number, accept(fd, STORAGE, &length));
    FAILS(number, accept4(fd, NULL, NULL, SOCK_NONBLOCK));
    FAILS(number, connect(fd, ADDRESS, sizeof v4));
    FAILS(number, shutdown(fd, SHUT_RDWR));
    FAILS(number, getsockname(fd, STORAGE, &length));
    FAILS(number, getpeername(fd, STORAGE, &length));
    FAILS(number, send(fd, buffer, 1, 0));
    FAILS(number, recv(fd, buffer, 1, 0));
    FAILS(number, sendto(fd, buffer, 1, 0, ADDRESS, sizeof v4));
    FAILS(number, recvfrom(fd, buffer, 1, 0, STORAGE, &length));
    FAILS(number, sendmsg(fd, &message, 0));
    FAILS(number, recvmsg(fd, &message, 0));
    FAILS(number, getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &length));
    FAILS(number, setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &value, sizeof value));
}

static void bad_descriptors(void) {
    static const int none[] = {-1, -2, INT32_MIN, INT32_MAX, 255, 256, 1000, 1023, 1024, 100000};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        int fd = none[i];
        struct epoll_event event = {.events = EPOLLIN};
        struct stat status;
        int value = 1;
        not_a_socket(fd, EBADF);
        FAILS(EBADF, close(fd));
        FAILS(EBADF, dup(fd));
        FAILS(EBADF, dup2(fd, 500));
        FAILS(EBADF, sendfile(1, fd, NULL, 1));
        FAILS(EBADF, read(fd, buffer, 1));
        FAILS(EBADF, write(fd, buffer, 1));
        FAILS(EBADF, fstat(fd, &status));
        FAILS(EBADF, fcntl(fd, F_GETFL));
        FAILS(EBADF, fcntl(fd, F_SETFL, O_NONBLOCK));
        FAILS(EBADF, ioctl(fd, FIONBIO, &value));
        FAILS(EBADF, epoll_wait(fd, &event, 1, 0));
        FAILS(EBADF, epoll_ctl(fd, EPOLL_CTL_ADD, fd, &event));
        if (fd >= 0) {
            struct pollfd polled = {fd, POLLIN, 0};
            IS(1, poll(&polled, 1, -1));
            IS(POLLNVAL, polled.revents);
            fd_set set;
            FD_ZERO(&set);
            FD_SET(fd, &set);
            FAILS(EBADF, select(fd + 1, &set, NULL, NULL, NULL));
        }
    }
    not_a_socket(1, ENOTSOCK);
    int copy = dup(1);
    IS(1, copy > 2);
    IS(0, close(copy));
    FAILS(EBADF, close(copy));
}

static void bad_pointers(void) {
    int tcp = socket(AF_INET, SOCK_STREAM, 0), udp = socket(AF_INET, SOCK_DGRAM, 0);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct iovec nowhere = {NULL, 1}, iovec = {buffer, 1};
    struct msghdr message = {.msg_iov = NULL, .msg_iovlen = 1};
    FAILS(EFAULT, bind(tcp, NULL, sizeof v4));
    FAILS(EFAULT, connect(tcp, NULL, sizeof v4));
    FAILS(EFAULT, sendto(udp, NULL, 1, 0, ADDRESS, sizeof v4));
    FAILS(EFAULT, send(udp, NULL, 1, 0));
    FAILS(EFAULT, recv(udp, NULL, 1, 0));
    FAILS(EFAULT, read(udp, NULL, 1));
    FAILS(EFAULT, write(udp, NULL, 1));
    FAILS(EFAULT, sendmsg(udp, NULL, 0));
    FAILS(EFAULT, recvmsg(udp, NULL, 0));
    FAILS(EFAULT, sendmsg(udp, &message, 0));
    FAILS(EFAULT, recvmsg(udp, &message, 0));
    message.msg_iov = &nowhere;
    FAILS(EFAULT, sendmsg(udp, &message, 0));
    FAILS(EFAULT, recvmsg(udp, &message, 0));
    FAILS(EFAULT, readv(udp, NULL, 1));
    FAILS(EFAULT, writev(udp, &nowhere, 1));
    message.msg_iov = &iovec;
    message.msg_iovlen = -1;
    FAILS(EINVAL, sendmsg(udp, &message, 0));
    message.msg_iovlen = 1025;
    FAILS(EMSGSIZE, sendmsg(udp, &message, 0));
    FAILS(EFAULT, getsockname(tcp, NULL, &length));
    FAILS(EFAULT, getsockname(tcp, STORAGE, NULL));
    FAILS(EFAULT, getsockopt(tcp, SOL_SOCKET, SO_TYPE, NULL, &length));
    FAILS(EFAULT, getsockopt(tcp, SOL_SOCKET, SO_TYPE, buffer, NULL));
    FAILS(EFAULT, setsockopt(tcp, SOL_SOCKET, SO_REUSEADDR, NULL, 4));
    FAILS(EFAULT, socketpair(AF_UNIX, SOCK_STREAM, 0, NULL));
    FAILS(EFAULT, pipe(NULL));
    FAILS(EFAULT, poll(NULL, 1, 0));
    FAILS(EFAULT, epoll_wait(epoll, NULL, 1, 0));
    FAILS(EFAULT, epoll_ctl(epoll, EPOLL_CTL_ADD, udp, NULL));
    FAILS(EFAULT, ioctl(udp, FIONBIO, NULL));
    FAILS(EFAULT, ioctl(udp, FIONREAD, NULL));
    FAILS(EFAULT, fstat(udp, NULL));
    close(tcp);
    close(udp);
    close(epoll);
}

/* Each end of a pipe has one direction. */
static void pipes(void) {
    int ends[2];
    struct stat status;
    IS(0, pipe(ends));
    IS(0, fstat(ends[0], &status));
    IS(1, S_ISFIFO(status.st_mode));
    IS(3, write(ends[1], "abc", 3));
    IS(3, read(ends[0], buffer, sizeof buffer));
    FAILS(EBADF, read(ends[1], buffer, 1));
    FAILS(EBADF, write(ends[0], buffer, 1));
    FAILS(ENOTSOCK, bind(ends[0], ADDRESS, sizeof v4));
    struct pollfd polled = {ends[1], POLLIN, 0};
    IS(0, poll(&polled, 1, 0));
    close(ends[1]);
    IS(0, read(ends[0], buffer, 1));
    close(ends[0]);
    IS(0, pipe2(ends, O_NONBLOCK));
    FAILS(EAGAIN, read(ends[0], buffer, 1));
    close(ends[0]);
    FAILS(EPIPE, write(ends[1], buffer, 1));
    close(ends[1]);
}

static void bad_numbers(void) {
    int tcp = socket(AF_INET, SOCK_STREAM, 0), tcp6 = socket(AF_INET6, SOCK_STREAM, 0);
    int udp = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), unix = socket(AF_UNIX, SOCK_STREAM, 0);
    int epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN};
    struct sockaddr_un named = {.sun_family = AF_UNIX, .sun_path = ""};
    char value[64] = {1};
    FAILS(EAFNOSUPPORT, socket(12345, SOCK_STREAM, 0));
    FAILS(EAFNOSUPPORT, socket(-1, SOCK_STREAM, 0));
    FAILS(EPROTONOSUPPORT, socket(AF_INET, 99, 0));
    FAILS(EPERM, socket(AF_INET, SOCK_RAW, 0));
    FAILS(EPROTONOSUPPORT, socket(AF_INET, SOCK_STREAM, IPPROTO_UDPLITE));
    FAILS(EINVAL, pipe2((int *)buffer, 1 << 20));
    int output = dup(1);
    IS(1, dup2(tcp, 1));
    IS(1, dup2(output, 1));
    close(output);
    FAILS(EBADF, dup2(tcp, -1));
    FAILS(EBADF, dup2(tcp, INT32_MAX));
    FAILS(EPROTONOSUPPORT, socket(AF_INET, SOCK_STREAM, IPPROTO_UDP));
    FAILS(EOPNOTSUPP, socketpair(AF_INET, SOCK_STREAM, 0, (int *)buffer));
    for (socklen_t size = 0; size < sizeof v4; size++)
        FAILS(EINVAL, bind(tcp, ADDRESS, size));
    FAILS(EINVAL, bind(tcp, STORAGE, 129));
    FAILS(EINVAL, bind(tcp, STORAGE, UINT32_MAX));
    FAILS(EAFNOSUPPORT, bind(tcp6, ADDRESS, sizeof v4));
    FAILS(EAFNOSUPPORT, connect(unix, ADDRESS, sizeof v4));
    FAILS(EACCES, sendto(udp, buffer, 1, 0, (struct sockaddr *)&named, sizeof named));
    FAILS(EACCES, bind(unix, (struct sockaddr *)&named, sizeof named));
    FAILS(EINVAL, bind(unix, (struct sockaddr *)&named, 2));
    memset(named.sun_path, 'x', sizeof named.sun_path);
    FAILS(ENAMETOOLONG, bind(unix, (struct sockaddr *)&named, sizeof named));
    FAILS(EINVAL, shutdown(tcp, -1));
    FAILS(EINVAL, shutdown(tcp, 99));
    FAILS(EINVAL, accept4(tcp, NULL, NULL, 1));
    FAILS(EOPNOTSUPP, send(udp, buffer, 1, 0x40000000));
    FAILS(EOPNOTSUPP, recv(udp, buffer, 1, 0x10000000));
    FAILS(EAGAIN, recv(udp, buffer, SIZE_MAX, 0));
    for (socklen_t size = 0; size < sizeof(int); size++)
        FAILS(EINVAL, setsockopt(tcp, SOL_SOCKET, SO_REUSEADDR, value, size));
    /* Two longs, as Linux has them, are as good as a struct timeval. */
    for (socklen_t size = 0; size < 2 * sizeof(long); size++)
        FAILS(EINVAL, setsockopt(tcp, SOL_SOCKET, SO_RCVTIMEO, value, size));
    for (socklen_t size = 0; size < sizeof(struct linger); size++)
        FAILS(EINVAL, setsockopt(tcp, SOL_SOCKET, SO_LINGER, value, size));
    for (socklen_t size = 0; size < 8; size++)
        FAILS(EINVAL, setsockopt(udp, IPPROTO_IP, IP_ADD_MEMBERSHIP, value, size));
    for (socklen_t size = 0; size < 20; size++)
        FAILS(EINVAL, setsockopt(tcp6, IPPROTO_IPV6, IPV6_JOIN_GROUP, value, size));
    FAILS(ENOPROTOOPT, setsockopt(tcp, 12345, 1, value, 4));
    FAILS(ENOPROTOOPT, getsockopt(tcp, SOL_SOCKET, -1, value, &length));
    FAILS(ENOPROTOOPT, setsockopt(tcp, SOL_SOCKET, SO_ERROR, value, 4));
    FAILS(EINVAL, fcntl(tcp, 12345));
    FAILS(EINVAL, fcntl(tcp, F_DUPFD, -1));
    FAILS(EINVAL, fcntl(tcp, F_DUPFD, INT32_MAX));
    FAILS(EINVAL, fcntl(1, F_DUPFD, -1));
    FAILS(EFAULT, fcntl(1, F_SETLK, NULL));
    struct flock lock = {.l_type = 5};
    FAILS(EINVAL, fcntl(1, F_SETLK, &lock));
    lock = (struct flock){.l_type = F_WRLCK, .l_start = -1};
    FAILS(EINVAL, fcntl(1, F_SETLK, &lock));
    FAILS(EBADF, fcntl(99, F_SETLK, &lock));
    FAILS(EINVAL, fcntl(tcp, F_GETLK, &lock));
    FAILS(EINVAL, flock(1, 0));
    FAILS(EBADF, flock(99, LOCK_SH));
    FAILS(EINVAL, lockf(1, 9, 0));
    FAILS(ENOTTY, ioctl(tcp, 12345, value));
    FAILS(ESPIPE, lseek(tcp, 0, SEEK_SET));
    FAILS(ESPIPE, lseek(tcp, 0, SEEK_CUR));
    FAILS(EINVAL, poll((struct pollfd *)buffer, 1 << 20, 0));
    FAILS(EINVAL, select(1, NULL, NULL, NULL, &(struct timeval){-1, 0}));
    FAILS(EINVAL, epoll_create(0));
    FAILS(EINVAL, epoll_create1(1));
    FAILS(EINVAL, epoll_wait(epoll, &event, 0, 0));
    FAILS(EINVAL, epoll_wait(epoll, &event, -1, 0));
    FAILS(EINVAL, epoll_wait(tcp, &event, 1, 0));
    FAILS(EINVAL, epoll_ctl(epoll, 9, udp, &event));
    FAILS(EINVAL, epoll_ctl(epoll, EPOLL_CTL_ADD, epoll, &event));
    FAILS(EINVAL, epoll_ctl(udp, EPOLL_CTL_ADD, tcp, &event));
    FAILS(EPERM, epoll_ctl(epoll, EPOLL_CTL_ADD, 1, &event));
    event.events = 1u << 28;
    FAILS(EINVAL, epoll_ctl(epoll, EPOLL_CTL_ADD, udp, &event));
    FAILS(EINVAL, read(epoll, buffer, 1));
    FAILS(EINVAL, write(epoll, buffer, 1));
    FAILS(ENOTSOCK, send(epoll, buffer, 1, 0));
    FAILS(ENOTSOCK, bind(epoll, ADDRESS, sizeof v4));
    close(tcp);
    close(tcp6);
    close(udp);
    close(unix);
    close(epoll);
}

/* A buffer that is too short gets what fits, and the length reports the full size. */
static void short_rooms(void) {
    int udp = socket(AF_INET, SOCK_DGRAM, 0);
    memset(&storage, 0x55, sizeof storage);
    for (socklen_t size = 0; size <= sizeof v4; size++) {
        length = size;
        IS(0, getsockname(udp, STORAGE, &length));
        IS(sizeof v4, length);
        IS(0x55, ((unsigned char *)&storage)[size]);
    }
    length = 1;
    int value = 0x55555555;
    IS(0, getsockopt(udp, SOL_SOCKET, SO_TYPE, &value, &length));
    IS(1, length);
    IS(0x55555500 | SOCK_DGRAM, value);
    length = sizeof storage;
    close(udp);
}

static void bad_names(void) {
    struct addrinfo *list = NULL;
    struct addrinfo hints = {.ai_flags = 1 << 30};
    char name[2000];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = 0;
    IS(EAI_NONAME, getaddrinfo(NULL, NULL, NULL, &list));
    IS(EAI_BADFLAGS, getaddrinfo("::1", NULL, &hints, &list));
    IS(EAI_NONAME, getaddrinfo("", "80", NULL, &list));
    IS(EAI_NONAME, getaddrinfo(name, "80", NULL, &list));
    IS(EAI_SERVICE, getaddrinfo("::1", "99999", NULL, &list));
    freeaddrinfo(NULL);
    IS(EAI_FAMILY, getnameinfo(NULL, 0, buffer, 1, NULL, 0, 0));
    IS(EAI_FAMILY, getnameinfo(STORAGE, 1, buffer, 1, NULL, 0, 0));
    IS(EAI_OVERFLOW, getnameinfo(ADDRESS, sizeof v4, buffer, 1, NULL, 0, NI_NUMERICHOST));
    IS(0, gethostbyname(""));
    IS(0, gethostbyaddr(buffer, 3, AF_INET));
    IS(0, gethostbyaddr(buffer, 4, 12345));
    IS(0, getservbyname("nosuch", NULL));
    IS(0, getservbyname("http", "nosuch"));
    IS(0, getservbyport(-1, NULL));
    IS(0, getprotobyname(""));
    IS(0, if_nametoindex(name));
    IS(0, if_indextoname(UINT32_MAX, buffer));
    FAILS(ENAMETOOLONG, gethostname(buffer, 1));
}

/* After the limit of open sockets is reached, closing one makes room again. */
static void too_many(void) {
    int fds[1000], count = 0, pair[2];
    for (; count < 1000; count++)
        if ((fds[count] = socket(AF_INET, SOCK_DGRAM, 0)) < 0)
            break;
    IS(EMFILE, errno);
    FAILS(EMFILE, socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    FAILS(EMFILE, epoll_create1(0));
    FAILS(EMFILE, dup(fds[0]));
    close(fds[--count]);
    FAILS(EMFILE, socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    while (count > 0)
        IS(0, close(fds[--count]));
    IS(0, socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    IS(1, write(pair[0], "x", 1));
    IS(1, read(pair[1], buffer, sizeof buffer));
    close(pair[0]);
    close(pair[1]);
}

/* A socket is closed while it is watched, and its number is used again. */
static void closed_while_watched(void) {
    int epoll = epoll_create1(0), pair[2], again[2];
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 0x123456789abcdef0};
    IS(0, socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    IS(0, epoll_ctl(epoll, EPOLL_CTL_ADD, pair[0], &event));
    IS(1, write(pair[1], "x", 1));
    IS(1, epoll_wait(epoll, &event, 1, -1));
    IS(0x123456789abcdef0, event.data.u64);
    close(pair[0]);
    IS(0, epoll_wait(epoll, &event, 1, 0));
    IS(0, socketpair(AF_UNIX, SOCK_STREAM, 0, again));
    FAILS(ENOENT, epoll_ctl(epoll, EPOLL_CTL_MOD, again[0], &event));
    IS(0, epoll_ctl(epoll, EPOLL_CTL_ADD, again[0], &event));
    close(pair[1]);
    close(again[0]);
    close(again[1]);
    close(epoll);
}

int main(void) {
    bad_descriptors();
    bad_pointers();
    pipes();
    bad_numbers();
    short_rooms();
    bad_names();
    too_many();
    closed_while_watched();
    if (!failures)
        puts("ok");
    return failures != 0;
}
