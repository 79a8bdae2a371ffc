/* The tiny shell: what its files share. A line is parsed into nodes, then run; memory comes from one stack of blocks that is wound back. */
#ifndef SHELL_H
#define SHELL_H

#include <stdbool.h>
#include <stddef.h>

enum node_kind {
  NODE_COMMAND, /* words and redirects; assignments are among the words, in front */
  NODE_PIPE,
  NODE_AND,
  NODE_OR,
  NODE_SEQUENCE,
  NODE_BACKGROUND,
  NODE_NOT,
  NODE_SUBSHELL,
  NODE_GROUP,
  NODE_IF, /* left: condition, right: then, rest: else */
  NODE_WHILE,
  NODE_UNTIL,
  NODE_FOR,  /* name, words, left: body; has_words false: the positional parameters */
  NODE_CASE, /* words: the subject, rest: a chain of NODE_CASE with patterns in words, body in left */
};

enum redirect_kind { REDIRECT_IN, REDIRECT_OUT, REDIRECT_APPEND, REDIRECT_BOTH, REDIRECT_DUP };

struct word {
  const char *raw; /* quotes and all */
  struct word *next;
};

struct redirect {
  int fd;
  enum redirect_kind kind;
  const char *raw;
  struct redirect *next;
};

struct node {
  enum node_kind kind;
  struct node *left, *right, *rest;
  struct word *words;
  bool has_words;
  struct redirect *redirects;
  const char *name;
};

enum parse_result { PARSE_OK, PARSE_EMPTY, PARSE_INCOMPLETE, PARSE_ERROR };

/* Reads one line's commands (or more lines, where a construct goes on) and moves `at` behind them. On PARSE_ERROR `message` says what. */
enum parse_result parse_line(const char **at, struct node **node, char *message, size_t message_size);
/* From a `$`, backquote or quote to behind what it opens; null when its end is missing. */
const char *skip_quoted(const char *at);

/* The stack of memory: a mark, and everything since then given back. */
typedef struct {
  void *block;
  size_t used;
} memory_mark;
void *take(size_t size);
char *take_text(const char *text, size_t length);
memory_mark mark_memory(void);
void release_memory(memory_mark mark);

/* Expansion: fields of words (ends with null), one word as one text, a pattern of case. */
char **expand_words(const struct word *words, int *count);
char *expand_text(const char *raw);
char *expand_pattern(const char *raw);

const char *get_variable(const char *name);
void set_variable(const char *name, const char *value, bool export);
void unset_variable(const char *name);
bool is_name(const char *text, size_t length);
char **exported_variables(void);

struct shell {
  int status;
  bool interactive;
  bool exit_on_error;
  bool trace;
  bool subshell;
  int parameters_count;
  char **parameters; /* $1 and on */
  const char *name;  /* $0 */
  int last_background;
  int loops;        /* how deep in loops */
  int leaving;      /* loops to leave by break or continue */
  bool continuing;
};
extern struct shell shell;

/* Runs text in this shell; returns its status. */
int run_text(const char *text);
/* Runs a command and gives what it writes, without the last newlines; in taken memory. */
char *run_capture(const char *text, size_t length);
long evaluate_arithmetic(const char *text);

#endif
