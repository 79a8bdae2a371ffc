/**
 * What pods of this node need from the API besides themselves: config maps, secrets, services and tokens, read as the node's own user.
 * Objects are watched while a registered pod names them; tokens are kept until most of their life has passed.
 */
import type { KubeClient } from '#kube-client/client.ts';
import type { Informer } from '#kube-client/informer.ts';
import type { ApiObject, ResourceRef } from '#kube-client/resource-ref.ts';
import type { Clock } from '#std/clock.ts';
import type { Prng } from '#std/prng.ts';
import type { Scope } from '#std/scope.ts';
import { envReferences } from './env.ts';
import { ObjectWatches } from './object-watches.ts';
import type { Pod } from './pod.ts';
import { volumeReferences } from './volumes/payload.ts';

type Values = ReadonlyMap<string, Uint8Array>;

interface ConfigMap extends ApiObject {
  readonly immutable?: boolean;
  readonly data?: Readonly<Record<string, string>>;
  readonly binaryData?: Readonly<Record<string, string>>;
}

interface Secret extends ApiObject {
  readonly immutable?: boolean;
  readonly data?: Readonly<Record<string, string>>;
}

export interface Service extends ApiObject {
  readonly spec?: {
    readonly clusterIP?: string;
    readonly ports?: readonly { readonly name?: string; readonly protocol?: string; readonly port: number }[];
  };
}

interface TokenRequest {
  readonly status: { readonly token: string; readonly expirationTimestamp: string };
}

const core = (resource: string, kind: string): ResourceRef & { readonly kind: string } => ({
  group: '',
  version: 'v1',
  resource,
  kind,
  namespaced: true,
});
const configMaps = core('configmaps', 'ConfigMap');
const secrets = core('secrets', 'Secret');
const serviceAccounts = core('serviceaccounts', 'ServiceAccount');
export const services = core('services', 'Service');

/** A token is asked for anew when this share of its life has passed, or a day; upstream's figures. */
const refreshShare = 0.8;
const refreshMsMax = 24 * 60 * 60 * 1000;
const tokensMax = 10_000;

interface Token {
  readonly token: string;
  readonly refreshMs: number;
  readonly expiryMs: number;
}

export interface NodeObjectsDeps {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly prng: Prng;
  readonly services: Informer<Service>;
  /** Told of every pod that names an object that has changed. */
  readonly onChange: (podUid: string) => void;
  readonly log: (message: string, error?: unknown) => void;
}

export class NodeObjects {
  readonly #deps: NodeObjectsDeps;
  readonly #configMaps: ObjectWatches<ConfigMap>;
  readonly #secrets: ObjectWatches<Secret>;
  readonly #tokens = new Map<string, Token>();
  /** Decoded once for each version of an object. */
  readonly #decoded = new WeakMap<ApiObject, Values>();

  constructor(scope: Scope, deps: NodeObjectsDeps) {
    this.#deps = deps;
    this.#configMaps = new ObjectWatches(scope, configMaps, deps);
    this.#secrets = new ObjectWatches(scope, secrets, deps);
  }

  /** Open watches of objects. */
  get watches(): number {
    return this.#configMaps.size + this.#secrets.size;
  }

  /** Begins to watch what the pod names. Its objects can be read until it is forgotten. */
  register(pod: Pod): void {
    const { uid, namespace } = pod.metadata;
    const volumes = volumeReferences(pod);
    const maps = new Set(volumes.configMaps);
    const secretNames = new Set(volumes.secrets);
    for (const container of [...(pod.spec.initContainers ?? []), ...pod.spec.containers]) {
      const env = envReferences(container);
      for (const name of env.configMaps) maps.add(name);
      for (const name of env.secrets) secretNames.add(name);
    }
    for (const { name } of pod.spec.imagePullSecrets ?? []) if (name) secretNames.add(name);
    this.#configMaps.register(uid, namespace, maps);
    this.#secrets.register(uid, namespace, secretNames);
  }

  /** Values by key, by name. What does not exist is left out. @throws ObjectError */
  configMaps(namespace: string, names: ReadonlySet<string>): Promise<Map<string, Values>> {
    return this.#read(this.#configMaps, namespace, names, ({ data = {}, binaryData = {} }) => [
      ...Object.entries(data).map(([key, text]) => [key, Buffer.from(text)] as const),
      ...Object.entries(binaryData).map(([key, base64]) => [key, Buffer.from(base64, 'base64')] as const),
    ]);
  }

  /** @throws ObjectError */
  secrets(namespace: string, names: ReadonlySet<string>): Promise<Map<string, Values>> {
    return this.#read(this.#secrets, namespace, names, ({ data = {} }) =>
      Object.entries(data).map(([key, base64]) => [key, Buffer.from(base64, 'base64')] as const),
    );
  }

  services(): Iterable<Service> {
    return this.#deps.services.list();
  }

  /** A token of the pod's account, bound to the pod. @param audience empty for the API's own */
  async token(pod: Pod, audience: string, expirationSeconds: number): Promise<string> {
    const { clock, log } = this.#deps;
    const key = `${pod.metadata.uid}\0${audience}\0${expirationSeconds}`;
    const known = this.#tokens.get(key);
    if (known !== undefined && clock.now() < known.refreshMs) return known.token;
    let fresh: Token;
    try {
      fresh = await this.#requestToken(pod, audience, expirationSeconds);
    } catch (error) {
      if (known === undefined || clock.now() >= known.expiryMs) throw error;
      log(`couldn't update token of pod ${pod.metadata.namespace}/${pod.metadata.name}`, error);
      return known.token;
    }
    this.#tokens.delete(key);
    this.#tokens.set(key, fresh);
    for (const oldest of this.#tokens.keys()) {
      if (this.#tokens.size <= tokensMax) break;
      this.#tokens.delete(oldest);
    }
    return fresh.token;
  }

  async #requestToken(pod: Pod, audience: string, expirationSeconds: number): Promise<Token> {
    const { client, clock } = this.#deps;
    const nowMs = clock.now();
    const { status } = await client
      .resource(serviceAccounts, pod.metadata.namespace)
      .post<TokenRequest>(pod.spec.serviceAccountName || 'default', 'token', {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        metadata: {},
        spec: {
          ...(audience !== '' && { audiences: [audience] }),
          expirationSeconds,
          boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: pod.metadata.name, uid: pod.metadata.uid },
        },
      });
    const expiryMs = Date.parse(status.expirationTimestamp);
    const refreshMs = nowMs + Math.min((expiryMs - nowMs) * refreshShare, refreshMsMax);
    return { token: status.token, refreshMs, expiryMs };
  }

  /** The pod names nothing any more. */
  forget(podUid: string): void {
    this.#configMaps.unregister(podUid);
    this.#secrets.unregister(podUid);
    for (const key of this.#tokens.keys()) if (key.startsWith(`${podUid}\0`)) this.#tokens.delete(key);
  }

  async #read<T extends ApiObject & { readonly immutable?: boolean }>(
    watches: ObjectWatches<T>,
    namespace: string,
    names: ReadonlySet<string>,
    valuesOf: (object: T) => (readonly [string, Uint8Array])[],
  ): Promise<Map<string, Values>> {
    const found = new Map<string, Values>();
    await Promise.all(
      Array.from(names, async (name) => {
        const object = await watches.get(namespace, name);
        if (object === undefined) return;
        let values = this.#decoded.get(object);
        if (values === undefined) {
          values = new Map(valuesOf(object));
          this.#decoded.set(object, values);
        }
        found.set(name, values);
      }),
    );
    return found;
  }
}
