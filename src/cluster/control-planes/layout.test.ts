/** How many control planes a cluster has, and settings that must stay as they were: what an `up` may ask for, and what it is refused with. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { Scope } from '#std/scope.ts';
import { clusterPaths } from '../paths.ts';
import {
  type ClusterLayout,
  checkSettings,
  controlPlaneCount,
  LayoutError,
  readLayout,
  writeLayout,
} from './layout.ts';

const layout: ClusterLayout = {
  controlPlanes: ['cp-1', 'cp-2', 'cp-3'].map((name, i) => ({ name, peerPort: 2380 + i })),
  ...{ port: 6443, nodeIp: '10.244.0.1', kubeletPort: 10_250 },
  ...{ podCidr: '10.244.0.0/24', serviceCidr: '10.96.0.0/16', clusterDomain: 'cluster.local' },
};

function newPaths(scope: Scope) {
  const home = mkdtempSync(join(tmpdir(), 'layout-'));
  scope.defer(() => rmSync(home, { recursive: true }));
  const paths = clusterPaths('x', { root: false, home });
  mkdirSync(paths.data, { recursive: true });
  return paths;
}

test('a new cluster has one control plane, or as many as are asked for', async () => {
  await using scope = new Scope();
  const paths = newPaths(scope);
  assert.equal(await readLayout(paths), undefined);
  assert.equal(await controlPlaneCount('x', paths, undefined, undefined), 1);
  assert.equal(await controlPlaneCount('x', paths, undefined, 3), 3);
});

test('one that is there keeps its number, said or not; another is refused', async () => {
  await using scope = new Scope();
  const paths = newPaths(scope);
  mkdirSync(paths.etcd);
  assert.equal(await controlPlaneCount('x', paths, undefined, 1), 1);
  await assert.rejects(controlPlaneCount('x', paths, undefined, 3), /cluster x has one control plane: their number/);
  await writeLayout(paths, layout);
  assert.deepEqual(await readLayout(paths), layout);
  assert.equal(await controlPlaneCount('x', paths, layout, undefined), 3);
  assert.equal(await controlPlaneCount('x', paths, layout, 3), 3);
  await assert.rejects(controlPlaneCount('x', paths, layout, 1), /cluster x has 3 control planes: their number/);
});

test('settings may be repeated and not changed', () => {
  checkSettings('x', layout, { port: 6443, serviceCidr: '10.96.0.0/16' });
  assert.throws(() => checkSettings('x', layout, { port: 7443 }), /made with --port 6443: leave the flag out/);
  assert.throws(() => checkSettings('x', layout, { etcdServers: 'http://a:1' }), /made with --etcd-servers \(none\)/);
});

test('a layout that cannot be read is named', async () => {
  await using scope = new Scope();
  const paths = newPaths(scope);
  const path = join(paths.data, 'control-planes.json');
  writeFileSync(path, '{"controlPlanes":');
  await assert.rejects(
    readLayout(paths),
    (error) => error instanceof LayoutError && error.message.startsWith(`${path}: `),
  );
});
