/**
 * What the CRI server needs of pod networking. Whoever has a CNI, or anything else that puts interfaces into a network namespace, brings
 * one. Teardown is idempotent and works when the namespace is gone.
 */
export interface PodNetworkInfo {
  /** The sandbox's id. */
  readonly id: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly portMappings: readonly PodPortMapping[];
}

export interface PodPortMapping {
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  readonly containerPort: number;
  readonly hostPort: number;
  /** Empty for every address. */
  readonly hostIp: string;
}

export interface PodNetwork {
  /** Readiness of the network, as the kubelet shows it (`NetworkReady`). */
  status(): Promise<{ readonly ready: boolean; readonly reason: string; readonly message: string }>;
  /** Connects the namespace pinned at `netns`, loopback included; the primary address comes first. An error leaves no trace. */
  setup(netns: string, pod: PodNetworkInfo): Promise<{ readonly ips: readonly string[] }>;
  teardown(netns: string, pod: PodNetworkInfo): Promise<void>;
  /** Told at start which sandboxes there are: what others hold was left by a crash. */
  keepOnly?(ids: ReadonlySet<string>): Promise<void>;
}
