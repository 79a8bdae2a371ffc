/* The tiny shell's words: quotes, parameters, command substitution, arithmetic, fields and path names (POSIX XCU 2.6). */
#include <ctype.h>
#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shell.h"

/* Text that grows; on the stack of memory, so that what it outgrew goes with the rest. */
struct text {
  char *bytes;
  size_t length, size;
};

/* A word being expanded: bytes of a pattern, in which a backslash goes before what is not special. */
struct expansion {
  struct text text;
  char **fields;
  int count, room;
  bool split;   /* into fields */
  bool quoted;  /* something quoted was here: an empty field counts */
};

static void add(struct text *text, char byte) {
  if (text->length + 1 >= text->size) {
    size_t size = text->size == 0 ? 64 : text->size * 2;
    char *bytes = take(size);
    if (text->length > 0) memcpy(bytes, text->bytes, text->length);
    text->bytes = bytes;
    text->size = size;
  }
  text->bytes[text->length++] = byte;
  text->bytes[text->length] = '\0';
}

static void add_literal(struct expansion *e, char byte) {
  if (strchr("*?[]\\", byte) != NULL) add(&e->text, '\\');
  add(&e->text, byte);
}

static void add_field(struct expansion *e, char *field) {
  if (e->count + 1 >= e->room) {
    int room = e->room == 0 ? 16 : e->room * 2;
    char **fields = take(sizeof *fields * (size_t)room);
    if (e->count > 0) memcpy(fields, e->fields, sizeof *fields * (size_t)e->count);
    e->fields = fields;
    e->room = room;
  }
  e->fields[e->count++] = field;
  e->fields[e->count] = NULL;
}

/* The pattern as plain text. */
static char *unescape(const char *pattern) {
  char *plain = take(strlen(pattern) + 1), *to = plain;
  for (; *pattern != '\0'; pattern++) {
    if (*pattern == '\\' && pattern[1] != '\0') pattern++;
    *to++ = *pattern;
  }
  *to = '\0';
  return plain;
}

static bool has_wildcard(const char *pattern) {
  for (; *pattern != '\0'; pattern++) {
    if (*pattern == '\\' && pattern[1] != '\0') pattern++;
    else if (strchr("*?[", *pattern) != NULL) return true;
  }
  return false;
}

static void end_field(struct expansion *e) {
  if (e->text.length == 0 && !e->quoted) return;
  const char *pattern = e->text.length == 0 ? "" : e->text.bytes;
  glob_t found;
  if (has_wildcard(pattern) && glob(pattern, 0, NULL, &found) == 0) {
    for (size_t i = 0; i < found.gl_pathc; i++) add_field(e, take_text(found.gl_pathv[i], strlen(found.gl_pathv[i])));
    globfree(&found);
  } else {
    add_field(e, unescape(pattern));
  }
  e->text = (struct text){0};
  e->quoted = false;
}

/* A parameter's value into the word: split at blanks outside of quotes, and its wildcards count there. */
static void add_value(struct expansion *e, const char *value, bool in_quotes) {
  for (; value != NULL && *value != '\0'; value++) {
    if (in_quotes) add_literal(e, *value);
    else if (e->split && strchr(" \t\n", *value) != NULL) end_field(e);
    else if (*value == '\\') add_literal(e, *value);
    else add(&e->text, *value);
  }
}

static void expand_into(struct expansion *e, const char *at, const char *end, bool in_quotes);

static const char *special_value(char name, char *number, size_t size) {
  switch (name) {
    case '?':
      snprintf(number, size, "%d", shell.status);
      return number;
    case '$':
      snprintf(number, size, "%d", getpid());
      return number;
    case '!':
      snprintf(number, size, "%d", shell.last_background);
      return number;
    case '#':
      snprintf(number, size, "%d", shell.parameters_count);
      return number;
    case '-':
      return shell.interactive ? "i" : "";
    case '0':
      return shell.name;
    default:
      break;
  }
  int index = name - '1';
  return index < shell.parameters_count ? shell.parameters[index] : NULL;
}

static void add_parameters(struct expansion *e, bool in_quotes, bool one_field) {
  for (int i = 0; i < shell.parameters_count; i++) {
    if (i > 0 && (one_field || !e->split)) add_literal(e, ' ');
    else if (i > 0) end_field(e);
    if (in_quotes) e->quoted = true;
    add_value(e, shell.parameters[i], in_quotes);
  }
}

/* ${NAME}, ${#NAME}, ${NAME:-WORD} and its kin, ${NAME%PATTERN} and ${NAME#PATTERN} for fixed ends. `at` is behind the brace. */
static void expand_braces(struct expansion *e, const char *at, const char *end, bool in_quotes) {
  char number[24];
  bool wants_length = *at == '#' && at + 1 < end;
  if (wants_length) at++;
  const char *name = at;
  if (isalpha((unsigned char)*at) || *at == '_')
    while (at < end && (isalnum((unsigned char)*at) || *at == '_')) at++;
  else if (at < end) at++;
  char *key = take_text(name, (size_t)(at - name));
  const char *value = is_name(key, strlen(key)) ? get_variable(key) : special_value(*key, number, sizeof number);
  if (wants_length) {
    snprintf(number, sizeof number, "%zu", value == NULL ? 0 : strlen(value));
    add_value(e, number, in_quotes);
    return;
  }
  bool empty_counts = at < end && *at == ':';
  if (empty_counts) at++;
  char operator = at < end ? *at : '\0';
  const char *word = at + 1;
  bool absent = value == NULL || (empty_counts && *value == '\0');
  if (operator == '%' || operator == '#') {
    bool longest = word < end && *word == operator;
    if (longest) word++;
    char *pattern = expand_pattern(take_text(word, (size_t)(end - word)));
    char *star = strchr(pattern, '*');
    size_t length = value == NULL ? 0 : strlen(value);
    /* `*` may stand at the far side only: that is what paths and suffixes need. */
    if (value != NULL && operator == '%') {
      if (star != NULL) *star = '\0';
      char *fixed = unescape(pattern);
      size_t size = strlen(fixed);
      for (size_t i = 0; i <= length - (size <= length ? size : length); i++) {
        size_t from = longest ? i : length - size - i;
        if (size <= length && strncmp(value + from, fixed, size) == 0 && (star != NULL || from + size == length)) {
          value = take_text(value, from);
          break;
        }
      }
    } else if (value != NULL) {
      char *fixed = unescape(star == NULL ? pattern : star + 1);
      size_t size = strlen(fixed);
      for (size_t i = 0; size <= length && i <= length - size; i++) {
        size_t from = longest ? length - size - i : i;
        if (strncmp(value + from, fixed, size) == 0 && (star != NULL || from == 0)) {
          value += from + size;
          break;
        }
      }
    }
    add_value(e, value, in_quotes);
  } else if (operator == '+') {
    if (!absent) expand_into(e, word, end, in_quotes);
  } else if (absent && (operator == '-' || operator == '=')) {
    if (operator == '=') set_variable(key, expand_text(take_text(word, (size_t)(end - word))), false);
    expand_into(e, word, end, in_quotes);
  } else if (absent && operator == '?') {
    fprintf(stderr, "%s: %s\n", key, word < end ? expand_text(take_text(word, (size_t)(end - word))) : "parameter not set");
    if (!shell.interactive) exit(2);
  } else {
    add_value(e, value, in_quotes);
  }
}

/* At a `$` or backquote; gives where it ends. */
static const char *expand_dollar(struct expansion *e, const char *at, bool in_quotes) {
  const char *behind = skip_quoted(at);
  char number[24];
  if (behind == NULL) behind = at + strlen(at);
  if (*at == '`') {
    char *command = take_text(at + 1, (size_t)(behind - at - 2)), *to = command;
    for (const char *from = command; *from != '\0'; from++) {
      if (*from == '\\' && strchr("$`\\", from[1]) != NULL && from[1] != '\0') from++;
      *to++ = *from;
    }
    add_value(e, run_capture(command, (size_t)(to - command)), in_quotes);
  } else if (at[1] == '(' && at[2] == '(' && behind - at >= 5 && behind[-2] == ')') {
    snprintf(number, sizeof number, "%ld", evaluate_arithmetic(expand_text(take_text(at + 3, (size_t)(behind - at - 5)))));
    add_value(e, number, in_quotes);
  } else if (at[1] == '(') {
    add_value(e, run_capture(at + 2, (size_t)(behind - at - 3)), in_quotes);
  } else if (at[1] == '{') {
    expand_braces(e, at + 2, behind - 1, in_quotes);
  } else if (at[1] == '@' || at[1] == '*') {
    add_parameters(e, in_quotes, at[1] == '*' && in_quotes);
    behind = at + 2;
  } else if (isalpha((unsigned char)at[1]) || at[1] == '_') {
    behind = at + 1;
    while (isalnum((unsigned char)*behind) || *behind == '_') behind++;
    add_value(e, get_variable(take_text(at + 1, (size_t)(behind - at - 1))), in_quotes);
  } else if (at[1] != '\0' && strchr("?$!#-0123456789", at[1]) != NULL) {
    add_value(e, special_value(at[1], number, sizeof number), in_quotes);
    behind = at + 2;
  } else {
    add_literal(e, '$');
    behind = at + 1;
  }
  return behind;
}

static void expand_into(struct expansion *e, const char *at, const char *end, bool in_quotes) {
  while (at < end) {
    if (*at == '$' || *at == '`') {
      at = expand_dollar(e, at, in_quotes);
    } else if (*at == '\\') {
      if (at + 1 >= end) break;
      /* In double quotes a backslash is one, except before these. */
      if (in_quotes && strchr("$`\"\\\n", at[1]) == NULL) add_literal(e, '\\');
      if (at[1] != '\n') add_literal(e, at[1]);
      at += 2;
    } else if (*at == '"') {
      const char *behind = in_quotes ? NULL : skip_quoted(at);
      e->quoted = true;
      if (behind != NULL) expand_into(e, at + 1, behind - 1, true);
      at = behind == NULL ? at + 1 : behind;
    } else if (*at == '\'' && !in_quotes) {
      e->quoted = true;
      for (at++; at < end && *at != '\''; at++) add_literal(e, *at);
      at++;
    } else if (in_quotes) {
      add_literal(e, *at++);
    } else {
      add(&e->text, *at++);
    }
  }
}

static const char *expand_home(struct expansion *e, const char *raw) {
  const char *home = get_variable("HOME");
  if (raw[0] != '~' || (raw[1] != '\0' && raw[1] != '/') || home == NULL) return raw;
  add_value(e, home, true);
  return raw + 1;
}

char **expand_words(const struct word *words, int *count) {
  struct expansion e = {.split = true};
  for (; words != NULL; words = words->next) {
    const char *raw = expand_home(&e, words->raw);
    expand_into(&e, raw, raw + strlen(raw), false);
    end_field(&e);
  }
  *count = e.count;
  if (e.fields == NULL) {
    e.fields = take(sizeof *e.fields);
    e.fields[0] = NULL;
  }
  return e.fields;
}

char *expand_pattern(const char *raw) {
  struct expansion e = {0};
  raw = expand_home(&e, raw);
  expand_into(&e, raw, raw + strlen(raw), false);
  return e.text.length == 0 ? take_text("", 0) : e.text.bytes;
}

char *expand_text(const char *raw) {
  return unescape(expand_pattern(raw));
}

/* Arithmetic: integers, names, the usual operators by precedence. */
static long parse_sum(const char **at, int level);

static long parse_value(const char **at) {
  while (isspace((unsigned char)**at)) ++*at;
  char operator = **at;
  if (operator == '-' || operator == '+' || operator == '!' || operator == '~') {
    ++*at;
    long value = parse_value(at);
    return operator == '-' ? -value : operator == '!' ? !value : operator == '~' ? ~value : value;
  }
  if (operator == '(') {
    ++*at;
    long value = parse_sum(at, 0);
    while (isspace((unsigned char)**at)) ++*at;
    if (**at == ')') ++*at;
    return value;
  }
  if (isalpha((unsigned char)operator) || operator == '_') {
    const char *name = *at;
    while (isalnum((unsigned char)**at) || **at == '_') ++*at;
    const char *value = get_variable(take_text(name, (size_t)(*at - name)));
    return value == NULL ? 0 : strtol(value, NULL, 0);
  }
  char *end;
  long value = strtol(*at, &end, 0);
  *at = end;
  return value;
}

static long parse_sum(const char **at, int level) {
  static const char *const levels[][5] = {{"||"}, {"&&"}, {"==", "!="}, {"<=", ">=", "<", ">"}, {"+", "-"}, {"*", "/", "%"}};
  if (level == sizeof levels / sizeof *levels) return parse_value(at);
  long value = parse_sum(at, level + 1);
  for (;;) {
    while (isspace((unsigned char)**at)) ++*at;
    const char *operator = NULL;
    for (int i = 0; i < 5 && levels[level][i] != NULL && operator == NULL; i++)
      if (strncmp(*at, levels[level][i], strlen(levels[level][i])) == 0) operator = levels[level][i];
    if (operator == NULL) return value;
    *at += strlen(operator);
    long right = parse_sum(at, level + 1);
    switch (operator[0]) {
      case '|': value = value || right; break;
      case '&': value = value && right; break;
      case '=': value = value == right; break;
      case '!': value = value != right; break;
      case '<': value = operator[1] == '=' ? value <= right : value < right; break;
      case '>': value = operator[1] == '=' ? value >= right : value > right; break;
      case '+': value = (long)((unsigned long)value + (unsigned long)right); break;
      case '-': value = (long)((unsigned long)value - (unsigned long)right); break;
      case '*': value = (long)((unsigned long)value * (unsigned long)right); break;
      default:
        if (right == 0) {
          fprintf(stderr, "sh: divide by zero\n");
          return 0;
        }
        value = right == -1 ? (operator[0] == '/' ? -value : 0) : operator[0] == '/' ? value / right : value % right;
    }
  }
}

long evaluate_arithmetic(const char *text) {
  return parse_sum(&text, 0);
}
