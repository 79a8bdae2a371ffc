/** Generated codecs against protobufjs, reading the same `.proto` files: random messages of every type, to the byte. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import protobuf from 'protobufjs';
import type { MessageType } from './message.ts';
import { ProtobufError } from './message.ts';

const source = new URL('../../', import.meta.url).pathname;
const depthMaxTested = 3;

for (const part of ['api-etcd', 'api-cri']) {
  const files = readdirSync(`${source}${part}`).filter((name) => name.endsWith('.proto'));
  const root = new protobuf.Root();
  root.resolvePath = (_origin, target) => (target.startsWith('/') ? target : `${source}${target}`);
  root
    .loadSync(
      files.map((name) => `${part}/${name}`),
      { keepCase: true },
    )
    .resolveAll();

  for (const file of files)
    test(`${part}/${file}: every message survives both ways and has the oracle's bytes`, async () => {
      const module = (await import(`${source}${part}/gen/${file.replace('.proto', '.ts')}`)) as Record<string, unknown>;
      const codecs = Object.values(module).filter(isCodec);
      assert.ok(codecs.length > 0);
      for (const codec of codecs) {
        const type = root.lookupType(codec.typeName);
        fc.assert(
          fc.property(fc.noShrink(fc.integer()), (seed) => {
            const oracle = Buffer.from(type.encode(type.fromObject(randomMessage(type, random(seed), 0))).finish());
            const decoded = codec.decode(oracle);
            const encoded = codec.encode(decoded);
            assert.equal(encoded.toString('hex'), oracle.toString('hex'), `${codec.typeName} seed ${seed}`);
            assert.equal(codec.size(decoded), oracle.length);
            assert.deepEqual(codec.decode(encoded), decoded);
          }),
          { numRuns: 12 },
        );
      }
    });
}

test('random bytes decode or are refused, nothing else', async () => {
  const { TxnRequest } = await import('#api-etcd/gen/rpc.ts');
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      try {
        TxnRequest.decode(bytes);
      } catch (error) {
        assert.ok(error instanceof ProtobufError, String(error));
      }
    }),
    { numRuns: 2000 },
  );
});

test('fields that are not known are passed over, groups too', async () => {
  const { PutRequest } = await import('#api-etcd/gen/rpc.ts');
  const put = PutRequest.create({ key: Buffer.from('k'), lease: 7n });
  const unknown = Buffer.from([0xa0, 0x3f, 5, 0xab, 0x3f, 0x08, 1, 0xac, 0x3f, 0xb2, 0x3f, 2, 1, 2]);
  assert.deepEqual(PutRequest.decode(Buffer.concat([unknown, PutRequest.encode(put)])).lease, 7n);
});

test('messages nested beyond the limit are refused', async () => {
  const { TxnRequest } = await import('#api-etcd/gen/rpc.ts');
  let bytes = Buffer.alloc(0);
  for (let i = 0; i < 40; i++) {
    const request = Buffer.concat([Buffer.from([0x22, ...varint(bytes.length)]), bytes]);
    bytes = Buffer.concat([Buffer.from([0x12, ...varint(request.length)]), request]);
  }
  TxnRequest.decode(bytes);
  for (let i = 0; i < 20; i++) {
    const request = Buffer.concat([Buffer.from([0x22, ...varint(bytes.length)]), bytes]);
    bytes = Buffer.concat([Buffer.from([0x12, ...varint(request.length)]), request]);
  }
  assert.throws(() => TxnRequest.decode(bytes), /nested deeper/);
});

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)];
}

function isCodec(value: unknown): value is MessageType<unknown> {
  return typeof value === 'object' && value !== null && 'typeName' in value && 'decode' in value;
}

type Random = (below: number) => number;

function random(seed: number): Random {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function randomMessage(type: protobuf.Type, draw: Random, depth: number): Record<string, unknown> {
  const message: Record<string, unknown> = {};
  const oneofs = new Set<string>();
  for (const field of type.fieldsArray) {
    const always = field.options?.['(wherry.always)'] === true;
    if (!always && draw(3) === 0) continue;
    const oneof = field.partOf;
    if (oneof !== null && !field.options?.['proto3_optional']) {
      if (oneofs.has(oneof.name)) continue;
      oneofs.add(oneof.name);
    }
    const value = () => randomValue(field, draw, depth);
    if (field.resolvedType instanceof protobuf.Type && depth >= depthMaxTested && !always) continue;
    if (field instanceof protobuf.MapField)
      message[field.name] = Object.fromEntries(
        Array.from({ length: draw(3) }, (_, i) => [field.keyType === 'string' ? `k${i}` : `${i + 1}`, value()]),
      );
    else if (field.repeated) message[field.name] = Array.from({ length: draw(4) }, value);
    else message[field.name] = value();
    // proto3 leaves zeros out; the oracle writes what it is given.
    if (
      !always &&
      !field.repeated &&
      !(field instanceof protobuf.MapField) &&
      oneof === null &&
      isZero(message[field.name])
    )
      delete message[field.name];
  }
  return message;
}

function isZero(value: unknown): boolean {
  return (
    value === 0 ||
    value === '' ||
    value === false ||
    value === '0' ||
    (value instanceof Uint8Array && value.length === 0)
  );
}

function randomValue(field: protobuf.Field, draw: Random, depth: number): unknown {
  if (field.resolvedType instanceof protobuf.Type) return randomMessage(field.resolvedType, draw, depth + 1);
  if (field.resolvedType instanceof protobuf.Enum) {
    const values = Object.values(field.resolvedType.values);
    return values[draw(values.length)];
  }
  const safe = field.options?.['jstype'] === 'JS_NUMBER';
  switch (field.type) {
    case 'string':
      return ['', 'a', 'grüße', 'x'.repeat(200)][draw(4)];
    case 'bytes':
      return Buffer.alloc(draw(200), draw(256));
    case 'bool':
      return draw(2) === 1;
    case 'int64':
    case 'uint64':
      if (safe)
        return ['0', '1', '300', '4294967296', '9007199254740991', ...(field.type === 'int64' ? ['-5'] : [])][
          draw(field.type === 'int64' ? 6 : 5)
        ];
      return (
        field.type === 'int64'
          ? ['0', '1', '-1', '9223372036854775807', '-9223372036854775808', '4294967295']
          : ['0', '1', '18446744073709551615', '4294967296', '127', '128']
      )[draw(6)];
    case 'double':
    case 'float':
      return draw(100) / 4;
    case 'int32':
      return [0, 1, -1, 2 ** 31 - 1, -(2 ** 31)][draw(5)];
    default:
      return [0, 1, 127, 128, 2 ** 32 - 1][draw(5)];
  }
}
