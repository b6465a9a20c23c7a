import type {
  INetworkPolicyPeer,
  INetworkPolicyPort,
} from 'kubernetes-models/networking.k8s.io/v1';

import type { Rendered } from './manifests.js';
import { portOf, selects, type Pod } from './pods.js';

/** Who is at the other end of a connection. */
export interface Peer {
  readonly labels: Readonly<Record<string, string>>;
  readonly namespaceLabels: Readonly<Record<string, string>>;
  /** Null: outside, and its ports have no names. */
  readonly pod: Pod | null;
}

/** Labels of the namespace that everything runs in; Kubernetes itself adds the name. */
const ownNamespace = Object.freeze({ 'kubernetes.io/metadata.name': 'emloc' });

export function peerOf(pod: Pod): Peer {
  return { labels: pod.labels, namespaceLabels: ownNamespace, pod };
}

/** Some pod of another namespace. */
export function stranger(
  namespaceLabels: Readonly<Record<string, string>>,
  labels: Readonly<Record<string, string>> = {},
): Peer {
  return { labels, namespaceLabels, pod: null };
}

/**
 * Whether the policies let `from` connect to a port of `to`. What is not a pod of ours has no
 * policies of its own.
 */
export function mayConnect(
  { networkPolicies }: Rendered,
  {
    from,
    to,
    port,
    protocol = 'TCP',
  }: { readonly from: Peer; readonly to: Peer; readonly port: number; readonly protocol?: string },
): boolean {
  const rulesOf = (peer: Peer, direction: 'Ingress' | 'Egress') => {
    const selecting = networkPolicies.filter(
      ({ spec }) =>
        peer.pod !== null &&
        spec?.policyTypes?.includes(direction) &&
        selects(spec.podSelector ?? {}, peer.labels),
    );
    const rules = selecting.flatMap(({ spec }) =>
      direction === 'Ingress'
        ? (spec?.ingress ?? []).map(({ from: peers, ports }) => ({ peers, ports }))
        : (spec?.egress ?? []).map(({ to: peers, ports }) => ({ peers, ports })),
    );
    return { isFree: selecting.length === 0, rules };
  };
  const allows = (self: Peer, other: Peer, direction: 'Ingress' | 'Egress'): boolean => {
    const { isFree, rules } = rulesOf(self, direction);
    return (
      isFree ||
      rules.some(
        ({ peers, ports }) =>
          (!peers || peers.some((peer) => isPeer(peer, other))) &&
          (!ports || ports.some((one) => isPort(one, { port, protocol, pod: to.pod }))),
      )
    );
  };
  return allows(from, to, 'Egress') && allows(to, from, 'Ingress');
}

function isPeer(
  { podSelector, namespaceSelector, ipBlock }: INetworkPolicyPeer,
  { labels, namespaceLabels }: Peer,
): boolean {
  if (ipBlock) throw new Error('network policies: ipBlock is not known here');
  const inNamespace = namespaceSelector
    ? selects(namespaceSelector, namespaceLabels)
    : namespaceLabels === ownNamespace;
  return inNamespace && (!podSelector || selects(podSelector, labels));
}

function isPort(
  { port, endPort, protocol = 'TCP' }: INetworkPolicyPort,
  asked: { readonly port: number; readonly protocol: string; readonly pod: Pod | null },
): boolean {
  if (endPort) throw new Error('network policies: endPort is not known here');
  if (protocol !== asked.protocol) return false;
  if (port === undefined || port === null) return true;
  if (typeof port === 'number') return port === asked.port;
  return (
    asked.pod !== null &&
    (asked.pod.container.ports ?? []).some(
      ({ name, containerPort }) => name === port && containerPort === asked.port,
    )
  );
}

/**
 * Names under which pods are found, short as the manifests use them: those of Services, and of the
 * pods of headless ones.
 */
export function hostNames(rendered: Rendered, pods: readonly Pod[]): Map<string, Pod[]> {
  const names = new Map<string, Pod[]>();
  for (const { metadata, spec } of rendered.services) {
    const chosen = pods.filter((pod) => selects({ matchLabels: spec?.selector ?? {} }, pod.labels));
    names.set(metadata.name, chosen);
    if (spec?.clusterIP !== 'None') continue;
    for (const pod of chosen.filter(
      ({ workload }) =>
        (workload.spec as { serviceName?: string } | undefined)?.serviceName === metadata.name,
    ))
      names.set(`${pod.name}.${metadata.name}`, [pod]);
  }
  return names;
}

/** A connection that a pod's environment asks for. */
export interface Connection {
  readonly from: Pod;
  readonly host: string;
  readonly to: Pod;
  readonly port: number;
}

const address = /^(?:\w+:\/\/)?([\w.-]+):(\d+)$/;

/**
 * The connections that pods make: everything in an environment that is `host:port`.
 * @throws for hosts and ports that nobody has
 */
export function connectionsOf(
  rendered: Rendered,
  pods: readonly Pod[],
  environment: (pod: Pod) => Readonly<Record<string, string>>,
): Connection[] {
  const names = hostNames(rendered, pods);
  return pods.flatMap((from) =>
    Object.values(environment(from))
      .flatMap((value) => value.split(','))
      .flatMap((part) => {
        const [, host, port] = address.exec(part) ?? [];
        if (host === undefined) return [];
        const found = names.get(host);
        if (!found || found.length === 0)
          throw new Error(`${from.name}: nobody has the name ${host}`);
        return found.map((to) => ({
          from,
          host,
          to,
          port: targetOf(rendered, { host, to, port: Number(port) }),
        }));
      }),
  );
}

/** The pod's port behind one of a Service, or the same where pods are asked themselves. */
function targetOf(
  { services }: Rendered,
  { host, to, port }: { readonly host: string; readonly to: Pod; readonly port: number },
): number {
  const service = services.find(({ metadata }) => metadata.name === host);
  if (!service) return portOf(to, port);
  const found = (service.spec?.ports ?? []).find((one) => one.port === port);
  if (!found) throw new Error(`service ${host} has no port ${port}`);
  const target = portOf(to, found.targetPort ?? port);
  // A headless Service's port is the pod's own, whatever it says.
  if (service.spec?.clusterIP === 'None' && target !== port)
    throw new Error(
      `service ${host}: port ${port} is ${target} at the pod, to which clients connect`,
    );
  return target;
}
