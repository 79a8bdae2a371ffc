/* System calls that the C library lacks, and small things over them. */
#include "helper.h"
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>

struct clone_arguments {
  uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};
struct mount_attributes {
  uint64_t set, clear, propagation, userns_fd;
};
#define CLONE_PIDFD_FLAG 0x1000ull
#define CLONE_INTO_CGROUP_FLAG 0x200000000ull

int sys_pivot_root(const char *new_root, const char *put_old) {
  return (int)syscall(SYS_pivot_root, new_root, put_old);
}

int sys_openat2(int folder, const char *path, int flags, mode_t mode, uint64_t resolve) {
  struct open_how how = {.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC), .mode = mode, .resolve = resolve};
  int fd;
  /* EAGAIN: a rename or mount elsewhere made the walk uncertain; the kernel asks to try again. */
  for (int attempt = 0; attempt < 128; attempt++) {
    fd = (int)syscall(SYS_openat2, folder, path, &how, sizeof how);
    if (fd >= 0 || (errno != EAGAIN && errno != EINTR)) break;
  }
  return fd;
}

int sys_open_tree(int folder, const char *path, unsigned flags) {
  return (int)syscall(SYS_open_tree, folder, path, flags | O_CLOEXEC);
}

int sys_move_mount(int from, int folder, const char *to, unsigned flags) {
  return (int)syscall(SYS_move_mount, from, "", folder, to, flags);
}

int sys_mount_setattr(int folder, const char *path, unsigned flags, uint64_t set, uint64_t clear, uint64_t propagation,
                      int userns) {
  struct mount_attributes attributes = {set, clear, propagation, userns < 0 ? 0 : (uint64_t)userns};
  return (int)syscall(SYS_mount_setattr, folder, path, flags, &attributes, sizeof attributes);
}

int sys_pidfd_open(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }

int sys_pidfd_send_signal(int pidfd, int signal) {
  return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
}

int sys_close_range(unsigned first, unsigned last, unsigned flags) {
  return (int)syscall(SYS_close_range, first, last, flags);
}

pid_t sys_clone(uint64_t flags, int cgroup, int *pidfd) {
  struct clone_arguments arguments = {.flags = flags};
  /* With CLONE_PARENT the kernel takes the exit signal from the parent and refuses one here. */
  if (!(flags & CLONE_PARENT)) arguments.exit_signal = SIGCHLD;
  if (pidfd) {
    arguments.flags |= CLONE_PIDFD_FLAG;
    arguments.pidfd = (uint64_t)(uintptr_t)pidfd;
  }
  if (cgroup >= 0) {
    arguments.flags |= CLONE_INTO_CGROUP_FLAG;
    arguments.cgroup = (uint64_t)cgroup;
  }
  return (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
}

int write_all(int fd, const void *data, size_t length) {
  const char *at = data;
  while (length > 0) {
    ssize_t n = write(fd, at, length);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -1;
    at += n;
    length -= (size_t)n;
  }
  return 0;
}

int read_all(int fd, void *data, size_t length) {
  char *at = data;
  while (length > 0) {
    ssize_t n = read(fd, at, length);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -1;
    if (n == 0) {
      errno = EPIPE;
      return -1;
    }
    at += n;
    length -= (size_t)n;
  }
  return 0;
}

uint64_t start_time_of(int proc, pid_t pid) {
  char path[32], text[1024];
  snprintf(path, sizeof path, "%d/stat", pid);
  int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  ssize_t n = read(fd, text, sizeof text - 1);
  close(fd);
  if (n <= 0) return 0;
  text[n] = 0;
  /* The second field is a name in parentheses that may hold anything, so count from the last parenthesis. */
  char *at = strrchr(text, ')');
  for (int field = 2; at && field < 22; field++) at = strchr(at + 1, ' ');
  return at ? strtoull(at + 1, NULL, 10) : 0;
}

const char *fd_path(char buffer[32], int fd) {
  snprintf(buffer, 32, "/proc/self/fd/%d", fd);
  return buffer;
}

int send_fd(int socket, const void *data, size_t length, int fd) {
  struct iovec part = {(void *)data, length};
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(int))];
  } control = {0};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (fd >= 0) {
    message.msg_control = control.space;
    message.msg_controllen = sizeof control.space;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
  }
  ssize_t n;
  do n = sendmsg(socket, &message, MSG_NOSIGNAL);
  while (n < 0 && errno == EINTR);
  return n < 0 ? -1 : 0;
}

ssize_t receive_fd(int socket, void *data, size_t length, int *fd) {
  struct iovec part = {data, length};
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(int))];
  } control;
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof control.space};
  ssize_t n;
  do n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  while (n < 0 && errno == EINTR);
  *fd = -1;
  if (n < 0) return n;
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
      header->cmsg_len == CMSG_LEN(sizeof(int)))
    memcpy(fd, CMSG_DATA(header), sizeof *fd);
  return n;
}

int64_t realtime_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}
