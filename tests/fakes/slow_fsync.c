/* Makes a disk stall on demand: fsync, fdatasync and what SQLite reads wait while the file named by STALL_FILE
   exists, and the first two take SLOW_FSYNC_MS more each time. Preloaded into the process under test. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static void take_time(void)
{
    const char *slow = getenv("SLOW_FSYNC_MS");

    if (slow)
        usleep(1000u * (unsigned)atoi(slow));
}

static void wait_for_disk(void)
{
    const char *stall = getenv("STALL_FILE");

    while (stall && access(stall, F_OK) == 0)
        usleep(2000);
}

int fsync(int fd)
{
    static int (*next)(int);

    if (!next)
        next = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    take_time();
    wait_for_disk();
    return next(fd);
}

int fdatasync(int fd)
{
    static int (*next)(int);

    if (!next)
        next = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    take_time();
    wait_for_disk();
    return next(fd);
}

ssize_t pread64(int fd, void *to, size_t size, off_t at)
{
    static ssize_t (*next)(int, void *, size_t, off_t);

    if (!next)
        next = (ssize_t (*)(int, void *, size_t, off_t))dlsym(RTLD_NEXT, "pread64");
    wait_for_disk();
    return next(fd, to, size, at);
}
