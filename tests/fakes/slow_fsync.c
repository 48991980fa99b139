/* Makes a disk stall on demand: fsync and fdatasync wait while the file named by STALL_FILE exists, and take
   SLOW_FSYNC_MS more each time. Preloaded into the process under test. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static void wait_for_disk(void)
{
    const char *stall = getenv("STALL_FILE"), *slow = getenv("SLOW_FSYNC_MS");

    if (slow)
        usleep(1000u * (unsigned)atoi(slow));
    while (stall && access(stall, F_OK) == 0)
        usleep(2000);
}

int fsync(int fd)
{
    static int (*next)(int);

    if (!next)
        next = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    wait_for_disk();
    return next(fd);
}

int fdatasync(int fd)
{
    static int (*next)(int);

    if (!next)
        next = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    wait_for_disk();
    return next(fd);
}
