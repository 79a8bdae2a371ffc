/* The monitor's shared declarations: it holds one process's streams, log, clients and exit. */
#ifndef MONITOR_H
#define MONITOR_H
#include "helper.h"

#define CLIENTS_MAX 16
#define CHUNK_BYTES 16384
#define LINE_BYTES_MAX 16384
#define STDIN_BYTES_MAX 65536
#define CLIENT_OUT_BYTES_MAX 65536
#define FRAME_HEADER_BYTES 8
#define FRAME_BYTES_MAX (16384 + FRAME_HEADER_BYTES)

/* Frames both ways: u8 type, u8 a, u16 b, u32 length, payload. */
enum frame_type {
  /* from a client */
  FRAME_START = 1,  /* answered when the program runs, or cannot */
  FRAME_RESIZE,     /* payload u16 rows, u16 columns */
  FRAME_STDIN,      /* payload bytes */
  FRAME_CLOSE_STDIN,
  FRAME_ATTACH,     /* a: 1 stdout, 2 stderr */
  FRAME_REOPEN_LOG, /* answered */
  FRAME_KILL,       /* a: signal; answered */
  FRAME_QUIT,       /* once the process has ended: go, whatever is still to be written */
  /* to a client */
  FRAME_HELLO = 128, /* payload: see hello() */
  FRAME_REPLY,       /* a: the frame answered, payload i32 errno, text */
  FRAME_OUTPUT,      /* a: 1 stdout, 2 stderr */
  FRAME_OUTPUT_END,  /* a */
  FRAME_STARTED,     /* payload as hello() */
  FRAME_EXIT,        /* payload as hello() */
};

enum monitor_flags {
  MONITOR_TERMINAL = 1,
  MONITOR_STDIN = 2,           /* clients feed stdin */
  MONITOR_STDIN_ONCE = 4,      /* the client that fed stdin takes it along */
  MONITOR_WAIT_FOR_ATTACH = 8, /* output waits for the first client that attaches */
};

enum process_status { PROCESS_CREATED, PROCESS_RUNNING, PROCESS_STOPPED };

struct log_line {
  char bytes[LINE_BYTES_MAX];
  size_t length;
};

/* One of stdout and stderr, from the process to everyone who wants it. */
struct output {
  int from;              /* -1 once it ended */
  int target;            /* a FIFO or file, -1 for none */
  uint8_t *pending;      /* what the target has not taken yet: CHUNK_BYTES */
  size_t offset, length;
  struct log_line *line; /* with a log */
};

struct client {
  int fd; /* -1: a free place */
  uint8_t wants;
  bool fed_stdin, closing;
  uint8_t *in, *out;
  size_t in_length, out_length;
};

struct monitor {
  struct context context;
  struct launched launched;
  enum process_status status;
  uint32_t flags;
  const char *log_path;
  int log, folder, listener;
  struct output outputs[2];
  int stdin_to;      /* the process's stdin; the terminal; -1 once closed */
  int stdin_from;    /* a FIFO, -1 for none */
  uint8_t *stdin_bytes;
  size_t stdin_length;
  bool stdin_closing, attached_once, quit;
  struct client clients[CLIENTS_MAX];
  int starter; /* the client that waits for FRAME_START's answer, -1 */
  int64_t started_at, exited_at;
  int32_t exit_code, exit_signal;
};

/* monitor_log.c */
int open_log(struct monitor *);
void log_output(struct monitor *, int index, const uint8_t *, size_t);
void log_end(struct monitor *, int index);

/* monitor_streams.c */
bool wants_output(const struct monitor *, int index);
void read_output(struct monitor *, int index);
void flush_target(struct monitor *, int index);
void end_output(struct monitor *, int index);
size_t stdin_room(const struct monitor *);
void feed_stdin(struct monitor *, const uint8_t *, size_t);
void flush_stdin(struct monitor *);
void read_stdin_fifo(struct monitor *);
void close_stdin(struct monitor *);

/* monitor_clients.c */
void accept_client(struct monitor *);
void read_client(struct monitor *, struct client *);
void process_client(struct monitor *, struct client *);
void flush_client(struct monitor *, struct client *);
void drop_client(struct monitor *, struct client *);
bool client_has_room(const struct client *, size_t);
void send_frame(struct monitor *, struct client *, uint8_t type, uint8_t a, const void *, size_t);
void send_status(struct monitor *, struct client *, uint8_t type);
void broadcast_status(struct monitor *, uint8_t type);
void answer_start(struct monitor *, int number, const char *text);

/* monitor.c */
void write_state(struct monitor *, const char *name, const char *text);
#endif
