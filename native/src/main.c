/* Roles, and becoming a sealed copy of ourselves: what a container can reach through /proc/PID/exe is then never the file. */
#include "helper.h"
#include <sys/mman.h>
#include <sys/prctl.h>

#define SEALED_NAME "wherry-helper"

static int seal(void) {
  int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  int copy = self < 0 ? -1 : memfd_create(SEALED_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  char block[65536];
  ssize_t n = -1;
  while (copy >= 0 && (n = read(self, block, sizeof block)) > 0)
    if (write_all(copy, block, (size_t)n) < 0) return -1;
  if (n < 0) return -1;
  close(self);
  if (fcntl(copy, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0) return -1;
  return copy;
}

static bool is_sealed(void) {
  int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  int seals = self < 0 ? -1 : fcntl(self, F_GET_SEALS);
  if (self >= 0) close(self);
  return seals > 0 && seals & F_SEAL_WRITE;
}

int main(int count, char **arguments, char **environment) {
  if (count == 2 && strcmp(arguments[1], "version") == 0) {
    printf("%d\n", PROTOCOL_VERSION);
    return 0;
  }
  bool zygote = count == 2 && strcmp(arguments[1], "zygote") == 0;
  bool launcher = count == 2 && strcmp(arguments[1], "launch") == 0;
  if (!zygote && !launcher) {
    fprintf(stderr, "usage: wherry-helper version | zygote | launch; the last two speak on descriptor 3\n");
    return 2;
  }
  if (!is_sealed()) {
    int copy = seal();
    if (copy < 0) {
      perror("wherry-helper: seal");
      return 1;
    }
    fexecve(copy, arguments, environment);
    perror("wherry-helper: exec");
    return 1;
  }
  prctl(PR_SET_NAME, SEALED_NAME, 0, 0, 0);
  umask(0);
  fcntl(3, F_SETFD, FD_CLOEXEC);
  if (launcher) return launch_main(3);
  fcntl(4, F_SETFD, FD_CLOEXEC);
  return zygote_main(3, 4);
}
