/** Aggregated cluster roles follow the roles they select. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually, startControlled } from '../control-plane.suite.ts';

test('an aggregated role has the rules of the roles it selects, as they come and go', { timeout: 20_000 }, async () => {
  await using plane = await startControlled();
  const ref = {
    group: 'rbac.authorization.k8s.io',
    version: 'v1',
    resource: 'clusterroles',
    namespaced: false,
    kind: 'ClusterRole',
  };
  type Role = {
    metadata: { name: string; labels?: Record<string, string> };
    rules?: unknown[];
    aggregationRule?: unknown;
  };
  const roles = plane.admin.resource<Role>(ref);
  const rule = (resource: string) => ({ apiGroups: ['example.com'], resources: [resource], verbs: ['get'] });
  await roles.create({
    metadata: { name: 'monitor' },
    aggregationRule: { clusterRoleSelectors: [{ matchLabels: { monitor: 'yes' } }] },
    rules: [],
  });
  const until = (wanted: unknown[]) =>
    eventually(
      async () =>
        JSON.stringify((await roles.get('monitor')).rules ?? []) === JSON.stringify(wanted) ? true : undefined,
      () => roles.get('monitor'),
    );
  await roles.create({ metadata: { name: 'b', labels: { monitor: 'yes' } }, rules: [rule('gears')] });
  await roles.create({ metadata: { name: 'a', labels: { monitor: 'yes' } }, rules: [rule('wheels'), rule('gears')] });
  await roles.create({ metadata: { name: 'c' }, rules: [rule('other')] });
  await until([rule('wheels'), rule('gears')]);
  await roles.delete('a');
  await until([rule('gears')]);
  assert.deepEqual((await roles.get('c')).rules, [rule('other')]);
});
