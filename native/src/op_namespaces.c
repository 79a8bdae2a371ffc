/* Operations that enter, make and name namespaces. */
#include "helper.h"
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/wait.h>

int op_setns(struct context *context, struct op *op) {
  const char *path = read_string(&op->payload);
  int type = (int)read_u32(&op->payload);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail(context, "open %s", path);
  int result = setns(fd, type), saved = errno;
  close(fd);
  errno = saved;
  return result < 0 ? fail(context, "setns %s", path) : 0;
}

int op_unshare(struct context *context, struct op *op) {
  uint32_t flags = read_u32(&op->payload);
  return unshare((int)flags) < 0 ? fail(context, "unshare %#x", flags) : 0;
}

int op_sync(struct context *context, struct op *op) {
  uint32_t group = read_u32(&op->payload);
  struct message reply;
  int fd;
  if (send_message(context->sync, MSG_OUTER, group, 0, "", -1) < 0 || receive_message(context->sync, &reply, &fd) <= 0) {
    /* The supervisor is gone, and with it whoever wanted this container. */
    _exit(1);
  }
  /* It knows what failed and tells it itself. */
  if (reply.b != 0) _exit(1);
  return 0;
}

int op_clone(struct context *context, struct op *op) {
  uint64_t flags = read_u64(&op->payload);
  pid_t pid = sys_clone(flags | CLONE_PARENT, -1, NULL);
  if (pid < 0) return fail(context, "clone %#llx", (unsigned long long)flags);
  if (pid > 0) {
    /* The supervisor has to know its new child before that one asks for anything. */
    send_message(context->sync, MSG_PID, (uint32_t)pid, 0, "", -1);
    _exit(0);
  }
  struct message go;
  int fd;
  if (receive_message(context->sync, &go, &fd) <= 0) _exit(1);
  return 0;
}

int op_pidfd(struct context *context, struct op *op) {
  uint32_t index = read_u32(&op->payload);
  pid_t pid = (pid_t)read_u32(&op->payload);
  uint64_t start_time = read_u64(&op->payload);
  if (index >= REGISTERS_MAX) return errno = EINVAL, fail(context, "register %u", index);
  int fd = sys_pidfd_open(pid);
  if (fd < 0) return fail(context, "pid %d", pid);
  /* Looked at after opening: if it is the same process now, the descriptor is it. */
  if (start_time != 0 && start_time_of(context->proc, pid) != start_time) {
    close(fd);
    errno = ESRCH;
    return fail(context, "pid %d", pid);
  }
  context->registers[index] = fd;
  return 0;
}

int op_setns_pidfd(struct context *context, struct op *op) {
  uint32_t index = read_u32(&op->payload);
  uint32_t namespaces = read_u32(&op->payload);
  if (index >= REGISTERS_MAX) return errno = EINVAL, fail(context, "register %u", index);
  return setns(context->registers[index], (int)namespaces) < 0 ? fail(context, "setns %#x", namespaces) : 0;
}

int op_bind_namespace(struct context *context, struct op *op) {
  const char *name = read_string(&op->payload), *path = read_string(&op->payload);
  char source[64];
  snprintf(source, sizeof source, "/proc/self/ns/%s", name);
  return mount(source, path, NULL, MS_BIND, NULL) < 0 ? fail(context, "%s", path) : 0;
}

int op_loopback(struct context *context, struct op *op) {
  (void)op;
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return fail(context, "socket");
  struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
  int result = ioctl(fd, SIOCSIFFLAGS, &request), saved = errno;
  close(fd);
  errno = saved;
  return result < 0 ? fail(context, "lo") : 0;
}

int op_hostname(struct context *context, struct op *op) {
  const char *name = read_string(&op->payload);
  return sethostname(name, strlen(name)) < 0 ? fail(context, "%s", name) : 0;
}

int op_domainname(struct context *context, struct op *op) {
  const char *name = read_string(&op->payload);
  return setdomainname(name, strlen(name)) < 0 ? fail(context, "%s", name) : 0;
}
