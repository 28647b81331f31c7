/* An image of memory: Python is started once, and guests go on from there.
 *
 * Linked into python.wasm beside CPython's own main program, which remains the cold start (_start). The host calls
 * snapshot-initialize in an instance without grants, and copies the instance's memory. In an instance that has this
 * memory it calls snapshot-resume. _wasisocket_preload.py is the part of it that is written in Python.
 *
 * Memory is all that is copied. So between the two calls no descriptor is open, the stack is empty, and no global or
 * table of WebAssembly differs from that of a new instance: only __stack_pointer is mutable. */

#include "Python.h"
#include "pycore_atexit.h"       /* _PyAtExit_Call */
#include "pycore_ceval.h"        /* _Py_FinishPendingCalls */
#include "pycore_fileutils.h"    /* _Py_abspath */
#include "pycore_initconfig.h"   /* _PyArgv, _PyInterpreterState_GetConfig */
#include "pycore_interp.h"
#include "pycore_pylifecycle.h"  /* _Py_PreInitializeFromPyArgv, _PyRuntime_Initialize */
#include "pycore_pystate.h"      /* _PyInterpreterState_GET */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wasi/api.h>
#include <wasi/libc-environ.h>

/* Of wasi-libc: C++ and C constructors, the granted folders, and the environment as getenv(3) sees it. */
extern void __wasm_call_ctors(void);
extern void __wasilibc_reset_preopens(void);
extern char **__wasilibc_get_environ(void);

/* Of guest-ext/posix/src/c_abi/granted.rs, which knows the granted folders too, and the host's handles. */
extern void wasisocket_forget_granted(void);
extern void wasisocket_forget_handles(void);

/* Of guest-ext/posix/src/c_abi/signals.rs: tells the host which signals this guest handles. */
extern void wasisocket_signals(void);

/* Of SQLite. */
extern void sqlite3_randomness(int size, void *bytes);

/* The functions of _wasisocket_preload.py. */
static PyObject *resume_function, *renew_function, *finish_function, *end_function;

/* The functions of _wasisocket_session.py: a session begins, goes on in a copy, and does what is asked for. */
static PyObject *begin_function, *copied_function, *session_function;

/* Whether this guest began with an image. */
static int is_resumed;

static _Noreturn void give_up(const char *what)
{
    if (PyErr_Occurred()) {
        PyErr_Print();
    }
    fprintf(stderr, "snapshot: %s\n", what);
    fflush(NULL);
    _Exit(1);
}

static void *checked(void *result)
{
    if (result == NULL) {
        give_up("out of memory");
    }
    return result;
}

static void call(PyObject *function)
{
    PyObject *done = PyObject_CallNoArgs(function);
    if (done == NULL) {
        PyErr_WriteUnraisable(function);
    }
    Py_XDECREF(done);
}

/* The arguments as the host has them. Neither they nor their array are freed. */
static char **read_arguments(int *argc)
{
    __wasi_size_t count, size;
    if (__wasi_args_sizes_get(&count, &size) != 0) {
        give_up("the host has no arguments");
    }
    char **argv = checked(calloc((size_t)count + 1, sizeof(char *)));
    uint8_t *text = checked(malloc(size ? size : 1));
    if (__wasi_args_get((uint8_t **)argv, text) != 0) {
        give_up("the host has no arguments");
    }
    *argc = (int)count;
    return argv;
}

/* As pymain_init() in CPython's Modules/main.c, for `python` without arguments. */
static void initialize_python(char *name)
{
    char *argv[] = {name, NULL};
    _PyArgv args = {.argc = 1, .use_bytes_argv = 1, .bytes_argv = argv};
    PyPreConfig preconfig;
    PyConfig config;
    PyPreConfig_InitPythonConfig(&preconfig);
    PyConfig_InitPythonConfig(&config);
    PyStatus status = _PyRuntime_Initialize();
    if (!PyStatus_Exception(status)) {
        status = _Py_PreInitializeFromPyArgv(&preconfig, &args);
    }
    if (!PyStatus_Exception(status)) {
        status = PyConfig_SetBytesArgv(&config, args.argc, args.bytes_argv);
    }
    if (!PyStatus_Exception(status)) {
        status = Py_InitializeFromConfig(&config);
    }
    PyConfig_Clear(&config);
    if (PyStatus_Exception(status)) {
        Py_ExitStatusException(status);
    }
    /* These are the guest's; the list has '' in it now. */
    PyConfig *used = (PyConfig *)_PyInterpreterState_GetConfig(_PyInterpreterState_GET());
    _PyWideStringList_Clear(&used->argv);
    _PyWideStringList_Clear(&used->orig_argv);
}

/* A list of str, decoded as CPython decodes arguments. */
static PyObject *list_of_arguments(char **arguments, int count)
{
    PyObject *list = checked(PyList_New(count));
    for (int i = 0; i < count; i++) {
        PyList_SET_ITEM(list, i, checked(PyUnicode_DecodeFSDefault(arguments[i])));
    }
    return list;
}

static void find_session(PyObject *session)
{
    begin_function = session != NULL ? PyObject_GetAttrString(session, "begin") : NULL;
    copied_function = session != NULL ? PyObject_GetAttrString(session, "copied") : NULL;
    session_function = session != NULL ? PyObject_GetAttrString(session, "call") : NULL;
    if (begin_function == NULL || copied_function == NULL || session_function == NULL) {
        give_up("no module _wasisocket_session");
    }
}

/* Arguments: Python's name, and the names of the modules to load. */
__attribute__((export_name("snapshot-initialize"))) void snapshot_initialize(void)
{
    __wasm_call_ctors();
    int argc;
    char **argv = read_arguments(&argc);
    if (argc < 1) {
        give_up("no name");
    }
    initialize_python(argv[0]);

    PyObject *preload = PyImport_ImportModule("_wasisocket_preload");
    PyObject *names = list_of_arguments(argv + 1, argc - 1);
    if (preload == NULL) {
        give_up("no module _wasisocket_preload");
    }
    resume_function = PyObject_GetAttrString(preload, "resume");
    renew_function = PyObject_GetAttrString(preload, "renew");
    finish_function = PyObject_GetAttrString(preload, "finish");
    end_function = PyObject_GetAttrString(preload, "end");
    if (resume_function == NULL || renew_function == NULL || finish_function == NULL || end_function == NULL) {
        give_up("_wasisocket_preload lacks a function");
    }
    PyObject *session = PyObject_CallMethod(preload, "prepare", "O", names);
    if (session == NULL) {
        give_up("prepare() failed");
    }
    find_session(session);
    Py_DECREF(session);
    Py_DECREF(names);
    Py_DECREF(preload);
    free(argv[0]);
    free(argv);
    fflush(NULL);
    /* These are read again when they are used next. */
    __wasilibc_deinitialize_environ();
    __wasilibc_reset_preopens();
    wasisocket_forget_granted();
}

/* Where CPython has its state, which begins with the table of offsets for profilers (_Py_DebugOffsets). The host reads
 * which Python functions run from memory, by `wasisocket run --profile`. */
__attribute__((export_name("python-runtime"))) const void *python_runtime(void)
{
    return &_PyRuntime;
}

static wchar_t *decode(const char *text)
{
    return checked(Py_DecodeLocale(text, NULL));
}

/* What config_run_filename_abspath() and config_parse_cmdline() in CPython's Python/initconfig.c do with `-c CODE`,
 * `-m MODULE` and `SCRIPT`. The host asks for nothing else. Returns how many words of argv they are, with Python's
 * name. */
static int set_program(PyConfig *config, int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "-c") == 0) {
        size_t length = strlen(argv[2]);
        char *code = checked(malloc(length + 2));
        memcpy(code, argv[2], length);
        memcpy(code + length, "\n", 2);
        config->run_command = decode(code);
        free(code);
        return 3;
    }
    if (argc > 2 && strcmp(argv[1], "-m") == 0) {
        config->run_module = decode(argv[2]);
        return 3;
    }
    if (argc > 1 && argv[1][0] != '-') {
        config->run_filename = decode(argv[1]);
        if (!_Py_isabs(config->run_filename)) {
            wchar_t *absolute = NULL;
            if (_Py_abspath(config->run_filename, &absolute) == 0 && absolute != NULL) {
                PyMem_RawFree(config->run_filename);
                config->run_filename = absolute;
            }
        }
        return 2;
    }
    give_up("options need a cold start");
}

static void append(PyWideStringList *list, const char *text)
{
    wchar_t *wide = decode(text);
    if (PyStatus_Exception(PyWideStringList_Append(list, wide))) {
        give_up("out of memory");
    }
    PyMem_RawFree(wide);
}

static PyObject *list_of_variables(void)
{
    PyObject *list = checked(PyList_New(0));
    char **environment = __wasilibc_get_environ();
    for (; environment != NULL && *environment != NULL; environment++) {
        PyObject *variable = checked(PyBytes_FromString(*environment));
        if (PyList_Append(list, variable) < 0) {
            give_up("out of memory");
        }
        Py_DECREF(variable);
    }
    return list;
}

/* The memory of a guest ends as a whole. exit(3) would first free what OpenSSL has allocated. */
static _Noreturn void leave(int status)
{
    fflush(NULL);
    _Exit(status);
}

/* Gives this guest its arguments and variables. `words` of argv are the program, with Python's name, and `first` is
 * sys.argv[0]. argv is freed. Returns 0 if the guest needs a cold start, in a new instance; nothing has happened then that
 * others can see. */
static int go_on(int argc, char **argv, int words, const char *first)
{
    wasisocket_signals();
    PyConfig *config = (PyConfig *)_PyInterpreterState_GetConfig(_PyInterpreterState_GET());
    append(&config->argv, first);
    for (int i = words; i < argc; i++) {
        append(&config->argv, argv[i]);
    }
    for (int i = 0; i < argc; i++) {
        append(&config->orig_argv, argv[i]);
    }
    PyObject *original = list_of_arguments(argv, argc);
    PyObject *arguments = list_of_arguments(argv + words - 1, argc - words + 1);
    if (PyList_SetItem(arguments, 0, checked(PyUnicode_DecodeFSDefault(first))) < 0) {
        give_up("out of memory");
    }
    PyObject *variables = list_of_variables();
    free(argv[0]);
    free(argv);

    PyObject *done = PyObject_CallFunctionObjArgs(resume_function, original, arguments, variables, NULL);
    if (done == NULL) {
        give_up("resume() failed");
    }
    is_resumed = PyObject_IsTrue(done) != 0;
    Py_DECREF(done);
    Py_DECREF(original);
    Py_DECREF(arguments);
    Py_DECREF(variables);
    return is_resumed;
}

/* Returns 1 if this guest needs a cold start. Otherwise the program runs, and the process exits. */
__attribute__((export_name("snapshot-resume"))) int snapshot_resume(void)
{
    int argc;
    char **argv = read_arguments(&argc);
    __wasilibc_initialize_environ();

    PyConfig *config = (PyConfig *)_PyInterpreterState_GetConfig(_PyInterpreterState_GET());
    int words = set_program(config, argc, argv);
    /* "-c", "-m" or the script. */
    if (!go_on(argc, argv, words, argv[1])) {
        return 1;
    }
    leave(Py_RunMain());
}

/* A session: one guest runs one piece of code after another, each in a call of its own. Between two calls the stack is
 * empty, as in an image. _wasisocket_session.py is the part of it that is written in Python. */

/* The request that the host writes, and its answer to the last one. */
static char *request;
static PyObject *answer;

/* Begins a session. Returns 1 if this guest needs a cold start; an instance without an image has one. */
__attribute__((export_name("session-begin"))) int session_begin(void)
{
    int argc;
    if (resume_function == NULL) {
        __wasm_call_ctors();
        char **argv = read_arguments(&argc);
        if (argc < 1) {
            give_up("no name");
        }
        initialize_python(argv[0]);
        PyObject *session = PyImport_ImportModule("_wasisocket_session");
        find_session(session);
        Py_DECREF(session);
    }
    else {
        char **argv = read_arguments(&argc);
        __wasilibc_initialize_environ();
        /* As Python without arguments. */
        if (!go_on(argc, argv, 1, "")) {
            return 1;
        }
    }
    PyObject *done = PyObject_CallNoArgs(begin_function);
    if (done == NULL) {
        give_up("the session does not begin");
    }
    Py_DECREF(done);
    return 0;
}

/* Goes on in a copy of a session's memory, in another instance: its granted folders may be others, and nothing is open. */
__attribute__((export_name("session-copied"))) void session_copied(void)
{
    __wasilibc_reset_preopens();
    wasisocket_forget_granted();
    wasisocket_forget_handles();
    wasisocket_signals();
    /* It takes new ones from the host when it needs some. */
    sqlite3_randomness(0, NULL);
    if (renew_function != NULL) {
        call(renew_function);
    }
    PyObject *done = PyObject_CallNoArgs(copied_function);
    if (done == NULL) {
        give_up("the session does not go on");
    }
    Py_DECREF(done);
}

/* Room for a request of so many bytes, or NULL. */
__attribute__((export_name("session-request"))) void *session_request(size_t length)
{
    free(request);
    request = malloc(length ? length : 1);
    return request;
}

/* Does what the request asks for, and returns where the answer is and its length, or NULL. The answer stays until the
 * next call. */
__attribute__((export_name("session-call"))) const void *session_call(size_t length)
{
    static struct {
        const char *bytes;
        size_t length;
    } place;

    Py_CLEAR(answer);
    PyObject *bytes = PyBytes_FromStringAndSize(request, (Py_ssize_t)length);
    free(request);
    request = NULL;
    if (bytes != NULL) {
        answer = PyObject_CallOneArg(session_function, bytes);
        Py_DECREF(bytes);
    }
    if (answer == NULL || !PyBytes_Check(answer)) {
        PyErr_Print();
        return NULL;
    }
    place.bytes = PyBytes_AS_STRING(answer);
    place.length = (size_t)PyBytes_GET_SIZE(answer);
    return &place;
}

/* Returns -1 if a stream could not be written. */
static int flush_standard_stream(const char *name, const char *message)
{
    PyObject *file = Py_XNewRef(PySys_GetObject(name));
    if (file == NULL || file == Py_None) {
        Py_XDECREF(file);
        return 0;
    }
    PyObject *closed = PyObject_GetAttrString(file, "closed");
    int is_closed = closed != NULL && PyObject_IsTrue(closed) > 0;
    Py_XDECREF(closed);
    PyErr_Clear();
    PyObject *done = is_closed ? Py_NewRef(Py_None) : PyObject_CallMethod(file, "flush", NULL);
    int status = done != NULL ? 0 : -1;
    if (done == NULL && message != NULL) {
        PyErr_FormatUnraisable(message);
    }
    PyErr_Clear();
    Py_XDECREF(done);
    Py_DECREF(file);
    return status;
}

/* What of Py_FinalizeEx() others can see: waiting for threads, atexit, the end of the program's own objects, and
 * flushing of the standard streams. Freeing everything would write to the pages that all guests share. Returns -1 if
 * something could not be written. */
static int finish(void)
{
    PyThreadState *tstate = _PyThreadState_GET();
    PyObject *threading = PyImport_GetModule(&_Py_ID(threading));
    if (threading != NULL) {
        PyObject *done = PyObject_CallMethod(threading, "_shutdown", NULL);
        if (done == NULL) {
            PyErr_FormatUnraisable("Exception ignored on threading shutdown");
        }
        Py_XDECREF(done);
        Py_DECREF(threading);
    }
    _Py_FinishPendingCalls(tstate);
    _PyAtExit_Call(tstate->interp);
    /* As flush_std_files() in CPython's Python/pylifecycle.c. */
    int out = flush_standard_stream("stdout", "Exception ignored on flushing sys.stdout");
    int err = flush_standard_stream("stderr", NULL);
    call(finish_function);
    /* What objects printed at their end. Elsewhere it is written when the streams are freed, and errors are ignored. */
    flush_standard_stream("stdout", NULL);
    flush_standard_stream("stderr", NULL);
    call(end_function);
    return out < 0 || err < 0 ? -1 : 0;
}

/* By the linker's --wrap, in place of CPython's functions. */
extern int __real_Py_FinalizeEx(void);
extern _Noreturn void __real_Py_Exit(int status);

int __wrap_Py_FinalizeEx(void)
{
    return is_resumed ? finish() : __real_Py_FinalizeEx();
}

_Noreturn void __wrap_Py_Exit(int status)
{
    if (!is_resumed) {
        __real_Py_Exit(status);
    }
    PyThreadState *tstate = _PyThreadState_GET();
    if (tstate != NULL && _PyThreadState_IsRunningMain(tstate)) {
        _PyInterpreterState_SetNotRunningMain(tstate->interp);
    }
    leave(finish() < 0 ? 120 : status);
}

/* Ends a session as a program ends: atexit, files that are flushed. */
__attribute__((export_name("session-end"))) void session_end(void)
{
    if (is_resumed) {
        finish();
    }
    else {
        Py_FinalizeEx();
    }
    fflush(NULL);
}
