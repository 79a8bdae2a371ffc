/** One run of kubectl: the cluster that the kubeconfig's context names, a client for it, and what it serves. */
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { systemClock } from '#host/clock.ts';
import { systemPrng } from '#host/random.ts';
import { createKubeClient, type KubeClient } from '#kube-client/client.ts';
import { createFetch } from '#transport/fetch.ts';
import type { HttpHandler, HttpResponse } from '#transport/http.ts';
import { CommandError, ExitCode } from '../command.ts';

export interface Credentials {
  readonly server: string;
  readonly ca?: string;
  readonly certificate?: string;
  readonly key?: string;
  readonly token?: string;
  readonly insecure: boolean;
  /** Of the context. */
  readonly namespace: string;
}

type Entry = Readonly<Record<string, unknown>> & { readonly name?: string };

/** @throws CommandError in kubectl's words */
export function readCredentials(path: string, contextName: string | undefined): Credentials {
  let config: Readonly<Record<string, unknown>>;
  try {
    config = (parse(readFileSync(path, 'utf8')) ?? {}) as Readonly<Record<string, unknown>>;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      throw new CommandError(ExitCode.failed, `error loading config file "${path}": ${(error as Error).message}`);
    config = {};
  }
  const find = (section: string, name: unknown, key: string) =>
    ((config[section] ?? []) as Entry[]).find((entry) => entry.name === name)?.[key] as
      | Readonly<Record<string, string>>
      | undefined;
  const current = contextName ?? (config['current-context'] as string | undefined);
  const context = find('contexts', current, 'context');
  if (contextName !== undefined && context === undefined)
    throw new CommandError(ExitCode.failed, `error: context "${contextName}" does not exist`);
  const cluster = find('clusters', context?.['cluster'], 'cluster');
  const user = find('users', context?.['user'], 'user') ?? {};
  if (cluster === undefined)
    throw new CommandError(
      ExitCode.failed,
      'The connection to the server localhost:8080 was refused - did you specify the right host or port?',
    );
  const pem = (from: Readonly<Record<string, string>>, name: string) => {
    const data = from[`${name}-data`];
    if (data !== undefined) return Buffer.from(data, 'base64').toString('utf8');
    return from[name] === undefined ? undefined : readFileSync(from[name], 'utf8');
  };
  const ca = pem(cluster, 'certificate-authority');
  const certificate = pem(user, 'client-certificate');
  const key = pem(user, 'client-key');
  return {
    server: cluster['server'] ?? '',
    insecure: String(cluster['insecure-skip-tls-verify']) === 'true',
    namespace: context?.['namespace'] || 'default',
    ...(ca !== undefined && { ca }),
    ...(certificate !== undefined && { certificate }),
    ...(key !== undefined && { key }),
    ...(user['token'] !== undefined && { token: user['token'] }),
  };
}

/** A kind as discovery tells it. */
export interface Kind {
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  readonly singular: string;
  readonly kind: string;
  readonly namespaced: boolean;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
}

export class Session implements AsyncDisposable {
  readonly credentials: Credentials;
  readonly client: KubeClient;
  readonly #fetch: HttpHandler & AsyncDisposable;
  #kinds: Promise<readonly Kind[]> | undefined;

  constructor(credentials: Credentials) {
    this.credentials = credentials;
    const { server, ca, certificate, key, insecure, token } = credentials;
    this.#fetch = createFetch({
      address: server,
      tls: {
        ...(ca !== undefined && { ca }),
        ...(certificate !== undefined && { certificate }),
        ...(key !== undefined && { key }),
        insecure,
      },
    });
    this.client = createKubeClient({
      fetch: this.#fetch,
      clock: systemClock,
      prng: systemPrng(),
      userAgent: 'wherry-kubectl',
      ...(token !== undefined && { token }),
    });
  }

  /** A plain request; the answer's body is a stream or bytes. */
  send(method: string, target: string, accept: string, signal: AbortSignal): Promise<HttpResponse> {
    const { token } = this.credentials;
    return this.#fetch({
      method,
      target,
      headers: [['accept', accept], ...(token === undefined ? [] : [['authorization', `Bearer ${token}`] as const])],
      authority: new URL(this.credentials.server).host,
      protocol: 'HTTP/1.1',
      body: (async function* () {})(),
      peer: { address: 'kubectl' },
      signal,
    });
  }

  /** Everything the cluster serves, preferred versions first. */
  kinds(): Promise<readonly Kind[]> {
    this.#kinds ??= this.#discover();
    return this.#kinds;
  }

  /** By plural, singular, kind, short name, `resource.group`. @throws CommandError */
  async kind(name: string): Promise<Kind> {
    const wanted = name.toLowerCase();
    const [resource, ...group] = wanted.split('.');
    const found = (await this.kinds()).find(
      (kind) =>
        [kind.resource, kind.singular, kind.kind.toLowerCase(), ...kind.shortNames].includes(resource!) &&
        (group.length === 0 || kind.group === group.join('.')),
    );
    if (found !== undefined) return found;
    throw new CommandError(ExitCode.failed, `error: the server doesn't have a resource type "${name}"`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#fetch[Symbol.asyncDispose]();
  }

  async #discover(): Promise<readonly Kind[]> {
    interface ResourceList {
      readonly groupVersion: string;
      readonly resources: readonly {
        readonly name: string;
        readonly singularName: string;
        readonly kind: string;
        readonly namespaced: boolean;
        readonly shortNames?: readonly string[];
        readonly categories?: readonly string[];
      }[];
    }
    interface GroupList {
      readonly groups: readonly { readonly preferredVersion: { readonly groupVersion: string } }[];
    }
    const { groups } = await this.client.raw<GroupList>('/apis');
    const paths = ['/api/v1', ...groups.map(({ preferredVersion }) => `/apis/${preferredVersion.groupVersion}`)];
    const lists = await Promise.all(paths.map((path) => this.client.raw<ResourceList>(path)));
    return lists.flatMap(({ groupVersion, resources }) => {
      const slash = groupVersion.indexOf('/');
      return resources
        .filter(({ name }) => !name.includes('/'))
        .map(({ name, singularName, kind, namespaced, shortNames = [], categories = [] }) => ({
          group: groupVersion.slice(0, Math.max(slash, 0)),
          version: groupVersion.slice(slash + 1),
          resource: name,
          singular: singularName || kind.toLowerCase(),
          kind,
          namespaced,
          shortNames,
          categories,
        }));
    });
  }
}
