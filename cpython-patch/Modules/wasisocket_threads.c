/* What CPython's threads need beside pthread.h. The threads of libwasisocket.a take turns in one instance: the compiler makes
 * thread-local variables ordinary ones there, and nothing interrupts a thread that computes. */

#include "Python.h"
#include "pycore_ceval.h"   /* _Py_set_eval_breaker_bit */
#include "pycore_pystate.h" /* _PyThreadState_GET, _Py_tss_tstate */

#include <stdint.h>
#include <time.h>

/* Of guest-ext/posix/src/c_abi/threads.rs and signals.rs. */
extern void wasisocket_thread_local(void *word);
extern size_t wasisocket_stack_size(void);
extern void wasisocket_signals(void);
extern int wasisocket_has_threads(void);
extern int wasisocket_ask_to_give_way(void);

/* pthread.h of wasi-libc leaves it out. */
extern _Noreturn void pthread_exit(void *value);

/* Python/import.c. */
extern _Py_thread_local const char *pkgcontext;

/* How many times the interpreter's loop checks eval_breaker before the clock is read. It does so where a function begins and
 * where a loop goes back, so this is every few tens of microseconds. */
#define CHECKS 2000

/* ceval/pycore_emscripten_signal.h counts it down. Where a thread begins it is 0. */
_Py_thread_local int wasisocket_checks_left = CHECKS;

/* Whether the depth of recursion is limited as the stack of this thread demands. */
static _Py_thread_local int is_limited = 1;
/* The stack that Py_C_RECURSION_LIMIT needs. */
#define NEEDED_STACK (4 << 20)

__attribute__((constructor)) static void add_thread_locals(void)
{
    wasisocket_thread_local(&_Py_tss_tstate);
    wasisocket_thread_local(&pkgcontext);
    wasisocket_thread_local(&wasisocket_checks_left);
    wasisocket_thread_local(&is_limited);
}

static void limit_recursion(PyThreadState *tstate)
{
    size_t size = wasisocket_stack_size();
    is_limited = 1;
    if (size < NEEDED_STACK) {
        tstate->c_recursion_remaining -= (int)(Py_C_RECURSION_LIMIT * (uint64_t)(NEEDED_STACK - size) / NEEDED_STACK);
    }
}

/* Called by the thread that holds the GIL. Runs the handlers of signals, which have Python call its own. Asks it to
 * drop the GIL once it has held it for sys.getswitchinterval() and other threads can go on. On other platforms a thread
 * that waits for the GIL asks for that. */
void wasisocket_take_turns(void)
{
    static int64_t end;

    wasisocket_checks_left = CHECKS;
    wasisocket_signals();
    if (!is_limited) {
        limit_recursion(_PyThreadState_GET());
    }
    if (!wasisocket_has_threads()) {
        return;
    }
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    int64_t now = (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
    if (now < end) {
        return;
    }
    end = now + (int64_t)_PyEval_GetSwitchInterval();
    if (wasisocket_ask_to_give_way()) {
        _Py_set_eval_breaker_bit(_PyThreadState_GET(), _PY_GIL_DROP_REQUEST_BIT);
    }
}

/* By the linker's --wrap: CPython's own aborts on WASI. */
_Noreturn void __wrap_PyThread_exit_thread(void)
{
    pthread_exit(NULL);
}
