/* HOOK: path, args, env, u32 milliseconds (0: no limit), u32 pid, string before the pid, string after it. The state JSON on the hook's
 * standard input is the two strings with the container's pid between them: 0 here means the pid known here, UINT32_MAX means none. */
#include "helper.h"
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

struct stream {
  int fd;
  char text[200];
  size_t length;
};

static int64_t monotonic_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void drain(struct stream *stream) {
  char block[512];
  ssize_t n = read(stream->fd, block, sizeof block);
  if (n <= 0) {
    close(stream->fd);
    stream->fd = -1;
    return;
  }
  size_t room = sizeof stream->text - 1 - stream->length;
  size_t kept = (size_t)n < room ? (size_t)n : room;
  memcpy(stream->text + stream->length, block, kept);
  stream->length += kept;
  stream->text[stream->length] = 0;
}

static void run_hook(const char *path, char **args, char **env, int in, int out, int error) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  signal(SIGPIPE, SIG_DFL);
  dup2(in, 0);
  dup2(out, 1);
  dup2(error, 2);
  sys_close_range(3, ~0u, 4 /* CLOSE_RANGE_CLOEXEC */);
  execve(path, args, env);
  dprintf(2, "fork/exec %s: %s", path, strerror(errno));
  _exit(127);
}

int op_hook(struct context *context, struct op *op) {
  const char *path = read_string(&op->payload);
  char **args = read_strings(&op->payload), **env = read_strings(&op->payload);
  uint32_t limit_ms = read_u32(&op->payload);
  uint32_t given = read_u32(&op->payload);
  const char *before = read_string(&op->payload), *after = read_string(&op->payload);
  if (op->payload.bad) return free(args), free(env), 0;
  char state[65536];
  pid_t subject = given == UINT32_MAX ? 0 : given ? (pid_t)given : context->child ? context->child : getpid();
  int length = snprintf(state, sizeof state, "%s%d%s", before, subject, after);
  int in[2], out[2], error[2];
  if (length >= (int)sizeof state) return errno = E2BIG, fail(context, "state");
  if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 || pipe2(error, O_CLOEXEC) < 0) return fail(context, "pipe");
  char *path_only[] = {(char *)path, NULL};
  pid_t pid = fork();
  if (pid < 0) return fail(context, "fork");
  if (pid == 0) run_hook(path, args[0] ? args : path_only, env, in[0], out[1], error[1]);
  close(in[0]), close(out[1]), close(error[1]);
  free(args), free(env);
  struct stream streams[2] = {{.fd = out[0]}, {.fd = error[0]}};
  int feed = in[1], pidfd = sys_pidfd_open(pid), written = 0;
  fcntl(feed, F_SETFL, O_NONBLOCK);
  signal(SIGPIPE, SIG_IGN);
  int64_t deadline = limit_ms ? monotonic_ms() + limit_ms : 0;
  bool timed_out = false;
  for (bool ended = false; !ended || streams[0].fd >= 0 || streams[1].fd >= 0;) {
    struct pollfd polls[4] = {
        {streams[0].fd, POLLIN, 0}, {streams[1].fd, POLLIN, 0}, {feed, POLLOUT, 0}, {ended ? -1 : pidfd, POLLIN, 0}};
    /* Once the hook has ended, what its own children keep open is not waited for. */
    int wait_ms = ended ? 0 : deadline ? (int)(deadline - monotonic_ms()) : -1;
    int ready = ended || wait_ms > 0 || !deadline ? poll(polls, 4, wait_ms) : 0;
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0 && ended) break;
    if (ready == 0) {
      timed_out = true;
      sys_pidfd_send_signal(pidfd, SIGKILL);
      deadline = 0;
      continue;
    }
    for (int i = 0; i < 2; i++)
      if (polls[i].revents) drain(&streams[i]);
    if (polls[2].revents) {
      ssize_t n = write(feed, state + written, (size_t)(length - written));
      if (n > 0) written += (int)n;
      if (written == length || (n < 0 && errno != EAGAIN)) close(feed), feed = -1;
    }
    if (polls[3].revents) ended = true;
  }
  for (int i = 0; i < 2; i++)
    if (streams[i].fd >= 0) close(streams[i].fd);
  if (feed >= 0) close(feed);
  close(pidfd);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (status == 0 && !timed_out) return 0;
  errno = timed_out ? ETIMEDOUT : ECANCELED;
  if (timed_out) return fail(context, "hook ran past specified timeout of %.1fs", limit_ms / 1000.0);
  return fail(context, "%s %d, stdout: %s, stderr: %s", WIFEXITED(status) ? "exit status" : "signal",
              WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status), streams[0].text, streams[1].text);
}
