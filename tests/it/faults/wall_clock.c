/* Loaded into a process of a test: its wall clock is ahead by as many seconds
 * as the file WALL_CLOCK_JUMP holds, which may change at any time. Its
 * monotonic clock stays as it is, just as when somebody sets a machine's
 * time. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

typedef int (*read_clock)(clockid_t, struct timespec *);

static read_clock real;
static volatile const int64_t *jump;

__attribute__((constructor)) static void begin(void) {
  real = (read_clock)dlsym(RTLD_NEXT, "clock_gettime");
  const char *path = getenv("WALL_CLOCK_JUMP");
  int file = path ? open(path, O_RDONLY) : -1;
  if (file < 0) return;
  void *page = mmap(NULL, sizeof *jump, PROT_READ, MAP_SHARED, file, 0);
  if (page != MAP_FAILED) jump = page;
  close(file);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  if (!real) real = (read_clock)dlsym(RTLD_NEXT, "clock_gettime");
  int result = real(clock, now);
  if (result == 0 && clock == CLOCK_REALTIME && jump) now->tv_sec += (time_t)*jump;
  return result;
}
