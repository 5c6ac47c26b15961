/* Loaded before libc: a process whose wall clock is WALL_CLOCK_SHIFT seconds ahead. No other clock is touched. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t id, struct timespec *t) {
    int result = (int)syscall(SYS_clock_gettime, id, t);
    const char *shift = getenv("WALL_CLOCK_SHIFT");
    if (result == 0 && id == CLOCK_REALTIME && shift)
        t->tv_sec += atol(shift);
    return result;
}
