/** What the kubelet tells of itself on /metrics: how much it runs. Prometheus text format 0.0.4; upstream's names. */
import type { RuntimePod } from './runtime-pod.ts';

export const metricsType = 'text/plain; version=0.0.4; charset=utf-8';

export function kubeletMetrics(nodeName: string, pods: Iterable<RuntimePod>): string {
  const containers = new Map<string, number>();
  let running = 0;
  for (const pod of pods) {
    if (pod.sandboxes.some(({ ready }) => ready)) running++;
    for (const { state } of pod.containers) containers.set(state, (containers.get(state) ?? 0) + 1);
  }
  return [
    gauge('kubelet_node_name', "The node's name. The count is always 1.", [[`node=${JSON.stringify(nodeName)}`, 1]]),
    gauge(
      'kubelet_running_containers',
      'Number of containers currently running',
      [...containers].sort().map(([state, count]) => [`container_state="${state}"`, count]),
    ),
    gauge('kubelet_running_pods', 'Number of pods that have a running pod sandbox', [['', running]]),
  ].join('');
}

function gauge(name: string, help: string, values: readonly (readonly [labels: string, value: number])[]): string {
  const lines = values.map(([labels, value]) => `${name}${labels === '' ? '' : `{${labels}}`} ${value}\n`);
  return `# HELP ${name} ${help}\n# TYPE ${name} gauge\n${lines.join('')}`;
}
