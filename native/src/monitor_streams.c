/* From the process to the log, the target and the attached clients; from the clients or a FIFO to the process. */
#include "monitor.h"

bool wants_output(const struct monitor *monitor, int index) {
  const struct output *output = &monitor->outputs[index];
  if (output->from < 0 || output->length > 0) return false;
  if (monitor->flags & MONITOR_WAIT_FOR_ATTACH && !monitor->attached_once) return false;
  /* A client that does not read holds the process back, as a terminal would; nothing is lost and nothing grows. */
  for (int i = 0; i < CLIENTS_MAX; i++)
    if (monitor->clients[i].fd >= 0 && monitor->clients[i].wants & 1 << index &&
        !client_has_room(&monitor->clients[i], CHUNK_BYTES))
      return false;
  return true;
}

void read_output(struct monitor *monitor, int index) {
  struct output *output = &monitor->outputs[index];
  uint8_t block[CHUNK_BYTES];
  ssize_t n = read(output->from, block, sizeof block);
  if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
  /* A terminal whose last user has gone reads as EIO. */
  if (n <= 0) {
    end_output(monitor, index);
    return;
  }
  log_output(monitor, index, block, (size_t)n);
  for (int i = 0; i < CLIENTS_MAX; i++)
    if (monitor->clients[i].fd >= 0 && monitor->clients[i].wants & 1 << index)
      send_frame(monitor, &monitor->clients[i], FRAME_OUTPUT, (uint8_t)(index + 1), block, (size_t)n);
  if (output->target < 0) return;
  memcpy(output->pending, block, (size_t)n);
  output->offset = 0;
  output->length = (size_t)n;
  flush_target(monitor, index);
}

void flush_target(struct monitor *monitor, int index) {
  struct output *output = &monitor->outputs[index];
  while (output->length > 0) {
    ssize_t n = write(output->target, output->pending + output->offset, output->length);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) {
      /* It is gone for good; what follows goes to the others. */
      close(output->target);
      output->target = -1;
      output->length = 0;
      return;
    }
    output->offset += (size_t)n;
    output->length -= (size_t)n;
  }
  if (output->from < 0) {
    close(output->target);
    output->target = -1;
  }
}

void end_output(struct monitor *monitor, int index) {
  struct output *output = &monitor->outputs[index];
  if (output->from < 0) return;
  log_end(monitor, index);
  if (output->from != monitor->stdin_to) close(output->from);
  output->from = -1;
  if (output->target >= 0) flush_target(monitor, index);
  for (int i = 0; i < CLIENTS_MAX; i++)
    if (monitor->clients[i].fd >= 0 && monitor->clients[i].wants & 1 << index)
      send_frame(monitor, &monitor->clients[i], FRAME_OUTPUT_END, (uint8_t)(index + 1), NULL, 0);
}

size_t stdin_room(const struct monitor *monitor) {
  if (monitor->stdin_to < 0) return STDIN_BYTES_MAX;
  return STDIN_BYTES_MAX - monitor->stdin_length;
}

void feed_stdin(struct monitor *monitor, const uint8_t *data, size_t length) {
  /* What arrives after the end is for nobody. */
  if (monitor->stdin_to < 0 || monitor->stdin_closing) return;
  memcpy(monitor->stdin_bytes + monitor->stdin_length, data, length);
  monitor->stdin_length += length;
  flush_stdin(monitor);
}

void flush_stdin(struct monitor *monitor) {
  while (monitor->stdin_to >= 0 && monitor->stdin_length > 0) {
    ssize_t n = write(monitor->stdin_to, monitor->stdin_bytes, monitor->stdin_length);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) {
      monitor->stdin_length = 0;
      monitor->stdin_closing = true;
      break;
    }
    monitor->stdin_length -= (size_t)n;
    memmove(monitor->stdin_bytes, monitor->stdin_bytes + n, monitor->stdin_length);
  }
  /* A terminal is closed by hanging up, which is for the process's end alone. */
  if (monitor->stdin_to >= 0 && monitor->stdin_closing && monitor->stdin_length == 0 && !(monitor->flags & MONITOR_TERMINAL)) {
    close(monitor->stdin_to);
    monitor->stdin_to = -1;
  }
}

void close_stdin(struct monitor *monitor) {
  monitor->stdin_closing = true;
  flush_stdin(monitor);
}

void read_stdin_fifo(struct monitor *monitor) {
  uint8_t block[CHUNK_BYTES];
  size_t room = stdin_room(monitor);
  ssize_t n = read(monitor->stdin_from, block, room < sizeof block ? room : sizeof block);
  if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (n <= 0) {
    close(monitor->stdin_from);
    monitor->stdin_from = -1;
    close_stdin(monitor);
    return;
  }
  feed_stdin(monitor, block, (size_t)n);
}
