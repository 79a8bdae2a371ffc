/**
 * What the server calls itself. Clients choose features by it (kube-apiserver asks for watch progress from 3.5.13 on), and members
 * refuse folders of a newer cluster: 3.5 is what every etcd in use can join, read and be upgraded from.
 */
export const serverVersion = '3.5.26';
export const clusterVersion = '3.5.0';
