/** The pod network in the kernel: what stands after a pod was connected, what it reaches, and that nothing is left afterwards. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { findHelper } from '#host-linux/helper/binary.ts';
import { connectIn } from '#host-linux/helper/services.ts';
import { Zygote } from '#host-linux/helper/zygote.ts';
import { NetlinkProtocol, openNetlinkIn } from '#host-linux/netlink-socket.ts';
import { pinNewNamespaces, unpinNamespace } from '#host-linux/pinned-namespaces.ts';
import { assertInventory, takeInventory } from '#testkit/inventory.ts';
import { parsePrefix } from '#wire/netlink/ip-address.ts';
import { decodeLink, dumpLinks } from '#wire/netlink/route.ts';
import { BridgeNetwork } from './bridge-network.ts';

const limit = { timeout: 20_000 };
const folder = mkdtempSync(join(tmpdir(), 'wherry-cni-'));
const bridge = `wy-t${process.pid % 10_000}`;
const config = {
  bridge,
  podRange: parsePrefix('10.77.0.0/24'),
  serviceRange: parsePrefix('10.78.0.0/24'),
  mtu: 1400,
  stateDir: folder,
};
const only = { only: () => false };
const inventory = takeInventory(only);
let helper: Zygote;

before(() => {
  helper = new Zygote(findHelper());
});
after(async () => {
  await helper[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

/** Of this test's network namespace; what is under /sys may be another's. */
const links = () =>
  readFileSync('/proc/self/net/dev', 'utf8')
    .split('\n')
    .map((line) => line.split(':')[0]!.trim())
    .filter((name) => name === bridge || name.startsWith('veth'));
const addresses = () => readdirSync(join(folder, bridge)).sort();

/** Network namespaces of pods that are not there otherwise. */
async function withNamespaces(names: readonly string[], run: (paths: string[]) => Promise<void>): Promise<void> {
  const paths = names.map((name) => join(folder, `net-${name}`));
  for (const network of paths) pinNewNamespaces({ network });
  try {
    await run(paths);
  } finally {
    for (const path of paths) unpinNamespace(path);
  }
}

async function linksIn(namespace: string): Promise<string[]> {
  using inside = await openNetlinkIn(helper, namespace, NetlinkProtocol.route);
  return inside.request(dumpLinks(), 'links').map((body) => decodeLink(body).name);
}

/** Asks a server at the address from inside a namespace. */
function ask(namespace: string, address: string, port: number): Promise<string> {
  return connectIn(helper, namespace, { address, port, timeoutMs: 2000 }).then(
    (socket) =>
      new Promise((resolve, reject) => {
        let text = '';
        socket.on('data', (chunk: Buffer) => {
          text += chunk.toString();
        });
        socket.on('end', () => {
          socket.destroy();
          resolve(text);
        });
        socket.on('error', reject);
      }),
  );
}

test(
  'a pod has an address of its own and reaches the node; done twice it is done once; nothing is left',
  limit,
  async () => {
    await withNamespaces(['a', 'b'], async ([a, b]) => {
      using network = await BridgeNetwork.open(config, helper);
      assert.equal(network.gateway, '10.77.0.1');
      assert.deepEqual(await network.status(), { ready: true, reason: '', message: '' });
      const first = await network.setup(a!, { id: 'aaaaaaaaaaaaaaaa' });
      const second = await network.setup(b!, { id: 'bbbbbbbbbbbbbbbb' });
      assert.deepEqual([first.ips, second.ips], [['10.77.0.2'], ['10.77.0.3']]);
      assert.deepEqual(await network.setup(a!, { id: 'aaaaaaaaaaaaaaaa' }), first);
      assert.deepEqual(links().sort(), ['vethaaaaaaaaaaa', 'vethbbbbbbbbbbb', bridge].sort());
      assert.deepEqual((await linksIn(a!)).sort(), ['eth0', 'lo']);
      assert.match(readFileSync('/proc/self/net/route', 'utf8'), new RegExp(`${bridge}\\s+00004E0A\\s`));

      const server = createServer((socket) => socket.end(`from ${socket.remoteAddress}`));
      await new Promise<void>((resolve) => server.listen(0, network.gateway, resolve));
      const { port } = server.address() as { port: number };
      assert.equal(await ask(a!, network.gateway, port), 'from 10.77.0.2');
      assert.equal(await ask(b!, network.gateway, port), 'from 10.77.0.3');
      server.close();
      // Its own loopback is up, too: nobody listens, which is another thing than nobody being there.
      await assert.rejects(ask(a!, '127.0.0.1', port), /connection refused/);

      await network.teardown(a!, { id: 'aaaaaaaaaaaaaaaa' });
      await network.teardown(a!, { id: 'aaaaaaaaaaaaaaaa' });
      assert.deepEqual(await linksIn(a!), ['lo']);
      assert.deepEqual(addresses(), ['10.77.0.3']);
      await network.remove();
    });
    assert.deepEqual(links(), []);
    await assertInventory(inventory, only);
  },
);

test('a namespace that is gone: an error leaves no trace, and taking down works', limit, async () => {
  using network = await BridgeNetwork.open(config, helper);
  try {
    await assert.rejects(network.setup(join(folder, 'nowhere'), { id: 'cccccccccccccccc' }), /ENOENT/);
    assert.deepEqual(addresses(), []);
    assert.deepEqual(links(), [bridge]);
    let ips: readonly string[] = [];
    await withNamespaces(['d'], async ([d]) => {
      ({ ips } = await network.setup(d!, { id: 'dddddddddddddddd' }));
    });
    assert.equal(ips.length, 1);
    await network.teardown(join(folder, 'net-d'), { id: 'dddddddddddddddd' });
    assert.deepEqual(addresses(), []);
  } finally {
    await network.remove();
  }
});

test('the next daemon takes over what stands, and takes back what nobody has any more', limit, async () => {
  await withNamespaces(['e', 'f'], async ([e, f]) => {
    {
      using network = await BridgeNetwork.open(config, helper);
      await network.setup(e!, { id: 'eeeeeeeeeeeeeeee' });
      await network.setup(f!, { id: 'ffffffffffffffff' });
    }
    using network = await BridgeNetwork.open(config, helper);
    await network.keepOnly(new Set(['ffffffffffffffff']));
    assert.deepEqual(links().sort(), ['vethfffffffffff', bridge].sort());
    assert.deepEqual(addresses(), ['10.77.0.3']);
    assert.deepEqual((await network.setup(f!, { id: 'ffffffffffffffff' })).ips, ['10.77.0.3']);
    await network.remove();
  });
  assert.deepEqual(links(), []);
});
