/**
 * Reaches kubelets where their nodes say they are: a node's address and port, over TLS with a client certificate. Connections are kept, one pool a
 * node; a node that moved gets another.
 */
import { createFetch } from '#transport/fetch.ts';
import type { KubeObject } from '../object.ts';
import type { KubeletDialer } from './kubelet-proxy.ts';

export interface KubeletClientTls {
  /** PEM: who the apiserver is to kubelets, `kube-apiserver-kubelet-client`. */
  readonly certificate: string;
  readonly key: string;
  /** Verifies kubelets. Without it any certificate is taken, as upstream does: kubelets sign their own by default. */
  readonly ca?: string;
}

interface NodeObject extends KubeObject {
  readonly status?: {
    readonly addresses?: readonly { readonly type: string; readonly address: string }[];
    readonly daemonEndpoints?: { readonly kubeletEndpoint?: { readonly Port?: number } };
  };
}

/** Upstream's default of --kubelet-preferred-address-types. */
const preferredAddressTypes = ['Hostname', 'InternalDNS', 'InternalIP', 'ExternalDNS', 'ExternalIP'];
const defaultPort = 10_250;
/** Nodes whose connections are kept; the one that was asked longest ago makes room. */
export const nodesMax = 1000;

/** @param addressTypes which of a node's addresses to take, most wanted first */
export function kubeletsByAddress({
  node,
  tls,
  addressTypes = preferredAddressTypes,
}: {
  readonly node: (name: string) => KubeObject | undefined;
  readonly tls: KubeletClientTls;
  readonly addressTypes?: readonly string[];
}): { readonly dial: KubeletDialer } & AsyncDisposable {
  const known = new Map<string, { readonly address: string; readonly fetch: ReturnType<typeof createFetch> }>();
  const { ca, certificate, key } = tls;
  return {
    dial(name) {
      const address = addressOf(node(name), addressTypes);
      if (address === undefined) return undefined;
      let entry = known.get(name);
      known.delete(name);
      if (entry?.address !== address) {
        void entry?.fetch[Symbol.asyncDispose]();
        const verify = ca === undefined ? { insecure: true } : { ca };
        entry = { address, fetch: createFetch({ address, tls: { certificate, key, ...verify } }) };
      }
      known.set(name, entry);
      for (const [oldest, { fetch }] of known) {
        if (known.size <= nodesMax) break;
        known.delete(oldest);
        void fetch[Symbol.asyncDispose]();
      }
      return entry.fetch;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(Array.from(known.values(), ({ fetch }) => fetch[Symbol.asyncDispose]()));
      known.clear();
    },
  };
}

/** `https://host:port`; undefined for a node that is not there or has no address yet. */
function addressOf(node: NodeObject | undefined, types: readonly string[]): string | undefined {
  const addresses = node?.status?.addresses ?? [];
  for (const type of types) {
    const address = addresses.find((entry) => entry.type === type)?.address;
    if (!address) continue;
    const port = node?.status?.daemonEndpoints?.kubeletEndpoint?.Port || defaultPort;
    return `https://${address.includes(':') ? `[${address}]` : address}:${port}`;
  }
  return undefined;
}
