/* Messages between a container's init and its supervisor over a SOCK_SEQPACKET pair: one packet is one message. */
#include "helper.h"

int send_message(int socket, uint32_t type, uint32_t a, int32_t b, const char *text, int fd) {
  struct message message = {.type = type, .a = a, .b = b};
  size_t length = strnlen(text, sizeof message.text - 1);
  memcpy(message.text, text, length);
  length += offsetof(struct message, text) + 1;
  /* write(2) and read(2) are what every seccomp filter lets through. */
  return fd < 0 ? write_all(socket, &message, length) : send_fd(socket, &message, length, fd);
}

ssize_t receive_message(int socket, struct message *message, int *fd) {
  ssize_t n = receive_fd(socket, message, sizeof *message, fd);
  if (n <= 0) return n;
  if ((size_t)n <= offsetof(struct message, text)) {
    errno = EPROTO;
    return -1;
  }
  message->text[(size_t)n - offsetof(struct message, text) - 1] = 0;
  return n;
}
