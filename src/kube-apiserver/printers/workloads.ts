/** Columns of the kinds that keep pods running, and of what decides about them. */
import { type Columns, containerCells, duration, labels, selector, since } from './cells.ts';

const replicaSet: Columns = {
  columns: [
    'Name',
    'Desired:integer',
    'Current:integer',
    'Ready:integer',
    'Age:date',
    '+Containers',
    '+Images',
    '+Selector',
  ],
  row: ({ name, age }, { spec = {}, status = {} }) => [
    name,
    spec.replicas ?? 0,
    status.replicas ?? 0,
    status.readyReplicas ?? 0,
    age,
    ...containerCells(spec.template?.spec?.containers),
    selector(spec.selector),
  ],
};

export const workloadPrinters: Readonly<Record<string, Columns>> = {
  'Deployment.apps': {
    columns: [
      'Name',
      'Ready',
      'Up-to-date:integer',
      'Available:integer',
      'Age:date',
      '+Containers',
      '+Images',
      '+Selector',
    ],
    row: ({ name, age }, { spec = {}, status = {} }) => [
      name,
      `${status.readyReplicas ?? 0}/${spec.replicas ?? 0}`,
      status.updatedReplicas ?? 0,
      status.availableReplicas ?? 0,
      age,
      ...containerCells(spec.template?.spec?.containers),
      selector(spec.selector),
    ],
  },
  'ReplicaSet.apps': replicaSet,
  ReplicationController: {
    ...replicaSet,
    row: (common, object, nowMs) => [
      ...replicaSet.row(common, object, nowMs).slice(0, 7),
      labels(object.spec?.selector),
    ],
  },
  'StatefulSet.apps': {
    columns: ['Name', 'Ready', 'Age:date', '+Containers', '+Images'],
    row: ({ name, age }, { spec = {}, status = {} }) => [
      name,
      `${status.readyReplicas ?? 0}/${spec.replicas ?? 0}`,
      age,
      ...containerCells(spec.template?.spec?.containers),
    ],
  },
  'DaemonSet.apps': {
    columns: [
      'Name',
      'Desired:integer',
      'Current:integer',
      'Ready:integer',
      'Up-to-date:integer',
      'Available:integer',
      'Node Selector',
      'Age:date',
      '+Containers',
      '+Images',
      '+Selector',
    ],
    row: ({ name, age }, { spec = {}, status = {} }) => [
      name,
      status.desiredNumberScheduled ?? 0,
      status.currentNumberScheduled ?? 0,
      status.numberReady ?? 0,
      status.updatedNumberScheduled ?? 0,
      status.numberAvailable ?? 0,
      labels(spec.template?.spec?.nodeSelector),
      age,
      ...containerCells(spec.template?.spec?.containers),
      selector(spec.selector),
    ],
  },
  'Job.batch': {
    columns: ['Name', 'Status', 'Completions', 'Duration', 'Age:date', '+Containers', '+Images', '+Selector'],
    row({ name, age }, { metadata, spec = {}, status = {} }, nowMs) {
      const has = (type: string) =>
        (status.conditions as { type: string; status: string }[] | undefined)?.some(
          (condition) => condition.type === type && condition.status === 'True',
        );
      const done = status.succeeded ?? 0;
      const completions =
        spec.completions !== undefined
          ? `${done}/${spec.completions}`
          : (spec.parallelism ?? 0) > 1
            ? `${done}/1 of ${spec.parallelism}`
            : `${done}/1`;
      const end = status.completionTime ? Date.parse(status.completionTime) : nowMs;
      return [
        name,
        ['Complete', 'Failed'].find(has) ??
          (metadata.deletionTimestamp
            ? 'Terminating'
            : (['Suspended', 'FailureTarget', 'SuccessCriteriaMet'].find(has) ?? 'Running')),
        completions,
        status.startTime ? duration(end - Date.parse(status.startTime)) : '',
        age,
        ...containerCells(spec.template?.spec?.containers),
        selector(spec.selector),
      ];
    },
  },
  'CronJob.batch': {
    columns: [
      'Name',
      'Schedule',
      'Timezone',
      'Suspend',
      'Active:integer',
      'Last Schedule',
      'Age:date',
      '+Containers',
      '+Images',
      '+Selector',
    ],
    row: ({ name, age }, { spec = {}, status = {} }, nowMs) => [
      name,
      spec.schedule ?? '',
      spec.timeZone ?? '<none>',
      spec.suspend === undefined ? '<unset>' : spec.suspend ? 'True' : 'False',
      status.active?.length ?? 0,
      status.lastScheduleTime ? since(status.lastScheduleTime, nowMs) : '<none>',
      age,
      ...containerCells(spec.jobTemplate?.spec?.template?.spec?.containers),
      selector(spec.jobTemplate?.spec?.selector),
    ],
  },
  'PodDisruptionBudget.policy': {
    columns: ['Name', 'Min Available', 'Max Unavailable', 'Allowed Disruptions:integer', 'Age:date'],
    row: ({ name, age }, { spec = {}, status = {} }) => [
      name,
      String(spec.minAvailable ?? 'N/A'),
      String(spec.maxUnavailable ?? 'N/A'),
      status.disruptionsAllowed ?? 0,
      age,
    ],
  },
  'PriorityClass.scheduling.k8s.io': {
    columns: ['Name', 'Value:integer', 'Global-Default:boolean', 'Age:date', 'PreemptionPolicy'],
    row: ({ name, age }, { value, globalDefault, preemptionPolicy }) => [
      name,
      value ?? 0,
      globalDefault ?? false,
      age,
      preemptionPolicy ?? '',
    ],
  },
  'Lease.coordination.k8s.io': {
    columns: ['Name', 'Holder', 'Age:date'],
    row: ({ name, age }, { spec }) => [name, spec?.holderIdentity ?? '', age],
  },
};
