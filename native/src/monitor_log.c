/* The log in CRI's format: "2006-01-02T15:04:05.000000000Z stdout F line". P marks a piece of a line that goes on. */
#include "monitor.h"
#include <sys/uio.h>
#include <time.h>

int open_log(struct monitor *monitor) {
  if (!*monitor->log_path) return 0;
  int fd = open(monitor->log_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
  if (fd < 0) return -1;
  if (monitor->log >= 0) close(monitor->log);
  monitor->log = fd;
  return 0;
}

static void write_line(struct monitor *monitor, int index, char tag) {
  struct log_line *line = monitor->outputs[index].line;
  char head[64];
  struct timespec now;
  struct tm date;
  clock_gettime(CLOCK_REALTIME, &now);
  gmtime_r(&now.tv_sec, &date);
  int length = snprintf(head, sizeof head, "%04d-%02d-%02dT%02d:%02d:%02d.%09ldZ %s %c ", date.tm_year + 1900, date.tm_mon + 1,
                        date.tm_mday, date.tm_hour, date.tm_min, date.tm_sec, now.tv_nsec, index ? "stderr" : "stdout", tag);
  struct iovec parts[3] = {{head, (size_t)length}, {line->bytes, line->length}, {"\n", 1}};
  /* A log that cannot be written (a full disk) must not stop the container; the line is lost, as upstream loses it. */
  if (writev(monitor->log, parts, 3) < 0) {
  }
  line->length = 0;
}

void log_output(struct monitor *monitor, int index, const uint8_t *data, size_t length) {
  struct log_line *line = monitor->outputs[index].line;
  if (monitor->log < 0 || !line) return;
  while (length > 0) {
    const uint8_t *end = memchr(data, '\n', length);
    size_t piece = end ? (size_t)(end - data) : length;
    size_t room = LINE_BYTES_MAX - line->length;
    if (piece > room) {
      memcpy(line->bytes + line->length, data, room);
      line->length += room;
      data += room;
      length -= room;
      write_line(monitor, index, 'P');
      continue;
    }
    memcpy(line->bytes + line->length, data, piece);
    line->length += piece;
    data += piece;
    length -= piece;
    if (!end) break;
    write_line(monitor, index, 'F');
    data++;
    length--;
  }
}

void log_end(struct monitor *monitor, int index) {
  struct log_line *line = monitor->outputs[index].line;
  if (monitor->log >= 0 && line && line->length > 0) write_line(monitor, index, 'F');
}
