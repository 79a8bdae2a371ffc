/** What a running cluster answers its own tools over a unix socket that only its owner may open: why, images, stop. JSON over HTTP. */

import type { KubeObject } from '#kube-apiserver/object.ts';
import { StatusError } from '#kube-machinery/status.ts';
import type { HttpHandler, HttpResponse } from '#transport/http.ts';
import type { ControlPlane } from './control-plane.ts';
import type { RealNode } from './real-node.ts';

export interface ControlDeps {
  readonly control: ControlPlane;
  readonly node: RealNode | undefined;
  readonly stop: () => void;
  readonly log: (message: string, error?: unknown) => void;
}

export function controlHandler({ control, stop, log }: ControlDeps): HttpHandler {
  return answerJson(log, async (method, [verb, ...rest]) => {
    switch (`${method} ${verb}`) {
      case 'POST stop':
        stop();
        return { status: 202, value: {} };
      case 'GET why': {
        const [resource = '', namespace = '', name = ''] = rest;
        return { status: 200, value: whyOf(control, resource, namespace, name) };
      }
      case 'GET status':
        return { status: 200, value: clusterStatus(control) };
      default:
        return undefined;
    }
  });
}

export interface ControlAnswer {
  readonly status: number;
  readonly value: object;
}

/** A handler of JSON. `answer` gets the path's segments; undefined means there is nothing there. */
export function answerJson(
  log: ControlDeps['log'],
  answer: (method: string, path: readonly string[]) => Promise<ControlAnswer | undefined>,
): HttpHandler {
  return async ({ method, target }) => {
    const url = new URL(target, 'http://cluster');
    const parts = url.pathname.slice(1).split('/').map(decodeURIComponent);
    try {
      const found = await answer(method, parts);
      return found === undefined
        ? json(404, { message: `${method} ${url.pathname} is not here` })
        : json(found.status, found.value);
    } catch (error) {
      if (!(error instanceof StatusError)) log(`control socket: ${method} ${url.pathname}`, error);
      return json(500, { message: error instanceof Error ? error.message : String(error) });
    }
  };
}

function json(status: number, value: object): HttpResponse {
  return { status, headers: [['content-type', 'application/json']], body: Buffer.from(JSON.stringify(value)) };
}

interface Conditioned extends KubeObject {
  readonly status?: {
    readonly phase?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[];
    readonly containerStatuses?: readonly {
      readonly name: string;
      readonly state?: { readonly waiting?: { readonly reason?: string; readonly message?: string } };
    }[];
  };
}

export function clusterStatus({ apiserver }: Pick<ControlPlane, 'apiserver'>): object {
  const nodes = [...apiserver.reader.list({ group: '', resource: 'nodes' })].map((node) => ({
    name: node.metadata.name,
    ready: ((node as Conditioned).status?.conditions ?? []).some(
      ({ type, status }) => type === 'Ready' && status === 'True',
    ),
  }));
  const pods: Record<string, number> = {};
  for (const pod of apiserver.reader.list({ group: '', resource: 'pods' })) {
    const phase = (pod as Conditioned).status?.phase ?? 'Unknown';
    pods[phase] = (pods[phase] ?? 0) + 1;
  }
  return { nodes, pods, revision: apiserver.revision(), stages: apiserver.stages };
}

/** What is known of an object: how it stands in plain words, who wrote it, and for a pod each node's verdict. */
export function whyOf(
  { apiserver, scheduler }: Pick<ControlPlane, 'apiserver' | 'scheduler'>,
  qualified: string,
  namespace: string,
  name: string,
): object {
  const [resource = '', ...group] = qualified.split('.');
  const object = apiserver.reader.get({ group: group.join('.'), resource }, namespace, name) as Conditioned | undefined;
  const scheduling = resource === 'pods' ? scheduler.explain(`${namespace}/${name}`) : undefined;
  const state: string[] = [];
  if (object !== undefined) {
    for (const { type, status: value, message } of object.status?.conditions ?? [])
      if (value !== 'True' && message) state.push(`${type} is ${value}: ${message}`);
    for (const { name: container, state: current } of object.status?.containerStatuses ?? [])
      if (current?.waiting)
        state.push(
          `container ${container} waits: ${current.waiting.reason ?? ''}${current.waiting.message ? `: ${current.waiting.message}` : ''}`,
        );
  }
  const writes = apiserver.writesOf(qualified, namespace, name);
  return { writes, ...(object !== undefined && { state }), ...(scheduling !== undefined && { scheduling }) };
}
