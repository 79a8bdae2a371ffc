/** Which endpoints a service port gets. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type EndpointSliceLike, type ServiceLike, servicePorts } from './service-port.ts';

const service: ServiceLike = {
  metadata: { namespace: 'default', name: 'hello' },
  spec: { clusterIP: '10.43.0.10', clusterIPs: ['10.43.0.10'], ports: [{ name: 'http', port: 80 }] },
};

function slice(endpoints: EndpointSliceLike['endpoints']): EndpointSliceLike {
  return {
    metadata: { namespace: 'default', labels: { 'kubernetes.io/service-name': 'hello' } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    ...(endpoints && { endpoints }),
  };
}

const addressesOf = (ports: ReturnType<typeof servicePorts>) =>
  ports.flatMap((port) => port.endpoints.map(({ address }) => address));

test('ready endpoints of all slices, sorted and once', () => {
  const ports = servicePorts(
    [service],
    [
      slice([{ addresses: ['10.42.0.3'] }, { addresses: ['10.42.0.2'], conditions: { ready: true } }]),
      slice([{ addresses: ['10.42.0.3'] }]),
    ],
    'node',
  );
  assert.deepEqual(ports, [
    {
      name: 'default/hello:http',
      protocol: 'TCP',
      port: 80,
      addresses: ['10.43.0.10'],
      nodePort: undefined,
      endpoints: [
        { address: '10.42.0.2', port: 8080 },
        { address: '10.42.0.3', port: 8080 },
      ],
    },
  ]);
});

test('when none is ready, those that still serve while they terminate', () => {
  const dying = { addresses: ['10.42.0.4'], conditions: { ready: false, serving: true, terminating: true } };
  const broken = { addresses: ['10.42.0.5'], conditions: { ready: false, serving: false, terminating: true } };
  assert.deepEqual(addressesOf(servicePorts([service], [slice([dying, broken])], 'node')), ['10.42.0.4']);
  assert.deepEqual(addressesOf(servicePorts([service], [slice([dying, { addresses: ['10.42.0.6'] }])], 'node')), [
    '10.42.0.6',
  ]);
});

test('internal traffic policy Local keeps to this node', () => {
  const local = { ...service, spec: { ...service.spec, internalTrafficPolicy: 'Local' } };
  const endpoints = [
    { addresses: ['10.42.0.2'], nodeName: 'here' },
    { addresses: ['10.42.1.2'], nodeName: 'there' },
  ];
  assert.deepEqual(addressesOf(servicePorts([local], [slice(endpoints)], 'here')), ['10.42.0.2']);
});

test('headless and external-name services have no rules', () => {
  const headless = { ...service, spec: { ...service.spec, clusterIP: 'None', clusterIPs: ['None'] } };
  const external = { ...service, spec: { ...service.spec, type: 'ExternalName' } };
  assert.deepEqual(servicePorts([headless, external], [], 'node'), []);
});
