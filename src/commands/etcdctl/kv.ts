/** `etcdctl put`, `get`, `del`, `compaction`. */
import { DeleteRangeResponse, PutResponse, type RangeRequest, RangeResponse } from '#api-etcd/gen/rpc.ts';
import { prefixEnd } from '#etcd-client/client.ts';
import type { Parsed } from '../flags.ts';
import { fields, goJson, headerFields, headerJson, keyValueLines, kvFields, kvJson, omitZero, text } from './print.ts';
import { printRaw } from './print-answer.ts';
import { bytes, EtcdctlExit, integer, leaseId, readStdin, type Session, type Verb, wrong } from './session.ts';

const fromZero = Uint8Array.of(0);

/** Whether a read waits for what all have agreed on. */
export const consistencyFlag = { kind: 'string', usage: 'Linearizable(l) or Serializable(s)', default: 'l' } as const;

export const put: Verb = {
  flags: {
    lease: { kind: 'string', usage: 'lease ID (in hexadecimal) to attach to the key', default: '0' },
    'prev-kv': { kind: 'bool', usage: 'return the previous key-value pair before modification' },
    'ignore-value': { kind: 'bool', usage: 'updates the key using its current value' },
    'ignore-lease': { kind: 'bool', usage: 'updates the key using its current lease' },
  },
  async run(session) {
    const { client, args, flags, call } = session;
    const [key, given] = args;
    const ignoreValue = flags.bool('ignore-value');
    if (key === undefined || args.length > 2 || (ignoreValue && given !== undefined))
      throw wrong('put command needs 1 argument and input from stdin or 2 arguments');
    const value = ignoreValue ? '' : (given ?? (await readStdin(session.context)));
    const response = await client.put(
      {
        key: bytes(key),
        value: bytes(value),
        lease: leaseId(flags.string('lease')!),
        prevKv: flags.bool('prev-kv'),
        ignoreValue,
        ignoreLease: flags.bool('ignore-lease'),
      },
      call,
    );
    printPut(session, response);
  },
};

export function printPut(session: Session, response: PutResponse): void {
  const { format, print } = session;
  if (printRaw(session, PutResponse, response)) return;
  if (format === 'json') print(`${goJson(putJson(response))}\n`);
  else if (format === 'fields') print(putFields(response));
  else print(`OK\n${response.prevKv === undefined ? '' : keyValueLines(response.prevKv, session)}`);
}

export function putJson({ header, prevKv }: PutResponse) {
  return { header: headerJson(header), ...(prevKv && { prev_kv: kvJson(prevKv) }) };
}

export function putFields({ header, prevKv }: PutResponse): string {
  return headerFields(header) + (prevKv === undefined ? '' : kvFields('Prev', prevKv));
}

export const get: Verb = {
  flags: {
    consistency: consistencyFlag,
    order: { kind: 'string', usage: 'order of results; ASCEND or DESCEND' },
    'sort-by': { kind: 'string', usage: 'sort target; CREATE, KEY, MODIFY, VALUE, or VERSION' },
    limit: { kind: 'string', usage: 'maximum number of results', default: '0' },
    prefix: { kind: 'bool', usage: 'get keys with matching prefix' },
    'from-key': { kind: 'bool', usage: 'get keys that are greater than or equal to the given key' },
    rev: { kind: 'string', usage: 'specify the kv revision', default: '0' },
    'keys-only': { kind: 'bool', usage: 'get only the keys' },
    'count-only': { kind: 'bool', usage: 'get only the count' },
    'print-value-only': { kind: 'bool', usage: 'only write values when using the "simple" output format' },
    'min-create-rev': { kind: 'string', usage: 'minimum create revision', default: '0' },
    'max-create-rev': { kind: 'string', usage: 'maximum create revision', default: '0' },
    'min-mod-rev': { kind: 'string', usage: 'minimum modification revision', default: '0' },
    'max-mod-rev': { kind: 'string', usage: 'maximum modification revision', default: '0' },
  },
  async run(session) {
    const { client, flags, format, call } = session;
    const bound = (name: string) => integer(flags.string(name)!, `bad ${name}`);
    const countOnly = flags.bool('count-only');
    const response = await client.range(
      {
        ...keysOf(session, 'get command needs one argument as key and an optional argument as range_end'),
        limit: integer(flags.string('limit')!, 'bad limit'),
        revision: integer(flags.string('rev')!, 'bad revision'),
        serializable: consistencyOf(flags) === 's',
        keysOnly: flags.bool('keys-only'),
        countOnly,
        minCreateRevision: bound('min-create-rev'),
        maxCreateRevision: bound('max-create-rev'),
        minModRevision: bound('min-mod-rev'),
        maxModRevision: bound('max-mod-rev'),
        ...orderOf(flags),
      },
      call,
    );
    if (countOnly && format !== 'fields')
      throw wrong('--count-only is only for `--write-out=fields`', EtcdctlExit.badArgs);
    printRange(session, response);
  },
};

export function printRange(session: Session, response: RangeResponse): void {
  const { format, print, flags, hex } = session;
  if (printRaw(session, RangeResponse, response)) return;
  if (format === 'json') print(`${goJson(rangeJson(response))}\n`);
  else if (format === 'fields') print(rangeFields(response));
  else
    for (const kv of response.kvs)
      print(flags.bool('print-value-only') ? `${text(kv.value, hex)}\n` : keyValueLines(kv, session));
}

export function rangeJson({ header, kvs, more, count }: RangeResponse) {
  return { header: headerJson(header), ...omitZero({ kvs: kvs.map(kvJson), more, count }) };
}

export function rangeFields({ header, kvs, more, count }: RangeResponse): string {
  return [
    headerFields(header),
    ...kvs.map((kv) => kvFields('', kv)),
    fields([
      ['More', more],
      ['Count', count],
    ]),
  ].join('');
}

export const del: Verb = {
  flags: {
    prefix: { kind: 'bool', usage: 'delete keys with matching prefix' },
    'from-key': { kind: 'bool', usage: 'delete keys that are greater than or equal to the given key' },
    'prev-kv': { kind: 'bool', usage: 'return deleted key-value pairs' },
  },
  async run(session) {
    const { client, flags, call } = session;
    const keys = keysOf(session, 'del command needs one argument as key and an optional argument as range_end');
    printDelete(session, await client.deleteRange({ ...keys, prevKv: flags.bool('prev-kv') }, call));
  },
};

export function printDelete(session: Session, response: DeleteRangeResponse): void {
  const { format, print } = session;
  if (printRaw(session, DeleteRangeResponse, response)) return;
  if (format === 'json') print(`${goJson(deleteJson(response))}\n`);
  else if (format === 'fields') print(deleteFields(response));
  else print(`${response.deleted}\n${response.prevKvs.map((kv) => keyValueLines(kv, session)).join('')}`);
}

export function deleteJson({ header, deleted, prevKvs }: DeleteRangeResponse) {
  return { header: headerJson(header), ...omitZero({ deleted, prev_kvs: prevKvs.map(kvJson) }) };
}

export function deleteFields({ header, deleted, prevKvs }: DeleteRangeResponse): string {
  return headerFields(header) + fields([['Deleted', deleted]]) + prevKvs.map((kv) => kvFields('Prev', kv)).join('');
}

export const compaction: Verb = {
  flags: { physical: { kind: 'bool', usage: 'wait until the compacted revisions are gone from disk' } },
  async run({ client, args, flags, call, print }) {
    if (args.length !== 1) throw wrong('compaction command needs 1 argument');
    const revision = integer(args[0]!, 'bad revision');
    await client.compact({ revision, physical: flags.bool('physical') }, call);
    print(`compacted revision ${revision}\n`);
  },
};

/** Key and end from operands, `--prefix` and `--from-key`. */
export function keysOf(
  { args, flags }: Session,
  usage: string,
): { readonly key: Buffer; readonly rangeEnd?: Uint8Array } {
  const [key, end] = args;
  if (key === undefined || args.length > 2) throw wrong(usage);
  const prefix = flags.bool('prefix');
  const fromKey = flags.bool('from-key');
  if (prefix && fromKey) throw wrong('`--prefix` and `--from-key` cannot be set at the same time, choose one');
  if (end !== undefined && (prefix || fromKey))
    throw wrong('too many arguments, only accept one argument when `--prefix` or `--from-key` is set');
  if (prefix)
    return key === ''
      ? { key: Buffer.from(fromZero), rangeEnd: fromZero }
      : { key: bytes(key), rangeEnd: prefixEnd(bytes(key)) };
  if (fromKey) return { key: key === '' ? Buffer.from(fromZero) : bytes(key), rangeEnd: fromZero };
  return { key: bytes(key), ...(end !== undefined && { rangeEnd: bytes(end) }) };
}

/** @throws EtcdctlError */
export function consistencyOf(flags: Parsed): string {
  const consistency = flags.string('consistency')!;
  if (consistency !== 'l' && consistency !== 's')
    throw wrong(`unknown consistency flag ${JSON.stringify(consistency)}`, EtcdctlExit.badFeature);
  return consistency;
}

const orders = { '': 0, ASCEND: 1, DESCEND: 2 } as const;
const targets = { '': 0, KEY: 0, VERSION: 1, CREATE: 2, MODIFY: 3, VALUE: 4 } as const;

function orderOf(flags: Parsed): Pick<RangeRequest, 'sortOrder' | 'sortTarget'> {
  const order = (flags.string('order') ?? '').toUpperCase();
  const target = (flags.string('sort-by') ?? '').toUpperCase();
  if (!(order in orders)) throw wrong(`bad sort order ${flags.string('order')}`, EtcdctlExit.badFeature);
  if (!(target in targets)) throw wrong(`bad sort target ${flags.string('sort-by')}`, EtcdctlExit.badFeature);
  const sortTarget = targets[target as keyof typeof targets];
  const sortOrder = orders[order as keyof typeof orders];
  // A target alone means ascending.
  return { sortTarget, sortOrder: sortOrder === 0 && target !== '' ? orders.ASCEND : sortOrder };
}
