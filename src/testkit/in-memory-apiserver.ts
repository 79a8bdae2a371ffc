/** A whole apiserver in this process, on an etcd in memory, and a client that needs no port. */
import assert from 'node:assert/strict';
import { type Etcd, startEtcd } from '#etcd/start.ts';
import { systemClock } from '#host/clock.ts';
import type { KubeObject } from '#kube-apiserver/object.ts';
import { type ApiserverConfig, startApiserver } from '#kube-apiserver/start.ts';
import { createServiceAccountKey } from '#pki/service-account-key.ts';
import { createTokenSigner } from '#pki/token-signer.ts';
import type { Clock } from '#std/clock.ts';
import { seededPrng } from '#std/prng.ts';
import type { Scope } from '#std/scope.ts';
import type { HttpResponse } from '#transport/http.ts';

const admin = { user: 'admin', groups: ['system:masters'] };

export interface CallOptions {
  readonly body?: unknown;
  /** The body as it is, instead of `body`. */
  readonly bytes?: Uint8Array;
  readonly type?: string;
  readonly accept?: string;
  /** More headers, by lower-case name. */
  readonly headers?: readonly (readonly [string, string])[];
  readonly user?: { readonly user: string; readonly groups: readonly string[] };
  readonly signal?: AbortSignal;
}

/**
 * @param shared an etcd that several servers stand on
 * @param config what is to be other than usual
 */
export async function startInMemoryApiserver(
  scope: Scope,
  shared?: Etcd,
  clock: Clock = systemClock,
  config: Partial<ApiserverConfig> = {},
) {
  const etcd =
    shared ?? scope.use(await startEtcd({ config: {}, deps: { clock, prng: seededPrng(1), log: () => {} } }));
  const { privateKey } = await createServiceAccountKey();
  const channel = scope.use(etcd.connect());
  const server = scope.use(
    await startApiserver({
      config: {
        externalAddress: '127.0.0.1:6443',
        advertiseAddress: '127.0.0.1',
        advertisePort: 6443,
        serviceAccountIssuer: 'https://kubernetes.default.svc.cluster.local',
        serviceClusterIpRange: '10.96.0.0/16',
        version: 'v1.36.3+wherry.test',
        ...config,
      },
      deps: {
        etcd: channel,
        clock,
        prng: seededPrng(shared ? 3 : 2),
        signer: await createTokenSigner({ privateKey }, { clock }),
        dialKubelet: () => undefined,
        log: () => {},
      },
    }),
  );
  const send = (method: string, target: string, options: CallOptions = {}): Promise<HttpResponse> =>
    server.handler({
      method,
      target,
      headers: [
        ...(options.type ? [['content-type', options.type] as const] : []),
        ...(options.accept ? [['accept', options.accept] as const] : []),
        ...(options.headers ?? []),
      ],
      authority: 'test',
      protocol: 'HTTP/2.0',
      body: (async function* () {
        if (options.bytes !== undefined) yield options.bytes;
        else if (options.body !== undefined)
          yield Buffer.from(typeof options.body === 'string' ? options.body : JSON.stringify(options.body));
      })(),
      peer: { address: 'in-memory', component: options.user ?? admin },
      signal: options.signal ?? new AbortController().signal,
    });
  const call = async (method: string, target: string, options?: CallOptions) => {
    const response = await send(method, target, options);
    assert.ok(response.body instanceof Uint8Array);
    const text = Buffer.from(response.body).toString('utf8');
    return { code: response.status, object: JSON.parse(text) as KubeObject & Record<string, unknown>, text };
  };
  /** The server's way to its store is gone in the middle of whatever it does: what a killed server looks like from etcd. */
  const cutOff = () => channel[Symbol.asyncDispose]();
  return { server, send, call, etcd, cutOff };
}
