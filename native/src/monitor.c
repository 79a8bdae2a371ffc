/*
 * The monitor: parent of one process, in a session of its own. It outlives the daemon that asked for it and keeps on disk, in its
 * state folder, what a later daemon must know: `pid` (pid, start time), `started` (ns), `exit` (code, signal, ns). It serves
 * `monitor.sock` there until its process has ended and everything was delivered.
 *
 * A monitor's plan: u32 version, u32 flags, folder, stdin path, stdout path, stderr path, log path (each may be empty), launch.
 */
#include "monitor.h"
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/un.h>
#include <sys/wait.h>

#define POLLS_MAX (8 + CLIENTS_MAX)

void write_state(struct monitor *monitor, const char *name, const char *text) {
  char draft[32];
  snprintf(draft, sizeof draft, ".%s", name);
  int fd = openat(monitor->folder, draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return;
  bool whole = write_all(fd, text, strlen(text)) == 0;
  close(fd);
  if (whole) renameat(monitor->folder, draft, monitor->folder, name);
}

static int listen_in(struct monitor *monitor) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  /* The folder's own path may be longer than a socket's address. */
  snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/monitor.sock", monitor->folder);
  monitor->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (monitor->listener < 0) return -1;
  umask(0177);
  int result = bind(monitor->listener, (struct sockaddr *)&address, sizeof address);
  umask(0);
  return result < 0 ? -1 : listen(monitor->listener, CLIENTS_MAX);
}

static int open_output_target(const char *path) {
  struct stat about;
  if (!*path) return -1;
  /* A FIFO is held open at both ends: a reader may come, go and come back. */
  if (stat(path, &about) == 0 && S_ISFIFO(about.st_mode)) return open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
}

static void hold_output(struct monitor *monitor, int index, int from, const char *path) {
  struct output *output = &monitor->outputs[index];
  output->from = from;
  output->target = open_output_target(path);
  if (output->target >= 0) output->pending = malloc(CHUNK_BYTES);
  if (*monitor->log_path) output->line = calloc(1, sizeof *output->line);
  fcntl(from, F_SETFL, O_NONBLOCK);
}

/* Pipes for a process without a terminal. The process's ends stand in registers 0 to 2, where its STDIO looks for them. */
static int make_pipes(struct monitor *monitor, int ours[3], bool wants_stdin) {
  int *theirs = monitor->context.registers;
  for (int i = 0; i < 3; i++) {
    int ends[2];
    if (i == 0 && !wants_stdin) {
      theirs[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
      ours[0] = -1;
      continue;
    }
    if (pipe2(ends, O_CLOEXEC) < 0) return -1;
    theirs[i] = ends[i == 0 ? 0 : 1];
    ours[i] = ends[i == 0 ? 1 : 0];
  }
  return 0;
}

static void ended(struct monitor *monitor, int status) {
  char text[96];
  monitor->status = PROCESS_STOPPED;
  monitor->exited_at = realtime_ns();
  monitor->exit_signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  monitor->exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  snprintf(text, sizeof text, "%d %d %lld\n", monitor->exit_code, monitor->exit_signal, (long long)monitor->exited_at);
  write_state(monitor, "exit", text);
  answer_start(monitor, ESRCH, "the process ended before its program ran");
  broadcast_status(monitor, FRAME_EXIT);
}

static void reap(struct monitor *monitor) {
  int status;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
    if (pid == monitor->launched.pid && monitor->status != PROCESS_STOPPED) ended(monitor, status);
}

static void started(struct monitor *monitor) {
  char text[32];
  if (monitor->status != PROCESS_CREATED) return;
  monitor->status = PROCESS_RUNNING;
  monitor->started_at = realtime_ns();
  snprintf(text, sizeof text, "%lld\n", (long long)monitor->started_at);
  write_state(monitor, "started", text);
  /* The news first: who asked finds it known when the answer comes. */
  broadcast_status(monitor, FRAME_STARTED);
  answer_start(monitor, 0, "");
}

/* After READY the child says one of two things: an error, or, by the socket's end at its exec, that its program runs. */
static void read_sync(struct monitor *monitor) {
  struct message message;
  int fd;
  ssize_t n = receive_message(monitor->launched.sync, &message, &fd);
  if (fd >= 0) close(fd);
  if (n > 0 && message.type == MSG_ERROR) {
    char text[ERROR_TEXT_MAX];
    snprintf(text, sizeof text, "%u %s", message.a, message.text);
    answer_start(monitor, message.b ? message.b : EIO, text);
    return;
  }
  if (n > 0) return;
  close(monitor->launched.sync);
  monitor->launched.sync = -1;
  /* The same end also comes when it was killed before anyone let it go; then no program ever ran. */
  if (monitor->starter >= 0) started(monitor);
}

static bool finished(const struct monitor *monitor) {
  if (monitor->quit) return true;
  if (monitor->status != PROCESS_STOPPED) return false;
  for (int i = 0; i < 2; i++)
    if (monitor->outputs[i].from >= 0 || monitor->outputs[i].length > 0) return false;
  for (int i = 0; i < CLIENTS_MAX; i++)
    if (monitor->clients[i].fd >= 0 && monitor->clients[i].out_length > 0) return false;
  return true;
}

static void serve(struct monitor *monitor, int signals) {
  while (!finished(monitor)) {
    struct pollfd polls[POLLS_MAX];
    bool wants[2] = {wants_output(monitor, 0), wants_output(monitor, 1)};
    bool feeding = monitor->stdin_to >= 0 && monitor->stdin_length > 0;
    polls[0] = (struct pollfd){signals, POLLIN, 0};
    polls[1] = (struct pollfd){monitor->launched.sync, POLLIN, 0};
    polls[2] = (struct pollfd){monitor->listener, POLLIN, 0};
    for (int i = 0; i < 2; i++) polls[3 + i] = (struct pollfd){wants[i] ? monitor->outputs[i].from : -1, POLLIN, 0};
    for (int i = 0; i < 2; i++)
      polls[5 + i] = (struct pollfd){monitor->outputs[i].length > 0 ? monitor->outputs[i].target : -1, POLLOUT, 0};
    bool from_fifo = monitor->stdin_from >= 0 && stdin_room(monitor) > 0;
    /* Two directions of a terminal are one descriptor: its writing is watched here, its reading above. */
    polls[7] = feeding ? (struct pollfd){monitor->stdin_to, POLLOUT, 0}
                       : (struct pollfd){from_fifo ? monitor->stdin_from : -1, POLLIN, 0};
    for (int i = 0; i < CLIENTS_MAX; i++) {
      struct client *client = &monitor->clients[i];
      short events = (short)((client->in_length < FRAME_BYTES_MAX ? POLLIN : 0) | (client->out_length > 0 ? POLLOUT : 0));
      /* A client that waits for room in stdin is not looked at: its hanging up would wake us for ever. */
      polls[8 + i] = (struct pollfd){events ? client->fd : -1, events, 0};
    }
    if (poll(polls, POLLS_MAX, -1) < 0 && errno != EINTR) return;
    if (polls[0].revents) {
      struct signalfd_siginfo drained;
      while (read(signals, &drained, sizeof drained) > 0) {
      }
    }
    if (polls[1].revents) read_sync(monitor);
    if (polls[0].revents) reap(monitor);
    for (int i = 0; i < 2; i++) {
      if (polls[3 + i].revents) read_output(monitor, i);
      if (polls[5 + i].revents) flush_target(monitor, i);
    }
    if (polls[7].revents && feeding) {
      flush_stdin(monitor);
      for (int i = 0; i < CLIENTS_MAX; i++)
        if (monitor->clients[i].fd >= 0) process_client(monitor, &monitor->clients[i]);
    } else if (polls[7].revents) {
      read_stdin_fifo(monitor);
    }
    for (int i = 0; i < CLIENTS_MAX; i++) {
      struct client *client = &monitor->clients[i];
      if (client->fd >= 0 && polls[8 + i].revents & POLLOUT) flush_client(monitor, client);
      if (client->fd >= 0 && polls[8 + i].revents & (POLLIN | POLLHUP | POLLERR)) read_client(monitor, client);
    }
    if (polls[2].revents) accept_client(monitor);
  }
}

static void attach_streams(struct monitor *monitor, const int ours[3], const char *out_path, const char *error_path) {
  if (monitor->flags & MONITOR_TERMINAL) {
    monitor->stdin_to = monitor->launched.console;
    hold_output(monitor, 0, monitor->launched.console, out_path);
    return;
  }
  monitor->stdin_to = ours[0];
  if (ours[0] >= 0) fcntl(ours[0], F_SETFL, O_NONBLOCK);
  hold_output(monitor, 0, ours[1], out_path);
  hold_output(monitor, 1, ours[2], error_path);
  for (int i = 0; i < 3; i++) {
    close(monitor->context.registers[i]);
    monitor->context.registers[i] = -1;
  }
}

static void refuse(struct monitor *monitor, int socket, uint32_t request) {
  if (monitor->folder >= 0) unlinkat(monitor->folder, "monitor.sock", 0);
  send_reply(socket, request, &monitor->context, true, 0, 0);
  _exit(0);
}

void monitor_main(struct reader plan, int reply_socket, uint32_t request) {
  static struct monitor monitor;
  context_init(&monitor.context);
  uint32_t version = read_u32(&plan);
  monitor.flags = read_u32(&plan);
  const char *folder = read_string(&plan), *in_path = read_string(&plan), *out_path = read_string(&plan),
             *error_path = read_string(&plan);
  monitor.log_path = read_string(&plan);
  monitor.log = monitor.listener = monitor.folder = monitor.stdin_to = monitor.stdin_from = monitor.starter = -1;
  for (int i = 0; i < 2; i++) monitor.outputs[i].from = monitor.outputs[i].target = -1;
  for (int i = 0; i < CLIENTS_MAX; i++) monitor.clients[i].fd = -1;
  struct launch steps;
  if (version != PROTOCOL_VERSION || !read_launch(plan, &steps)) {
    errno = EPROTO;
    fail(&monitor.context, "the monitor's plan is malformed");
    refuse(&monitor, reply_socket, request);
  }
  setsid();
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  prctl(PR_SET_NAME, "wherry-monitor", 0, 0, 0);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  int ours[3] = {-1, -1, -1}, null = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int fd = 0; fd < 3; fd++) dup2(null, fd);
  close(null);
  monitor.folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  bool wants_stdin = monitor.flags & MONITOR_STDIN || *in_path;
  if (monitor.folder < 0 || listen_in(&monitor) < 0 || open_log(&monitor) < 0 ||
      (*in_path && (monitor.stdin_from = open(in_path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)) < 0) ||
      (!(monitor.flags & MONITOR_TERMINAL) && make_pipes(&monitor, ours, wants_stdin) < 0)) {
    fail(&monitor.context, "monitor in %s", folder);
    refuse(&monitor, reply_socket, request);
  }
  if (launch(&monitor.context, &steps, &monitor.launched) < 0) refuse(&monitor, reply_socket, request);
  attach_streams(&monitor, ours, out_path, error_path);
  if (monitor.stdin_to >= 0 && !(monitor.stdin_bytes = malloc(STDIN_BYTES_MAX))) abort();
  sigset_t watched;
  sigemptyset(&watched);
  sigaddset(&watched, SIGCHLD);
  sigprocmask(SIG_BLOCK, &watched, NULL);
  int signals = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
  char text[64];
  snprintf(text, sizeof text, "%d %llu\n", monitor.launched.pid, (unsigned long long)monitor.launched.start_time);
  write_state(&monitor, "pid", text);
  send_reply(reply_socket, request, &monitor.context, false, (uint64_t)monitor.launched.pid, monitor.launched.start_time);
  close(reply_socket);
  /* A child that ended before signals were watched has sent its last one already. */
  reap(&monitor);
  serve(&monitor, signals);
  unlinkat(monitor.folder, "monitor.sock", 0);
  _exit(0);
}
