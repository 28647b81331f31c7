#ifndef _WASISOCKET_SIGNAL_H
#define _WASISOCKET_SIGNAL_H

/* wasi-libc's header has signal() and raise(), and the numbers of signals, which are Linux's. */
#ifndef _WASI_EMULATED_SIGNAL
#define _WASI_EMULATED_SIGNAL
#endif

#include_next <signal.h>

#define __NEED_pid_t
#define __NEED_uid_t
#define __NEED_pthread_t
#define __NEED_sigset_t
#define __NEED_struct_timespec
#include <bits/alltypes.h>

#define SIGRTMIN 34
#define SIGRTMAX 64
#ifndef NSIG
#define NSIG _NSIG
#endif

/* signal(2): wasi-libc's are in a library that not every program is linked with. */
#undef SIG_ERR
#undef SIG_IGN
#define SIG_ERR (wasisocket_sig_err)
#define SIG_IGN (wasisocket_sig_ign)

#define SIG_BLOCK 0
#define SIG_UNBLOCK 1
#define SIG_SETMASK 2

/* sigaction(2). Those of children and of the stack have no effect, as there is neither. */
#define SA_NOCLDSTOP 1
#define SA_NOCLDWAIT 2
#define SA_SIGINFO 4
#define SA_ONSTACK 0x08000000
#define SA_RESTART 0x10000000
#define SA_NODEFER 0x40000000
#define SA_RESETHAND (-0x7fffffff - 1)

/* siginfo_t: sigaction(2). Who sent a signal is not known. */
typedef struct {
    int si_signo;
    int si_errno;
    int si_code;
    pid_t si_pid;
    uid_t si_uid;
    int si_status;
} siginfo_t;

struct sigaction {
    union {
        void (*sa_handler)(int);
        void (*sa_sigaction)(int, siginfo_t *, void *);
    } __handler;
    sigset_t sa_mask;
    int sa_flags;
};
#define sa_handler __handler.sa_handler
#define sa_sigaction __handler.sa_sigaction

#ifdef __cplusplus
extern "C" {
#endif

void wasisocket_sig_err(int);
void wasisocket_sig_ign(int);

int sigaction(int, const struct sigaction *__restrict, struct sigaction *__restrict);
int siginterrupt(int, int);

/* Of this process alone: there is no other. */
int kill(pid_t, int);
int killpg(pid_t, int);
int pthread_kill(pthread_t, int);

int sigemptyset(sigset_t *);
int sigfillset(sigset_t *);
int sigaddset(sigset_t *, int);
int sigdelset(sigset_t *, int);
int sigismember(const sigset_t *, int);

int sigprocmask(int, const sigset_t *__restrict, sigset_t *__restrict);
int pthread_sigmask(int, const sigset_t *__restrict, sigset_t *__restrict);
int sigpending(sigset_t *);
int sigsuspend(const sigset_t *);
int sigwait(const sigset_t *__restrict, int *__restrict);
int sigwaitinfo(const sigset_t *__restrict, siginfo_t *__restrict);
int sigtimedwait(const sigset_t *__restrict, siginfo_t *__restrict, const struct timespec *__restrict);

#ifdef __cplusplus
}
#endif

#endif
