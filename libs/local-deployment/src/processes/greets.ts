import { connect } from 'node:net';

const greetingMs = 1000;

/** Whether a NATS server answers there: it greets every connection by itself. */
export function greets(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(greetingMs, () => end(false));
    socket
      .once('error', () => end(false))
      .once('close', () => end(false))
      .once('data', (bytes) => end(bytes.toString('latin1').startsWith('INFO ')));
  });
}
