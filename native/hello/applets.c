/* The small everyday programs, as far as one needs them to look around in a container. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "hello.h"

int true_main(int argc, char **argv) {
  (void)argc;
  (void)argv;
  return 0;
}

int false_main(int argc, char **argv) {
  (void)argc;
  (void)argv;
  return 1;
}

static int copy_fd(int in, int out) {
  char data[65536];
  for (;;) {
    ssize_t count = read(in, data, sizeof data);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return count < 0 ? -1 : 0;
    if (write_all(out, data, count) < 0) return -1;
  }
}

int cat_main(int argc, char **argv) {
  int result = 0;
  if (argc < 2) return copy_fd(0, 1) < 0 ? complain("cat", "-") : 0;
  for (int i = 1; i < argc; i++) {
    int fd = strcmp(argv[i], "-") == 0 ? 0 : open(argv[i], O_RDONLY | O_CLOEXEC);
    if (fd < 0 || copy_fd(fd, 1) < 0) result = complain("cat", argv[i]);
    if (fd > 0) close(fd);
  }
  return result;
}

int echo_main(int argc, char **argv) {
  int newline = 1, escapes = 0, i = 1;
  for (; i < argc && argv[i][0] == '-' && argv[i][1] != '\0' && strspn(argv[i] + 1, "neE") == strlen(argv[i] + 1); i++) {
    if (strchr(argv[i], 'n') != NULL) newline = 0;
    if (strchr(argv[i], 'e') != NULL) escapes = 1;
  }
  for (; i < argc; i++) {
    for (const char *at = argv[i]; *at != '\0'; at++) {
      if (!escapes || *at != '\\' || at[1] == '\0') {
        putchar(*at);
        continue;
      }
      at++;
      const char *codes = "nt\\rab0", *values = "\n\t\\\r\a\b";
      const char *code = strchr(codes, *at);
      if (code == NULL) {
        putchar('\\');
        putchar(*at);
      } else if (*code == '0') {
        int octal = 0, digits = 0;
        while (digits++ < 3 && at[1] >= '0' && at[1] <= '7') octal = octal * 8 + (*++at - '0');
        putchar(octal);
      } else
        putchar(values[code - codes]);
    }
    if (i + 1 < argc) putchar(' ');
  }
  if (newline) putchar('\n');
  return fflush(stdout) == 0 ? 0 : 1;
}

extern char **environ;

int env_main(int argc, char **argv) {
  int i = 1;
  for (; i < argc && strchr(argv[i], '=') != NULL; i++) putenv(argv[i]);
  if (i < argc) {
    execvp(argv[i], argv + i);
    complain("env", argv[i]);
    return errno == ENOENT ? 127 : 126;
  }
  for (char **at = environ; *at != NULL; at++) puts(*at);
  return 0;
}

int hostname_main(int argc, char **argv) {
  char name[256] = "";
  if (argc > 1 && argv[1][0] != '-') return sethostname(argv[1], strlen(argv[1])) < 0 ? complain("hostname", argv[1]) : 0;
  gethostname(name, sizeof name - 1);
  puts(name);
  return 0;
}

int sleep_main(int argc, char **argv) {
  double seconds = 0;
  if (argc < 2) {
    fprintf(stderr, "Usage: sleep SECONDS[smhd]...\n");
    return 1;
  }
  for (int i = 1; i < argc; i++) {
    char *unit;
    double value = strcmp(argv[i], "infinity") == 0 ? 1e9 : strtod(argv[i], &unit);
    if (value < 1e9) value *= *unit == 'm' ? 60 : *unit == 'h' ? 3600 : *unit == 'd' ? 86400 : 1;
    seconds += value;
  }
  struct timespec left = {.tv_sec = (time_t)seconds, .tv_nsec = (long)((seconds - (time_t)seconds) * 1e9)};
  /* As the first process of a container it would not hear SIGTERM otherwise. */
  if (getpid() == 1) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int received = sigtimedwait(&set, NULL, &left);
    return received > 0 ? 128 + received : 0;
  }
  while (nanosleep(&left, &left) < 0 && errno == EINTR) {
  }
  return 0;
}

int pwd_main(int argc, char **argv) {
  (void)argc;
  (void)argv;
  char path[4096];
  if (getcwd(path, sizeof path) == NULL) return complain("pwd", ".");
  puts(path);
  return 0;
}

static void mode_text(mode_t mode, char *text) {
  const char *letters = "rwxrwxrwx";
  text[0] = S_ISDIR(mode) ? 'd' : S_ISLNK(mode) ? 'l' : S_ISCHR(mode) ? 'c' : S_ISBLK(mode) ? 'b' : S_ISFIFO(mode) ? 'p' : S_ISSOCK(mode) ? 's' : '-';
  for (int i = 0; i < 9; i++) text[i + 1] = mode & (1 << (8 - i)) ? letters[i] : '-';
  if (mode & S_ISUID) text[3] = text[3] == 'x' ? 's' : 'S';
  if (mode & S_ISGID) text[6] = text[6] == 'x' ? 's' : 'S';
  if (mode & S_ISVTX) text[9] = text[9] == 'x' ? 't' : 'T';
  text[10] = '\0';
}

static int list_entry(const char *path, const char *name, int detailed) {
  if (!detailed) {
    puts(name);
    return 0;
  }
  struct stat stat;
  if (lstat(path, &stat) < 0) return complain("ls", path);
  char mode[11], when[32], target[4096] = "";
  mode_text(stat.st_mode, mode);
  strftime(when, sizeof when, "%b %e %H:%M", localtime(&stat.st_mtime));
  struct passwd *user = getpwuid(stat.st_uid);
  struct group *group = getgrgid(stat.st_gid);
  char uid[16], gid[16], size[32];
  snprintf(uid, sizeof uid, "%u", stat.st_uid);
  snprintf(gid, sizeof gid, "%u", stat.st_gid);
  if (S_ISCHR(stat.st_mode) || S_ISBLK(stat.st_mode))
    snprintf(size, sizeof size, "%u, %u", major(stat.st_rdev), minor(stat.st_rdev));
  else
    snprintf(size, sizeof size, "%lld", (long long)stat.st_size);
  if (S_ISLNK(stat.st_mode)) {
    ssize_t length = readlink(path, target, sizeof target - 1);
    target[length < 0 ? 0 : length] = '\0';
  }
  printf("%s %4lu %-8s %-8s %9s %s %s%s%s\n", mode, (unsigned long)stat.st_nlink, user ? user->pw_name : uid, group ? group->gr_name : gid,
         size, when, name, target[0] ? " -> " : "", target);
  return 0;
}

static int list_path(const char *path, int detailed, int all, int self) {
  struct stat found;
  if (lstat(path, &found) < 0) return complain("ls", path);
  int folder = !self && fstatat(AT_FDCWD, path, &found, 0) == 0 && S_ISDIR(found.st_mode);
  if (!folder) return list_entry(path, path, detailed);
  struct dirent **entries;
  int count = scandir(path, &entries, NULL, alphasort);
  if (count < 0) return complain("ls", path);
  int result = 0;
  for (int i = 0; i < count; i++) {
    const char *name = entries[i]->d_name;
    char full[8192];
    snprintf(full, sizeof full, "%s/%s", path, name);
    if (name[0] != '.' || all == 2 || (all == 1 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0)) result |= list_entry(full, name, detailed);
    free(entries[i]);
  }
  free(entries);
  return result;
}

int ls_main(int argc, char **argv) {
  int detailed = 0, all = 0, self = 0, first = 1, result = 0;
  for (; first < argc && argv[first][0] == '-' && argv[first][1] != '\0'; first++) {
    if (strchr(argv[first], 'l') != NULL) detailed = 1;
    if (strchr(argv[first], 'A') != NULL) all = 1;
    if (strchr(argv[first], 'a') != NULL) all = 2;
    if (strchr(argv[first], 'd') != NULL) self = 1;
  }
  if (first == argc) return list_path(".", detailed, all, self);
  for (int i = first; i < argc; i++) {
    if (argc - first > 1 && !self) printf("%s%s:\n", i > first ? "\n" : "", argv[i]);
    result |= list_path(argv[i], detailed, all, self);
  }
  return result;
}

int id_main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "-u") == 0) return printf("%u\n", geteuid()) < 0;
  if (argc > 1 && strcmp(argv[1], "-g") == 0) return printf("%u\n", getegid()) < 0;
  struct passwd *user = getpwuid(geteuid());
  struct group *group = getgrgid(getegid());
  printf("uid=%u", geteuid());
  if (user != NULL) printf("(%s)", user->pw_name);
  printf(" gid=%u", getegid());
  if (group != NULL) printf("(%s)", group->gr_name);
  gid_t groups[256];
  int count = getgroups(256, groups);
  for (int i = 0; i < count; i++) {
    struct group *other = getgrgid(groups[i]);
    printf("%s%u", i == 0 ? " groups=" : ",", groups[i]);
    if (other != NULL) printf("(%s)", other->gr_name);
  }
  putchar('\n');
  return 0;
}

int kill_main(int argc, char **argv) {
  static const struct {
    const char *name;
    int number;
  } names[] = {{"HUP", SIGHUP}, {"INT", SIGINT}, {"QUIT", SIGQUIT}, {"KILL", SIGKILL}, {"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"TERM", SIGTERM}, {"STOP", SIGSTOP}, {"CONT", SIGCONT}};
  int number = SIGTERM, i = 1, result = 0;
  if (i < argc && argv[i][0] == '-') {
    const char *name = argv[i][1] == 's' && argv[i][2] == '\0' && i + 1 < argc ? argv[++i] : argv[i] + 1;
    number = atoi(name);
    if (strncmp(name, "SIG", 3) == 0) name += 3;
    for (size_t at = 0; at < sizeof names / sizeof names[0]; at++)
      if (strcmp(names[at].name, name) == 0) number = names[at].number;
    i++;
  }
  for (; i < argc; i++)
    if (kill(atoi(argv[i]), number) < 0) result = complain("kill", argv[i]);
  return result;
}

int ps_main(int argc, char **argv) {
  (void)argc;
  (void)argv;
  struct dirent **entries;
  int count = scandir("/proc", &entries, NULL, versionsort);
  if (count < 0) return complain("ps", "/proc");
  puts("PID   USER     COMMAND");
  for (int i = 0; i < count; i++) {
    int pid = atoi(entries[i]->d_name);
    char path[64], command[1024];
    snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
    free(entries[i]);
    if (pid == 0) continue;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) continue;
    struct stat stat;
    fstat(fd, &stat);
    ssize_t length = read(fd, command, sizeof command - 1);
    close(fd);
    if (length <= 0) continue;
    for (ssize_t at = 0; at < length - 1; at++)
      if (command[at] == '\0') command[at] = ' ';
    command[length] = '\0';
    struct passwd *user = getpwuid(stat.st_uid);
    if (user != NULL)
      printf("%5d %-8s %s\n", pid, user->pw_name, command);
    else
      printf("%5d %-8u %s\n", pid, stat.st_uid, command);
  }
  free(entries);
  return 0;
}

int mkdir_main(int argc, char **argv) {
  int parents = 0, result = 0;
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "-p") == 0) {
      parents = 1;
      continue;
    }
    if (parents)
      for (char *slash = strchr(argv[i] + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(argv[i], 0777);
        *slash = '/';
      }
    if (mkdir(argv[i], 0777) < 0 && !(parents && errno == EEXIST)) result = complain("mkdir", argv[i]);
  }
  return result;
}

static int remove_path(const char *path, int recursive, int force) {
  if (unlink(path) == 0 || (force && errno == ENOENT)) return 0;
  if (!recursive || (errno != EISDIR && errno != EPERM)) return complain("rm", path);
  struct dirent **entries;
  int count = scandir(path, &entries, NULL, NULL), result = 0;
  for (int i = 0; i < count; i++) {
    char full[8192];
    snprintf(full, sizeof full, "%s/%s", path, entries[i]->d_name);
    if (strcmp(entries[i]->d_name, ".") != 0 && strcmp(entries[i]->d_name, "..") != 0) result |= remove_path(full, 1, force);
    free(entries[i]);
  }
  if (count >= 0) free(entries);
  return rmdir(path) < 0 ? complain("rm", path) : result;
}

int rm_main(int argc, char **argv) {
  int recursive = 0, force = 0, result = 0;
  for (int i = 1; i < argc; i++) {
    if (argv[i][0] == '-' && argv[i][1] != '\0') {
      if (strpbrk(argv[i], "rR") != NULL) recursive = 1;
      if (strchr(argv[i], 'f') != NULL) force = 1;
    } else
      result |= remove_path(argv[i], recursive, force);
  }
  return result;
}

int mv_main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "Usage: mv SOURCE TARGET\n");
    return 1;
  }
  return rename(argv[1], argv[2]) < 0 ? complain("mv", argv[1]) : 0;
}

int chmod_main(int argc, char **argv) {
  int result = 0;
  for (int i = 2; i < argc; i++)
    if (chmod(argv[i], strtol(argv[1], NULL, 8)) < 0) result = complain("chmod", argv[i]);
  return result;
}

int touch_main(int argc, char **argv) {
  int result = 0;
  for (int i = 1; i < argc; i++) {
    int fd = open(argv[i], O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);
    if (fd < 0 || futimens(fd, NULL) < 0) result = complain("touch", argv[i]);
    if (fd >= 0) close(fd);
  }
  return result;
}

int stat_main(int argc, char **argv) {
  int result = 0;
  for (int i = 1; i < argc; i++) {
    struct stat stat;
    char mode[11];
    if (lstat(argv[i], &stat) < 0) {
      result = complain("stat", argv[i]);
      continue;
    }
    mode_text(stat.st_mode, mode);
    printf("%s %04o %u:%u %lld %s\n", mode, stat.st_mode & 07777, stat.st_uid, stat.st_gid, (long long)stat.st_size, argv[i]);
  }
  return result;
}

int date_main(int argc, char **argv) {
  char text[256];
  time_t now = time(NULL);
  strftime(text, sizeof text, argc > 1 && argv[1][0] == '+' ? argv[1] + 1 : "%a %b %e %H:%M:%S %Z %Y", localtime(&now));
  puts(text);
  return 0;
}

static int with_lines(const char *who, int argc, char **argv, int first, int (*work)(FILE *, const void *), const void *with) {
  int result = 1;
  if (first >= argc) return work(stdin, with);
  for (int i = first; i < argc; i++) {
    FILE *in = fopen(argv[i], "r");
    if (in == NULL) {
      complain(who, argv[i]);
      continue;
    }
    if (work(in, with) == 0) result = 0;
    fclose(in);
  }
  return result;
}

/* `-n N` or `-N`; leaves `first` at the first file. */
static int line_count(int argc, char **argv, int *first) {
  int count = 10;
  for (*first = 1; *first < argc && argv[*first][0] == '-' && argv[*first][1] != '\0'; ++*first) {
    const char *option = argv[*first];
    if (strcmp(option, "-n") == 0 && *first + 1 < argc)
      count = atoi(argv[++*first]);
    else if (option[1] == 'n')
      count = atoi(option + 2);
    else if (atoi(option + 1) > 0)
      count = atoi(option + 1);
  }
  return count;
}

static int head_work(FILE *in, const void *with) {
  int left = *(const int *)with, byte;
  while (left > 0 && (byte = getc(in)) != EOF) {
    putchar(byte);
    if (byte == '\n') left--;
  }
  return 0;
}

int head_main(int argc, char **argv) {
  int first, count = line_count(argc, argv, &first);
  return with_lines("head", argc, argv, first, head_work, &count);
}

static int tail_work(FILE *in, const void *with) {
  enum { lines_max = 10000 };
  static char *lines[lines_max];
  int wanted = *(const int *)with, count = 0;
  if (wanted > lines_max) wanted = lines_max;
  char *line = NULL;
  size_t size = 0;
  while (wanted > 0 && getline(&line, &size, in) >= 0) {
    free(lines[count % wanted]);
    lines[count++ % wanted] = strdup(line);
  }
  for (int i = count > wanted ? count - wanted : 0; i < count; i++) {
    fputs(lines[i % wanted], stdout);
    free(lines[i % wanted]);
    lines[i % wanted] = NULL;
  }
  free(line);
  return 0;
}

int tail_main(int argc, char **argv) {
  int first, count = line_count(argc, argv, &first);
  int follow = 0;
  for (int i = 1; i < first; i++)
    if (strpbrk(argv[i], "fF") != NULL && argv[i][0] == '-') follow = 1;
  int result = with_lines("tail", argc, argv, first, tail_work, &count);
  if (!follow || first >= argc) return result;
  FILE *in = fopen(argv[first], "r");
  if (in == NULL) {
    /* `tail -f /dev/null` keeps a container alive; anything that cannot be opened ends. */
    return result;
  }
  fseek(in, 0, SEEK_END);
  signal(SIGTERM, SIG_DFL);
  for (;;) {
    int byte;
    while ((byte = getc(in)) != EOF) putchar(byte);
    fflush(stdout);
    clearerr(in);
    sleep_main(2, (char *[]){"sleep", "0.5", NULL});
  }
}

struct grep_options {
  const char *text;
  int invert, quiet, count, fold;
};

static int grep_work(FILE *in, const void *with) {
  const struct grep_options *options = with;
  char *line = NULL;
  size_t size = 0;
  int matches = 0;
  ssize_t length;
  while ((length = getline(&line, &size, in)) >= 0) {
    int found = (options->fold ? strcasestr(line, options->text) : strstr(line, options->text)) != NULL;
    if (found == options->invert) continue;
    matches++;
    if (options->quiet) break;
    if (!options->count) fputs(line, stdout);
  }
  free(line);
  if (options->count) printf("%d\n", matches);
  return matches == 0;
}

/* Fixed strings only. */
int grep_main(int argc, char **argv) {
  struct grep_options options = {0};
  int first = 1;
  for (; first < argc && argv[first][0] == '-' && argv[first][1] != '\0'; first++) {
    if (strchr(argv[first], 'v') != NULL) options.invert = 1;
    if (strchr(argv[first], 'q') != NULL) options.quiet = 1;
    if (strchr(argv[first], 'c') != NULL) options.count = 1;
    if (strchr(argv[first], 'i') != NULL) options.fold = 1;
  }
  if (first >= argc) {
    fprintf(stderr, "Usage: grep [-ciqv] TEXT [FILE]...\n");
    return 2;
  }
  options.text = argv[first];
  return with_lines("grep", argc, argv, first + 1, grep_work, &options);
}

static int wc_work(FILE *in, const void *with) {
  (void)with;
  long lines = 0, words = 0, bytes = 0;
  int byte, inside = 0;
  while ((byte = getc(in)) != EOF) {
    bytes++;
    if (byte == '\n') lines++;
    int blank = byte == ' ' || byte == '\n' || byte == '\t' || byte == '\r';
    if (!blank && !inside) words++;
    inside = !blank;
  }
  const char *which = with;
  if (strcmp(which, "-l") == 0)
    printf("%ld\n", lines);
  else if (strcmp(which, "-w") == 0)
    printf("%ld\n", words);
  else if (strcmp(which, "-c") == 0)
    printf("%ld\n", bytes);
  else
    printf("%7ld %7ld %7ld\n", lines, words, bytes);
  return 0;
}

int wc_main(int argc, char **argv) {
  int option = argc > 1 && argv[1][0] == '-' && argv[1][1] != '\0';
  return with_lines("wc", argc, argv, option ? 2 : 1, wc_work, option ? argv[1] : "");
}

static int test_unary(const char *operator, const char *value) {
  struct stat stat;
  switch (operator[1]) {
    case 'z': return value[0] == '\0';
    case 'n': return value[0] != '\0';
    case 'r': return access(value, R_OK) == 0;
    case 'w': return access(value, W_OK) == 0;
    case 'x': return access(value, X_OK) == 0;
    case 'L':
    case 'h': return lstat(value, &stat) == 0 && S_ISLNK(stat.st_mode);
    case 't': return isatty(atoi(value));
  }
  if (fstatat(AT_FDCWD, value, &stat, 0) < 0) return 0;
  switch (operator[1]) {
    case 'e': return 1;
    case 'f': return S_ISREG(stat.st_mode);
    case 'd': return S_ISDIR(stat.st_mode);
    case 's': return stat.st_size > 0;
    case 'S': return S_ISSOCK(stat.st_mode);
    case 'p': return S_ISFIFO(stat.st_mode);
    case 'c': return S_ISCHR(stat.st_mode);
    case 'b': return S_ISBLK(stat.st_mode);
  }
  return -1;
}

static int test_binary(const char *left, const char *operator, const char *right) {
  if (strcmp(operator, "=") == 0 || strcmp(operator, "==") == 0) return strcmp(left, right) == 0;
  if (strcmp(operator, "!=") == 0) return strcmp(left, right) != 0;
  long a = atol(left), b = atol(right);
  if (strcmp(operator, "-eq") == 0) return a == b;
  if (strcmp(operator, "-ne") == 0) return a != b;
  if (strcmp(operator, "-lt") == 0) return a < b;
  if (strcmp(operator, "-le") == 0) return a <= b;
  if (strcmp(operator, "-gt") == 0) return a > b;
  if (strcmp(operator, "-ge") == 0) return a >= b;
  return -1;
}

int test_main(int argc, char **argv) {
  if (strcmp(argv[0], "[") == 0) {
    if (strcmp(argv[argc - 1], "]") != 0) {
      fprintf(stderr, "[: missing ]\n");
      return 2;
    }
    argc--;
  }
  int negated = 0, result = -1;
  while (argc > 1 && strcmp(argv[1], "!") == 0) {
    negated = !negated;
    argc--;
    argv++;
  }
  if (argc == 1) result = 0;
  if (argc == 2) result = argv[1][0] != '\0';
  if (argc == 3 && argv[1][0] == '-' && strlen(argv[1]) == 2) result = test_unary(argv[1], argv[2]);
  if (argc == 4) result = test_binary(argv[1], argv[2], argv[3]);
  if (result < 0) {
    fprintf(stderr, "test: unknown expression\n");
    return 2;
  }
  return negated ? result : !result;
}
