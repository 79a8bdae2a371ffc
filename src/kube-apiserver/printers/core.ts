/** Columns of pods, nodes, events and the other kinds of the core group. */
import { type Columns, duration, orNone, since } from './cells.ts';

interface ContainerStatus {
  readonly name: string;
  readonly ready?: boolean;
  readonly restartCount?: number;
  readonly started?: boolean;
  readonly lastState?: { readonly terminated?: { readonly finishedAt?: string } };
  readonly state?: {
    readonly waiting?: { readonly reason?: string };
    readonly running?: object;
    readonly terminated?: { readonly reason?: string; readonly signal?: number; readonly exitCode?: number };
  };
}

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
}

const keys = (value: object | undefined) => Object.keys(value ?? {}).length;

function terminatedReason({
  reason,
  signal,
  exitCode,
}: NonNullable<NonNullable<ContainerStatus['state']>['terminated']>): string {
  if (reason) return reason;
  return signal ? `Signal:${signal}` : `ExitCode:${exitCode ?? 0}`;
}

const pods: Columns = {
  columns: ['Name', 'Ready', 'Status', 'Restarts', 'Age:date', '+IP', '+Node', '+Nominated Node', '+Readiness Gates'],
  row({ name, age }, { metadata, spec = {}, status = {} }, nowMs) {
    const statuses: ContainerStatus[] = status.containerStatuses ?? [];
    const inits: ContainerStatus[] = status.initContainerStatuses ?? [];
    const conditions: Condition[] = status.conditions ?? [];
    let reason: string = status.reason || status.phase || '';
    if (conditions.some((c) => c.type === 'PodScheduled' && c.reason === 'SchedulingGated')) reason = 'SchedulingGated';
    let restarts = 0;
    let restartedMs = 0;
    const count = ({ restartCount = 0, lastState }: ContainerStatus) => {
      restarts += restartCount;
      const ended = lastState?.terminated?.finishedAt;
      if (ended) restartedMs = Math.max(restartedMs, Date.parse(ended));
    };
    // Sidecars are init containers that run beside the others: they count as containers of the pod.
    const sidecars = new Set(
      ((spec.initContainers ?? []) as { name: string; restartPolicy?: string }[])
        .filter(({ restartPolicy }) => restartPolicy === 'Always')
        .map((container) => container.name),
    );
    let ready = 0;
    let initializing = false;
    for (const [index, container] of inits.entries()) {
      count(container);
      const { terminated, waiting } = container.state ?? {};
      if (terminated?.exitCode === 0) continue;
      if (sidecars.has(container.name) && container.started) {
        if (container.ready) ready++;
        continue;
      }
      initializing = true;
      if (terminated) reason = `Init:${terminatedReason(terminated)}`;
      else if (waiting?.reason && waiting.reason !== 'PodInitializing') reason = `Init:${waiting.reason}`;
      else reason = `Init:${index}/${spec.initContainers?.length ?? inits.length}`;
      break;
    }
    if (!initializing || conditions.some((c) => c.type === 'Initialized' && c.status === 'True')) {
      restarts = 0;
      restartedMs = 0;
      for (const container of inits) if (sidecars.has(container.name)) count(container);
      let running = false;
      for (const container of [...statuses].reverse()) {
        count(container);
        const { waiting, terminated } = container.state ?? {};
        if (waiting?.reason) reason = waiting.reason;
        else if (terminated) reason = terminatedReason(terminated);
        else if (container.ready && container.state?.running) {
          running = true;
          ready++;
        }
      }
      // Some have ended and others run: the pod is not complete.
      if (reason === 'Completed' && running)
        reason = conditions.some((c) => c.type === 'Ready' && c.status === 'True') ? 'Running' : 'NotReady';
    }
    if (metadata.deletionTimestamp) {
      if (status.reason === 'NodeLost') reason = 'Unknown';
      else if (status.phase !== 'Succeeded' && status.phase !== 'Failed') reason = 'Terminating';
    }
    const gates: { conditionType: string }[] = spec.readinessGates ?? [];
    const passed = gates.filter(({ conditionType }) =>
      conditions.some((c) => c.type === conditionType && c.status === 'True'),
    );
    return [
      name,
      `${ready}/${(spec.containers?.length ?? 0) + sidecars.size}`,
      reason,
      restartedMs > 0 && restarts > 0 ? `${restarts} (${duration(nowMs - restartedMs)} ago)` : `${restarts}`,
      age,
      orNone(status.podIP),
      orNone(spec.nodeName),
      orNone(status.nominatedNodeName),
      gates.length > 0 ? `${passed.length}/${gates.length}` : '<none>',
    ];
  },
};

const roleLabel = 'node-role.kubernetes.io/';

const nodes: Columns = {
  columns: [
    'Name',
    'Status',
    'Roles',
    'Age:date',
    'Version',
    '+Internal-IP',
    '+External-IP',
    '+OS-Image',
    '+Kernel-Version',
    '+Container-Runtime',
  ],
  row({ name, age }, { metadata, spec = {}, status = {} }) {
    const ready = (status.conditions as Condition[] | undefined)?.find(({ type }) => type === 'Ready');
    const states = [ready === undefined ? 'Unknown' : ready.status === 'True' ? 'Ready' : 'NotReady'];
    if (spec.unschedulable) states.push('SchedulingDisabled');
    const roles = new Set<string>();
    for (const [label, value] of Object.entries(metadata.labels ?? {})) {
      if (label.startsWith(roleLabel) && label.length > roleLabel.length) roles.add(label.slice(roleLabel.length));
      else if (label === 'kubernetes.io/role' && value) roles.add(String(value));
    }
    const address = (type: string) =>
      (status.addresses as { type: string; address: string }[] | undefined)?.find((entry) => entry.type === type)
        ?.address;
    const { kubeletVersion = '', osImage, kernelVersion, containerRuntimeVersion } = status.nodeInfo ?? {};
    const unknown = (text: string | undefined) => text || '<unknown>';
    return [
      name,
      states.join(','),
      orNone([...roles].sort().join(',')),
      age,
      kubeletVersion,
      orNone(address('InternalIP')),
      orNone(address('ExternalIP')),
      unknown(osImage),
      unknown(kernelVersion),
      unknown(containerRuntimeVersion),
    ];
  },
};

const events: Columns = {
  columns: [
    'Last Seen',
    'Type',
    'Reason',
    'Object',
    '+Subobject',
    '+Source',
    'Message',
    '+First Seen',
    '+Count',
    '+Name',
  ],
  row({ name }, event, nowMs) {
    const first = event.firstTimestamp || event.eventTime;
    const last = event.series?.lastObservedTime || event.lastTimestamp || first;
    const { kind = '', name: object = '', fieldPath = '' } = event.involvedObject ?? {};
    const source = [event.source?.component || event.reportingComponent, event.source?.host].filter(Boolean).join(', ');
    return [
      since(last, nowMs),
      event.type ?? '',
      event.reason ?? '',
      `${kind.toLowerCase()}/${object}`,
      fieldPath,
      source,
      (event.message ?? '').trim(),
      since(first, nowMs),
      event.series?.count ?? event.count ?? 1,
      name,
    ];
  },
};

export const corePrinters: Readonly<Record<string, Columns>> = {
  Pod: pods,
  Node: nodes,
  Event: events,
  'Event.events.k8s.io': {
    ...events,
    row: (common, event, nowMs) =>
      events.row(
        common,
        {
          ...event,
          message: event.note,
          involvedObject: event.regarding,
          source: event.deprecatedSource,
          firstTimestamp: event.deprecatedFirstTimestamp,
          lastTimestamp: event.deprecatedLastTimestamp,
          count: event.deprecatedCount,
          reportingComponent: event.reportingController,
        },
        nowMs,
      ),
  },
  Namespace: {
    columns: ['Name', 'Status', 'Age:date'],
    row: ({ name, age }, { status }) => [name, status?.phase ?? '', age],
  },
  ConfigMap: {
    columns: ['Name', 'Data', 'Age:date'],
    row: ({ name, age }, { data, binaryData }) => [name, keys(data) + keys(binaryData), age],
  },
  Secret: {
    columns: ['Name', 'Type', 'Data:integer', 'Age:date'],
    row: ({ name, age }, { type, data }) => [name, type ?? '', keys(data), age],
  },
  ServiceAccount: {
    columns: ['Name', 'Age:date'],
    row: ({ name, age }) => [name, age],
  },
  PersistentVolumeClaim: {
    columns: [
      'Name',
      'Status',
      'Volume',
      'Capacity',
      'Access Modes',
      'StorageClass',
      'VolumeAttributesClass',
      'Age:date',
      '+VolumeMode',
    ],
    row: ({ name, age }, { metadata, spec = {}, status = {} }) => [
      name,
      metadata.deletionTimestamp ? 'Terminating' : (status.phase ?? ''),
      spec.volumeName ?? '',
      spec.volumeName ? (status.capacity?.storage ?? '') : '',
      spec.volumeName ? accessModes(status.accessModes) : '',
      spec.storageClassName ?? '',
      spec.volumeAttributesClassName ?? '<unset>',
      age,
      spec.volumeMode ?? '<unset>',
    ],
  },
  PersistentVolume: {
    columns: [
      'Name',
      'Capacity',
      'Access Modes',
      'Reclaim Policy',
      'Status',
      'Claim',
      'StorageClass',
      'VolumeAttributesClass',
      'Reason',
      'Age:date',
      '+VolumeMode',
    ],
    row: ({ name, age }, { metadata, spec = {}, status = {} }) => [
      name,
      spec.capacity?.storage ?? '',
      accessModes(spec.accessModes),
      spec.persistentVolumeReclaimPolicy ?? '',
      metadata.deletionTimestamp ? 'Terminating' : (status.phase ?? ''),
      spec.claimRef ? `${spec.claimRef.namespace}/${spec.claimRef.name}` : '',
      spec.storageClassName ?? '',
      spec.volumeAttributesClassName ?? '<unset>',
      status.reason ?? '',
      age,
      spec.volumeMode ?? '<unset>',
    ],
  },
};

const modes: Readonly<Record<string, string>> = {
  ReadWriteOnce: 'RWO',
  ReadOnlyMany: 'ROX',
  ReadWriteMany: 'RWX',
  ReadWriteOncePod: 'RWOP',
};

function accessModes(list: readonly string[] | undefined): string {
  return [...new Set(list ?? [])].map((mode) => modes[mode] ?? mode).join(',');
}
