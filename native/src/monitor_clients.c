/* The monitor's clients: a few local connections that ask, watch, and carry streams. */
#include "monitor.h"
#include <sys/ioctl.h>
#include <termios.h>

static void put(uint8_t **at, const void *value, size_t length) {
  memcpy(*at, value, length);
  *at += length;
}

/* u32 version, u32 status, u32 pid, u32 flags, u64 start time, i64 started at, i64 exited at (ns since 1970), i32 exit code,
 * i32 signal */
void send_status(struct monitor *monitor, struct client *client, uint8_t type) {
  uint8_t bytes[48], *at = bytes;
  uint32_t head[4] = {PROTOCOL_VERSION, monitor->status, (uint32_t)monitor->launched.pid, monitor->flags};
  put(&at, head, sizeof head);
  put(&at, &monitor->launched.start_time, 8);
  put(&at, &monitor->started_at, 8);
  put(&at, &monitor->exited_at, 8);
  put(&at, &monitor->exit_code, 4);
  put(&at, &monitor->exit_signal, 4);
  send_frame(monitor, client, type, 0, bytes, sizeof bytes);
}

void broadcast_status(struct monitor *monitor, uint8_t type) {
  for (int i = 0; i < CLIENTS_MAX; i++)
    if (monitor->clients[i].fd >= 0) send_status(monitor, &monitor->clients[i], type);
}

void accept_client(struct monitor *monitor) {
  int fd = accept4(monitor->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return;
  for (int i = 0; i < CLIENTS_MAX; i++) {
    struct client *client = &monitor->clients[i];
    if (client->fd >= 0) continue;
    *client = (struct client){.fd = fd, .in = malloc(FRAME_BYTES_MAX), .out = malloc(CLIENT_OUT_BYTES_MAX)};
    if (!client->in || !client->out) {
      drop_client(monitor, client);
      return;
    }
    send_status(monitor, client, FRAME_HELLO);
    return;
  }
  /* Full: the caller sees its connection end before a HELLO. */
  close(fd);
}

void drop_client(struct monitor *monitor, struct client *client) {
  if (client->fd < 0) return;
  bool fed = client->fed_stdin;
  close(client->fd);
  free(client->in);
  free(client->out);
  *client = (struct client){.fd = -1};
  if (monitor->starter == (int)(client - monitor->clients)) monitor->starter = -1;
  if (fed && monitor->flags & MONITOR_STDIN_ONCE) close_stdin(monitor);
}

bool client_has_room(const struct client *client, size_t bytes) {
  return client->out_length + bytes + FRAME_HEADER_BYTES <= CLIENT_OUT_BYTES_MAX;
}

void send_frame(struct monitor *monitor, struct client *client, uint8_t type, uint8_t a, const void *data, size_t length) {
  if (client->fd < 0) return;
  if (!client_has_room(client, length)) {
    /* Output is held back before it comes to this; only a client that reads nothing of what it asked for is cut off. */
    drop_client(monitor, client);
    return;
  }
  uint8_t *at = client->out + client->out_length;
  uint32_t size = (uint32_t)length;
  at[0] = type;
  at[1] = a;
  at[2] = at[3] = 0;
  memcpy(at + 4, &size, 4);
  if (length) memcpy(at + FRAME_HEADER_BYTES, data, length);
  client->out_length += FRAME_HEADER_BYTES + length;
  flush_client(monitor, client);
}

void flush_client(struct monitor *monitor, struct client *client) {
  while (client->fd >= 0 && client->out_length > 0) {
    ssize_t n = send(client->fd, client->out, client->out_length, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) {
      drop_client(monitor, client);
      return;
    }
    client->out_length -= (size_t)n;
    memmove(client->out, client->out + n, client->out_length);
  }
}

static void reply(struct monitor *monitor, struct client *client, uint8_t to, int number, const char *text) {
  uint8_t bytes[4 + ERROR_TEXT_MAX];
  int32_t value = number;
  size_t length = strnlen(text, ERROR_TEXT_MAX);
  memcpy(bytes, &value, 4);
  memcpy(bytes + 4, text, length);
  send_frame(monitor, client, FRAME_REPLY, to, bytes, 4 + length);
}

void answer_start(struct monitor *monitor, int number, const char *text) {
  if (monitor->starter < 0) return;
  struct client *client = &monitor->clients[monitor->starter];
  monitor->starter = -1;
  reply(monitor, client, FRAME_START, number, text);
}

static void resize(struct monitor *monitor, const uint8_t *payload, uint32_t length) {
  uint16_t size[2];
  if (length != sizeof size || !(monitor->flags & MONITOR_TERMINAL) || monitor->launched.console < 0) return;
  memcpy(size, payload, sizeof size);
  struct winsize window = {.ws_row = size[0], .ws_col = size[1]};
  /* A terminal whose process has just gone refuses; there is nobody to tell. */
  if (ioctl(monitor->launched.console, TIOCSWINSZ, &window) < 0) return;
}

static void start(struct monitor *monitor, struct client *client) {
  if (monitor->status != PROCESS_CREATED || monitor->starter >= 0) {
    reply(monitor, client, FRAME_START, EALREADY, "");
    return;
  }
  monitor->starter = (int)(client - monitor->clients);
  if (send_message(monitor->launched.sync, MSG_GO, 0, 0, "", -1) < 0) answer_start(monitor, errno, "the process is gone");
}

/* Carries out one frame. False: it has to wait, because stdin is full. */
static bool handle(struct monitor *monitor, struct client *client, uint8_t type, uint8_t a, const uint8_t *payload,
                   uint32_t length) {
  int result;
  switch (type) {
    case FRAME_START:
      start(monitor, client);
      break;
    case FRAME_RESIZE:
      resize(monitor, payload, length);
      break;
    case FRAME_STDIN:
      if (stdin_room(monitor) < length) return false;
      client->fed_stdin = true;
      feed_stdin(monitor, payload, length);
      break;
    case FRAME_CLOSE_STDIN:
      close_stdin(monitor);
      break;
    case FRAME_ATTACH:
      client->wants = a & 3;
      monitor->attached_once = true;
      for (int i = 0; i < 2; i++)
        if (client->wants & 1 << i && monitor->outputs[i].from < 0)
          send_frame(monitor, client, FRAME_OUTPUT_END, (uint8_t)(i + 1), NULL, 0);
      break;
    case FRAME_REOPEN_LOG:
      result = open_log(monitor);
      reply(monitor, client, type, result < 0 ? errno : 0, result < 0 ? monitor->log_path : "");
      break;
    case FRAME_KILL:
      /* By descriptor: a pid that was given to someone else meanwhile is never hit. */
      result = monitor->status == PROCESS_STOPPED ? (errno = ESRCH, -1) : sys_pidfd_send_signal(monitor->launched.pidfd, a);
      reply(monitor, client, type, result < 0 ? errno : 0, "");
      break;
    case FRAME_QUIT:
      if (monitor->status == PROCESS_STOPPED) monitor->quit = true;
      break;
    default:
      drop_client(monitor, client);
      break;
  }
  return true;
}

/* Carries out the frames that are whole; the rest waits for more bytes, or for room in stdin. */
void process_client(struct monitor *monitor, struct client *client) {
  size_t at = 0;
  while (client->fd >= 0 && client->in_length - at >= FRAME_HEADER_BYTES) {
    uint32_t length;
    memcpy(&length, client->in + at + 4, 4);
    if (length > FRAME_BYTES_MAX - FRAME_HEADER_BYTES) {
      drop_client(monitor, client);
      return;
    }
    if (client->in_length - at < FRAME_HEADER_BYTES + length) break;
    if (!handle(monitor, client, client->in[at], client->in[at + 1], client->in + at + FRAME_HEADER_BYTES, length)) break;
    at += FRAME_HEADER_BYTES + length;
  }
  if (client->fd < 0) return;
  client->in_length -= at;
  memmove(client->in, client->in + at, client->in_length);
}

void read_client(struct monitor *monitor, struct client *client) {
  if (client->in_length < FRAME_BYTES_MAX) {
    ssize_t n = recv(client->fd, client->in + client->in_length, FRAME_BYTES_MAX - client->in_length, 0);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (n <= 0) {
      drop_client(monitor, client);
      return;
    }
    client->in_length += (size_t)n;
  }
  process_client(monitor, client);
}
