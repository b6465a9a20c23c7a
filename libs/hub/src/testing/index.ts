export { HubServer, hubTokens, defaultCommit, type ServedModel } from './hub-server.js';
export { hashOf } from './served-files.js';
export { PushServer } from './push-server.js';
