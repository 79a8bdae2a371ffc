/** Decisions on nodes in memory: spreading, affinity between pods, and what is said when nothing fits. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Node, Pod, PodSpec } from '#kube-client/types/core.ts';
import { seededPrng } from '#std/prng.ts';
import { ClusterCache } from './cluster-cache.ts';
import { podInfo } from './node-info.ts';
import { defaultPlugins } from './plugins/default-plugins.ts';
import { decide, feasibleNodesToFind, fitErrorMessage } from './schedule.ts';

const node = (name: string, zone: string, labels: Record<string, string> = {}): Node => ({
  metadata: { name, labels: { zone, host: name, ...labels } },
  status: { allocatable: { cpu: '4', memory: '8Gi', pods: '10' } },
});
let sequence = 0;
const pod = (app: string, spec: Partial<PodSpec> = {}, nodeName?: string): Pod => ({
  metadata: { name: `${app}-${sequence++}`, namespace: 'shop', labels: { app } },
  spec: { containers: [{ name: 'c' }], ...spec, ...(nodeName !== undefined && { nodeName }) },
});

function cluster(...placed: readonly Pod[]) {
  const cache = new ClusterCache();
  for (const [name, zone] of [
    ['a1', 'a'],
    ['a2', 'a'],
    ['b1', 'b'],
  ] as const)
    cache.setNode(node(name, zone));
  for (const each of placed) cache.setPod(each);
  const place = (each: Pod) =>
    decide({
      pod: podInfo(each),
      nodes: cache.nodes,
      plugins: defaultPlugins,
      scoreContext: cache,
      start: 0,
      prng: seededPrng(1),
    });
  /** The nodes that the pod may go to, or the message. */
  const fits = (each: Pod) => {
    const names = new Set<string>();
    for (let seed = 0; seed < 1; seed++) {
      const decision = place(each);
      if (decision.kind === 'Unschedulable') return fitErrorMessage(decision, '');
      if (decision.scores.length === 0) names.add(decision.node);
      for (const score of decision.scores) names.add(score.node);
    }
    return [...names].sort().join();
  };
  return { cache, place, fits };
}

const term = (app: string, topologyKey: string) => ({ topologyKey, labelSelector: { matchLabels: { app } } });
const near = (app: string, key: string): Partial<PodSpec> => ({
  affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term(app, key)] } },
});
const away = (app: string, key: string): Partial<PodSpec> => ({
  affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term(app, key)] } },
});
const spread = (app: string, topologyKey: string, whenUnsatisfiable: string): Partial<PodSpec> => ({
  topologySpreadConstraints: [{ maxSkew: 1, topologyKey, whenUnsatisfiable, labelSelector: { matchLabels: { app } } }],
});

test('affinity joins, anti-affinity parts, in both directions', () => {
  const { fits } = cluster(pod('db', {}, 'a1'));
  assert.equal(fits(pod('web', near('db', 'zone'))), 'a1,a2');
  assert.equal(fits(pod('web', near('db', 'host'))), 'a1');
  assert.equal(fits(pod('web', away('db', 'zone'))), 'b1');
  assert.equal(
    fits(pod('web', near('cache', 'zone'))),
    "0/3 nodes are available: 3 node(s) didn't match pod affinity rules.",
  );
  // The first of its own kind has nobody to join.
  assert.equal(fits(pod('cache', near('cache', 'zone'))), 'a1,a2,b1');
  const shy = cluster(pod('db', away('web', 'zone'), 'a1'), pod('web', {}, 'b1'));
  assert.equal(shy.fits(pod('web')), 'b1');
  assert.equal(
    shy.fits(pod('web', away('web', 'zone'))),
    "0/3 nodes are available: 1 node(s) didn't match pod anti-affinity rules, 2 node(s) didn't satisfy existing pods anti-affinity rules.",
  );
});

test('preferred affinity decides among what fits', () => {
  const { place } = cluster(pod('db', {}, 'b1'));
  const wish = { weight: 100, podAffinityTerm: term('db', 'zone') };
  const decision = place(
    pod('web', { affinity: { podAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [wish] } } }),
  );
  assert.equal(decision.kind === 'Found' && decision.node, 'b1');
});

test('spread constraints hold the difference between domains', () => {
  const { fits, cache, place } = cluster(pod('web', {}, 'a1'));
  assert.equal(fits(pod('web', spread('web', 'zone', 'DoNotSchedule'))), 'b1');
  assert.equal(
    fits(pod('web', spread('web', 'rack', 'DoNotSchedule'))),
    "0/3 nodes are available: 3 node(s) didn't match pod topology spread constraints (missing required label).",
  );
  cache.setPod(pod('web', {}, 'b1'));
  assert.equal(fits(pod('web', spread('web', 'zone', 'DoNotSchedule'))), 'a1,a2,b1');
  cache.setPod(pod('web', {}, 'a2'));
  const wished = place(pod('web', spread('web', 'zone', 'ScheduleAnyway')));
  assert.equal(wished.kind === 'Found' && wished.node, 'b1');
});

test('large clusters are searched in part', () => {
  assert.deepEqual([10, 99, 100, 1000, 5000, 10_000].map(feasibleNodesToFind), [10, 99, 100, 420, 500, 500]);
});
