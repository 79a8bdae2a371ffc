/** CRI as plain promises over any channel: the kubelet's view of a runtime, ours in this process or containerd behind a socket. */
import { ImageService as ImageApi, RuntimeService as RuntimeApi } from '#api-cri/gen/api.ts';
import type { CallOptions, Channel } from '#rpc/call.ts';
import type { Method, Service } from '#wire/grpc/service.ts';

type Promised<S extends Service> = {
  readonly [N in keyof S['methods']]: S['methods'][N] extends Method<infer I, infer O, 'unary'>
    ? (request: I, options?: CallOptions) => Promise<O>
    : S['methods'][N] extends Method<infer I, infer O, 'server-stream'>
      ? (request: I, options?: CallOptions) => AsyncIterable<O>
      : never;
};

export type RuntimeService = Promised<typeof RuntimeApi>;
export type ImageService = Promised<typeof ImageApi>;

export interface CriClient {
  readonly runtime: RuntimeService;
  readonly images: ImageService;
}

/** Everything rejects with RpcError. The channel stays the caller's. */
export function createCriClient(channel: Channel): CriClient {
  return { runtime: promised(RuntimeApi, channel), images: promised(ImageApi, channel) };
}

function promised<S extends Service>(service: S, channel: Channel): Promised<S> {
  const methods: Record<string, unknown> = {};
  for (const [name, method] of Object.entries(service.methods))
    methods[name] =
      method.kind === 'unary'
        ? (request: unknown, options?: CallOptions) =>
            channel.unary(method as Method<unknown, unknown, 'unary'>, request, options)
        : (request: unknown, options?: CallOptions) =>
            streamed(channel, method as Method<unknown, unknown>, request, options);
  return methods as Promised<S>;
}

async function* streamed(
  channel: Channel,
  method: Method<unknown, unknown>,
  request: unknown,
  options: CallOptions | undefined,
): AsyncGenerator<unknown> {
  await using call = channel.open(method, options);
  call.send(request);
  call.closeSend();
  yield* call.messages;
}
