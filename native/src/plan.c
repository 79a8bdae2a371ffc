/* Reading plans: bounds are checked once here, so that no operation has to. */
#include "helper.h"

static const uint8_t *take(struct reader *reader, size_t length) {
  if (reader->bad || (size_t)(reader->end - reader->at) < length) {
    reader->bad = true;
    return NULL;
  }
  const uint8_t *at = reader->at;
  reader->at += length;
  return at;
}

static uint16_t read_u16(struct reader *reader) {
  uint16_t value = 0;
  const uint8_t *at = take(reader, sizeof value);
  if (at) memcpy(&value, at, sizeof value);
  return value;
}

uint32_t read_u32(struct reader *reader) {
  uint32_t value = 0;
  const uint8_t *at = take(reader, sizeof value);
  if (at) memcpy(&value, at, sizeof value);
  return value;
}

uint64_t read_u64(struct reader *reader) {
  uint64_t value = 0;
  const uint8_t *at = take(reader, sizeof value);
  if (at) memcpy(&value, at, sizeof value);
  return value;
}

const char *read_string(struct reader *reader) {
  uint32_t length = read_u32(reader);
  const uint8_t *at = length == UINT32_MAX ? (reader->bad = true, NULL) : take(reader, (size_t)length + 1);
  if (!at) return "";
  if (at[length] != 0) reader->bad = true;
  return reader->bad ? "" : (const char *)at;
}

struct reader read_bytes(struct reader *reader) {
  uint32_t length = read_u32(reader);
  const uint8_t *at = take(reader, length);
  return at ? (struct reader){at, at + length, false} : (struct reader){NULL, NULL, false};
}

char **read_strings(struct reader *reader) {
  uint32_t count = read_u32(reader);
  /* A string takes at least five bytes, so a count that lies is caught before memory is asked for. */
  if (reader->bad || count > (size_t)(reader->end - reader->at) / 5) {
    reader->bad = true;
    count = 0;
  }
  char **strings = calloc((size_t)count + 1, sizeof *strings);
  if (!strings) abort();
  for (uint32_t i = 0; i < count; i++) strings[i] = (char *)read_string(reader);
  return strings;
}

bool next_op(struct reader *reader, struct op *op) {
  if (reader->bad || reader->at == reader->end) return false;
  op->code = read_u16(reader);
  op->flags = read_u16(reader);
  op->tag = read_u32(reader);
  op->payload = read_bytes(reader);
  return !reader->bad;
}
