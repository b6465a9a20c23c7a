import { resolve } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';

import { makeSecrets } from './secrets/make-secrets.js';

const help = `usage: node dist/deployment/deployment.mjs secrets --out DIR --tenant NAME [--tenant NAME ...]
Makes the Secrets that deploy/kubernetes mounts: DIR/secrets.yaml for kubectl, and DIR/tenants/NAME, each tenant's token. What is in DIR is kept, so
that the command can be given again, with another tenant say. DIR is to be kept as secrets are. Needs openssl.

  --out DIR                 made when it is missing
  --tenant NAME             gets a token
  --coordinator-name NAME   another DNS name of the coordinator, for its certificate; may be given several times
  --days N                  how long certificates hold (default 365); a file in DIR/certificates that is removed is made again
  --without-certificates    cert-manager makes them
  --namespace NAME          (default emloc)
`;

process.exitCode = main(process.argv.slice(2));

function main(args: readonly string[]): number {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        out: { type: 'string' },
        tenant: { type: 'string', multiple: true, default: [] },
        'coordinator-name': { type: 'string', multiple: true, default: [] },
        days: { type: 'string', default: '365' },
        'without-certificates': { type: 'boolean', default: false },
        namespace: { type: 'string', default: 'emloc' },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) return say(process.stdout, help, 0);
    const [command, ...more] = positionals;
    const days = Number(values.days);
    if (command !== 'secrets' || more.length > 0 || values.out === undefined)
      return say(process.stderr, help, 2);
    if (!Number.isSafeInteger(days) || days < 1)
      return say(
        process.stderr,
        `deployment: --days ${values.days}: a whole number of at least 1 is expected\n`,
        2,
      );
    const out = resolve(values.out);
    const certificates = values['without-certificates']
      ? null
      : { days, coordinatorNames: values['coordinator-name'] };
    const secrets = makeSecrets({
      out,
      namespace: values.namespace,
      tenants: values.tenant,
      certificates,
    });
    return say(
      process.stdout,
      `${out}/secrets.yaml: ${secrets.map(({ metadata: { name } }) => name).join(', ')}\n`,
      0,
    );
  } catch (error) {
    return say(process.stderr, `deployment: ${(error as Error).message}\n`, 1);
  }
}

function say(stream: NodeJS.WritableStream, text: string, code: number): number {
  stream.write(text);
  return code;
}
