/* The built-in image's one program: what its files share. Each applet is a main of its own, chosen by the name it is called by. */
#ifndef HELLO_H
#define HELLO_H

#include <stddef.h>

typedef int applet_main(int argc, char **argv);

struct applet {
  const char *name;
  applet_main *main;
};

/* Ends with a null name. */
extern const struct applet applets[];
applet_main *find_applet(const char *name);

applet_main server_main, shell_main, wget_main, nslookup_main, pause_main;
applet_main cat_main, chmod_main, date_main, echo_main, env_main, false_main, grep_main, head_main, hostname_main, id_main, kill_main,
    ls_main, mkdir_main, mv_main, ps_main, pwd_main, rm_main, sleep_main, stat_main, tail_main, test_main, touch_main, true_main,
    wc_main;

/* Writes all of it; -1 when that failed. */
int write_all(int fd, const void *data, size_t length);
/* Says `who: what: why` (errno's text) on standard error and returns 1. */
int complain(const char *who, const char *what);
/* Opens a TCP connection by name; says why not and returns -1. `timeout` in seconds. */
int connect_to(const char *who, const char *host, const char *port, int timeout);

#endif
