import { request } from 'node:https';

export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
}

export interface GetPageOptions {
  readonly host?: string;
  /** Null: any certificate will do, as for a kubelet. */
  readonly ca: Buffer | null;
  /** Name that the certificate has to have; default: the host's. */
  readonly serverName?: string;
  readonly token?: string;
}

/** Asks for a page of probes or metrics over TLS. @throws when nothing answers */
export function getPage(
  port: number,
  path: string,
  { host = '127.0.0.1', ca, serverName, token }: GetPageOptions,
): Promise<HttpAnswer> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const trust =
    ca === null
      ? { rejectUnauthorized: false }
      : { ca, ...(serverName === undefined ? {} : { servername: serverName }) };
  return new Promise((resolve, reject) => {
    const asked = request({ host, port, path, headers, agent: false, ...trust }, (response) => {
      let body = '';
      response
        .setEncoding('utf8')
        .on('data', (text: string) => {
          body += text;
        })
        .on('end', () => resolve({ status: response.statusCode ?? 0, body }))
        .on('error', reject);
    });
    asked.once('error', reject).end();
  });
}
