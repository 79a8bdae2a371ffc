/**
 * From service ports to an nftables table, as data: chains with their rules, and the elements of its sets. Two such tables
 * differ by a batch of messages (`diff.ts`), so that a change of one service touches one service. Pure.
 *
 * A connection's way: `services` looks (address, protocol, port) up in `service-ips` and goes to the service's chain; that draws
 * a number and looks (service, number) up in `service-endpoints`; the endpoint's chain translates the destination.
 * What reaches the service range untranslated is refused.
 */
import { type Prefix, parseAddress } from '#wire/netlink/ip-address.ts';
import {
  compare,
  destinationNat,
  type Expression,
  immediate,
  inSet,
  load,
  mask,
  masquerade,
  reject,
  setMark,
  verdict,
  verdictFrom,
} from '#wire/netlink/nft-expression.ts';
import {
  type ChainRequest,
  concatenateKey,
  DataType,
  Family,
  Hook,
  type KeyField,
  type SetElement,
} from '#wire/netlink/nftables.ts';
import type { Endpoint, Protocol, ServicePort } from './service-port.ts';

export interface RuleConfig {
  readonly table: string;
  /** Addresses of this node's pods: they leave the node under the node's address. */
  readonly podRange: Prefix;
  readonly serviceRange: Prefix;
  /** The bridge that pods hang on. */
  readonly bridge: string;
}

export interface Chain {
  readonly base?: ChainRequest['base'];
  readonly rules: readonly (readonly Expression[])[];
}

export interface ElementSet {
  readonly key: readonly KeyField[];
  readonly verdicts?: true;
  /** By the key in hex. */
  readonly elements: ReadonlyMap<string, SetElement>;
}

export interface Table {
  readonly chains: ReadonlyMap<string, Chain>;
  readonly sets: ReadonlyMap<string, ElementSet>;
}

/** Remembers the number of each service port from one table to the next, so that unchanged services stay unchanged. */
export type ServiceNumbers = Map<string, number>;

const protocolNumbers: Readonly<Record<Protocol, number>> = { TCP: 6, UDP: 17, SCTP: 132 };
const ipField: KeyField = { type: DataType.ipAddress, length: 4 };
const protocolField: KeyField = { type: DataType.protocol, length: 1 };
const portField: KeyField = { type: DataType.service, length: 2 };
const numberField: KeyField = { type: DataType.mark, length: 4 };
const masqueradeMark = u32le(0x4000);
const localAddress = u32le(2);

export function buildTable(ports: readonly ServicePort[], config: RuleConfig, numbers: ServiceNumbers): Table {
  const serviceIps = new Map<string, SetElement>();
  const nodePorts = new Map<string, SetElement>();
  const serviceEndpoints = new Map<string, SetElement>();
  const hairpins = new Map<string, SetElement>();
  const chains = new Map<string, Chain>(baseChains(config));
  forget(numbers, ports);
  for (const port of ports) {
    const endpoints = port.endpoints.filter((endpoint) => isIpv4(endpoint.address));
    if (endpoints.length === 0) continue;
    const number = numberOf(numbers, port.name);
    const chain = `service-${number}`;
    const protocol = Buffer.from([protocolNumbers[port.protocol]]);
    chains.set(chain, {
      rules: [[immediate(0, u32le(number)), load.random(1, endpoints.length), verdictFrom(0, 'service-endpoints')]],
    });
    for (const address of port.addresses.filter(isIpv4))
      put(serviceIps, concatenateKey([parseAddress(address), protocol, u16be(port.port)]), chain);
    if (port.nodePort !== undefined) put(nodePorts, concatenateKey([protocol, u16be(port.nodePort)]), chain);
    for (const [i, endpoint] of endpoints.entries()) {
      const endpointChain = chainOf(endpoint, port.protocol);
      put(serviceEndpoints, concatenateKey([u32le(number), u32le(i)]), endpointChain);
      const address = parseAddress(endpoint.address);
      chains.set(endpointChain, {
        rules: [
          [
            ...onlyProtocol(port.protocol),
            immediate(0, address),
            immediate(1, u16be(endpoint.port)),
            destinationNat(Family.ip, 0, 1),
          ],
        ],
      });
      const pair = concatenateKey([address, address]);
      hairpins.set(pair.toString('hex'), { key: pair });
    }
  }
  return {
    chains,
    sets: new Map<string, ElementSet>([
      ['service-ips', { key: [ipField, protocolField, portField], verdicts: true, elements: serviceIps }],
      ['node-ports', { key: [protocolField, portField], verdicts: true, elements: nodePorts }],
      ['service-endpoints', { key: [numberField, numberField], verdicts: true, elements: serviceEndpoints }],
      ['hairpins', { key: [ipField, ipField], elements: hairpins }],
    ]),
  };
}

function baseChains({ podRange, serviceRange, bridge }: RuleConfig): [string, Chain][] {
  const toServices = [verdict({ kind: 'jump', chain: 'services' })];
  const within = (loaded: Expression, range: Prefix, operator: 'equal' | 'notEqual') => [
    loaded,
    mask(0, prefixMask(range)),
    compare(0, operator, range.address),
  ];
  const refuse = [[...within(load.ipDestination(0), serviceRange, 'equal'), reject('portUnreachable')]];
  const nat = (hook: number, priority: number) => ({ type: 'nat', hook, priority }) as const;
  const filter = (hook: number) => ({ type: 'filter', hook, priority: 0 }) as const;
  return [
    [
      'services',
      {
        rules: [
          [load.ipDestination(0), load.protocol(1), load.destinationPort(2), verdictFrom(0, 'service-ips')],
          [
            load.destinationType(0),
            compare(0, 'equal', localAddress),
            verdict({ kind: 'jump', chain: 'node-port-services' }),
          ],
        ],
      },
    ],
    // What comes by a node port returns by this node: its source is masked on the way out.
    [
      'node-port-services',
      {
        rules: [
          [
            load.protocol(0),
            load.destinationPort(1),
            immediate(2, masqueradeMark),
            setMark(2),
            verdictFrom(0, 'node-ports'),
          ],
          [immediate(2, u32le(0)), setMark(2)],
        ],
      },
    ],
    ['nat-prerouting', { base: nat(Hook.prerouting, -100), rules: [toServices] }],
    ['nat-output', { base: nat(Hook.output, -100), rules: [toServices] }],
    [
      'nat-postrouting',
      {
        base: nat(Hook.postrouting, 100),
        rules: [
          [load.mark(0), mask(0, masqueradeMark), compare(0, 'equal', masqueradeMark), masquerade()],
          [load.ipSource(0), load.ipDestination(1), inSet(0, 'hairpins'), masquerade()],
          [
            ...within(load.ipSource(0), podRange, 'equal'),
            load.outputInterface(0),
            compare(0, 'notEqual', interfaceName(bridge)),
            masquerade(),
          ],
        ],
      },
    ],
    ['filter-forward', { base: filter(Hook.forward), rules: refuse }],
    ['filter-output', { base: filter(Hook.output), rules: refuse }],
  ];
}

/** A port translation needs to know its protocol. */
function onlyProtocol(protocol: Protocol): Expression[] {
  return [load.protocol(0), compare(0, 'equal', Buffer.from([protocolNumbers[protocol]]))];
}

function chainOf(endpoint: Endpoint, protocol: Protocol): string {
  return `endpoint-${endpoint.address}-${endpoint.port}-${protocol.toLowerCase()}`;
}

function put(elements: Map<string, SetElement>, key: Buffer, chain: string): void {
  const hex = key.toString('hex');
  // Two services that claim one address and port: the first by name has it, as upstream does.
  if (!elements.has(hex)) elements.set(hex, { key, verdict: { kind: 'goto', chain } });
}

function numberOf(numbers: ServiceNumbers, name: string): number {
  const known = numbers.get(name);
  if (known !== undefined) return known;
  const used = new Set(numbers.values());
  let number = 1;
  while (used.has(number)) number++;
  numbers.set(name, number);
  return number;
}

function forget(numbers: ServiceNumbers, ports: readonly ServicePort[]): void {
  const names = new Set(ports.map((port) => port.name));
  for (const name of numbers.keys()) if (!names.has(name)) numbers.delete(name);
}

function prefixMask(prefix: Prefix): Buffer {
  return Buffer.from(
    prefix.address.map((_, i) => 0xff & (0xff << Math.min(8, Math.max(0, 8 * (i + 1) - prefix.length)))),
  );
}

function interfaceName(name: string): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.write(name, 'utf8');
  return bytes;
}

function isIpv4(address: string): boolean {
  return !address.includes(':');
}

function u16be(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff]);
}

function u32le(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
