/* Signals of the library: what POSIX says of each function, in one program. Prints "ok". */

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int count;
static volatile int last;
static sigset_t seen_mask;

static void handle(int signal)
{
    count++;
    last = signal;
    pthread_sigmask(SIG_SETMASK, NULL, &seen_mask);
}

static void handle_with_info(int signal, siginfo_t *info, void *context)
{
    (void)context;
    assert(info->si_signo == signal);
    count++;
    last = signal;
}

static sigset_t set_of(int signal)
{
    sigset_t set;
    assert(sigemptyset(&set) == 0);
    assert(signal == 0 || sigaddset(&set, signal) == 0);
    return set;
}

static void act(int signal, void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_mask = set_of(SIGHUP), .sa_flags = flags};
    assert(sigaction(signal, &action, NULL) == 0);
}

static void sets(void)
{
    sigset_t set = set_of(SIGUSR1);
    assert(sigismember(&set, SIGUSR1) == 1 && sigismember(&set, SIGUSR2) == 0);
    assert(sigdelset(&set, SIGUSR1) == 0 && sigismember(&set, SIGUSR1) == 0);
    assert(sigfillset(&set) == 0 && sigismember(&set, SIGRTMAX) == 1);
    assert(sigaddset(&set, 65) == -1 && errno == EINVAL);
    assert(sigismember(&set, 0) == -1 && errno == EINVAL);
}

static void actions(void)
{
    struct sigaction old;
    assert(sigaction(SIGUSR1, NULL, &old) == 0 && old.sa_handler == SIG_DFL);
    assert(signal(SIGUSR1, SIG_IGN) == SIG_DFL && signal(SIGUSR1, handle) == SIG_IGN);
    assert(sigaction(SIGUSR1, NULL, &old) == 0 && old.sa_handler == handle && (old.sa_flags & SA_RESTART));
    assert(signal(SIGKILL, handle) == SIG_ERR && errno == EINVAL);
    assert(sigaction(SIGSTOP, &old, NULL) == -1 && errno == EINVAL);
    assert(sigaction(65, NULL, &old) == -1 && errno == EINVAL);

    act(SIGUSR1, handle, 0);
    assert(raise(SIGUSR1) == 0 && count == 1 && last == SIGUSR1);
    /* The signal itself and those of sa_mask are blocked meanwhile. */
    assert(sigismember(&seen_mask, SIGUSR1) == 1 && sigismember(&seen_mask, SIGHUP) == 1);
    act(SIGUSR1, handle, SA_NODEFER | SA_RESETHAND);
    assert(kill(getpid(), SIGUSR1) == 0 && count == 2);
    assert(sigismember(&seen_mask, SIGUSR1) == 0 && sigismember(&seen_mask, SIGHUP) == 1);
    assert(sigaction(SIGUSR1, NULL, &old) == 0 && old.sa_handler == SIG_DFL);

    struct sigaction info = {.sa_sigaction = handle_with_info, .sa_flags = SA_SIGINFO};
    assert(sigaction(SIGUSR1, &info, NULL) == 0);
    assert(killpg(0, SIGUSR1) == 0 && count == 3);
    assert(sigaction(SIGUSR1, NULL, &old) == 0 && old.sa_sigaction == handle_with_info);
    assert(kill(getpid() + 1000000, 0) == -1 && errno == ESRCH);
    assert(kill(getpid(), 65) == -1 && errno == EINVAL);
    assert(raise(0) == 0 && kill(0, 0) == 0 && count == 3);
}

static void masks(void)
{
    sigset_t usr1 = set_of(SIGUSR1), none = set_of(0), old, pending;
    act(SIGUSR1, handle, 0);
    count = 0;
    assert(sigprocmask(SIG_BLOCK, &usr1, &old) == 0 && sigismember(&old, SIGUSR1) == 0);
    assert(raise(SIGUSR1) == 0 && raise(SIGUSR1) == 0 && count == 0);
    assert(sigpending(&pending) == 0 && sigismember(&pending, SIGUSR1) == 1);
    assert(pthread_sigmask(7, &usr1, NULL) == EINVAL);
    /* Another mask for one call: what is pending comes, once, and the mask is back afterwards. */
    assert(sigsuspend(&none) == -1 && errno == EINTR && count == 1);
    assert(raise(SIGUSR1) == 0 && count == 1);
    fd_set set;
    FD_ZERO(&set);
    assert(pselect(0, &set, NULL, NULL, NULL, &none) == -1 && errno == EINTR && count == 2);
    struct timespec moment = {.tv_nsec = 1000000};
    assert(pselect(0, &set, NULL, NULL, &moment, &none) == 0 && count == 2);
    assert(raise(SIGUSR1) == 0);
    assert(sigprocmask(SIG_UNBLOCK, &usr1, NULL) == 0 && count == 3);

    int taken;
    siginfo_t info;
    assert(sigprocmask(SIG_BLOCK, &usr1, NULL) == 0);
    assert(sigtimedwait(&usr1, &info, &moment) == -1 && errno == EAGAIN);
    assert(raise(SIGUSR1) == 0 && sigwait(&usr1, &taken) == 0 && taken == SIGUSR1);
    assert(kill(0, SIGUSR1) == 0 && sigwaitinfo(&usr1, &info) == SIGUSR1 && info.si_signo == SIGUSR1);
    /* What is ignored is dropped when it comes, and also what is pending when it becomes ignored. */
    assert(raise(SIGUSR1) == 0);
    signal(SIGUSR1, SIG_IGN);
    assert(sigprocmask(SIG_SETMASK, &none, NULL) == 0 && count == 3);
}

static void timers(void)
{
    act(SIGALRM, handle, 0);
    count = 0;
    struct itimerval timer = {.it_value = {.tv_usec = 20000}, .it_interval = {.tv_usec = 20000}}, old;
    assert(setitimer(ITIMER_REAL, &timer, NULL) == 0);
    assert(pause() == -1 && errno == EINTR && count == 1);
    struct timespec long_time = {.tv_sec = 100}, rest = {0};
    assert(nanosleep(&long_time, &rest) == -1 && errno == EINTR && count == 2);
    assert(rest.tv_sec == 99 && rest.tv_nsec > 0);
    int pair[2];
    char byte;
    assert(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    assert(recv(pair[0], &byte, 1, 0) == -1 && errno == EINTR && count == 3);
    timer = (struct itimerval){0};
    assert(setitimer(ITIMER_REAL, &timer, &old) == 0 && old.it_interval.tv_usec == 20000);
    assert(getitimer(ITIMER_REAL, &old) == 0 && old.it_value.tv_sec == 0 && old.it_value.tv_usec == 0);
    assert(alarm(10) == 0 && alarm(0) == 10);
    assert(getitimer(3, &old) == -1 && errno == EINVAL);
    timer.it_value.tv_usec = 1000000;
    assert(setitimer(ITIMER_REAL, &timer, NULL) == -1 && errno == EINVAL);
    close(pair[0]);
    close(pair[1]);
}

static void *wait_for_usr2(void *ready)
{
    sigset_t set = set_of(SIGUSR2);
    int taken;
    *(volatile int *)ready = 1;
    assert(sigwait(&set, &taken) == 0 && taken == SIGUSR2);
    return NULL;
}

static void *sleep_long(void *ready)
{
    struct timespec time = {.tv_sec = 100};
    sigset_t none = set_of(0);
    assert(pthread_sigmask(SIG_SETMASK, &none, NULL) == 0);
    *(volatile int *)ready = 1;
    assert(nanosleep(&time, NULL) == -1 && errno == EINTR);
    return NULL;
}

static pthread_t started(void *(*function)(void *))
{
    pthread_t thread;
    volatile int ready = 0;
    assert(pthread_create(&thread, NULL, function, (void *)&ready) == 0);
    struct timespec moment = {.tv_nsec = 1000000};
    do {
        nanosleep(&moment, NULL);
    } while (!ready);
    return thread;
}

static void threads(void)
{
    sigset_t usr2 = set_of(SIGUSR2), none = set_of(0), pending;
    act(SIGUSR2, handle, 0);
    count = 0;
    /* Threads inherit the mask; a thread that waits for a signal takes it. */
    assert(pthread_sigmask(SIG_SETMASK, &usr2, NULL) == 0);
    pthread_t thread = started(wait_for_usr2);
    assert(kill(getpid(), SIGUSR2) == 0);
    assert(pthread_join(thread, NULL) == 0 && count == 0);
    /* One that does not block it handles it, and what it waits for ends. */
    thread = started(sleep_long);
    assert(kill(getpid(), SIGUSR2) == 0);
    assert(pthread_join(thread, NULL) == 0 && count == 1);
    thread = started(sleep_long);
    assert(pthread_kill(thread, SIGUSR2) == 0);
    assert(pthread_join(thread, NULL) == 0 && count == 2);
    /* What is sent to one thread is not another's. */
    thread = started(wait_for_usr2);
    assert(pthread_kill(pthread_self(), SIGUSR2) == 0);
    assert(sigpending(&pending) == 0 && sigismember(&pending, SIGUSR2) == 1);
    assert(pthread_kill(thread, SIGUSR2) == 0 && pthread_join(thread, NULL) == 0 && count == 2);
    assert(pthread_sigmask(SIG_SETMASK, &none, NULL) == 0 && count == 3);
}

int main(void)
{
    sets();
    actions();
    masks();
    timers();
    threads();
    /* What does nothing by default. */
    signal(SIGUSR1, SIG_DFL);
    for (int harmless = SIGCHLD; harmless <= SIGURG; harmless++) {
        if (harmless != SIGSTOP) {
            assert(raise(harmless) == 0);
        }
    }
    puts("ok");
    fflush(stdout);
    raise(SIGTERM);
    puts("not reached");
    return 0;
}
