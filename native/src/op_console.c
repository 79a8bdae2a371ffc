/* A container's pseudo-terminal: made from the devpts of the container, used only by descriptor (CVE-2025-52565). */
#include "helper.h"
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <termios.h>

#define TREE_CLONE 1u
#define FROM_EMPTY_PATH 0x04u
#define TO_EMPTY_PATH 0x40u
#ifndef TIOCGPTPEER
#define TIOCGPTPEER 0x5441
#endif

static int open_master(int root) {
  int fd = open_in_root(root, "dev/pts/ptmx", O_RDWR | O_NOCTTY, 0);
  if (fd < 0) return -1;
  struct stat about;
  struct statfs filesystem;
  if (fstat(fd, &about) < 0 || fstatfs(fd, &filesystem) < 0) return close(fd), -1;
  if (!S_ISCHR(about.st_mode) || about.st_rdev != makedev(5, 2) || filesystem.f_type != DEVPTS_SUPER_MAGIC) {
    close(fd);
    errno = ENODEV;
    return -1;
  }
  return fd;
}

static int bind_console(struct context *context, int peer) {
  char buffer[4096];
  const char *name;
  int parent = parent_in_root(context->root, "dev/console", &name, buffer);
  if (parent < 0) return -1;
  int made = openat(parent, name, O_CREAT | O_EXCL | O_RDONLY | O_NOFOLLOW | O_CLOEXEC, 0666);
  int target = made < 0 && errno != EEXIST ? -1 : openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  int tree = target < 0 ? -1 : sys_open_tree(peer, "", TREE_CLONE | AT_EMPTY_PATH);
  int result = tree < 0 ? -1 : sys_move_mount(tree, target, "", FROM_EMPTY_PATH | TO_EMPTY_PATH);
  int saved = errno;
  close(parent);
  if (made >= 0) close(made);
  if (target >= 0) close(target);
  if (tree >= 0) close(tree);
  errno = saved;
  return result;
}

int op_console(struct context *context, struct op *op) {
  struct winsize size = {0};
  size.ws_row = (unsigned short)read_u32(&op->payload);
  size.ws_col = (unsigned short)read_u32(&op->payload);
  uint32_t bind = read_u32(&op->payload);
  uid_t uid = read_u32(&op->payload);
  int root = context->root >= 0 ? context->root : open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  int master = root < 0 ? -1 : open_master(root);
  if (root >= 0 && root != context->root) close(root);
  if (master < 0) return fail(context, "open /dev/pts/ptmx");
  int locked = 0;
  int peer = ioctl(master, TIOCSPTLCK, &locked) < 0 ? -1 : ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (peer < 0) return fail(context, "pty peer");
  if (size.ws_row && size.ws_col && ioctl(master, TIOCSWINSZ, &size) < 0) return fail(context, "resize");
  if (uid != 0 && fchown(peer, uid, (gid_t)-1) < 0) return fail(context, "chown");
  if (bind && bind_console(context, peer) < 0) return fail(context, "bind /dev/console");
  if (send_message(context->sync, MSG_FD, 0, 0, "", master) < 0) return fail(context, "send the master");
  close(master);
  if (setsid() < 0 && errno != EPERM) return fail(context, "setsid");
  if (ioctl(peer, TIOCSCTTY, 0) < 0) return fail(context, "controlling terminal");
  for (int fd = 0; fd < 3; fd++)
    if (dup2(peer, fd) < 0) return fail(context, "stream %d", fd);
  if (peer > 2) close(peer);
  return 0;
}
