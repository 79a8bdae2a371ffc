/**
 * Descriptions of gRPC services, as generated from `.proto` files: pure data shared by clients and servers.
 * Spec: gRPC over HTTP/2 (PROTOCOL-HTTP2.md).
 */
import type { MessageType } from '../protobuf/message.ts';

export type MethodKind = 'unary' | 'server-stream' | 'client-stream' | 'bidi';

export interface Method<I = unknown, O = unknown, K extends MethodKind = MethodKind> {
  /** The HTTP/2 path, `/etcdserverpb.KV/Put`. */
  readonly path: string;
  readonly kind: K;
  readonly request: MessageType<I>;
  readonly response: MessageType<O>;
}

/** A service: its full name and its methods by camelCase name (`put`, `leaseGrant`). */
export type Service<M extends Record<string, Method> = Record<string, Method>> = {
  readonly typeName: string;
  readonly methods: M;
};
