import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DeployedProcess, ProcessExit } from '@emloc/local-deployment';
import { startNatsServer, type NatsServer } from '@emloc/nats/testing';

/** A nats-server beside a deployment, which is started again when it ends. */
export interface OwnNats {
  readonly server: NatsServer;
  process(): DeployedProcess;
  stop(): Promise<void>;
}

const restartMs = 300;

/** @param onExit told of every end but the last */
export async function startOwnNats(
  options: Parameters<typeof startNatsServer>[0],
  onExit: (exit: ProcessExit) => void,
): Promise<OwnNats> {
  const server = await startNatsServer(options);
  let [restarts, isReady, isClosing] = [0, true, false];
  const killAtExit = (): void => {
    if (server.running && server.pid !== undefined) process.kill(server.pid, 'SIGKILL');
  };
  process.once('exit', killAtExit);
  const keeping = (async () => {
    for (;;) {
      const exit = await server.exited();
      isReady = false;
      if (isClosing) return;
      onExit(exit);
      restarts += 1;
      await sleep(restartMs);
      // One that is stopped or killed again before it answers ends as well, and is told above.
      isReady = await server.restart().then(
        () => true,
        () => false,
      );
    }
  })();
  return {
    server,
    process: () => ({
      name: 'nats-server',
      pid: isReady ? server.pid : undefined,
      isReady,
      address: `${server.host}:${server.port}`,
      metricsPort: null,
      restarts,
    }),
    stop: async () => {
      isClosing = true;
      process.removeListener('exit', killAtExit);
      await server.stop();
      await keeping;
    },
  };
}
