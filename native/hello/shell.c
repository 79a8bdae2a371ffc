/* The tiny shell: `sh`, `sh -c TEXT`, `sh FILE`. Runs what shell_parse.c reads; there is no job control. */
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hello.h"
#include "shell.h"

enum { saved_from = 200, line_bytes_max = 1 << 20 };

struct shell shell;

static int run(struct node *node);
/* Above zero where a failure is an answer, and no reason for `set -e` to leave. */
static int tested;

static int run_tested(struct node *node) {
  tested++;
  int status = run(node);
  tested--;
  return status;
}

/* Traps: by signal number, 0 for EXIT. */
static char *traps[65];
static volatile sig_atomic_t pending[65];
static volatile sig_atomic_t anything_pending;

static void note_signal(int number) {
  pending[number] = 1;
  anything_pending = 1;
}

static void run_traps(void) {
  if (!anything_pending) return;
  anything_pending = 0;
  for (int i = 1; i < 65; i++) {
    if (!pending[i]) continue;
    pending[i] = 0;
    int status = shell.status;
    if (traps[i] != NULL) run_text(traps[i]);
    shell.status = status;
  }
}

static void leave(int status) {
  char *trap = traps[0];
  traps[0] = NULL;
  shell.status = status;
  if (trap != NULL && !shell.subshell) run_text(trap);
  fflush(stdout);
  exit(shell.status & 255);
}

static int exit_status(int status) {
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int wait_for(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) return 127;
  if (WIFSIGNALED(status) && shell.interactive && WTERMSIG(status) != SIGPIPE) fprintf(stderr, "%s\n", strsignal(WTERMSIG(status)));
  return exit_status(status);
}

/* A child of this shell: what was trapped takes its usual course again. */
static pid_t fork_child(void) {
  fflush(stdout);
  pid_t pid = fork();
  if (pid < 0) fprintf(stderr, "sh: can't fork: %s\n", strerror(errno));
  if (pid != 0) return pid;
  for (int i = 1; i < 65; i++)
    if (traps[i] != NULL) signal(i, *traps[i] == '\0' ? SIG_IGN : SIG_DFL);
  if (shell.interactive) {
    signal(SIGINT, SIG_DFL);
    signal(SIGQUIT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
  }
  shell.subshell = true;
  shell.interactive = false;
  return 0;
}

/* Redirects; `saved` remembers up to ten descriptors so that a builtin's can be put back. False when one failed. */
struct saved {
  int fd[10];
};

static void keep(struct saved *saved, int fd) {
  if (saved == NULL || fd > 9 || saved->fd[fd] != 0) return;
  int copy = fcntl(fd, F_DUPFD_CLOEXEC, saved_from);
  saved->fd[fd] = copy < 0 ? -1 : copy;
}

static void put_back(struct saved *saved) {
  fflush(stdout);
  for (int fd = 0; fd < 10; fd++) {
    if (saved->fd[fd] == 0) continue;
    if (saved->fd[fd] < 0) close(fd);
    else {
      dup2(saved->fd[fd], fd);
      close(saved->fd[fd]);
    }
  }
}

static bool redirect(const struct redirect *at, struct saved *saved) {
  if (at != NULL) fflush(stdout);
  for (; at != NULL; at = at->next) {
    char *target = expand_text(at->raw);
    keep(saved, at->fd);
    if (at->kind == REDIRECT_BOTH) keep(saved, 2);
    if (at->kind == REDIRECT_DUP) {
      if (strcmp(target, "-") == 0) close(at->fd);
      else if (dup2(atoi(target), at->fd) < 0) {
        fprintf(stderr, "sh: %s: %s\n", target, strerror(errno));
        return false;
      }
      continue;
    }
    int flags = at->kind == REDIRECT_IN ? O_RDONLY : O_WRONLY | O_CREAT | (at->kind == REDIRECT_APPEND ? O_APPEND : O_TRUNC);
    int fd = open(target, flags, 0666);
    if (fd < 0) {
      fprintf(stderr, "sh: can't %s %s: %s\n", at->kind == REDIRECT_IN ? "open" : "create", target, strerror(errno));
      return false;
    }
    if (fd != at->fd) {
      dup2(fd, at->fd);
      close(fd);
    }
    if (at->kind == REDIRECT_BOTH) dup2(at->fd, 2);
  }
  return true;
}

/* Builtins: what must happen in the shell itself. */
static int cd_builtin(int argc, char **argv) {
  const char *target = argc > 1 ? argv[1] : get_variable("HOME");
  if (target != NULL && strcmp(target, "-") == 0) target = get_variable("OLDPWD");
  char before[4096] = "", after[4096];
  if (getcwd(before, sizeof before) == NULL) before[0] = '\0';
  if (chdir(target == NULL ? "/" : target) < 0) {
    fprintf(stderr, "sh: cd: can't cd to %s: %s\n", target == NULL ? "/" : target, strerror(errno));
    return 1;
  }
  set_variable("OLDPWD", before, true);
  if (getcwd(after, sizeof after) != NULL) set_variable("PWD", after, true);
  return 0;
}

static int exit_builtin(int argc, char **argv) {
  leave(argc > 1 ? atoi(argv[1]) : shell.status);
  return 0;
}

static int export_builtin(int argc, char **argv) {
  if (argc == 1)
    for (char **at = exported_variables(); *at != NULL; at++) printf("export %s\n", *at);
  for (int i = 1; i < argc; i++) {
    char *equals = strchr(argv[i], '=');
    if (equals != NULL) *equals = '\0';
    if (!is_name(argv[i], strlen(argv[i]))) {
      fprintf(stderr, "sh: export: %s: bad variable name\n", argv[i]);
      return 1;
    }
    set_variable(argv[i], equals == NULL ? NULL : equals + 1, true);
  }
  return 0;
}

static int unset_builtin(int argc, char **argv) {
  for (int i = 1; i < argc; i++) unset_variable(argv[i]);
  return 0;
}

static int set_builtin(int argc, char **argv) {
  int i = 1;
  for (; i < argc && (argv[i][0] == '-' || argv[i][0] == '+') && argv[i][1] != '\0'; i++) {
    if (strcmp(argv[i], "--") == 0) {
      i++;
      break;
    }
    if (strchr(argv[i], 'e') != NULL) shell.exit_on_error = argv[i][0] == '-';
    if (strchr(argv[i], 'x') != NULL) shell.trace = argv[i][0] == '-';
    if (strchr(argv[i], 'o') != NULL) i++;
  }
  if (i == argc) return 0;
  shell.parameters = calloc((size_t)(argc - i) + 1, sizeof *shell.parameters);
  shell.parameters_count = argc - i;
  for (int at = 0; at < argc - i; at++) shell.parameters[at] = strdup(argv[i + at]);
  return 0;
}

static int shift_builtin(int argc, char **argv) {
  int count = argc > 1 ? atoi(argv[1]) : 1;
  if (count < 0 || count > shell.parameters_count) return 1;
  shell.parameters += count;
  shell.parameters_count -= count;
  return 0;
}

static int read_builtin(int argc, char **argv) {
  int first = argc > 1 && strcmp(argv[1], "-r") == 0 ? 2 : 1;
  char *line = take(4096), byte;
  size_t length = 0;
  ssize_t got;
  while ((got = read(0, &byte, 1)) == 1 && byte != '\n')
    if (length < 4095) line[length++] = byte;
  line[length] = '\0';
  for (int i = first; i < argc; i++) {
    line += strspn(line, " \t");
    size_t size = i + 1 < argc ? strcspn(line, " \t") : strlen(line);
    char *value = take_text(line, size);
    for (size_t end = size; i + 1 == argc && end > 0 && strchr(" \t", value[end - 1]) != NULL; end--) value[end - 1] = '\0';
    set_variable(argv[i], value, false);
    line += size;
  }
  return got == 1 ? 0 : 1;
}

static int signal_number(const char *name) {
  static const struct {
    const char *name;
    int number;
  } names[] = {{"EXIT", 0},       {"HUP", SIGHUP},   {"INT", SIGINT},   {"QUIT", SIGQUIT}, {"USR1", SIGUSR1},
               {"USR2", SIGUSR2}, {"TERM", SIGTERM}, {"CHLD", SIGCHLD}, {"ALRM", SIGALRM}};
  if (*name >= '0' && *name <= '9') return atoi(name);
  if (strncmp(name, "SIG", 3) == 0) name += 3;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcmp(names[i].name, name) == 0) return names[i].number;
  return -1;
}

static int trap_builtin(int argc, char **argv) {
  for (int i = 2; i < argc; i++) {
    int number = signal_number(argv[i]);
    if (number < 0 || number > 64) {
      fprintf(stderr, "sh: trap: %s: invalid signal specification\n", argv[i]);
      return 1;
    }
    free(traps[number]);
    bool reset = strcmp(argv[1], "-") == 0;
    traps[number] = reset ? NULL : strdup(argv[1]);
    struct sigaction action = {.sa_handler = reset ? SIG_DFL : argv[1][0] == '\0' ? SIG_IGN : note_signal};
    if (number > 0) sigaction(number, &action, NULL);
  }
  return 0;
}

static int wait_builtin(int argc, char **argv) {
  int status = 0;
  if (argc > 1) {
    pid_t pid = atoi(argv[1]);
    while (waitpid(pid, &status, 0) < 0) {
      if (errno != EINTR) return 127;
      if (anything_pending) return 130;
    }
    return exit_status(status);
  }
  for (;;) {
    if (waitpid(-1, &status, 0) >= 0) continue;
    if (errno != EINTR) return 0;
    if (anything_pending) return 130;
  }
}

static int leave_loop(int argc, char **argv) {
  if (shell.loops == 0) return 0;
  shell.leaving = argc > 1 ? atoi(argv[1]) : 1;
  shell.continuing = argv[0][0] == 'c';
  return 0;
}

static int umask_builtin(int argc, char **argv) {
  if (argc > 1) umask((mode_t)strtol(argv[1], NULL, 8));
  else {
    mode_t mask = umask(0);
    umask(mask);
    printf("%04o\n", mask);
  }
  return 0;
}

static int eval_builtin(int argc, char **argv) {
  size_t length = 1;
  for (int i = 1; i < argc; i++) length += strlen(argv[i]) + 1;
  char *text = take(length);
  text[0] = '\0';
  for (int i = 1; i < argc; i++) {
    if (i > 1) strcat(text, " ");
    strcat(text, argv[i]);
  }
  return run_text(text);
}

static int type_builtin(int argc, char **argv);

static const struct applet builtins[] = {
    {":", true_main},        {"[", test_main},        {"break", leave_loop},   {"cd", cd_builtin},       {"continue", leave_loop},
    {"echo", echo_main},     {"eval", eval_builtin},  {"exit", exit_builtin},  {"export", export_builtin}, {"false", false_main},
    {"kill", kill_main},     {"pwd", pwd_main},       {"read", read_builtin},  {"set", set_builtin},     {"shift", shift_builtin},
    {"test", test_main},     {"trap", trap_builtin},  {"true", true_main},     {"type", type_builtin},   {"umask", umask_builtin},
    {"unset", unset_builtin}, {"wait", wait_builtin}, {NULL, NULL},
};

static applet_main *find_builtin(const char *name) {
  for (const struct applet *at = builtins; at->name != NULL; at++)
    if (strcmp(at->name, name) == 0) return at->main;
  return NULL;
}

static int type_builtin(int argc, char **argv) {
  int result = 0;
  for (int i = 1; i < argc; i++) {
    char path[4096];
    const char *folder = get_variable("PATH");
    bool found = find_builtin(argv[i]) != NULL || strcmp(argv[i], "exec") == 0;
    if (found) printf("%s is a shell builtin\n", argv[i]);
    while (!found && folder != NULL && *folder != '\0') {
      size_t length = strcspn(folder, ":");
      snprintf(path, sizeof path, "%.*s/%s", (int)length, folder, argv[i]);
      found = access(path, X_OK) == 0;
      if (found) printf("%s is %s\n", argv[i], path);
      folder += length + (folder[length] == ':');
    }
    if (!found) {
      printf("%s: not found\n", argv[i]);
      result = 127;
    }
  }
  return result;
}

static int execute(char **argv) {
  extern char **environ;
  environ = exported_variables();
  fflush(stdout);
  execvp(argv[0], argv);
  int problem = errno;
  fprintf(stderr, "sh: %s: %s\n", argv[0], problem == ENOENT && strchr(argv[0], '/') == NULL ? "not found" : strerror(problem));
  return problem == ENOENT ? 127 : 126;
}

/* The length of the name of an assignment; 0 for any other word. */
static size_t assignment(const char *raw) {
  const char *equals = strchr(raw, '=');
  return equals != NULL && is_name(raw, (size_t)(equals - raw)) ? (size_t)(equals - raw) : 0;
}

static int run_simple(struct node *node) {
  struct word *words = node->words, *assignments = words;
  while (words != NULL && assignment(words->raw) > 0) words = words->next;
  int argc;
  /* What a substitution ended with is the status of a command without a name. */
  if (words == NULL) shell.status = 0;
  char **argv = expand_words(words, &argc);
  if (shell.trace && argc > 0) {
    fputc('+', stderr);
    for (int i = 0; i < argc; i++) fprintf(stderr, " %s", argv[i]);
    fputc('\n', stderr);
  }
  bool is_exec = argc > 0 && strcmp(argv[0], "exec") == 0;
  applet_main *builtin = argc == 0 ? NULL : find_builtin(argv[0]);
  if (argc == 0 || builtin != NULL || is_exec) {
    for (struct word *at = assignments; at != words; at = at->next) {
      size_t length = assignment(at->raw);
      set_variable(take_text(at->raw, length), expand_text(at->raw + length + 1), is_exec);
    }
    if (is_exec) {
      if (!redirect(node->redirects, NULL)) return 1;
      if (argc > 1) leave(execute(argv + 1));
      return 0;
    }
    struct saved saved = {0};
    int status = redirect(node->redirects, &saved) ? (builtin == NULL ? shell.status : builtin(argc, argv)) : 1;
    put_back(&saved);
    return status;
  }
  pid_t pid = fork_child();
  if (pid < 0) return 126;
  if (pid > 0) return wait_for(pid);
  for (struct word *at = assignments; at != words; at = at->next) {
    size_t length = assignment(at->raw);
    set_variable(take_text(at->raw, length), expand_text(at->raw + length + 1), true);
  }
  _exit(redirect(node->redirects, NULL) ? execute(argv) : 1);
}

/* Runs a node in a child that it owns. Does not come back. */
static void run_in_child(struct node *node) {
  int status = run(node);
  fflush(stdout);
  _exit(status & 255);
}

static int run_pipe(struct node *node) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return 126;
  pid_t left = fork_child();
  if (left == 0) {
    dup2(ends[1], 1);
    run_in_child(node->left);
  }
  pid_t right = fork_child();
  if (right == 0) {
    dup2(ends[0], 0);
    close(ends[0]);
    close(ends[1]);
    run_in_child(node->right);
  }
  close(ends[0]);
  close(ends[1]);
  int status = right > 0 ? wait_for(right) : 126;
  if (left > 0) wait_for(left);
  return status;
}

/* After a body: whether the loop goes on. */
static bool goes_on(void) {
  if (shell.leaving == 0) return true;
  if (--shell.leaving > 0) return false;
  bool again = shell.continuing;
  shell.continuing = false;
  return again;
}

static int run_loop(struct node *node) {
  int status = 0;
  shell.loops++;
  for (;;) {
    int condition = run_tested(node->left);
    if (shell.leaving > 0 || (condition == 0) != (node->kind == NODE_WHILE)) break;
    status = run(node->right);
    if (!goes_on()) break;
  }
  shell.loops--;
  return status;
}

static int run_for(struct node *node) {
  int count, status = 0;
  char **items = shell.parameters;
  if (node->has_words) items = expand_words(node->words, &count);
  else count = shell.parameters_count;
  shell.loops++;
  for (int i = 0; i < count; i++) {
    set_variable(node->name, items[i], false);
    status = run(node->left);
    if (!goes_on()) break;
  }
  shell.loops--;
  return status;
}

static int run_case(struct node *node) {
  char *subject = expand_text(node->words->raw);
  for (struct node *branch = node->rest; branch != NULL; branch = branch->rest)
    for (struct word *pattern = branch->words; pattern != NULL; pattern = pattern->next)
      if (fnmatch(expand_pattern(pattern->raw), subject, 0) == 0) return branch->left == NULL ? 0 : run(branch->left);
  return 0;
}

static int run_background(struct node *node) {
  pid_t pid = fork_child();
  if (pid < 0) return 126;
  if (pid == 0) {
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null >= 0 && isatty(0)) dup2(null, 0);
    signal(SIGINT, SIG_IGN);
    run_in_child(node->left);
  }
  shell.last_background = pid;
  return 0;
}

static int run_compound(struct node *node) {
  pid_t pid;
  switch (node->kind) {
    case NODE_SUBSHELL:
      pid = fork_child();
      if (pid < 0) return 126;
      if (pid == 0) run_in_child(node->left);
      return wait_for(pid);
    case NODE_GROUP:
      return run(node->left);
    case NODE_IF:
      return run_tested(node->left) == 0 ? run(node->right) : node->rest == NULL ? 0 : run(node->rest);
    case NODE_WHILE:
    case NODE_UNTIL:
      return run_loop(node);
    case NODE_FOR:
      return run_for(node);
    case NODE_CASE:
      return run_case(node);
    default:
      return 2;
  }
}

static int run(struct node *node) {
  int status;
  if (shell.leaving > 0) return 0;
  memory_mark mark = mark_memory();
  switch (node->kind) {
    case NODE_COMMAND:
      status = run_simple(node);
      break;
    case NODE_PIPE:
      status = run_pipe(node);
      break;
    case NODE_AND:
    case NODE_OR:
      status = run_tested(node->left);
      if (shell.leaving == 0 && (status == 0) == (node->kind == NODE_AND)) status = run(node->right);
      break;
    case NODE_SEQUENCE:
      run(node->left);
      status = run(node->right);
      break;
    case NODE_BACKGROUND:
      status = run_background(node);
      break;
    case NODE_NOT:
      status = !run_tested(node->left);
      break;
    default: {
      struct saved saved = {0};
      status = redirect(node->redirects, &saved) ? run_compound(node) : 1;
      put_back(&saved);
    }
  }
  release_memory(mark);
  shell.status = status;
  if (status != 0 && shell.exit_on_error && tested == 0 && (node->kind == NODE_COMMAND || node->kind == NODE_PIPE)) leave(status);
  run_traps();
  return status;
}

/* Runs whole lines; gives PARSE_INCOMPLETE when `text` ends inside something, with `*text` at its beginning. */
static enum parse_result run_lines(const char **text) {
  for (;;) {
    char message[128];
    struct node *node;
    memory_mark mark = mark_memory();
    const char *at = *text;
    enum parse_result result = parse_line(&at, &node, message, sizeof message);
    if (result == PARSE_OK) run(node);
    release_memory(mark);
    if (result == PARSE_INCOMPLETE) return result;
    if (result == PARSE_ERROR) {
      fprintf(stderr, "sh: %s\n", message);
      shell.status = 2;
      return result;
    }
    *text = at;
    if (result == PARSE_EMPTY) return result;
  }
}

int run_text(const char *text) {
  if (run_lines(&text) == PARSE_INCOMPLETE) {
    fprintf(stderr, "sh: syntax error: unexpected end of file\n");
    shell.status = 2;
  }
  return shell.status;
}

char *run_capture(const char *text, size_t length) {
  int ends[2];
  char *command = take_text(text, length);
  if (pipe2(ends, O_CLOEXEC) < 0) return take_text("", 0);
  pid_t pid = fork_child();
  if (pid == 0) {
    dup2(ends[1], 1);
    close(ends[0]);
    close(ends[1]);
    run_text(command);
    fflush(stdout);
    _exit(shell.status & 255);
  }
  close(ends[1]);
  size_t size = 1024, filled = 0;
  char *output = take(size);
  for (;;) {
    ssize_t count = read(ends[0], output + filled, size - 1 - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    filled += (size_t)count;
    if (filled < size - 1) continue;
    char *larger = take(size * 2);
    memcpy(larger, output, filled);
    output = larger;
    size *= 2;
  }
  close(ends[0]);
  if (pid > 0) shell.status = wait_for(pid);
  while (filled > 0 && output[filled - 1] == '\n') filled--;
  output[filled] = '\0';
  return output;
}

static void prompt(bool continued) {
  char path[4096];
  if (!shell.interactive) return;
  if (continued) fputs("> ", stderr);
  else fprintf(stderr, "%s %c ", getcwd(path, sizeof path) == NULL ? "?" : path, geteuid() == 0 ? '#' : '$');
}

/* Reads and runs line by line, since a line may change how the next one is read. One byte at a time: what a command shall read stays. */
static void run_input(int fd) {
  char *text = malloc(line_bytes_max + 1);
  size_t length = 0;
  if (text == NULL) return;
  for (prompt(false);;) {
    char byte;
    ssize_t count = read(fd, &byte, 1);
    if (count < 0 && errno == EINTR) {
      /* Ctrl-C drops the line that was begun. */
      run_traps();
      if (shell.interactive) {
        fputc('\n', stderr);
        length = 0;
        prompt(false);
      }
      continue;
    }
    if (count == 1 && length < line_bytes_max) text[length++] = byte;
    if (count == 1 && byte != '\n') continue;
    text[length] = '\0';
    const char *rest = text;
    enum parse_result result = run_lines(&rest);
    fflush(stdout);
    if (count <= 0) {
      if (result == PARSE_INCOMPLETE) run_text(rest);
      break;
    }
    if (result == PARSE_ERROR && !shell.interactive) break;
    if (result == PARSE_INCOMPLETE) {
      length = strlen(rest);
      memmove(text, rest, length);
    } else {
      length = 0;
    }
    prompt(length > 0);
  }
  free(text);
}

int shell_main(int argc, char **argv) {
  extern char **environ;
  for (char **at = environ; *at != NULL; at++) {
    char *equals = strchr(*at, '=');
    if (equals == NULL) continue;
    char *name = strndup(*at, (size_t)(equals - *at));
    set_variable(name, equals + 1, true);
    free(name);
  }
  if (get_variable("PATH") == NULL) set_variable("PATH", "/bin", true);
  shell.name = argv[0];
  const char *command = NULL;
  bool wants_input = false;
  int i = 1;
  for (; i < argc && argv[i][0] == '-' && argv[i][1] != '\0'; i++) {
    if (strcmp(argv[i], "--") == 0) {
      i++;
      break;
    }
    for (const char *flag = argv[i] + 1; *flag != '\0'; flag++) {
      if (*flag == 'c') command = "";
      else if (*flag == 'e') shell.exit_on_error = true;
      else if (*flag == 'x') shell.trace = true;
      else if (*flag == 'i') shell.interactive = true;
      else if (*flag == 's') wants_input = true;
    }
  }
  if (command != NULL) {
    if (i >= argc) {
      fprintf(stderr, "sh: -c requires an argument\n");
      return 2;
    }
    command = argv[i++];
  }
  int fd = 0;
  if (i < argc && !wants_input) {
    shell.name = argv[i++];
    if (command == NULL && (fd = open(shell.name, O_RDONLY | O_CLOEXEC)) < 0) {
      fprintf(stderr, "sh: can't open '%s': %s\n", shell.name, strerror(errno));
      return 127;
    }
  }
  shell.parameters = argv + i;
  shell.parameters_count = argc - i;
  if (command != NULL) leave(run_text(command));
  if (fd == 0 && isatty(0) && isatty(2)) shell.interactive = true;
  if (shell.interactive) {
    sigaction(SIGINT, &(struct sigaction){.sa_handler = note_signal}, NULL);
    signal(SIGQUIT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
  }
  run_input(fd);
  if (shell.interactive) fputc('\n', stderr);
  leave(shell.status);
  return 0;
}
