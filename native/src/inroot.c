/* Paths inside a hostile root folder. The kernel resolves them (openat2), so there is no window between looking and using. */
#include "helper.h"

int open_in_root(int root, const char *path, int flags, uint64_t more_resolve) {
  return sys_openat2(root, *path ? path : ".", flags, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | more_resolve);
}

int mkdir_in_root(int root, const char *path, mode_t mode, uint64_t more_resolve) {
  int fd = open_in_root(root, path, O_PATH | O_DIRECTORY, more_resolve);
  if (fd >= 0 || errno != ENOENT) return fd;
  char prefix[4096];
  size_t length = strlen(path);
  if (length >= sizeof prefix) {
    errno = ENAMETOOLONG;
    return -1;
  }
  memcpy(prefix, path, length + 1);
  int parent = open_in_root(root, "/", O_PATH | O_DIRECTORY, 0);
  for (size_t at = 0; parent >= 0 && at < length;) {
    while (prefix[at] == '/') at++;
    if (at == length) break;
    size_t end = at + strcspn(prefix + at, "/");
    char held = prefix[end];
    prefix[end] = 0;
    int next = open_in_root(root, prefix, O_PATH | O_DIRECTORY, more_resolve);
    if (next < 0 && errno == ENOENT) {
      /* The new folder is opened below the parent that was held, never by its path again. A dangling link is EEXIST here. */
      if (mkdirat(parent, prefix + at, mode) == 0 || errno == EEXIST)
        next = openat(parent, prefix + at, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    }
    int saved = errno;
    close(parent);
    errno = saved;
    parent = next;
    prefix[end] = held;
    at = end;
  }
  return parent;
}

int parent_in_root(int root, const char *path, const char **name, char buffer[4096]) {
  size_t length = strlen(path);
  while (length > 0 && path[length - 1] == '/') length--;
  if (length >= 4096) {
    errno = ENAMETOOLONG;
    return -1;
  }
  memcpy(buffer, path, length);
  buffer[length] = 0;
  char *slash = strrchr(buffer, '/');
  *name = slash ? slash + 1 : buffer;
  if (!**name || strcmp(*name, ".") == 0 || strcmp(*name, "..") == 0) {
    errno = EINVAL;
    return -1;
  }
  if (!slash || slash == buffer) return open_in_root(root, "/", O_PATH | O_DIRECTORY, 0);
  *slash = 0;
  return mkdir_in_root(root, buffer, 0755, 0);
}
