/* The tiny shell's grammar: words, operators, compound commands (POSIX XCU 2.10, without functions and here-documents). */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shell.h"

struct parser {
  const char *at;
  enum parse_result result; /* PARSE_OK while all is well */
  char *message;
  size_t message_size;
};

static struct node *parse_list(struct parser *p, bool one_line);

static void problem(struct parser *p, enum parse_result result, const char *near) {
  if (p->result != PARSE_OK) return;
  p->result = result;
  if (result == PARSE_ERROR) {
    int length = *near == '\n' ? 7 : (int)strcspn(near, "\n");
    snprintf(p->message, p->message_size, "syntax error: unexpected \"%.*s\"", length > 20 ? 20 : length, *near == '\n' ? "newline" : near);
  }
}

static struct node *make(enum node_kind kind, struct node *left, struct node *right) {
  struct node *node = take(sizeof *node);
  *node = (struct node){.kind = kind, .left = left, .right = right};
  return node;
}

static const char *skip_to(const char *at, char end) {
  for (; *at != '\0' && *at != end; at++) {
    if (*at == '\\' && at[1] != '\0') at++;
    else if (end == ')' || *at == '$' || *at == '`') {
      /* Inside $( ) and " " other quotes open and close on their own. */
      if (*at == '\'' && end != '"') {
        at = strchr(at + 1, '\'');
        if (at == NULL) return NULL;
      } else if (end == ')' && *at == '(') {
        at = skip_to(at + 1, ')');
        if (at == NULL) return NULL;
        at--;
      } else if (*at == '$' || *at == '`' || *at == '"') {
        const char *behind = skip_quoted(at);
        if (behind == NULL) return NULL;
        at = behind - 1;
      }
    }
  }
  return *at == '\0' ? NULL : at + 1;
}

const char *skip_quoted(const char *at) {
  if (*at == '\'') {
    at = strchr(at + 1, '\'');
    return at == NULL ? NULL : at + 1;
  }
  if (*at == '"') return skip_to(at + 1, '"');
  if (*at == '`') {
    for (at++; *at != '\0' && *at != '`'; at++)
      if (*at == '\\' && at[1] != '\0') at++;
    return *at == '\0' ? NULL : at + 1;
  }
  if (at[1] == '(') return skip_to(at + 2, ')');
  if (at[1] == '{') return skip_to(at + 2, '}');
  return at + 1;
}

static void skip_blanks(struct parser *p) {
  for (;;) {
    while (*p->at == ' ' || *p->at == '\t') p->at++;
    if (p->at[0] == '\\' && p->at[1] == '\n') p->at += 2;
    else break;
  }
  if (*p->at == '#')
    while (*p->at != '\0' && *p->at != '\n') p->at++;
}

static void skip_newlines(struct parser *p) {
  for (skip_blanks(p); *p->at == '\n'; skip_blanks(p)) p->at++;
}

static bool ends_word(char c) {
  return c == '\0' || strchr(" \t\n;&|<>()", c) != NULL;
}

/* The next word, left where it is; null when there is none. */
static const char *peek_word(struct parser *p, size_t *length) {
  skip_blanks(p);
  const char *at = p->at;
  while (!ends_word(*at)) {
    if (*at == '\\') {
      at += at[1] == '\0' ? 1 : 2;
    } else if (strchr("'\"`$", *at) != NULL) {
      const char *behind = skip_quoted(at);
      if (behind == NULL) {
        problem(p, PARSE_INCOMPLETE, at);
        return NULL;
      }
      at = behind;
    } else {
      at++;
    }
  }
  *length = (size_t)(at - p->at);
  return *length == 0 ? NULL : p->at;
}

static bool next_is(struct parser *p, const char *text) {
  size_t length;
  const char *word = peek_word(p, &length);
  return word != NULL && length == strlen(text) && strncmp(word, text, length) == 0;
}

static bool accept_word(struct parser *p, const char *text) {
  if (!next_is(p, text)) return false;
  p->at += strlen(text);
  return true;
}

static void expect_word(struct parser *p, const char *text) {
  skip_newlines(p);
  if (p->result != PARSE_OK || accept_word(p, text)) return;
  problem(p, *p->at == '\0' ? PARSE_INCOMPLETE : PARSE_ERROR, p->at);
}

static bool accept_operator(struct parser *p, const char *text) {
  skip_blanks(p);
  if (strncmp(p->at, text, strlen(text)) != 0) return false;
  p->at += strlen(text);
  return true;
}

static struct word *parse_word(struct parser *p) {
  size_t length;
  const char *text = peek_word(p, &length);
  if (text == NULL) {
    problem(p, *p->at == '\0' ? PARSE_INCOMPLETE : PARSE_ERROR, p->at);
    return NULL;
  }
  struct word *word = take(sizeof *word);
  *word = (struct word){.raw = take_text(text, length)};
  p->at += length;
  return word;
}

/* A redirect, if one is next. */
static bool parse_redirect(struct parser *p, struct redirect ***end) {
  skip_blanks(p);
  const char *at = p->at;
  int fd = -1;
  if (isdigit((unsigned char)at[0]) && (at[1] == '<' || at[1] == '>')) fd = *at++ - '0';
  bool both = at[0] == '&' && at[1] == '>';
  if (*at != '<' && *at != '>' && !both) return false;
  struct redirect *redirect = take(sizeof *redirect);
  *redirect = (struct redirect){.fd = fd >= 0 ? fd : *at == '<' ? 0 : 1};
  if (strncmp(at, "<<", 2) == 0) {
    problem(p, PARSE_ERROR, at);
    return false;
  }
  if (both) redirect->kind = REDIRECT_BOTH, at += 2;
  else if (strncmp(at, ">>", 2) == 0) redirect->kind = REDIRECT_APPEND, at += 2;
  else if (at[1] == '&') redirect->kind = REDIRECT_DUP, at += 2;
  else redirect->kind = *at == '<' ? REDIRECT_IN : REDIRECT_OUT, at += at[0] == '>' && at[1] == '|' ? 2 : 1;
  p->at = at;
  struct word *word = parse_word(p);
  if (word == NULL) return false;
  redirect->raw = word->raw;
  **end = redirect;
  *end = &redirect->next;
  return true;
}

static struct node *parse_if(struct parser *p) {
  struct node *node = make(NODE_IF, parse_list(p, false), NULL);
  expect_word(p, "then");
  node->right = parse_list(p, false);
  skip_newlines(p);
  if (accept_word(p, "elif")) node->rest = parse_if(p);
  else {
    if (accept_word(p, "else")) node->rest = parse_list(p, false);
    expect_word(p, "fi");
  }
  return node;
}

static struct node *parse_loop(struct parser *p, enum node_kind kind) {
  struct node *node = make(kind, parse_list(p, false), NULL);
  expect_word(p, "do");
  node->right = parse_list(p, false);
  expect_word(p, "done");
  return node;
}

static struct node *parse_for(struct parser *p) {
  struct node *node = make(NODE_FOR, NULL, NULL);
  struct word *name = parse_word(p);
  if (name == NULL) return node;
  node->name = name->raw;
  skip_newlines(p);
  if (accept_word(p, "in")) {
    struct word **end = &node->words;
    node->has_words = true;
    size_t length;
    while (peek_word(p, &length) != NULL) {
      *end = parse_word(p);
      end = &(*end)->next;
    }
  }
  accept_operator(p, ";");
  expect_word(p, "do");
  node->left = parse_list(p, false);
  expect_word(p, "done");
  return node;
}

static struct node *parse_case(struct parser *p) {
  struct node *node = make(NODE_CASE, NULL, NULL), **end = &node->rest;
  node->words = parse_word(p);
  expect_word(p, "in");
  for (skip_newlines(p); p->result == PARSE_OK && !next_is(p, "esac"); skip_newlines(p)) {
    struct node *branch = *end = make(NODE_CASE, NULL, NULL);
    struct word **patterns = &branch->words;
    end = &branch->rest;
    accept_operator(p, "(");
    do {
      *patterns = parse_word(p);
      if (*patterns != NULL) patterns = &(*patterns)->next;
    } while (p->result == PARSE_OK && accept_operator(p, "|"));
    if (p->result == PARSE_OK && !accept_operator(p, ")")) problem(p, *p->at == '\0' ? PARSE_INCOMPLETE : PARSE_ERROR, p->at);
    branch->left = parse_list(p, false);
    skip_newlines(p);
    if (!accept_operator(p, ";;")) break;
  }
  expect_word(p, "esac");
  return node;
}

static struct node *parse_command(struct parser *p) {
  struct node *node = NULL;
  skip_blanks(p);
  if (accept_operator(p, "(")) {
    node = make(NODE_SUBSHELL, parse_list(p, false), NULL);
    skip_newlines(p);
    if (p->result == PARSE_OK && !accept_operator(p, ")")) problem(p, *p->at == '\0' ? PARSE_INCOMPLETE : PARSE_ERROR, p->at);
  } else if (accept_word(p, "{")) {
    node = make(NODE_GROUP, parse_list(p, false), NULL);
    expect_word(p, "}");
  } else if (accept_word(p, "if")) node = parse_if(p);
  else if (accept_word(p, "while")) node = parse_loop(p, NODE_WHILE);
  else if (accept_word(p, "until")) node = parse_loop(p, NODE_UNTIL);
  else if (accept_word(p, "for")) node = parse_for(p);
  else if (accept_word(p, "case")) node = parse_case(p);
  if (node != NULL) {
    struct redirect **redirects = &node->redirects;
    while (p->result == PARSE_OK && parse_redirect(p, &redirects)) {
    }
    return node;
  }
  node = make(NODE_COMMAND, NULL, NULL);
  struct word **words = &node->words;
  struct redirect **redirects = &node->redirects;
  for (;;) {
    size_t length;
    if (p->result != PARSE_OK) return node;
    if (parse_redirect(p, &redirects)) continue;
    if (p->result != PARSE_OK || peek_word(p, &length) == NULL) break;
    *words = parse_word(p);
    words = &(*words)->next;
  }
  if (node->words == NULL && node->redirects == NULL) problem(p, *p->at == '\0' ? PARSE_INCOMPLETE : PARSE_ERROR, p->at);
  return node;
}

static struct node *parse_pipe(struct parser *p) {
  if (accept_word(p, "!")) return make(NODE_NOT, parse_pipe(p), NULL);
  struct node *node = parse_command(p);
  while (p->result == PARSE_OK) {
    skip_blanks(p);
    if (p->at[0] != '|' || p->at[1] == '|') break;
    p->at++;
    skip_newlines(p);
    node = make(NODE_PIPE, node, parse_command(p));
  }
  return node;
}

static struct node *parse_and_or(struct parser *p) {
  struct node *node = parse_pipe(p);
  while (p->result == PARSE_OK) {
    enum node_kind kind;
    if (accept_operator(p, "&&")) kind = NODE_AND;
    else if (accept_operator(p, "||")) kind = NODE_OR;
    else break;
    skip_newlines(p);
    node = make(kind, node, parse_pipe(p));
  }
  return node;
}

static bool ends_list(struct parser *p) {
  static const char *const words[] = {"then", "do", "done", "fi", "else", "elif", "esac", "}"};
  skip_blanks(p);
  if (*p->at == '\0' || *p->at == ')' || strncmp(p->at, ";;", 2) == 0) return true;
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (next_is(p, words[i])) return true;
  return false;
}

/* Commands up to the end of the line, or up to what closes the construct they are in. */
static struct node *parse_list(struct parser *p, bool one_line) {
  struct node *list = NULL;
  if (!one_line) skip_newlines(p);
  while (p->result == PARSE_OK && !ends_list(p)) {
    struct node *node = parse_and_or(p);
    if (p->result != PARSE_OK) break;
    skip_blanks(p);
    bool more = false;
    if (p->at[0] == '&' && p->at[1] != '&') {
      p->at++;
      node = make(NODE_BACKGROUND, node, NULL);
      more = true;
    } else if (p->at[0] == ';' && p->at[1] != ';') {
      p->at++;
      more = true;
    }
    list = list == NULL ? node : make(NODE_SEQUENCE, list, node);
    skip_blanks(p);
    if (*p->at == '\n') {
      if (one_line) break;
      skip_newlines(p);
    } else if (!more) {
      break;
    }
  }
  if (!one_line && list == NULL && p->result == PARSE_OK) problem(p, *p->at == '\0' ? PARSE_INCOMPLETE : PARSE_ERROR, p->at);
  return list;
}

enum parse_result parse_line(const char **at, struct node **node, char *message, size_t message_size) {
  struct parser parser = {.at = *at, .message = message, .message_size = message_size};
  skip_newlines(&parser);
  if (*parser.at == '\0') {
    *at = parser.at;
    return PARSE_EMPTY;
  }
  *node = parse_list(&parser, true);
  skip_blanks(&parser);
  if (parser.result == PARSE_OK && *parser.at != '\0' && *parser.at != '\n') problem(&parser, PARSE_ERROR, parser.at);
  *at = parser.at;
  return parser.result;
}
