/* A library to preload: the n-th call of one kind on a regular file fails, as a full or broken disk would make it.
   FAULT_CALL is write, fsync or rename; FAULT_KIND is ENOSPC, EIO, EINTR or SHORT (a write of half of the bytes);
   FAULT_AT counts from 1, and ENOSPC and EIO last from there on, as a full disk does; FAULT_LOG is a file that exists
   afterwards if the fault came. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_long calls;

static int regular(int file) {
  struct stat about;
  return file > 2 && fstat(file, &about) == 0 && S_ISREG(about.st_mode);
}

/* The errno of this call; 0: it goes through, -1: only a part of it. */
static int fault(const char* call) {
  const char *wanted = getenv("FAULT_CALL"), *kind = getenv("FAULT_KIND"), *at = getenv("FAULT_AT");
  if (!wanted || !kind || !at || strcmp(wanted, call) != 0) return 0;
  const long n = ++calls, place = atol(at);
  const int once = strcmp(kind, "EINTR") == 0 || strcmp(kind, "SHORT") == 0;
  if (n < place || (once && n > place)) return 0;
  const char* log = getenv("FAULT_LOG");
  if (log) close(open(log, O_CREAT | O_WRONLY, 0666));
  if (strcmp(kind, "SHORT") == 0) return -1;
  return strcmp(kind, "ENOSPC") == 0 ? ENOSPC : strcmp(kind, "EINTR") == 0 ? EINTR : EIO;
}

ssize_t write(int file, const void* bytes, size_t size) {
  static ssize_t (*next)(int, const void*, size_t);
  if (!next) next = (ssize_t(*)(int, const void*, size_t))dlsym(RTLD_NEXT, "write");
  const int reason = regular(file) ? fault("write") : 0;
  if (reason > 0) return errno = reason, -1;
  return next(file, bytes, reason < 0 && size > 1 ? size / 2 : size);
}

ssize_t writev(int file, const struct iovec* pieces, int count) {
  static ssize_t (*next)(int, const struct iovec*, int);
  if (!next) next = (ssize_t(*)(int, const struct iovec*, int))dlsym(RTLD_NEXT, "writev");
  const int reason = regular(file) ? fault("write") : 0;
  if (reason > 0) return errno = reason, -1;
  return next(file, pieces, reason < 0 && count > 1 ? 1 : count);
}

int fsync(int file) {
  static int (*next)(int);
  if (!next) next = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
  const int reason = fault("fsync");
  if (reason > 0) return errno = reason, -1;
  return next(file);
}

int rename(const char* from, const char* to) {
  static int (*next)(const char*, const char*);
  if (!next) next = (int (*)(const char*, const char*))dlsym(RTLD_NEXT, "rename");
  const int reason = fault("rename");
  if (reason > 0) return errno = reason, -1;
  return next(from, to);
}
