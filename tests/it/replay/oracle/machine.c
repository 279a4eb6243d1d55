// The machine some processes run on, as far as they can tell: its clock jumps, its disk fills up and
// empties while they run. Loaded before the C library (LD_PRELOAD); the numbers are in a shared file.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

// As `machine.rs` writes it.
static struct machine {
    int64_t clock_s; // what the clock is off
    int64_t room;    // bytes the files may still grow
    int64_t refused; // how often there was no room
} real = {0, INT64_MAX / 2, 0}, *machine = &real;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("MACHINE");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) return;
    void *at = mmap(0, sizeof *machine, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at != MAP_FAILED) machine = at;
    close(fd);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int error = syscall(SYS_clock_gettime, clock, time);
    if (!error && clock == CLOCK_REALTIME) time->tv_sec += __atomic_load_n(&machine->clock_s, __ATOMIC_RELAXED);
    return error;
}

// Takes room for a file to grow from one size to another; returns how far it may.
static int64_t grow(int64_t from, int64_t to) {
    if (to <= from) return to;
    int64_t left = __atomic_sub_fetch(&machine->room, to - from, __ATOMIC_RELAXED);
    if (left >= 0) return to;
    int64_t lacks = -left < to - from ? -left : to - from;
    __atomic_add_fetch(&machine->room, lacks, __ATOMIC_RELAXED);
    __atomic_add_fetch(&machine->refused, 1, __ATOMIC_RELAXED);
    return to - lacks;
}

// How much of a write a disk takes: all of it, a part, or nothing.
static ssize_t taken(int fd, size_t count, off_t at) {
    struct stat file;
    if (!count || fstat(fd, &file) || !S_ISREG(file.st_mode)) return count;
    if (at < 0) at = fcntl(fd, F_GETFL) & O_APPEND ? file.st_size : lseek(fd, 0, SEEK_CUR);
    int64_t end = grow(file.st_size > at ? file.st_size : at, file.st_size > (off_t)(at + count) ? file.st_size : (off_t)(at + count));
    ssize_t fits = end - at < (int64_t)count ? end - at : (int64_t)count;
    if (fits > 0) return fits;
    errno = ENOSPC;
    return -1;
}

ssize_t write(int fd, const void *from, size_t count) {
    ssize_t fits = taken(fd, count, -1);
    return fits < 0 ? fits : syscall(SYS_write, fd, from, (size_t)fits);
}

ssize_t pwrite64(int fd, const void *from, size_t count, off64_t at) {
    ssize_t fits = taken(fd, count, at);
    return fits < 0 ? fits : syscall(SYS_pwrite64, fd, from, (size_t)fits, at);
}

ssize_t pwrite(int fd, const void *from, size_t count, off_t at) { return pwrite64(fd, from, count, at); }

int ftruncate64(int fd, off64_t size) {
    struct stat file;
    if (fstat(fd, &file)) return -1;
    if (size < file.st_size) {
        __atomic_add_fetch(&machine->room, file.st_size - size, __ATOMIC_RELAXED);
    } else if (grow(file.st_size, size) < size) {
        errno = ENOSPC;
        return -1;
    }
    return syscall(SYS_ftruncate, fd, size);
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }
