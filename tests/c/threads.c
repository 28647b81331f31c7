/* POSIX threads of the library: what POSIX says of each, in one program. Prints "ok". */

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* wasi-libc's header leaves these out. */
extern _Noreturn void pthread_exit(void *value);

#define N 8

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static int count;

static struct timespec after(clockid_t clock, long milliseconds)
{
    struct timespec time;
    clock_gettime(clock, &time);
    time.tv_nsec += milliseconds * 1000000;
    time.tv_sec += time.tv_nsec / 1000000000;
    time.tv_nsec %= 1000000000;
    return time;
}

static void *start(void *(*function)(void *), void *argument)
{
    pthread_t thread;
    assert(pthread_create(&thread, NULL, function, argument) == 0);
    return (void *)(uintptr_t)thread;
}

static void *join(void *thread)
{
    void *value;
    assert(pthread_join((pthread_t)(uintptr_t)thread, &value) == 0);
    return value;
}

static void *add(void *argument)
{
    for (int i = 0; i < 100; i++) {
        assert(pthread_mutex_lock(&mutex) == 0);
        int now = count;
        sched_yield();
        count = now + 1;
        assert(pthread_mutex_unlock(&mutex) == 0);
    }
    /* Each has its own stack and its own errno. */
    char mine[100];
    memset(mine, (int)(uintptr_t)argument, sizeof mine);
    errno = (int)(uintptr_t)argument;
    sched_yield();
    assert(errno == (int)(uintptr_t)argument);
    for (size_t i = 0; i < sizeof mine; i++) {
        assert(mine[i] == (char)(uintptr_t)argument);
    }
    return argument;
}

static void *leave(void *argument)
{
    pthread_exit(argument);
}

static void threads(void)
{
    void *all[N];
    for (uintptr_t i = 0; i < N; i++) {
        all[i] = start(add, (void *)i);
    }
    for (uintptr_t i = 0; i < N; i++) {
        assert(join(all[i]) == (void *)i);
    }
    assert(count == N * 100);
    /* It is gone. */
    assert(pthread_join((pthread_t)(uintptr_t)all[0], NULL) == ESRCH);
    assert(pthread_join(pthread_self(), NULL) == EDEADLK);
    assert(pthread_equal(pthread_self(), pthread_self()));
    for (int i = 0; i < 300; i++) {
        assert(join(start(leave, &count)) == &count);
    }

    pthread_attr_t attributes;
    assert(pthread_attr_init(&attributes) == 0);
    assert(pthread_attr_setstacksize(&attributes, 1) == EINVAL);
    assert(pthread_attr_setstacksize(&attributes, 1 << 20) == 0);
    size_t size;
    assert(pthread_attr_getstacksize(&attributes, &size) == 0 && size == 1 << 20);
    assert(pthread_attr_setdetachstate(&attributes, 7) == EINVAL);
    assert(pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED) == 0);
    pthread_t thread;
    assert(pthread_create(&thread, &attributes, leave, NULL) == 0);
    assert(pthread_join(thread, NULL) == EINVAL);
    assert(pthread_detach(thread) == EINVAL);
    /* Until it has run. */
    int result = EINVAL;
    for (int i = 0; i < 1000 && result != ESRCH; i++) {
        usleep(1000);
        result = pthread_detach(thread);
    }
    assert(result == ESRCH);
}

static void *try_mutex(void *argument)
{
    struct timespec time = after(CLOCK_REALTIME, 20);
    assert(pthread_mutex_trylock(argument) == EBUSY);
    assert(pthread_mutex_timedlock(argument, &time) == ETIMEDOUT);
    return NULL;
}

static void *unlock_mutex(void *argument)
{
    return (void *)(uintptr_t)pthread_mutex_unlock(argument);
}

static void mutexes(void)
{
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    assert(pthread_mutexattr_settype(&attributes, 9) == EINVAL);
    int kinds[] = {PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_ERRORCHECK};
    for (int i = 0; i < 3; i++) {
        pthread_mutex_t other;
        assert(pthread_mutexattr_settype(&attributes, kinds[i]) == 0);
        assert(pthread_mutex_init(&other, &attributes) == 0);
        assert(pthread_mutex_lock(&other) == 0);
        assert(pthread_mutex_destroy(&other) == EBUSY);
        int again = pthread_mutex_trylock(&other);
        assert(again == (kinds[i] == PTHREAD_MUTEX_RECURSIVE ? 0 : EBUSY));
        if (again == 0) {
            assert(pthread_mutex_unlock(&other) == 0);
        }
        if (kinds[i] == PTHREAD_MUTEX_ERRORCHECK) {
            assert(pthread_mutex_lock(&other) == EDEADLK);
        }
        join(start(try_mutex, &other));
        if (kinds[i] != PTHREAD_MUTEX_NORMAL) {
            assert(join(start(unlock_mutex, &other)) == (void *)EPERM);
        }
        assert(pthread_mutex_unlock(&other) == 0);
        assert(pthread_mutex_destroy(&other) == 0);
    }
}

static void *wait_for_count(void *argument)
{
    pthread_mutex_lock(&mutex);
    while (count == 0) {
        pthread_cond_wait(&condition, &mutex);
    }
    count--;
    pthread_mutex_unlock(&mutex);
    return NULL;
}

static void conditions(void)
{
    void *all[N];
    count = 0;
    for (int i = 0; i < N; i++) {
        all[i] = start(wait_for_count, NULL);
    }
    for (int i = 0; i < N / 2; i++) {
        usleep(100);
        pthread_mutex_lock(&mutex);
        count++;
        pthread_cond_signal(&condition);
        pthread_mutex_unlock(&mutex);
    }
    pthread_mutex_lock(&mutex);
    count += N / 2;
    pthread_cond_broadcast(&condition);
    pthread_mutex_unlock(&mutex);
    for (int i = 0; i < N; i++) {
        join(all[i]);
    }
    assert(count == 0);

    clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC};
    for (int i = 0; i < 2; i++) {
        pthread_condattr_t attributes;
        pthread_cond_t other;
        pthread_condattr_init(&attributes);
        assert(pthread_condattr_setclock(&attributes, clocks[i]) == 0);
        assert(pthread_cond_init(&other, &attributes) == 0);
        struct timespec before, now, time = after(clocks[i], 50);
        clock_gettime(CLOCK_MONOTONIC, &before);
        pthread_mutex_lock(&mutex);
        assert(pthread_cond_timedwait(&other, &mutex, &time) == ETIMEDOUT);
        time.tv_nsec = 1000000000;
        assert(pthread_cond_timedwait(&other, &mutex, &time) == EINVAL);
        pthread_mutex_unlock(&mutex);
        clock_gettime(CLOCK_MONOTONIC, &now);
        long waited = (now.tv_sec - before.tv_sec) * 1000 + (now.tv_nsec - before.tv_nsec) / 1000000;
        assert(waited >= 49 && waited < 10000);
        assert(pthread_cond_destroy(&other) == 0);
    }
}

static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static int readers, most, writers;

static void *read_and_write(void *argument)
{
    for (int i = 0; i < 20; i++) {
        assert(pthread_rwlock_rdlock(&rwlock) == 0);
        assert(writers == 0);
        most = ++readers > most ? readers : most;
        sched_yield();
        readers--;
        assert(pthread_rwlock_unlock(&rwlock) == 0);
        assert(pthread_rwlock_wrlock(&rwlock) == 0);
        assert(++writers == 1 && readers == 0);
        sched_yield();
        writers--;
        assert(pthread_rwlock_unlock(&rwlock) == 0);
    }
    return NULL;
}

static pthread_barrier_t barrier;

static void *meet(void *argument)
{
    uintptr_t serial = 0;
    for (int i = 0; i < 10; i++) {
        serial += pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD;
    }
    return (void *)serial;
}

static pthread_spinlock_t spin;

static void *spin_and_add(void *argument)
{
    for (int i = 0; i < 100; i++) {
        pthread_spin_lock(&spin);
        int now = count;
        sched_yield();
        count = now + 1;
        pthread_spin_unlock(&spin);
    }
    return NULL;
}

static sem_t semaphore;

static void *post(void *argument)
{
    for (int i = 0; i < 5; i++) {
        usleep(100);
        assert(sem_post(&semaphore) == 0);
    }
    return NULL;
}

static void others(void)
{
    void *all[N];
    for (int i = 0; i < N; i++) {
        all[i] = start(read_and_write, NULL);
    }
    for (int i = 0; i < N; i++) {
        join(all[i]);
    }
    assert(most > 1);
    assert(pthread_rwlock_wrlock(&rwlock) == 0);
    assert(pthread_rwlock_tryrdlock(&rwlock) == EBUSY && pthread_rwlock_trywrlock(&rwlock) == EBUSY);
    assert(pthread_rwlock_wrlock(&rwlock) == EDEADLK);
    assert(pthread_rwlock_unlock(&rwlock) == 0);

    assert(pthread_barrier_init(&barrier, NULL, 0) == EINVAL);
    assert(pthread_barrier_init(&barrier, NULL, N) == 0);
    uintptr_t serial = 0;
    for (int i = 0; i < N; i++) {
        all[i] = start(meet, NULL);
    }
    for (int i = 0; i < N; i++) {
        serial += (uintptr_t)join(all[i]);
    }
    assert(serial == 10 && pthread_barrier_destroy(&barrier) == 0);

    count = 0;
    pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE);
    for (int i = 0; i < N; i++) {
        all[i] = start(spin_and_add, NULL);
    }
    for (int i = 0; i < N; i++) {
        join(all[i]);
    }
    assert(count == N * 100);
    assert(pthread_spin_trylock(&spin) == 0 && pthread_spin_trylock(&spin) == EBUSY);

    assert(sem_init(&semaphore, 0, 1) == 0);
    assert(sem_trywait(&semaphore) == 0);
    assert(sem_trywait(&semaphore) == -1 && errno == EAGAIN);
    struct timespec time = after(CLOCK_REALTIME, 20);
    assert(sem_timedwait(&semaphore, &time) == -1 && errno == ETIMEDOUT);
    void *poster = start(post, NULL);
    for (int i = 0; i < 5; i++) {
        assert(sem_wait(&semaphore) == 0);
    }
    join(poster);
    int value = 7;
    assert(sem_getvalue(&semaphore, &value) == 0 && value == 0);
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static int destroyed;

static void initialize(void)
{
    usleep(1000);
    count++;
}

static void destroy(void *value)
{
    /* POSIX calls it again. */
    if (destroyed++ % 2 == 0) {
        pthread_setspecific(key, value);
    }
}

static void *use_key(void *argument)
{
    pthread_once(&once, initialize);
    assert(count == 1 && pthread_getspecific(key) == NULL);
    assert(pthread_setspecific(key, argument) == 0);
    sched_yield();
    assert(pthread_getspecific(key) == argument);
    return NULL;
}

static void keys(void)
{
    void *all[N];
    count = 0;
    assert(pthread_key_create(&key, destroy) == 0);
    for (uintptr_t i = 0; i < N; i++) {
        all[i] = start(use_key, (void *)(i + 1));
    }
    for (int i = 0; i < N; i++) {
        join(all[i]);
    }
    assert(destroyed == 2 * N && pthread_getspecific(key) == NULL);
    assert(pthread_key_delete(key) == 0 && pthread_key_delete(key) == EINVAL);
    assert(pthread_setspecific(key, &key) == EINVAL);
    pthread_key_t more[200];
    int made = 0;
    while (pthread_key_create(&more[made], NULL) == 0) {
        made++;
    }
    assert(made >= 100 && made < 200);
    while (made > 0) {
        assert(pthread_key_delete(more[--made]) == 0);
    }
}

static void *linger(void *argument)
{
    usleep(20000);
    puts("ok");
    exit(0);
}

int main(void)
{
    threads();
    mutexes();
    conditions();
    others();
    keys();
    /* The process goes on until its last thread ends. */
    start(linger, NULL);
    pthread_exit(NULL);
}
