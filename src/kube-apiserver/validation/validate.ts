/** Is this object allowed? One function per kind, after the metadata that all kinds share. Messages are upstream's to the letter. */
import type { Resource } from '#api-kube/resource.ts';
import { type FieldError, forbidden, invalid } from '#kube-machinery/field-error.ts';
import { equal } from '#kube-machinery/json-patch.ts';
import type { KubeObject } from '../object.ts';
import { validateMutatingPolicy, validatePolicyBinding, validateValidatingPolicy } from './admission-policies.ts';
import { validateApiService } from './api-services.ts';
import { validateCronJob, validateCronJobUpdate, validateJob, validateJobUpdate } from './batch.ts';
import { validateSigningRequest, validateSigningRequestUpdate } from './certificates.ts';
import {
  validateControllerRevision,
  validateControllerRevisionUpdate,
  validateEndpoints,
  validateEvent,
  validateEventUpdate,
  validateNamespace,
  validatePodTemplateObject,
} from './core-kinds.ts';
import { validateDefinition } from './custom-resource-definitions.ts';
import { validateConfigMap, validateSecret } from './data.ts';
import {
  validateClaimTemplate,
  validateDeviceClass,
  validateClaim as validateResourceClaim,
  validateResourceSlice,
  validateResourceSliceUpdate,
  validateSpecUnchanged,
} from './device-claims.ts';
import { validateFlowSchema, validatePriorityLevel } from './flow-control.ts';
import { validateMetadata, validateMetadataUpdate } from './metadata.ts';
import {
  validateIngressClass,
  validateIngressClassUpdate,
  validateIpAddress,
  validateIpAddressUpdate,
  validateServiceCidr,
  validateServiceCidrUpdate,
} from './network-kinds.ts';
import {
  validateEndpointSlice,
  validateEndpointSliceUpdate,
  validateIngress,
  validateNetworkPolicy,
} from './networking.ts';
import { validateNode, validateNodeUpdate } from './nodes.ts';
import { validatePod, validatePodUpdate } from './pod.ts';
import { validateHorizontalPodAutoscaler, validatePodDisruptionBudget } from './policy.ts';
import { validateLimitRange, validateResourceQuota, validateResourceQuotaUpdate } from './quota.ts';
import { validateBinding, validateRole } from './rbac.ts';
import { validateService, validateServiceUpdate } from './service.ts';
import {
  validateLease,
  validatePriorityClass,
  validateRuntimeClass,
  validateRuntimeClassUpdate,
} from './small-kinds.ts';
import {
  validateClaim,
  validateClaimUpdate,
  validatePersistentVolume,
  validateStorageClass,
  validateStorageClassUpdate,
} from './storage.ts';
import {
  validateCsiDriver,
  validateCsiDriverUpdate,
  validateCsiNode,
  validateStorageCapacity,
  validateStorageCapacityUpdate,
  validateVolumeAttachment,
  validateVolumeAttachmentUpdate,
  validateVolumeAttributesClass,
  validateVolumeAttributesClassUpdate,
} from './storage-drivers.ts';
import { validateWebhookConfiguration } from './webhooks.ts';
import { validateWorkload, validateWorkloadUpdate } from './workload.ts';
import { validateWorkloadStatus } from './workload-status.ts';

type Validate = (object: KubeObject, resource: Resource) => FieldError[];
type ValidateUpdate = (object: KubeObject, old: KubeObject, resource: Resource) => FieldError[];

const creators: Readonly<Record<string, Validate>> = {
  Pod: validatePod,
  Service: validateService,
  ConfigMap: validateConfigMap,
  Secret: validateSecret,
  Node: validateNode,
  ReplicationController: validateWorkload,
  'Deployment.apps': validateWorkload,
  'ReplicaSet.apps': validateWorkload,
  'DaemonSet.apps': validateWorkload,
  'StatefulSet.apps': validateWorkload,
  PersistentVolume: validatePersistentVolume,
  PersistentVolumeClaim: validateClaim,
  'StorageClass.storage.k8s.io': validateStorageClass,
  'Ingress.networking.k8s.io': validateIngress,
  'NetworkPolicy.networking.k8s.io': validateNetworkPolicy,
  'EndpointSlice.discovery.k8s.io': validateEndpointSlice,
  'PodDisruptionBudget.policy': validatePodDisruptionBudget,
  'HorizontalPodAutoscaler.autoscaling': validateHorizontalPodAutoscaler,
  'Job.batch': validateJob,
  'CronJob.batch': validateCronJob,
  'Role.rbac.authorization.k8s.io': validateRole,
  'ClusterRole.rbac.authorization.k8s.io': validateRole,
  'RoleBinding.rbac.authorization.k8s.io': validateBinding,
  'ClusterRoleBinding.rbac.authorization.k8s.io': validateBinding,
  'Lease.coordination.k8s.io': validateLease,
  'PriorityClass.scheduling.k8s.io': validatePriorityClass,
  Namespace: validateNamespace,
  Endpoints: validateEndpoints,
  PodTemplate: validatePodTemplateObject,
  ResourceQuota: validateResourceQuota,
  LimitRange: validateLimitRange,
  Event: (event, resource) => validateEvent(resource, event),
  'Event.events.k8s.io': (event, resource) => validateEvent(resource, event),
  'ControllerRevision.apps': validateControllerRevision,
  'CSIDriver.storage.k8s.io': validateCsiDriver,
  'CSINode.storage.k8s.io': validateCsiNode,
  'CSIStorageCapacity.storage.k8s.io': validateStorageCapacity,
  'VolumeAttachment.storage.k8s.io': validateVolumeAttachment,
  'VolumeAttributesClass.storage.k8s.io': validateVolumeAttributesClass,
  'IngressClass.networking.k8s.io': validateIngressClass,
  'IPAddress.networking.k8s.io': validateIpAddress,
  'ServiceCIDR.networking.k8s.io': validateServiceCidr,
  'RuntimeClass.node.k8s.io': validateRuntimeClass,
  'CertificateSigningRequest.certificates.k8s.io': validateSigningRequest,
  'FlowSchema.flowcontrol.apiserver.k8s.io': validateFlowSchema,
  'PriorityLevelConfiguration.flowcontrol.apiserver.k8s.io': validatePriorityLevel,
  'ValidatingWebhookConfiguration.admissionregistration.k8s.io': validateWebhookConfiguration,
  'MutatingWebhookConfiguration.admissionregistration.k8s.io': validateWebhookConfiguration,
  'ValidatingAdmissionPolicy.admissionregistration.k8s.io': validateValidatingPolicy,
  'MutatingAdmissionPolicy.admissionregistration.k8s.io': validateMutatingPolicy,
  'ValidatingAdmissionPolicyBinding.admissionregistration.k8s.io': validatePolicyBinding,
  'MutatingAdmissionPolicyBinding.admissionregistration.k8s.io': validatePolicyBinding,
  'CustomResourceDefinition.apiextensions.k8s.io': validateDefinition,
  'APIService.apiregistration.k8s.io': validateApiService,
  'DeviceClass.resource.k8s.io': validateDeviceClass,
  'ResourceClaim.resource.k8s.io': validateResourceClaim,
  'ResourceClaimTemplate.resource.k8s.io': validateClaimTemplate,
  'ResourceSlice.resource.k8s.io': validateResourceSlice,
};

const updaters: Readonly<Record<string, ValidateUpdate>> = {
  Pod: validatePodUpdate,
  Node: validateNodeUpdate,
  'ResourceClaim.resource.k8s.io': validateSpecUnchanged,
  'ResourceClaimTemplate.resource.k8s.io': validateSpecUnchanged,
  'ResourceSlice.resource.k8s.io': validateResourceSliceUpdate,
  Service: validateServiceUpdate,
  ConfigMap: dataUpdate,
  Secret: secretUpdate,
  'Deployment.apps': validateWorkloadUpdate,
  'ReplicaSet.apps': validateWorkloadUpdate,
  'DaemonSet.apps': validateWorkloadUpdate,
  'StatefulSet.apps': validateWorkloadUpdate,
  PersistentVolumeClaim: validateClaimUpdate,
  'StorageClass.storage.k8s.io': validateStorageClassUpdate,
  'EndpointSlice.discovery.k8s.io': validateEndpointSliceUpdate,
  'Job.batch': validateJobUpdate,
  'CronJob.batch': validateCronJobUpdate,
  'RoleBinding.rbac.authorization.k8s.io': roleRefUpdate,
  'ClusterRoleBinding.rbac.authorization.k8s.io': roleRefUpdate,
  'PriorityClass.scheduling.k8s.io': priorityUpdate,
  ResourceQuota: validateResourceQuotaUpdate,
  Event: (event, old, resource) => validateEventUpdate(resource, event, old),
  'Event.events.k8s.io': (event, old, resource) => validateEventUpdate(resource, event, old),
  'ControllerRevision.apps': validateControllerRevisionUpdate,
  'CSIDriver.storage.k8s.io': validateCsiDriverUpdate,
  'CSIStorageCapacity.storage.k8s.io': validateStorageCapacityUpdate,
  'VolumeAttachment.storage.k8s.io': validateVolumeAttachmentUpdate,
  'VolumeAttributesClass.storage.k8s.io': validateVolumeAttributesClassUpdate,
  'IngressClass.networking.k8s.io': validateIngressClassUpdate,
  'IPAddress.networking.k8s.io': validateIpAddressUpdate,
  'ServiceCIDR.networking.k8s.io': validateServiceCidrUpdate,
  'RuntimeClass.node.k8s.io': validateRuntimeClassUpdate,
  'CertificateSigningRequest.certificates.k8s.io': validateSigningRequestUpdate,
};

const nameOf = ({ group, kind }: Resource) => (group === '' ? kind : `${kind}.${group}`);

export function validateCreate(resource: Resource, object: KubeObject): FieldError[] {
  return [...validateMetadata(resource, object), ...(creators[nameOf(resource)]?.(object, resource) ?? [])];
}

export function validateUpdate(resource: Resource, object: KubeObject, old: KubeObject): FieldError[] {
  const update = updaters[nameOf(resource)];
  const own = update ? update(object, old, resource) : (creators[nameOf(resource)]?.(object, resource) ?? []);
  return [...validateMetadataUpdate(resource, object, old), ...own];
}

export function validateStatusUpdate(resource: Resource, object: KubeObject, old: KubeObject): FieldError[] {
  return [
    ...validateMetadataUpdate(resource, object, old),
    ...(reported.has(nameOf(resource)) ? validateWorkloadStatus(object, old) : []),
  ];
}

/** Kinds whose statuses are looked at. */
const reported = new Set([
  'ReplicationController',
  'Deployment.apps',
  'ReplicaSet.apps',
  'DaemonSet.apps',
  'StatefulSet.apps',
]);

const immutableWhenSet = 'field is immutable when `immutable` is set';

function dataUpdate(object: KubeObject, old: KubeObject): FieldError[] {
  const errors = validateConfigMap(object);
  if (old['immutable'] !== true) return errors;
  const forbid = (field: string) => errors.push(forbidden(field, immutableWhenSet));
  if (object['immutable'] !== true) forbid('immutable');
  if (!equal(object['data'] ?? {}, old['data'] ?? {})) forbid('data');
  if (!equal(object['binaryData'] ?? {}, old['binaryData'] ?? {})) forbid('binaryData');
  return errors;
}

function secretUpdate(object: KubeObject, old: KubeObject): FieldError[] {
  const errors = validateSecret(object);
  if (object['type'] !== old['type']) errors.push(invalid('type', object['type'], 'field is immutable'));
  if (old['immutable'] === true) {
    if (object['immutable'] !== true) errors.push(forbidden('immutable', immutableWhenSet));
    if (!equal(object['data'] ?? {}, old['data'] ?? {})) errors.push(forbidden('data', immutableWhenSet));
  }
  return errors;
}

function roleRefUpdate(object: KubeObject, old: KubeObject): FieldError[] {
  const errors = validateBinding(object);
  if (!equal(object['roleRef'], old['roleRef'])) {
    // The message shows upstream's internal form.
    const { apiGroup, kind, name } = object['roleRef'] as Readonly<Record<string, string>>;
    errors.push(invalid('roleRef', { APIGroup: apiGroup, Kind: kind, Name: name }, 'cannot change roleRef'));
  }
  return errors;
}

function priorityUpdate(object: KubeObject, old: KubeObject): FieldError[] {
  const errors = validatePriorityClass(object);
  if ((object['value'] ?? 0) !== (old['value'] ?? 0))
    errors.push(invalid('value', object['value'] ?? 0, 'field is immutable'));
  if (object['preemptionPolicy'] !== old['preemptionPolicy'])
    errors.push(invalid('preemptionPolicy', object['preemptionPolicy'] ?? null, 'field is immutable'));
  return errors;
}
