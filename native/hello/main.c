/* Chooses the applet by the name the program is called by; `hello NAME ARGS...` names it explicitly. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hello.h"

const struct applet applets[] = {
    {"[", test_main},       {"cat", cat_main},   {"chmod", chmod_main}, {"date", date_main},   {"echo", echo_main},
    {"env", env_main},      {"false", false_main}, {"grep", grep_main}, {"head", head_main},   {"hello", server_main},
    {"hostname", hostname_main}, {"id", id_main}, {"kill", kill_main},  {"ls", ls_main},       {"mkdir", mkdir_main},
    {"mv", mv_main},        {"nslookup", nslookup_main}, {"pause", pause_main}, {"ps", ps_main}, {"pwd", pwd_main},
    {"rm", rm_main},        {"sh", shell_main},  {"sleep", sleep_main}, {"stat", stat_main},   {"tail", tail_main},
    {"test", test_main},    {"touch", touch_main}, {"true", true_main}, {"wc", wc_main},       {"wget", wget_main},
    {NULL, NULL},
};

applet_main *find_applet(const char *name) {
  for (const struct applet *applet = applets; applet->name != NULL; applet++)
    if (strcmp(applet->name, name) == 0) return applet->main;
  return NULL;
}

int write_all(int fd, const void *data, size_t length) {
  const char *at = data;
  while (length > 0) {
    ssize_t count = write(fd, at, length);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return -1;
    at += count;
    length -= count;
  }
  return 0;
}

int complain(const char *who, const char *what) {
  fprintf(stderr, "%s: %s: %s\n", who, what, strerror(errno));
  return 1;
}

int main(int argc, char **argv) {
  const char *slash = strrchr(argv[0], '/');
  const char *name = slash == NULL ? argv[0] : slash + 1;
  if (*name == '-') name++;
  if (strcmp(name, "hello") == 0 && argc > 1) {
    applet_main *named = find_applet(argv[1]);
    if (named != NULL && named != server_main) return named(argc - 1, argv + 1);
  }
  applet_main *applet = find_applet(name);
  /* Under another name (`pause` is copied alone into a pod) it does what that name says, else it serves. */
  return (applet == NULL ? server_main : applet)(argc, argv);
}
