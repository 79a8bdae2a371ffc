/* The table of operations, and carrying them out one after the other. */
#include "helper.h"
#include <linux/magic.h>
#include <sys/vfs.h>

static op_function *function_of(uint16_t code) {
  switch (code) {
#define OP(number, name, function) \
  case number: return function;
#include "op_codes.h"
#undef OP
  }
  return NULL;
}

void context_init(struct context *context) {
  memset(context, 0, sizeof *context);
  for (int i = 0; i < REGISTERS_MAX; i++) context->registers[i] = -1;
  context->root = context->sync = context->result_fd = context->dev_null = -1;
  context->proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
  struct statfs about;
  if (context->proc >= 0 && (fstatfs(context->proc, &about) < 0 || about.f_type != PROC_SUPER_MAGIC)) {
    close(context->proc);
    context->proc = -1;
  }
}

int fail(struct context *context, const char *format, ...) {
  context->error_number = errno ? errno : EINVAL;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(context->error_text, sizeof context->error_text, format, arguments);
  va_end(arguments);
  return -1;
}

int run_ops(struct context *context, struct reader plan) {
  struct op op;
  while (next_op(&plan, &op)) {
    op_function *function = function_of(op.code);
    errno = 0;
    int result = -1;
    if (!function) {
      errno = ENOSYS;
      fail(context, "operation %d is unknown", op.code);
    } else {
      result = function(context, &op);
      if (op.payload.bad) {
        errno = EPROTO;
        fail(context, "operation %d is malformed", op.code);
        context->error_tag = 0;
        return -1;
      }
    }
    if (result < 0 && !(op.flags & OP_SOFT)) {
      context->error_tag = op.tag;
      return -1;
    }
  }
  if (plan.bad) {
    errno = EPROTO;
    return fail(context, "the plan is malformed");
  }
  return 0;
}
