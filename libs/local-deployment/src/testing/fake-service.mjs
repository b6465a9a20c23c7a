/**
 * Stands for a service: listens, says so, ends at SIGTERM and with its parent. Notes its start and
 * its end in the file FAKE_NOTES. FAKE_FAILS=SERVICE CODE: the service of that name says why and
 * ends with the code.
 */
import { appendFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { basename } from 'node:path';
import process from 'node:process';

const flags = Object.fromEntries(
  process.argv
    .slice(2)
    .flatMap((arg, index, args) => (arg.startsWith('--') ? [[arg.slice(2), args[index + 1]]] : [])),
);
const service = flags.service ?? basename(process.argv[1] ?? '', '.mjs');
const note = (event) =>
  appendFileSync(
    process.env.FAKE_NOTES,
    `${JSON.stringify({ event, service, pid: process.pid, flags, hasNatsPassword: Boolean(process.env.EMLOC_NATS_PASSWORD) })}\n`,
  );
const [failing, code] = (process.env.FAKE_FAILS ?? '').split(' ');
note('start');
if (failing === service) {
  process.stderr.write(`${service}: options: unknown flag --colour\n`);
  process.exit(Number(code));
}
process.on('SIGTERM', () => {
  note('end');
  process.exit(0);
});
const [grpc, metrics] = [await listen(flags.port), await listen(flags['metrics-port'])];
process.stderr.write(
  `${JSON.stringify({ level: 'info', service, address: `127.0.0.1:${grpc}`, metricsPort: metrics, msg: 'listening' })}\n`,
);
if (process.env.EMLOC_PARENT_WATCH === 'stdin')
  process.stdin.on('end', () => process.exit(1)).resume();

function listen(port) {
  const server = createServer();
  return new Promise((resolve) => {
    server.listen(Number(port), '127.0.0.1', () => resolve(server.address().port));
  });
}
