/*
 * The zygote: a daemon's hands. It reads requests from a socket and forks for each one, so that nothing it is asked for can
 * block it. Request: u32 length of what follows, u32 request, u32 kind, plan. The forked process answers by itself.
 * It ends when its socket ends; monitors it forked live on.
 */
#include "helper.h"
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#define KIND_RUN 1
#define KIND_MONITOR 2
#define WORKERS_MAX 256

struct worker {
  pid_t pid;
  uint32_t request;
};

void send_reply(int socket, uint32_t request, const struct context *context, bool failed, uint64_t value, uint64_t value2) {
  uint8_t frame[40 + ERROR_TEXT_MAX];
  size_t text = failed ? strnlen(context->error_text, ERROR_TEXT_MAX) : 0;
  uint32_t length = (uint32_t)(28 + text);
  int32_t number = failed ? (context->error_number ? context->error_number : EIO) : 0;
  uint32_t tag = failed ? context->error_tag : 0;
  memcpy(frame, &length, 4);
  memcpy(frame + 4, &request, 4);
  memcpy(frame + 8, &number, 4);
  memcpy(frame + 12, &tag, 4);
  memcpy(frame + 16, &value, 8);
  memcpy(frame + 24, &value2, 8);
  memcpy(frame + 32, context->error_text, text);
  /* One packet below the socket's atomic size: frames of several processes do not mix. */
  ssize_t n;
  do n = send(socket, frame, 32 + text, MSG_NOSIGNAL);
  while (n < 0 && errno == EINTR);
}

static void work(struct reader plan, int socket, int fd_socket, uint32_t request) {
  struct context context;
  context_init(&context);
  int result = run_ops(&context, plan);
  bool has_fd = result == 0 && context.result_fd >= 0;
  if (has_fd && send_fd(fd_socket, &request, sizeof request, context.result_fd) < 0) result = fail(&context, "send");
  send_reply(socket, request, &context, result < 0, context.result, has_fd);
  _exit(0);
}

static void handle(const uint8_t *frame, uint32_t length, int socket, int fd_socket, struct worker *workers) {
  struct reader reader = {frame, frame + length, false};
  uint32_t request = read_u32(&reader), kind = read_u32(&reader);
  struct context problem = {0};
  struct worker *slot = NULL;
  for (int i = 0; i < WORKERS_MAX && !slot; i++)
    if (workers[i].pid == 0) slot = &workers[i];
  if (reader.bad || !slot || (kind != KIND_RUN && kind != KIND_MONITOR)) {
    errno = reader.bad ? EPROTO : slot ? ENOSYS : EAGAIN;
    fail(&problem, "request");
    send_reply(socket, request, &problem, true, 0, 0);
    return;
  }
  pid_t pid = fork();
  if (pid < 0) {
    fail(&problem, "fork");
    send_reply(socket, request, &problem, true, 0, 0);
  } else if (pid == 0) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (kind == KIND_RUN) work(reader, socket, fd_socket, request);
    close(fd_socket);
    monitor_main(reader, socket, request);
  } else if (kind == KIND_RUN) {
    *slot = (struct worker){pid, request};
  }
}

static void reap(int socket, struct worker *workers) {
  int status;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
    for (int i = 0; i < WORKERS_MAX; i++)
      if (workers[i].pid == pid) {
        if (status != 0) {
          struct context problem = {0};
          errno = ECHILD;
          fail(&problem, "the worker ended with status %d", status);
          send_reply(socket, workers[i].request, &problem, true, 0, 0);
        }
        workers[i].pid = 0;
      }
}

int zygote_main(int socket, int fd_socket) {
  static struct worker workers[WORKERS_MAX];
  sigset_t watched;
  sigemptyset(&watched);
  sigaddset(&watched, SIGCHLD);
  sigprocmask(SIG_BLOCK, &watched, NULL);
  signal(SIGPIPE, SIG_IGN);
  int signals = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
  size_t capacity = 64 << 10, held = 0;
  uint8_t *buffer = malloc(capacity);
  if (signals < 0 || !buffer) return 1;
  for (;;) {
    struct pollfd polls[2] = {{socket, POLLIN, 0}, {signals, POLLIN, 0}};
    if (poll(polls, 2, -1) < 0 && errno != EINTR) return 1;
    if (polls[1].revents) {
      struct signalfd_siginfo drained;
      while (read(signals, &drained, sizeof drained) > 0) {
      }
      reap(socket, workers);
    }
    if (!polls[0].revents) continue;
    if (held == capacity) {
      if (capacity >= PLAN_BYTES_MAX) return 1;
      buffer = realloc(buffer, capacity *= 2);
      if (!buffer) return 1;
    }
    ssize_t n = read(socket, buffer + held, capacity - held);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return 0;
    held += (size_t)n;
    size_t at = 0;
    while (held - at >= 4) {
      uint32_t length;
      memcpy(&length, buffer + at, 4);
      if (length > PLAN_BYTES_MAX - 4) return 1;
      if (held - at - 4 < length) {
        while (capacity < length + 4) capacity *= 2;
        break;
      }
      handle(buffer + at + 4, length, socket, fd_socket, workers);
      at += 4 + length;
    }
    memmove(buffer, buffer + at, held -= at);
    /* capacity may have grown above, for a frame larger than the buffer */
    buffer = realloc(buffer, capacity);
    if (!buffer) return 1;
  }
}
