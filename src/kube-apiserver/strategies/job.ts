/** Jobs: unless the user says otherwise, a job's pods are told from all others by the job's uid. Source: jobStrategy of pkg/registry/batch. */
import type { KubeObject } from '../object.ts';
import type { Strategy } from '../strategy.ts';

type Fields = Readonly<Record<string, unknown>>;
type Labels = Readonly<Record<string, string>>;

export function jobStrategy(generic: Strategy): Strategy {
  return { ...generic, prepareCreate: (object, writer) => withSelector(generic.prepareCreate(object, writer)) };
}

function withSelector(job: KubeObject): KubeObject {
  const spec = (job['spec'] ?? {}) as Fields;
  if (spec['manualSelector'] === true) return job;
  const { uid = '', name = '' } = job.metadata;
  const template = (spec['template'] ?? {}) as Fields;
  const metadata = (template['metadata'] ?? {}) as Fields;
  const labels: Labels = {
    ...(metadata['labels'] as Labels | undefined),
    'batch.kubernetes.io/controller-uid': uid,
    'batch.kubernetes.io/job-name': name,
    // The names that the labels had before they got a prefix.
    'controller-uid': uid,
    'job-name': name,
  };
  const given = (spec['selector'] ?? {}) as Fields;
  const selector = {
    ...given,
    matchLabels: { ...(given['matchLabels'] as Labels | undefined), 'batch.kubernetes.io/controller-uid': uid },
  };
  return { ...job, spec: { ...spec, selector, template: { ...template, metadata: { ...metadata, labels } } } };
}
