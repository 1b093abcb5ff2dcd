/* Another start of the machine, and a wall clock that shows another time, for a program that loads this before its own
 * libraries. Two files say which: BOOT_FILE holds the number of the start, AHEAD_FILE by how many seconds the clock is
 * ahead. They are read each time, so that a clock can be set while the program runs. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int open_at(const char *path, int flags, mode_t mode) {
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

static long ahead_s(void) {
    char text[32] = {0};
    const char *path = getenv("AHEAD_FILE");
    int file = path == NULL ? -1 : open_at(path, O_RDONLY | O_CLOEXEC, 0);
    if (file < 0) {
        return 0;
    }
    ssize_t count = read(file, text, sizeof text - 1);
    close(file);
    return count > 0 ? atol(text) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = (int)syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && clock == CLOCK_REALTIME) {
        now->tv_sec += ahead_s();
    }
    return result;
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    const char *boot = getenv("BOOT_FILE");
    if (boot != NULL && strcmp(path, "/proc/sys/kernel/random/boot_id") == 0) {
        path = boot;
    }
    return open_at(path, flags, mode);
}
