import { connect, createServer, type Socket } from 'node:net';

/** Passes TCP connections on to a port of this machine, and can cut them. */
export interface CuttingProxy {
  readonly port: number;
  /** Connections that were made. */
  connections(): number;
  /** Bytes that clients were sent. */
  passed(): number;
  /** Cuts every connection, as a server does that is killed: what it has sent still arrives. */
  cut(): void;
  close(): Promise<void>;
}

export async function startCuttingProxy(targetPort: number): Promise<CuttingProxy> {
  const [sockets, fars] = [new Set<Socket>(), new Set<Socket>()];
  let [connections, passed] = [0, 0];
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
  };
  const server = createServer((near) => {
    connections += 1;
    const far = connect(targetPort, '127.0.0.1');
    keep(near);
    keep(far);
    near.pipe(far).pipe(near);
    far.on('data', ({ length }: Buffer) => (passed += length));
    near.on('close', () => far.destroy());
    far.on('close', () => near.end());
    fars.add(far.on('close', () => fars.delete(far)));
  });
  const cut = (): void => fars.forEach((socket) => void socket.destroy());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as { port: number }).port,
    connections: () => connections,
    passed: () => passed,
    cut,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        sockets.forEach((socket) => void socket.destroy());
      }),
  };
}
