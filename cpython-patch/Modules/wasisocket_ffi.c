/* Calls of C functions for _ctypes: what it takes from libffi elsewhere.
 *
 * WebAssembly checks the type of each call through a pointer, and a function's type must be in the caller's code. So
 * only the types below can be called: those of memmove() and memset() and of _ctypes' own functions, which are all
 * that there is to call as long as no library can be loaded. A callback is called by _ctypes itself; no function of C
 * can call it. */

#include <Python.h>
#include <ffi.h>
#include <stdint.h>
#include <stdlib.h>

#define TYPE(name, c_type, number)                                                                 \
    ffi_type ffi_type_##name = {sizeof(c_type), _Alignof(c_type), FFI_TYPE_##number, NULL}

ffi_type ffi_type_void = {1, 1, FFI_TYPE_VOID, NULL};
TYPE(uint8, uint8_t, UINT8);
TYPE(sint8, int8_t, SINT8);
TYPE(uint16, uint16_t, UINT16);
TYPE(sint16, int16_t, SINT16);
TYPE(uint32, uint32_t, UINT32);
TYPE(sint32, int32_t, SINT32);
TYPE(uint64, uint64_t, UINT64);
TYPE(sint64, int64_t, SINT64);
TYPE(float, float, FLOAT);
TYPE(double, double, DOUBLE);
TYPE(longdouble, long double, LONGDOUBLE);
TYPE(pointer, void *, POINTER);

/* The most arguments of a function of C. */
#define ARGUMENTS_MAX 4

/* The linker puts it at the start of the memory that malloc() uses. Pointers to functions are indices of a table,
 * which are far smaller. */
extern char __heap_base;

ffi_status ffi_prep_cif(ffi_cif *cif, ffi_abi abi, unsigned count, ffi_type *result,
                        ffi_type **arguments)
{
    if (abi != FFI_DEFAULT_ABI) {
        return FFI_BAD_ABI;
    }
    *cif = (ffi_cif){count, arguments, result};
    return FFI_OK;
}

/* Reads an argument that is an int or a pointer in C. */
static int read_word(const ffi_type *type, const void *value, uint32_t *word)
{
    switch (type->type) {
    case FFI_TYPE_UINT8:
        *word = *(const uint8_t *)value;
        return 1;
    case FFI_TYPE_SINT8:
        *word = (uint32_t)*(const int8_t *)value;
        return 1;
    case FFI_TYPE_UINT16:
        *word = *(const uint16_t *)value;
        return 1;
    case FFI_TYPE_SINT16:
        *word = (uint32_t)*(const int16_t *)value;
        return 1;
    case FFI_TYPE_UINT32:
    case FFI_TYPE_SINT32:
    case FFI_TYPE_POINTER:
        *word = *(const uint32_t *)value;
        return 1;
    default:
        return 0;
    }
}

static int is_word(const ffi_type *type)
{
    static const uint64_t zero = 0;
    uint32_t ignored;

    return read_word(type, &zero, &ignored);
}

static int call_words(const ffi_cif *cif, void (*function)(void), void *result, void **values)
{
    uint32_t a[ARGUMENTS_MAX];
    uint32_t word;

    if (cif->nargs > ARGUMENTS_MAX || !is_word(cif->rtype)) {
        return 0;
    }
    for (unsigned i = 0; i < cif->nargs; i++) {
        if (!read_word(cif->arg_types[i], values[i], &a[i])) {
            return 0;
        }
    }
    switch (cif->nargs) {
    case 0:
        word = ((uint32_t(*)(void))function)();
        break;
    case 1:
        word = ((uint32_t(*)(uint32_t))function)(a[0]);
        break;
    case 2:
        word = ((uint32_t(*)(uint32_t, uint32_t))function)(a[0], a[1]);
        break;
    case 3:
        word = ((uint32_t(*)(uint32_t, uint32_t, uint32_t))function)(a[0], a[1], a[2]);
        break;
    default:
        word = ((uint32_t(*)(uint32_t, uint32_t, uint32_t, uint32_t))function)(a[0], a[1], a[2], a[3]);
        break;
    }
    *(ffi_arg *)result = word;
    return 1;
}

void ffi_call(ffi_cif *cif, void (*function)(void), void *result, void **values)
{
    if ((uintptr_t)function >= (uintptr_t)&__heap_base) {
        ffi_closure *closure = (ffi_closure *)(uintptr_t)function;

        if (closure->self == closure && closure->cif->nargs == cif->nargs
            && closure->cif->rtype->size <= cif->rtype->size) {
            closure->function(cif, result, values, closure->user_data);
            return;
        }
    }
    else if (function != NULL && call_words(cif, function, result, values)) {
        return;
    }
    /* _ctypes has released the GIL for some functions, and for others not. */
    PyGILState_STATE state = PyGILState_Ensure();
    PyErr_SetString(PyExc_NotImplementedError,
                    "functions of C cannot be called with these types in WebAssembly");
    PyGILState_Release(state);
    memset(result, 0, cif->rtype->size > sizeof(ffi_arg) ? cif->rtype->size : sizeof(ffi_arg));
}

void *ffi_closure_alloc(size_t size, void **code)
{
    return *code = calloc(1, size);
}

void ffi_closure_free(void *closure)
{
    if (closure != NULL) {
        ((ffi_closure *)closure)->self = NULL;
    }
    free(closure);
}

ffi_status ffi_prep_closure_loc(ffi_closure *closure, ffi_cif *cif,
                                void (*function)(ffi_cif *, void *, void **, void *), void *user_data,
                                void *code)
{
    if (code != closure) {
        return FFI_BAD_ABI;
    }
    *closure = (ffi_closure){closure, cif, function, user_data};
    return FFI_OK;
}

ffi_status ffi_prep_closure(ffi_closure *closure, ffi_cif *cif,
                            void (*function)(ffi_cif *, void *, void **, void *), void *user_data)
{
    return ffi_prep_closure_loc(closure, cif, function, user_data, closure);
}
