/** The rules in a real kernel: two pods behind a bridge, reached through a service from the host, a pod, and themselves. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { NetlinkProtocol, openNetlink } from '#host-linux/netlink-socket.ts';
import { addressAt, formatAddress, parsePrefix } from '#wire/netlink/ip-address.ts';
import { batch, deleteTable, Family } from '#wire/netlink/nftables.ts';
import { diffTables } from './diff.ts';
import { buildTable, type RuleConfig, type ServiceNumbers, type Table } from './rules.ts';
import type { ServicePort } from './service-port.ts';

const table = 'wherry-rules-test';
const podRange = parsePrefix('10.99.0.0/24');
const config: RuleConfig = { table, podRange, serviceRange: parsePrefix('10.98.0.0/16'), bridge: 'wrt-br' };
const vip = '10.98.0.10';
const pods = [1, 2].map((i) => ({
  netns: `wrt-pod${i}`,
  veth: `wrt-v${i}`,
  address: formatAddress(addressAt(podRange, BigInt(i + 1))!),
}));
const cleanups: (() => void)[] = [];

const sh = (command: string) => execFileSync('sh', ['-ec', command], { encoding: 'utf8', timeout: 10_000 });
const netlink = openNetlink(NetlinkProtocol.netfilter);
const numbers: ServiceNumbers = new Map();
let held: Table | undefined;

function apply(ports: readonly ServicePort[]): void {
  const wanted = buildTable(ports, config, numbers);
  const messages = diffTables(table, held, wanted);
  if (messages.length > 0) netlink.transaction(batch(messages), 'apply service rules');
  held = wanted;
}

const port = (endpoints: readonly string[], nodePort?: number): ServicePort => ({
  name: 'default/echo:',
  protocol: 'TCP',
  port: 80,
  addresses: [vip],
  nodePort,
  endpoints: endpoints.map((address) => ({ address, port: 8080 })),
});

/** Connects from a namespace (the host for undefined) and reads the peer's name; rejects as curl-like `sh` would. */
function ask(from: string | undefined, target: string, targetPort: number): string {
  const script = `require('net').connect({host:'${target}',port:${targetPort}}).setEncoding('utf8').on('data',d=>{console.log(d);process.exit(0)}).on('error',e=>{console.log(e.code);process.exit(0)});setTimeout(()=>{console.log('timeout');process.exit(0)},3000)`;
  const inside = from === undefined ? [] : ['ip', 'netns', 'exec', from];
  const [command = '', ...args] = [...inside, process.execPath, '-e', script];
  return execFileSync(command, args, { encoding: 'utf8', timeout: 10_000 }).trim();
}

before(async () => {
  writeFileSync('/proc/sys/net/ipv4/ip_forward', '1');
  sh(`ip link add ${config.bridge} type bridge && ip addr add 10.99.0.1/24 dev ${config.bridge} && ip link set ${config.bridge} up
      ip route add 10.98.0.0/16 dev ${config.bridge}
      echo 0 > /proc/sys/net/ipv4/conf/all/send_redirects; echo 0 > /proc/sys/net/ipv4/conf/${config.bridge}/send_redirects`);
  cleanups.push(() => void sh(`ip link del ${config.bridge}`));
  for (const { netns, veth, address } of pods) {
    sh(`ip netns add ${netns}; ip link add ${veth} type veth peer name eth0 netns ${netns}; ip link set ${veth} master ${config.bridge} up; ip link set ${veth} type bridge_slave hairpin on
        ip -n ${netns} link set lo up; ip -n ${netns} link set eth0 up; ip -n ${netns} addr add ${address}/32 dev eth0
        ip -n ${netns} route add 10.99.0.1 dev eth0 scope link; ip -n ${netns} route add default via 10.99.0.1`);
    cleanups.push(() => void sh(`ip netns del ${netns}`));
    const script = `require('net').createServer(s=>{s.on('error',()=>{});s.end('${netns} saw '+s.remoteAddress.replace('::ffff:',''))}).listen(8080,'0.0.0.0',()=>console.log('up'))`;
    const server = spawn('ip', ['netns', 'exec', netns, process.execPath, '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    cleanups.push(() => void server.kill('SIGKILL'));
    await once(server.stdout, 'data');
  }
});

after(() => {
  netlink.transaction(batch([deleteTable(Family.ip, table)]), 'remove the table');
  netlink[Symbol.dispose]();
  for (const cleanup of cleanups.reverse()) cleanup();
});

test('a service spreads connections over its endpoints, from the host and from a pod', () => {
  apply([port(pods.map(({ address }) => address))]);
  const fromHost = new Set(Array.from({ length: 12 }, () => ask(undefined, vip, 80)));
  assert.deepEqual([...fromHost].sort(), ['wrt-pod1 saw 10.99.0.1', 'wrt-pod2 saw 10.99.0.1']);
  apply([port([pods[1]!.address])]);
  assert.equal(ask(pods[0]!.netns, vip, 80), `wrt-pod2 saw ${pods[0]!.address}`, 'the source is kept between pods');
});

test('a pod reaches itself through its own service', () => {
  apply([port([pods[0]!.address])]);
  assert.equal(ask(pods[0]!.netns, vip, 80), 'wrt-pod1 saw 10.99.0.1');
});

test('a node port answers on the node and not on its loopback name only', () => {
  apply([port([pods[0]!.address], 30080)]);
  assert.equal(ask(pods[1]!.netns, '10.99.0.1', 30080), 'wrt-pod1 saw 10.99.0.1');
});

test('a service without endpoints, and an unknown service address, refuse at once', () => {
  apply([port([])]);
  for (const from of [undefined, pods[0]!.netns])
    for (const target of [vip, '10.98.7.7']) assert.equal(ask(from, target, 80), 'ECONNREFUSED');
});

test('a change touches only what changed, and nothing changes when nothing did', () => {
  apply([port(pods.map(({ address }) => address))]);
  const same = buildTable([port(pods.map(({ address }) => address))], config, numbers);
  assert.deepEqual(diffTables(table, held, same), []);
});
