/** Puts together what is needed to serve a built-in resource: its row of the table, its kind's tables, and its strategy. */
import type { Resource } from '#api-kube/resource.ts';
import { decode, patchSchemaOf } from '#kube-machinery/built-in-schemas.ts';
import { conversionOf } from './conversion.ts';
import type { KubeObject } from './object.ts';
import { printerOf } from './printers/printer-of.ts';
import type { ServedResource } from './registry.ts';
import { selectorFieldsOf } from './selector-fields.ts';
import { eventStrategy } from './strategies/event.ts';
import { genericStrategy } from './strategies/generic.ts';
import { jobStrategy } from './strategies/job.ts';
import { namespaceStrategy } from './strategies/namespace.ts';
import { podStrategy } from './strategies/pod.ts';
import { secretStrategy } from './strategies/secret.ts';
import { signingRequestStrategy } from './strategies/signing-request.ts';
import type { Strategy } from './strategy.ts';

/** @param wrap last word on a strategy: reservations that need the server's other parts. */
export function servedResource(
  resource: Resource,
  wrap: (resource: Resource, strategy: Strategy) => Strategy,
): ServedResource {
  const { group, version, kind } = resource;
  const gvk = { group, version, kind };
  const conversion = conversionOf(resource);
  return {
    resource,
    strategy: wrap(resource, strategyOf(resource)),
    selectorFields: selectorFieldsOf(group, resource.resource, resource.namespaced),
    decode: (value, mode, warn) => decode(gvk, value, mode, warn) as unknown as KubeObject,
    patchSchema: () => patchSchemaOf(gvk),
    table: printerOf(gvk),
    ...(conversion && { conversion }),
  };
}

function strategyOf(resource: Resource): Strategy {
  const generic = genericStrategy(resource);
  const name = resource.group === '' ? resource.resource : `${resource.resource}.${resource.group}`;
  switch (name) {
    case 'pods':
      return podStrategy(generic);
    case 'jobs.batch':
      return jobStrategy(generic);
    case 'namespaces':
      return namespaceStrategy(generic);
    case 'secrets':
      return secretStrategy(generic);
    case 'events':
    case 'events.events.k8s.io':
      return eventStrategy(generic);
    case 'certificatesigningrequests.certificates.k8s.io':
      return signingRequestStrategy(generic, resource);
    default:
      return generic;
  }
}
