/* A web page that says which container answered, and a log line for each request: enough to see scheduling, services and logs at work. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hello.h"

enum { clients_max = 256, head_bytes_max = 8192, idle_seconds = 15 };

struct client {
  int fd;
  time_t since;
  size_t filled;
  char peer[64];
  char head[head_bytes_max];
};

static volatile sig_atomic_t stopping;

static void stop(int signal) {
  (void)signal;
  stopping = 1;
}

static void log_line(const char *format, const char *a, const char *b, int status) {
  char when[32];
  time_t now = time(NULL);
  struct tm utc;
  strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
  printf("%s ", when);
  printf(format, a, b, status);
  putchar('\n');
  fflush(stdout);
}

static void answer(struct client *client) {
  char method[16] = "", target[256] = "", host[256] = "";
  sscanf(client->head, "%15s %255s", method, target);
  gethostname(host, sizeof host - 1);
  char *query = strchr(target, '?');
  if (query != NULL) *query = '\0';

  char body[1024];
  const char *type = "text/html; charset=utf-8";
  int status = 200;
  const char *message = getenv("MESSAGE");
  if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
    status = 405;
    type = "text/plain";
    strcpy(body, "method not allowed\n");
  } else if (strcmp(target, "/") == 0) {
    snprintf(body, sizeof body,
             "<!doctype html>\n<title>%s</title>\n<h1>Hello from %s</h1>\n<p>%.400s</p>\n", host, host,
             message == NULL ? "This page is served by a container that Wherry runs." : message);
  } else if (strcmp(target, "/healthz") == 0) {
    type = "text/plain";
    strcpy(body, "ok\n");
  } else if (strcmp(target, "/hostname") == 0) {
    type = "text/plain";
    snprintf(body, sizeof body, "%s\n", host);
  } else {
    status = 404;
    type = "text/plain";
    strcpy(body, "not found\n");
  }
  char response[2048];
  int length = snprintf(response, sizeof response,
                        "HTTP/1.1 %d %s\r\ncontent-type: %s\r\ncontent-length: %zu\r\nconnection: close\r\n\r\n%s", status,
                        status == 200 ? "OK" : status == 404 ? "Not Found" : "Method Not Allowed", type, strlen(body),
                        strcmp(method, "HEAD") == 0 ? "" : body);
  write_all(client->fd, response, length);
  char request[300];
  snprintf(request, sizeof request, "%s %s", method, target);
  log_line("%s \"%s\" %d", client->peer, request, status);
}

static void drop(struct client *client) {
  shutdown(client->fd, SHUT_WR);
  close(client->fd);
  client->fd = -1;
}

static int listen_on(int port) {
  int one = 1, zero = 0;
  int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  struct sockaddr_in6 any6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
  struct sockaddr_in any4 = {.sin_family = AF_INET, .sin_port = htons(port)};
  struct sockaddr *address = (struct sockaddr *)&any6;
  socklen_t size = sizeof any6;
  if (fd < 0) {
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    address = (struct sockaddr *)&any4;
    size = sizeof any4;
  } else
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (fd < 0 || bind(fd, address, size) < 0 || listen(fd, 128) < 0) return -1;
  return fd;
}

static void accept_client(int listener, struct client *clients) {
  struct sockaddr_storage peer;
  socklen_t size = sizeof peer;
  int fd = accept4(listener, (struct sockaddr *)&peer, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return;
  for (int i = 0; i < clients_max; i++) {
    struct client *client = &clients[i];
    if (client->fd >= 0) continue;
    client->fd = fd;
    client->filled = 0;
    client->since = time(NULL);
    if (getnameinfo((struct sockaddr *)&peer, size, client->peer, sizeof client->peer, NULL, 0, NI_NUMERICHOST) != 0)
      strcpy(client->peer, "-");
    if (strncmp(client->peer, "::ffff:", 7) == 0) memmove(client->peer, client->peer + 7, strlen(client->peer + 7) + 1);
    return;
  }
  close(fd);
}

static void serve(struct client *client) {
  ssize_t count = read(client->fd, client->head + client->filled, head_bytes_max - 1 - client->filled);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count <= 0) {
    drop(client);
    return;
  }
  client->filled += count;
  client->head[client->filled] = '\0';
  if (strstr(client->head, "\r\n\r\n") != NULL) {
    answer(client);
    drop(client);
  } else if (client->filled == head_bytes_max - 1)
    drop(client);
}

int server_main(int argc, char **argv) {
  const char *from_environment = getenv("PORT");
  int port = argc > 1 ? atoi(argv[1]) : from_environment != NULL ? atoi(from_environment) : 80;
  static struct client clients[clients_max];
  for (int i = 0; i < clients_max; i++) clients[i].fd = -1;
  struct sigaction action = {.sa_handler = stop};
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
  signal(SIGPIPE, SIG_IGN);
  int listener = listen_on(port);
  if (listener < 0) return complain("hello", "listen");
  char host[256] = "", where[16];
  gethostname(host, sizeof host - 1);
  snprintf(where, sizeof where, "%d", port);
  log_line("%s serves on port %s", host, where, 0);

  while (!stopping) {
    struct pollfd polled[clients_max + 1];
    int slots[clients_max + 1], count = 1;
    polled[0] = (struct pollfd){.fd = listener, .events = POLLIN};
    for (int i = 0; i < clients_max; i++)
      if (clients[i].fd >= 0) {
        slots[count] = i;
        polled[count++] = (struct pollfd){.fd = clients[i].fd, .events = POLLIN};
      }
    if (poll(polled, count, count > 1 ? idle_seconds * 1000 : -1) < 0 && errno != EINTR) return complain("hello", "poll");
    if (stopping) break;
    if (polled[0].revents) accept_client(listener, clients);
    for (int i = 1; i < count; i++) {
      struct client *client = &clients[slots[i]];
      if (polled[i].revents)
        serve(client);
      else if (time(NULL) - client->since > idle_seconds)
        drop(client);
    }
    while (waitpid(-1, NULL, WNOHANG) > 0) {
    }
  }
  log_line("%s stops%s", host, "", 0);
  return 0;
}

/* First process of a shared pid namespace: sleeps, and takes in the dead that nobody waits for. */
int pause_main(int argc, char **argv) {
  (void)argc;
  (void)argv;
  struct sigaction action = {.sa_handler = stop};
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGCHLD, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, NULL);
  for (;;) {
    int received;
    if (sigwait(&all, &received) != 0) continue;
    if (received == SIGTERM || received == SIGINT) return 0;
    while (waitpid(-1, NULL, WNOHANG) > 0) {
    }
  }
}
