/** Volumes of a pod: one source each, and what a source must say. Source: ValidateVolumes of pkg/apis/core/validation. */
import { duplicate, type FieldError, forbidden, invalid, notSupported, required } from '#kube-machinery/field-error.ts';
import { dns1123LabelProblems } from '#kube-machinery/names.ts';
import { fieldsOfVolumes, validateFieldRef, validateResourceFieldRef } from './environment.ts';
import { check, descendingPath, type Fields, list, noBacksteps, one, record, text } from './fields.ts';
import { nanosOf } from './resources.ts';

type Source = (source: Fields, at: string) => void;

/** @returns the volumes that are right, by name: what may be mounted */
export function validateVolumes(
  volumes: readonly Fields[],
  at: string,
  errors: FieldError[],
): ReadonlyMap<string, Fields> {
  const valid = new Map<string, Fields>();
  for (const [index, volume] of volumes.entries()) {
    const here = `${at}[${index}]`;
    const found: FieldError[] = [];
    one(found, here, volume, sourcesOf(found), 'volume type');
    const name = text(volume['name']);
    if (name === '') found.push(required(`${here}.name`));
    else check(found, `${here}.name`, name, dns1123LabelProblems);
    if (valid.has(name)) found.push(duplicate(`${here}.name`, name));
    if (found.length === 0) valid.set(name, volume);
    errors.push(...found);
  }
  return valid;
}

const hostPathTypes = [
  '',
  'BlockDevice',
  'CharDevice',
  'Directory',
  'DirectoryOrCreate',
  'File',
  'FileOrCreate',
  'Socket',
];

/** In upstream's order: the first that is set is the volume's. */
function sourcesOf(errors: FieldError[]): Readonly<Record<string, Source>> {
  const needs =
    (...fields: string[]): Source =>
    (source, at) => {
      for (const field of fields) if (text(source[field]) === '') errors.push(required(`${at}.${field}`));
    };
  return {
    emptyDir: (source, at) => {
      const limit = nanosOf(source['sizeLimit'] as string | undefined);
      if (limit !== undefined && limit < 0n)
        errors.push(forbidden(`${at}.sizeLimit`, 'SizeLimit field must be a valid resource quantity'));
    },
    hostPath: (source, at) => {
      const path = text(source['path']);
      if (path === '') {
        errors.push(required(`${at}.path`));
        return;
      }
      noBacksteps(errors, `${at}.path`, path);
      const type = source['type'];
      if (type !== undefined && !hostPathTypes.includes(type as string))
        errors.push(notSupported(`${at}.type`, type, hostPathTypes));
    },
    gitRepo: (source, at) => {
      needs('repository')(source, at);
      descendingPath(errors, `${at}.directory`, text(source['directory']));
    },
    gcePersistentDisk: needs('pdName'),
    awsElasticBlockStore: needs('volumeID'),
    secret: (source, at) => {
      needs('secretName')(source, at);
      validateMode(errors, `${at}.defaultMode`, source['defaultMode']);
      validateItems(list(source['items']), `${at}.items`, errors);
    },
    nfs: (source, at) => {
      needs('server', 'path')(source, at);
      if (!text(source['path']).startsWith('/'))
        errors.push(invalid(`${at}.path`, text(source['path']), 'must be an absolute path'));
    },
    iscsi: needs('targetPortal', 'iqn'),
    glusterfs: needs('endpoints', 'path'),
    persistentVolumeClaim: needs('claimName'),
    rbd: needs('image'),
    cinder: needs('volumeID'),
    cephfs: () => {},
    quobyte: needs('registry', 'volume'),
    downwardAPI: (source, at) => {
      validateMode(errors, `${at}.defaultMode`, source['defaultMode']);
      for (const file of list(source['items'])) validateDownwardFile(file, at, errors);
    },
    fc: () => {},
    flexVolume: needs('driver'),
    configMap: (source, at) => {
      needs('name')(source, at);
      validateMode(errors, `${at}.defaultMode`, source['defaultMode']);
      validateItems(list(source['items']), `${at}.items`, errors);
    },
    azureFile: needs('secretName', 'shareName'),
    vsphereVolume: needs('volumePath'),
    photonPersistentDisk: needs('pdID'),
    portworxVolume: needs('volumeID'),
    azureDisk: needs('diskName', 'diskURI'),
    storageos: () => {},
    projected: (source, at) => {
      validateMode(errors, `${at}.defaultMode`, source['defaultMode']);
      validateProjections(list(source['sources']), at, errors);
    },
    scaleIO: needs('gateway', 'system', 'volumeName'),
    csi: needs('driver'),
    ephemeral: (source, at) => {
      if (source['volumeClaimTemplate'] === undefined) errors.push(required(`${at}.volumeClaimTemplate`));
    },
    image: needs('reference'),
  };
}

function validateMode(errors: FieldError[], at: string, mode: unknown): void {
  if (mode !== undefined && ((mode as number) > 0o777 || (mode as number) < 0))
    errors.push(invalid(at, mode, 'must be a number between 0 and 0777 (octal), both inclusive'));
}

/** Below the volume, and not among the names that atomic writers of volumes use themselves. */
function localPath(errors: FieldError[], at: string, path: string): void {
  descendingPath(errors, at, path);
  if (path.startsWith('..') && !path.startsWith('../')) errors.push(invalid(at, path, "must not start with '..'"));
}

function validateItems(items: readonly Fields[], at: string, errors: FieldError[]): void {
  for (const [index, item] of items.entries()) {
    const here = `${at}[${index}]`;
    for (const field of ['key', 'path']) if (text(item[field]) === '') errors.push(required(`${here}.${field}`));
    localPath(errors, `${here}.path`, text(item['path']));
    validateMode(errors, `${here}.mode`, item['mode']);
  }
}

/** Upstream names the volume here, not the file. */
function validateDownwardFile(file: Fields, at: string, errors: FieldError[]): void {
  const path = text(file['path']);
  if (path === '') errors.push(required(`${at}.path`));
  localPath(errors, `${at}.path`, path);
  const field = record(file['fieldRef']);
  const resource = record(file['resourceFieldRef']);
  if (field !== undefined) {
    validateFieldRef(field, fieldsOfVolumes, `${at}.fieldRef`, errors);
    if (resource !== undefined)
      errors.push(invalid(at, 'resource', 'fieldRef and resourceFieldRef can not be specified simultaneously'));
  } else if (resource !== undefined) validateResourceFieldRef(resource, `${at}.resourceFieldRef`, true, errors);
  else errors.push(required(at, 'one of fieldRef and resourceFieldRef is required'));
  validateMode(errors, `${at}.mode`, file['mode']);
}

function validateProjections(sources: readonly Fields[], at: string, errors: FieldError[]): void {
  const paths = new Set<string>();
  const claim = (path: string, shown: string) => {
    if (path === '') return;
    if (paths.has(path)) errors.push(invalid(at, shown, 'conflicting duplicate paths'));
    paths.add(path);
  };
  for (const [index, source] of sources.entries()) {
    const here = `${at}.sources[${index}]`;
    for (const name of ['secret', 'configMap']) {
      const inner = record(source[name]);
      if (inner === undefined) continue;
      if (text(inner['name']) === '') errors.push(required(`${here}.${name}.name`));
      validateItems(list(inner['items']), `${here}.${name}.items`, errors);
      for (const item of list(inner['items'])) claim(text(item['path']), text(inner['name']));
    }
    const downward = record(source['downwardAPI']);
    for (const file of list(downward?.['items'])) {
      validateDownwardFile(file, `${here}.downwardAPI`, errors);
      claim(text(file['path']), text(file['path']));
    }
    const token = record(source['serviceAccountToken']);
    if (token !== undefined) validateToken(token, at, `${here}.serviceAccountToken`, errors);
    if (Object.keys(source).length > 1)
      errors.push(forbidden(here, 'may not specify more than 1 volume type per source'));
  }
}

/** @param volumeAt where upstream says the path is @param at the source itself */
function validateToken(token: Fields, volumeAt: string, at: string, errors: FieldError[]): void {
  const seconds = (token['expirationSeconds'] ?? 0) as number;
  if (seconds < 600)
    errors.push(invalid(`${at}.expirationSeconds`, seconds, 'may not specify a duration less than 10 minutes'));
  if (seconds > 2 ** 32)
    errors.push(invalid(`${at}.expirationSeconds`, seconds, 'may not specify a duration larger than 2^32 seconds'));
  const path = text(token['path']);
  if (path === '') errors.push(required(`${volumeAt}.path`));
  else localPath(errors, `${volumeAt}.path`, path);
}
