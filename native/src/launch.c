/*
 * One launch for a command line: the container inherits our streams, we report and go. The plan comes on the socket (u32 length,
 * u32 mode, u32 register of the console socket, launch), the reply goes there; with mode FOREGROUND a second reply with the wait
 * status follows when the process has ended. Without mode GO the process waits for whoever reads its FIFO.
 */
#include "helper.h"
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define MODE_FOREGROUND 1
#define MODE_RUN 2
#define MODE_GO 4 /* let the process go at once, and report whether its program runs */

/* After READY the child says one of two things: an error, or, by the socket's end at its exec, that its program runs. */
static int let_go(struct context *context, struct launched *launched) {
  struct message message;
  int fd = -1;
  if (send_message(launched->sync, MSG_GO, 0, 0, "", -1) < 0) return fail(context, "the process is gone");
  ssize_t n = receive_message(launched->sync, &message, &fd);
  if (n <= 0) return 0;
  context->error_tag = message.a;
  context->error_number = message.b;
  snprintf(context->error_text, sizeof context->error_text, "%s", message.text);
  return -1;
}

int launch_main(int socket) {
  uint32_t length;
  if (read_all(socket, &length, sizeof length) < 0 || length > PLAN_BYTES_MAX) return 1;
  uint8_t *plan = malloc(length);
  if (!plan || read_all(socket, plan, length) < 0) return 1;
  struct reader reader = {plan, plan + length, false};
  uint32_t mode = read_u32(&reader), console_socket = read_u32(&reader);
  struct context context;
  struct launch steps;
  struct launched launched;
  context_init(&context);
  if (mode == MODE_RUN) {
    int result = run_ops(&context, reader);
    send_reply(socket, 0, &context, result < 0, context.result, 0);
    return result < 0;
  }
  if (!read_launch(reader, &steps)) {
    errno = EPROTO;
    fail(&context, "the launch is malformed");
    send_reply(socket, 0, &context, true, 0, 0);
    return 1;
  }
  /* Orphans of the container's processes are reaped here while we are in the foreground. */
  if (mode & MODE_FOREGROUND) prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  if (launch(&context, &steps, &launched) < 0) {
    send_reply(socket, 0, &context, true, 0, 0);
    return 1;
  }
  if (launched.console >= 0 && console_socket < REGISTERS_MAX) {
    static const char name[] = "/dev/ptmx";
    if (send_fd(context.registers[console_socket], name, sizeof name - 1, launched.console) < 0) {
      fail(&context, "console socket");
      sys_pidfd_send_signal(launched.pidfd, SIGKILL);
      send_reply(socket, 0, &context, true, 0, 0);
      return 1;
    }
    close(launched.console);
  }
  if (mode & MODE_GO && let_go(&context, &launched) < 0) {
    while (waitpid(launched.pid, NULL, 0) < 0 && errno == EINTR) {
    }
    send_reply(socket, 0, &context, true, 0, 0);
    return 1;
  }
  send_reply(socket, 0, &context, false, (uint64_t)launched.pid, launched.start_time);
  if (!(mode & MODE_FOREGROUND)) return 0;
  int status = 0;
  for (pid_t pid; (pid = waitpid(-1, &status, 0)) != launched.pid;)
    if (pid < 0 && errno != EINTR) return 1;
  send_reply(socket, 1, &context, false, (uint64_t)(unsigned)status, 0);
  return 0;
}
