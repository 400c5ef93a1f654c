// Sockets by which tools talk to a program that runs: in a directory and with a mode that keep other users
// out, and with the kernel's word on who is at the other end (Linux: unix(7), SO_PEERCRED).
#define _GNU_SOURCE
#include "CLoaderSupport.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

int hl_private_directory(const char *path) {
  if (mkdir(path, 0700) != 0 && errno != EEXIST) return -errno;
  struct stat facts;
  if (lstat(path, &facts) != 0) return -errno;
  if (!S_ISDIR(facts.st_mode)) return -ENOTDIR;
  if (facts.st_uid != geteuid() || (facts.st_mode & 077) != 0) return -EPERM;
  return 0;
}

static int address_of(const char *path, struct sockaddr_un *address) {
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  size_t length = strlen(path);
  if (length >= sizeof address->sun_path) return -ENAMETOOLONG;
  memcpy(address->sun_path, path, length + 1);
  return 0;
}

int hl_local_listen(const char *path) {
  struct sockaddr_un address;
  int status = address_of(path, &address);
  if (status != 0) return status;
  int made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (made < 0) return -errno;
  // Nobody connects before listen, and by then the mode is set.
  if (bind(made, (struct sockaddr *)&address, sizeof address) != 0 || chmod(path, 0600) != 0
      || listen(made, 8) != 0) {
    int error = errno;
    close(made);
    return -error;
  }
  return made;
}

int hl_local_connect(const char *path) {
  struct sockaddr_un address;
  int status = address_of(path, &address);
  if (status != 0) return status;
  int made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (made < 0) return -errno;
  struct timeval limit = {.tv_sec = 30};
  setsockopt(made, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(made, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (connect(made, (struct sockaddr *)&address, sizeof address) != 0) {
    int error = errno;
    close(made);
    return -error;
  }
  return made;
}

int hl_local_accept(int socket, uint32_t *user, int timeout_ms) {
  int made = accept4(socket, NULL, NULL, SOCK_CLOEXEC);
  if (made < 0) return -errno;
  struct ucred who;
  socklen_t size = sizeof who;
  struct timeval limit = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
  if (getsockopt(made, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0
      || setsockopt(made, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0
      || setsockopt(made, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0) {
    int error = errno;
    close(made);
    return -error;
  }
  *user = who.uid;
  return made;
}

int hl_local_send(int socket, const void *bytes, size_t count) {
  const char *from = bytes;
  while (count > 0) {
    ssize_t sent = send(socket, from, count, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return sent < 0 ? -errno : -EPIPE;
    from += sent;
    count -= (size_t)sent;
  }
  return 0;
}
