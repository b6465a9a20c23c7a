export { buildPrograms, dist, root } from './programs.js';
export { getPage, type HttpAnswer } from './http-pages.js';
