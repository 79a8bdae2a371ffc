/* Clients: wget and nslookup. Names are resolved by musl, which reads /etc/hosts and /etc/resolv.conf and asks over UDP by itself. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "hello.h"

int connect_to(const char *who, const char *host, const char *port, int timeout) {
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
  int problem = getaddrinfo(host, port, &hints, &found);
  if (problem != 0) {
    fprintf(stderr, "%s: bad address '%s'\n", who, host);
    return -1;
  }
  int fd = -1;
  for (struct addrinfo *at = found; at != NULL; at = at->ai_next) {
    fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) continue;
    int failure = 0;
    if (connect(fd, at->ai_addr, at->ai_addrlen) < 0) {
      failure = errno;
      if (failure == EINPROGRESS) {
        struct pollfd polled = {.fd = fd, .events = POLLOUT};
        socklen_t size = sizeof failure;
        if (poll(&polled, 1, timeout * 1000) <= 0)
          failure = ETIMEDOUT;
        else
          getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size);
      }
    }
    if (failure == 0) {
      fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
      struct timeval limit = {.tv_sec = timeout};
      setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
      break;
    }
    close(fd);
    fd = -1;
    errno = failure;
  }
  if (fd < 0) fprintf(stderr, "%s: can't connect to remote host (%s): %s\n", who, host, strerror(errno));
  freeaddrinfo(found);
  return fd;
}

struct url {
  char host[256], port[8], path[1024];
};

static int parse_url(const char *text, struct url *url) {
  if (strncasecmp(text, "http://", 7) == 0)
    text += 7;
  else if (strstr(text, "://") != NULL)
    return -1;
  size_t length = strcspn(text, "/?#");
  if (length >= sizeof url->host) return -1;
  memcpy(url->host, text, length);
  url->host[length] = '\0';
  snprintf(url->path, sizeof url->path, "%s%s", text[length] == '/' ? "" : "/", text + length);
  url->path[strcspn(url->path, "#")] = '\0';
  strcpy(url->port, "80");
  char *colon = strrchr(url->host, ':');
  if (colon != NULL && strchr(colon, ']') == NULL) {
    snprintf(url->port, sizeof url->port, "%s", colon + 1);
    *colon = '\0';
  }
  if (url->host[0] == '[') {
    memmove(url->host, url->host + 1, strlen(url->host));
    url->host[strcspn(url->host, "]")] = '\0';
  }
  return url->host[0] == '\0' ? -1 : 0;
}

/* The value of a header in the response's head, or null. */
static const char *header_value(const char *head, const char *name) {
  size_t length = strlen(name);
  for (const char *line = strstr(head, "\r\n"); line != NULL; line = strstr(line, "\r\n")) {
    line += 2;
    if (strncasecmp(line, name, length) == 0 && line[length] == ':') {
      line += length + 1;
      return line + strspn(line, " ");
    }
  }
  return NULL;
}

static int copy_chunked(FILE *in, FILE *out) {
  char line[64];
  while (fgets(line, sizeof line, in) != NULL) {
    unsigned long left = strtoul(line, NULL, 16);
    if (left == 0) return 0;
    char data[4096];
    while (left > 0) {
      size_t count = fread(data, 1, left < sizeof data ? left : sizeof data, in);
      if (count == 0) return -1;
      fwrite(data, 1, count, out);
      left -= count;
    }
    if (fgets(line, sizeof line, in) == NULL) return -1;
  }
  return -1;
}

/* Gets a URL; gives the address to go on at in `text` and returns 2 for a redirect. */
static int fetch(char *text, size_t text_size, const char *output, const char *post, const char *extra, int quiet, int show, int timeout) {
  struct url url;
  if (parse_url(text, &url) < 0) {
    fprintf(stderr, "wget: not an http URL: %s\n", text);
    return 1;
  }
  if (!quiet) fprintf(stderr, "Connecting to %s (%s:%s)\n", url.host, url.host, url.port);
  int fd = connect_to("wget", url.host, url.port, timeout);
  if (fd < 0) return 1;
  int plain_port = strcmp(url.port, "80") == 0;
  dprintf(fd, "%s %s HTTP/1.1\r\nHost: %s%s%s\r\nUser-Agent: Wget\r\nConnection: close\r\n%s", post ? "POST" : "GET", url.path, url.host,
          plain_port ? "" : ":", plain_port ? "" : url.port, extra);
  if (post != NULL)
    dprintf(fd, "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %zu\r\n\r\n%s", strlen(post), post);
  else
    dprintf(fd, "\r\n");
  FILE *in = fdopen(fd, "r");
  char head[16384];
  size_t filled = 0;
  while (filled < sizeof head - 1) {
    if (fgets(head + filled, sizeof head - filled, in) == NULL) {
      fprintf(stderr, "wget: error getting response: %s\n", ferror(in) ? strerror(errno) : "connection closed");
      fclose(in);
      return 1;
    }
    size_t length = strlen(head + filled);
    filled += length;
    if (length <= 2) break;
  }
  if (show) fputs(head, stderr);
  int status = 0;
  sscanf(head, "HTTP/%*s %d", &status);
  const char *location = header_value(head, "location");
  if (status >= 300 && status < 400 && location != NULL) {
    char next[1200];
    size_t length = strcspn(location, "\r\n");
    if (location[0] == '/')
      snprintf(next, sizeof next, "http://%s:%s%.*s", url.host, url.port, (int)length, location);
    else
      snprintf(next, sizeof next, "%.*s", (int)length, location);
    snprintf(text, text_size, "%s", next);
    fclose(in);
    return 2;
  }
  if (status < 200 || status > 299) {
    head[strcspn(head, "\r\n")] = '\0';
    fprintf(stderr, "wget: server returned error: %s\n", head);
    fclose(in);
    return 1;
  }
  const char *name = strrchr(url.path, '/') + 1;
  if (output == NULL) output = *name == '\0' ? "index.html" : name;
  FILE *out = strcmp(output, "-") == 0 ? stdout : fopen(output, "w");
  if (out == NULL) {
    fclose(in);
    return complain("wget", output);
  }
  const char *encoding = header_value(head, "transfer-encoding");
  const char *stated = header_value(head, "content-length");
  int result = 0;
  if (encoding != NULL && strncasecmp(encoding, "chunked", 7) == 0)
    result = copy_chunked(in, out) < 0;
  else {
    long long left = stated == NULL ? -1 : atoll(stated);
    char data[4096];
    while (left != 0) {
      size_t count = fread(data, 1, left > 0 && left < (long long)sizeof data ? (size_t)left : sizeof data, in);
      if (count == 0) break;
      fwrite(data, 1, count, out);
      if (left > 0) left -= count;
    }
    result = left > 0;
  }
  if (result != 0) fprintf(stderr, "wget: connection closed prematurely\n");
  if (out == stdout)
    fflush(stdout);
  else
    fclose(out);
  fclose(in);
  return result;
}

int wget_main(int argc, char **argv) {
  const char *output = NULL, *post = NULL;
  char url[1200] = "", extra[2048] = "";
  int quiet = 0, show = 0, timeout = 60;
  for (int i = 1; i < argc; i++) {
    char *argument = argv[i];
    if (strncmp(argument, "--timeout=", 10) == 0)
      timeout = atoi(argument + 10);
    else if (strncmp(argument, "--post-data=", 12) == 0)
      post = argument + 12;
    else if (strncmp(argument, "--header=", 9) == 0)
      snprintf(extra + strlen(extra), sizeof extra - strlen(extra), "%s\r\n", argument + 9);
    else if (strcmp(argument, "--quiet") == 0)
      quiet = 1;
    else if (strncmp(argument, "--tries", 7) == 0 || strcmp(argument, "--spider") == 0 || strcmp(argument, "--no-check-certificate") == 0)
      continue;
    else if (argument[0] == '-' && argument[1] != '\0' && argument[1] != '-') {
      for (char *flag = argument + 1; *flag != '\0'; flag++) {
        const char *value = flag[1] != '\0' ? flag + 1 : i + 1 < argc ? argv[i + 1] : "";
        if (*flag == 'q')
          quiet = 1;
        else if (*flag == 'S')
          show = 1;
        else if (*flag == 'O' || *flag == 'T' || *flag == 't') {
          if (*flag == 'O') output = value;
          if (*flag == 'T') timeout = atoi(value);
          if (flag[1] == '\0') i++;
          break;
        } else {
          fprintf(stderr, "wget: unrecognized option: %c\n", *flag);
          return 1;
        }
      }
    } else
      snprintf(url, sizeof url, "%s", argument);
  }
  if (url[0] == '\0') {
    fprintf(stderr, "Usage: wget [-qS] [-O FILE] [-T SECONDS] [--header=H] [--post-data=D] URL\n");
    return 1;
  }
  for (int redirects = 0; redirects < 6; redirects++) {
    int result = fetch(url, sizeof url, output, post, extra, quiet, show, timeout < 1 ? 1 : timeout);
    if (result != 2) return result;
  }
  fprintf(stderr, "wget: too many redirections\n");
  return 1;
}

int nslookup_main(int argc, char **argv) {
  if (argc < 2) {
    fprintf(stderr, "Usage: nslookup HOST\n");
    return 1;
  }
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
  int problem = getaddrinfo(argv[1], NULL, &hints, &found);
  if (problem != 0) {
    fprintf(stderr, "nslookup: can't resolve '%s': %s\n", argv[1], gai_strerror(problem));
    return 1;
  }
  printf("Name:\t%s\n", argv[1]);
  for (struct addrinfo *at = found; at != NULL; at = at->ai_next) {
    char text[64];
    getnameinfo(at->ai_addr, at->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST);
    printf("Address: %s\n", text);
  }
  freeaddrinfo(found);
  return 0;
}
