/* The container's root: preparing it, devices and links in it, what is hidden or read-only, and moving into it. */
#include "helper.h"
#include <sys/mount.h>
#include <sys/sysmacros.h>

#define TREE_CLONE 1u
#define ATTRIBUTE_RDONLY 1ull
#define FROM_EMPTY_PATH 0x04u
#define TO_EMPTY_PATH 0x40u
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

static int open_dev_null(void) {
  int fd = open("/dev/null", O_PATH | O_NOFOLLOW | O_CLOEXEC);
  struct stat about;
  if (fd >= 0 && (fstat(fd, &about) < 0 || !S_ISCHR(about.st_mode) || about.st_rdev != makedev(1, 3))) {
    close(fd);
    errno = ENODEV;
    return -1;
  }
  return fd;
}

/* pivot_root refuses a root whose parent mount is shared, whatever was asked for the root itself. */
static int make_parent_private(const char *root) {
  char path[4096];
  if (!realpath(root, path)) return -1;
  for (;;) {
    if (mount(NULL, path, NULL, MS_PRIVATE, NULL) == 0) return 0;
    if (errno != EINVAL) return -1;
    char *slash = strrchr(path, '/');
    if (!slash || !path[1]) return -1;
    slash[slash == path ? 1 : 0] = 0;
  }
}

int op_root(struct context *context, struct op *op) {
  const char *path = read_string(&op->payload);
  uint64_t propagation = read_u64(&op->payload);
  if (mount(NULL, "/", NULL, propagation, NULL) < 0) return fail(context, "propagation of /");
  if (make_parent_private(path) < 0) return fail(context, "%s", path);
  context->dev_null = open_dev_null();
  if (context->dev_null < 0) return fail(context, "/dev/null");
  int below = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  int tree = below < 0 ? -1 : sys_open_tree(below, "", TREE_CLONE | AT_RECURSIVE | AT_EMPTY_PATH);
  if (tree < 0 || sys_move_mount(tree, below, "", FROM_EMPTY_PATH | TO_EMPTY_PATH) < 0) return fail(context, "%s", path);
  close(below);
  context->root = tree;
  return 0;
}

static int bind_on(int source, int target, uint64_t attributes) {
  int tree = sys_open_tree(source, "", TREE_CLONE | AT_EMPTY_PATH | (attributes ? AT_RECURSIVE : 0));
  if (tree < 0) return -1;
  int result = attributes ? sys_mount_setattr(tree, "", AT_EMPTY_PATH, attributes, 0, 0, -1) : 0;
  if (result == 0) result = sys_move_mount(tree, target, "", FROM_EMPTY_PATH | TO_EMPTY_PATH);
  int saved = errno;
  close(tree);
  errno = saved;
  return result;
}

int op_mkdir_in_root(struct context *context, struct op *op) {
  const char *path = read_string(&op->payload);
  mode_t mode = read_u32(&op->payload);
  int fd = mkdir_in_root(context->root, path, mode, 0);
  if (fd < 0) return fail(context, "%s", path);
  close(fd);
  return 0;
}

static int bind_device(int parent, const char *name, const char *host_path) {
  int made = openat(parent, name, O_CREAT | O_EXCL | O_RDONLY | O_NOFOLLOW | O_CLOEXEC, 0644);
  if (made < 0 && errno != EEXIST) return -1;
  if (made >= 0) close(made);
  int target = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  int source = target < 0 ? -1 : open(host_path, O_PATH | O_CLOEXEC);
  int result = source < 0 ? -1 : bind_on(source, target, 0), saved = errno;
  if (source >= 0) close(source);
  if (target >= 0) close(target);
  errno = saved;
  return result;
}

int op_device(struct context *context, struct op *op) {
  const char *path = read_string(&op->payload);
  mode_t mode = read_u32(&op->payload);
  unsigned major_number = read_u32(&op->payload), minor_number = read_u32(&op->payload);
  uid_t uid = read_u32(&op->payload);
  gid_t gid = read_u32(&op->payload);
  uint32_t bind = read_u32(&op->payload);
  char buffer[4096];
  const char *name;
  int parent = parent_in_root(context->root, path, &name, buffer);
  if (parent < 0) return fail(context, "%s", path);
  dev_t number = makedev(major_number, minor_number);
  int result;
  if (bind) {
    result = bind_device(parent, name, path);
  } else if ((result = mknodat(parent, name, mode, number)) == 0) {
    result = fchownat(parent, name, uid, gid, AT_SYMLINK_NOFOLLOW);
    /* mknod(2) minds the umask; the name was just made in a folder that nobody else can be in yet. */
    if (result == 0) result = fchmodat(parent, name, mode & 07777, 0);
  } else if (errno == EEXIST) {
    struct stat about;
    result = fstatat(parent, name, &about, AT_SYMLINK_NOFOLLOW);
    if (result == 0 && ((about.st_mode ^ mode) & S_IFMT || (!S_ISFIFO(mode) && about.st_rdev != number))) {
      errno = EEXIST;
      result = -1;
    }
  }
  int saved = errno;
  close(parent);
  errno = saved;
  return result < 0 ? fail(context, "%s", path) : 0;
}

int op_symlink(struct context *context, struct op *op) {
  const char *target = read_string(&op->payload), *path = read_string(&op->payload);
  char buffer[4096];
  const char *name;
  int parent = parent_in_root(context->root, path, &name, buffer);
  if (parent < 0) return fail(context, "%s", path);
  int result = symlinkat(target, parent, name), saved = errno;
  close(parent);
  errno = saved;
  return result < 0 && errno != EEXIST ? fail(context, "%s", path) : 0;
}

int op_mask(struct context *context, struct op *op) {
  const char *path = read_string(&op->payload);
  int fd = open_in_root(context->root, path, O_PATH, 0);
  if (fd < 0) return errno == ENOENT || errno == ENOTDIR ? 0 : fail(context, "%s", path);
  struct stat about;
  char buffer[32];
  int result = fstat(fd, &about);
  if (result == 0)
    result = S_ISDIR(about.st_mode) ? mount("tmpfs", fd_path(buffer, fd), "tmpfs", MS_RDONLY, "nr_blocks=1,nr_inodes=1")
                                    : bind_on(context->dev_null, fd, 0);
  int saved = errno;
  close(fd);
  errno = saved;
  return result < 0 ? fail(context, "%s", path) : 0;
}

int op_readonly_path(struct context *context, struct op *op) {
  const char *path = read_string(&op->payload);
  int fd = open_in_root(context->root, path, O_PATH, 0);
  if (fd < 0) return errno == ENOENT || errno == ENOTDIR ? 0 : fail(context, "%s", path);
  int result = bind_on(fd, fd, ATTRIBUTE_RDONLY), saved = errno;
  close(fd);
  errno = saved;
  return result < 0 ? fail(context, "%s", path) : 0;
}

static int pivot(int root) {
  int old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (old < 0 || fchdir(root) < 0 || sys_pivot_root(".", ".") < 0) return -1;
  /* The old root now lies over the new one. It must not carry our unmounting to the machine. */
  if (fchdir(old) < 0 || mount(NULL, ".", NULL, MS_SLAVE | MS_REC, NULL) < 0 || umount2(".", MNT_DETACH) < 0) return -1;
  close(old);
  return chdir("/");
}

static int move_root(int root) {
  if (fchdir(root) < 0) return -1;
  if (mount(".", "/", NULL, MS_MOVE, NULL) < 0) return -1;
  return chroot(".") < 0 ? -1 : chdir("/");
}

int op_pivot(struct context *context, struct op *op) {
  uint32_t kind = read_u32(&op->payload);
  int result = kind == 0   ? pivot(context->root)
               : kind == 1 ? move_root(context->root)
               : fchdir(context->root) < 0 || chroot(".") < 0 ? -1
                                                              : chdir("/");
  return result < 0 ? fail(context, "pivot") : 0;
}
