/*
 * Mounts inside a container's root. Targets are resolved by the kernel inside the root and mounted on by descriptor: what a
 * hostile image puts in the way cannot lead out.
 */
#include "helper.h"
#include <dirent.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>

#define TREE_CLONE 1u
#define ATTRIBUTE_RDONLY 1ull
#define ATTRIBUTE_IDMAP 0x00100000ull
#define FROM_EMPTY_PATH 0x04u
#define TO_EMPTY_PATH 0x40u
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

/* MOUNT: source, target, type, u64 MS_ flags, data, u32 kind, u64 attributes to set, to clear,
 * u64 the same recursively, u32 register of a user namespace for an idmapped mount, u32 count, u64 propagations in order. */
#define KIND_BIND 1u
#define KIND_RECURSIVE 2u
#define KIND_NO_SYMLINKS 4u /* procfs and sysfs: their targets must be what they are called */
#define KIND_COPY_UP 8u
#define KIND_IDMAP_RECURSIVE 16u
#define KIND_NO_FOLLOW_SOURCE 32u

struct mount_plan {
  const char *source, *target, *type, *data;
  uint64_t flags, set, clear, set_recursive, clear_recursive;
  uint32_t kind, userns, propagations;
};

static int file_in_root(int root, const char *path) {
  int fd = open_in_root(root, path, O_PATH, 0);
  if (fd >= 0 || errno != ENOENT) return fd;
  char buffer[4096];
  const char *name;
  int parent = parent_in_root(root, path, &name, buffer);
  if (parent < 0) return -1;
  int made = openat(parent, name, O_CREAT | O_EXCL | O_RDONLY | O_NOFOLLOW | O_CLOEXEC, 0644);
  fd = made < 0 ? -1 : openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  int saved = errno;
  if (made >= 0) close(made);
  close(parent);
  errno = saved;
  return fd;
}

static int open_target(int root, const struct mount_plan *plan, bool folder) {
  uint64_t resolve = plan->kind & KIND_NO_SYMLINKS ? RESOLVE_NO_SYMLINKS : 0;
  return folder ? mkdir_in_root(root, plan->target, 0755, resolve) : file_in_root(root, plan->target);
}

static int set_attributes(struct context *context, int fd, const struct mount_plan *plan, struct reader propagations) {
  if ((plan->set | plan->clear) && sys_mount_setattr(fd, "", AT_EMPTY_PATH, plan->set, plan->clear, 0, -1) < 0)
    return fail(context, "mount_setattr");
  if ((plan->set_recursive | plan->clear_recursive) &&
      sys_mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, plan->set_recursive, plan->clear_recursive, 0, -1) < 0)
    return fail(context, "mount_setattr");
  if (plan->userns < REGISTERS_MAX &&
      sys_mount_setattr(fd, "", AT_EMPTY_PATH | (plan->kind & KIND_IDMAP_RECURSIVE ? AT_RECURSIVE : 0), ATTRIBUTE_IDMAP, 0, 0,
                        context->registers[plan->userns]) < 0)
    return fail(context, "idmap");
  for (uint32_t i = 0; i < plan->propagations; i++) {
    uint64_t flags = read_u64(&propagations);
    if (sys_mount_setattr(fd, "", AT_EMPTY_PATH | (flags & MS_REC ? AT_RECURSIVE : 0), 0, 0, flags & ~(uint64_t)MS_REC, -1) < 0)
      return fail(context, "propagation");
  }
  return 0;
}

static int bind_tree(struct context *context, const struct mount_plan *plan, struct reader propagations) {
  unsigned flags = TREE_CLONE | (plan->kind & KIND_RECURSIVE ? AT_RECURSIVE : 0) |
                   (plan->kind & KIND_NO_FOLLOW_SOURCE ? AT_SYMLINK_NOFOLLOW : 0);
  int tree = sys_open_tree(AT_FDCWD, plan->source, flags);
  if (tree < 0) return fail(context, "%s", plan->source);
  struct stat about;
  int result = -1, target = -1;
  if (fstat(tree, &about) < 0)
    fail(context, "%s", plan->source);
  else if (set_attributes(context, tree, plan, propagations) == 0) {
    target = open_target(context->root, plan, S_ISDIR(about.st_mode));
    if (target < 0)
      fail(context, "target");
    else if (sys_move_mount(tree, target, "", FROM_EMPTY_PATH | TO_EMPTY_PATH) < 0)
      fail(context, "move_mount");
    else
      result = 0;
  }
  close(tree);
  if (target >= 0) close(target);
  return result;
}

static int copy_up(struct context *, int from, int to);

static int mount_filesystem(struct context *context, const struct mount_plan *plan, struct reader propagations) {
  int target = open_target(context->root, plan, true);
  if (target < 0) return fail(context, "target");
  char path[32];
  const char *data = *plan->data ? plan->data : NULL;
  int result = mount(plan->source, fd_path(path, target), plan->type, plan->flags, data);
  if (result < 0) fail(context, "mount");
  bool more = plan->propagations > 0 || plan->set_recursive || plan->clear_recursive || plan->userns < REGISTERS_MAX ||
              plan->kind & KIND_COPY_UP;
  if (result == 0 && more) {
    int top = open_in_root(context->root, plan->target, O_PATH | O_DIRECTORY, plan->kind & KIND_NO_SYMLINKS ? RESOLVE_NO_SYMLINKS : 0);
    result = top < 0 ? fail(context, "target") : set_attributes(context, top, plan, propagations);
    if (result == 0 && plan->kind & KIND_COPY_UP) result = copy_up(context, target, top);
    if (top >= 0) close(top);
  }
  close(target);
  return result;
}

int op_mount(struct context *context, struct op *op) {
  struct reader *payload = &op->payload;
  struct mount_plan plan;
  plan.source = read_string(payload);
  plan.target = read_string(payload);
  plan.type = read_string(payload);
  plan.flags = read_u64(payload);
  plan.data = read_string(payload);
  plan.kind = read_u32(payload);
  plan.set = read_u64(payload);
  plan.clear = read_u64(payload);
  plan.set_recursive = read_u64(payload);
  plan.clear_recursive = read_u64(payload);
  plan.userns = read_u32(payload);
  plan.propagations = read_u32(payload);
  struct reader propagations = *payload;
  for (uint32_t i = 0; i < plan.propagations && !payload->bad; i++) read_u64(payload);
  if (payload->bad) return 0;
  if (context->root < 0) return errno = EINVAL, fail(context, "no root yet");
  return plan.kind & KIND_BIND ? bind_tree(context, &plan, propagations) : mount_filesystem(context, &plan, propagations);
}

int op_mount_attr(struct context *context, struct op *op) {
  const char *path = read_string(&op->payload);
  uint64_t set = read_u64(&op->payload);
  uint32_t recursive = read_u32(&op->payload);
  uint64_t propagation = read_u64(&op->payload);
  int fd = open_in_root(context->root, path, O_PATH, 0);
  if (fd < 0) return fail(context, "%s", path);
  int result = sys_mount_setattr(fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), set, 0, propagation, -1);
  int saved = errno;
  close(fd);
  errno = saved;
  return result < 0 ? fail(context, "mount_setattr %s", path) : 0;
}

/* tmpcopyup: what the image had below the new tmpfs appears in it. Files of a root folder made by its owner, before anything
 * of the container runs; links are copied, never followed. */
static int copy_entry(struct context *context, int from, int to, const char *name) {
  struct stat about;
  if (fstatat(from, name, &about, AT_SYMLINK_NOFOLLOW) < 0) return fail(context, "%s", name);
  int result = 0;
  if (S_ISDIR(about.st_mode)) {
    int source = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int target = mkdirat(to, name, 0700) < 0 ? -1 : openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    result = source < 0 || target < 0 ? fail(context, "%s", name) : copy_up(context, source, target);
    if (source >= 0) close(source);
    if (target >= 0) close(target);
  } else if (S_ISLNK(about.st_mode)) {
    char link[4096];
    ssize_t n = readlinkat(from, name, link, sizeof link - 1);
    if (n < 0) return fail(context, "%s", name);
    link[n] = 0;
    if (symlinkat(link, to, name) < 0) return fail(context, "%s", name);
  } else if (S_ISREG(about.st_mode)) {
    int source = openat(from, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    int target = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    char block[16384];
    ssize_t n = -1;
    while (source >= 0 && target >= 0 && (n = read(source, block, sizeof block)) > 0)
      if (write_all(target, block, (size_t)n) < 0) {
        n = -1;
        break;
      }
    if (n < 0) result = fail(context, "%s", name);
    if (source >= 0) close(source);
    if (target >= 0) close(target);
  } else if (mknodat(to, name, about.st_mode, about.st_rdev) < 0)
    return fail(context, "%s", name);
  if (result < 0) return -1;
  if (fchownat(to, name, about.st_uid, about.st_gid, AT_SYMLINK_NOFOLLOW) < 0) return fail(context, "%s", name);
  if (!S_ISLNK(about.st_mode) && fchmodat(to, name, about.st_mode & 07777, 0) < 0) return fail(context, "%s", name);
  return 0;
}

static int copy_up(struct context *context, int from, int to) {
  int readable = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *folder = readable < 0 ? NULL : fdopendir(readable);
  if (!folder) return fail(context, "copy up");
  int result = 0;
  for (struct dirent *entry; result == 0 && (entry = readdir(folder));)
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
      result = copy_entry(context, readable, to, entry->d_name);
  closedir(folder);
  return result;
}
