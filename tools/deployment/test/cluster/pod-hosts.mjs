/**
 * Preloaded into the processes that stand for pods: their names are resolved as a cluster's DNS
 * would, and no other name is.
 */
import dns from 'node:dns';
import { syncBuiltinESMExports } from 'node:module';
import { isIP } from 'node:net';
import process from 'node:process';

/** @type {Record<string, string[]>} */
const hosts = JSON.parse(process.env['POD_HOSTS'] ?? '{}');

/** @param {string} name */
function notFound(name) {
  return Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), {
    code: 'ENOTFOUND',
    errno: -3008,
    syscall: 'getaddrinfo',
    hostname: name,
  });
}

/** @param {string} name @returns {{ address: string, family: number }[]} @throws ENOTFOUND */
function addressesOf(name) {
  const addresses = isIP(name) ? [name] : hosts[name];
  if (!addresses) throw notFound(name);
  return addresses.map((address) => ({ address, family: isIP(address) }));
}

/** @param {string} name @param {object} [options] */
async function lookup(name, options) {
  const found = addressesOf(name);
  return options?.all ? found : found[0];
}

dns.promises.lookup = lookup;
dns.promises.resolveTxt = async (name) => {
  throw notFound(name);
};
dns.lookup = (name, options, callback) => {
  const [wanted, done] = typeof options === 'function' ? [{}, options] : [options, callback];
  lookup(name, wanted).then(
    (found) => (wanted?.all ? done(null, found) : done(null, found.address, found.family)),
    done,
  );
};
syncBuiltinESMExports();
