/** `etcdctl txn`: comparisons, then what to do if they hold, then if not; three paragraphs on standard input. */
import { createInterface } from 'node:readline';
import {
  Compare,
  Compare_CompareResult,
  Compare_CompareTarget,
  DeleteRangeRequest,
  PutRequest,
  RangeRequest,
  type RequestOp,
  type ResponseOp,
  TxnResponse,
} from '#api-etcd/gen/rpc.ts';
import { type FlagTable, parseFlags } from '../flags.ts';
import {
  del,
  deleteFields,
  deleteJson,
  get,
  keysOf,
  printDelete,
  printPut,
  printRange,
  put,
  putFields,
  putJson,
  rangeFields,
  rangeJson,
} from './kv.ts';
import { fields, goJson, headerFields, headerJson, omitZero } from './print.ts';
import { printRaw } from './print-answer.ts';
import { bytes, EtcdctlExit, leaseId, type Session, type Verb, wrong } from './session.ts';
import { unquoted, wordsOf } from './words.ts';

export const txn: Verb = {
  flags: { interactive: { short: 'i', kind: 'bool', usage: 'input transaction in interactive mode' } },
  async run(session) {
    const { args, client, call, context, flags, print } = session;
    if (args.length > 0) throw wrong('txn command does not accept argument');
    const interactive = flags.bool('interactive');
    // Closed once all is read: a terminal that stays open must not keep us from ending.
    using input = createInterface({ input: context.stdin, terminal: false });
    const lines = input[Symbol.asyncIterator]();
    const ask = async (what: string) => {
      if (interactive) print(`${what}\n`);
      return await paragraph(lines);
    };
    const compares = await ask('compares:');
    const success = await ask('success requests (get, put, del):');
    const failure = await ask('failure requests (get, put, del):');
    const response = await client.txn(
      {
        compare: compares.map(parseCompare),
        success: success.map((line) => parseOp(session, line)),
        failure: failure.map((line) => parseOp(session, line)),
      },
      call,
    );
    printTxn(session, response);
  },
};

/** Lines up to an empty one. @throws EtcdctlError when the input ends before */
async function paragraph(lines: AsyncIterator<string>): Promise<string[]> {
  const found: string[] = [];
  for (;;) {
    const { value, done } = await lines.next();
    if (done) throw wrong('EOF', EtcdctlExit.invalidInput);
    if (value.trim() === '') return found;
    found.push(value.trim());
  }
}

const results = {
  '=': Compare_CompareResult.EQUAL,
  '!=': Compare_CompareResult.NOT_EQUAL,
  '>': Compare_CompareResult.GREATER,
  '<': Compare_CompareResult.LESS,
} as const;

function parseCompare(line: string): Compare {
  const match = /^(\w+)\("((?:[^"\\]|\\.)*)"\)\s*(=|!=|<|>)\s*"((?:[^"\\]|\\.)*)"$/.exec(line);
  if (match === null) throw wrong(`malformed comparison: ${line}; got , , want target("key") op "value"`);
  const [, target, key, operator, text] = match as unknown as [string, string, string, keyof typeof results, string];
  const number = () => {
    if (!/^-?\d+$/.test(text)) throw wrong(`malformed comparison: ${line}; invalid value ${JSON.stringify(text)}`);
    return Number(text);
  };
  const base = { key: bytes(unquoted(key)), result: results[operator] };
  switch (target) {
    case 'ver':
    case 'version':
      return Compare.create({
        ...base,
        target: Compare_CompareTarget.VERSION,
        targetUnion: { case: 'version', value: number() },
      });
    case 'c':
    case 'create':
      return Compare.create({
        ...base,
        target: Compare_CompareTarget.CREATE,
        targetUnion: { case: 'createRevision', value: number() },
      });
    case 'm':
    case 'mod':
      return Compare.create({
        ...base,
        target: Compare_CompareTarget.MOD,
        targetUnion: { case: 'modRevision', value: number() },
      });
    case 'val':
    case 'value':
      return Compare.create({
        ...base,
        target: Compare_CompareTarget.VALUE,
        targetUnion: { case: 'value', value: bytes(unquoted(text)) },
      });
    case 'lease':
      return Compare.create({
        ...base,
        target: Compare_CompareTarget.LEASE,
        targetUnion: { case: 'lease', value: leaseId(text) },
      });
    default:
      throw wrong(`malformed comparison: ${line} (unknown target ${JSON.stringify(target)})`, EtcdctlExit.invalidInput);
  }
}

const verbs: Readonly<Record<string, FlagTable>> = { put: put.flags!, get: get.flags!, del: del.flags! };

function parseOp(session: Session, line: string): RequestOp {
  const words = wordsOf(line);
  const [name = '', ...rest] = words;
  const table = verbs[name];
  if (table === undefined) throw wrong(`invalid txn request: ${line}`, EtcdctlExit.invalidInput);
  const flags = parseFlags(rest, table);
  const its = { ...session, flags, args: flags.operands };
  if (name === 'put') {
    const [key, value] = its.args;
    if (key === undefined || value === undefined || its.args.length > 2)
      throw wrong(`invalid txn request: ${line}`, EtcdctlExit.invalidInput);
    const lease = leaseId(flags.string('lease')!);
    return {
      request: {
        case: 'requestPut',
        value: PutRequest.create({ key: bytes(key), value: bytes(value), lease, prevKv: flags.bool('prev-kv') }),
      },
    };
  }
  const keys = keysOf(its, `invalid txn request: ${line}`);
  if (name === 'get') return { request: { case: 'requestRange', value: RangeRequest.create(keys) } };
  const value = DeleteRangeRequest.create({ ...keys, prevKv: flags.bool('prev-kv') });
  return { request: { case: 'requestDeleteRange', value } };
}

function printTxn(session: Session, response: TxnResponse): void {
  const { format, print } = session;
  if (printRaw(session, TxnResponse, response)) return;
  if (format === 'json') {
    print(`${goJson(txnJson(response))}\n`);
    return;
  }
  if (format === 'fields') {
    print(headerFields(response.header) + fields([['Succeeded', response.succeeded]]));
    for (const op of response.responses) print(opFields(op));
    return;
  }
  print(response.succeeded ? 'SUCCESS\n' : 'FAILURE\n');
  for (const { response: op } of response.responses) {
    print('\n');
    if (op.case === 'responsePut') printPut(session, op.value);
    else if (op.case === 'responseRange') printRange(session, op.value);
    else if (op.case === 'responseDeleteRange') printDelete(session, op.value);
    else if (op.case === 'responseTxn') printTxn(session, op.value);
  }
}

function txnJson({ header, succeeded, responses }: TxnResponse): unknown {
  return {
    header: headerJson(header),
    ...omitZero({ succeeded, responses: responses.map((op) => ({ Response: opJson(op) })) }),
  };
}

function opJson({ response: op }: ResponseOp): unknown {
  switch (op.case) {
    case 'responsePut':
      return { response_put: putJson(op.value) };
    case 'responseRange':
      return { response_range: rangeJson(op.value) };
    case 'responseDeleteRange':
      return { response_delete_range: deleteJson(op.value) };
    case 'responseTxn':
      return { response_txn: txnJson(op.value) };
    case undefined:
      return null;
  }
}

function opFields({ response: op }: ResponseOp): string {
  switch (op.case) {
    case 'responsePut':
      return putFields(op.value);
    case 'responseRange':
      return rangeFields(op.value);
    case 'responseDeleteRange':
      return deleteFields(op.value);
    case 'responseTxn':
      return headerFields(op.value.header) + fields([['Succeeded', op.value.succeeded]]);
    case undefined:
      return '';
  }
}
