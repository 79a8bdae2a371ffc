/**
 * The one table of Wherry's parts: which layer each folder under `src/` stands in and what it may use.
 * An import goes to a part in a strictly lower layer, or along an edge listed in `edges`.
 * `node` lists the Node built-ins a part may import ('*' = any); `packages` the third-party packages.
 * Parts with `pure: true` never await, read a clock or roll a die. `tools/check-layers.ts` enforces all of it.
 */
export interface Part {
  readonly layer: number;
  readonly pure?: true;
  readonly node?: readonly string[] | '*';
  readonly packages?: readonly string[];
  /** Same-layer parts this one may import. */
  readonly edges?: readonly string[];
}

/** Layer of what is never imported by the product: tests, simulators, benchmarks. */
export const devLayer = 99;

export const parts: Readonly<Record<string, Part>> = {
  std: { layer: 0 },
  wire: { layer: 1, pure: true, edges: [] },
  'api-etcd': { layer: 2, pure: true },
  'api-cri': { layer: 2, pure: true },
  'api-containerd': { layer: 2, pure: true },
  'api-oci': { layer: 2, pure: true },
  'api-kube': { layer: 2, pure: true },
  raft: { layer: 3, pure: true },
  mvcc: { layer: 3, pure: true },
  'kube-machinery': { layer: 3, pure: true, packages: ['yaml', 're2js'] },
  host: { layer: 4, node: '*', packages: ['bcryptjs'] },
  'host-linux': { layer: 4, node: '*', packages: ['koffi'], edges: ['host'] },
  transport: { layer: 5, node: '*', packages: ['ws'] },
  rpc: { layer: 5, node: ['node:events'], edges: ['transport'] },
  pki: { layer: 5, node: ['node:crypto', 'node:util'], packages: ['@peculiar/x509', 'jose', 'reflect-metadata'] },
  storage: { layer: 5 },
  'etcd-client': { layer: 6 },
  'cri-client': { layer: 6 },
  'containerd-client': { layer: 6 },
  'kube-client': { layer: 6 },
  etcd: { layer: 6, node: ['node:crypto'] },
  runtime: { layer: 6, node: ['node:path'] },
  image: {
    layer: 6,
    node: [
      'node:crypto',
      'node:fs',
      'node:http',
      'node:https',
      'node:path',
      'node:stream',
      'node:stream/promises',
      'node:zlib',
    ],
  },
  registry: { layer: 6 },
  cni: { layer: 6, node: ['node:fs'] },
  containerd: { layer: 7, node: ['node:crypto', 'node:net'], packages: ['ws'] },
  build: { layer: 7 },
  hollow: { layer: 7 },
  'kube-apiserver': { layer: 8, node: ['node:crypto', 'node:net'], packages: ['yaml'] },
  'kube-controllers': { layer: 8 },
  'kube-scheduler': { layer: 8 },
  kubelet: { layer: 8 },
  'kube-proxy': { layer: 8 },
  'cluster-dns': { layer: 8, packages: ['dns-packet'] },
  cluster: { layer: 9, node: '*', packages: ['yaml'] },
  managed: { layer: 9 },
  test: { layer: 9, node: ['node:crypto'], edges: ['cluster'] },
  commands: { layer: 10, node: '*', packages: ['ws', 'yaml'] },
  dashboard: { layer: 10 },
  testkit: { layer: devLayer, node: '*', packages: ['*'] },
};
