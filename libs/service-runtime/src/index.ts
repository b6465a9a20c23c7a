export { commonOptions, type CommonOptions } from './common-options.js';
export { natsAccessOf } from './nats-access.js';
export {
  runService,
  type ServiceContext,
  type ServiceDefinition,
  type ServiceSetup,
} from './run-service.js';
export { tlsOf, type ServiceTls } from './tls-files.js';
export { programVersion } from './version.js';
