/** What one control plane of several answers over its unix socket: how it is, why an object is as it is, and the two steps of a stop. */
import type { HttpHandler } from '#transport/http.ts';
import { answerJson, clusterStatus, whyOf } from '../control.ts';
import type { ControlPlane } from '../control-plane.ts';
import type { PlaneStatus } from './plane-status.ts';

export interface ServerControlDeps {
  readonly status: () => PlaneStatus;
  /** Undefined while it starts. */
  readonly control: () => ControlPlane | undefined;
  /** Ends controllers and scheduler. */
  readonly retire: () => Promise<void>;
  readonly stop: () => void;
  readonly log: (message: string, error?: unknown) => void;
}

export function serverControl({ status, control, retire, stop, log }: ServerControlDeps): HttpHandler {
  return answerJson(log, async (method, [verb, ...rest]) => {
    const running = control();
    switch (`${method} ${verb}`) {
      case 'GET plane':
        return { status: 200, value: status() };
      case 'GET status':
        if (running === undefined) return { status: 503, value: { message: 'it starts' } };
        return { status: 200, value: { ...clusterStatus(running), plane: status() } };
      case 'GET why': {
        if (running === undefined) return { status: 503, value: { message: 'it starts' } };
        const [resource = '', namespace = '', name = ''] = rest;
        return { status: 200, value: whyOf(running, resource, namespace, name) };
      }
      case 'POST retire':
        await retire();
        return { status: 200, value: {} };
      case 'POST stop':
        stop();
        return { status: 202, value: {} };
      default:
        return undefined;
    }
  });
}
