/* Operations on the process itself, in the order a container's init needs them, ending in the program it was made for. */
#include "helper.h"
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define CAPABILITIES_MAX 64

int op_setsid(struct context *context, struct op *op) {
  (void)op;
  return setsid() < 0 && errno != EPERM ? fail(context, "setsid") : 0;
}

int op_stdio(struct context *context, struct op *op) {
  for (int fd = 0; fd < 3; fd++) {
    uint32_t index = read_u32(&op->payload);
    if (index == REGISTERS_MAX) continue;
    int from = index < REGISTERS_MAX ? context->registers[index] : open("/dev/null", O_RDWR | O_CLOEXEC);
    if (from < 0 || (from == fd ? fcntl(fd, F_SETFD, 0) : dup2(from, fd)) < 0) return fail(context, "stream %d", fd);
    if (index > REGISTERS_MAX && from > 2) close(from);
  }
  return 0;
}

int op_rlimit(struct context *context, struct op *op) {
  uint32_t resource = read_u32(&op->payload);
  struct rlimit limit;
  limit.rlim_cur = read_u64(&op->payload);
  limit.rlim_max = read_u64(&op->payload);
  return prlimit(context->child, (int)resource, &limit, NULL) < 0 ? fail(context, "rlimit %u", resource) : 0;
}

int op_bounding(struct context *context, struct op *op) {
  uint64_t keep = read_u64(&op->payload);
  for (int capability = 0; capability < CAPABILITIES_MAX; capability++) {
    if (keep >> capability & 1) continue;
    int has = prctl(PR_CAPBSET_READ, capability, 0, 0, 0);
    if (has < 0) break; /* the kernel knows no more */
    if (has && prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0) return fail(context, "capability %d", capability);
  }
  return 0;
}

/* A pipe that another user is to write to again by /dev/stdout must belong to them. */
static void own_streams(uid_t uid) {
  struct stat null, about;
  if (stat("/dev/null", &null) < 0) null.st_rdev = 0;
  for (int fd = 0; fd < 3; fd++) {
    if (fstat(fd, &about) < 0 || about.st_uid == uid || (null.st_rdev && about.st_rdev == null.st_rdev)) continue;
    /* Not every descriptor can be given away (sockets, read-only files): then it stays as it is, as upstream does. */
    if (fchown(fd, uid, (gid_t)-1) < 0) continue;
  }
}

int op_user(struct context *context, struct op *op) {
  uid_t uid = read_u32(&op->payload);
  gid_t gid = read_u32(&op->payload);
  uint32_t mask = read_u32(&op->payload);
  uint32_t set_groups = read_u32(&op->payload);
  uint32_t count = read_u32(&op->payload);
  if (op->payload.bad || count > 65536) return errno = EINVAL, fail(context, "groups");
  gid_t *groups = calloc(count + 1, sizeof *groups);
  if (!groups) abort();
  for (uint32_t i = 0; i < count; i++) groups[i] = read_u32(&op->payload);
  own_streams(uid);
  if (mask != UINT32_MAX) umask(mask);
  if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0) return fail(context, "keep capabilities");
  /* Always set, even to none: the groups of whoever started us are not the container's. */
  if (set_groups && setgroups(count, groups) < 0) return fail(context, "setgroups");
  free(groups);
  if (setresgid(gid, gid, gid) < 0) return fail(context, "setgid %u", gid);
  if (setresuid(uid, uid, uid) < 0) return fail(context, "setuid %u", uid);
  return prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0 ? fail(context, "keep capabilities") : 0;
}

int op_caps(struct context *context, struct op *op) {
  uint64_t effective = read_u64(&op->payload), permitted = read_u64(&op->payload);
  uint64_t inheritable = read_u64(&op->payload), ambient = read_u64(&op->payload);
  struct {
    uint32_t version;
    int pid;
  } header = {0x20080522 /* version 3 */, 0};
  struct {
    uint32_t effective, permitted, inheritable;
  } data[2];
  for (int i = 0; i < 2; i++) {
    data[i].effective = (uint32_t)(effective >> 32 * i);
    data[i].permitted = (uint32_t)(permitted >> 32 * i);
    data[i].inheritable = (uint32_t)(inheritable >> 32 * i);
  }
  if (syscall(SYS_capset, &header, data) < 0) return fail(context, "capset");
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL) return fail(context, "ambient");
  /* One that is not both permitted and inheritable cannot be ambient; upstream passes over it in silence. */
  for (int capability = 0; capability < CAPABILITIES_MAX; capability++)
    if (ambient >> capability & 1) prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0);
  return 0;
}

int op_no_new_privs(struct context *context, struct op *op) {
  (void)op;
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? fail(context, "no_new_privs") : 0;
}

int op_seccomp(struct context *context, struct op *op) {
  uint32_t flags = read_u32(&op->payload);
  struct reader bytes = read_bytes(&op->payload);
  size_t count = (size_t)(bytes.end - bytes.at) / sizeof(struct sock_filter);
  if (count == 0 || count > 65535) return errno = EINVAL, fail(context, "filter");
  /* The plan's bytes are not aligned. */
  struct sock_filter *filter = malloc(count * sizeof *filter);
  if (!filter) abort();
  memcpy(filter, bytes.at, count * sizeof *filter);
  struct sock_fprog program = {(unsigned short)count, filter};
  long result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
  free(filter);
  if (result < 0) return fail(context, "seccomp");
  if (flags & SECCOMP_FILTER_FLAG_NEW_LISTENER) {
    send_message(context->sync, MSG_FD, 1, 0, "", (int)result);
    close((int)result);
  }
  return 0;
}

int op_cwd(struct context *context, struct op *op) {
  const char *path = read_string(&op->payload);
  if (chdir(path) < 0) return fail(context, "chdir to cwd (\"%s\")", path);
  /* A working folder outside the root would be a way out (CVE-2024-21626): the kernel then reports it unreachable. */
  char where[4096];
  if (syscall(SYS_getcwd, where, sizeof where) < 0) return fail(context, "getcwd");
  if (where[0] != '/') return errno = EPERM, fail(context, "current working directory is outside of container mount namespace root");
  return 0;
}

static int executable(const char *path) {
  struct stat about;
  if (stat(path, &about) < 0) return -1;
  if (S_ISDIR(about.st_mode)) return errno = EISDIR, -1;
  return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS);
}

/* The home of a user by the container's own passwd(5), "/" when it does not say. As "HOME=...". */
static const char *home_of(uid_t uid) {
  static char line[4096];
  FILE *file = fopen("/etc/passwd", "re");
  while (file && fgets(line, sizeof line, file)) {
    char *fields[6] = {line};
    int count = 1;
    for (char *at = line; *at && count < 6; at++)
      if (*at == ':') {
        *at = 0;
        fields[count++] = at + 1;
      }
    if (count < 6 || strtoul(fields[2], NULL, 10) != uid || !*fields[2]) continue;
    fields[5][strcspn(fields[5], ":\n")] = 0;
    if (fields[5][0] != '/') break;
    fclose(file);
    memmove(line + 5, fields[5], strlen(fields[5]) + 1);
    return memcpy(line, "HOME=", 5);
  }
  if (file) fclose(file);
  return "HOME=/";
}

static void add_home(struct context *context) {
  size_t count = 0;
  for (; context->env[count]; count++)
    if (strncmp(context->env[count], "HOME=", 5) == 0) return;
  char **more = calloc(count + 2, sizeof *more);
  if (!more) abort();
  memcpy(more, context->env, count * sizeof *more);
  more[count] = (char *)home_of(getuid());
  free(context->env);
  context->env = more;
}

int op_look_path(struct context *context, struct op *op) {
  context->args = read_strings(&op->payload);
  context->env = read_strings(&op->payload);
  add_home(context);
  const char *name = context->args[0];
  if (!name) return errno = EINVAL, fail(context, "no arguments");
  context->program = name;
  if (strchr(name, '/')) return executable(name) < 0 ? fail(context, "path") : 0;
  const char *path = "";
  for (char **entry = context->env; *entry; entry++)
    if (strncmp(*entry, "PATH=", 5) == 0) path = *entry + 5;
  static char found[4096];
  int denied = 0;
  for (; *name && *path; path += strcspn(path, ":"), path += *path == ':') {
    int length = (int)strcspn(path, ":");
    snprintf(found, sizeof found, "%.*s/%s", length ? length : 1, length ? path : ".", name);
    if (executable(found) == 0) {
      context->program = found;
      return 0;
    }
    if (errno == EACCES) denied = 1;
  }
  errno = denied ? EACCES : ENOENT;
  return fail(context, "search");
}

int op_await_start(struct context *context, struct op *op) {
  uint32_t index = read_u32(&op->payload);
  if (send_message(context->sync, MSG_READY, 0, 0, "", -1) < 0) _exit(1);
  if (index < REGISTERS_MAX) {
    char path[32];
    snprintf(path, sizeof path, "self/fd/%d", context->registers[index]);
    int fifo = openat(context->proc, path, O_WRONLY | O_CLOEXEC);
    if (fifo < 0 || write_all(fifo, "0", 1) < 0) return fail(context, "exec.fifo");
    close(fifo);
    return 0;
  }
  /* read(2), because a strict seccomp filter is in force already. */
  char go[sizeof(struct message)];
  ssize_t n;
  do n = read(context->sync, go, sizeof go);
  while (n < 0 && errno == EINTR);
  if (n <= 0) _exit(1);
  return 0;
}

int op_cloexec_from(struct context *context, struct op *op) {
  uint32_t first = read_u32(&op->payload);
  /* Whoever sets us up may go soon; until here our life hung on theirs. A seccomp filter may forbid this later. */
  prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
  return sys_close_range(first, ~0u, 4 /* CLOSE_RANGE_CLOEXEC */) < 0 ? fail(context, "close_range") : 0;
}

int op_exec(struct context *context, struct op *op) {
  (void)op;
  if (!context->program) return errno = EINVAL, fail(context, "no program");
  execve(context->program, context->args, context->env);
  int saved = errno;
  dprintf(2, "exec %s: %s\n", context->program, strerror(saved));
  errno = saved;
  return fail(context, "%s", context->program);
}

int op_scheduler(struct context *context, struct op *op) {
  struct {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
  } attributes = {.size = 48};
  attributes.policy = read_u32(&op->payload);
  attributes.nice = (int32_t)read_u32(&op->payload);
  attributes.priority = read_u32(&op->payload);
  attributes.flags = read_u64(&op->payload);
  attributes.runtime = read_u64(&op->payload);
  attributes.deadline = read_u64(&op->payload);
  attributes.period = read_u64(&op->payload);
  return syscall(SYS_sched_setattr, 0, &attributes, 0) < 0 ? fail(context, "sched_setattr") : 0;
}

int op_io_priority(struct context *context, struct op *op) {
  int value = (int)read_u32(&op->payload);
  return syscall(SYS_ioprio_set, 1 /* a process */, 0, value) < 0 ? fail(context, "ioprio_set") : 0;
}

int op_personality(struct context *context, struct op *op) {
  unsigned long value = read_u32(&op->payload);
  return personality(value) < 0 ? fail(context, "personality") : 0;
}

int op_keyring(struct context *context, struct op *op) {
  const char *name = read_string(&op->payload);
  long ring = syscall(SYS_keyctl, 1 /* KEYCTL_JOIN_SESSION_KEYRING */, *name ? name : NULL);
  return ring < 0 && errno != ENOSYS ? fail(context, "keyring") : 0;
}

int op_affinity(struct context *context, struct op *op) {
  struct reader mask = read_bytes(&op->payload);
  return syscall(SYS_sched_setaffinity, 0, (size_t)(mask.end - mask.at), mask.at) < 0 ? fail(context, "affinity") : 0;
}
