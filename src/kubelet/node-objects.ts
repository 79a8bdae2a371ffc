/**
 * What pods of this node need from the API besides themselves: config maps, secrets, services and tokens, read as the node's own user.
 * Objects are asked for when a pod is set up or looked at again; tokens are kept until most of their life has passed.
 */
import type { KubeClient } from '#kube-client/client.ts';
import type { Informer } from '#kube-client/informer.ts';
import type { ApiObject, ResourceRef } from '#kube-client/resource-ref.ts';
import { StatusError } from '#kube-machinery/status.ts';
import type { Clock } from '#std/clock.ts';
import type { Pod } from './pod.ts';

type Values = ReadonlyMap<string, Uint8Array>;

interface ConfigMap extends ApiObject {
  readonly data?: Readonly<Record<string, string>>;
  readonly binaryData?: Readonly<Record<string, string>>;
}

interface Secret extends ApiObject {
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

const core = (resource: string, kind: string): ResourceRef => ({
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

/** A token is asked for anew when this share of its life has passed; upstream's figure. */
const refreshShare = 0.8;
const tokensMax = 10_000;

export class NodeObjects {
  readonly #client: KubeClient;
  readonly #clock: Clock;
  readonly #services: Informer<Service>;
  readonly #tokens = new Map<string, { readonly token: string; readonly untilMs: number }>();

  constructor(client: KubeClient, clock: Clock, serviceInformer: Informer<Service>) {
    this.#client = client;
    this.#clock = clock;
    this.#services = serviceInformer;
  }

  /** Values by key, by name. What does not exist is left out. */
  configMaps(namespace: string, names: ReadonlySet<string>): Promise<Map<string, Values>> {
    return this.#read<ConfigMap>(configMaps, namespace, names, ({ data = {}, binaryData = {} }) => [
      ...Object.entries(data).map(([key, text]) => [key, Buffer.from(text)] as const),
      ...Object.entries(binaryData).map(([key, base64]) => [key, Buffer.from(base64, 'base64')] as const),
    ]);
  }

  secrets(namespace: string, names: ReadonlySet<string>): Promise<Map<string, Values>> {
    return this.#read<Secret>(secrets, namespace, names, ({ data = {} }) =>
      Object.entries(data).map(([key, base64]) => [key, Buffer.from(base64, 'base64')] as const),
    );
  }

  services(): Iterable<Service> {
    return this.#services.list();
  }

  /** A token of the pod's account, bound to the pod. @param audience empty for the API's own */
  async token(pod: Pod, audience: string, expirationSeconds: number): Promise<string> {
    const key = `${pod.metadata.uid}\0${audience}\0${expirationSeconds}`;
    const nowMs = this.#clock.now();
    const known = this.#tokens.get(key);
    if (known !== undefined && nowMs < known.untilMs) return known.token;
    const { status } = await this.#client
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
    const lifeMs = Date.parse(status.expirationTimestamp) - nowMs;
    this.#tokens.delete(key);
    this.#tokens.set(key, { token: status.token, untilMs: nowMs + lifeMs * refreshShare });
    for (const oldest of this.#tokens.keys()) {
      if (this.#tokens.size <= tokensMax) break;
      this.#tokens.delete(oldest);
    }
    return status.token;
  }

  forget(podUid: string): void {
    for (const key of this.#tokens.keys()) if (key.startsWith(`${podUid}\0`)) this.#tokens.delete(key);
  }

  async #read<T extends ApiObject>(
    ref: ResourceRef,
    namespace: string,
    names: ReadonlySet<string>,
    valuesOf: (object: T) => (readonly [string, Uint8Array])[],
  ): Promise<Map<string, Values>> {
    const found = new Map<string, Values>();
    const resource = this.#client.resource<T>(ref, namespace);
    await Promise.all(
      Array.from(names, async (name) => {
        try {
          found.set(name, new Map(valuesOf(await resource.get(name))));
        } catch (error) {
          if (!(error instanceof StatusError && error.code === 404)) throw error;
        }
      }),
    );
    return found;
  }
}
