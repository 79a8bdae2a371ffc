/** `etcdctl watch`: events until interrupted. */
import { etcdErrorMessage } from '#api-etcd/errors.ts';
import { type Event, Event_EventType, KeyValue } from '#api-etcd/gen/kv.ts';
import { type ResponseHeader, Watch, WatchCreateRequest } from '#api-etcd/gen/rpc.ts';
import { keysOf } from './kv.ts';
import { fields, goJson, headerFields, headerJson, keyValueLines, kvFields, kvJson, omitZero } from './print.ts';
import { EtcdctlExit, integer, type Session, type Verb, wrong } from './session.ts';

export const watch: Verb = {
  flags: {
    prefix: { kind: 'bool', usage: 'watch on a prefix if prefix is set' },
    'from-key': { kind: 'bool', usage: 'watch keys that are greater than or equal to the given key' },
    rev: { kind: 'string', usage: 'revision to start watching', default: '0' },
    'prev-kv': { kind: 'bool', usage: 'get the previous key-value pair before the event happens' },
    'progress-notify': { kind: 'bool', usage: 'get periodic watch progress notification from server' },
  },
  async run(session) {
    const { channel, flags } = session;
    await using call = channel.open(Watch.methods.watch);
    const value = WatchCreateRequest.create({
      ...keysOf(session, 'bad number of arguments'),
      startRevision: integer(flags.string('rev')!, 'bad revision'),
      prevKv: flags.bool('prev-kv'),
      progressNotify: flags.bool('progress-notify'),
    });
    call.send({ requestUnion: { case: 'createRequest', value } });
    // One watch, as the server speaks: a stream that breaks ends the command.
    for await (const { header, events, created, canceled, cancelReason, compactRevision } of call.messages) {
      if (canceled) {
        const reason = compactRevision > 0 ? etcdErrorMessage('compacted') : cancelReason;
        throw wrong(`watch was canceled (${reason})\nError: watch is canceled by the server`, EtcdctlExit.invalidInput);
      }
      if (created) continue;
      if (events.length > 0) print(session, header, events);
      else if (session.format === 'simple') session.print(`progress notify: ${header?.revision}\n`);
    }
  },
};

function print(session: Session, header: ResponseHeader | undefined, events: readonly Event[]): void {
  const { format, print: out } = session;
  if (format === 'json') {
    const plain = { Header: headerJson(header), Events: events.map(eventJson) };
    out(`${goJson({ ...plain, CompactRevision: 0, Canceled: false, Created: false })}\n`);
    return;
  }
  if (format === 'fields') out(headerFields(header));
  for (const { type, kv = KeyValue.create(), prevKv } of events) {
    const name = type === Event_EventType.DELETE ? 'DELETE' : 'PUT';
    if (format === 'fields') {
      out(fields([['Type', name]]) + (prevKv ? kvFields('Prev', prevKv) : '') + kvFields('', kv));
      continue;
    }
    out(`${name}\n${prevKv ? keyValueLines(prevKv, session) : ''}${keyValueLines(kv, session)}`);
  }
}

function eventJson({ type, kv, prevKv }: Event) {
  return omitZero({ type, kv: kv && kvJson(kv), prev_kv: prevKv && kvJson(prevKv) });
}
