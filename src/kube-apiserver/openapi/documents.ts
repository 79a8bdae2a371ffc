/** The two documents: OpenAPI 3.0 for one group and version, Swagger 2.0 for all of them together. Values only; who asks is not known here. */
import type { Resource } from '#api-kube/resource.ts';
import { Components, type Describe, type Json } from './components.ts';
import { type Operation, type Parameter, type PathOperations, pathsOf, tagOf } from './operations.ts';

const produces = ['application/json', 'application/yaml'];
const streams = ['application/json;stream=watch'];
const patches = ['application/json-patch+json', 'application/merge-patch+json'];
const strategicPatch = 'application/strategic-merge-patch+json';

export interface DocumentOptions {
  readonly describe: Describe;
  /** Server's version, for `info`. */
  readonly version: string;
  /** Kinds that take strategic merge patches: those whose types are known. */
  readonly takesStrategicPatch: (resource: Resource) => boolean;
}

/** @param resources all of one group and version */
export function documentV3(resources: readonly Resource[], options: DocumentOptions): Json {
  const components = new Components('v3', options.describe);
  const content = (types: readonly string[], schema: Json) =>
    Object.fromEntries(types.map((type) => [type, { schema }]));
  const operation = (resource: Resource, one: Operation): Json => {
    const { body, response } = one;
    const answer = components.payload(response, resource.listKind);
    const types = response.of === 'string' ? ['*/*'] : response.of === 'list' ? [...produces, ...streams] : produces;
    return {
      tags: [tagOf(resource)],
      description: one.description,
      operationId: one.id,
      ...(one.parameters.length > 0 && {
        parameters: one.parameters.map(({ name, type }) => ({
          name,
          in: 'query',
          schema: { type, uniqueItems: true },
        })),
      }),
      ...(body && {
        requestBody: {
          content: content(
            one.method === 'patch' ? patchTypes(resource, options) : ['*/*'],
            components.payload(body.payload, resource.listKind),
          ),
          ...(body.required && { required: true }),
        },
      }),
      responses: {
        ...Object.fromEntries(
          one.codes.map((code) => [code, { description: reasons[code], content: content(types, answer) }]),
        ),
        '401': { description: 'Unauthorized' },
      },
      'x-kubernetes-action': one.action,
      'x-kubernetes-group-version-kind': one.gvk,
    };
  };
  const paths = pathItems(resources, operation, (path) =>
    pathParameters(path).map(({ type, ...parameter }) => ({ ...parameter, schema: { type, uniqueItems: true } })),
  );
  return {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version: options.version },
    paths,
    components: {
      schemas: components.all(),
      securitySchemes: {
        BearerToken: {
          type: 'apiKey',
          description: 'Bearer Token authentication',
          name: 'authorization',
          in: 'header',
        },
      },
    },
  };
}

export function documentV2(resources: readonly Resource[], options: DocumentOptions): Json {
  const components = new Components('v2', options.describe);
  const operation = (resource: Resource, one: Operation): Json => {
    const { body, response } = one;
    const schema = components.payload(response, resource.listKind);
    const query = one.parameters.map((parameter) => ({ ...parameter, in: 'query', uniqueItems: true }));
    const parameters = body
      ? [
          {
            name: 'body',
            in: 'body',
            ...(body.required && { required: true }),
            schema: components.payload(body.payload, resource.listKind),
          },
          ...query,
        ]
      : query;
    return {
      description: one.description,
      consumes: one.method === 'patch' ? patchTypes(resource, options) : ['*/*'],
      produces: response.of === 'string' ? ['*/*'] : response.of === 'list' ? [...produces, ...streams] : produces,
      schemes: ['https'],
      tags: [tagOf(resource)],
      operationId: one.id,
      ...(parameters.length > 0 && { parameters }),
      responses: {
        ...Object.fromEntries(one.codes.map((code) => [code, { description: reasons[code], schema }])),
        '401': { description: 'Unauthorized' },
      },
      'x-kubernetes-action': one.action,
      'x-kubernetes-group-version-kind': one.gvk,
    };
  };
  const paths = pathItems(resources, operation, (path) =>
    pathParameters(path).map((parameter) => ({ ...parameter, uniqueItems: true })),
  );
  return {
    swagger: '2.0',
    info: { title: 'Kubernetes', version: options.version },
    paths,
    definitions: components.all(),
    securityDefinitions: {
      BearerToken: { type: 'apiKey', description: 'Bearer Token authentication', name: 'authorization', in: 'header' },
    },
    security: [{ BearerToken: [] }],
  };
}

const reasons: Readonly<Record<number, string>> = { 200: 'OK', 201: 'Created', 202: 'Accepted' };

function patchTypes(resource: Resource, { takesStrategicPatch }: DocumentOptions): string[] {
  return takesStrategicPatch(resource) ? [...patches, strategicPatch] : patches;
}

function pathItems(
  resources: readonly Resource[],
  operation: (resource: Resource, one: Operation) => Json,
  parameters: (path: PathOperations) => readonly Json[],
): Json {
  const items: [string, Json][] = [];
  for (const resource of resources)
    for (const path of pathsOf(resource))
      items.push([
        path.path,
        {
          ...Object.fromEntries(path.operations.map((one) => [one.method, operation(resource, one)])),
          parameters: parameters(path),
        },
      ]);
  return Object.fromEntries(items.sort(([a], [b]) => (a < b ? -1 : 1)));
}

type PlacedParameter = Parameter & {
  readonly in: 'path' | 'query';
  readonly required?: true;
  readonly description?: string;
};

function pathParameters({ pathParameters: names, kind }: PathOperations): PlacedParameter[] {
  const descriptions = {
    name: `name of the ${kind}`,
    namespace: 'object name and auth scope, such as for teams and projects',
    path: 'path to the resource',
  };
  return [
    ...names.map(
      (name): PlacedParameter => ({
        name,
        in: 'path',
        required: true,
        type: 'string',
        description: descriptions[name],
      }),
    ),
    { name: 'pretty', in: 'query', type: 'string' },
  ];
}
