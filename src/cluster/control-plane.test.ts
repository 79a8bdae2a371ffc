/** A control plane that cannot come up leaves nothing behind at the store it was to use. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { startEtcd } from '#etcd/start.ts';
import { systemClock } from '#host/clock.ts';
import { systemPrng } from '#host/random.ts';
import { createServiceAccountKey } from '#pki/service-account-key.ts';
import { sleep } from '#std/clock.ts';
import { Scope } from '#std/scope.ts';
import { listen } from '#transport/listen.ts';
import { startControlPlane } from './control-plane.ts';

const sockets = () => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;

test('a start that fails half way closes its connections', { timeout: 20_000 }, async () => {
  await using scope = new Scope();
  const deps = { clock: systemClock, prng: systemPrng(), log: () => {} };
  const etcd = scope.use(await startEtcd({ config: {}, deps }));
  const listener = scope.use(
    await listen({ address: { host: '127.0.0.1', port: 0 }, handler: etcd.http, dispatcher: etcd.dispatcher }),
  );
  const { privateKey } = await createServiceAccountKey();
  const before = sockets();
  const starting = startControlPlane(
    {
      ...{ etcdServer: `http://127.0.0.1:${listener.port}`, etcdDir: undefined, externalAddress: '127.0.0.1:6443' },
      ...{ advertiseAddress: '127.0.0.1', advertisePort: 6443, serviceClusterIpRange: '10.96.0.0/30' },
      ...{ clusterDomain: 'cluster.local', version: 'v1.36.0', ca: '', serviceAccountKey: privateKey },
    },
    { ...deps, dialKubelet: () => undefined, phase: () => {} },
  );
  await assert.rejects(starting, /range/);
  while (sockets() > before) await sleep(systemClock, 20);
});
