export { commonOptions } from './common-options.js';
export { runService, type ServiceContext, type ServiceSetup } from './run-service.js';
export { type ServiceTls } from './tls-files.js';
export { programVersion } from './version.js';
