/* The tiny shell's memory and variables. Memory is a stack of blocks: what a command takes is given back when it is done. */
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shell.h"

enum { block_bytes = 16384 };

struct block {
  struct block *below;
  size_t size, used;
  max_align_t bytes[];
};

static struct block *top;

void *take(size_t size) {
  size = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
  if (top == NULL || top->size - top->used < size) {
    size_t room = size > block_bytes ? size : block_bytes;
    struct block *block = malloc(sizeof *block + room);
    if (block == NULL) {
      fprintf(stderr, "sh: out of memory\n");
      exit(2);
    }
    *block = (struct block){.below = top, .size = room};
    top = block;
  }
  void *taken = (char *)top->bytes + top->used;
  top->used += size;
  return taken;
}

char *take_text(const char *text, size_t length) {
  char *copy = take(length + 1);
  memcpy(copy, text, length);
  copy[length] = '\0';
  return copy;
}

memory_mark mark_memory(void) {
  return (memory_mark){.block = top, .used = top == NULL ? 0 : top->used};
}

void release_memory(memory_mark mark) {
  while (top != mark.block) {
    struct block *below = top->below;
    free(top);
    top = below;
  }
  if (top != NULL) top->used = mark.used;
}

struct variable {
  struct variable *next;
  char *value;
  bool exported;
  char name[];
};

static struct variable *variables;

static struct variable *find(const char *name) {
  for (struct variable *at = variables; at != NULL; at = at->next)
    if (strcmp(at->name, name) == 0) return at;
  return NULL;
}

bool is_name(const char *text, size_t length) {
  if (length == 0 || isdigit((unsigned char)*text)) return false;
  for (size_t i = 0; i < length; i++)
    if (!isalnum((unsigned char)text[i]) && text[i] != '_') return false;
  return true;
}

const char *get_variable(const char *name) {
  struct variable *found = find(name);
  return found == NULL ? NULL : found->value;
}

/* `value` null: only marks it for export. */
void set_variable(const char *name, const char *value, bool export) {
  struct variable *found = find(name);
  if (found == NULL) {
    found = calloc(1, sizeof *found + strlen(name) + 1);
    if (found == NULL) exit(2);
    strcpy(found->name, name);
    found->next = variables;
    variables = found;
  }
  if (value != NULL) {
    char *copy = strdup(value);
    free(found->value);
    found->value = copy;
  }
  if (export) found->exported = true;
}

void unset_variable(const char *name) {
  for (struct variable **at = &variables; *at != NULL; at = &(*at)->next)
    if (strcmp((*at)->name, name) == 0) {
      struct variable *gone = *at;
      *at = gone->next;
      free(gone->value);
      free(gone);
      return;
    }
}

char **exported_variables(void) {
  size_t count = 0;
  for (struct variable *at = variables; at != NULL; at = at->next) count++;
  char **list = take(sizeof *list * (count + 1));
  count = 0;
  for (struct variable *at = variables; at != NULL; at = at->next) {
    if (!at->exported || at->value == NULL) continue;
    char *pair = take(strlen(at->name) + strlen(at->value) + 2);
    sprintf(pair, "%s=%s", at->name, at->value);
    list[count++] = pair;
  }
  list[count] = NULL;
  return list;
}
