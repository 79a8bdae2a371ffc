/* Starting one process by a plan: what its supervisor does before, during and if it fails. */
#include "helper.h"
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* A launch: u64 clone flags, u32 register of a cgroup2 folder, bytes before, bytes child, bytes after a failure,
 * u32 count of groups, bytes each. */
bool read_launch(struct reader plan, struct launch *launch) {
  memset(launch, 0, sizeof *launch);
  launch->clone_flags = read_u64(&plan);
  launch->cgroup_register = read_u32(&plan);
  launch->before = read_bytes(&plan);
  launch->child = read_bytes(&plan);
  launch->after_failure = read_bytes(&plan);
  uint32_t groups = read_u32(&plan);
  if (groups > OUTER_GROUPS_MAX) return false;
  for (uint32_t i = 0; i < groups; i++) launch->outer[i] = read_bytes(&plan);
  return !plan.bad;
}

static void be_child(struct context *context, const struct launch *launch) {
  sigset_t none;
  sigemptyset(&none);
  for (int number = 1; number < 65; number++) signal(number, SIG_DFL);
  sigprocmask(SIG_SETMASK, &none, NULL);
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (run_ops(context, launch->child) < 0)
    send_message(context->sync, MSG_ERROR, context->error_tag, context->error_number, context->error_text, -1);
  _exit(1);
}

static void adopt_child(struct context *context, struct launched *launched, pid_t pid) {
  if (launched->pidfd >= 0) close(launched->pidfd);
  launched->pid = context->child = pid;
  launched->pidfd = sys_pidfd_open(pid);
}

static void died(struct context *context, pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  errno = ECHILD;
  fail(context, "container init %s %d during its setup", WIFSIGNALED(status) ? "was killed by signal" : "exited with status",
       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

/* Answers the child until it is ready. False: the context holds why not. */
static bool serve_child(struct context *context, const struct launch *launch, struct launched *launched) {
  for (;;) {
    struct message message;
    int fd = -1;
    ssize_t n = receive_message(launched->sync, &message, &fd);
    if (n <= 0) {
      died(context, launched->pid);
      launched->pid = 0;
      return false;
    }
    switch (message.type) {
      case MSG_OUTER: {
        int result = message.a < OUTER_GROUPS_MAX ? run_ops(context, launch->outer[message.a]) : -1;
        send_message(launched->sync, MSG_GO, 0, result, "", -1);
        if (result < 0) return false;
        break;
      }
      case MSG_PID:
        waitpid(launched->pid, NULL, 0);
        adopt_child(context, launched, (pid_t)message.a);
        send_message(launched->sync, MSG_GO, 0, 0, "", -1);
        break;
      case MSG_FD:
        if (launched->console >= 0) close(launched->console);
        launched->console = fd;
        break;
      case MSG_READY:
        return true;
      case MSG_ERROR:
        context->error_tag = message.a;
        context->error_number = message.b;
        snprintf(context->error_text, sizeof context->error_text, "%s", message.text);
        return false;
      default:
        break;
    }
  }
}

static int give_up(struct context *context, const struct launch *launch, struct launched *launched) {
  if (launched->pidfd >= 0) sys_pidfd_send_signal(launched->pidfd, SIGKILL);
  if (launched->pid > 0)
    while (waitpid(launched->pid, NULL, 0) < 0 && errno == EINTR) {
    }
  if (launched->pidfd >= 0) close(launched->pidfd);
  if (launched->sync >= 0) close(launched->sync);
  if (launched->console >= 0) close(launched->console);
  /* Cleaning up must not change what is reported. */
  struct context failure = *context;
  run_ops(context, launch->after_failure);
  context->error_tag = failure.error_tag;
  context->error_number = failure.error_number;
  memcpy(context->error_text, failure.error_text, sizeof failure.error_text);
  return -1;
}

int launch(struct context *context, const struct launch *launch, struct launched *launched) {
  *launched = (struct launched){.pidfd = -1, .sync = -1, .console = -1};
  int pair[2];
  if (run_ops(context, launch->before) < 0) return give_up(context, launch, launched);
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
    fail(context, "socketpair");
    return give_up(context, launch, launched);
  }
  int cgroup = launch->cgroup_register < REGISTERS_MAX ? context->registers[launch->cgroup_register] : -1;
  pid_t pid = sys_clone(launch->clone_flags, cgroup, &launched->pidfd);
  if (pid < 0) {
    fail(context, "clone %#llx", (unsigned long long)launch->clone_flags);
    close(pair[0]);
    close(pair[1]);
    launched->pidfd = -1;
    return give_up(context, launch, launched);
  }
  if (pid == 0) {
    close(pair[0]);
    context->sync = pair[1];
    be_child(context, launch);
  }
  close(pair[1]);
  launched->sync = pair[0];
  launched->pid = context->child = pid;
  if (!serve_child(context, launch, launched)) return give_up(context, launch, launched);
  launched->start_time = start_time_of(context->proc, launched->pid);
  return 0;
}
