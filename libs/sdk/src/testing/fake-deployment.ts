import { JobService } from '@emloc/contracts';
import {
  anyone,
  bearerTokens,
  hashToken,
  RpcServer,
  serverCredentials,
  type Authenticator,
  type TlsOptions,
} from '@emloc/rpc';

import { startCuttingProxy } from './cutting-proxy.js';
import { FakeJobService } from './fake-job-service.js';

export interface FakeDeploymentOptions {
  readonly authenticate?: Authenticator;
  /** The only token that is accepted, in place of `authenticate`. */
  readonly token?: string;
  readonly tls?: TlsOptions | null;
  readonly requireClientCertificate?: boolean;
}

/** A gRPC server with a fake job service, reached through connections that can be cut. */
export interface FakeDeployment {
  readonly service: FakeJobService;
  /** `localhost:port` */
  readonly address: string;
  /** Connections that clients have made. */
  connections(): number;
  /** Cuts every connection. */
  cut(): void;
  close(): Promise<void>;
}

export async function startFakeDeployment({
  token,
  tls = null,
  requireClientCertificate = false,
  ...options
}: FakeDeploymentOptions = {}): Promise<FakeDeployment> {
  const authenticate =
    token === undefined
      ? (options.authenticate ?? anyone)
      : bearerTokens([{ tenant: 'tester', sha256: hashToken(token), expiresAtMs: null }]);
  const connection = { cut: (): void => undefined, passed: () => 0 };
  const service = new FakeJobService(connection);
  const server = new RpcServer();
  server.addService(JobService, service, { authenticate });
  const { port } = await server.listen({
    host: '127.0.0.1',
    port: 0,
    credentials: serverCredentials(tls, { requireClientCertificate }),
  });
  const proxy = await startCuttingProxy(port);
  Object.assign(connection, { cut: proxy.cut, passed: proxy.passed });
  return {
    service,
    address: `localhost:${proxy.port}`,
    connections: proxy.connections,
    cut: proxy.cut,
    close: async () => {
      await proxy.close();
      await server.close(0);
    },
  };
}
