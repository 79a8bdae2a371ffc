/** What a running cluster answers its own tools over a unix socket that only its owner may open: why, images, stop. JSON over HTTP. */
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
  return async ({ method, target }) => {
    const url = new URL(target, 'http://cluster');
    const parts = url.pathname.slice(1).split('/').map(decodeURIComponent);
    try {
      if (method === 'POST' && parts[0] === 'stop') {
        stop();
        return json(202, {});
      }
      if (method === 'GET' && parts[0] === 'why') {
        const [, resource = '', namespace = '', name = ''] = parts;
        return json(200, {
          writes: control.apiserver.writesOf(resource, namespace, name),
          ...(resource === 'pods' && { scheduling: control.scheduler.explain(`${namespace}/${name}`) }),
        });
      }
      return json(404, { message: `${method} ${url.pathname} is not here` });
    } catch (error) {
      if (!(error instanceof StatusError)) log(`control socket: ${method} ${url.pathname}`, error);
      return json(500, { message: error instanceof Error ? error.message : String(error) });
    }
  };
}

function json(status: number, value: object): HttpResponse {
  return { status, headers: [['content-type', 'application/json']], body: Buffer.from(JSON.stringify(value)) };
}
