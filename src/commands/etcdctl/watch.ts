/**
 * `etcdctl watch`: events until interrupted. What stands behind `--` is run for each of them; `--interactive` reads watches and progress requests
 * from standard input, all on one stream.
 */
import { createInterface } from 'node:readline';
import { etcdErrorMessage } from '#api-etcd/errors.ts';
import { type Event, Event_EventType, KeyValue } from '#api-etcd/gen/kv.ts';
import { type ResponseHeader, Watch, WatchCreateRequest, type WatchResponse } from '#api-etcd/gen/rpc.ts';
import { CommandError } from '../command.ts';
import { type FlagTable, type Parsed, parseFlags } from '../flags.ts';
import { keysOf } from './kv.ts';
import { run } from './lock.ts';
import { fields, goJson, headerFields, headerJson, keyValueLines, kvFields, kvJson, omitZero, quote } from './print.ts';
import { notSupported } from './print-answer.ts';
import { EtcdctlError, EtcdctlExit, integer, type Session, type Verb, wrong } from './session.ts';
import { wordsOf } from './words.ts';

const flags: FlagTable = {
  prefix: { kind: 'bool', usage: 'watch on a prefix if prefix is set' },
  'from-key': { kind: 'bool', usage: 'watch keys that are greater than or equal to the given key' },
  rev: { kind: 'string', usage: 'revision to start watching', default: '0' },
  'prev-kv': { kind: 'bool', usage: 'get the previous key-value pair before the event happens' },
  'progress-notify': { kind: 'bool', usage: 'get periodic watch progress notification from server' },
};

interface Wanted {
  readonly create: WatchCreateRequest;
  /** Run for each event. */
  readonly command: readonly string[];
}

/** Streams end without a leader: whoever watches is to know. */
const metadata = [['hasleader', 'true']] as const;

export const watch: Verb = {
  flags: { ...flags, interactive: { short: 'i', kind: 'bool', usage: 'interactive mode' } },
  async run(session) {
    const { channel, context } = session;
    const [key = '', end = ''] = [context.env['ETCDCTL_WATCH_KEY'], context.env['ETCDCTL_WATCH_RANGE_END']];
    if (key === '' && end !== '')
      throw wrong(`ETCDCTL_WATCH_KEY is empty but got ETCDCTL_WATCH_RANGE_END=${JSON.stringify(end)}`);
    const named = [key, end].filter((part) => part !== '');
    await using call = channel.open(Watch.methods.watch, { metadata });
    // By the ids that they are asked for with.
    const watches = new Map<number, Wanted>();
    const add = (wanted: Wanted) => {
      const watchId = watches.size + 1;
      watches.set(watchId, wanted);
      const value = { ...wanted.create, watchId };
      call.send({ requestUnion: { case: 'createRequest', value } });
    };
    const failed = session.flags.bool('interactive')
      ? readLines(session, named, add, () => call.send({ requestUnion: { case: 'progressRequest', value: {} } }))
      : new Promise<never>(() => add(wantedOf(session, session.flags, named)));
    const shown = (async () => {
      for await (const response of call.messages) await show(session, response, watches);
    })();
    await Promise.race([shown, failed]);
  },
};

/** Reads lines until they end, which is an error. */
async function readLines(
  session: Session,
  named: readonly string[],
  add: (wanted: Wanted) => void,
  progress: () => void,
): Promise<never> {
  const { stdin, stderr } = session.context;
  for await (const line of createInterface({ input: stdin, terminal: false })) {
    const [verb, ...rest] = wordsOf(line);
    if (verb === undefined) stderr.write(`Invalid command: ${line} (watch and progress supported)\n`);
    else if (verb === 'progress') progress();
    else if (verb !== 'watch') stderr.write(`Invalid command ${line} (only support watch)\n`);
    else if (rest.length === 0 && named.length === 0)
      stderr.write(`Invalid command ${line} (command type or key is not provided)\n`);
    else
      try {
        add(wantedOf(session, parseFlags(rest, flags), named));
      } catch (error) {
        if (!(error instanceof EtcdctlError || error instanceof CommandError)) throw error;
        stderr.write(`Invalid command ${line} (${error.message})\n`);
      }
  }
  throw wrong('error reading watch request line: EOF', EtcdctlExit.invalidInput);
}

/** @param named key and end from the environment: then there are none on the line */
function wantedOf(session: Session, given: Parsed, named: readonly string[]): Wanted {
  const { operands, operandsBeforeDashes = operands.length } = given;
  const keys = operands.slice(0, operandsBeforeDashes);
  const command = operands.slice(operandsBeforeDashes);
  if (given.operandsBeforeDashes !== undefined && command.length === 0)
    throw wrong('bad number of arguments (found separator --, but no commands)');
  if (named.length > 0 && keys.length > 0) throw wrong('bad number of arguments (found conflicting environment key)');
  const its: Session = { ...session, flags: given, args: named.length > 0 ? named : keys };
  const create = WatchCreateRequest.create({
    ...keysOf(its, 'bad number of arguments'),
    startRevision: integer(given.string('rev')!, 'bad revision'),
    prevKv: given.bool('prev-kv'),
    progressNotify: given.bool('progress-notify'),
  });
  return { create, command };
}

async function show(session: Session, response: WatchResponse, watches: ReadonlyMap<number, Wanted>): Promise<void> {
  const { header, watchId, events, created, canceled, cancelReason, compactRevision } = response;
  if (canceled) {
    const reason = compactRevision > 0 ? etcdErrorMessage('compacted') : cancelReason;
    session.context.stderr.write(`watch was canceled (${reason})\n`);
    throw wrong('watch is canceled by the server', EtcdctlExit.interrupted);
  }
  if (created) return;
  if (events.length === 0) {
    session.print(`progress notify: ${header?.revision}\n`);
    if (session.format === 'json' || session.format === 'fields') print(session, header, events);
    return;
  }
  print(session, header, events);
  const command = watches.get(watchId)?.command ?? [];
  for (const { type, kv } of command.length === 0 ? [] : events) {
    const code = await run(command, {
      ...session.context.env,
      ETCD_WATCH_REVISION: String(header?.revision ?? 0),
      ETCD_WATCH_EVENT_TYPE: JSON.stringify(nameOf(type)),
      ETCD_WATCH_KEY: quote(kv!.key),
      ETCD_WATCH_VALUE: quote(kv!.value),
    });
    if (code === 0) continue;
    session.context.stderr.write(
      `command [${command.map((word) => JSON.stringify(word)).join(' ')}] error (exit status ${code})\n`,
    );
    throw wrong('', EtcdctlExit.error);
  }
}

function print(session: Session, header: ResponseHeader | undefined, events: readonly Event[]): void {
  const { format, print: out } = session;
  if (format === 'table' || format === 'protobuf') throw notSupported(format);
  if (format === 'json') {
    const plain = { Header: headerJson(header), Events: events.map(eventJson) };
    out(`${goJson({ ...plain, CompactRevision: 0, Canceled: false, Created: false })}\n`);
    return;
  }
  if (format === 'fields') out(headerFields(header));
  for (const { type, kv = KeyValue.create(), prevKv } of events) {
    const name = nameOf(type);
    if (format === 'fields') {
      out(fields([['Type', name]]) + (prevKv ? kvFields('Prev', prevKv) : '') + kvFields('', kv));
      continue;
    }
    out(`${name}\n${prevKv ? keyValueLines(prevKv, session) : ''}${keyValueLines(kv, session)}`);
  }
}

function nameOf(type: Event_EventType): 'PUT' | 'DELETE' {
  return type === Event_EventType.DELETE ? 'DELETE' : 'PUT';
}

function eventJson({ type, kv, prevKv }: Event) {
  return omitZero({ type, kv: kv && kvJson(kv), prev_kv: prevKv && kvJson(prevKv) });
}
