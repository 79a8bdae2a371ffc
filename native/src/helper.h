/*
 * The helper's shared declarations. The helper is one static program in three roles: the container's init path, its monitor,
 * and the zygote that a daemon keeps to start them. It replays plans; it decides nothing. Everything it is told comes from the
 * program that started it; everything it meets inside a container is hostile.
 */
#ifndef HELPER_H
#define HELPER_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

/* Bumped when a plan or a monitor's protocol changes shape. The state folder carries it too. */
#define PROTOCOL_VERSION 1
#define REGISTERS_MAX 64
#define ERROR_TEXT_MAX 512
#define PLAN_BYTES_MAX (4u << 20)

/* ---- plan.c: a plan is a sequence of operations, little endian, no padding:
 *   u16 code, u16 flags, u32 tag, u32 length, payload
 * A payload is fields: u32, u64, string (u32 length, bytes, NUL), bytes (u32 length, bytes), list of strings (u32 count, strings).
 * The tag is the sender's: an error names it. Reading past the end, or a string without its NUL, makes the plan invalid. */
struct reader {
  const uint8_t *at, *end;
  bool bad;
};
#define OP_SOFT 1 /* failure is not an error */

struct op {
  uint16_t code, flags;
  uint32_t tag;
  struct reader payload;
};

uint32_t read_u32(struct reader *);
uint64_t read_u64(struct reader *);
const char *read_string(struct reader *);
struct reader read_bytes(struct reader *);
/* A NULL-ended array the caller frees; the strings point into the plan. */
char **read_strings(struct reader *);
bool next_op(struct reader *, struct op *);

/* ---- ops.c: carrying out operations. One context a process. */
struct context {
  int registers[REGISTERS_MAX]; /* descriptors, -1 when empty */
  int proc;                     /* the machine's procfs, verified before anything of a container was seen */
  int root;                     /* the container's root folder once it was prepared */
  int dev_null;                 /* the machine's, verified, in the container's mount namespace; -1 before ROOT */
  int sync;                     /* to the supervisor; -1 outside a container's init */
  pid_t child;                  /* supervisor: the container's process */
  uint32_t group_of_outer;      /* supervisor: index of the group being run */
  int result_fd;                /* descriptor to hand to whoever asked */
  uint64_t result;              /* a number to hand to whoever asked */
  char **args, **env;
  const char *program;
  /* The first failure. */
  uint32_t error_tag;
  int error_number;
  char error_text[ERROR_TEXT_MAX];
};

void context_init(struct context *);
/* Remembers the failure with errno and a text; returns -1. The text is optional detail, the tag says what was being done. */
int fail(struct context *, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Runs all operations. 0, or -1 with the failure in the context. */
int run_ops(struct context *, struct reader);

typedef int op_function(struct context *, struct op *);
op_function op_mkdir, op_write, op_write_proc, op_open, op_close, op_unlink, op_rmdir_tree, op_mount_host, op_umount, op_touch,
    op_copy_if_empty, op_chown, op_setns, op_unshare, op_sync, op_write_pid, op_clone, op_pidfd, op_setns_pidfd, op_root, op_mount,
    op_device, op_symlink, op_pivot, op_mask, op_readonly_path, op_mount_attr, op_hostname, op_domainname, op_rlimit, op_caps,
    op_no_new_privs, op_seccomp, op_user, op_cwd, op_look_path, op_await_start, op_exec, op_stdio, op_console, op_hook,
    op_loopback, op_scheduler, op_io_priority, op_personality, op_keyring, op_socket, op_kill, op_cgroup_devices, op_wait_pid,
    op_bind_namespace, op_affinity, op_connect_unix, op_kill_cgroup, op_bounding, op_setsid, op_cloexec_from,
    op_mkdir_in_root;

/* ---- sys.c: system calls that the C library lacks, and small things over them. */
int sys_pivot_root(const char *new_root, const char *put_old);
/* O_CLOEXEC is added. `resolve` is RESOLVE_*. */
int sys_openat2(int folder, const char *path, int flags, mode_t mode, uint64_t resolve);
int sys_open_tree(int folder, const char *path, unsigned flags);
int sys_move_mount(int from, int folder, const char *to, unsigned flags);
int sys_mount_setattr(int folder, const char *path, unsigned flags, uint64_t set, uint64_t clear, uint64_t propagation,
                      int userns);
int sys_pidfd_open(pid_t);
int sys_pidfd_send_signal(int pidfd, int signal);
int sys_close_range(unsigned first, unsigned last, unsigned flags);
/* A fork with namespaces; `cgroup` is a cgroup2 folder's descriptor or -1, `pidfd` may be NULL. */
pid_t sys_clone(uint64_t flags, int cgroup, int *pidfd);
int write_all(int fd, const void *, size_t);
int read_all(int fd, void *, size_t);
/* Field 22 of /proc/PID/stat: with the pid it names one process for ever. 0 when it is gone. */
uint64_t start_time_of(int proc, pid_t);
/* "/proc/self/fd/N" in a static buffer of the caller. */
const char *fd_path(char buffer[32], int fd);
int send_fd(int socket, const void *data, size_t length, int fd);
/* Returns bytes received; `fd` is -1 when none came. */
ssize_t receive_fd(int socket, void *data, size_t length, int *fd);
int64_t realtime_ns(void);

#define RESOLVE_NO_XDEV 0x01
#define RESOLVE_NO_MAGICLINKS 0x02
#define RESOLVE_NO_SYMLINKS 0x04
#define RESOLVE_BENEATH 0x08
#define RESOLVE_IN_ROOT 0x10

/* ---- inroot.c: paths inside a hostile root folder. Nothing here ever follows a link out of it. */
/* Opens with O_PATH. */
int open_in_root(int root, const char *path, int flags, uint64_t more_resolve);
/* Opens the folder, making what is missing of it. */
int mkdir_in_root(int root, const char *path, mode_t mode, uint64_t more_resolve);
/* Opens the folder that holds `path` (made if missing) and points `name` at the last part. */
int parent_in_root(int root, const char *path, const char **name, char buffer[4096]);

/* ---- sync.c: what a container's init and its supervisor say to each other, one packet a message. */
enum message_type { MSG_OUTER = 1, MSG_PID, MSG_FD, MSG_READY, MSG_ERROR, MSG_GO };
struct message {
  uint32_t type, a;
  int32_t b;
  char text[ERROR_TEXT_MAX];
};
int send_message(int socket, uint32_t type, uint32_t a, int32_t b, const char *text, int fd);
ssize_t receive_message(int socket, struct message *, int *fd);

/* ---- supervise.c: starting one process by a plan. */
#define OUTER_GROUPS_MAX 8
struct launch {
  struct reader before, child, outer[OUTER_GROUPS_MAX], after_failure;
  uint64_t clone_flags;
  uint32_t cgroup_register; /* REGISTERS_MAX: none */
};
struct launched {
  pid_t pid;
  int pidfd, sync, console;
  uint64_t start_time;
};
bool read_launch(struct reader, struct launch *);
/* Runs everything up to the child's READY. On failure the context holds it and the child is gone. */
int launch(struct context *, const struct launch *, struct launched *);

/* ---- reply.c: frames to the program that asked: u32 length, u32 request, i32 errno, u32 tag, u64 value, u64 value2, text */
void send_reply(int socket, uint32_t request, const struct context *, bool failed, uint64_t value, uint64_t value2);

/* ---- the roles */
int zygote_main(int socket, int fd_socket);
int launch_main(int socket);
/* Never returns. `plan` is a monitor's. */
void monitor_main(struct reader plan, int reply_socket, uint32_t request) __attribute__((noreturn));

#endif
