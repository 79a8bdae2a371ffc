/* Operations a daemon asks for besides starting processes: sockets in other namespaces, signals, waiting, device filters. */
#include "helper.h"
#include <dirent.h>
#include <linux/bpf.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>

/* SOCKET: u32 domain, type, protocol, u32 reuse, bytes bind address, u32 backlog (0: no listen), bytes peer, u32 milliseconds.
 * The descriptor goes to whoever asked. A connection is waited for, so this runs in a worker. */
int op_socket(struct context *context, struct op *op) {
  int domain = (int)read_u32(&op->payload), type = (int)read_u32(&op->payload), protocol = (int)read_u32(&op->payload);
  int reuse = (int)read_u32(&op->payload);
  struct reader local = read_bytes(&op->payload);
  int backlog = (int)read_u32(&op->payload);
  struct reader peer = read_bytes(&op->payload);
  int limit_ms = (int)read_u32(&op->payload);
  int fd = socket(domain, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
  if (fd < 0) return fail(context, "socket");
  if (reuse && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof reuse) < 0) goto failed;
  if (local.at != local.end && bind(fd, (const struct sockaddr *)local.at, (socklen_t)(local.end - local.at)) < 0) goto failed;
  if (backlog && listen(fd, backlog) < 0) goto failed;
  if (peer.at != peer.end && connect(fd, (const struct sockaddr *)peer.at, (socklen_t)(peer.end - peer.at)) < 0) {
    if (errno != EINPROGRESS) goto failed;
    struct pollfd wait = {fd, POLLOUT, 0};
    int ready = poll(&wait, 1, limit_ms), problem = 0;
    socklen_t size = sizeof problem;
    if (ready == 0) errno = ETIMEDOUT;
    if (ready <= 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &size) < 0) goto failed;
    if (problem && (errno = problem)) goto failed;
  }
  context->result_fd = fd;
  return 0;
failed:
  fail(context, "socket");
  close(fd);
  return -1;
}

static int open_process(struct context *context, struct op *op) {
  pid_t pid = (pid_t)read_u32(&op->payload);
  uint64_t start_time = read_u64(&op->payload);
  int fd = sys_pidfd_open(pid);
  if (fd >= 0 && start_time && start_time_of(context->proc, pid) != start_time) {
    close(fd);
    fd = -1;
    errno = ESRCH;
  }
  return fd;
}

int op_kill(struct context *context, struct op *op) {
  int fd = open_process(context, op);
  int signal = (int)read_u32(&op->payload);
  int result = fd < 0 ? -1 : sys_pidfd_send_signal(fd, signal), saved = errno;
  if (fd >= 0) close(fd);
  errno = saved;
  return result < 0 ? fail(context, "kill") : 0;
}

int op_wait_pid(struct context *context, struct op *op) {
  int fd = open_process(context, op);
  int limit_ms = (int)read_u32(&op->payload);
  if (fd < 0) return errno == ESRCH ? 0 : fail(context, "pidfd");
  struct pollfd wait = {fd, POLLIN, 0};
  int ready = poll(&wait, 1, limit_ms);
  close(fd);
  if (ready == 0) errno = ETIMEDOUT;
  return ready <= 0 ? fail(context, "wait") : 0;
}

/* Signals every process of a cgroup and those below it. Returns how many there were, -1 on error. */
static int signal_cgroup(int parent, const char *name, int signal) {
  int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return errno == ENOENT ? 0 : -1;
  int procs = openat(fd, "cgroup.procs", O_RDONLY | O_CLOEXEC), seen = 0;
  FILE *file = procs < 0 ? NULL : fdopen(procs, "r");
  for (int pid; file && fscanf(file, "%d", &pid) == 1; seen++)
    if (pid > 0) kill(pid, signal);
  if (file) fclose(file);
  DIR *folder = fdopendir(fd);
  if (!folder) return close(fd), -1;
  for (struct dirent *entry; (entry = readdir(folder));)
    if (entry->d_type == DT_DIR && strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
      int below = signal_cgroup(fd, entry->d_name, signal);
      if (below > 0) seen += below;
    }
  closedir(folder);
  return seen;
}

int op_kill_cgroup(struct context *context, struct op *op) {
  const char *path = read_string(&op->payload);
  int signal = (int)read_u32(&op->payload);
  int left_ms = (int)read_u32(&op->payload);
  for (;;) {
    int seen = signal_cgroup(AT_FDCWD, path, signal);
    if (seen < 0) return fail(context, "%s", path);
    if (seen == 0 || left_ms == 0) return 0;
    /* A process may fork while it is looked at: only an empty cgroup ends this. */
    nanosleep(&(struct timespec){0, 2000000}, NULL);
    left_ms = left_ms > 2 ? left_ms - 2 : 1;
    if (left_ms == 1) return errno = ETIMEDOUT, fail(context, "%s", path);
  }
}

/* Replaces the cgroup's device filter: the new one is attached before the old ones go, so there is no open moment. */
int op_cgroup_devices(struct context *context, struct op *op) {
  const char *path = read_string(&op->payload);
  struct reader bytes = read_bytes(&op->payload);
  size_t length = (size_t)(bytes.end - bytes.at);
  void *code = malloc(length + 1);
  if (!code) abort();
  if (length) memcpy(code, bytes.at, length);
  int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return free(code), fail(context, "%s", path);
  uint32_t old[64] = {0};
  union bpf_attr query = {.query = {.target_fd = (uint32_t)folder, .attach_type = BPF_CGROUP_DEVICE}};
  query.query.prog_ids = (uint64_t)(uintptr_t)old;
  query.query.prog_cnt = 64;
  long known = syscall(SYS_bpf, BPF_PROG_QUERY, &query, sizeof query);
  union bpf_attr load = {.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE};
  load.insns = (uint64_t)(uintptr_t)code;
  load.insn_cnt = (uint32_t)(length / sizeof(struct bpf_insn));
  load.license = (uint64_t)(uintptr_t) "Apache";
  int program = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load);
  union bpf_attr attach = {.target_fd = (uint32_t)folder};
  attach.attach_bpf_fd = (uint32_t)program;
  attach.attach_type = BPF_CGROUP_DEVICE;
  attach.attach_flags = BPF_F_ALLOW_MULTI;
  int result = program < 0 ? -1 : (int)syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof attach);
  if (result < 0) fail(context, "device filter");
  for (uint32_t i = 0; result == 0 && known == 0 && i < query.query.prog_cnt && i < 64; i++) {
    union bpf_attr get = {.prog_id = old[i]};
    int fd = (int)syscall(SYS_bpf, BPF_PROG_GET_FD_BY_ID, &get, sizeof get);
    if (fd < 0) continue;
    union bpf_attr detach = {.target_fd = (uint32_t)folder};
    detach.attach_bpf_fd = (uint32_t)fd;
    detach.attach_type = BPF_CGROUP_DEVICE;
    if (syscall(SYS_bpf, BPF_PROG_DETACH, &detach, sizeof detach) < 0) result = fail(context, "old device filter");
    close(fd);
  }
  if (program >= 0) close(program);
  close(folder);
  free(code);
  return result;
}
