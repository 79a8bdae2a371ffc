/* Operations on files of the machine: cgroup folders and files, state files, mounts outside containers. */
#include "helper.h"
#include <dirent.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/un.h>
#include <time.h>

int op_mkdir(struct context *context, struct op *op) {
  const char *path = read_string(&op->payload);
  mode_t mode = read_u32(&op->payload);
  return mkdir(path, mode) < 0 && errno != EEXIST ? fail(context, "%s", path) : 0;
}

static int write_once(struct context *context, int fd, const char *path, struct reader bytes) {
  if (fd < 0) return fail(context, "open %s", path);
  size_t length = (size_t)(bytes.end - bytes.at);
  ssize_t n;
  do n = write(fd, bytes.at, length);
  while (n < 0 && errno == EINTR);
  int saved = errno;
  close(fd);
  errno = n < 0 ? saved : EIO;
  return n == (ssize_t)length ? 0 : fail(context, "write %s", path);
}

int op_write(struct context *context, struct op *op) {
  const char *path = read_string(&op->payload);
  struct reader bytes = read_bytes(&op->payload);
  return write_once(context, open(path, O_WRONLY | O_CLOEXEC | O_TRUNC), path, bytes);
}

int op_write_proc(struct context *context, struct op *op) {
  const char *path = read_string(&op->payload);
  struct reader bytes = read_bytes(&op->payload);
  /* NO_XDEV: nothing mounted over a file of procfs is ever written to. */
  uint64_t resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS;
  return write_once(context, sys_openat2(context->proc, path, O_WRONLY, 0, resolve), path, bytes);
}

int op_write_pid(struct context *context, struct op *op) {
  const char *file = read_string(&op->payload);
  struct reader bytes = read_bytes(&op->payload);
  char path[64];
  snprintf(path, sizeof path, "%d/%s", context->child, file);
  uint64_t resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS;
  return write_once(context, sys_openat2(context->proc, path, O_WRONLY, 0, resolve), path, bytes);
}

int op_open(struct context *context, struct op *op) {
  uint32_t index = read_u32(&op->payload);
  const char *path = read_string(&op->payload);
  int flags = (int)read_u32(&op->payload);
  if (index >= REGISTERS_MAX) return errno = EINVAL, fail(context, "register %u", index);
  context->registers[index] = open(path, flags | O_CLOEXEC);
  return context->registers[index] < 0 ? fail(context, "open %s", path) : 0;
}

int op_close(struct context *context, struct op *op) {
  uint32_t index = read_u32(&op->payload);
  if (index >= REGISTERS_MAX) return errno = EINVAL, fail(context, "register %u", index);
  if (context->registers[index] >= 0) close(context->registers[index]);
  context->registers[index] = -1;
  return 0;
}

int op_unlink(struct context *context, struct op *op) {
  const char *path = read_string(&op->payload);
  return unlink(path) < 0 && errno != ENOENT ? fail(context, "%s", path) : 0;
}

static int remove_cgroups(int parent, const char *name) {
  /* Most cgroups have no children: ask first, look only when refused. */
  if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT) return 0;
  if (errno != EBUSY) return -1;
  int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return errno == ENOENT ? 0 : -1;
  DIR *folder = fdopendir(fd);
  if (!folder) return close(fd), -1;
  for (struct dirent *entry; (entry = readdir(folder));)
    if (entry->d_type == DT_DIR && strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
      remove_cgroups(fd, entry->d_name);
  closedir(folder);
  return unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -1;
}

int op_rmdir_tree(struct context *context, struct op *op) {
  const char *path = read_string(&op->payload);
  uint32_t left_ms = read_u32(&op->payload);
  /* A cgroup stays busy until the kernel has let go of its last process, shortly after that one was reaped. */
  for (unsigned pause_us = 100;; pause_us = pause_us < 16000 ? pause_us * 2 : pause_us) {
    if (remove_cgroups(AT_FDCWD, path) == 0) return 0;
    if (errno != EBUSY || left_ms == 0) return fail(context, "%s", path);
    nanosleep(&(struct timespec){0, pause_us * 1000L}, NULL);
    uint32_t spent_ms = (pause_us + 999) / 1000;
    left_ms = left_ms > spent_ms ? left_ms - spent_ms : 0;
  }
}

int op_mount_host(struct context *context, struct op *op) {
  const char *source = read_string(&op->payload), *target = read_string(&op->payload), *type = read_string(&op->payload);
  uint64_t flags = read_u64(&op->payload);
  const char *data = read_string(&op->payload);
  return mount(source, target, type, flags, data) < 0 ? fail(context, "%s", target) : 0;
}

int op_umount(struct context *context, struct op *op) {
  const char *path = read_string(&op->payload);
  int flags = (int)read_u32(&op->payload);
  return umount2(path, flags) < 0 && errno != EINVAL && errno != ENOENT ? fail(context, "%s", path) : 0;
}

int op_touch(struct context *context, struct op *op) {
  const char *path = read_string(&op->payload);
  mode_t mode = read_u32(&op->payload);
  int fd = open(path, O_CREAT | O_RDONLY | O_NOFOLLOW | O_CLOEXEC, mode);
  if (fd < 0) return fail(context, "%s", path);
  close(fd);
  return 0;
}

int op_copy_if_empty(struct context *context, struct op *op) {
  const char *source = read_string(&op->payload), *target = read_string(&op->payload);
  char text[4096];
  int fd = open(target, O_RDWR | O_CLOEXEC);
  if (fd < 0) return fail(context, "%s", target);
  ssize_t n = read(fd, text, sizeof text);
  if (n < 0 || (n > 0 && text[0] != '\n')) {
    close(fd);
    return n < 0 ? fail(context, "%s", target) : 0;
  }
  int from = open(source, O_RDONLY | O_CLOEXEC);
  n = from < 0 ? -1 : read(from, text, sizeof text);
  if (from >= 0) close(from);
  if (n >= 0) n = pwrite(fd, text, (size_t)n, 0);
  int saved = errno;
  close(fd);
  errno = saved;
  return n < 0 ? fail(context, "%s", target) : 0;
}

int op_chown(struct context *context, struct op *op) {
  const char *path = read_string(&op->payload);
  uid_t uid = read_u32(&op->payload);
  gid_t gid = read_u32(&op->payload);
  return lchown(path, uid, gid) < 0 ? fail(context, "%s", path) : 0;
}

int op_connect_unix(struct context *context, struct op *op) {
  uint32_t index = read_u32(&op->payload);
  const char *path = read_string(&op->payload);
  if (index >= REGISTERS_MAX) return errno = EINVAL, fail(context, "register %u", index);
  /* A path may be longer than a socket's address: go through its folder's descriptor. */
  int holder = open(path, O_PATH | O_CLOEXEC);
  if (holder < 0) return fail(context, "%s", path);
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  fd_path(address.sun_path, holder);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int result = fd < 0 ? -1 : connect(fd, (struct sockaddr *)&address, sizeof address);
  int saved = errno;
  close(holder);
  if (result < 0 && fd >= 0) close(fd);
  errno = saved;
  if (result < 0) return fail(context, "%s", path);
  context->registers[index] = fd;
  return 0;
}
