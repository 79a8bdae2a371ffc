/** `kubectl logs` and `kubectl exec`: the pod that is meant, and its streams. */
import { createRequire } from 'node:module';
import type { ApiObject } from '#kube-client/resource-ref.ts';
import { formatSelector, type LabelSelector, selectorOf } from '#kube-machinery/label-selector.ts';
import { type CommandContext, CommandError, ExitCode } from '../command.ts';
import type { Parsed } from '../flags.ts';
import { pathOf } from './operands.ts';
import { errorOf, readText } from './read-answer.ts';
import type { Kind, Session } from './session.ts';

interface Pod extends ApiObject {
  readonly spec: { readonly containers: readonly { readonly name: string }[] };
  readonly status?: { readonly phase?: string };
}

type Workload = ApiObject & { readonly spec?: { readonly selector?: LabelSelector } };

/** `NAME`, `pod/NAME`, or the first pod of a workload. @throws CommandError */
async function podFor(
  session: Session,
  operand: string | undefined,
  namespace: string,
): Promise<{ readonly kind: Kind; readonly pod: Pod }> {
  if (operand === undefined)
    throw new CommandError(ExitCode.failed, 'error: pod, type/name or --filename must be specified');
  const podKind = await session.kind('pods');
  const pods = session.client.resource<Pod>(podKind, namespace);
  const [type, name] = operand.includes('/') ? (operand.split('/') as [string, string]) : ['pods', operand];
  const kind = await session.kind(type);
  if (kind.resource === 'pods') return { kind: podKind, pod: await pods.get(name) };
  const { spec } = await session.client.resource<Workload>(kind, namespace).get(name);
  const selector = selectorOf(spec?.selector);
  if (selector === undefined)
    throw new CommandError(
      ExitCode.failed,
      `error: cannot attach to ${kind.kind}: selector for ${kind.kind} not implemented`,
    );
  const { items } = await pods.list({ labelSelector: formatSelector(selector) });
  const pod = items.find(({ status }) => status?.phase === 'Running') ?? items[0];
  if (pod === undefined) throw new CommandError(ExitCode.failed, `error: timed out waiting for the condition`);
  return { kind: podKind, pod };
}

export async function logs(
  session: Session,
  parsed: Parsed,
  { stdout }: CommandContext,
  signal: AbortSignal,
): Promise<number> {
  const namespace = parsed.string('namespace') ?? session.credentials.namespace;
  const { kind, pod } = await podFor(session, parsed.operands[0], namespace);
  const query = new URLSearchParams();
  query.set('container', parsed.string('container') ?? parsed.operands[1] ?? pod.spec.containers[0]!.name);
  if (parsed.bool('follow')) query.set('follow', 'true');
  if (parsed.bool('previous')) query.set('previous', 'true');
  if (parsed.bool('timestamps')) query.set('timestamps', 'true');
  const tail = parsed.string('tail');
  if (tail !== undefined && tail !== '-1') query.set('tailLines', tail);
  const response = await session.send(
    'GET',
    `${pathOf(kind, namespace, pod.metadata.name)}/log?${query}`,
    '*/*',
    signal,
  );
  if (response.status >= 400) throw errorOf(response.status, await readText(response));
  for await (const chunk of response.body instanceof Uint8Array ? [response.body] : response.body) stdout.write(chunk);
  return ExitCode.ok;
}

/** Channels of v5.channel.k8s.io. */
const Channel = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;

interface ExecStatus {
  readonly status?: string;
  readonly message?: string;
  readonly details?: { readonly causes?: readonly { readonly reason?: string; readonly message?: string }[] };
}

export async function exec(
  session: Session,
  parsed: Parsed,
  command: readonly string[],
  context: CommandContext,
): Promise<number> {
  const namespace = parsed.string('namespace') ?? session.credentials.namespace;
  if (command.length === 0)
    throw new CommandError(ExitCode.failed, 'error: you must specify at least one command for the container');
  const { kind, pod } = await podFor(session, parsed.operands[0], namespace);
  const { stdin, stdout, stderr } = context;
  const interactive = parsed.bool('stdin');
  const tty = parsed.bool('tty') && stdin.isTTY === true;
  const query = new URLSearchParams({
    stdout: 'true',
    stderr: String(!tty),
    stdin: String(interactive),
    tty: String(tty),
  });
  query.set('container', parsed.string('container') ?? pod.spec.containers[0]!.name);
  for (const argument of command) query.append('command', argument);
  const { server, ca, certificate, key, token, insecure } = session.credentials;
  const url = `${server.replace(/^http/, 'ws')}${pathOf(kind, namespace, pod.metadata.name)}/exec?${query}`;
  const { WebSocket } = createRequire(import.meta.url)('ws') as typeof import('ws');
  const socket = new WebSocket(url, ['v5.channel.k8s.io'], {
    ...(ca !== undefined && { ca }),
    ...(certificate !== undefined && { cert: certificate }),
    ...(key !== undefined && { key }),
    ...(token !== undefined && { headers: { authorization: `Bearer ${token}` } }),
    rejectUnauthorized: !insecure,
  });
  const send = (channel: number, bytes: Uint8Array) => socket.send(Buffer.concat([Buffer.of(channel), bytes]));
  const resize = () =>
    send(Channel.resize, Buffer.from(JSON.stringify({ Width: stdout.columns, Height: stdout.rows })));
  try {
    return await new Promise<number>((resolve, reject) => {
      let status: ExecStatus | undefined;
      socket.on('unexpected-response', (_request, response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => {
          text += chunk.toString('utf8');
        });
        response.on('end', () => reject(errorOf(response.statusCode ?? 500, text)));
      });
      socket.on('error', reject);
      socket.on('open', () => {
        if (tty) {
          stdin.setRawMode(true);
          resize();
          stdout.on('resize', resize);
        }
        if (!interactive) return;
        stdin.on('data', (chunk: Buffer) => send(Channel.stdin, chunk));
        stdin.on('end', () => socket.send(Buffer.of(Channel.close, Channel.stdin)));
      });
      socket.on('message', (data: Buffer) => {
        const bytes = data.subarray(1);
        if (data[0] === Channel.stdout) stdout.write(bytes);
        else if (data[0] === Channel.stderr) stderr.write(bytes);
        else if (data[0] === Channel.error) status = JSON.parse(bytes.toString('utf8')) as ExecStatus;
      });
      socket.on('close', () => {
        const code = status?.details?.causes?.find(({ reason }) => reason === 'ExitCode')?.message;
        if (status === undefined || status.status === 'Success') resolve(ExitCode.ok);
        else if (code !== undefined) {
          stderr.write(`command terminated with exit code ${code}\n`);
          resolve(Number(code));
        } else reject(new CommandError(ExitCode.failed, `error: ${status.message ?? 'the command failed'}`));
      });
    });
  } finally {
    if (tty) {
      stdin.setRawMode(false);
      stdout.off('resize', resize);
    }
    stdin.pause();
    socket.terminate();
  }
}
