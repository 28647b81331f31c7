#ifndef _WASISOCKET_SCHED_H
#define _WASISOCKET_SCHED_H

#include_next <sched.h>

#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

/* CPU_SET(3): the one processor that a guest has. */
#define CPU_SETSIZE 128

typedef struct {
    unsigned long __bits[CPU_SETSIZE / 8 / sizeof(long)];
} cpu_set_t;

#define __CPU_BITS (8 * sizeof(long))
#define __CPU_WORD(cpu, set) (((unsigned long *)(set))[(cpu) / __CPU_BITS])
#define __CPU_BIT(cpu) (1UL << ((cpu) % __CPU_BITS))

#define CPU_ALLOC_SIZE(count) (((count) + __CPU_BITS - 1) / __CPU_BITS * sizeof(long))
#define CPU_ALLOC(count) ((cpu_set_t *)calloc(1, CPU_ALLOC_SIZE(count)))
#define CPU_FREE(set) free(set)
#define CPU_ZERO_S(size, set) memset((set), 0, (size))
#define CPU_SET_S(cpu, size, set)                                                                  \
    ((size_t)(cpu) / 8 < (size) ? (void)(__CPU_WORD(cpu, set) |= __CPU_BIT(cpu)) : (void)0)
#define CPU_ISSET_S(cpu, size, set)                                                                \
    ((size_t)(cpu) / 8 < (size) && (__CPU_WORD(cpu, set) & __CPU_BIT(cpu)) != 0)
#define CPU_COUNT_S(size, set) __wasisocket_cpu_count((size), (set))

#define CPU_ZERO(set) CPU_ZERO_S(sizeof(cpu_set_t), set)
#define CPU_SET(cpu, set) CPU_SET_S(cpu, sizeof(cpu_set_t), set)
#define CPU_ISSET(cpu, set) CPU_ISSET_S(cpu, sizeof(cpu_set_t), set)
#define CPU_COUNT(set) CPU_COUNT_S(sizeof(cpu_set_t), set)

static __inline int __wasisocket_cpu_count(size_t size, const cpu_set_t *set)
{
    int count = 0;

    for (size_t word = 0; word < size / sizeof(long); word++) {
        count += __builtin_popcountl(((const unsigned long *)set)[word]);
    }
    return count;
}

#ifdef __cplusplus
extern "C" {
#endif

int sched_getaffinity(pid_t, size_t, cpu_set_t *);
int sched_setaffinity(pid_t, size_t, const cpu_set_t *);

#ifdef __cplusplus
}
#endif

#endif
