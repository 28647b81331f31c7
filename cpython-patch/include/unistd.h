#ifndef _WASISOCKET_UNISTD_H
#define _WASISOCKET_UNISTD_H

#include_next <unistd.h>

#ifdef __cplusplus
extern "C" {
#endif

/* dup(2) */
int dup(int);
int dup2(int, int);
int dup3(int, int, int);

/* lockf(3) */
int lockf(int, int, off_t);

/* pipe(2): a pair of sockets. */
int pipe(int[2]);
int pipe2(int[2], int);

/* getuid(2), getgid(2): an ordinary user's. */
uid_t getuid(void);
uid_t geteuid(void);
gid_t getgid(void);
gid_t getegid(void);

int getgroups(int, gid_t[]);

/* getlogin(3): the name of that user. */
char *getlogin(void);
int getlogin_r(char *, size_t);

/* getppid(2) */
pid_t getppid(void);

/* getpgid(2), getsid(2): the guest leads its own group and session. */
pid_t getpgid(pid_t);
pid_t getpgrp(void);
pid_t getsid(pid_t);

/* pause(2), alarm(2): signals. */
int pause(void);
unsigned alarm(unsigned);

/* gethostname(2) */
int gethostname(char *, size_t);

#ifdef __cplusplus
}
#endif

#endif
