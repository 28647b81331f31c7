/* Writes what LLVM's instrumentation counted, at the end of the program, to the file that LLVM_PROFILE_FILE names.
 * LLVM's runtime is the C part of the package minicov. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "InstrProfiling.h"

/* Without this symbol, compiled code would ask for LLVM's own way to write files. */
int __llvm_profile_runtime;

void *minicov_alloc_zeroed(size_t size, size_t align)
{
    (void)align;
    return calloc(1, size);
}

void minicov_dealloc(void *memory, size_t size, size_t align)
{
    (void)size;
    (void)align;
    free(memory);
}

__attribute__((destructor)) static void write_counts(void)
{
    const char *path = getenv("LLVM_PROFILE_FILE");
    if (!path) {
        return;
    }
    size_t size = __llvm_profile_get_size_for_buffer();
    char *buffer = malloc(size);
    FILE *file = fopen(path, "wb");
    if (!buffer || !file || __llvm_profile_write_buffer(buffer) || fwrite(buffer, size, 1, file) != 1 || fclose(file)) {
        perror(path);
        abort();
    }
}
