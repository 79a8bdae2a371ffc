/** What the suites ask the JSON gateway, and how they write its answers down: status, the headers that count, the JSON in any order. */
import { Agent, request as httpRequest } from 'node:http';
import { WebSocket } from 'ws';

export interface GatewayRequest {
  readonly path: string;
  /** Default POST. */
  readonly method?: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Lines of a stream to wait for; then the connection is closed. */
  readonly lines?: number;
}

const base64 = (text: string) => Buffer.from(text).toString('base64');
const key = (text: string, more: object = {}) => JSON.stringify({ key: base64(text), ...more });

export const gatewayRequests: readonly GatewayRequest[] = [
  { path: '/v3/kv/put', body: key('foo', { value: base64('bar') }) },
  { path: '/v3/kv/range', body: key('foo') },
  { path: '/v3/kv/range', body: key('foo', { sort_order: 'DESCEND', sortTarget: 'MOD', limit: '5' }) },
  { path: '/v3/kv/range', body: key('foo', { sort_order: 2, unknown: { a: [1] }, revision: '0', limit: 1e1 }) },
  { path: '/v3/kv/range', body: key('foo', { sort_order: null, keys_only: true }) },
  { path: '/v3/kv/range', body: `${key('foo')} trailing` },
  { path: '/v3/kv/range', body: '' },
  { path: '/v3/kv/range', body: '{}' },
  { path: '/v3/kv/range', body: '{"key":"!!"}' },
  { path: '/v3/kv/range', body: '{"key":"Zm9v","key":"Zm9v"}' },
  { path: '/v3/kv/range', body: '{"key":"Zm8"}' },
  { path: '/v3/kv/range', body: '{"key":"_-8="}' },
  { path: '/v3/kv/range', body: '{"key":5}' },
  { path: '/v3/kv/range', body: '\n{"key":"Zm9v",\n  "limit":"x"}' },
  { path: '/v3/kv/range', body: '{"key":"Zm9v","limit":1.5}' },
  { path: '/v3/kv/range', body: '{"key":"Zm9v","limit":"9223372036854775808"}' },
  { path: '/v3/kv/range', body: '{"key":"Zm9v","keys_only":"yes"}' },
  { path: '/v3/kv/range', body: '{' },
  { path: '/v3/kv/range', body: '{"key"}' },
  { path: '/v3/kv/range', body: '{"key":"Zm9v",}' },
  { path: '/v3/kv/range', body: 'nothing' },
  { path: '/v3/kv/range', body: '[]' },
  { path: '/v3/kv/range', body: '"text"' },
  { path: '/v3/kv/range', method: 'GET' },
  { path: '/v3/kv/range', method: 'PUT', body: key('foo') },
  { path: '/v3/kv/range', method: 'OPTIONS' },
  { path: '/v3/nope', body: '{}' },
  { path: '/v3beta/kv/range', body: key('foo') },
  { path: '/v3alpha/kv/range', body: key('foo') },
  { path: '/v3/kv/range', body: key('foo', { revision: 99 }) },
  { path: '/v3/kv/compaction', body: '{"revision":99}' },
  {
    path: '/v3/kv/txn',
    body: JSON.stringify({
      compare: [{ result: 'EQUAL', target: 'VERSION', key: base64('foo'), version: '1' }],
      success: [
        { requestPut: { key: base64('a'), value: base64('b') } },
        { request_range: { key: base64('a') } },
        { request_delete_range: { key: base64('a'), prev_kv: true } },
      ],
    }),
  },
  { path: '/v3/kv/txn', body: '{"success":[{"request_put":{"key":"YQ=="},"request_range":{"key":"YQ=="}}]}' },
  { path: '/v3/kv/deleterange', body: key('nothing') },
  { path: '/v3/lease/grant', body: '{"TTL":100,"ID":7587862094117999999}' },
  { path: '/v3/lease/grant', body: '{"TTL":100,"ID":"7587862094117999999"}' },
  { path: '/v3/kv/lease/leases', body: '{}' },
  { path: '/v3/lease/leases', body: '{}' },
  { path: '/v3/lease/keepalive', body: '{"ID":"7587862094117999999"}{"ID":"5"}', lines: 2 },
  { path: '/v3/kv/lease/revoke', body: '{"ID":"7587862094117999999"}' },
  { path: '/v3/lease/revoke', body: '{"ID":"7587862094117999999"}' },
  { path: '/v3/lease/timetolive', body: '{"ID":"7587862094117999999","keys":true}' },
  { path: '/v3/watch', body: '{"create_request":{"key":"Zm9v","start_revision":"1"}}', lines: 2 },
  { path: '/v3/watch', body: '{"create_request":{}}{"create_request":{"watch_id":7}}', lines: 2 },
  { path: '/v3/auth/status', body: '{}' },
  { path: '/v3/auth/authenticate', body: '{"name":"root","password":"x"}' },
  { path: '/v3/auth/user/add', body: '{"name":"root","password":"root"}' },
  { path: '/v3/auth/user/grant', body: '{"user":"root","role":"root"}' },
  { path: '/v3/auth/user/get', body: '{"name":"root"}' },
  { path: '/v3/auth/role/add', body: '{"name":"r"}' },
  {
    path: '/v3/auth/role/grant',
    body: '{"name":"r","perm":{"permType":"READWRITE","key":"Zm9v","range_end":"AA=="}}',
  },
  { path: '/v3/auth/role/get', body: '{"role":"r"}' },
  { path: '/v3/maintenance/alarm', body: '{"action":"GET"}' },
  { path: '/v3/maintenance/alarm', body: '{"action":"ACTIVATE","alarm":"NOSPACE","memberID":"7"}' },
  { path: '/v3/kv/put', body: key('foo') },
  { path: '/v3/maintenance/alarm', body: '{"action":"DEACTIVATE","alarm":"NOSPACE","memberID":"7"}' },
  { path: '/v3/maintenance/transfer-leadership', body: '{"targetID":"9"}' },
  { path: '/v3/election/leader', body: '{"name":"bm9ib2R5"}' },
  { path: '/v3/lock/unlock', body: '{"key":"bm9uZQ=="}' },
  { path: '/v3/auth/enable', body: '{}' },
  { path: '/v3/kv/range', body: key('foo') },
  { path: '/v3/kv/range', body: key('foo'), headers: { authorization: 'nobody.1' } },
  { path: '/v3/watch', body: '{"create_request":{"key":"Zm9v"}}', lines: 1 },
];

/** Asks one after the other; then, as root, with its token. */
export async function gatewayAnswers(url: string): Promise<unknown[]> {
  const answers: unknown[] = [];
  for (const request of gatewayRequests) answers.push({ ...request, ...(await ask(url, request)) });
  const { json } = await ask(url, { path: '/v3/auth/authenticate', body: '{"name":"root","password":"root"}' });
  const { token } = json as { readonly token: string };
  for (const headers of [{ authorization: token }, { 'grpc-metadata-token': token }] as Record<string, string>[])
    answers.push(await ask(url, { path: '/v3/kv/range', body: key('foo'), headers }));
  answers.push(await ask(url, { path: '/v3/auth/disable', body: '{}', headers: { authorization: token } }));
  answers.push(await watchOverWebSocket(url));
  return answers;
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly json: unknown;
}

const answerMs = 5000;
const shownHeaders = ['content-type', 'access-control-allow-origin', 'grpc-metadata-content-type'];

function ask(url: string, { path, method = 'POST', body, headers, lines }: GatewayRequest): Promise<Answer> {
  return new Promise((resolve) => {
    const asked = httpRequest(
      `${url}${path}`,
      { method, agent: new Agent(), headers: { ...headers, 'content-type': 'application/json' } },
      (response) => {
        let text = '';
        const end = () => {
          const shown = Object.fromEntries(shownHeaders.map((name) => [name, response.headers[name] as string]));
          resolve({
            status: response.statusCode!,
            headers: shown,
            json: lines === undefined ? parsed(text) : all(text),
          });
          response.destroy();
        };
        response.on('data', (chunk: Buffer) => {
          text += chunk.toString();
          if (lines !== undefined && text.split('\n').length > lines) end();
        });
        response.on('end', end);
      },
    );
    asked.on('error', (error) => resolve({ status: 0, headers: {}, json: error.message }));
    // An answer that goes on without what was waited for counts as none.
    const late = setTimeout(() => asked.destroy(new Error(`${path}: no answer`)), answerMs);
    asked.on('close', () => clearTimeout(late));
    asked.end(body);
  });
}

/** A watch over a WebSocket: created, an event, cancelled. */
export async function watchOverWebSocket(url: string, token?: string): Promise<unknown[]> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/v3/watch`, token === undefined ? [] : ['Bearer', token]);
  const messages: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.on('open', () => socket.send('{"create_request":{"key":"d3M="}}'));
  socket.on('message', (data: Buffer, isBinary: boolean) => {
    messages.push(isBinary ? 'binary' : data.toString());
    if (messages.length === 1) {
      const headers: Record<string, string> = token === undefined ? {} : { authorization: token };
      void ask(url, { path: '/v3/kv/put', body: key('ws'), headers });
    } else if (messages.length === 2) socket.send('{"cancel_request":{}}');
    else resolve();
  });
  socket.on('close', () => resolve());
  socket.on('error', () => resolve());
  const late = setTimeout(resolve, answerMs);
  await promise;
  clearTimeout(late);
  socket.terminate();
  return messages.map(parsed);
}

function all(text: string): unknown[] {
  return text.trimEnd().split('\n').map(parsed);
}

/** Ids, terms, revisions of what nobody asked for, and tokens are not shared. */
function parsed(text: string): unknown {
  try {
    // Go's protojson writes one of two kinds of spaces, so that nobody relies on its words.
    return JSON.parse(text.replaceAll('\u00a0', ' '), (name, value: unknown) =>
      ['cluster_id', 'member_id', 'raft_term'].includes(name) ? undefined : value,
    );
  } catch {
    return text;
  }
}
