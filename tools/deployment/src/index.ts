export {
  type Authority,
  type CertificateFiles,
  type CertificateRequest,
  openAuthority,
} from './certificates/authority.js';
export { inboxPrefixOf, type NatsServiceUser, natsUsers } from './nats/nats-users.js';
