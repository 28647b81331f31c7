#ifndef _WASISOCKET_SEMAPHORE_H
#define _WASISOCKET_SEMAPHORE_H

#include_next <semaphore.h>

/* wasi-libc's limits.h has it for targets with threads alone. */
#ifndef SEM_VALUE_MAX
#define SEM_VALUE_MAX 0x7fffffff
#endif

#endif
