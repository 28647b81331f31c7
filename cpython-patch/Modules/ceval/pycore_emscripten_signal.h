/* In place of CPython's header of this name, for Python/ceval.c alone: CPython's has nothing for WASI. ceval.c reads
 * eval_breaker where a function begins and where a loop goes back, so there threads take turns and signals come. */

#ifndef Py_EMSCRIPTEN_SIGNAL_H
#define Py_EMSCRIPTEN_SIGNAL_H

#define _Py_CHECK_EMSCRIPTEN_SIGNALS()
#define _Py_CHECK_EMSCRIPTEN_SIGNALS_PERIODICALLY()

/* Modules/wasisocket_threads.c. */
extern _Py_thread_local int wasisocket_checks_left;
extern void wasisocket_take_turns(void);

static inline uintptr_t wasisocket_read_eval_breaker(const uintptr_t *eval_breaker)
{
    if (--wasisocket_checks_left < 0) {
        wasisocket_take_turns();
    }
    return _Py_atomic_load_uintptr_relaxed(eval_breaker);
}

#define _Py_atomic_load_uintptr_relaxed(word) wasisocket_read_eval_breaker(word)

#endif
