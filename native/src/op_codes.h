/*
 * Every operation of a plan: OP(number, name, function). The other end keeps the same table and a test compares the two.
 * Numbers are never used again for something else.
 */
/* files of the machine */
OP(1, MKDIR, op_mkdir)               /* path, u32 mode; a folder that exists is fine */
OP(2, WRITE, op_write)               /* path, bytes: one write(2), as kernel files need */
OP(3, WRITE_PROC, op_write_proc)     /* path below the verified procfs, bytes */
OP(4, OPEN, op_open)                 /* u32 register, path, u32 flags */
OP(5, CLOSE, op_close)               /* u32 register */
OP(6, UNLINK, op_unlink)             /* path; one that is missing is fine */
OP(7, RMDIR_TREE, op_rmdir_tree)     /* path of a cgroup, u32 milliseconds to try */
OP(8, MOUNT_HOST, op_mount_host)     /* source, target, type, u64 flags, data */
OP(9, UMOUNT, op_umount)             /* path, u32 flags; one that is not mounted is fine */
OP(10, TOUCH, op_touch)              /* path, u32 mode */
OP(11, COPY_IF_EMPTY, op_copy_if_empty)       /* source, target: a cpuset's values come from its parent */
OP(12, CHOWN, op_chown)        /* path, u32 uid, u32 gid */
OP(13, CONNECT_UNIX, op_connect_unix) /* u32 register, path */
/* namespaces */
OP(20, SETNS, op_setns)              /* path, u32 type */
OP(21, UNSHARE, op_unshare)          /* u32 flags */
OP(22, SYNC, op_sync)                /* u32 group: the supervisor runs it now */
OP(23, WRITE_PID, op_write_pid)      /* file below /proc/CHILD, bytes (supervisor) */
OP(24, CLONE, op_clone)              /* u64 flags: what follows happens in a sibling */
OP(25, PIDFD, op_pidfd)              /* u32 register, u32 pid, u64 start time or 0 */
OP(26, SETNS_PIDFD, op_setns_pidfd)  /* u32 register, u32 namespaces */
OP(27, BIND_NAMESPACE, op_bind_namespace) /* name below /proc/self/ns, path */
OP(28, LOOPBACK, op_loopback)        /* brings lo up */
OP(29, HOSTNAME, op_hostname)        /* name */
OP(30, DOMAINNAME, op_domainname)    /* name */
/* the root filesystem */
OP(40, ROOT, op_root)                /* path, u64 propagation of / */
OP(41, MOUNT, op_mount)              /* see op_mounts.c */
OP(42, MOUNT_ATTR, op_mount_attr)    /* path in root, u64 attributes to set, u32 recursive, u64 propagation */
OP(43, DEVICE, op_device)            /* path in root, u32 mode with type, u32 major, minor, uid, gid, bind */
OP(44, SYMLINK, op_symlink)          /* target, path in root */
OP(45, PIVOT, op_pivot)              /* u32 kind: 0 pivot_root, 1 move the mount, 2 chroot only */
OP(46, MASK, op_mask)                /* path in root */
OP(47, READONLY_PATH, op_readonly_path) /* path in root */
OP(48, MKDIR_IN_ROOT, op_mkdir_in_root) /* path in root, u32 mode */
/* the process */
OP(60, SETSID, op_setsid)
OP(61, STDIO, op_stdio)              /* u32 registers of 0, 1, 2; REGISTERS_MAX keeps it, +1 is /dev/null */
OP(62, CONSOLE, op_console)          /* u32 rows, columns, bind /dev/console, uid */
OP(63, RLIMIT, op_rlimit)            /* u32 resource, u64 soft, hard (of the child, in the supervisor) */
OP(64, BOUNDING, op_bounding)        /* u64 set to keep */
OP(65, CAPS, op_caps)                /* u64 effective, permitted, inheritable, ambient */
OP(66, NO_NEW_PRIVS, op_no_new_privs)
OP(67, SECCOMP, op_seccomp)          /* u32 flags, bytes of sock_filter */
OP(68, USER, op_user)                /* u32 uid, gid, umask or -1, set groups, count, gids */
OP(69, CWD, op_cwd)                  /* path */
OP(70, LOOK_PATH, op_look_path)      /* args, env */
OP(71, AWAIT_START, op_await_start)  /* u32 register of the FIFO or REGISTERS_MAX */
OP(72, EXEC, op_exec)
OP(73, HOOK, op_hook)                /* see op_hooks.c */
OP(74, SCHEDULER, op_scheduler)      /* u32 policy, nice, priority, u64 flags, runtime, deadline, period */
OP(75, IO_PRIORITY, op_io_priority)  /* u32 value */
OP(76, PERSONALITY, op_personality)  /* u32 */
OP(77, KEYRING, op_keyring)          /* name */
OP(78, AFFINITY, op_affinity)        /* bytes of a cpu mask */
OP(79, CLOEXEC_FROM, op_cloexec_from) /* u32 first descriptor that closes at exec */
/* services */
OP(90, SOCKET, op_socket)            /* see op_services.c */
OP(91, KILL, op_kill)                /* u32 pid, u64 start time, u32 signal */
OP(92, KILL_CGROUP, op_kill_cgroup)  /* cgroup folder, u32 signal, u32 milliseconds to wait until it is empty */
OP(93, WAIT_PID, op_wait_pid)        /* u32 pid, u64 start time, u32 milliseconds */
OP(94, CGROUP_DEVICES, op_cgroup_devices) /* cgroup2 folder, bytes of bpf_insn */
