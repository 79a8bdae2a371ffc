/** Defaults of jobs and cron jobs. Source: pkg/apis/batch/v1/defaults.go. */
import type { KubeObject } from '../object.ts';
import { defaultTemplate } from './pod.ts';
import { under, underZero } from './under.ts';

type Fields = Readonly<Record<string, unknown>>;

export function defaultBatch(object: KubeObject): KubeObject {
  const spec = (object['spec'] ?? {}) as Fields;
  if (object.kind === 'Job') return { ...object, spec: defaultJobSpec(spec) };
  const filled = under(
    { suspend: false, successfulJobsHistoryLimit: 3, failedJobsHistoryLimit: 1 },
    underZero({ concurrencyPolicy: 'Allow' }, spec),
  ) as Fields;
  const template = (filled['jobTemplate'] ?? {}) as Fields;
  return {
    ...object,
    spec: {
      ...filled,
      jobTemplate: {
        ...template,
        metadata: { ...(template['metadata'] as Fields | undefined) },
        spec: defaultJobTemplateSpec((template['spec'] ?? {}) as Fields),
      },
    },
  };
}

function defaultJobSpec(spec: Fields): Fields {
  const single = spec['completions'] === undefined && spec['parallelism'] === undefined;
  const filled = under(
    {
      ...(single && { completions: 1 }),
      parallelism: 1,
      backoffLimit: spec['backoffLimitPerIndex'] === undefined ? 6 : 2 ** 31 - 1,
      completionMode: 'NonIndexed',
      suspend: false,
      podReplacementPolicy: spec['podFailurePolicy'] === undefined ? 'TerminatingOrFailed' : 'Failed',
    },
    spec,
  ) as Fields;
  return { ...filled, template: defaultTemplate(filled['template']) };
}

/** Inside a cron job only the pods are filled in; the rest is when the job is made. */
function defaultJobTemplateSpec(spec: Fields): Fields {
  return { ...spec, template: defaultTemplate(spec['template']) };
}
