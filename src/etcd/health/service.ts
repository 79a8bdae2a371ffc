/** gRPC's health service: the server as a whole (the empty name) serves as long as it answers. */
import { Health, HealthCheckResponse_ServingStatus as Status } from '#api-etcd/gen/health.ts';
import { type BoundService, bind } from '#rpc/call.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';

export function healthService(): BoundService {
  return bind(Health, {
    check({ service }) {
      if (service !== '') throw new RpcError(Code.NotFound, 'unknown service');
      return { status: Status.SERVING };
    },

    /** The status now, and then whenever it changes: which it does not before the call ends. */
    async watch({ service }, sink, { signal }) {
      sink.send({ status: service === '' ? Status.SERVING : Status.SERVICE_UNKNOWN });
      await new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
        if (signal.aborted) reject(signal.reason);
      });
    },
  });
}
