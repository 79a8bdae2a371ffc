/**
 * The remote command protocol over a WebSocket (v4 and v5.channel.k8s.io): the first byte of each message says which stream it belongs to. Version 5
 * can also close a stream. KEP-4006; kubelet's streaming server.
 */
import type { WebSocketConnection } from '#transport/websocket.ts';

export const remoteCommandProtocols: readonly string[] = ['v5.channel.k8s.io', 'v4.channel.k8s.io'];

const Channel = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;

/** What the process behind the streams can do. */
export interface RemoteProcess {
  /** False: `await drained()` before the next one. */
  write(data: Uint8Array): boolean;
  drained(): Promise<void>;
  closeStdin(): void;
  resize(size: { readonly width: number; readonly height: number }): void;
}

/** Sends one of the process's streams; resolves when there is room for more. */
export async function sendOutput(
  connection: WebSocketConnection,
  stream: 'stdout' | 'stderr',
  data: Uint8Array,
): Promise<void> {
  const message = Buffer.allocUnsafe(data.length + 1);
  message[0] = Channel[stream];
  message.set(data, 1);
  if (!connection.send(message)) await connection.drained();
}

/** Tells the client that the streams are there: an empty message on the first of them that it reads. */
export function announce(
  connection: WebSocketConnection,
  streams: { readonly stdout: boolean; readonly stderr: boolean },
): void {
  connection.send(Buffer.of(streams.stdout ? Channel.stdout : streams.stderr ? Channel.stderr : Channel.error));
}

/** How it ended, as a `Status` on the error stream. */
export function sendOutcome(
  connection: WebSocketConnection,
  outcome: { readonly exitCode: number } | { readonly error: string },
): void {
  const status =
    'error' in outcome
      ? {
          metadata: {},
          status: 'Failure',
          message: outcome.error,
          reason: 'InternalError',
          details: { causes: [{ message: outcome.error }] },
          code: 500,
        }
      : outcome.exitCode === 0
        ? { metadata: {}, status: 'Success' }
        : {
            metadata: {},
            status: 'Failure',
            message: `command terminated with non-zero exit code: exit status ${outcome.exitCode}`,
            reason: 'NonZeroExitCode',
            details: { causes: [{ reason: 'ExitCode', message: String(outcome.exitCode) }] },
          };
  connection.send(Buffer.concat([Buffer.of(Channel.error), Buffer.from(JSON.stringify(status))]));
}

/** Feeds the process with what the client sends, until the client goes or closes the last stream it writes to. */
export async function receiveInput(
  connection: WebSocketConnection,
  process: RemoteProcess,
  stdin: boolean,
): Promise<void> {
  let open = stdin;
  for await (const message of connection.messages) {
    const data = message.subarray(1);
    switch (message[0]) {
      case Channel.stdin:
        if (open && data.length > 0 && !process.write(data)) await process.drained();
        break;
      case Channel.resize: {
        const size = parseSize(data);
        if (size !== undefined) process.resize(size);
        break;
      }
      case Channel.close:
        if (connection.protocol === 'v5.channel.k8s.io' && data[0] === Channel.stdin && open) {
          open = false;
          process.closeStdin();
        }
        break;
      default: // Upstream ignores what it does not know, too.
    }
  }
}

function parseSize(data: Uint8Array): { width: number; height: number } | undefined {
  try {
    const { Width, Height } = JSON.parse(Buffer.from(data).toString()) as { Width?: unknown; Height?: unknown };
    const fits = (value: unknown): value is number =>
      Number.isInteger(value) && (value as number) > 0 && (value as number) < 1 << 16;
    return fits(Width) && fits(Height) ? { width: Width, height: Height } : undefined;
  } catch {
    return undefined;
  }
}
